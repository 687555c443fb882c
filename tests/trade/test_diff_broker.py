"""The DIFF broker against a gateway of the test's making: what is shown, refused, and what is not known."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from qautlra._core.market import Calendar, Instruments
from qautlra._core.tape import Tape
from qautlra.app.brokers import Brokers
from qautlra.base.clock import WallClock
from qautlra.base.errors import ConfigError, UnavailableError
from qautlra.base.secret import Secret
from qautlra.config.tree import BrokerLogin, BrokerSite, Config, Trade
from qautlra.link.memory_bus import MemoryBus
from qautlra.link.trade_client import TradeClientOptions
from qautlra.model import codes
from qautlra.model.order import CancelOrder, Change, Direction, InsertOrder, Offset
from qautlra.net.amqp_out import Cursor
from qautlra.net.trade_amqp import TradeAmqp
from qautlra.trade.brokers.base import UNKNOWN
from qautlra.trade.brokers.diff import GONE, DiffBroker
from qautlra.wire.trade_client import Tree
from tests.e2e.test_tls import certificate as certificate_in
from tests.link.test_bus import until
from tests.models.market import CALENDAR
from tests.trade.rig import PRODUCTS, SECTIONS

USER = "acc001"


def account(**parts: Any) -> dict[str, Any]:
    """The whole tree as a stock open-trade-gateway sends it: no WithdrawQuota, "-" for what is no number."""
    money = {"user_id": USER, "currency": "CNY", "balance": 1_000_000.0, "available": 1e6, "risk_ratio": "-"}
    tree = {"user_id": USER, "trading_day": "20210802", "trade_more_data": False, "accounts": {"CNY": money}}
    tree |= {"positions": {}, "orders": {}, "trades": {}, "banks": {}, "transfers": {}}
    return {"aid": "rtn_data", "data": [{"trade": {USER: tree | parts}}]}


def shown(order_id: str, status: str = "ALIVE", left: int = 1) -> dict[str, Any]:
    return {
        "user_id": USER,
        "order_id": order_id,
        "exchange_id": "SHFE",
        "instrument_id": "cu2109",
        "direction": "BUY",
        "offset": "OPEN",
        "volume_orign": 1,
        "price_type": "LIMIT",
        "limit_price": 75_000.0,
        "time_condition": "GFD",
        "volume_condition": "ANY",
        "insert_date_time": 1,
        "exchange_order_id": "9",
        "status": status,
        "volume_left": left,
        "last_msg": "",
    }


class Gateway:
    """Shows `orders` at a login; with `silent`, takes an order and hangs up.

    With `deaf` it hangs up and has no order, with `mute` it has none and says nothing.
    """

    def __init__(self) -> None:
        self.orders: dict[str, Any] = {}
        self.got: list[dict[str, Any]] = []
        self.silent = False
        self.deaf = False
        self.mute = False
        self.password = "pass"
        self.why = "用户登录失败"
        self.url = ""
        self.sockets: list[ServerConnection] = []

    async def talk(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        async for message in socket:
            frame = json.loads(message)
            self.got.append(frame)
            kind = frame["aid"]
            if kind == "req_login" and frame["password"] != self.password:
                text = {"type": "MESSAGE", "level": "WARNING", "code": 403, "content": self.why}
                await socket.send(json.dumps({"aid": "rtn_data", "data": [{"notify": {"n": text}}]}))
            elif kind == "req_login":
                await socket.send("not json")
                await socket.send(json.dumps(account(orders=self.orders)))
            elif kind == "insert_order" and self.deaf:
                self.deaf = False
                await socket.close()
                return
            elif kind == "insert_order" and not self.mute:
                self.orders[frame["order_id"]] = shown(frame["order_id"])
                if self.silent:
                    self.silent = False
                    await socket.close()
                    return
                patch = {"orders": {frame["order_id"]: shown(frame["order_id"])}}
                await socket.send(json.dumps({"aid": "rtn_data", "data": [{"trade": {USER: patch}}]}))


def order(order_id: str) -> InsertOrder:
    return InsertOrder(
        account_id=USER,
        order_id=order_id,
        symbol="SHFE.cu2109",
        direction=Direction.BUY,
        offset=Offset.OPEN,
        volume=1,
        limit_price=75_000,
    )


def run(
    body: Callable[[Gateway, DiffBroker], Awaitable[None]],
    password: str = "pass",
    why: str = "用户登录失败",
    password_there: str = "pass",
    certificate: tuple[Path, Path] | None = None,
    ca_path: str = "",
) -> None:
    async def main() -> None:
        gateway = Gateway()
        gateway.why, gateway.password = why, password_there
        secure = None
        if certificate is not None:
            secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            secure.load_cert_chain(*certificate)
        async with asyncio.timeout(20), serve(gateway.talk, "127.0.0.1", 0, ssl=secure) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            options = TradeClientOptions(
                f"{'wss' if secure else 'ws'}://127.0.0.1:{port}",
                "simnow",
                USER,
                Secret(password),
                retry_min_s=0.02,
                retry_max_s=0.05,
                refused_s=0.1,
                ca_path=ca_path,
            )
            broker = DiffBroker(options)
            assert broker.insert(order("too early")).code == 5002
            await broker.start()
            try:
                await body(gateway, broker)
            finally:
                await broker.stop(1.0)

    asyncio.run(main())


def test_a_gateway_with_a_certificate_of_its_own_is_trusted_where_that_is_said(tmp_path: Path) -> None:
    pair = certificate_in(tmp_path)

    async def trades(_gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: broker.health()["state"] == "running")

    async def does_not(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: "certificate verify failed" in str(broker.health()))
        assert broker.health()["state"] != "running" and gateway.got == []

    run(trades, certificate=pair, ca_path=str(pair[0]))
    run(does_not, certificate=pair)


def test_an_order_is_durable_when_it_is_shown() -> None:
    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        changes: list[Change] = []
        broker.subscribe(None, lambda change, _prepared: changes.append(change))
        await until(lambda: broker.health()["state"] == "running")
        assert broker.trading_day == 20210802 and broker.funds(USER)["balance"] == 1_000_000
        answer = broker.insert(order("o1"))
        assert answer.ok and broker.insert(order("o1")).code == 3002
        await broker.durable(answer.lsn)
        found = broker.find(USER, "o1")
        assert found is not None and found.is_alive and found.symbol == "SHFE.cu2109"
        assert broker.insert(order("o1")).code == 3002 and changes[-1].orders == (found.number,)
        assert broker.cancel(CancelOrder(account_id=USER, order_id="nobody")).code == 3001
        assert broker.cancel(CancelOrder(account_id=USER, order_id="o1")).ok
        await until(lambda: gateway.got[-1]["aid"] == "cancel_order")
        assert sum(frame["aid"] == "insert_order" for frame in gateway.got) == 1

    run(body)


def test_transfers_are_those_the_gateway_shows() -> None:
    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: broker.health()["state"] == "running")
        assert broker.transfers(USER) == []
        late = {"datetime": 2_000, "currency": "CNY", "amount": -5.0, "error_id": 9, "error_msg": "no"}
        early = late | {"datetime": 1_000, "amount": 7.0, "error_id": 0}
        shown = {"b": late, "a": early, "c": {"amount": []}}
        packet = {"aid": "rtn_data", "data": [{"trade": {USER: {"transfers": shown}}}]}
        await gateway.sockets[-1].send(json.dumps(packet))
        await until(lambda: len(broker.transfers(USER)) == 2)
        found = [(one.seq, one.amount, one.code, one.time_ns) for one in broker.transfers(USER)]
        assert found == [(1, 7.0, 0, 1_000), (2, -5.0, 9, 2_000)]

    run(body)


def test_what_was_sent_and_not_shown_is_unknown_and_never_sent_again() -> None:
    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: broker.health()["state"] == "running")
        gateway.silent = True
        answer = broker.insert(order("o1"))
        with pytest.raises(UnavailableError):
            await broker.durable(answer.lsn)
        await until(lambda: broker.health()["connects"] == 2)
        assert broker.insert(order("o1")).code == 3002  # the next login shows that it arrived
        assert sum(frame["aid"] == "insert_order" for frame in gateway.got) == 1

    run(body)


def test_an_order_that_never_arrived_is_shown_as_unknown_and_not_sent_again() -> None:
    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: broker.health()["state"] == "running")
        told: list[str] = []
        broker.subscribe(USER, lambda change, _: told.extend(broker.order(n).message for n in change.orders))
        gateway.deaf = True
        answer = broker.insert(order("o1"))
        found = broker.find(USER, "o1")
        assert found is not None and found.is_alive and found.number == answer.number
        assert broker.cancel(CancelOrder(account_id=USER, order_id="o1")).ok  # on its way, and so is this
        with pytest.raises(UnavailableError):
            await broker.durable(answer.lsn)
        await until(lambda: broker.health()["connects"] == 2)
        await asyncio.sleep(0.1)
        found = broker.find(USER, "o1")
        assert found is not None and found.message == UNKNOWN and told[-1] == UNKNOWN
        assert broker.insert(order("o1")).code == 3002
        assert sum(frame["aid"] == "insert_order" for frame in gateway.got) == 1
        gateway.orders["o1"] = shown("o1", "FINISHED", 0)  # it did arrive, late
        for socket in list(gateway.sockets):
            await socket.close()
        await until(lambda: not broker.orders(USER)[0].is_alive)
        assert broker.orders(USER)[0].volume_left == 0 and len(broker.orders(USER)) == 1

    run(body)


@pytest.mark.parametrize("late", [False, True])
def test_an_order_that_no_login_shows_was_never_placed(monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    monkeypatch.setattr("qautlra.trade.brokers.diff.CONFIRM_S", 0.3)

    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: broker.is_synced)
        await broker.durable(broker.insert(order("kept")).lsn)
        gateway.deaf = True
        answer = broker.insert(order("o1"))
        with pytest.raises(UnavailableError):
            await broker.durable(answer.lsn)
        await until(lambda: broker.health()["connects"] == 2)
        changes: list[Change] = []
        broker.subscribe(None, lambda change, _prepared: changes.append(change))
        lost = broker.orders(USER)[1]
        assert lost.is_alive and lost.message == UNKNOWN  # not yet: it may be behind the login
        packet = {"aid": "rtn_data", "data": [{"trade": {USER: {"orders": {"o1": shown("o1")}}}}]}
        if late:
            await gateway.sockets[-1].send(json.dumps(packet))
            await asyncio.sleep(0.5)
            assert all(one.is_alive and not one.message for one in broker.orders(USER))
            return
        await until(lambda: not broker.orders(USER)[1].is_alive)
        lost = broker.orders(USER)[1]
        assert (lost.code, lost.volume_left, lost.update_ns > lost.insert_ns) == (
            codes.NEVER_ARRIVED,
            1,
            True,
        )
        assert "未到达柜台" in lost.message and changes[-1].orders == (1,)
        assert broker.orders(USER)[0].is_alive
        assert broker.insert(order("o1")).code == codes.DUPLICATE
        assert sum(frame["aid"] == "insert_order" for frame in gateway.got) == 2
        await gateway.sockets[-1].send(json.dumps(packet))  # later than anybody waits: it counts as it comes
        await until(lambda: broker.orders(USER)[1].is_alive)
        assert (broker.orders(USER)[1].code, broker.orders(USER)[1].exchange_order_id) == (0, "9")

    run(body)


def test_an_order_that_a_gateway_has_forgotten_does_not_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qautlra.trade.brokers.diff.CONFIRM_S", 0.1)

    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: broker.is_synced)
        await broker.durable(broker.insert(order("o1")).lsn)
        gateway.orders.clear()
        await gateway.sockets[-1].close()
        await until(lambda: not broker.orders(USER)[0].is_alive)
        assert (broker.orders(USER)[0].code, broker.orders(USER)[0].message) == (0, GONE)

    run(body)


def test_an_order_the_gateway_refuses_is_a_refused_one() -> None:
    """Its last word where it has one (a simulated open-trade-gateway has none), its warning in any case."""

    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        changes: list[Change] = []
        broker.subscribe(None, lambda change, _prepared: changes.append(change))
        await until(lambda: broker.is_synced)
        gateway.mute = True
        for order_id, reason in (("o1", "资金不足"), ("o2", "")):
            answer = broker.insert(order(order_id))
            ended = shown(order_id, "FINISHED") | {"exchange_order_id": "", "last_msg": reason}
            warning = {"type": "MESSAGE", "level": "WARNING", "code": 413, "content": "开仓保证金不足"}
            data = [{"notify": {"n": warning}}, {"trade": {USER: {"orders": {order_id: ended}}}}]
            await gateway.sockets[-1].send(json.dumps({"aid": "rtn_data", "data": data}))
            await broker.durable(answer.lsn)
            found = broker.find(USER, order_id)
            assert found is not None and not found.is_alive and found.code == codes.REFUSED_THERE
            assert found.message == (reason or "柜台拒绝报单") and found.update_ns > found.insert_ns
        said = [one for change in changes for one in change.said]
        assert [(one.code, one.text, one.level) for one in said] == [(413, "开仓保证金不足", "WARNING")] * 2
        withdrawn = shown("o3", "FINISHED")
        packet = {"aid": "rtn_data", "data": [{"trade": {USER: {"orders": {"o3": withdrawn}}}}]}
        await gateway.sockets[-1].send(json.dumps(packet))
        await until(lambda: broker.find(USER, "o3") is not None)
        assert broker.orders(USER)[-1].code == 0

    run(body)


def test_an_order_the_gateway_says_nothing_of_is_unknown_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qautlra.trade.brokers.diff.CONFIRM_S", 0.1)

    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: broker.is_synced)
        gateway.mute = True
        answer = broker.insert(order("o1"))
        assert not broker.is_shown(USER, "o1")
        with pytest.raises(UnavailableError) as error:
            await broker.durable(answer.lsn)
        assert error.value.details["zh"] == UNKNOWN
        assert broker.orders(USER)[0].message == UNKNOWN and broker.is_shown(USER, "o1")
        assert broker.cancel(CancelOrder(account_id=USER, order_id="o1")).ok
        await until(lambda: gateway.got[-1]["aid"] == "cancel_order")
        assert broker.insert(order("o1")).code == codes.DUPLICATE
        patch = {"orders": {"o1": shown("o1")}}  # late, and right all the same
        await gateway.sockets[-1].send(json.dumps({"aid": "rtn_data", "data": [{"trade": {USER: patch}}]}))
        await until(lambda: broker.orders(USER)[0].exchange_order_id == "9")
        gateway.mute = False
        await broker.durable(broker.insert(order("o2")).lsn)
        await asyncio.sleep(0.2)
        assert broker.orders(USER)[1].message == ""

    run(body)


def test_what_a_login_shows_is_in_the_order_of_its_times_and_fees_may_come_later() -> None:
    def traded(trade_id: str, time_ns: int, commission: float = 0.0) -> dict[str, Any]:
        words = {"user_id": USER, "trade_id": trade_id, "exchange_id": "SHFE", "instrument_id": "cu2109"}
        words |= {"order_id": "z", "exchange_trade_id": trade_id, "direction": "BUY", "offset": "OPEN"}
        return words | {"volume": 1, "price": 5.0, "trade_date_time": time_ns, "commission": commission}

    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        changes: list[Change] = []
        await until(lambda: broker.is_synced)
        broker.subscribe(None, lambda change, _prepared: changes.append(change))
        gateway.orders |= {"b": shown("b") | {"insert_date_time": 2}, "z": shown("z")}
        await gateway.sockets[-1].close()
        await until(lambda: len(broker.orders(USER)) == 2)
        assert [one.order_id for one in broker.orders(USER)] == ["z", "b"]
        for trades in ({"x": traded("x", 2), "y": traded("y", 1)}, {"y": traded("y", 1, 0.5)}):
            packet = {"aid": "rtn_data", "data": [{"trade": {USER: {"trades": trades}}}]}
            await gateway.sockets[-1].send(json.dumps(packet))
        await until(lambda: any(change.reckoned for change in changes))
        assert [(one.trade_id, one.commission) for one in broker.trades(USER)] == [("y", 0.5), ("x", 0.0)]
        assert changes[-1].reckoned == (0,) and changes[-1].trades == ()

    run(body)


def test_a_day_that_ends_while_the_link_stands_takes_its_orders_and_trades_with_it() -> None:
    """A gateway need not delete them, and TqSdk would not bear it: nothing of them is of the new day."""

    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: broker.is_synced)
        trade = {"trade_id": "t", "exchange_id": "SHFE", "instrument_id": "cu2109", "order_id": "o1"}
        trade |= {"direction": "BUY", "offset": "OPEN", "volume": 1, "price": 5.0, "trade_date_time": 1}
        old = {"orders": {"o1": shown("o1", "FINISHED", 0)}, "trades": {"t": trade}}
        old |= {"transfers": {"1": {"datetime": 1, "currency": "CNY", "amount": 5.0, "error_id": 0}}}
        await gateway.sockets[-1].send(json.dumps({"aid": "rtn_data", "data": [{"trade": {USER: old}}]}))
        await until(lambda: broker.trades(USER) and broker.transfers(USER))
        changes: list[Change] = []
        broker.subscribe(None, lambda change, _prepared: changes.append(change))
        packet = account(orders={"o2": shown("o2")}, trading_day="20210803")
        await gateway.sockets[-1].send(json.dumps(packet))
        await until(lambda: broker.trading_day == 20210803)
        assert [one.order_id for one in broker.orders(USER)] == ["o2"]
        assert broker.trades(USER) == [] and broker.transfers(USER) == []
        (change,) = changes
        assert change.day and change.orders == (0,) and change.trades == ()
        assert broker.insert(order("o1")).ok

    run(body)


def test_a_process_for_this_account_alone_tells_its_trades_by_names_of_their_own(tmp_path: Path) -> None:
    """Not by this process's numbers: another process's trades, and its own after a restart, had the same."""

    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        bus, told = MemoryBus(prefetch_count=8), []
        publish = bus.publish

        async def listened(messages: Any) -> None:
            told.extend(m.message_id for m in messages if m.exchange == "QATRANSACTION")
            await publish(messages)

        bus.publish = listened  # type: ignore[method-assign]
        trade = {"trade_id": "t", "exchange_id": "SHFE", "instrument_id": "cu2109", "order_id": "o1"}
        trade |= {"direction": "BUY", "offset": "OPEN", "volume": 1, "price": 5.0, "trade_date_time": 1}
        packet = {"aid": "rtn_data", "data": [{"trade": {USER: {"trades": {"t": trade}}}}]}
        for count in (1, 2):  # the second is a restart with the same cursor
            door = TradeAmqp(
                trade=broker, bus=bus, cursor=Cursor(tmp_path / "cursor"),
                resolve=lambda name: name, now_ns=lambda: 1,
            )  # fmt: skip
            await door.start()
            await until(lambda: broker.is_synced)
            if count == 1:
                await gateway.sockets[-1].send(json.dumps(packet))
            else:
                broker._tell(Change(account_id=USER, trades=(0,)))
            await until(lambda count=count: len(told) == count)  # type: ignore[misc]
            await door.stop(1.0)
        assert told == [f"20210802-{USER}-t"] * 2

    run(body)


def test_a_position_that_the_gateway_shows_no_more_is_flat() -> None:
    """Deleted on a link that stands, or left out at the next login: who was told of it is told of its end."""

    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: broker.is_synced)
        held = {"SHFE.cu2109": {"volume_long": 2, "margin": 9.0}, "DCE.m2109": {"volume_short": 3}}
        packet = {"aid": "rtn_data", "data": [{"trade": {USER: {"positions": held}}}]}
        await gateway.sockets[-1].send(json.dumps(packet))
        await until(lambda: len(broker.positions(USER)) == 2)
        told: set[str] = set()
        broker.subscribe(None, lambda change, _prepared: told.update(change.symbols))
        deleted = {"positions": {"SHFE.cu2109": None}}
        await gateway.sockets[-1].send(json.dumps({"aid": "rtn_data", "data": [{"trade": {USER: deleted}}]}))
        await until(lambda: told == {"SHFE.cu2109"})
        await gateway.sockets[-1].close()
        await until(lambda: told == {"SHFE.cu2109", "DCE.m2109"})
        shown = {row["symbol"]: row for row in broker.positions(USER)}
        assert set(shown) == {"SHFE.cu2109", "DCE.m2109"}
        assert not any(row["volume_long"] or row["volume_short"] or row["margin"] for row in shown.values())

    run(body)


def test_an_account_is_whole_when_the_gateway_says_that_nothing_more_comes() -> None:
    tree = Tree(USER)
    tree.read(json.dumps(account(trade_more_data=True)))
    assert not tree.is_whole
    tree.read(json.dumps({"aid": "rtn_data", "data": [{"trade": {USER: {"trade_more_data": False}}}]}))
    assert tree.is_whole


def test_a_wrong_password_is_not_tried_again() -> None:
    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: broker.health()["state"] == "refused")
        await asyncio.sleep(0.2)
        assert sum(frame["aid"] == "req_login" for frame in gateway.got) == 1
        assert broker.insert(order("o1")).code == 5002

    run(body, password="wrong")


def test_a_login_is_tried_again_when_the_reason_passes() -> None:
    """A gateway that starts, or that counts too many logins from one address, says so."""

    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: "频繁" in str(broker.health().get("error", "")) and broker.state == "waiting")
        assert broker.status_of(USER) == 100
        gateway.password = "pass"
        await until(lambda: broker.is_synced)
        assert sum(frame["aid"] == "req_login" for frame in gateway.got) >= 2

    gateway_says = "用户登录失败,请求过于频繁"
    run(body, why=gateway_says, password_there="other")


@pytest.mark.parametrize("why", ["交易服务器登录失败,CTP:不合法的登录", "用户登录失败,用户名或密码错误"])
def test_a_login_refused_in_whatever_words_is_not_tried_again(why: str) -> None:
    async def body(gateway: Gateway, broker: DiffBroker) -> None:
        await until(lambda: broker.state == "refused")
        await asyncio.sleep(0.2)
        assert sum(frame["aid"] == "req_login" for frame in gateway.got) == 1
        assert broker.health()["error"] == why and broker.status_of(USER) == 600

    run(body, password="wrong", why=why)


def test_the_tree_takes_anything() -> None:
    tree = Tree(USER)
    for text in ("[]", "5", "{", '"x"'):
        with pytest.raises(ValueError):
            tree.read(text)
    for frame in (
        {"aid": "rtn_data", "data": 5},
        {"aid": "rtn_data", "data": [5, {"trade": 5}, {"trade": {USER: 5}}, {"notify": {"n": 5}}]},
        {"aid": "rtn_data", "data": [{"trade": {USER: {"orders": {"a": 5, "b": {"direction": 7}}}}}]},
        {
            "aid": "rtn_data",
            "data": [{"trade": {USER: {"positions": {"SHFE_cu2109": {"volume_long": "-"}}}}}],
        },
        {"aid": "rtn_brokers", "brokers": ["simnow"]},
    ):
        tree.read(json.dumps(frame))
    assert tree.order("a") is None and tree.trade("none") is None
    assert tree.positions() == [{"symbol": "SHFE.cu2109"}] and not tree.is_whole
    tree.read(json.dumps(account()))
    assert tree.is_whole and "risk_ratio" not in tree.funds()
    tree.read(json.dumps({"aid": "rtn_data", "data": [{"trade": {USER: {"accounts": None}}}]}))
    assert tree.funds() == {}


def test_certificates_that_cannot_be_read_are_named_by_their_setting(tmp_path: Path) -> None:
    site = BrokerSite(url="wss://127.0.0.1:1", ca_path=str(tmp_path / "none.pem"))
    config = Config(trade=Trade(brokers={"house": site}, logins={USER: BrokerLogin(password=Secret("x"))}))
    calendar = Calendar({**CALENDAR, "sections": SECTIONS}, PRODUCTS)
    instruments = Instruments(calendar, 20210802)
    brokers = Brokers(config, instruments, Tape(instruments, calendar, 1024), WallClock())
    with pytest.raises(ConfigError) as refused:
        brokers.make("house", USER)
    assert refused.value.key == "trade.brokers.house.ca_path"
