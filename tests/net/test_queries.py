"""What a trading door does not know in its query string is refused, by every door of the table."""

import inspect
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from qautlra.net import trade_http
from qautlra.net.app import route_table
from qautlra.net.route import OneOf, Route
from tests.net.trading_front import TradingFront

CU = "SHFE.cu2109"
NUMBERS = {"page", "page_size", "limit", "before", "depth", "count", "period"}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TradingFront]:
    found = TradingFront(tmp_path_factory.mktemp("queries"))
    found.quotes()
    yield found
    found.stop()


def doors(front: TradingFront) -> list[Route]:
    return [one for one in route_table(front.service._deps) if one.envelope]


def address(route: Route) -> str:
    """Return a path of the door that leads somewhere."""
    parts = {"user_id": "ann", "account_id": "acc001", "date": "20210802"}
    ids = "acc001" if "account-admin" in route.path else "1" if "a" in route.path.split("/")[-2] else CU
    ids = CU if "/market/" in route.path or "/instrument" in route.path else ids
    return re.sub(r"{(\w+)}", lambda part: parts.get(part[1], ids), route.path)


def told(route: Route) -> str:
    """Return the parameters without which a door does not know what is meant."""
    known = {"account_id": "acc001", "instrument_id": CU}
    return "".join(f"&{name}={value}" for name, value in known.items() if name in route.parameters)


def test_a_parameter_nobody_knows_is_refused_by_every_door(front: TradingFront) -> None:
    asked = doors(front)
    assert len(asked) > 90
    for route in asked:
        for query in ("nosuch=1", "nosuch=", "NoSuch", "limit%00=1"):
            reply = front.call("root", route.method, f"{address(route)}?{query}")
            assert (reply.status, reply.json["error"]["code"]) == (400, 1008), (route.method, route.path)
            assert "no such parameter" in reply.json["error"]["message"]


def test_a_word_nobody_knows_is_refused_by_every_door(front: TradingFront) -> None:
    """Every word a parameter has is taken in either case, and no other."""
    asked = 0
    for route in doors(front):
        for name, words in route.parameters.items():
            if not isinstance(words, OneOf):
                continue
            asked += 1
            for wrong in ("zzz", words[0] + "x", f"{words[0]},{words[-1]}", " "):
                reply = front.call("root", route.method, f"{address(route)}?{name}={quote(wrong)}")
                assert (reply.status, reply.json["error"]["code"]) == (400, 1008), (route.path, name, wrong)
                assert str(words) in reply.json["error"]["message"]
            for word in ("", *words, *map(str.upper, words), *map(str.lower, words)):
                reply = front.call("root", route.method, f"{address(route)}?{name}={word}{told(route)}")
                assert reply.status == 200, (route.path, name, word, reply.body)
    assert asked >= 10


def test_a_number_nobody_can_read_is_refused_by_every_door(front: TradingFront) -> None:
    asked = 0
    for route in doors(front):
        for name in NUMBERS & set(route.parameters):
            for wrong in ("", "x", "-1", "1.5", "0x1", "9" * 30):
                reply = front.call("root", route.method, f"{address(route)}?{name}={wrong}{told(route)}")
                assert (reply.status, reply.json["error"]["code"]) == (400, 1008), (route.path, name, wrong)
            asked += 1
    assert asked > 15


def test_a_range_that_ends_before_it_starts_is_refused(front: TradingFront) -> None:
    asked = 0
    for route in doors(front):
        if not {"start", "end"} <= set(route.parameters):
            continue
        asked += 1
        for wrong in ("start=20261201&end=20261101", "start=soon", "end=2026-1-1"):
            assert front.error("root", "GET", f"{address(route)}?{wrong}{told(route)}") == (400, 1008), (
                route.path
            )
        reply = front.call("root", "GET", f"{address(route)}?start=2021-08-02&end=20210802{told(route)}")
        assert reply.status == 200, (route.path, reply.body)
    assert asked >= 6


def test_what_is_given_twice_is_refused(front: TradingFront) -> None:
    path = "/api/order/user/ann?status=alive&status=filled"
    assert front.error("ann", "GET", path) == (400, 1008)


def test_every_parameter_a_room_reads_is_one_of_its_door() -> None:
    """A door whose table forgot a parameter would refuse it: what a door reads is in its row."""
    read = re.compile(r'call\.(?:text|number|day|word)\(\s*"(\w+)"')
    seen = 0
    for door in trade_http.DOORS:
        for name in read.findall(inspect.getsource(door.work)):
            assert name in door.parameters, (door.path, name)
            seen += 1
    assert seen > 15


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        ("alive", {"resting", "part"}),
        ("submitted", {"resting"}),
        ("partially_filled", {"part"}),
        ("filled", {"whole"}),
        ("cancelled", {"gone"}),
        ("rejected", {"no"}),
        ("", {"resting", "part", "whole", "gone", "no"}),
    ],
)
def test_orders_by_status(lived: TradingFront, status: str, seen: set[str]) -> None:
    assert {one["order_id"] for one in lived.get("ann", f"/api/order/user/ann?status={status}")} == seen
    operators = "" if status == "alive" else f"?status={status}"
    if operators:
        found = lived.get("root", f"/api/management/orders{operators}")
        assert {one["order_id"] for one in found["orders"]} == seen


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TradingFront]:
    """A front where ann has an order of every status."""
    found = TradingFront(tmp_path_factory.mktemp("lived"))
    found.quotes()

    def order(name: str, volume: int, price: float) -> None:
        sent: dict[str, Any] = {
            "instrument_id": CU, "direction": "BUY", "offset": "OPEN", "volume": volume, "price": price,
            "order_id": name,
        }  # fmt: skip
        found.call("ann", "POST", "/api/order/submit", sent)

    order("whole", 1, 75000)
    found.tick(CU, 75000, ask_price1=75000, ask_volume1=1)
    order("part", 3, 75000)
    found.tick(CU, 74990, ask_price1=74990, ask_volume1=1)
    found.tick(CU, 75010, ask_price1=75020, ask_volume1=1)
    order("resting", 1, 74000)
    order("gone", 1, 74000)
    found.post("ann", "/api/order/cancel", {"order_id": "gone"})
    order("no", 1, 74005)
    yield found
    found.stop()


def test_rates_and_instruments_by_name(front: TradingFront) -> None:
    for door in ("commission", "margin"):
        path = f"/api/account-admin/{door}/rates"
        assert len(front.get("ann", path)) > 1
        assert [one["instrument_id"] for one in front.get("ann", f"{path}?instrument_id=cu2109")] == [CU]
        assert front.error("ann", "GET", f"{path}?instrument_id=zz9999") == (404, 1007)
    path = "/api/admin/instruments"
    assert len(front.get("root", path)) > 1
    assert [one["instrument_id"] for one in front.get("root", f"{path}?pattern=CU2109")] == [CU]
    assert front.get("root", f"{path}?pattern=nothing") == []


def test_audit_by_type(front: TradingFront) -> None:
    front.post("ann", "/api/account/deposit", {"amount": 1})
    kinds = {one["type"] for one in front.get("root", "/api/audit/logs?type=deposit")["logs"]}
    assert kinds == {"DEPOSIT"}
    assert front.get("root", "/api/audit/logs?type=DEPOSIT&result=BLOCKED")["logs"] == []


def test_instruments_on_the_market_s_door(front: TradingFront) -> None:
    for wrong in ("detail=yes", "patern=cu"):
        assert front.call(None, "GET", f"/api/market/instruments?{wrong}").status == 400
    plain = front.get(None, "/api/market/instruments?detail=0&pattern=cu")
    assert CU in plain
    assert CU in [one["instrument_id"] for one in front.get(None, "/api/market/instruments?detail=true")]
