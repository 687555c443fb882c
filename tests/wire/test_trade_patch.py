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


def tree_of(*orders: bytes, whole: bool = True) -> Patch:
    tree = Patch("u")
    tree.whole = whole
    tree.large = {"positions": [], "orders": list(orders), "trades": [b""]}
    return tree


def all_of(patch: Patch) -> dict[str, Any]:
    """What a client has that takes the patches one after the other."""
    found: dict[str, Any] = {}
    for one in orjson.loads(b"[" + patch.render(20250603) + b"]"):
        for name, value in one["trade"]["u"].items():
            found[name] = found.get(name, {}) | value if isinstance(value, dict) else value
    return found


def test_what_comes_after_a_tree_in_large_pieces_is_told_behind_it() -> None:
    tree = tree_of(b'"a":{"left":2},"b":{"left":1}', b'"c":{"left":1}')
    assert set(content(tree)["orders"]) == {"a", "b", "c"} and content(tree)["trades"] == {}
    shared = tree.copy()
    for left in (1, 0):
        tree.merge(Patch("u", b'"accounts":{"CNY":{"balance":%d}},"orders":{"a":{"left":%d}}' % (left, left)))
    found = all_of(tree)
    assert found["orders"] == {"a": {"left": 0}, "b": {"left": 1}, "c": {"left": 1}}
    assert (found["accounts"], found["trade_more_data"]) == ({"CNY": {"balance": 0}}, False)
    assert all_of(shared)["orders"]["a"] == {"left": 2}, "others are shown the same patch"
    assert tree.has_whole and not tree_of(b"", whole=False).has_whole


def test_a_newer_tree_takes_the_place_of_an_older_one() -> None:
    pending = Patch("u")
    pending.orders["yesterday"] = b'{"left":0}'
    for left in (3, 2, 1):
        pending.merge(tree_of(b'"a":{"left":%d}' % left))
        pending.merge(Patch("u", b'"accounts":{"CNY":{}},"orders":{"b":{"left":%d}}' % left))
    assert all_of(pending)["orders"] == {"yesterday": {"left": 0}, "a": {"left": 1}, "b": {"left": 1}}
    assert pending.render(1).count(b'"a":') == 1 and pending.has_whole
