"""The trade session without a socket: what it may hold, what it may say, and of whom."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest

from qautlra.auth.rights import Access, Role
from qautlra.auth.service import AuthOptions, AuthService
from qautlra.base.errors import InvariantError
from qautlra.net import trade_session
from qautlra.net.trade_channel import Channels
from qautlra.net.trade_session import TradeSession
from qautlra.wire import trade_requests as asks
from tests.net.trade_desk import PASSWORD
from tests.trade.rig import ACCOUNT, Rig

CU = "SHFE.cu2109"


class Client:
    """Where a session's packets go."""

    def __init__(self) -> None:
        self.is_full = False
        self.sent: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.tree: dict[str, Any] = {}

    def send_pieces(self, pieces: Sequence[bytes]) -> None:
        self.send(b"".join(pieces))

    def send(self, text: bytes) -> None:
        packet = orjson.loads(text)
        self.sent.append(packet)
        for patch in packet.get("data", ()):
            _merge(self.tree, patch)

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    @property
    def codes(self) -> list[int]:
        return [notice["code"] for notice in self.tree.get("notify", {}).values()]


class Room(Rig):
    """Trading with users; `open` gives a session and what it says."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        super().__init__(directory, **settings)
        self.auth = AuthService(directory, AuthOptions(login_attempts_per_min=100))
        self.channels = Channels(self.trade)
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Room:
        await self.auth.start()
        await super().__aenter__()
        for name in (ACCOUNT, "other"):
            await self.auth.add_user(name, PASSWORD, Role.TRADER)
            self.trade.open_account(name, 1_000_000)
            await self.auth.write(self.auth.users.grant, name, name, Access.OWN, broker="paper", cash=0.0)
        self.quotes()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await super().__aexit__()
        await self.auth.stop(1.0)

    def open(self) -> tuple[TradeSession, Client]:
        client = Client()

        def spawn(work: Coroutine[Any, Any, None]) -> None:
            self.tasks.append(asyncio.get_running_loop().create_task(work))

        session = TradeSession(
            self.trade, self.auth, self.channels, client, address="127.0.0.1", spawn=spawn, push=True
        )
        return session, client

    async def log_in(self, user: str = ACCOUNT) -> tuple[TradeSession, Client]:
        session, client = self.open()
        say(session, "req_login", bid="paper", user_name=user, password=PASSWORD)
        await until(lambda: client.tree.get("trade", {}).get(user, {}).get("accounts"))
        return session, client


def say(session: TradeSession, aid: str, **more: Any) -> None:
    session.receive(orjson.dumps({"aid": aid, **more}).decode())


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def go(directory: Path, body: Any, **settings: Any) -> None:
    async def main() -> None:
        async with Room(directory, **settings) as room:
            await asyncio.wait_for(body(room), 30)

    asyncio.run(main())


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def test_what_is_commanded_is_in_the_audit_log(tmp_path: Path) -> None:
    """Orders, withdrawals, transfers and conditional orders, taken or refused, in REST's words."""

    async def body(room: Room) -> None:
        session, client = await room.log_in()
        order = {"user_id": ACCOUNT, "exchange_id": "SHFE", "instrument_id": "cu2109", "direction": "BUY"}
        order |= {"offset": "OPEN", "volume": 1, "price_type": "LIMIT", "limit_price": 74_000.0}
        order |= {"time_condition": "GFD", "volume_condition": "ANY"}
        say(session, "insert_order", order_id="o1", **order)
        say(session, "insert_order", order_id="o1", **order)
        say(session, "cancel_order", user_id=ACCOUNT, order_id="o1")
        say(session, "cancel_order", user_id=ACCOUNT, order_id="nobody")
        say(session, "req_transfer", future_account=ACCOUNT, bank_id="SIM", currency="CNY", amount=5.0)
        say(session, "cancel_condition_order", user_id=ACCOUNT, order_id="c1")
        say(session, "insert_order", order_id="o2", **order | {"user_id": "other"})  # not a command of his
        await until(lambda: 408 in client.codes)
        found = [
            (one.type, one.result, orjson.loads(one.detail))
            for one in reversed(room.auth.audit.read(account_id=ACCOUNT))
        ]
        detail = {
            "order_id": "o1",
            "instrument": CU,
            "direction": "BUY",
            "offset": "OPEN",
            "volume": 1,
            "price": 74_000.0,
        }
        assert found == [
            ("ORDER_SUBMIT", "SUCCESS", detail),
            ("ORDER_SUBMIT", "FAILED", detail | {"code": 3002}),
            ("ORDER_CANCEL", "SUCCESS", {"order_id": "o1"}),
            ("ORDER_CANCEL", "FAILED", {"order_id": "nobody", "code": 3001}),
            ("TRANSFER", "SUCCESS", {"amount": 5.0, "bank_id": "SIM"}),
            ("ORDER_CANCEL", "FAILED", {"conditional": "c1"}),
        ]
        assert {(one.user_id, one.address) for one in room.auth.audit.read(account_id=ACCOUNT)} == {
            (ACCOUNT, "127.0.0.1")
        }
        assert not room.auth.audit.verify().reason

    go(tmp_path, body)


def test_a_failure_to_tell_is_the_process_not_the_one_whose_order_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()
        seen: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["exception"]))
        error = InvariantError("of our own making")

        def fail(**_: bool) -> None:
            raise error

        monkeypatch.setattr(room.trade.engine, "collect", fail)
        room.send("o1", CU, "BUY", "OPEN", 1, 74_000)
        session.paused()
        assert (seen, client.closed) == ([error], None)
        monkeypatch.undo()
        await until(lambda: "o1" in client.tree["trade"][ACCOUNT].get("orders", {}))

    go(tmp_path, body, durability="process")


def test_a_tree_asked_for_does_not_overtake_what_changes_meanwhile(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()

        def status() -> Any:
            return client.tree["trade"][ACCOUNT]["orders"].get("o1", {}).get("status")

        room.send("o1", CU, "BUY", "OPEN", 1, 74_000)
        say(session, "qry_account_info")
        room.cancel("o1")
        await until(lambda: 419 in client.codes and status() == "FINISHED")
        await asyncio.sleep(0.1)
        assert status() == "FINISHED"

    go(tmp_path, body, durability="power")


def test_a_grant_that_is_taken_away_ends_what_is_told(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()
        await room.auth.write(room.auth.users.revoke, ACCOUNT, ACCOUNT)
        await asyncio.sleep(1.1)
        room.send("o1", CU, "BUY", "OPEN", 1, 74_000)
        await until(lambda: client.closed)
        await asyncio.sleep(0.2)
        assert client.closed is not None and client.closed[0] == 1008
        assert "o1" not in str(client.sent)
        session.detached()

    go(tmp_path, body)


@pytest.mark.parametrize("change", ["disable", "password"])
def test_a_user_put_out_is_told_nothing_more(tmp_path: Path, change: str) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()
        if change == "disable":
            await room.auth.write(room.auth.users.set_disabled, ACCOUNT, True)
        else:
            await room.auth.set_password(ACCOUNT, "Another-pass-2")
        await asyncio.sleep(1.1)
        room.send("o1", CU, "BUY", "OPEN", 1, 74_000)
        say(session, "qry_account_info")
        await until(lambda: client.closed)
        await asyncio.sleep(0.2)
        assert "o1" not in str(client.sent)

    go(tmp_path, body)


def test_strangers_hold_little_memory(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        session, client = room.open()
        big = [{"contingent_type": "price", "instrument_id": "x" * 100}] * 400
        for _ in range(60):
            say(session, "insert_condition_order", user_id="x", condition_list=big, order_list=[])
        await asyncio.sleep(0)
        assert session.held_bytes <= trade_session.MAX_HELD_BYTES
        assert 15 in client.codes

    go(tmp_path, body)


def test_a_history_that_is_not_durable_is_not_told(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()
        room.send("o1", CU, "BUY", "OPEN", 1, 74_000)
        say(session, "qry_his_condition_order", user_id=ACCOUNT, action_day=20210802)
        assert client.sent[-1]["aid"] != "rtn_his_condition_orders"
        await until(lambda: client.sent[-1]["aid"] == "rtn_his_condition_orders")

    go(tmp_path, body, durability="power")


def test_an_order_met_again_is_told_when_the_first_is_durable(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()
        first = room.send("o1", CU, "BUY", "OPEN", 1, 74_000)
        again = room.send("o1", CU, "BUY", "OPEN", 1, 74_000)
        assert not again.ok and again.lsn >= first.lsn > 0
        order = {"exchange_id": "SHFE", "instrument_id": "cu2109", "direction": "BUY", "offset": "OPEN"}
        say(
            session, "insert_order", user_id=ACCOUNT, order_id="o1", volume=1, limit_price=74_000, **order,
        )  # fmt: skip
        session.receive('{"aid":"ping"}')
        assert 407 not in client.codes
        await until(lambda: 407 in client.codes)

    go(tmp_path, body, durability="power")


# --- the table of requests: each by someone who may not ---

ORDER = {
    "exchange_id": "SHFE", "instrument_id": "cu2109", "direction": "BUY", "offset": "OPEN", "volume": 1,
    "price_type": "LIMIT", "limit_price": 74_000,
}  # fmt: skip
LEG = {"exchange_id": "SHFE", "instrument_id": "cu2109", "direction": "BUY", "offset": "OPEN", "volume": 1}
CONDITION = {
    "contingent_type": "price", "exchange_id": "SHFE", "instrument_id": "cu2109",
    "contingent_price": 76_000, "price_relation": "GE",
}  # fmt: skip
BANK = {"bank_id": "SIM", "future_account": "", "future_password": "", "bank_password": "", "currency": "CNY"}
REQUESTS: dict[str, dict[str, Any]] = {
    "insert_order": {"order_id": "mine", **ORDER},
    "cancel_order": {"order_id": "theirs"},
    "req_transfer": {"amount": 5_000.0, **BANK},
    "qry_settlement_info": {"trading_day": 20210801},
    "change_trading_account_password": {},
    "qry_account_info": {},
    "qry_transfer_serial": {},
    "qry_account_register": {},
    "qry_bankcapital": {"bank_id": "SIM"},
    "confirm_settlement": {},
    "insert_condition_order": {"order_id": "c2", "condition_list": [CONDITION], "order_list": [LEG]},
    "cancel_condition_order": {"order_id": "c1"},
    "pause_condition_order": {"order_id": "c1"},
    "resume_condition_order": {"order_id": "c1"},
    "qry_his_condition_order": {"action_day": 20210802},
    "change_password": {"old_password": "wrong-Pass-9", "new_password": "Another-pass-2"},
}
OUTSIDE = {"req_login", "peek_message", "ping"}  # who one is, and nothing of an account


def test_the_table_names_every_request() -> None:
    tags = {str(kind.__struct_config__.tag) for kind in get_args(asks._REQUESTS)}
    assert tags == set(REQUESTS) | OUTSIDE


def _state_of(room: Room) -> Any:
    trade = room.trade
    conditions = [(o.order_id, str(o.status)) for o in trade.conditions.list(ACCOUNT)]
    orders = [(o.order_id, o.is_alive) for o in trade.orders(ACCOUNT)]
    return trade.funds(ACCOUNT), orders, conditions, trade.transfers(ACCOUNT)


@pytest.mark.parametrize("who", ["stranger", "viewer", "revoked"])
def test_no_request_reaches_an_account_one_may_not_touch(tmp_path: Path, who: str) -> None:
    """`other` names acc001 wherever it can; a viewer of acc001 asks; its owner asks when it is none."""

    async def body(room: Room) -> None:
        users = room.auth.users
        if who == "viewer":
            await room.auth.write(users.revoke, ACCOUNT, ACCOUNT)
            await room.auth.write(users.grant, ACCOUNT, ACCOUNT, Access.VIEW)
        room.send("theirs", CU, "BUY", "OPEN", 1, 70_000)
        sessions = [await room.log_in("other" if who == "stranger" else ACCOUNT)]
        if who == "revoked":
            sessions += [await room.log_in() for _ in range(len(REQUESTS) - 1)]
            await room.auth.write(users.revoke, ACCOUNT, ACCOUNT)
            await asyncio.sleep(1.1)
        before = _state_of(room)
        for number, (aid, request) in enumerate(REQUESTS.items()):
            session, client = sessions[number % len(sessions)]
            sent = len(client.sent)
            say(session, aid, **{"user_id": ACCOUNT} | request)
            await asyncio.sleep(0.05)
            assert _state_of(room) == before, aid
            if who != "viewer":
                assert "theirs" not in str(client.sent[sent:]), aid
            if who == "revoked":
                await until(lambda client=client: client.closed)
            else:
                assert client.closed is None, aid
        assert room.trade.orders("other") == []
        for session, _ in sessions:
            session.detached()

    go(tmp_path, body)


def test_a_unit_of_a_user_is_the_user_and_nobody_elses(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()
        say(session, "insert_order", user_id=f"{ACCOUNT}.unit", order_id="u1", **ORDER)
        say(session, "insert_order", user_id=f"{ACCOUNT}unit", order_id="u2", **ORDER)
        say(session, "insert_order", user_id="other", order_id="u3", **ORDER)
        say(session, "insert_order", user_id="", order_id="u4", **ORDER)
        await until(lambda: client.codes.count(408) == 3)
        await asyncio.sleep(0.1)
        assert [order.order_id for order in room.trade.orders(ACCOUNT)] == ["u1"]
        assert room.trade.orders("other") == []
        assert client.codes.count(408) == 3

    go(tmp_path, body)


def test_what_no_door_can_do_is_said(tmp_path: Path) -> None:
    """Contract 2.5, code 362; and 5.2: GTC and GTD are of no exchange here, whatever day is named."""

    async def body(room: Room) -> None:
        session, client = await room.log_in()
        say(session, "change_trading_account_password", account_id=ACCOUNT, currency_id="CNY")
        await until(lambda: client.codes[-1] == 362)
        made = {"user_id": ACCOUNT, "exchange_id": "SHFE", "instrument_id": "cu2109", "direction": "BUY"}
        made |= {"offset": "OPEN", "volume": 1, "price_type": "LIMIT", "limit_price": 70_000}
        made |= {"volume_condition": "ANY"}
        for n, more in enumerate(
            ({"time_condition": "GTC"}, {"time_condition": "GTD"},
             {"time_condition": "GTD", "GTD_date": 20261231})
        ):  # fmt: skip
            say(session, "insert_order", order_id=f"g{n}", **made, **more)
            await until(lambda n=n: client.codes.count(80) == n + 1)
        say(session, "insert_order", order_id="past", **made, time_condition="GTD", GTD_date=20210730)
        await until(lambda: client.codes[-1] == 15)

    go(tmp_path, body)


def test_a_token_in_the_place_of_a_password_is_its_users(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        login = await room.auth.login(ACCOUNT, PASSWORD)
        for name, ends in ((ACCOUNT, True), ("other", False), ("nobody", False)):
            session, client = room.open()
            say(session, "req_login", bid="paper", user_name=name, password=login.access_token)
            await until(lambda client=client: client.codes)
            assert client.codes == [401 if ends else 403]
            session.detached()
        session, client = room.open()
        say(session, "req_login", bid="paper", user_name=ACCOUNT, password=login.access_token)
        await until(lambda: client.codes)
        await room.auth.logout(login.principal)
        await asyncio.sleep(1.1)
        say(session, "qry_account_info")
        assert client.closed is not None

    go(tmp_path, body)
