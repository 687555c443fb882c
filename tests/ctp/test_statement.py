"""The settlement query of the simulated front: a kept statement, in the pieces a CTP record has room for."""

from pathlib import Path

from qautlra.wire.ctp_frames import Kind
from tests.ctp.test_trader import OPEN, Venue, play, trader


def test_the_statement_of_a_day_in_pieces(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = await trader(venue)
        assert await one.rows(Kind.QRY_SETTLEMENT) == []  # no day is settled yet
        one.insert("1", "0", OPEN, 3, 75010)
        await one.trade()
        venue.rig.at("2021-08-02 21:30:00")
        venue.rig.trade.follow_day()
        wanted = await venue.rig.trade.statement("one", 20210802)
        assert "75010" in wanted
        for words in ({}, {"TradingDay": "20210802"}):
            rows = await one.rows(Kind.QRY_SETTLEMENT, **words)
            assert [row["SequenceNo"] for row in rows] == list(range(1, len(rows) + 1))
            assert {(row["TradingDay"], row["InvestorID"]) for row in rows} == {("20210802", "one")}
            raw = [row.raw_text("Content") for row in rows]
            assert len(raw) > 1 and all(len(piece) <= 500 for piece in raw)
            assert "".join(piece.decode("gb18030") for piece in raw) == wanted
        assert await one.rows(Kind.QRY_SETTLEMENT, TradingDay="20210730") == []
        for number, day in enumerate(("today", "2021/8/2"), 60):
            one.program.ask(Kind.QRY_SETTLEMENT, number, InvestorID="one", TradingDay=day)
            one.program.ask(Kind.QRY_CONFIRM, number, InvestorID="one")  # asked meanwhile, answered after it
            assert (await one.program.next(Kind.ERROR)).error == 15
            assert (await one.program.next(Kind.QRY_CONFIRM)).request == number
        one.program.ask(Kind.QRY_SETTLEMENT, 70, InvestorID="two")
        assert (await one.program.next(Kind.ERROR)).error == 9

    play(tmp_path, story)
