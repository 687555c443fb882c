"""The exchange: contract section 11 through one call per command; the same state again from its journal."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from qautlra._core import book
from qautlra._core.exchange import Exchange
from qautlra._core.journal import Journal, read

BUY, SELL = 0, 1
OPEN, CLOSE, CLOSETODAY = 0, 1, 2
DAY = 20210802

CU: dict[str, Any] = {
    "tick": 10,
    "multiple": 5,
    "margin": (0.1, 0),
    "open": (0.00005, 0),
    "close": (0.00005, 0),
    "close_today": (0, 0),
}
RB: dict[str, Any] = {
    "tick": 1,
    "multiple": 10,
    "margin": (0.09, 0),
    "open": (0.0001, 0),
    "close": (0.0001, 0),
    "close_today": (0.0001, 0),
}


def opened(journal: Journal | None = None, cash: float = 1_000_000, **options: Any) -> Exchange:
    """Continuous trading of cu2109 (0) and rb2110 (1) with accounts acc001 (1) and acc002 (2)."""
    x = Exchange(journal, **options)
    assert x.list("SHFE.cu2109", 60_000, 90_000, kinds=book.kinds_of("SHFE", book.FUTURE), **CU) == 0
    assert x.list("SHFE.rb2110", 4_500, 5_500, kinds=book.kinds_of("SHFE", book.FUTURE), **RB) == 1
    assert x.open_account("acc001") == 1
    assert x.open_account("acc002") == 2
    assert x.settle(DAY)[0] == 0
    for account in (1, 2):
        assert x.move_money(account, cash)[0] == 0
    for instrument in (0, 1):
        assert x.set_phase(instrument, book.CONTINUOUS)[0] == 0
    x.events()
    return x


def funds(x: Exchange, account: int = 1, **expected: float) -> None:
    found = x.account(account).funds()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


def test_a_price_is_checked_against_tick_and_limits() -> None:
    x = opened()
    assert x.set_band(0, 7_000, 8_000)[0] == 0
    found = [
        x.check_price(0, price)
        for price in (70_000, 80_000, 80_010, 69_990, 75_005, 75_000.0001, 75_000.0000001)
    ]
    assert found == [0, 0, 4002, 4003, 3004, 3004, 0]
    with pytest.raises(ValueError, match="no instrument"):
        x.check_price(99, 75_000)


def test_a_the_life_of_a_position() -> None:
    x = opened()
    assert x.insert(1, "o1", 0, BUY, OPEN, 2, 75_000)[:2] == (0, 0)  # A0
    assert x.order(0) | {"left": 2, "alive": True} == x.order(0)
    funds(x, frozen_margin=75_000, frozen_commission=37.5, available=924_962.5, balance=1_000_000)
    x.street(0, SELL, 75_000, 2)  # A1
    x.mark(0, 75_000)
    funds(
        x,
        margin=75_000,
        commission=37.5,
        balance=999_962.5,
        available=924_962.5,
        risk_ratio=0.0750028126054727,
    )
    assert x.order(0) | {"left": 0, "alive": False} == x.order(0)
    assert [event[0] for event in x.events()] == ["order", "order", "trade"]
    x.mark(0, 75_100)  # A1b
    funds(x, position_profit=1_000, float_profit=1_000, balance=1_000_962.5, available=925_962.5)
    before = x.account(1).funds()
    code, number, _ = x.insert(1, "a2x", 0, SELL, CLOSE, 1, 75_200)  # A2x
    assert code == 3007
    assert number is not None
    assert x.order(number) | {"left": 1, "alive": False, "code": 3007} == x.order(number)
    assert x.account(1).funds() == before
    x.street(0, BUY, 75_200, 1)  # A2
    assert x.insert(1, "a2", 0, SELL, CLOSETODAY, 1, 75_200)[0] == 0
    x.mark(0, 75_200)
    funds(
        x,
        close_profit=1_000,
        commission=37.5,
        margin=37_500,
        position_profit=1_000,
        balance=1_001_962.5,
        available=964_462.5,
        risk_ratio=0.0374265503948501,
    )
    x.end_day()  # A3
    x.set_settlement(0, 75_100)
    assert x.settle(DAY + 1)[0] == 0
    assert x.trading_day == DAY + 1
    funds(
        x,
        pre_balance=1_001_462.5,
        close_profit=0,
        commission=0,
        position_profit=0,
        float_profit=500,
        margin=37_550,
        available=963_912.5,
        risk_ratio=0.0374951633236392,
    )
    with pytest.raises(ValueError, match="no order 0 today"):
        x.order(0)
    x.mark(0, 74_900)  # A4
    funds(x, position_profit=-1_000, float_profit=-500, balance=1_000_462.5, available=962_912.5)
    x.set_phase(0, book.CONTINUOUS)
    assert (
        x.insert(1, "o1", 0, SELL, CLOSETODAY, 1, 74_800)[0] == 3006
    )  # A5x, and yesterday's id is free again
    x.street(0, BUY, 74_800, 1)  # A5
    assert x.insert(1, "a5", 0, SELL, CLOSE, 1, 74_800)[0] == 0
    funds(
        x,
        close_profit=-1_500,
        commission=18.7,
        margin=0,
        balance=999_943.8,
        available=999_943.8,
        risk_ratio=0,
    )
    assert x.broken == 0


def test_c_partial_fill_better_price_cancel() -> None:
    x = opened()
    x.street(1, BUY, 5_001, 3)
    x.street(1, BUY, 5_000, 4)
    assert x.insert(1, "c", 1, SELL, OPEN, 10, 5_000)[0] == 0
    trades = [event for event in x.events() if event[0] == "trade"]
    assert [(trade[6], trade[7]) for trade in trades] == [(5_001, 3), (5_000, 4)]
    x.mark(1, 5_001)
    funds(x, frozen_margin=13_500, margin=31_502.7, commission=35.003, position_profit=-40)
    position = x.account(1).position(1)
    assert position is not None
    assert position["open_price_short"] == pytest.approx(5000.428571428571)
    assert x.cancel(1, "c")[0] == 0
    assert x.order(0) | {"left": 3, "alive": False, "reason": 1} == x.order(0)
    funds(x, frozen_margin=0, frozen_commission=0, balance=999_924.997, available=968_422.297)
    x.street(1, SELL, 4_990, 7)
    x.insert(1, "close", 1, BUY, CLOSETODAY, 7, 4_990)
    funds(x, close_profit=730, commission=69.933, balance=1_000_660.067)


def test_two_users_trade_with_each_other() -> None:
    x = opened()
    x.insert(1, "sell", 1, SELL, OPEN, 3, 5_000)
    x.insert(2, "buy", 1, BUY, OPEN, 5, 5_010)
    events = x.events()
    assert [(event[0], event[3]) for event in events] == [
        ("order", 1),
        ("order", 2),
        ("order", 2),
        ("trade", 2),
        ("order", 1),
        ("trade", 1),
    ]
    assert {event[5] for event in events if event[0] == "trade"} == {1}  # one match, told twice
    for account in (1, 2):
        assert [event[1] for event in events if event[3] == account] == [1, 2, 3]
    assert x.depth(1) == ([(5_010, 2)], [])


def test_the_same_id_again_is_the_same_order() -> None:
    x = opened()
    assert x.insert(1, "x", 1, BUY, OPEN, 1, 5_000)[:2] == (0, 0)
    state = x.state_hash()
    assert x.insert(1, "x", 1, BUY, OPEN, 7, 4_900) == (3002, 0, 0)
    assert x.state_hash() == state
    assert x.insert(2, "x", 1, BUY, OPEN, 1, 5_000)[:2] == (0, 1)  # another account's id
    assert x.insert(1, "refused", 1, BUY, OPEN, 1, 9_999)[:2] == (4002, 2)
    assert x.insert(1, "refused", 1, BUY, OPEN, 1, 5_000)[:2] == (3002, 2)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"account": 0}, 1006),
        ({"account": 9}, 1006),
        ({"instrument": 9}, 1007),
        ({"client_id": ""}, 1008),
        ({"client_id": "x" * 257}, 1008),
    ],
)
def test_what_leaves_no_trace(change: dict[str, Any], code: int) -> None:
    x = opened()
    state = x.state_hash()
    order = {
        "account": 1,
        "client_id": "o",
        "instrument": 1,
        "side": BUY,
        "offset": OPEN,
        "volume": 1,
        "price": 5_000,
    }
    assert x.insert(**(order | change))[0] == code
    assert x.state_hash() == state
    assert x.events() == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"volume": 0}, 1003),
        ({"volume": 1.5}, 1003),
        ({"volume": 1 << 40}, 1003),
        ({"price": None}, 3003),
        ({"price": float("nan")}, 3003),
        ({"price": 5_000.5}, 3004),
        ({"price": 5_501}, 4002),
        ({"price": 4_499}, 4003),
        ({"price": 5_000, "volume": 300}, 1001),
        ({"offset": CLOSE}, 3005),
        ({"price_type": book.ANY_PRICE, "time": book.IOC, "price": None}, 4001),
        ({"time": book.GTC}, 4001),
        ({"time": 77}, 1008),
        ({"reduce_only": True}, 3013),
    ],
)
def test_what_is_refused_ends_as_an_order(change: dict[str, Any], code: int) -> None:
    x = opened()
    before = x.account(1).funds()
    order = {
        "account": 1,
        "client_id": "o",
        "instrument": 1,
        "side": BUY,
        "offset": OPEN,
        "volume": 1,
        "price": 5_000,
    }
    assert x.insert(**(order | change))[:2] == (code, 0)
    assert x.order(0)["code"] == code
    assert not x.order(0)["alive"]
    assert x.account(1).funds() == before
    assert x.live_orders == 0
    assert x.insert(1, "next", 1, BUY, OPEN, 1, 5_000)[0] == 0


def test_self_trade_and_closed_hours() -> None:
    x = opened()
    x.insert(1, "a", 1, BUY, OPEN, 1, 5_000)
    assert x.insert(1, "b", 1, SELL, OPEN, 1, 5_000)[0] == 1005
    x.set_phase(1, book.BREAK)
    assert x.insert(1, "c", 1, BUY, OPEN, 1, 5_000)[0] == 4004
    x.set_phase(1, book.CLOSED)
    assert x.cancel(1, "a")[0] == 4005
    assert x.cancel(1, "a", force=True)[0] == 0
    assert x.cancel(1, "a")[0] == 3001
    assert x.cancel(1, "never")[0] == 3001
    funds(x, available=1_000_000)


def test_amending() -> None:
    x = opened()
    x.insert(1, "a", 1, BUY, OPEN, 4, 5_000)
    x.street(1, SELL, 5_000, 1)
    margin = 5_000 * 10 * 0.09
    assert x.amend(1, "a", 5_000, 3)[0] == 0  # one of three has traded
    assert x.order(0) | {"volume": 3, "left": 2, "price": 5_000} == x.order(0)
    funds(x, frozen_margin=2 * margin, margin=margin)
    assert x.amend(1, "a", 4_990, 5)[0] == 0
    assert x.order(0) | {"volume": 5, "left": 4, "price": 4_990} == x.order(0)
    funds(x, frozen_margin=4 * 4_990 * 10 * 0.09)
    before = x.state_hash(), x.account(1).funds()
    assert x.amend(1, "a", 4_990, 1)[0] == 1003
    assert x.amend(1, "a", 4_990.5, 5)[0] == 3004
    assert x.amend(1, "a", 6_000, 5)[0] == 4002
    assert x.amend(1, "a", 4_990, 5_000)[0] == 1001
    assert x.amend(1, "b", 4_990, 5)[0] == 3001
    assert (x.state_hash(), x.account(1).funds()) == before
    x.set_state(1)
    assert x.amend(1, "a", 4_991, 5)[0] == 3017
    assert x.amend(1, "a", 4_990, 4)[0] == 0  # less is always possible
    x.set_state(0)
    x.street(1, SELL, 4_995, 2)
    assert x.amend(1, "a", 5_100, 4)[0] == 0  # trades at once
    assert x.order(0) | {"left": 1} == x.order(0)
    x.cancel(1, "a")
    funds(x, frozen_margin=0, frozen_commission=0)
    assert x.broken == 0


def test_cancelling_everything() -> None:
    x = opened()
    for n in range(5):
        x.insert(1 + n % 2, f"o{n}", n % 2, BUY, OPEN, 1, (70_000, 4_900)[n % 2])
    x.street(1, SELL, 5_000, 1)
    assert x.cancel_all(2)[0] == 0
    assert x.live_orders == 4
    x.set_state(2)
    assert x.insert(1, "no", 1, BUY, OPEN, 1, 5_000)[0] == 3018
    x.cancel_all()
    assert x.live_orders == 1  # the street's
    funds(x, 1, available=1_000_000)
    funds(x, 2, available=1_000_000)


def test_shares_are_sold_tomorrow_and_odd_lots_whole() -> None:
    x = opened()
    lots = {"buy_min": 100, "buy_step": 100, "sell_min": 100, "sell_step": 100}
    costs = {"margin": (1.0, 0), "open": (0.00025, 0), "fee_min": 5, "sell_tax": 0.001}
    share = x.list("SSE.600000", 9, 11, tick=0.01, multiple=1, asset="stock", **costs, **lots)
    x.set_phase(share, book.CONTINUOUS)
    assert x.insert(1, "odd", share, BUY, OPEN, 150, 10)[0] == 1003
    x.street(share, SELL, 10, 50)
    assert x.insert(1, "buy", share, BUY, OPEN, 200, 10)[0] == 0
    assert x.cancel(1, "buy")[0] == 0
    assert x.insert(1, "today", share, SELL, CLOSE, 50, 10)[0] == 3007  # T+1
    x.end_day()
    x.set_settlement(share, 10)
    assert x.settle(DAY + 1)[0] == 0
    x.set_phase(share, book.CONTINUOUS)
    assert x.insert(1, "part", share, SELL, CLOSE, 30, 10)[0] == 1003
    assert x.insert(1, "whole", share, SELL, CLOSE, 50, 10)[0] == 0
    assert x.broken == 0


def test_an_auction() -> None:
    x = opened()
    x.set_phase(1, book.CLOSED)
    x.set_phase(1, book.AUCTION)
    x.insert(1, "b", 1, BUY, OPEN, 3, 5_010)
    x.insert(2, "s", 1, SELL, OPEN, 2, 4_990)
    assert [event for event in x.events() if event[0] == "trade"] == []
    x.set_phase(1, book.CONTINUOUS)
    trades = [event for event in x.events() if event[0] == "trade"]
    assert [(trade[3], trade[6], trade[7]) for trade in trades] == [(1, 5_010, 2), (2, 5_010, 2)]
    assert x.broken == 0


def test_bounds_are_refusals() -> None:
    x = opened(orders_max=3)
    for n in range(3):
        assert x.insert(1, f"o{n}", 1, BUY, OPEN, 1, 5_000)[0] == 0
    assert x.insert(1, "o3", 1, BUY, OPEN, 1, 5_000) == (5001, None, 0)
    assert x.insert(1, "o2", 1, BUY, OPEN, 1, 5_000)[:2] == (3002, 2)
    x.end_day()
    x.settle(DAY + 1)
    x.set_phase(1, book.CONTINUOUS)
    assert x.insert(1, "o3", 1, BUY, OPEN, 1, 5_000)[0] == 0
    with pytest.raises(ValueError, match="cannot be opened"):
        x.open_account("x" * 257)
    small = Exchange(accounts_max=2)
    small.open_account("one")
    with pytest.raises(ValueError, match="cannot be opened"):
        small.open_account("two")


def test_a_day_begins_after_the_last_and_without_orders() -> None:
    x = opened()
    x.insert(1, "o", 1, BUY, OPEN, 1, 5_000)
    assert x.settle(DAY + 1)[0] == 2005
    x.end_day()
    assert x.settle(DAY)[0] == 1008
    assert x.settle(DAY + 1)[0] == 0


def test_nothing_happens_without_a_record(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log")
    x = opened(journal)
    before = x.state_hash()
    journal.close()
    assert x.insert(1, "o", 1, BUY, OPEN, 1, 5_000) == (5004, None, 0)
    assert x.move_money(1, 5)[0] == 5004
    assert x.street(1, BUY, 5_000, 1)[0] == 5004
    assert x.set_phase(1, book.BREAK)[0] == 5004
    assert (x.state_hash(), x.events()) == (before, [])


# Recovery


def replayed(records: list[tuple[int, bytes]]) -> Exchange:
    x = Exchange()
    for kind, payload in records:
        assert x.replay(kind, payload) == 0, (kind, payload)
    return x


def random_day(x: Exchange, rng: random.Random, steps: int) -> None:
    """Orders of all sorts from two users and the street, marks, phases, halts and days."""
    ids = [f"{n}" for n in range(40)]
    for step in range(steps):
        account, instrument = rng.randint(1, 2), rng.randint(0, 1)
        middle, tick = ((75_000, 10), (5_000, 1))[instrument]
        price = middle + tick * round(rng.gauss(0, 4))
        dice = rng.random()
        name = f"{x.trading_day}-{step}" if rng.random() < 0.8 else rng.choice(ids)
        if dice < 0.5:
            kind = (book.IOC, rng.choice([1, 3])) if rng.random() < 0.3 else (rng.choice([2, 3, 5, 6]), 1)
            x.insert(
                *(account, name, instrument, rng.randrange(2), rng.randrange(3), rng.randint(0, 6), price),
                time=kind[0],
                condition=kind[1],
                now_ns=step * 1_000_000_000,
            )
        elif dice < 0.65:
            side = rng.randrange(2)
            x.street(instrument, side, price, rng.randint(1, 8), time=rng.choice([book.GFD, book.IOC]))
        elif dice < 0.75:
            x.cancel(account, f"{x.trading_day}-{step - rng.randint(1, 40)}", now_ns=step * 1_000_000_000)
        elif dice < 0.85:
            back = f"{x.trading_day}-{step - rng.randint(1, 40)}"
            x.amend(account, back, price, rng.randint(0, 9), now_ns=step * 1_000_000_000)
        elif dice < 0.95:
            x.mark(instrument, price, step * 1_000_000_000)
        elif dice < 0.97:
            x.set_phase(instrument, rng.choice([book.AUCTION, book.BREAK, book.CONTINUOUS, book.CONTINUOUS]))
        elif dice < 0.98:
            x.move_money(account, rng.choice([-50_000, 1_000, 50_000]))
        elif dice < 0.985:
            x.set_state(rng.randrange(3), rng.choice([None, 1, 2]))
        elif dice < 0.99:
            x.cancel_all(rng.choice([None, 0, 1, 2]))
        else:
            x.set_state(0)
            x.end_day()
            for number, settlement in enumerate((75_000, 5_000)):
                x.set_settlement(number, settlement)
            assert x.settle(x.trading_day + 1)[0] == 0
            for number in (0, 1):
                x.set_phase(number, book.CONTINUOUS)
        x.events()


@pytest.mark.parametrize("steps", [1_500, pytest.param(50_000, marks=pytest.mark.slow)])
def test_the_journal_gives_the_state_back(tmp_path: Path, steps: int) -> None:
    seed = int(os.environ.get("QAUTLRA_SEED", random.SystemRandom().getrandbits(32)))
    print(f"QAUTLRA_SEED={seed}")
    with Journal(tmp_path / "log") as journal:
        x = opened(journal)
        random_day(x, random.Random(seed), steps)
        assert journal.sync()
        assert x.broken == 0
        expected = x.state_hash()
    records = [(kind, bytes(payload)) for _, kind, payload in read(tmp_path / "log")]
    again = replayed(records)
    assert again.state_hash() == expected
    for account in (1, 2):
        assert again.account(account).funds() == x.account(account).funds()
        assert again.account(account).positions() == x.account(account).positions()
    assert again.broken == 0


def test_a_limit_changed_since_judges_no_old_order(tmp_path: Path) -> None:
    with Journal(tmp_path / "log") as journal:
        x = opened(journal, cash=1e9)
        assert (
            x.insert(1, "big", 1, BUY, OPEN, 500, 5_000)[0] == 0
        )  # 25 million: above the live profile's limit
        journal.sync()
    again = Exchange(profile="live")
    for _, kind, payload in read(tmp_path / "log"):
        assert again.replay(kind, bytes(payload)) == 0
    assert again.state_hash() == x.state_hash()
    assert again.insert(1, "bigger", 1, BUY, OPEN, 500, 5_000)[0] == 1010


def test_records_that_do_not_fit_are_said(tmp_path: Path) -> None:
    with Journal(tmp_path / "log") as journal:
        x = opened(journal)
        x.insert(1, "o", 1, BUY, OPEN, 1, 5_000)
        x.cancel(1, "o")
        journal.sync()
    records = [(kind, bytes(payload)) for _, kind, payload in read(tmp_path / "log")]
    whole = replayed(records)
    assert whole.replay(*records[-1]) == 5005  # the cancel again: nothing to cancel
    assert whole.replay(*records[-2]) == 5005  # the order again
    assert whole.replay(1, b"") == 5005
    assert whole.replay(200, b"") == 5005
    for kind, payload in records:
        if payload:
            assert whole.replay(kind, payload[:-1]) == 5005
        assert whole.replay(kind, payload + b"\0") == 5005
    rng = random.Random(7)
    for _ in range(3_000):  # damage that a checksum would have caught does no harm either
        kind, payload = rng.choice(records)
        mangled = bytearray(payload)
        for _ in range(rng.randint(1, 3)):
            if mangled:
                mangled[rng.randrange(len(mangled))] = rng.randrange(256)
        whole.replay(kind, bytes(mangled))


@pytest.mark.parametrize("account_only", [False, True])
@pytest.mark.parametrize(
    ("limit", "refused_at", "code"),
    [
        ("contract_orders", 2, 3010),
        ("contract_opens", 2, 3010),
        ("contract_open_volume", 5, 3010),
        ("contract_trades", 1, 3012),
        ("cancels_block", 1, 3011),
    ],
)
def test_limits_within_a_contract_that_begin_in_mid_day_know_the_day_so_far(
    limit: str, refused_at: int, code: int, account_only: bool
) -> None:
    for value, expected in ((refused_at, code), (refused_at + 1, 0)):
        x = opened()
        assert x.insert(1, "resting", 0, BUY, OPEN, 2, 74_000)[0] == 0
        x.street(0, SELL, 75_000, 3)
        assert x.insert(1, "filled", 0, BUY, OPEN, 3, 75_000)[0] == 0
        assert x.insert(1, "refused", 0, BUY, OPEN, 1, 10)[0] == 4003
        assert x.insert(2, "another's", 0, BUY, OPEN, 1, 74_000)[0] == 0
        assert x.cancel(1, "resting")[0] == 0
        if account_only:
            x.gate.set_account_limits(1, "paper", **{limit: value})
        else:
            x.gate.set_limits("paper", **{limit: value})
        x.mark(0, 75_000)
        assert x.insert(1, "next", 0, BUY, OPEN, 1, 74_000)[0] == expected
        if expected == 0:  # and go on counting: of orders the next one, of lots and cancels those to come
            assert x.cancel(1, "next")[0] == 0
            assert x.insert(1, "last", 0, BUY, OPEN, 1, 74_000)[0] == (
                0 if limit == "contract_trades" else code
            )


def test_cancels_within_a_contract_are_counted_from_the_days_orders() -> None:
    x = opened()
    for name in ("a", "b"):
        assert x.insert(1, name, 0, BUY, OPEN, 1, 74_000)[0] == 0
    assert x.cancel(1, "a")[0] == 0
    x.gate.set_limits("paper", contract_cancels=1)
    assert x.cancel(1, "b")[0] == 3011
