"""A recorded day with orders through our CTP broker, while its front is cut again and again.

A second exchange sees the same ticks and is given, directly, every order that reached the first one: the two
accounts must agree to the last digit. A few cuts here; `make ctp-cuts` plays the day with 100.
"""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from qautlra._core.market import CtpNormaliser
from qautlra.model import codes
from qautlra.model.order import CancelOrder, InsertOrder
from qautlra.source.files import TickFile
from qautlra.trade.brokers.ctp import CtpBroker
from tests.ctp.test_broker import gateway, order, shown, until
from tests.ctp.test_trader import Venue
from tests.trade.rig import Rig

pytestmark = [pytest.mark.shared, pytest.mark.slow, pytest.mark.timeout(900)]

CUTS = int(os.environ.get("QAUTLRA_CTP_CUTS", "4"))
ORDERS = 40 + 3 * CUTS
SYMBOL = "CFFEX.IF2101"
MORNING = "2021-01-04 09:25:00"
ROWS = 27_955
MOST_LOTS = 4


class Day(Venue):
    day = 20210104


@dataclass
class Story:
    """What is played: the broker's orders at the venue, the same ones at the exchange without CTP."""

    venue: Venue
    paper: Rig
    broker: CtpBroker
    random: Random = field(default_factory=lambda: Random(101))
    sent: int = 0
    cancelled: int = 0
    lost: int = 0
    cuts: int = 0
    slowest_s: float = 0.0

    @property
    def rigs(self) -> tuple[Rig, Rig]:
        return self.venue.rig, self.paper

    def replay(self, path: Path, size: int) -> Iterator[dict[str, Any]]:
        """Publish the recording to both, some rows at a time; yield the newest of each time."""
        normalisers = [CtpNormaliser(rig.instruments, rig.calendar) for rig in self.rigs]
        for batch in TickFile(path).batches():
            for at in range(0, batch.num_rows, size):
                newest: dict[str, Any] = {}
                for rig, normaliser in zip(self.rigs, normalisers, strict=True):
                    rows, refused = normaliser.rows(batch.slice(at, size), trust_action_day=True, now_ns=0)
                    assert not refused
                    rig.clock.advance_to(rows.ts_event_ns(len(rows) - 1))
                    rig.tape.publish(rows)
                    rig.trade.on_batch()
                    newest = rows.to_dict(len(rows) - 1)
                yield newest

    def wish(self, tick: dict[str, Any]) -> InsertOrder:
        """Return an order that fits what is held: half of them cross the book, half wait beside it."""
        chance = self.random
        held = next((p for p in self.venue.rig.trade.positions("one") if p["symbol"] == SYMBOL), {})
        free = {
            side: held.get(f"volume_{side}_today", 0) - held.get(f"volume_{side}_frozen_today", 0)
            for side in ("long", "short")
        }
        side = chance.choice(("long", "short"))
        closes = free[side] > 0 and (chance.random() < 0.5 or sum(free.values()) >= MOST_LOTS)
        direction = "BUY" if (side == "long") != closes else "SELL"
        lots = chance.randint(1, min(int(free[side]), 2)) if closes else chance.randint(1, 2)
        away = chance.choice((-4.0, -0.4, 0.0, 2.0)) * (-1 if direction == "SELL" else 1)
        near = tick["ask_price1"] if direction == "BUY" else tick["bid_price1"]
        self.sent += 1
        price = round(near + away, 1)
        return order(
            f"o{self.sent}", direction, "CLOSETODAY" if closes else "OPEN", lots, price, symbol=SYMBOL
        )

    def reached(self, made: InsertOrder) -> bool:
        """Whether the venue has the order, under the name that the front gives it."""
        number = self.broker.book.number(made.order_id)
        key = self.broker.book.key(number) if number is not None else None
        return key is not None and self.venue.rig.trade.find("one", key.order_id) is not None

    async def send(self, made: InsertOrder) -> None:
        await shown(self.broker, self.broker.insert(made))
        assert self.reached(made)
        self.paper.trade.insert(made)

    async def send_into_a_cut(self, made: InsertOrder) -> None:
        """The link goes while the order is on its way: it arrived or it did not, and is never sent again."""
        self.broker.insert(made)
        if self.random.random() < 0.5:
            await asyncio.sleep(self.random.random() * 0.004)
        self.cut()
        await until(lambda: not self.broker.is_synced)
        if self.reached(made):
            self.paper.trade.insert(made)
        else:
            self.lost += 1

    def cut(self) -> None:
        self.cuts += 1
        for connection in list(self.venue.service.connections):
            connection.cut("scripted")

    async def synced(self) -> None:
        if not self.broker.is_synced:
            await until(lambda: self.broker.is_synced)
            self.slowest_s = max(self.slowest_s, self.broker.synced_after_s)

    async def cancel(self) -> None:
        """Withdraw the oldest order that waits, on both sides."""
        alive = [one for one in self.paper.trade.orders("one") if one.is_alive]
        if alive:
            self.cancelled += 1
            name = alive[0].order_id
            assert self.broker.cancel(CancelOrder(account_id="one", order_id=name)).ok
            await until(lambda: not self.broker.find("one", name).is_alive)
            self.paper.trade.cancel(CancelOrder(account_id="one", order_id=name))

    async def play(self, path: Path) -> None:
        size = ROWS // ORDERS
        last_cut = CUTS - 1  # the last one comes after the close
        for step, tick in enumerate(self.replay(path, size)):
            await asyncio.sleep(0)
            if not self.venue.rig.trade.is_open(SYMBOL):
                continue
            await self.synced()
            if self.random.random() < 0.2:
                await self.cancel()
            if self.cuts < last_cut and step * last_cut >= self.cuts * (ORDERS - 12):
                await self.send_into_a_cut(self.wish(tick))
            else:
                await self.send(self.wish(tick))
        await self.synced()
        self.cut()
        await until(lambda: not self.broker.is_synced)
        await self.synced()
        fees = self.paper.trade.funds("one")["commission"]
        await until(lambda: abs(self.broker.standing.shadow.figures["commission"][0] - fees) < 1e-6)


def facts(rig: Rig) -> dict[str, Any]:
    """Everything an account is, apart from the names that clients give orders."""
    trade = rig.trade
    return {
        "funds": trade.funds("one"),
        "position": repr([p for p in trade.positions("one") if p["symbol"] == SYMBOL]),
        "orders": [
            (o.direction, o.offset, o.limit_price, o.volume_left, o.code) for o in trade.orders("one")
        ],
        "trades": [
            (t.exchange_trade_id, t.direction, t.offset, t.price, t.volume, t.trade_ns, t.commission)
            for t in trade.trades("one")
        ],
    }


def compare(story: Story) -> None:
    venue, paper, broker = story.venue.rig, story.paper, story.broker
    assert facts(venue) == facts(paper)
    direct = paper.trade.funds("one")
    for key in ("balance", "available", "margin", "commission", "close_profit", "position_profit"):
        assert broker.funds("one")[key] == pytest.approx(direct[key]), key
    assert [one for one in broker.differences if one.kind in ("figure", "position")] == []
    trades, wanted = (
        [(t.exchange_trade_id, t.direction, t.price, t.volume) for t in side.trades("one")]
        for side in (broker, paper.trade)
    )
    assert trades == wanted
    assert len(set(trades)) == len(trades)  # an account that trades with itself has both sides of one trade
    ours = broker.orders("one")
    ended = {o.order_id for o in ours if o.code == codes.NEVER_ARRIVED}
    shown_orders = {o.order_id for o in ours if broker.book.is_shown(o.number)} - ended
    assert shown_orders == {o.order_id for o in paper.trade.orders("one")}
    assert broker.book.unknown_count + len(ended) == story.lost == story.sent - len(shown_orders)
    assert story.cuts == CUTS
    assert story.slowest_s <= 3.0
    assert len(trades) > ORDERS // 4
    for rig in (venue, paper):
        rig.at("2021-01-05 09:00:00")
        rig.trade.follow_day()
        assert rig.trade.trading_day == 20210105
    assert venue.trade.funds("one") == paper.trade.funds("one")
    print(
        f"{CUTS} cuts, {story.sent} orders ({story.lost} lost on the way), {story.cancelled} cancelled, "
        f"{len(trades)} trades, synced within {story.slowest_s:.2f} s, balance {direct['balance']:,.2f}"
    )


def test_a_recorded_day_with_cuts_gives_the_account_of_paper_trading(
    real_day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QAUTLRA__CTP__ABI", "6.7.11")

    async def main() -> None:
        rig = Rig(tmp_path / "venue", MORNING)
        async with Day(tmp_path / "venue", rig) as venue, Rig(tmp_path / "paper", MORNING) as paper:
            paper.quotes()
            paper.trade.open_account("one", 1_000_000.0)
            broker = gateway(venue, tmp_path)
            await broker.start()
            try:
                await until(lambda: broker.is_synced)
                story = Story(venue, paper, broker)
                await asyncio.wait_for(story.play(real_day), 880)
                compare(story)
            finally:
                await broker.stop(1.0)

    for place in ("venue", "paper"):
        (tmp_path / place).mkdir()
    asyncio.run(main())
