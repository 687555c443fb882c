"""Orders by RabbitMQ, and by its embedded twin: one body of tests; the engine behind it is the real one."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qautlra.auth.audit import Act
from qautlra.base.clock import monotonic_s
from qautlra.base.secret import Secret
from qautlra.link.amqp import AmqpBus, AmqpOptions
from qautlra.link.amqp_frames import encode
from qautlra.link.bus import Bus, Delivery, Message, Queue
from qautlra.link.memory_bus import MemoryBus
from qautlra.model.order import Answer, InsertOrder
from qautlra.net.amqp_letters import DEAD_QUEUE
from qautlra.net.amqp_out import Cursor
from qautlra.net.trade_amqp import AmqpSettings, TradeAmqp
from qautlra.wire.trade_errors import INTERNAL
from tests.link.test_bus import Names, until
from tests.services import RABBIT_URL, require
from tests.trade.rig import Rig
from tests.wire.test_orders import LETTERS

CU = "SHFE.cu2109"


class Desk:
    """The door with its engine, and a stranger at the broker who sends orders and hears results."""

    def __init__(
        self, kind: str, directory: Path, model: str = "direct", cash: float = 1_000_000, **settings: Any
    ) -> None:
        self.kind = kind
        self.cash = cash
        self.directory = directory
        self.rig = Rig(directory)
        self.mark = uuid.uuid4().hex[:8]
        self.names = Names()
        self.account = f"acc{self.mark}"
        self.settings = AmqpSettings(
            exchange=f"qt.{self.mark}.in",
            model=model,  # type: ignore[arg-type]
            transactions_exchange=f"qt.{self.mark}.trades",
            account_exchange=f"qt.{self.mark}.accounts",
            account_interval_ms=20,
            **settings,
        )
        self.names.exchanges += [
            self.settings.exchange,
            self.settings.transactions_exchange,
            self.settings.account_exchange,
        ]
        self.bus = self.make_bus()
        self.client: Bus = self.bus if kind == "memory" else self.make_bus()
        self.trades: list[dict[str, Any]] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.dead: list[Delivery] = []
        self.asked: list[str] = []
        self.is_ready = True
        self.audited: list[tuple[str, str, dict[str, Any]]] = []
        self.door = self.make_door()
        self._client_task: asyncio.Task[None] | None = None

    def make_bus(self) -> Bus:
        if self.kind == "memory":
            return MemoryBus(prefetch_count=64)
        return AmqpBus(AmqpOptions(Secret(RABBIT_URL), 64, retry_max_s=0.3, probe_s=1.0))

    def make_door(self) -> TradeAmqp:
        return TradeAmqp(
            trade=self.rig.trade,
            bus=self.bus,
            cursor=Cursor(self.directory / "amqp.cursor"),
            resolve=self.rig.instruments.canonical,
            now_ns=self.rig.clock.now_ns,
            settings=self.settings,
            want=self.asked.append,
            is_ready=lambda: self.is_ready,
            record=self.record,
        )

    def record(self, act: Act, user_id: str, **detail: Any) -> None:
        assert (user_id, detail.pop("address")) == ("", "rabbitmq")
        assert detail.pop("account_id").startswith(self.account)
        self.audited.append((str(act), str(detail.pop("result")), detail))

    async def __aenter__(self) -> Desk:
        await self.rig.__aenter__()
        for account in (self.account, self.account + "x"):
            assert self.rig.trade.open_account(account, self.cash).ok
        self.rig.quotes()
        self.listen()
        await self.door.start()
        if self.client is not self.bus:
            self._client_task = asyncio.create_task(self.client.run())
        await until(lambda: self.bus.is_connected and self.client.is_connected)
        await asyncio.sleep(0.05)
        return self

    def listen(self) -> None:
        def trade(delivery: Delivery) -> None:
            self.trades.append(json.loads(delivery.body))

        def told(delivery: Delivery) -> None:
            body = json.loads(delivery.body)
            self.told.append((body["topic"], body))

        queue = self.names.queue
        name = self.settings.transactions_exchange
        self.client.declare(*self.bus._topology.exchanges) if isinstance(self.bus, AmqpBus) else None
        both = ((name, self.account), (name, self.account + "x"))
        self.client.serve(queue("t", *both, needs_ack=False), trade)
        self.client.serve(queue("a", (self.settings.account_exchange, "#"), needs_ack=False), told)
        for account in (self.account, self.account + "x"):
            self.names.queues.append(f"qautlra.orders.{account}")

    async def __aexit__(self, *_: object) -> None:
        await self.door.stop(1.0)
        if self._client_task is not None:
            self._client_task.cancel()
            await asyncio.gather(self._client_task, return_exceptions=True)
        if self.kind == "rabbit":
            await self.names.clean()
        await self.rig.__aexit__()

    async def send(
        self, *bodies: bytes | dict[str, Any], key: str | None = None, message_id: str = ""
    ) -> None:
        raw = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]
        key = self.account if key is None else key
        await self.client.publish([Message(self.settings.exchange, key, body, message_id) for body in raw])

    def order(self, order_id: str | None = None, **change: Any) -> dict[str, Any]:
        made = {
            "topic": "sendorder",
            "account_cookie": self.account,
            "code": "cu2109",
            "exchange_id": "SHFE",
            "order_direction": "BUY",
            "order_offset": "OPEN",
            "volume": 1,
            "price": 75_000,
        }
        return made | ({"order_id": order_id} if order_id else {}) | change

    def orders(self) -> dict[str, Any]:
        return {order.order_id: order for order in self.rig.trade.orders(self.account)}

    def events(self) -> list[dict[str, Any]]:
        return [body["data"] for topic, body in self.told if topic == "event"]

    async def settled(self) -> None:
        """Every delivery so far is acknowledged."""
        await until(lambda: not self.door.unacked_count and self.bus.unacked_count == 0)  # type: ignore[attr-defined]

    async def cut(self) -> None:
        if isinstance(self.bus, MemoryBus):
            self.bus.cut()
            return
        assert isinstance(self.bus, AmqpBus) and self.bus._incoming is not None
        before = self.bus.connects_count
        await self.bus._incoming.connection.close(ConnectionError("cut"))
        await until(lambda: self.bus.connects_count > before)


@pytest.fixture(params=["memory", "rabbit"])
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "rabbit":
        require("RabbitMQ", 5672)
    yield request.param


def run(desk: Desk, body: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(40):
            async with desk:
                await body(desk)

    asyncio.run(main())


def test_l_three_dialects_give_the_same_order(kind: str, tmp_path: Path) -> None:
    """Contract 11.L."""

    async def body(desk: Desk) -> None:
        letters = [letter.replace(b"acc001", desk.account.encode()) for letter in LETTERS]
        await desk.send(*letters)
        await until(lambda: len(desk.orders()) == 3)
        told: dict[str, Any] = {}

        def gather() -> bool:
            told.update(
                {body["data"]["order_id"]: body["data"] for topic, body in desk.told if topic == "order"}
            )
            return len(told) == 3

        await until(gather)
        assert {"x1", "x2"} < set(told)
        own = ("order_id", "seqno", "exchange_order_id", "insert_date_time")
        same = [{name: value for name, value in order.items() if name not in own} for order in told.values()]
        assert same[0] == same[1] == same[2]
        assert same[0] == {
            "user_id": desk.account,
            "exchange_id": "SHFE",
            "instrument_id": "cu2109",
            "direction": "BUY",
            "offset": "OPEN",
            "volume_orign": 1,
            "price_type": "LIMIT",
            "limit_price": 75_000.0,
            "time_condition": "GFD",
            "volume_condition": "ANY",
            "status": "ALIVE",
            "volume_left": 1,
            "last_msg": same[0]["last_msg"],
        }
        # Then: the same id twice is one order and a notice; junk of every kind leaves the consumer alive.
        await desk.send(letters[1])
        await until(lambda: any(event["code"] == 3002 for event in desk.events()))
        await desk.send(b"\x00\xffjunk", {"topic": "fly"}, desk.order("x7", price=None), b"{}")
        await desk.send(desk.order("x9"))
        await until(lambda: "x9" in desk.orders())
        assert len(desk.orders()) == 4 and "x7" not in desk.orders()
        await until(lambda: len(desk.events()) >= 5)
        assert {event["text"] for event in desk.events() if "price is missing" in event["text"]}
        assert desk.door.dead_count == 4

    run(Desk(kind, tmp_path), body)


def test_what_cannot_be_read_is_kept_with_its_reason(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        desk.client.serve(Queue(DEAD_QUEUE), desk.dead.append)
        await desk.send(b"not an order")
        await until(lambda: desk.dead)
        assert desk.dead[0].body == b"not an order"
        await desk.bus.ack(desk.dead)

    run(Desk("memory", tmp_path), body)


def test_a_message_id_that_is_no_text_stops_nothing(tmp_path: Path) -> None:
    require("RabbitMQ", 5672)

    async def body(desk: Desk) -> None:
        assert isinstance(desk.client, AmqpBus) and desk.client._outgoing and desk.client._socket
        junk = [Message(desk.settings.exchange, desk.account, b"not an order", "X" * 255)]
        frames = encode(junk, desk.client._outgoing.number, 131_072).replace(b"X" * 255, b"\xff" * 255)
        assert desk.client._socket.write(frames)
        await desk.send(desk.order("good"))
        await until(lambda: "good" in desk.orders())
        await desk.settled()
        assert desk.door.dead_count == 1 and not desk.door.failed.done()

    run(Desk("rabbit", tmp_path), body)


def test_a_fault_of_ours_buries_the_message_and_holds_nothing_up(kind: str, tmp_path: Path) -> None:
    """More of them than may be unacknowledged at once."""

    async def body(desk: Desk) -> None:
        real = desk.rig.trade.insert

        def insert(order: InsertOrder) -> Answer:
            if order.order_id.startswith("f"):
                raise ZeroDivisionError("a fault")
            return real(order)

        desk.rig.trade.insert = insert  # type: ignore[method-assign]
        await desk.send(*(desk.order(f"f{n}") for n in range(70)), desk.order("good"))
        await until(lambda: "good" in desk.orders())
        await desk.settled()
        assert list(desk.orders()) == ["good"]
        assert desk.door.dead_count == 70
        await until(lambda: len(desk.events()) == 70)
        assert {event["code"] for event in desk.events()} == {INTERNAL}

    run(Desk(kind, tmp_path), body)


def test_a_fanout_brings_everything_and_only_ours_is_taken(kind: str, tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        other = desk.account + "x"
        await desk.send(
            desk.order("a"), desk.order("b", account_cookie=other), desk.order("c", account_cookie="zz")
        )
        await until(lambda: "a" in desk.orders() and len(desk.rig.trade.orders(other)) == 1)
        await desk.settled()
        assert list(desk.orders()) == ["a"]
        assert [order.order_id for order in desk.rig.trade.orders(other)] == ["b"]
        assert desk.door.ignored_count == 4  # both queues got all three
        assert desk.door.dead_count == 0

    run(Desk(kind, tmp_path, model="fanout"), body)


@pytest.mark.parametrize("model", ["fanout", "direct", "topic"])
def test_an_order_that_names_no_account_is_nobodys(kind: str, tmp_path: Path, model: str) -> None:
    """Contract 3.3: a missing field drops the message. On a fanout every account had executed it."""

    async def body(desk: Desk) -> None:
        silent = desk.order("silent")
        del silent["account_cookie"]
        await desk.send(silent, {"topic": "transfer", "amount": 5}, desk.order("last"))
        await until(lambda: "last" in desk.orders())
        await desk.settled()
        assert list(desk.orders()) == ["last"] and not desk.rig.trade.orders(desk.account + "x")
        assert desk.rig.trade.funds(desk.account)["deposit"] == 1_000_000
        queues = 2 if model == "fanout" else 1
        assert desk.door.dead_count == 2 * queues
        if kind == "memory":  # of a broker it is everybody's queue
            desk.client.serve(Queue(DEAD_QUEUE), desk.dead.append)
            await until(lambda: len(desk.dead) == 2 * queues)
            assert {letter.body for letter in desk.dead if b"silent" in letter.body}
            await desk.bus.ack(desk.dead)
        await asyncio.sleep(0.1)
        # Only a queue that is one account's alone says whom to tell.
        assert [event["code"] for event in desk.events()] == ([] if model == "fanout" else [1006, 1006])

    run(Desk(kind, tmp_path, model=model), body)


def test_a_topic_with_a_key_of_its_own(kind: str, tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        await desk.send(desk.order("a"), key="orders.anything.at.all")
        await desk.send(desk.order("b"), key="quotes.x")
        await until(lambda: "a" in desk.orders())
        await desk.settled()
        assert list(desk.orders()) == ["a"]

    run(Desk(kind, tmp_path, model="topic", routing_key="orders.#"), body)


async def trade_copper(desk: Desk) -> None:
    """Worked example A, its first day."""
    await desk.send(desk.order("o1", volume=2))
    await until(lambda: "o1" in desk.orders())
    desk.rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
    desk.rig.tick(CU, 75_100)
    await desk.send(desk.order("a2x", order_direction="SELL", order_offset="CLOSE", price=75_200))
    await until(lambda: "a2x" in desk.orders())
    await desk.send(desk.order("o2", order_direction="SELL", order_offset="CLOSETODAY", price=75_200))
    await until(lambda: "o2" in desk.orders())
    desk.rig.tick(CU, 75_200, bid_price1=75_200, bid_volume1=1)


def test_a_the_life_of_copper_comes_out_as_the_contract_says(kind: str, tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        await trade_copper(desk)
        await until(lambda: len(desk.trades) == 2)
        assert [(trade["order_id"], trade["price"], trade["commission"]) for trade in desk.trades] == [
            ("o1", 75_000.0, 37.5),
            ("o2", 75_200.0, 0.0),
        ]

        def last(topic: str) -> dict[str, Any]:
            found = [
                body["data"]
                for name, body in desk.told
                if name == topic and body["account_cookie"] == desk.account
            ]
            return found[-1] if found else {}

        await until(lambda: last("account").get("close_profit") == 1000.0)
        funds = last("account")
        for name, value in {
            "balance": 1_001_962.5,
            "available": 964_462.5,
            "margin": 37_500.0,
            "risk_ratio": 0.0374265503948501,
            "position_profit": 1000.0,
        }.items():
            assert funds[name] == pytest.approx(value, abs=1e-6), name
        await until(lambda: last("position").get("volume_long_today") == 1)
        assert any(event["code"] == 3007 for event in desk.events())

    run(Desk(kind, tmp_path), body)


def test_what_comes_again_is_not_executed_again(kind: str, tmp_path: Path) -> None:
    """Deliveries are cut before they are acknowledged; with ids, with message ids, and with neither."""

    async def body(desk: Desk) -> None:
        asleep = asyncio.Event()
        real = desk.rig.trade.durable

        async def slow(lsn: int) -> None:
            await asleep.wait()
            await real(lsn)

        desk.rig.trade.durable = slow  # type: ignore[method-assign]
        nameless = desk.order(price=74_000)
        await desk.send(*(desk.order(f"o{n}") for n in range(20)))
        await desk.send(nameless, nameless)
        await desk.send(desk.order(price=73_000), message_id="m-1")
        await until(lambda: len(desk.orders()) == 23)
        await desk.cut()
        asleep.set()
        await until(lambda: desk.door.seen_before_count == 23)
        await desk.settled()
        await desk.send(desk.order("last"))
        await until(lambda: "last" in desk.orders())
        assert len(desk.orders()) == 24
        assert not desk.events()
        assert len(desk.audited) == 24 + 23
        assert sum("again" in detail for _, _, detail in desk.audited) == 23

    run(Desk(kind, tmp_path, cash=1e9), body)


def test_orders_wait_until_the_process_is_ready_for_them(tmp_path: Path) -> None:
    """Its market clock is set, and the audit log open."""

    async def body(desk: Desk) -> None:
        desk.is_ready = False
        await desk.send(desk.order("a"), desk.order("b"))
        await until(lambda: desk.door.unacked_count == 2)
        assert not desk.orders() and not desk.audited
        desk.is_ready = True
        await until(lambda: list(desk.orders()) == ["a", "b"])
        await desk.settled()
        assert [detail["order_id"] for _, _, detail in desk.audited] == ["a", "b"]

    run(Desk("memory", tmp_path), body)


def test_the_same_content_twice_is_two_orders_when_it_was_sent_twice(kind: str, tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        await desk.send(desk.order(), desk.order(), desk.order())
        await until(lambda: len(desk.orders()) == 3)
        await desk.send(desk.order(price=74_000), message_id="m-1")
        await desk.send(desk.order(price=74_000), message_id="m-1")
        await until(lambda: any(event["code"] == 3002 for event in desk.events()))
        assert len(desk.orders()) == 4

    run(Desk(kind, tmp_path), body)


def test_cancel_amend_transfer_and_questions(kind: str, tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        await desk.send(desk.order("a", volume=5))
        await desk.send(
            {"topic": "order", "action": "amend_order", "account_cookie": desk.account,
             "data": {"order_id": "a", "volume": 3, "price": 74_990}}
        )  # fmt: skip
        await until(lambda: "a" in desk.orders() and desk.orders()["a"].volume == 3)
        await desk.send({"topic": "cancel_order", "account_cookie": desk.account, "order_id": "a"})
        await until(lambda: not desk.orders()["a"].is_alive)
        await desk.send({"topic": "cancel_order", "account_cookie": desk.account, "order_id": "nobody"})
        await until(lambda: any(event["code"] == 3001 for event in desk.events()))
        await desk.send(
            {"topic": "transfer", "account_cookie": desk.account, "amount": 500, "bank_id": "SIM"}
        )
        await until(lambda: desk.rig.trade.funds(desk.account)["deposit"] == 1_000_500)
        await desk.settled()
        await asyncio.sleep(0.1)
        desk.told.clear()
        await desk.send({"topic": "order", "action": "query_orders", "account_cookie": desk.account})
        await until(lambda: {topic for topic, _ in desk.told} >= {"order", "account"})
        await desk.send({"topic": "peek"}, {"topic": "query_settlement", "day": "20210802"})
        await until(lambda: any(event.get("ask") == "settlement" for event in desk.events()))
        names = [(act, result, detail.get("order_id")) for act, result, detail in desk.audited]
        assert names == [
            ("ORDER_SUBMIT", "SUCCESS", "a"),
            ("ORDER_AMEND", "SUCCESS", "a"),
            ("ORDER_CANCEL", "SUCCESS", "a"),
            ("ORDER_CANCEL", "FAILED", "nobody"),
            ("TRANSFER", "SUCCESS", None),
        ]
        assert desk.audited[0][2]["instrument"] == CU and desk.audited[3][2]["code"] == 3001
        seqs = [body["seq"] for _, body in desk.told if body["account_cookie"] == desk.account]
        assert seqs == sorted(set(seqs))

    run(Desk(kind, tmp_path), body)


def test_a_settled_day_is_asked_for(kind: str, tmp_path: Path) -> None:
    """Contract 3.3: the statement, as the socket and REST have it."""

    async def body(desk: Desk) -> None:
        desk.rig.at("2021-08-02 21:00:01")
        desk.rig.trade.follow_day()
        wanted = await desk.rig.trade.statement(desk.account, 20210802)
        assert desk.account in wanted
        for day in ({"trading_day": 20210802}, {"day": "20210802"}, {"day": "20210730"}, {}):
            await desk.send({"topic": "query_settlement", "account_cookie": desk.account} | day)
        await until(lambda: len([e for e in desk.events() if e.get("ask") == "settlement"]) >= 3)
        await asyncio.sleep(0.1)
        found = {e["trading_day"]: e["text"] for e in desk.events() if e.get("ask") == "settlement"}
        assert found == {20210802: wanted, 20210730: "", 0: wanted}

    run(Desk(kind, tmp_path), body)


def test_trades_are_told_once_over_restarts_of_the_door(kind: str, tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        await trade_copper(desk)
        await until(lambda: len(desk.trades) == 2)
        await desk.door.stop(1.0)
        desk.rig.send("while_away", CU, "SELL", "CLOSETODAY", 1, 75_200, account=desk.account)
        desk.rig.tick(CU, 75_300, bid_price1=75_300, bid_volume1=1)
        for _ in range(2):
            desk.door.renew()
            await desk.door.start()
            await until(lambda: len(desk.trades) == 3)
            await asyncio.sleep(0.1)
            await desk.door.stop(1.0)
        assert [trade["order_id"] for trade in desk.trades] == ["o1", "o2", "while_away"]
        assert len({trade["trade_id"] for trade in desk.trades}) == 3
        desk.door.renew()
        await desk.door.start()

    run(Desk(kind, tmp_path), body)


def test_the_cursor_outlives_torn_writes(tmp_path: Path) -> None:
    path = tmp_path / "a" / "cursor"
    cursor = Cursor(path)
    assert cursor.open() is None
    for number in range(5):
        cursor.put(20210802, number)
    cursor.close()
    assert read_cursor(path) == (20210802, 4)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert read_cursor(path) in ((20210802, 4), (20210802, 3))
    path.write_bytes(b"")
    assert read_cursor(path) is None


def read_cursor(path: Path) -> tuple[int, int] | None:
    cursor = Cursor(path)
    found = cursor.open()
    cursor.close()
    return found


class Stuck(MemoryBus):
    """A broker that takes no messages until it is told to."""

    def __init__(self) -> None:
        super().__init__(prefetch_count=8)
        self.open = asyncio.Event()

    async def publish(self, messages: Any) -> None:
        if any("trades" in message.exchange for message in messages):
            await self.open.wait()
        await super().publish(messages)


def test_when_results_cannot_leave_no_more_orders_are_acknowledged(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        assert isinstance(desk.bus, Stuck)
        desk.rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=100_000)
        await desk.send(*(desk.order(f"o{n}") for n in range(60)))
        await until(lambda: len(desk.orders()) >= 8)
        await asyncio.sleep(0.2)
        held = len(desk.orders())
        assert held < 40  # the bound of the outbox and the prefetch, not everything
        assert not desk.trades
        desk.bus.open.set()
        await until(lambda: len(desk.trades) == 60)
        assert len({trade["trade_id"] for trade in desk.trades}) == 60

    class Held(Desk):
        def make_bus(self) -> Bus:
            return Stuck()

    run(Held("memory", tmp_path, cash=1e9, outbox_count=16), body)


def test_a_redelivered_order_of_a_day_that_is_over_is_refused(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        await desk.door.stop(1.0)
        desk.rig.trade.durable = _never  # type: ignore[method-assign]
        desk.door.renew()
        await desk.door.start()
        await desk.send(desk.order("late"))
        await until(lambda: "late" in desk.orders())
        await desk.door.stop(1.0)
        del desk.rig.trade.durable
        desk.rig.at("2021-08-02 21:30:00")
        desk.rig.trade.follow_day()
        assert desk.rig.trade.trading_day == 20210803
        assert isinstance(desk.bus, MemoryBus)
        desk.bus.cut()
        desk.door.renew()
        await desk.door.start()
        await until(lambda: any(event["order_id"] == "late" for event in desk.events()))
        await desk.send(desk.order("fresh"))
        await until(lambda: "fresh" in desk.orders())
        assert "late" not in desk.orders()

    run(Desk("memory", tmp_path), body)


async def _never(_lsn: int) -> None:
    await asyncio.get_running_loop().create_future()


def test_orders_wait_for_an_instrument_that_is_about_to_come(kind: str, tmp_path: Path) -> None:
    """The market's first quotes come after the broker's first orders; nobody else waits."""

    async def body(desk: Desk) -> None:
        other = desk.account + "x"
        await desk.send(desk.order("early", code="cu2112"), desk.order("after"), desk.order(code="cu2112"))
        await desk.send(desk.order("mine", account_cookie=other), key=other)
        await until(lambda: desk.rig.trade.orders(other))
        assert not desk.orders()
        assert desk.asked == ["SHFE.cu2112"]
        desk.rig.tick("SHFE.cu2112", 75_000, upper_limit=82_500, lower_limit=67_500, pre_settlement=75_000)
        await until(lambda: len(desk.orders()) == 3)
        first, second, third = desk.rig.trade.orders(desk.account)
        assert (first.order_id, second.order_id, third.symbol) == ("early", "after", "SHFE.cu2112")
        await desk.settled()
        await desk.send(desk.order("never", code="cu2201"), desk.order("then"))
        await until(lambda: "then" in desk.orders())
        await until(lambda: any(event["order_id"] == "never" for event in desk.events()))
        assert [event["code"] for event in desk.events()] == [1007]

    run(Desk(kind, tmp_path, instrument_wait_s=0.5), body)


def test_orders_for_many_instruments_that_never_come_wait_at_the_same_time(kind: str, tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        wrong = [desk.order(f"w{n}", code=f"cu{3001 + n}") for n in range(12)]
        coming = desk.order("coming", code="cu2112")
        began_s = monotonic_s()
        await desk.send(*wrong, coming, desk.order("good"), {"topic": "cancel_order"}, b"junk")
        await until(lambda: len(desk.asked) == 13)
        desk.rig.tick("SHFE.cu2112", 75_000, upper_limit=82_500, lower_limit=67_500, pre_settlement=75_000)
        await until(lambda: "good" in desk.orders())
        assert monotonic_s() - began_s < 3.0, "twelve waits, one after another"
        assert list(desk.orders()) == ["coming", "good"]
        await desk.settled()
        assert len(desk.asked) == 13 and CU not in desk.asked

    run(Desk(kind, tmp_path, instrument_wait_s=0.7), body)
