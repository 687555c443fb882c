"""What becomes of positions in contracts whose last trading day is over."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qautlra.model.order import Trade
from qautlra.trade.statistics import Deal, Pairing
from qautlra.wire import settlement
from tests.trade.rig import ACCOUNT, Rig, run

CU, M, IF = "SHFE.cu2109", "DCE.m2109", "CFFEX.IF2109"
IO_CALL, IO_PUT = "CFFEX.IO2109-C-5000", "CFFEX.IO2109-P-5000"
CALL, PUT, FAR = "DCE.m2109-C-3500", "DCE.m2109-P-3500", "DCE.m2109-C-3600"
OTHER = "acc002"


def ending(*symbols: str, day: int = 20210802) -> Callable[[Rig], None]:
    """Make it the last trading day of these."""

    def known(rig: Rig) -> None:
        rig.last_days.update(dict.fromkeys(symbols, day))

    return known


def opened(rig: Rig, *options: str) -> None:
    for account in (ACCOUNT, OTHER):
        assert rig.trade.open_account(account, 10_000_000).ok
    rig.quotes()
    for symbol in options:
        rig.tick(symbol, 60, upper_limit=2_000, lower_limit=0.2, pre_settlement=60)


def meet(rig: Rig, number: int, symbol: str, volume: int, price: float, offset: str = "OPEN") -> None:
    """ACCOUNT buys what OTHER sells."""
    assert rig.send(f"s{number}", symbol, "SELL", offset, volume, price, OTHER).ok
    assert rig.send(f"b{number}", symbol, "BUY", offset, volume, price).ok


def ended(rig: Rig, account: str = ACCOUNT) -> list[Trade]:
    found = rig.trade.settling.statements.get(account, 20210802)
    assert found is not None
    return [trade for trade in found.trades if trade.cause]


def lots(rig: Rig, symbol: str, account: str = ACCOUNT) -> tuple[int, int]:
    held = rig.trade.position(account, symbol)
    return (0, 0) if held is None else (held["volume_long"], held["volume_short"])


def both(rig: Rig) -> float:
    funds = [rig.trade.funds(account) for account in (ACCOUNT, OTHER)]
    return sum(one["balance"] for one in funds)


def test_futures_go_at_the_settlement_of_their_last_day(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        meet(rig, 1, CU, 2, 75_000)
        meet(rig, 2, IF, 1, 5_000)
        meet(rig, 3, M, 3, 3_500)
        assert rig.send("resting", CU, "SELL", "CLOSETODAY", 1, 82_500).ok
        before = rig.trade.funds(ACCOUNT)
        rig.tick(CU, 75_150, settlement=75_100)
        rig.tick(IF, 5_010, settlement=5_008.2)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        assert rig.trade.trading_day == 20210803
        found = {(t.symbol, t.direction.name): t for t in ended(rig)}
        assert set(found) == {(CU, "SELL"), (IF, "SELL")}
        copper = found[CU, "SELL"]
        assert (copper.offset.name, copper.volume, copper.price) == ("CLOSETODAY", 2, 75_100)
        assert (copper.commission, copper.close_profit, copper.cause) == (0, 1_000, "delivery")
        assert found[IF, "SELL"].close_profit == pytest.approx(2_460)
        assert [t.close_profit for t in ended(rig, OTHER)] == [-1_000, pytest.approx(-2_460)]
        statement = await rig.trade.settling.statement_of(ACCOUNT)
        assert statement is not None and statement.funds["margin"] == pytest.approx(3_500 * 10 * 3 * 0.05)
        assert statement.funds["balance"] == pytest.approx(before["balance"] + 1_000 + 2_460)
        assert "交割" in settlement.render(statement)
        assert lots(rig, CU) == lots(rig, IF) == lots(rig, CU, OTHER) == (0, 0)
        assert lots(rig, M) == (3, 0) and lots(rig, M, OTHER) == (0, 3)
        funds = rig.trade.funds(ACCOUNT)
        assert funds["pre_balance"] == statement.funds["balance"]
        assert funds["available"] == pytest.approx(funds["balance"] - funds["margin"])
        assert [p["symbol"] for p in rig.trade.positions(ACCOUNT)] == [M]

    run(tmp_path, body, before=ending(CU, IF))


def test_old_and_new_lots_of_both_sides_go_and_pay_the_fee_asked_for(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        meet(rig, 1, CU, 2, 75_000)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        assert lots(rig, CU) == (2, 0)
        rig.at("2021-08-02 21:10:00")
        rig.tick(CU, 75_000)
        meet(rig, 2, CU, 1, 75_050)
        assert rig.send("s3", CU, "SELL", "OPEN", 1, 75_060).ok
        assert rig.send("b3", CU, "BUY", "OPEN", 1, 75_060, OTHER).ok
        rig.tick(CU, 75_100)
        total = both(rig)
        rig.at("2021-08-03 20:56:00")
        rig.trade.follow_day()
        statement = rig.trade.settling.statements.get(ACCOUNT, 20210803)
        assert statement is not None
        found = [(t.direction.name, t.offset.name, t.volume) for t in statement.trades if t.cause]
        assert found == [("SELL", "CLOSETODAY", 1), ("SELL", "CLOSE", 2), ("BUY", "CLOSETODAY", 1)]
        fees = sum(t.commission for t in statement.trades if t.cause)
        assert fees == pytest.approx(75_100 * 5 * 4 * 0.0001)
        assert lots(rig, CU) == lots(rig, CU, OTHER) == (0, 0)
        assert both(rig) == pytest.approx(total - 2 * fees)
        for account in (ACCOUNT, OTHER):
            funds = rig.trade.funds(account)
            assert funds["margin"] == 0 and funds["available"] == funds["balance"]

    run(tmp_path, body, before=ending(CU, day=20210803), delivery_fee_ratio=0.0001)


def test_statistics_add_up_to_what_the_account_made(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig, CALL, PUT, FAR)
        meet(rig, 1, CU, 2, 75_000)
        meet(rig, 2, CALL, 2, 60)
        meet(rig, 3, PUT, 1, 50)
        meet(rig, 4, FAR, 1, 20)
        rig.tick(CU, 75_150, settlement=75_100)
        rig.tick(M, 3_620, settlement=3_580)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        for account in (ACCOUNT, OTHER):
            statement = rig.trade.settling.statements.get(account, 20210802)
            assert statement is not None
            pairing = Pairing(lambda symbol: 5 if symbol == CU else 10)
            pairing.take(
                Deal(t.symbol, t.direction.name == "BUY", t.offset.name, t.volume, t.price, 0, 0, 20210802)
                for t in statement.trades
            )
            realized = sum(one.profit for one in pairing.closings)
            [lot] = pairing.open_lots()
            assert (lot.symbol, lot.volume, lot.price) == (M, 2, 3_500)
            sign = 1 if lot.is_long else -1
            fees = sum(t.commission for t in statement.trades)
            made = statement.funds["balance"] - 10_000_000
            assert made == pytest.approx(realized + sign * 80 * 2 * 10 - fees)

    run(tmp_path, body, before=ending(CU, CALL, PUT, FAR))


def test_options_on_a_future_become_it_at_the_strike(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig, CALL, PUT, FAR)
        meet(rig, 1, CALL, 2, 60)
        meet(rig, 2, PUT, 1, 50)
        meet(rig, 3, FAR, 4, 20)
        rig.tick(M, 3_620, settlement=3_580)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        assert [
            (t.symbol, t.direction.name, t.offset.name, t.volume, t.price, t.cause) for t in ended(rig)
        ] == [
            (CALL, "SELL", "CLOSE", 2, 0, "exercise"),
            (M, "BUY", "OPEN", 2, 3_500, "exercise"),
            (PUT, "SELL", "CLOSE", 1, 0, "lapse"),
            (FAR, "SELL", "CLOSE", 4, 0, "lapse"),
        ]
        assert lots(rig, M) == (2, 0) and lots(rig, M, OTHER) == (0, 2)
        for symbol in (CALL, PUT, FAR):
            assert lots(rig, symbol) == lots(rig, symbol, OTHER) == (0, 0)
        statement = await rig.trade.settling.statement_of(ACCOUNT)
        assert statement is not None and statement.funds["position_profit"] == 80 * 2 * 10
        assert statement.funds["premium"] == -(60 * 2 + 50 + 20 * 4) * 10
        held = rig.trade.position(ACCOUNT, M)
        assert held is not None and held["open_price_long"] == 3_500 and held["volume_long_his"] == 2
        assert rig.trade.funds(ACCOUNT)["margin"] == pytest.approx(3_580 * 10 * 2 * 0.05)

    run(tmp_path, body, before=ending(CALL, PUT, FAR))


def test_puts_in_the_money_sell_the_future(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig, PUT)
        meet(rig, 1, PUT, 1, 50)
        rig.tick(M, 3_440, settlement=3_450)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        assert lots(rig, M) == (0, 1) and lots(rig, M, OTHER) == (1, 0)
        statement = await rig.trade.settling.statement_of(ACCOUNT)
        assert statement is not None and statement.funds["position_profit"] == 50 * 10

    run(tmp_path, body, before=ending(PUT))


@pytest.mark.parametrize(
    ("shown", "call", "put"),
    [
        ({IF: {"settlement": 5_008.2}}, ("exercise", 8.2), ("lapse", 0)),
        ({"SSE.000300": {}}, ("lapse", 0), ("exercise", 10.0)),
        ({}, ("exercise", 60.0), ("exercise", 60.0)),
    ],
    ids=["the future's settlement", "the index", "its own"],
)
def test_index_options_are_paid_out(
    tmp_path: Path, shown: dict[str, dict[str, float]], call: tuple[str, float], put: tuple[str, float]
) -> None:
    async def body(rig: Rig) -> None:
        for account in (ACCOUNT, OTHER):
            assert rig.trade.open_account(account, 10_000_000).ok
        for symbol in (IO_CALL, IO_PUT):
            rig.tick(symbol, 60, upper_limit=2_000, lower_limit=0.2, pre_settlement=60)
        meet(rig, 1, IO_CALL, 2, 60)
        meet(rig, 2, IO_PUT, 1, 40)
        for symbol, more in shown.items():
            rig.tick(symbol, 4_990, **more)
        total = both(rig)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        assert [(t.cause, t.price) for t in ended(rig)] == [call, put]
        statement = await rig.trade.settling.statement_of(ACCOUNT)
        assert statement is not None
        paid = (call[1] * 2 + put[1] - 60 * 2 - 40) * 100
        assert statement.funds["premium"] == pytest.approx(paid)
        assert both(rig) == pytest.approx(total)
        for account in (ACCOUNT, OTHER):
            assert rig.trade.funds(account)["margin"] == 0 and rig.trade.positions(account) == []

    run(tmp_path, body, before=ending(IO_CALL, IO_PUT))


def test_a_contract_whose_end_is_not_known_or_that_still_trades_stays(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        meet(rig, 1, CU, 1, 75_000)
        meet(rig, 2, M, 1, 3_500)
        rig.at("2021-08-02 21:00:00")
        rig.tick(CU, 75_010)  # the market shows it on the next day
        assert rig.trade.trading_day == 20210803
        assert lots(rig, CU) == lots(rig, M) == (1, 0)
        assert ended(rig) == []

    run(tmp_path, body, before=ending(CU))


def test_what_ended_while_the_server_was_away_goes_with_the_first_settlement(tmp_path: Path) -> None:
    """At the newest price that is known; the account begins its day without it."""

    async def first(rig: Rig) -> None:
        opened(rig, CALL)
        meet(rig, 1, CU, 1, 75_000)
        meet(rig, 2, CALL, 1, 60)
        rig.tick(CU, 75_100)
        rig.tick(CALL, 70)

    async def second(rig: Rig) -> None:
        assert rig.trade.trading_day == 20210930
        assert rig.trade.positions(ACCOUNT) == rig.trade.positions(OTHER) == []
        assert [(t.symbol, t.cause, t.price) for t in ended(rig)] == [
            (CALL, "exercise", 70), (CU, "delivery", 75_100),
        ]  # fmt: skip
        assert rig.trade.funds(ACCOUNT)["margin"] == 0 == rig.trade.funds(OTHER)["margin"]

    known = ending(CU, CALL, day=20210915)
    run(tmp_path, first, durability="process", before=known)
    run(tmp_path, second, durability="process", before=known, now="2021-09-30 10:00:00")


def test_a_kill_anywhere_in_the_settlement_closes_out_once(tmp_path: Path) -> None:
    """Between the end of the contract and the settlement, and behind it: the same account."""
    found: list[Any] = []

    async def first(rig: Rig) -> None:
        opened(rig, CALL)
        meet(rig, 1, CU, 2, 75_000)
        meet(rig, 2, CALL, 2, 60)
        rig.tick(CU, 75_150, settlement=75_100)
        rig.tick(M, 3_620, settlement=3_580)
        rig.at("2021-08-02 20:56:00")
        days = rig.trade.settling.days
        assert days is not None
        days.end(20210803)
        await rig.trade.durable(rig.trade.head_lsn)
        shutil.copytree(tmp_path / "first", tmp_path / "killed")
        found.append(rig.trade.engine.exchange.state_hash())
        rig.trade.follow_day()
        found.append(rig.trade.funds(ACCOUNT))
        await rig.trade.durable(rig.trade.head_lsn)
        shutil.copytree(tmp_path / "first", tmp_path / "late")
        found.append(rig.trade.engine.exchange.state_hash())

    async def killed(rig: Rig) -> None:
        assert rig.trade.funds(ACCOUNT) == found[1]
        assert [t.cause for t in ended(rig)] == ["exercise", "exercise", "delivery"]
        assert lots(rig, CU) == (0, 0) and lots(rig, M) == (2, 0)

    async def late(rig: Rig) -> None:
        assert rig.trade.health()["recovered_hash"] in (found[2], f"{found[2]:016x}")
        assert rig.trade.funds(ACCOUNT) == found[1]

    known = ending(CU, CALL)
    at = {"durability": "process", "before": known}
    run(tmp_path / "first", first, **at)
    run(tmp_path / "killed", killed, **at, now="2021-08-02 20:56:00")
    run(tmp_path / "late", late, **at, now="2021-08-02 20:56:00")


def test_who_listens_hears_what_became_of_it(tmp_path: Path) -> None:
    heard: list[Trade] = []

    async def body(rig: Rig) -> None:
        opened(rig)
        meet(rig, 1, CU, 2, 75_000)
        await asyncio.sleep(0.05)
        rig.trade.subscribe(
            ACCOUNT,
            lambda _change, trades: heard.extend(trades),
            lambda change: [rig.trade.trade(number) for number in change.trades],
        )
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        await asyncio.sleep(0.05)
        [trade] = heard
        assert (trade.cause, trade.volume, trade.price) == ("delivery", 2, 75_000)

    run(tmp_path, body, before=ending(CU))
