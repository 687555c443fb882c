"""Patches of the trade socket: what the core wrote in one piece and what is merged say the same."""

from __future__ import annotations

from typing import Any

import orjson

from qautlra.wire.trade import Patch

WRITTEN = (
    b'"accounts":{"CNY":{"balance":1.5}},"positions":{"SHFE.cu2109":{"pos":1}},'
    b'"orders":{"a\\"\xe5\x8d\x95":{"left":2},"b":{"left":1}},"trades":{"b|1":{"volume":1}}'
)


def content(patch: Patch) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(patch.render(20250603))["trade"]["u"]
    return found


def test_what_is_written_is_shown_as_it_is() -> None:
    assert Patch("u", WRITTEN).render() == b'{"trade":{"u":{' + WRITTEN + b"}}}"


def test_what_is_written_is_taken_apart_to_be_merged() -> None:
    first, later = (
        Patch("u", WRITTEN),
        Patch("u", b'"accounts":{"CNY":{"balance":2}},"orders":{"b":{"left":0}}'),
    )
    later.transfers["1"] = b"{}"
    mine = first.copy()
    assert content(mine) == content(first) == orjson.loads(b"{" + WRITTEN + b"}")
    mine.merge(later)
    assert content(mine) == {
        "accounts": {"CNY": {"balance": 2}},
        "positions": {"SHFE.cu2109": {"pos": 1}},
        "orders": {'a"单': {"left": 2}, "b": {"left": 0}},
        "trades": {"b|1": {"volume": 1}},
        "transfers": {"1": {}},
    }
    assert content(first) == orjson.loads(b"{" + WRITTEN + b"}"), "others are shown the same patch"


def test_a_tree_takes_what_is_written() -> None:
    tree = Patch("u")
    tree.whole = True
    tree.orders["c"] = b"{}"
    tree.merge(Patch("u", WRITTEN))
    found = content(tree)
    assert (found["trading_day"], set(found["orders"])) == ("20250603", {'a"单', "b", "c"})
