"""What the trading doors answer is what `/api/openapi.json` says of them, key by key."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qautlra.net.app import route_table
from qautlra.net.route import Route
from tests.net.trading_front import TradingFront

CU = "SHFE.cu2109"
FILES = {"/api/data/export"}


@pytest.fixture
def front(tmp_path: Path) -> Iterator[TradingFront]:
    found = TradingFront(tmp_path)
    try:
        found.quotes()
        yield found
    finally:
        found.stop()


def lived(front: TradingFront) -> str:
    """Have one of everything; return the day that ended."""
    order = {"account_id": "acc001", "instrument_id": CU, "volume": 1}
    front.post("ann", "/api/order/submit", order | {"direction": "BUY", "offset": "OPEN", "price": 75000})
    front.tick(CU, 75000, ask_price1=75000, ask_volume1=2)
    front.post("ann", "/api/order/submit", order | {"direction": "BUY", "offset": "OPEN", "price": 74000})
    front.post("ann", "/api/account/transfer", {"account_id": "acc001", "bank_id": "SIM", "amount": 10})
    day: str = front.post("root", "/api/admin/settlement/execute", {"force": True})["trading_day"]
    front.post("ann", "/api/order/submit", order | {"direction": "BUY", "offset": "OPEN", "price": 75000})
    front.tick(CU, 75000, ask_price1=75000, ask_volume1=2)
    front.post("ann", "/api/account/transfer", {"account_id": "acc001", "bank_id": "SIM", "amount": 10})
    waits = {"trigger_price": 70000, "trigger_condition": "LE", "direction": "BUY", "offset": "OPEN"}
    front.post("ann", "/api/order/conditional", order | waits | {"order_type": "LIMIT", "limit_price": 70000})
    front.post("root", "/api/announcements", {"title": "title", "content": "content"})
    front.post("root", "/api/account-admin/freeze", {"account_id": "acc001", "reason": "test"})
    front.post("root", "/api/account-admin/unfreeze", {"account_id": "acc001"})
    front.post("root", "/api/account-admin/freeze", {"account_id": "acc002", "reason": "test"})
    front.post("root", "/api/management/risk/force-liquidate", {"account_id": "acc001"})
    return day


def differences(value: Any, schema: dict[str, Any], known: dict[str, Any], at: str = "") -> list[str]:
    """Return where a value is not what its schema says; an object has all its keys and no other."""
    if "$ref" in schema:
        return differences(value, known[schema["$ref"].split("/")[-1]], known, at)
    if "anyOf" in schema:
        tries = [differences(value, one, known, at) for one in schema["anyOf"]]
        return [] if [] in tries else tries[0]
    kind = schema.get("type")
    if kind == "object" and isinstance(value, dict):
        if "properties" not in schema:
            inner = schema.get("additionalProperties", {})
            return [d for key, one in value.items() for d in differences(one, inner, known, f"{at}.{key}")]
        names = schema["properties"]
        found = [f"{at}.{name} {what}" for what, more in (("is not described", set(value) - set(names)),
                 ("is missing", set(schema.get("required", ())) - set(value))) for name in more]  # fmt: skip
        return found + [
            d
            for key in names
            if key in value
            for d in differences(value[key], names[key], known, f"{at}.{key}")
        ]
    if kind == "array" and isinstance(value, list):
        return [d for one in value for d in differences(one, schema["items"], known, f"{at}[]")]
    right = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}.get(
        kind
    )
    if kind is None or (right and isinstance(value, right) and not (kind != "boolean" and value is True)):
        return []
    return [f"{at} is {value!r}, described as {kind}"]


def test_every_reading_door_answers_what_it_is_described_to_answer(front: TradingFront) -> None:
    day = lived(front)
    document = front.call("root", "GET", "/api/openapi.json").json
    known = document["components"]["schemas"]
    parts = {"user_id": "acc001", "account_id": "acc001", "date": day, "name": "acc001"}
    wrong, asked, full = [], 0, set()
    for path, methods in document["paths"].items():
        operation = methods.get("get")
        if operation is None or operation["tags"] != ["trading"] or path in FILES or "{order_id}" in path:
            continue
        ids = "acc001" if "account-admin" in path else "1" if "announcements" in path else CU
        address = re.sub(r"{(\w+)}", lambda part, ids=ids: parts.get(part[1], ids), path)  # type: ignore[misc]
        queries = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        told = {"account_id": "acc001", "instrument_id": CU, "page": "1", "page_size": "50"}
        query = "&".join(f"{name}={value}" for name, value in told.items() if name in queries)
        reply = front.call("root", "GET", f"{address}?{query}" if query else address)
        assert reply.status == 200, (address, reply.body)
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        wrong += [f"{path}: {one}" for one in differences(reply.json, schema, known)]
        asked += 1
        if reply.json["data"]:
            full.add(path)
    assert not wrong, wrong
    assert asked > 45
    assert len(full) > 40, "too many doors had nothing to show"


def untyped(routes: list[Route]) -> set[str]:
    return {
        f"{route.method} {route.path}"
        for route in routes
        if route.envelope and "dict[str, typing.Any]" in str(route.reply)
    }


def test_what_the_page_shows_of_trading_is_described(front: TradingFront) -> None:
    """Tables of figures whose rows differ stay open; everything the page calls has a type."""
    plain = untyped(route_table(front.service._deps))
    page = Path(__file__).resolve().parents[2] / "web" / "src"
    text = "".join(
        one.read_text()
        for one in page.rglob("*")
        if one.suffix in (".vue", ".ts") and one.name != "schema.ts"
    )
    assert {door for door in plain if f'"{door}"' in text} == set()


def test_history_comes_by_page(front: TradingFront) -> None:
    order = {"account_id": "acc001", "instrument_id": CU, "direction": "BUY", "offset": "OPEN", "volume": 1}
    ids = [
        front.post("ann", "/api/order/submit", order | {"price": 74000 - 10 * n})["order_id"]
        for n in range(5)
    ]
    of_user = "/api/order/user/ann"
    assert [one["order_id"] for one in front.get("ann", of_user)] == ids
    page = front.get("ann", f"{of_user}?page=2&page_size=2")
    assert [one["order_id"] for one in page] == ids[::-1][2:4]
    assert front.get("ann", f"{of_user}?page=4&page_size=2") == []
    assert front.error("ann", "GET", f"{of_user}?page_size=100000")[0] == 400
    day = front.post("root", "/api/admin/settlement/execute", {"force": True})["trading_day"]
    door = f"/api/data/settlement/statement?account_id=acc001&date={day}"
    whole, part = front.get("ann", door), front.get("ann", f"{door}&page=2&page_size=2")
    assert (len(whole["orders"]), whole["orders_total"]) == (5, 5)
    assert part["orders"] == whole["orders"][2:4]
    assert part["orders_total"] == 5
