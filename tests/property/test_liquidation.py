"""Forced liquidation: whatever is held, the plan closes it by the rules, on the tick, inside the limits."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal as D
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from qautlra._core import book
from qautlra._core.account import BUY, CLOSE, CLOSETODAY, OPEN, SELL, Ledger
from qautlra._core.exchange import Exchange

SYMBOLS = ("SHFE.cu2109", "INE.sc2109", "DCE.m2109", "CFFEX.IF2109", "SSE.600000")
TICKS = {0: D(10), 1: D("0.1"), 2: D(1), 3: D("0.2"), 4: D("0.01")}
MIDDLES = {0: D(75_000), 1: D(450), 2: D(3_600), 3: D(4_900), 4: D("10.5")}
RULES = ["split", "split", "today_first", "his_first", "his_only"]

lots = st.integers(0, 12)
legs = st.tuples(
    lots, lots, st.integers(0, 100), st.integers(0, 100)
)  # today, old, share of each that is frozen
holdings = st.fixed_dictionaries({n: st.tuples(legs, legs) for n in range(5)})
quotes = st.fixed_dictionaries(
    {
        n: st.fixed_dictionaries(
            {
                "bid": st.none() | st.integers(-60, 60),
                "ask": st.none() | st.integers(-60, 60),
                "settlement": st.none() | st.integers(-60, 60),
                "band": st.none() | st.integers(0, 40),
                "tradable": st.booleans() | st.just(True),
            }
        )
        for n in range(5)
    }
)


def opened() -> Ledger:
    ledger = Ledger()
    for n, symbol in enumerate(SYMBOLS):
        stock = n == 4
        ledger.set_terms(
            n,
            symbol,
            multiple=1 if stock else 10,
            tick=float(TICKS[n]),
            margin=(1.0 if stock else 0.1, 0),
            asset="stock" if stock else "future",
            close_rule=RULES[n],  # type: ignore[arg-type]
        )
    return ledger


def at(n: int, ticks: int) -> float:
    return float(MIDDLES[n] + TICKS[n] * ticks)


@given(holdings=holdings, quotes=quotes, volume_max=st.integers(0, 7), slip=st.floats(0, 0.2))
def test_a_plan_closes_what_is_free_and_can_be_entered(
    holdings: dict[int, Any], quotes: dict[int, Any], volume_max: int, slip: float
) -> None:
    ledger = opened()
    account = ledger.open("a")
    account.deposit(1e9)
    free: dict[tuple[int, int], dict[int, int]] = defaultdict(
        dict
    )  # (instrument, side that closes): by offset
    for n, sides in holdings.items():
        for side, (today, his, cut_today, cut_his) in zip((BUY, SELL), sides, strict=True):
            if n == 4 and side == SELL:
                continue  # no short shares
            price = at(n, 0)
            multiple = 1 if n == 4 else 10
            assert (
                account.set_leg(
                    n,
                    side,
                    today=today,
                    his=his,
                    cost_today=today * price * multiple,
                    cost_his=his * price * multiple,
                    last=price,
                )
                == 0
            )
            closing = SELL if side == BUY else BUY
            frozen = {"today": today * cut_today // 100, "his": his * cut_his // 100}
            if RULES[n] == "split":
                for offset, name in ((CLOSETODAY, "today"), (CLOSE, "his")):
                    if frozen[name]:
                        assert account.freeze(n, closing, offset, frozen[name], price)[0] == 0
                free[n, closing] = {CLOSETODAY: today - frozen["today"], CLOSE: his - frozen["his"]}
            else:
                held = his if RULES[n] == "his_only" else today + his
                kept = frozen["his"] if RULES[n] == "his_only" else frozen["today"] + frozen["his"]
                if kept:
                    assert account.freeze(n, closing, CLOSE, kept, price)[0] == 0
                free[n, closing] = {CLOSE: held - kept}
    for n, quote in quotes.items():
        given_: dict[str, Any] = {
            key: at(n, quote[key]) for key in ("bid", "ask", "settlement") if quote[key] is not None
        }
        if quote["band"] is not None:
            given_ |= {"lower": at(n, -quote["band"]), "upper": at(n, quote["band"])}
        ledger.set_quote(n, tradable=quote["tradable"], **given_)
    margins = {p["instrument"]: p for p in account.positions()}
    plan = account.liquidation(slip, volume_max)

    planned: dict[tuple[int, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    seen: list[float] = []
    for n, side, offset, volume, price in plan:
        quote = quotes[n]
        assert quote["tradable"]
        assert 1 <= volume <= (volume_max or volume)
        assert D(str(price)) % TICKS[n] == 0
        assert price > 0
        if quote["band"] is not None:
            assert at(n, -quote["band"]) <= price <= at(n, quote["band"])
        else:
            best = quote["bid" if side == SELL else "ask"]
            if best is not None:  # never on the wrong side of the market it wants to meet
                assert price <= at(n, best) + 1e-9 if side == SELL else price >= at(n, best) - 1e-9
        planned[n, side][offset] += volume
        seen.append(margins[n]["margin_long" if side == SELL else "margin_short"])
    assert seen == sorted(seen, reverse=True)  # the dearest first
    for (n, side), offsets in free.items():
        for offset, volume in offsets.items():
            assert planned[n, side].get(offset, 0) == (volume if quotes[n]["tradable"] else 0), (
                n,
                side,
                offset,
            )

    for n, side, offset, volume, price in plan:  # the account takes every one of them
        code, hold = account.freeze(n, side, offset, volume, price)
        assert code == 0
        assert hold is not None
        assert account.fill(hold, volume, price)[0] == 0
    assert account.liquidation(slip, volume_max) == []


def test_an_account_under_water_is_closed_by_the_exchange() -> None:
    """Contract 5.11 with the orders entered by force: past the halted gate, today's and old lots apart."""
    x = Exchange()
    terms: dict[str, Any] = {"tick": 10, "multiple": 5, "margin": (0.1, 0)}
    x.list("SHFE.cu2109", 60_000, 90_000, kinds=book.kinds_of("SHFE", book.FUTURE), **terms)
    x.open_account("a")
    x.settle(20210802)
    x.move_money(1, 80_000)
    x.set_phase(0, book.CONTINUOUS)
    x.street(0, SELL, 75_000, 1)
    assert x.insert(1, "old", 0, BUY, OPEN, 1, 75_000)[0] == 0
    x.end_day()
    x.set_settlement(0, 75_000)
    x.settle(20210803)
    x.set_phase(0, book.CONTINUOUS)
    x.street(0, SELL, 75_000, 1)
    x.gate.set_limits("paper", concentration_ratio=1)
    assert x.insert(1, "new", 0, BUY, OPEN, 1, 75_000)[0] == 0
    x.street(0, BUY, 62_000, 1)
    assert x.insert(1, "working", 0, SELL, CLOSE, 1, 75_500)[0] == 0
    x.mark(0, 62_500)
    account = x.account(1)
    assert account.funds()["risk_ratio"] >= 1
    x.set_state(2, 1)
    assert x.insert(1, "late", 0, SELL, CLOSE, 1, 62_000)[0] == 3018
    x.cancel_all(1)
    x.ledger.set_quote(0, bid=62_000)
    plan = account.liquidation()
    assert plan == [(0, SELL, CLOSETODAY, 1, 61_690.0), (0, SELL, CLOSE, 1, 61_690.0)]
    x.street(0, BUY, 61_800, 1)
    for place, (instrument, side, offset, volume, price) in enumerate(plan):
        assert x.insert(1, f"f{place}", instrument, side, offset, volume, price, force=True)[0] == 0
    assert [x.order(n)["left"] for n in x.orders_of(1)[-2:]] == [0, 0]
    assert account.funds()["margin"] == 0
    assert account.liquidation() == []
