"""Accounts outside, in one loop: the house's trading service, our CTP broker, a front and its exchange."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from qautlra.app.brokers import TapeMarket
from qautlra.base.errors import InputError, LimitError, StorageError
from qautlra.base.limits import SESSIONS_PER_ACCOUNT_COUNT
from qautlra.link.bus import Message
from qautlra.link.documents import SqliteRepository
from qautlra.link.memory_bus import MemoryBus
from qautlra.model import codes
from qautlra.model.condition import Conditional, State
from qautlra.model.order import OUTSIDE, AmendOrder, Answer, CancelOrder, Change, Said
from qautlra.net.amqp_out import Cursor
from qautlra.net.ctp_flow import Flow
from qautlra.net.trade_amqp import AmqpSettings, TradeAmqp
from qautlra.net.trade_channel import Channel, Channels, News
from qautlra.trade.brokers.base import AccountBroker
from qautlra.trade.brokers.ctp import CtpBroker
from qautlra.trade.brokers.gate import OutsideGate
from qautlra.trade.brokers.shadow import Difference
from qautlra.trade.keeper import Keeper
from qautlra.wire import ctp_broker
from qautlra.wire.ctp_frames import QUICK, RESTART, Frame, Kind, Reader
from qautlra.wire.ctp_records import layout
from tests.ctp.test_broker import options, order, until
from tests.ctp.test_trader import Venue
from tests.trade.rig import Rig
from tests.trade.test_conditional import at_price, leg

COPPER = "SHFE.cu2109"


class House:
    """The house beside the venue: account `one` is bound to `front`, `here` trades on its own exchange."""

    def __init__(self, directory: Path, venue: Venue) -> None:
        self.directory = directory
        self.venue = venue
        self.rig = Rig(directory)
        self.trade = self.rig.trade
        self.router = self.trade.router
        self.market = TapeMarket(self.rig.instruments, self.rig.tape)
        self.router.sites = self
        self.router.gate = OutsideGate(self.market, "paper")
        self.fails = 0
        self.error: Exception = StorageError("no room for notes")
        self.names = ["front"]

    def make(self, name: str, account: str) -> AccountBroker:
        house = self

        class Fragile(CtpBroker):
            async def start(self) -> None:
                if house.fails:
                    house.fails -= 1
                    raise house.error
                await super().start()

            async def stop(self, grace_s: float) -> None:
                await super().stop(grace_s)
                if house.fails:
                    raise house.error

        return Fragile(
            replace(options(self.venue, account), name=name), account=account,
            notes=self.directory / f"{account}.jsonl", now_ns=self.rig.clock.now_ns, market=self.market,
        )  # fmt: skip

    async def __aenter__(self) -> "House":
        await self.trade.start()
        self.rig.quotes()
        self.quote(75000)
        self.trade.open_account("here", 1_000_000.0)
        await self.trade.bind("one", "front")
        await self.router.start()
        await until(lambda: self.broker.is_synced)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.router.stop(1.0)
        await self.trade.stop(1.0)

    @property
    def broker(self) -> CtpBroker:
        seat = self.router.seat("one")
        assert seat is not None and isinstance(seat.broker, CtpBroker)
        return seat.broker

    def quote(self, last: float) -> None:
        book = {"bid_price1": last - 10, "ask_price1": last + 10, "bid_volume1": 9, "ask_volume1": 9}
        limits = {"upper_limit": 82500, "lower_limit": 67500, "pre_settlement": 75000}
        for rig in (self.rig, self.venue.rig):
            rig.tick(COPPER, last, **book, **limits)


def play(tmp_path: Path, story: Callable[[House], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Venue(tmp_path / "venue") as venue, House(tmp_path / "house", venue) as house:
            await asyncio.wait_for(story(house), 60)

    for place in ("venue", "house"):
        (tmp_path / place).mkdir()
    asyncio.run(main())


@pytest.fixture(autouse=True)
def release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAUTLRA__CTP__ABI", "6.7.11")


def test_one_service_for_accounts_here_and_outside(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        trade = house.trade
        heard: dict[str | None, list[tuple[Change, Any]]] = {None: [], "one": [], "here": []}
        for name in heard:
            trade.subscribe(
                name,
                lambda change, read, name=name: heard[name].append((change, read)),
                lambda change: (
                    [trade.order(n) for n in change.orders] + [trade.trade(n) for n in change.trades]
                ),
            )
        assert trade.brokers() == ["paper", "front"] and trade.accounts() == ["here", "one"]
        assert (trade.broker_of("one"), trade.broker_of("here")) == ("front", "paper")
        for account in ("one", "here"):
            answer = trade.insert(order("a", "BUY", "OPEN", 2, 75010, account_id=account))
            assert answer.ok, answer
            await trade.durable(answer.lsn)
            assert trade.insert(order("a", "BUY", "OPEN", 2, 75010, account_id=account)).code == 3002
            await until(lambda account=account: trade.trades(account))
            found = trade.find(account, "a")
            assert found is not None and found.volume_left == 0 and found.account_id == account
            assert trade.order(found.number) == found
            assert (found.number >= OUTSIDE) == (account == "one")
            held = await until(lambda account=account: trade.position(account, COPPER))
            assert held["volume_long_today"] == 2
        await until(lambda: trade.funds("one")["margin"])
        await until(lambda: house.broker.standing.shadow.figures.get("margin", (0.0, 0.0))[0])
        for key in ("margin", "commission", "position_profit"):
            assert trade.funds("one")[key] == pytest.approx(trade.funds("here")[key]), key
        house.quote(75100)
        await until(lambda: trade.funds("one")["position_profit"] == pytest.approx(900.0))
        await until(lambda: heard["here"])
        named = {name: {change.account_id for change, _ in found} for name, found in heard.items()}
        assert named["one"] == {"one"} and named["here"] == {"here"} and named[None] == {"one", "here"}
        assert {one.order_id for _, read in heard["one"] for one in read} == {"a"}
        venue = house.venue.rig.trade
        assert len(venue.orders("one")) == 1 and len(trade.engine.orders("one")) == 0
        assert trade.engine.exchange.trades == 1
        assert trade.monitor.level("one") == "low" and trade.status_of("one") == 200
        amended = trade.amend(AmendOrder(account_id="one", order_id="a", price=1.0))
        assert amended.code == codes.NOT_AT_BROKER
        assert trade.transfer("one", 5.0).code == codes.NOT_AT_BROKER
        with pytest.raises(ValueError, match="no number"):
            trade.order(OUTSIDE + (500 << 20))

    play(tmp_path, story)


def test_the_house_refuses_before_a_broker_is_asked(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        trade, monitor = house.trade, house.trade.monitor

        def code(offset: str = "OPEN", price: float = 74000, volume: float = 1, **more: Any) -> int:
            direction = "BUY" if offset == "OPEN" else "SELL"
            made = order(f"r{price}{offset}", direction, offset, 1, price, **more)
            made = msgspec.structs.replace(made, volume=volume)
            return trade.insert(made).code

        assert code(price=74001) == 3004 and code(price=99000) == 4002 and code(symbol="SHFE.zz1") == 1007
        assert code(price=74010, volume=1.5) == codes.BAD_VOLUME
        assert trade.insert(order("rest", "BUY", "OPEN", 1, 74000)).ok
        await until(lambda: house.venue.rig.trade.orders("one"))
        assert monitor.freeze("one", "TRADING_ONLY", "because", "admin").ok
        assert code() == codes.FROZEN
        assert monitor.unfreeze("one", "", "admin").ok
        assert monitor.set_state("REDUCING", "one").ok
        assert code() == codes.REDUCING
        assert monitor.set_state("ACTIVE", "one").ok and monitor.set_state("HALTED").ok
        assert code() == codes.HALTED and code("CLOSETODAY") == codes.HALTED
        (rest,) = house.venue.rig.trade.orders("one")
        await until(lambda: not house.venue.rig.trade.order(rest.number).is_alive)  # the switch withdrew it
        assert len(house.venue.rig.trade.orders("one")) == 1
        with pytest.raises(InputError, match="liquidates"):
            trade.liquidator.start("one", reason="x")

    play(tmp_path, story)


def test_an_id_that_was_used_is_met_before_anything_is_checked(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        trade, first = house.trade, order("a", "BUY", "OPEN", 1, 74000)
        assert trade.insert(first).ok
        number = trade.orders("one")[0].number
        house.router.gate = OutsideGate(house.market, "paper", repeats_max=2)
        assert trade.monitor.set_state("HALTED", "one").ok
        for _ in range(3):
            again = trade.insert(first)
            assert (again.code, again.number) == (codes.DUPLICATE, number)
        assert trade.monitor.set_state("ACTIVE", "one").ok
        sent = [trade.insert(order(name, "BUY", "OPEN", 1, 74000)).code for name in "bcd"]
        assert sent == [0, 0, 3009]  # nothing of the repeated ones was counted

    play(tmp_path, story)


def test_an_order_is_refused_while_too_much_waits_to_be_booked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qautlra.trade.router.WAITING_COUNT", 3)

    async def story(house: House) -> None:
        house.broker.standing.shadow.clear()  # not opened again before the next comparison
        monkeypatch.setattr(house.broker.standing.shadow, "open", lambda *_: None)
        for name in "abc":
            answer = house.trade.insert(order(name, "BUY", "OPEN", 1, 74000))
            await house.trade.durable(answer.lsn)
        await until(lambda: house.broker.waiting_count >= 3)
        refused = house.trade.insert(order("d", "BUY", "OPEN", 1, 74000))
        assert refused.code == codes.FULL and "等待核对" in refused.text

    play(tmp_path, story)


def test_accounts_are_bound_once_and_never_fall_back_on_the_house(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        trade = house.trade
        with pytest.raises(InputError, match="traded on the built-in exchange"):
            await trade.bind("here", "front")
        with pytest.raises(InputError, match="no broker 'other'"):
            await trade.bind("two", "other")
        await trade.bind("one", "front")
        house.router.bind_nowhere("lost", "gone", "no such broker")
        trade.open_account("lost", 0.0)
        assert trade.insert(order("x", "BUY", "OPEN", 1, 75010, account_id="lost")).code == codes.UNAVAILABLE
        assert trade.status_of("lost") == 600 and trade.funds("lost")["balance"] == 0.0
        states = {one["name"]: one for one in house.router.states()}
        gone = {"name": "gone", "accounts": 1, "synced": 0, "states": ["refused"], "differences": 0}
        assert states["gone"] == gone
        assert "gone: refused" in house.router.health()["error"]
        assert (states["front"]["accounts"], states["front"]["synced"]) == (1, 1)

    play(tmp_path, story)


def test_contracts_of_accounts_outside_end_at_their_broker(tmp_path: Path) -> None:
    """The house's own account is closed out with the day; of the other its broker tells."""

    async def story(house: House) -> None:
        trade = house.trade
        answer = trade.insert(order("a", "BUY", "OPEN", 2, 75010))
        await trade.durable(answer.lsn)
        assert trade.insert(order("h", "BUY", "OPEN", 2, 75010, account_id="here")).ok
        await until(lambda: trade.positions("one") and trade.positions("here"))
        house.rig.last_days[COPPER] = trade.trading_day
        shown, money = trade.positions("one"), trade.funds("one")
        assert trade.settling.settle(by="root", force=True).ok
        assert trade.positions("here") == [] and trade.funds("here")["margin"] == 0
        assert (trade.positions("one"), trade.funds("one")) == (shown, money)

    play(tmp_path, story)


def test_the_trade_socket_shows_an_account_outside_as_any_other(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        trade = house.trade
        news: list[News] = []
        channel = Channel(trade, "one", "one", always_whole=False)
        channel.attach(1, news.append)
        answer = trade.insert(order("a", "BUY", "OPEN", 2, 75010))
        await trade.durable(answer.lsn)
        await until(lambda: any(COPPER in one.patch.positions for one in news))
        notices = b"".join(notice for one in news for notice in one.notices).decode()
        assert "成交通知,合约:SHFE.cu2109,手数:2" in notices and "下单成功" in notices
        whole = json.loads(channel.whole().render(trade.trading_day))["trade"]["one"]
        assert whole["orders"]["a"]["status"] == "FINISHED" and whole["accounts"]["CNY"]["margin"] > 0
        position = whole["positions"][COPPER]
        assert (position["volume_long_today"], position["open_price_long"]) == (2, 75010.0)
        (one,) = whole["trades"].values()
        assert (one["price"], one["order_id"], one["commission"]) == (75010.0, "a", pytest.approx(37.505))
        # The same keys as an account of the built-in exchange has.
        trade.insert(order("h", "BUY", "OPEN", 2, 75010, account_id="here"))
        here = json.loads(Channel(trade, "here", "here", always_whole=True).whole().render(1))["trade"][
            "here"
        ]
        for part, key in (("orders", "h"), ("positions", COPPER)):
            ours = whole[part]["a" if key == "h" else key]
            assert set(ours) <= set(here[part][key])
        trade_id, made = next(iter(whole["trades"])), house.broker.book.trades
        made[0] = msgspec.structs.replace(made[0], commission=5.0)
        house.broker._tell(Change(account_id="one", reckoned=(0,)))
        assert orjson.loads(news[-1].patch.trades[trade_id])["commission"] == 5.0 and not news[-1].notices
        house.broker._differs(Difference("figure", "commission", "ours 1.00, the broker's 2.00"))
        said = b"".join(news[-1].notices).decode()
        assert '"code":607' in said and "账户核对差异,commission: ours 1.00" in said
        refused = Answer(
            code=ctp_broker.house_code(26), order_id="a", number=0, text="CTP:撤单时报单已全成交（26）"
        )
        house.broker._tell(Change(account_id="one", refused=(refused,)))
        said = b"".join(news[-1].notices).decode()
        assert "撤单失败,CTP:撤单时报单已全成交（26）" in said and '"level":"WARNING"' in said
        warned = Said(420, "撤单失败,要撤销的单不存在", "WARNING")
        house.broker._tell(Change(account_id="one", said=(warned,)))
        said = b"".join(news[-1].notices).decode()
        assert '"code":420' in said and "柜台提示,撤单失败,要撤销的单不存在" in said
        assert channel.detach(1)
        channels = Channels(trade)
        for key in range(SESSIONS_PER_ACCOUNT_COUNT):
            last = channels.enter("one", "one", key, news.append, always_whole=False)
        with pytest.raises(LimitError):
            channels.enter("one", "other name", 999, news.append, always_whole=True)
        assert channels.enter("here", "here", 1000, news.append, always_whole=True)
        channels.leave(last, 0)
        assert channels.enter("one", "one", 1001, news.append, always_whole=False) is last

    play(tmp_path, story)


def test_the_trade_socket_tells_of_an_order_what_the_broker_says_of_it(tmp_path: Path) -> None:
    """Not that it succeeded before that, and of one that is refused why, not that it was withdrawn."""

    async def story(house: House) -> None:
        trade = house.trade
        news: list[News] = []
        channel = Channel(trade, "one", "one", always_whole=False)
        channel.attach(1, news.append)

        def told() -> list[tuple[int, str]]:
            data = [json.loads(notice) for one in news for notice in one.notices]
            return [(n["code"], n["content"]) for one in data for n in one["notify"].values()]

        answer = trade.insert(order("rest", "BUY", "OPEN", 1, 74000))
        assert news[-1].patch.orders and not told()
        await trade.durable(answer.lsn)
        await until(lambda: told() == [(417, "下单成功")])
        await trade.durable(trade.insert(order("much", "BUY", "OPEN", 9000, 75010)).lsn)
        await until(lambda: len(told()) == 2)
        assert told()[1] == (413, "下单失败,CTP:资金不足（31）")
        trade.cancel(CancelOrder(account_id="one", order_id="rest"))
        await until(lambda: len(told()) == 3)
        assert told()[2] == (419, "撤单成功")
        later: list[News] = []
        again = Channel(trade, "one", "one", always_whole=False)
        again.attach(2, later.append)
        house.broker._tell(Change(account_id="one", orders=(0, 1)))
        assert not later[-1].notices and len(told()) == 3

    play(tmp_path, story)


@pytest.mark.parametrize(
    "error", [StorageError("no room for notes"), RuntimeError("a defect"), OSError(28, "x")]
)
def test_a_broker_that_fails_is_started_again(tmp_path: Path, error: Exception) -> None:
    """In whatever way it fails, at its start or at its stop: nobody else's broker hears of it."""

    async def story(house: House) -> None:
        await house.trade.bind("two", "front")
        seat, other = house.router.seat("one"), house.router.seat("two")
        assert seat is not None and other is not None
        await until(lambda: other.is_synced)
        runs: list[object] = []
        other.broker.start = runs.append  # type: ignore[assignment, method-assign]
        house.fails, house.error = 2, error
        broker = house.broker
        broker.fail(StorageError("the disk is full"))
        await until(lambda: house.fails < 2)
        assert house.trade.insert(order("a", "BUY", "OPEN", 1, 75010)).code == codes.UNAVAILABLE
        assert seat.status()["state"] == "failed" and str(error) in seat.status()["error"]
        assert house.trade.status_of("one") == 500 and house.trade.status_of("two") == 200
        assert "front: failed" in house.router.health()["error"]
        await until(lambda: broker.is_synced, 20)
        assert not house.router.failed.done() and other.is_synced and not runs
        assert seat.status()["state"] == "synced" and "error" not in house.router.health()
        answer = house.trade.insert(order("a", "BUY", "OPEN", 1, 75010))
        assert answer.ok, answer
        await house.trade.durable(answer.lsn)
        assert len(house.venue.rig.trade.orders("one")) == 1

    play(tmp_path, story)


def test_rabbitmq_tells_of_both_kinds_and_forgets_neither_over_a_restart(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        bus = MemoryBus(prefetch_count=64)
        told: list[tuple[str, str]] = []
        publish = bus.publish

        async def listened(messages: Any) -> None:
            told.extend((m.key, m.message_id) for m in messages if m.exchange == "QATRANSACTION")
            await publish(messages)

        bus.publish = listened  # type: ignore[method-assign]

        def door() -> TradeAmqp:
            return TradeAmqp(
                trade=house.trade, bus=bus, cursor=Cursor(house.directory / "cursor"),
                resolve=house.rig.instruments.canonical, now_ns=house.rig.clock.now_ns,
                settings=AmqpSettings(account_interval_ms=20),
            )  # fmt: skip

        async def send(account: str, order_id: str) -> None:
            data = {"instrument_id": "cu2109", "exchange_id": "SHFE", "price": 75010, "volume": 1}
            data |= {"direction": "BUY", "offset": "OPEN", "order_id": order_id}
            body = {"topic": "order", "action": "send_order", "account_cookie": account, "data": data}
            await publish([Message("QAORDER_ROUTER", account, json.dumps(body).encode())])

        first = door()
        await first.start()
        for account in ("one", "here"):
            await send(account, "m1")
        await until(lambda: len(told) == 2)
        await first.stop(1.0)
        house.trade.insert(order("m2", "BUY", "OPEN", 1, 75010, account_id="here"))
        second = door()
        await second.start()
        await send("one", "m1")  # delivered again: one order
        await send("one", "m3")
        await until(lambda: len({mark for _, mark in told}) == 4)
        names = sorted(mark for account, mark in told if account == "here")
        assert names == ["20210802-0", "20210802-1"]
        assert {m for a, m in told if a == "one"} == {
            f"20210802-one-{t.trade_id}" for t in house.trade.trades("one")
        }
        assert len(house.venue.rig.trade.orders("one")) == 2
        await second.stop(1.0)

    play(tmp_path, story)


def test_our_own_front_tells_of_orders_that_left_the_house_what_became_of_them(tmp_path: Path) -> None:
    """Programs of CTP who trade for an account outside: on its way, queueing, refused, not withdrawn."""

    async def room() -> None:
        pass

    async def story(house: House) -> None:
        trade, got = house.trade, []
        reader = Reader(1 << 20)
        flow = Flow(trade, "one", "9999", 1)
        await flow.follow("program", lambda made: got.extend(reader.feed(made)), QUICK, 0, room)

        def told(ref: str) -> list[tuple[str, str]]:
            rows = [layout("Order").read(one.record) for one in got if one.kind == Kind.RTN_ORDER]
            mine = [row for row in rows if (row["FrontID"], row["SessionID"], row["OrderRef"]) == (1, 7, ref)]
            return [(row["OrderStatus"], row["OrderSubmitStatus"]) for row in mine]

        for ref, volume in (("1", 1), ("2", 9000)):
            await trade.durable(trade.insert(order(f"ctp.1.7.{ref}", "BUY", "OPEN", volume, 74000)).lsn)
        await until(lambda: told("1")[-1] == ("3", "3") and told("2")[-1] == ("5", "4"))
        assert told("1")[0] == told("2")[0] == ("a", "0") and len(told("2")) == len(set(told("2"))) == 2
        resting, refused = trade.find("one", "ctp.1.7.1"), trade.find("one", "ctp.1.7.2")
        assert resting is not None and refused is not None and "资金不足" in refused.message
        why = Answer(code=codes.NO_ORDER, order_id=resting.order_id, number=0, text="CTP:（26）")
        house.broker._tell(Change(account_id="one", refused=(why,)))
        (action,) = [one for one in got if one.kind == Kind.ERR_ACTION]
        row = layout("OrderAction").read(action.record)
        assert (row["OrderRef"], row["SessionID"], action.error) == ("1", 7, 25)
        assert row["OrderSysID"].strip() == resting.exchange_order_id and row["StatusMsg"] == "CTP:（26）"
        named = flow.named("SHFE", resting.exchange_order_id)
        assert named == flow.named("", resting.exchange_order_id) == resting.order_id
        assert flow.named("DCE", resting.exchange_order_id) == ""  # which numbers for itself
        later = Flow(trade, "one", "9999", 2)
        again: list[Frame] = []
        await later.follow("program", lambda made: again.extend(reader.feed(made)), RESTART, 0, room)
        ends = [layout("Order").read(one.record)["OrderStatus"] for one in again]
        assert ends[-1] == "5" and "3" in ends

    play(tmp_path, story)


def test_an_account_outside_is_of_its_brokers_day(tmp_path: Path) -> None:
    """Our calendar's day begins hours before or after it: the same trades would be told as another day's."""

    async def story(house: House) -> None:
        trade, bus = house.trade, MemoryBus(prefetch_count=64)
        told: list[str] = []
        publish = bus.publish

        async def listened(messages: Any) -> None:
            told.extend(m.message_id for m in messages if m.exchange == "QATRANSACTION")
            await publish(messages)

        bus.publish = listened  # type: ignore[method-assign]
        house.broker._day = 20210803
        assert (trade.trading_day, trade.trading_day_of("one")) == (20210802, 20210803)
        assert trade.trading_day_of("here") == 20210802
        door = TradeAmqp(
            trade=trade, bus=bus, cursor=Cursor(house.directory / "cursor"),
            resolve=house.rig.instruments.canonical, now_ns=house.rig.clock.now_ns,
        )  # fmt: skip
        await door.start()
        for account in ("one", "here"):
            await trade.durable(trade.insert(order("a", "BUY", "OPEN", 1, 75010, account_id=account)).lsn)
        await until(lambda: len(told) == 2)
        (shown,) = trade.trades("one")
        assert sorted(told) == ["20210802-0", f"20210803-one-{shown.trade_id}"]
        place = SqliteRepository(house.directory / "documents.sqlite")
        keeper = Keeper(trade=trade, repository=place, now_ns=house.rig.clock.now_ns)
        assert keeper.document("one").head.trading_day == "20210803"
        assert keeper.document("here").head.trading_day == "20210802"
        await door.stop(1.0)

    play(tmp_path, story)


def test_conditions_documents_and_days_know_where_an_account_trades(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        trade = house.trade
        asked = Conditional(
            account_id="one", order_id="c1", conditions=(at_price(75100),), legs=(leg(limit_price=75200.0),)
        )
        assert trade.conditions.insert(asked).ok
        house.quote(75100)
        await until(lambda: trade.trades("one"))
        assert [one.account_id for one in house.venue.rig.trade.trades("one")] == ["one"]
        await until(lambda: trade.funds("one")["margin"])
        keeper = Keeper(
            trade=trade,
            repository=SqliteRepository(tmp_path / "documents.sqlite"),
            now_ns=house.rig.clock.now_ns,
        )
        document = keeper.document("one").document()
        assert (document.broker_name, document.status) == ("front", 200)
        assert len(document.trades) == 1 and COPPER in document.positions
        ended: list[list[str]] = []
        trade.day_ended.append(lambda day: ended.append(day.names()))
        house.rig.at("2021-08-03 09:30:00")
        trade.follow_day()
        assert ended == [["here"]]
        for connection in list(house.venue.service.connections):
            connection.cut("test")
        await until(lambda: not house.broker.is_synced)
        assert keeper.document("one").head.status == 500
        assert trade.cancel(CancelOrder(account_id="one", order_id="nobody")).code == codes.NO_ORDER

    play(tmp_path, story)


def test_a_condition_says_what_the_broker_made_of_its_order(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        trade = house.trade
        news: list[News] = []
        channel = Channel(trade, "one", "one", always_whole=False)
        channel.attach(1, news.append)

        def kept(name: str) -> Conditional:
            found = trade.conditions.get("one", name)
            assert found is not None
            return found

        def wait(name: str, price: float, volume: float = 1) -> None:
            asked = leg(volume=volume, limit_price=75200.0)
            order = Conditional(account_id="one", order_id=name, conditions=(at_price(price),), legs=(asked,))
            assert trade.conditions.insert(order).ok

        wait("big", 75100, volume=1000)  # more than the account can pay
        house.quote(75100)
        assert [one.code for one in kept("big").releases] == [0]
        await until(lambda: kept("big").releases[0].code)
        refused = trade.find("one", "CO.big.1")
        assert refused is not None and kept("big").releases[0].code == refused.code == codes.FUNDS
        assert kept("big").state is State.TOUCHED
        assert kept("big").text == f"已触发,委托未成功:{refused.message}"
        assert trade.conditions.statistics("one")["failed"] == 1
        said = b"".join(notice for one in news for notice in one.notices).decode()
        assert f"条件单提示,big,{kept('big').text}" in said and b"".join(news[-1].packets).count(b"big")

        wait("away", 75110)
        trade.conditions._began_s -= 100
        for connection in list(house.venue.service.connections):
            connection.cut("test")
        await until(lambda: not house.broker.is_synced)
        house.quote(75110)
        assert [one.code for one in kept("away").releases] == [codes.UNAVAILABLE]
        assert kept("away").text == "已触发,委托未成功:交易通道不可用"
        await until(lambda: any("条件单提示,away" in b"".join(one.notices).decode() for one in news))
        await until(lambda: house.broker.is_synced)
        house.quote(75120)
        await asyncio.sleep(0.1)
        assert trade.find("one", "CO.away.1") is None  # never sent late

        wait("starting", 75130)  # just after a start a broker's first login is waited for
        trade.conditions._began_s += 100
        for connection in list(house.venue.service.connections):
            connection.cut("test")
        await until(lambda: not house.broker.is_synced)
        house.broker._day = 0  # as if it had not been in yet
        house.quote(75130)
        assert [one.code for one in kept("starting").releases] == [None]
        await until(lambda: trade.find("one", "CO.starting.1"))
        assert [one.code for one in kept("starting").releases] == [0]

    play(tmp_path, story)
