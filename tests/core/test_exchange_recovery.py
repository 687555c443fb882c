"""The exchange and its journal as the engine uses them: notes, group commit, recovery, trades of the day."""

from __future__ import annotations

import asyncio
import os
import random
import select
from pathlib import Path
from typing import Any

import pytest

from qautlra._core import book
from qautlra._core.exchange import NOTE, Exchange
from qautlra._core.journal import Journal, JournalError, read
from tests.core.test_exchange import BUY, CLOSE, OPEN, SELL, opened, random_day

HOUR_NS = 3_600_000_000_000


def test_notes_lie_among_the_commands_and_come_back(tmp_path: Path) -> None:
    with Journal(tmp_path / "log") as journal:
        x = opened(journal)
        first = x.note("条件单".encode())
        assert first == (0, None, journal.head_lsn)
        x.insert(1, "o", 1, BUY, OPEN, 1, 5_000)
        second = x.note(b"")
        assert x.note(bytes(256 << 10))[0] == 0
        assert x.note(bytes((256 << 10) + 1)) == (1008, None, 0)
        expected = x.state_hash()
        assert journal.sync()
    again = Exchange()
    found = again.replay_all(tmp_path / "log")
    assert found.notes[:2] == [(first[2], "条件单".encode()), (second[2], b"")]
    assert len(found.notes) == 3
    assert found.records == found.last_lsn == second[2] + 1
    assert again.state_hash() == expected
    assert again.account(1).name == "acc001"
    assert again.instrument("SHFE.rb2110") == 1
    assert again.replay(NOTE, b"anything") == 0
    assert Exchange().note(b"without a journal") == (0, None, 0)


def test_recovery_in_one_call_equals_record_by_record(tmp_path: Path) -> None:
    seed = int(os.environ.get("QAUTLRA_SEED", random.SystemRandom().getrandbits(32)))
    print(f"QAUTLRA_SEED={seed}")
    with Journal(tmp_path / "log", segment_bytes=16_384) as journal:
        x = opened(journal)
        random_day(x, random.Random(seed), 1_000)
        assert journal.sync()
        assert len(journal.segments()) > 2
    one = Exchange()
    assert one.replay_all(tmp_path / "log").records == journal.head_lsn
    by_record = Exchange()
    for _, kind, payload in read(tmp_path / "log"):
        assert by_record.replay(kind, payload) == 0
    assert one.state_hash() == by_record.state_hash() == x.state_hash()
    assert [one.trade(n) for n in range(one.trades)] == [x.trade(n) for n in range(x.trades)]
    assert [one.order(n) for n in range(one.orders)] == [x.order(n) for n in range(x.orders)]
    assert one.events() == []
    tail = Exchange()
    with pytest.raises(JournalError, match="no checkpoint") as caught:  # the middle of a log is no log
        tail.replay_all(tmp_path / "log", 6)
    assert caught.value.lsn == 6


def test_an_account_comes_with_its_first_money_or_not_at_all(tmp_path: Path) -> None:
    with Journal(tmp_path / "log") as journal:
        x = Exchange(journal=journal)
        assert x.open_account("bare") == 1 and x.open_account("rich", 5e6) == 2
        assert x.open_account("rich", 7.0) == 2  # is there already
        assert journal.head_lsn == 2 and x.account(2).funds()["deposit"] == 5e6
        for wrong in (-1.0, float("nan"), float("inf"), 1e30):
            with pytest.raises(ValueError, match=r"cannot be opened|no amount"):
                x.open_account("third", wrong)
        assert journal.sync() and journal.head_lsn == 2
        path = Path(journal.segments()[0].path)
    data = path.read_bytes()
    ends = set()
    for size in range(len(data), 0, -1):  # whatever a kill leaves of the file
        path.write_bytes(data[:size])
        again = Exchange()
        try:
            again.replay_all(tmp_path / "log")
        except JournalError:
            continue
        names = {
            again.account(n).name: again.account(n).funds()["deposit"] for n in range(1, len(again.ledger))
        }
        ends.add(tuple(names.items()))
    assert ends <= {(), (("bare", 0.0),), (("bare", 0.0), ("rich", 5e6))} and len(ends) >= 2


def test_recovery_stops_where_a_segment_is_damaged(tmp_path: Path) -> None:
    with Journal(tmp_path / "log", segment_bytes=4096) as journal:
        x = opened(journal)
        for n in range(200):
            x.insert(1, f"o{n}", 1, BUY, OPEN, 1, 4_600 + n)
        assert journal.sync()
        path = Path(journal.segments()[1].path)
    data = bytearray(path.read_bytes())
    data[200] ^= 4
    path.write_bytes(data)
    again = Exchange()
    with pytest.raises(JournalError) as caught:
        again.replay_all(tmp_path / "log")
    assert caught.value.path == str(path)
    assert caught.value.lsn > 1
    assert 0 < again.orders < 200  # what lies before the damage is there


def test_trades_of_the_day_carry_the_time_they_met_at(tmp_path: Path) -> None:
    with Journal(tmp_path / "log") as journal:
        x = opened(journal)
        x.insert(1, "a", 1, BUY, OPEN, 3, 5_000, now_ns=HOUR_NS)
        x.street(1, SELL, 5_000, 1, now_ns=HOUR_NS + 7)
        x.insert(2, "b", 1, SELL, OPEN, 1, 4_999, now_ns=HOUR_NS + 9)
        x.insert(2, "c", 1, SELL, OPEN, 1, 5_100, now_ns=HOUR_NS + 10)
        x.amend(2, "c", 5_000, 1, now_ns=HOUR_NS + 11)
        trades = [event for event in x.events() if event[0] == "trade"]
        assert x.trades == len(trades) == 5
        kept = [x.trade(n) for n in range(x.trades)]
        assert [t["time_ns"] - HOUR_NS for t in kept] == [7, 9, 9, 11, 11]
        for event, t in zip(trades, kept, strict=True):
            assert event[1:] == (
                t["seq"],
                t["order"],
                *event[3:5],
                *(t[key] for key in ("match", "price", "volume", "commission", "close_profit")),
                kept.index(t),
            )
        assert [x.order(t["order"])["order_id"] for t in kept] == ["a", "b", "a", "c", "a"]
        x.set_phase(1, book.AUCTION)
        x.insert(1, "d", 1, BUY, OPEN, 1, 5_010, now_ns=HOUR_NS + 12)
        x.insert(2, "e", 1, SELL, OPEN, 1, 5_005, now_ns=HOUR_NS + 13)
        x.set_phase(1, book.CONTINUOUS, now_ns=HOUR_NS + 14)
        assert [x.trade(n)["time_ns"] - HOUR_NS for n in (5, 6)] == [14, 14]
        expected = x.state_hash()
        assert journal.sync()
        with pytest.raises(ValueError, match="no trade 7"):
            x.trade(7)
        x.end_day()
        x.settle(x.trading_day + 1)
        assert x.trades == 0
    again = Exchange()
    for _, kind, payload in list(read(tmp_path / "log"))[:-2]:
        assert again.replay(kind, payload) == 0
    assert again.state_hash() == expected


def test_a_day_of_too_many_trades_takes_no_more_orders() -> None:
    x = opened(trades_max=2)
    x.street(1, SELL, 5_000, 1)
    x.street(1, SELL, 5_001, 1)
    assert x.insert(1, "a", 1, BUY, OPEN, 2, 5_001)[0] == 0
    assert x.trades == 2
    assert x.insert(1, "b", 1, BUY, OPEN, 1, 5_000)[0] == 5001
    assert x.street(1, SELL, 5_000, 1)[0] == 5001
    x.end_day()
    x.settle(x.trading_day + 1)
    x.set_phase(1, book.CONTINUOUS)
    assert x.insert(1, "b", 1, BUY, OPEN, 1, 5_000)[0] == 0


def test_a_loop_hears_of_a_group_by_the_descriptor(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log", durability="power")
    x = opened(journal)
    x.auto_commit = False
    fd = journal.durable_fd()
    assert journal.durable_fd() == fd
    syncs = journal.stats["syncs"]

    async def turn() -> int:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        wanted = 0

        def readable() -> None:
            os.read(fd, 8)
            if wanted and journal.durable_lsn >= wanted and not done.done():
                done.set_result(journal.durable_lsn)

        loop.add_reader(fd, readable)
        for n in range(50):
            _, _, wanted = x.insert(1, f"o{n}", 1, BUY, OPEN, 1, 4_600 + n)
        x.commit()
        found: int = await asyncio.wait_for(done, 10)
        loop.remove_reader(fd)
        return found

    assert asyncio.run(turn()) == journal.head_lsn
    assert journal.stats["syncs"] - syncs < 10  # 50 orders in a group or few
    journal.close()
    with pytest.raises(JournalError, match="no descriptor"):
        journal.durable_fd()


def test_the_descriptor_tells_of_what_was_durable_before(tmp_path: Path) -> None:
    with Journal(tmp_path / "log") as journal:
        journal.append(1, b"before")
        journal.sync()
        assert select.select([journal.durable_fd()], [], [], 5)[0]


def test_limits_change_by_name_and_the_gate_can_be_asked() -> None:
    x = opened(active_max=2)
    assert [x.insert(1, f"o{n}", 1, BUY, OPEN, 1, 4_600)[0] for n in range(3)] == [0, 0, 3008]
    assert x.gate.limits(1)["active_max"] == 2
    assert x.gate.level(1) == "low"
    x.gate.set_limits("paper", active_max=5)
    assert x.insert(1, "again", 1, BUY, OPEN, 1, 4_600)[0] == 0
    gate = x.gate
    del x
    assert gate.alerts(1) == []  # the core lives as long as its gate
    with pytest.raises(ValueError, match="no risk limit"):
        Exchange(actve_max=2)


# What this exchange does not do, said clearly


@pytest.mark.parametrize("time", [book.GTD, book.GTC])
def test_no_order_outlives_its_day(time: int) -> None:
    """As China's exchanges (contract 5.2): refused, whatever an instrument is listed with."""
    x = Exchange()
    x.list("TEST.any", 1, 100, tick=1, kinds=book.EVERY_KIND)
    x.open_account("a")
    x.settle(20210802)
    x.move_money(1, 1e6)
    x.set_phase(0, book.CONTINUOUS)
    before = x.account(1).funds()
    code, number, _ = x.insert(1, "o", 0, BUY, OPEN, 1, 50, time=time, gtd_day=20210901)
    assert code == 4001
    assert number is not None
    assert x.order(number)["alive"] is False
    assert x.account(1).funds() == before
    assert x.live_orders == 0


@pytest.mark.parametrize("price", [0, -1, -50])
def test_prices_below_zero_are_no_prices(price: float) -> None:
    """A band may reach below zero, an account holds nothing there: the gate (check 6) refuses."""
    x = Exchange()
    x.list("TEST.spread", -100, 100, tick=1, multiple=10, margin=(0.1, 0))
    x.open_account("a")
    x.settle(20210802)
    x.move_money(1, 1e6)
    x.set_phase(0, book.CONTINUOUS)
    assert x.insert(1, "o", 0, BUY, OPEN, 1, price)[0] == 3003
    assert x.street(0, SELL, price, 1) == (3003, None, 0)
    assert x.insert(1, "p", 0, BUY, OPEN, 1, 1)[0] == 0
    assert x.amend(1, "p", price, 1)[0] == 3003
    assert x.mark(0, price)[0] == (0 if price == 0 else 3003)
    assert x.insert(1, "s", 0, SELL, CLOSE, 1, 5)[0] == 3005
    assert x.broken == 0


@pytest.mark.parametrize(
    ("symbol", "product", "expected"),
    [
        ("SHFE.rb2110", book.FUTURE, {"buy_min": 1, "buy_step": 1}),
        ("GFEX.si2412", book.FUTURE, {"buy_min": 1, "buy_step": 1}),
        (
            "SSE.600000",
            book.STOCK,
            {"buy_min": 100, "buy_step": 100, "volume_max": 1_000_000},
        ),
        ("SSE.688111", book.STOCK, {"buy_min": 200, "buy_step": 1, "sell_min": 200, "volume_max": 100_000}),
        ("SZSE.000001", book.STOCK, {"buy_min": 100, "buy_step": 100}),
        ("BSE.430047", book.STOCK, {"buy_min": 100, "buy_step": 1}),
    ],
)
def test_rules_by_exchange_and_board(symbol: str, product: int, expected: dict[str, Any]) -> None:
    exchange, _, code = symbol.partition(".")
    rules = book.rules_for(exchange, code, product)
    assert rules == rules | expected
    assert rules["kinds"] == book.kinds_of(exchange, product)
    x = Exchange()
    x.list(symbol, 10, 20, tick=0.01, asset="stock" if product == book.STOCK else "future", **rules)
    x.open_account("a")
    x.settle(20210802)
    x.move_money(1, 1e8)
    x.set_phase(0, book.CONTINUOUS)
    least, step = rules["buy_min"], rules["buy_step"]
    assert x.insert(1, "least", 0, BUY, OPEN, least, 10)[0] == 0
    assert x.insert(1, "next", 0, BUY, OPEN, least + step, 10)[0] == 0
    if least > 1:
        assert x.insert(1, "less", 0, BUY, OPEN, least - 1, 10)[0] == 1003
        assert x.insert(1, "odd", 0, BUY, OPEN, least + 1, 10)[0] == (0 if step == 1 else 1003)
    assert x.insert(1, "gtc", 0, BUY, OPEN, least, 10, time=book.GTC)[0] == 4001
