"""Orders that come alone: the lane says what the long way says, byte for byte, and takes what is plain."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from qautlra._core import orders
from qautlra.auth.rights import Access
from qautlra.base.errors import QautlraError
from qautlra.net.trade_session import TradeSession
from qautlra.wire import trade_requests as asks
from tests.core.test_orders import INSERT, NUMBERS, opened
from tests.net.test_trade_session import Client, Room, go, until
from tests.trade.rig import ACCOUNT

pytestmark = pytest.mark.alone

CU, RB = "SHFE.cu2109", "SHFE.rb2110"
_KEY = re.compile(rb'\{"notify":\{"[\w-]+":')


class Raw(Client):
    """Keeps what it is sent as it came, keys of notices apart."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[bytes] = []
        self.notices_count = 0

    def send_pieces(self, pieces: Sequence[bytes]) -> None:
        self.send(b"".join(pieces))

    def send(self, text: bytes) -> None:
        plain, count = _KEY.subn(b'{"notify":{"k":', text)
        self.texts.append(plain)
        self.notices_count += count
        super().send(text)


class Way(Room):
    """A room whose sessions are asked whether they take a message alone, or not."""

    def __init__(self, directory: Path, *, lane: bool, **settings: Any) -> None:
        super().__init__(directory, **settings)
        self.has_lane = lane
        self.taken: list[bool] = []

    async def enter(self, user: str = ACCOUNT) -> tuple[TradeSession, Raw]:
        client = Raw()
        session = TradeSession(
            self.trade, self.auth, self.channels, client, address="::1", spawn=self.spawn, push=True
        )
        session.receive(json.dumps({"aid": "req_login", "bid": "paper", "user_name": user, "password": PASS}))
        await until(lambda: client.tree.get("trade", {}).get(user, {}).get("accounts"))
        await self.settle()
        return session, client

    def spawn(self, work: Any) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    async def say(self, session: TradeSession, message: bytes) -> bool:
        """Give a session what one read brought; True: by the lane."""
        taken = self.has_lane and session.receive_alone(message)
        if not taken:
            session.receive(message.decode())
        session.paused()
        self.taken.append(taken)
        await self.settle()
        return taken


PASS = "Check-pass-1"


def insert(order_id: str, **more: Any) -> bytes:
    order = {"aid": "insert_order", "user_id": ACCOUNT, "order_id": order_id, "exchange_id": "SHFE"}
    order |= {"instrument_id": "cu2109", "direction": "BUY", "offset": "OPEN", "volume": 1}
    order |= {"price_type": "LIMIT", "limit_price": 74_000.0, "time_condition": "GFD"}
    return json.dumps(order | {"volume_condition": "ANY"} | more, ensure_ascii=False).encode()


def cancel(order_id: str, user: str = ACCOUNT) -> bytes:
    return json.dumps({"aid": "cancel_order", "user_id": user, "order_id": order_id}).encode()


def script(seed: int, length: int) -> list[tuple[str, Any]]:
    """Return what two users and the market do; most of it as users mostly do it."""
    rng = random.Random(seed)
    # One match for certain: what rests may soon keep so much margin that nothing opens any more.
    steps: list[tuple[str, Any]] = [
        (ACCOUNT, insert("first", limit_price=75_010)),
        ("other", insert("first", user_id="other", direction="SELL", limit_price=75_010)),
    ]
    made: dict[str, list[str]] = {ACCOUNT: [], "other": []}
    for number in range(length):
        user = ACCOUNT if rng.random() < 0.7 else "other"
        what = rng.random()
        if what < 0.06:
            steps.append(("tick", (CU, rng.choice([74_900, 75_000, 75_100]))))
        elif what < 0.25 and made[user]:
            steps.append((user, cancel(rng.choice(made[user][-8:]), user)))
        else:
            order_id = rng.choice([f"{user}.{number}", f"单{number}"])
            made[user].append(order_id)
            more: dict[str, Any] = {
                "user_id": user,
                "order_id": order_id,
                "direction": rng.choice(["BUY", "SELL"]),
                "offset": rng.choice(["OPEN", "OPEN", "OPEN", "CLOSETODAY", "CLOSE"]),
                "limit_price": rng.choice([74_980, 74_990.0, 75_000, 75_010, 75_020]),
                "time_condition": rng.choice(["GFD", "GFD", "IOC"]),
                "volume": rng.choice([1, 2, 3, 2.0]),
            }
            if rng.random() < 0.15:
                odd = rng.choice(
                    [
                        {"volume": 1.5},
                        {"limit_price": 1.0},
                        {"order_id": made[user][0]},
                        {"user_id": f"{user}.sub"},
                        {"user_id": "nobody"},
                        {"volume_condition": "ALL"},
                        {"price_type": "ANY", "time_condition": "IOC"},
                        {"instrument_id": "rb2110", "limit_price": 5_000},
                        {"instrument_id": "none"},
                        {"volume": 4_000},
                        {"min_volume": 1},
                        {"direction": "LONG"},
                    ]
                )
                more |= odd
            steps.append((user, insert(**more)))
    return steps


async def follow(room: Way, steps: list[tuple[str, Any]]) -> dict[str, Any]:
    """Do it all; return what was said to whom, and what is left behind."""
    sessions = {ACCOUNT: await room.enter(), "other": await room.enter("other")}
    for who, what in steps:
        if who == "tick":
            room.tick(*what)
            await asyncio.sleep(0.02)  # until marks are told
        else:
            await room.say(sessions[who][0], what)
    await asyncio.sleep(0.05)
    for _, client in sessions.values():
        assert len(client.tree["notify"]) == client.notices_count  # no key came twice
    return {
        "said": {user: client.texts for user, (_, client) in sessions.items()},
        "trees": {user: client.tree["trade"] for user, (_, client) in sessions.items()},
        "state": room.trade.engine.exchange.state_hash(),
        "records": room.trade.head_lsn,
        "audit": [
            (one.type, one.result, one.user_id, one.account_id, one.address, one.detail)
            for one in room.auth.audit.read(count=1_000)
            if one.type.startswith("ORDER")
        ],
    }


@pytest.mark.parametrize("durability", ["memory", "process"])
def test_the_lane_beside_the_long_way(tmp_path: Path, durability: str) -> None:
    """The same users and market twice: packets, trees, books, journal and audit log are the same."""
    seed = int(os.environ.get("QAUTLRA_SEED", random.SystemRandom().getrandbits(32)))
    print(f"QAUTLRA_SEED={seed}")
    steps = script(seed, 400)
    found: list[dict[str, Any]] = []

    async def main() -> None:
        for has_lane in (False, True):
            room = Way(tmp_path / str(has_lane), lane=has_lane, durability=durability)
            async with room:
                found.append(await follow(room, steps))
                if has_lane:
                    assert sum(room.taken) > 150

    asyncio.run(main())
    long_way, lane = found
    said = b"".join(long_way["said"][ACCOUNT] + long_way["said"]["other"])
    assert long_way["audit"] and b'"code":406' in said
    for user in (ACCOUNT, "other"):
        for expected, got in zip(long_way["said"][user], lane["said"][user], strict=True):
            assert got == expected
    assert lane == long_way


def test_what_a_lane_takes_means_the_same_to_the_other_reader() -> None:
    """Messages spelt in every way there is: whatever the lane would enter, the long way would enter alike."""
    seed = int(os.environ.get("QAUTLRA_SEED", random.SystemRandom().getrandbits(32)))
    print(f"QAUTLRA_SEED={seed}")
    rng = random.Random(seed)
    lane = orders.Lane(opened(), 1, "acc001", "n")
    values = [
        None,
        "",
        "-",
        "HEDGE",
        "BUY",
        "CLOSETODAY",
        "LIMIT",
        "ANY",
        "IOC",
        "GTD",
        "MIN",
        "o2",
        1,
        2.5,
        -3,
        True,
    ]
    values += [[], {"a": [None]}, "é", "\ud83d\ude00", "x" * 257, 1 << 31, 1 << 62, 1e20, "a|b"]
    spellings = [*NUMBERS.split(), "1e400", "-0", "1e0", '"1"']
    taken = 0
    for _ in range(6_000):
        members = list(INSERT.items())
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            key = rng.choice(
                [*INSERT, "GTD_date", "min_volume", "contingent_condition", "hedge_flag", "other"]
            )
            members.append((key, rng.choice(values)))
            if rng.random() < 0.7:
                members = [pair for pair in members[:-1] if pair[0] != key] + members[-1:]
        text = "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in members) + "}"
        if rng.random() < 0.3:
            number = rng.choice(["volume", "limit_price"])
            text = re.sub(rf'("{number}"):[^,}}]*', rf"\1:{rng.choice(spellings)}", text)
        message = bytearray(text.encode())
        if rng.random() < 0.3:
            message[rng.randrange(len(message))] = rng.choice(b'"\\{}[],:0123.eE- \n\x00\xff')
        kind = lane.read(bytes(message))
        if not kind:
            continue
        taken += 1
        request, core = asks.decode(bytes(message)), orders.decode(message)
        assert isinstance(request, asks.Insert) and kind == 1, message
        order = asks.insert_of(request, "acc001", request.order_id)
        assert order.limit_price is not None and core.price is not None
        assert (request.user_id, order.order_id, order.symbol) == ("acc001", core.order_id, CU)
        assert (order.direction, order.offset, order.volume) == (core.side, core.offset, core.volume)
        assert round(order.limit_price * 1e6) == round(core.price * 1e6)
        words = (order.order_id, order.symbol, order.direction.name, order.offset.name, order.volume)
        assert lane.order() == (*words, core.price) and lane.order_id == order.order_id
        assert (order.price_type, order.time_condition) == (core.price_type, core.time)
        assert (order.volume_condition, order.min_volume) == (core.condition, 0)
    assert taken > 500
    for odd in ("a\u202eb", "a\u0085", "\u061ca", "\ufeffa", "a\u2066b"):  # the long way knows what is shown
        for spelt in (False, True):
            assert lane.read(json.dumps(INSERT | {"order_id": odd}, ensure_ascii=spelt).encode()) == 0, odd
    for good in ("单é😀", "x" * 100, "~"):
        assert lane.read(json.dumps(INSERT | {"order_id": good}, ensure_ascii=False).encode()) == 1, good
    withdraw = b'{"aid":"cancel_order","user_id":"acc001","order_id":"o1"}'
    assert (lane.read(withdraw), lane.read(withdraw.replace(b"acc001", b"acc0"))) == (2, 0)
    assert lane.read(b'{"aid":"peek_message"}') == 0
    for ask in (lambda: lane.enter(0, 0), lambda: lane.order_id):
        with pytest.raises(ValueError, match="nothing was read"):
            ask()
    with pytest.raises(ValueError, match="no order"):
        lane.order()


def test_what_is_not_alone_goes_the_long_way(tmp_path: Path) -> None:
    """Another session, something to tell, a client behind, rights to ask for again: nothing is done."""

    async def body(room: Room) -> None:
        assert isinstance(room, Way)
        session, client = await room.enter()
        assert not await room.say(
            session, insert("o0")
        )  # its instrument is not listed, its rights not asked for
        assert await room.say(session, insert("o1"))
        assert client.tree["trade"][ACCOUNT]["orders"]["o1"]["status"] == "ALIVE"
        assert not session.receive_alone(insert("o2", volume_condition=None))
        assert not session.receive_alone(b'{"aid":"peek_message"}')
        assert not session.receive_alone(b"\xff")
        client.is_full = True
        assert not session.receive_alone(insert("o2"))
        client.is_full = False
        room.send("o3", RB, "BUY", "OPEN", 1, 4_900)  # by another door, not told yet
        assert not session.receive_alone(insert("o2"))
        await room.settle()
        grant = room.auth.users.grant
        await room.auth.write(grant, ACCOUNT, ACCOUNT, Access.VIEW)
        session._allowed.clear()
        assert not session.receive_alone(insert("o2")) and not session.receive_alone(cancel("o1"))
        await room.auth.write(grant, ACCOUNT, ACCOUNT, Access.OWN)
        session._allowed.clear()
        assert await room.say(session, insert("o2"))  # asks for the rights
        assert await room.say(session, cancel("o2"))
        assert await room.say(session, cancel("o1"))
        await room.say(session, cancel("o1"))  # no order any more
        await until(lambda: client.codes[-1] != 419)
        again, _ = await room.enter()
        assert not session.receive_alone(insert("o4"))
        again.detached()
        assert await room.say(session, insert("o4"))
        session.detached()
        assert not session.receive_alone(insert("o5"))
        assert room.trade.find(ACCOUNT, "o5") is None

    async def main() -> None:
        async with Way(tmp_path, lane=True) as room:
            await asyncio.wait_for(body(room), 30)

    asyncio.run(main())


def test_prices_that_move_send_no_order_the_long_way(tmp_path: Path) -> None:
    """What is held moves: the order goes alone, and the position is told when prices are."""

    async def body(room: Room) -> None:
        session, client = await room.log_in()
        session.receive(insert("o0", limit_price=75_000).decode())
        room.tick(CU, 75_000, ask_price1=75_000, ask_volume1=1)
        held = lambda: client.tree["trade"][ACCOUNT].get("positions", {}).get(CU, {})  # noqa: E731
        await until(lambda: held().get("volume_long") == 1)
        rb = {"instrument_id": "rb2110", "limit_price": 4_900}
        session.receive(insert("o1", **rb).decode())
        await until(lambda: "o1" in client.tree["trade"][ACCOUNT]["orders"])
        await asyncio.sleep(0.01)
        for number, price in enumerate((75_100, 75_200)):
            room.tick(CU, price)
            assert room.trade.engine.is_moved
            assert session.receive_alone(insert(f"r{number}", **rb))
            session.paused()
            await asyncio.sleep(0)  # the turn of the loop ends
            assert room.trade.engine.is_moved  # no packet of prices with every order
            await until(lambda price=price: held()["last_price"] == price)  # type: ignore[misc]
            assert not room.trade.engine.is_moved

    go(tmp_path, body, mark_interval_ms=50)


def test_a_client_that_asks_is_told_once_for_each_time(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        client = Raw()
        session = TradeSession(
            room.trade, room.auth, room.channels, client, address="::1", spawn=lambda w: room.tasks.append(
                asyncio.get_running_loop().create_task(w)
            )
        )  # fmt: skip
        login = {"aid": "req_login", "bid": "paper", "user_name": ACCOUNT, "password": PASS}
        peek = b'{"aid":"peek_message"}'.decode()
        session.receive(json.dumps(login))
        session.receive(peek)
        await until(lambda: client.tree.get("trade", {}).get(ACCOUNT, {}).get("accounts"))
        session.receive(peek)
        session.receive(insert("o0").decode())
        await until(lambda: client.tree["trade"][ACCOUNT].get("orders"))
        assert not session.receive_alone(insert("o1"))
        session.receive(peek)
        await asyncio.sleep(0.01)
        assert session.receive_alone(insert("o1"))
        assert "o1" in client.tree["trade"][ACCOUNT]["orders"]
        await asyncio.sleep(0.01)
        assert not session.receive_alone(insert("o2"))

    go(tmp_path, body)


def test_what_an_order_raises_is_told_behind_it(tmp_path: Path) -> None:
    """Alerts are looked for once the client has his packet, and are not lost with it."""

    async def body(room: Room) -> None:
        session, client = await room.log_in()
        session.receive(insert("o0", volume=1).decode())
        await until(lambda: client.tree["trade"][ACCOUNT].get("orders"))
        await asyncio.sleep(0.01)
        room.tick(CU, 75_000, ask_price1=75_000, ask_volume1=100)
        await asyncio.sleep(0.05)
        before = len(client.sent)
        assert session.receive_alone(insert("o1", volume=24, limit_price=75_000))
        session.paused()
        await until(lambda: 601 in client.codes)
        assert "orders" in client.sent[before]["data"][-1]["trade"][ACCOUNT]
        assert all("orders" not in str(packet) for packet in client.sent[before + 1 :])

    limits = {"concentration_ratio": 0.0, "stop_ratio": 0.0}
    go(tmp_path, body, limits=limits, liquidation={"enabled": False})


def test_a_failure_behind_the_packet_is_not_the_clients(tmp_path: Path, monkeypatch: Any) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()
        session.receive(insert("o0").decode())
        await until(lambda: client.tree["trade"][ACCOUNT].get("orders"))
        await asyncio.sleep(0.01)
        seen: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["exception"]))
        error = QautlraError("of our own making")
        monkeypatch.setattr(room.trade.engine, "collect", lambda **_: (_ for _ in ()).throw(error))
        assert session.receive_alone(insert("o1"))
        monkeypatch.undo()
        assert (seen, client.closed) == ([error], None)
        assert "o1" in client.tree["trade"][ACCOUNT]["orders"]
        assert orjson.loads(room.auth.audit.read(count=1)[0].detail)["order_id"] in ("o0", "o1")

    go(tmp_path, body)
