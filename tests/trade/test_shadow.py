"""The shadow of an account at a broker: the built-in exchange plays the broker, over two trading days."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from qautlra.app.brokers import TapeMarket
from qautlra.model.order import Change, Offset, Order, Trade
from qautlra.trade.brokers.shadow import CENT, TICKS, WAITING_COUNT, Shadow
from tests.trade.rig import ACCOUNT, Rig, run

COPPER, BEAN, INDEX = "SHFE.cu2109", "DCE.m2109", "CFFEX.IF2109"
SETTLED: dict[str, float] = {}
PRICES = {COPPER: (75000.0, 10.0), BEAN: (3500.0, 1.0), INDEX: (5000.0, 0.2)}


def shadow_of(rig: Rig) -> Shadow:
    shadow = Shadow(TapeMarket(rig.instruments, rig.tape))
    shadow.rates.update({symbol: {} for symbol in PRICES})
    return shadow


def follow(shadow: Shadow, rig: Rig) -> None:
    """Have the shadow hear of orders and trades as the private flow of a front tells them."""

    def tell(_change: Change, told: list[Order | Trade]) -> None:
        for event in told:
            if isinstance(event, Order) and not event.code:
                shadow.note(msgspec.structs.replace(event, is_alive=True, volume_left=event.volume))
            shadow.note(event)

    def read(change: Change) -> list[Order | Trade]:
        trade = rig.trade
        return [trade.order(n) if n >= 0 else trade.trade(-1 - n) for n in change.events]

    rig.trade.subscribe(ACCOUNT, tell, read)


def compare(shadow: Shadow, rig: Rig, **wrong: float) -> list[Any]:
    """Set the shadow beside the account as the broker shows it, some figures falsified."""
    for one, fee, profit in shadow.book():
        assert (fee, profit) == (pytest.approx(one.commission), pytest.approx(one.close_profit))
    return shadow.compare(rig.trade.positions(ACCOUNT), rig.trade.funds(ACCOUNT) | wrong)


def quote(rig: Rig, symbol: str, last: float) -> None:
    step = PRICES[symbol][1]
    book = {"bid_price1": last - step, "ask_price1": last + step, "bid_volume1": 99, "ask_volume1": 99}
    base = PRICES[symbol][0]
    limits = {
        "upper_limit": base * 1.1,
        "lower_limit": base * 0.9,
        "pre_settlement": SETTLED.get(symbol, base),
    }
    rig.tick(symbol, last, **book, **limits)


async def trade_a_day(rig: Rig, random: Random, tag: str, steps: int) -> None:
    for step in range(steps):
        symbol = random.choice(list(PRICES))
        base, tick = PRICES[symbol]
        last = round(base + random.randint(-40, 40) * tick, 1)
        quote(rig, symbol, last)
        side = random.choice(("BUY", "SELL"))
        offset = random.choice(("OPEN", "OPEN", "CLOSE", "CLOSETODAY"))
        price = round(last + random.choice((-6, 1)) * tick * (1 if side == "BUY" else -1), 1)
        rig.send(f"{tag}{step}", symbol, side, offset, random.randint(1, 3), price)
        if random.random() < 0.2:
            rig.cancel(f"{tag}{random.randint(0, step)}")
        await asyncio.sleep(0.002)  # the flow tells of one order at a time


@pytest.mark.parametrize("seed", range(6))
def test_over_two_days_it_agrees_with_the_broker_in_every_figure(tmp_path: Path, seed: int) -> None:
    async def body(rig: Rig) -> None:
        SETTLED.clear()
        random = Random(seed)
        for symbol, (last, _) in PRICES.items():
            quote(rig, symbol, last)
        rig.trade.open_account(ACCOUNT, 10_000_000.0)
        first = shadow_of(rig)
        first.open(rig.trade.positions(ACCOUNT), rig.trade.funds(ACCOUNT))
        follow(first, rig)
        await trade_a_day(rig, random, "a", 120)
        rig.trade.transfer(ACCOUNT, -250_000.0)
        assert compare(first, rig) == []
        assert len(rig.trade.trades(ACCOUNT)) > 20 and first.figures["margin"][0] > 0
        rig.at("2021-08-03 09:30:00")
        rig.trade.day_ended.append(lambda ended: SETTLED.update(ended.prices))
        rig.trade.follow_day()
        late = shadow_of(rig)
        follow(late, rig)
        await trade_a_day(rig, random, "b", 60)
        late.open(rig.trade.positions(ACCOUNT), rig.trade.funds(ACCOUNT))  # in the middle of the day
        assert compare(late, rig) == []
        await trade_a_day(rig, random, "c", 40)
        rig.trade.transfer(ACCOUNT, 1_000.0)
        assert compare(late, rig) == []
        ours = {name: pair[0] for name, pair in late.figures.items()}
        assert ours == pytest.approx({name: rig.trade.funds(ACCOUNT)[name] for name in ours})

    run(tmp_path, body)


def test_every_figure_and_every_lot_is_looked_at(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        quote(rig, COPPER, 75000)
        rig.trade.open_account(ACCOUNT, 1_000_000.0)
        shadow = shadow_of(rig)
        shadow.open([], rig.trade.funds(ACCOUNT))
        follow(shadow, rig)
        rig.send("a", COPPER, "BUY", "OPEN", 2, 75010)
        rig.send("b", COPPER, "SELL", "OPEN", 1, 75100)
        rig.send("c", COPPER, "SELL", "CLOSETODAY", 1, 75200)
        await asyncio.sleep(0.01)
        assert compare(shadow, rig) == []
        funds = rig.trade.funds(ACCOUNT)
        for name in ("static_balance", "close_profit", "margin", "frozen_margin", "commission"):
            found = compare(shadow, rig, **{name: funds[name] + 0.02 + CENT * 2})
            assert [(one.kind, one.subject) for one in found] == [("figure", name)]
        slack = TICKS * 2 * 5 * 10  # two lots, five each, ticks of ten
        for name in ("position_profit", "balance", "available"):
            assert compare(shadow, rig, **{name: funds[name] + slack}) == []
            found = compare(shadow, rig, **{name: funds[name] + slack + 1})
            assert [one.subject for one in found] == [name]
        (held,) = rig.trade.positions(ACCOUNT)
        for name in ("volume_long", "volume_long_today", "volume_long_his", "volume_long_frozen"):
            (wrong,) = shadow.compare([held | {name: held[name] + 1}], funds)
            assert (wrong.kind, wrong.subject) == ("position", COPPER) and name in wrong.detail
        (gone,) = shadow.compare([], funds)
        assert gone.kind == "position"

    run(tmp_path, body)


def test_what_the_ledger_refuses_and_what_nobody_knows_is_told(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        quote(rig, COPPER, 75000)
        rig.trade.open_account(ACCOUNT, 1_000_000.0)
        shadow = shadow_of(rig)
        shadow.open([], rig.trade.funds(ACCOUNT))
        rig.send("a", COPPER, "BUY", "OPEN", 1, 75010)
        (one,) = rig.trade.trades(ACCOUNT)
        shadow.note(msgspec.structs.replace(one, offset=Offset.CLOSE))  # nothing is held yet
        assert [row[1:] for row in shadow.book()] == [(0.0, 0.0)]
        funds, held = rig.trade.funds(ACCOUNT), rig.trade.positions(ACCOUNT)
        found = shadow.compare(held, funds)
        assert {one.kind for one in found} == {"trade", "position", "figure"}
        other = shadow_of(rig)
        other.open([], funds)
        other.rates["SHFE.zz9999"] = {}
        other.note(msgspec.structs.replace(one, symbol="SHFE.zz9999"))
        assert other.book() == []
        (strange,) = other.compare([], funds)
        assert (strange.kind, strange.subject) == ("terms", "SHFE.zz9999") and not other.is_current

    run(tmp_path, body)


def test_the_brokers_own_rates_count(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        quote(rig, COPPER, 75000)
        rig.trade.open_account(ACCOUNT, 1_000_000.0)
        shadow = shadow_of(rig)
        shadow.rates[COPPER] = {"margin": (0.2, 0.0), "open": (0.0, 7.0)}
        shadow.open([], rig.trade.funds(ACCOUNT))
        rig.send("a", COPPER, "BUY", "OPEN", 1, 75010)
        (one,) = rig.trade.trades(ACCOUNT)
        shadow.note(one)
        assert shadow.book() == [(one, 7.0, 0.0)]
        shadow.compare(rig.trade.positions(ACCOUNT), rig.trade.funds(ACCOUNT))
        assert shadow.figures["margin"][0] == pytest.approx(75010 * 5 * 0.2)

    run(tmp_path, body)


def test_what_waits_to_be_booked_has_a_bound(tmp_path: Path) -> None:
    """Beyond it the ledger says that it is not the account's any more, until the day after."""

    async def body(rig: Rig) -> None:
        quote(rig, COPPER, 75000)
        rig.trade.open_account(ACCOUNT, 1_000_000.0)
        shadow = shadow_of(rig)
        rig.send("a", COPPER, "BUY", "OPEN", 1, 75010)
        (one,) = rig.trade.trades(ACCOUNT)
        for _ in range(WAITING_COUNT + 3):
            shadow.note(one)
        assert shadow.waiting_count == WAITING_COUNT
        funds, held = rig.trade.funds(ACCOUNT), rig.trade.positions(ACCOUNT)
        shadow.open([], funds)
        assert len(shadow.book()) == WAITING_COUNT and not shadow.is_current
        shadow.note(one)
        assert shadow.waiting_count == 0
        (lost,) = shadow.compare(held, funds)
        assert lost.kind == "ledger" and lost.detail.startswith("4 of the day")
        shadow.clear()
        shadow.open([], funds)
        shadow.note(one)
        assert len(shadow.book()) == 1 and shadow.is_current

    run(tmp_path, body)
