"""What an order may be called: one rule, whichever door the order comes in by."""

from __future__ import annotations

import json
import unicodedata

import msgspec
import pytest

from qautlra._core import orders as core
from qautlra.base.errors import InputError
from qautlra.wire import orders, trade_requests, trade_rest
from qautlra.wire.order_id import SAID, is_order_id

GOOD = ["o1", "PYSDK_insert_1f8c", "单-1", "é😀", 'a "b" <c>', "x" * 256, "中" * 85, "a b", "　", "ß" * 128]
TURNED = ["a\u202eb", "\u2066a", "a\u200b", "a\u200f", "\ufeffa", "a\u2028b", "a\xadb", "a\u061cb", "a\u2060"]
BAD = ["", "a|b", "a=b", "a#b", "a;b", "a/b", "a\nb", "a\0", "a\x7f", "a\x85b", "x" * 257, "中" * 86, *TURNED]
INSERT = {
    "aid": "insert_order", "user_id": "acc001", "exchange_id": "SHFE", "instrument_id": "cu2109",
    "direction": "BUY", "offset": "OPEN", "volume": 1, "price_type": "LIMIT", "limit_price": 70_000,
}  # fmt: skip


def by_socket(order_id: str) -> bool:
    request = trade_requests.decode(json.dumps(INSERT | {"order_id": order_id}).encode())
    assert isinstance(request, trade_requests.Insert)
    try:
        return trade_requests.insert_of(request, "acc001", request.order_id).order_id == order_id
    except InputError as error:
        assert "order_id" in str(error)
        return False


def by_rest(order_id: str) -> bool:
    bodies = [
        (trade_rest.CancelRequest, {"order_id": order_id}),
        (trade_rest.BatchCancelRequest, {"account_id": "acc001", "order_ids": ["o1", order_id]}),
        (
            trade_rest.SubmitOrder,
            {"instrument_id": "x", "direction": "BUY", "volume": 1, "order_id": order_id},
        ),
    ]
    taken = []
    for kind, body in bodies:
        try:
            taken.append(bool(msgspec.json.decode(json.dumps(body), type=kind)))
        except msgspec.ValidationError as error:
            assert SAID in str(error) or "length" in str(error)
            taken.append(False)
    assert len(set(taken)) == 1
    return taken[0]


def by_queue(order_id: str) -> bool:
    try:
        return orders._order_id(order_id, needed=True) == order_id
    except orders.BadOrder:
        return False


def by_lane(order_id: str) -> bool:
    """Whether the native reader has nothing against it; what it cannot judge it leaves to the long way."""
    got = core.decode(json.dumps(INSERT | {"order_id": order_id}, ensure_ascii=False).encode())
    return got.code == 0


@pytest.mark.parametrize("order_id", GOOD)
def test_a_good_name_is_taken_at_every_door(order_id: str) -> None:
    assert is_order_id(order_id)
    assert by_socket(order_id) and by_rest(order_id) and by_queue(order_id) and by_lane(order_id)


@pytest.mark.parametrize("order_id", BAD)
def test_a_bad_name_is_refused_at_every_door(order_id: str) -> None:
    assert not is_order_id(order_id)
    assert not by_socket(order_id) and not by_queue(order_id) and not by_rest(order_id)


def test_what_is_not_shown_or_turns_what_is_shown_is_in_the_rule() -> None:
    for number in range(0x11_0000):
        one = chr(number)
        turns = unicodedata.bidirectional(one) in (
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )
        if unicodedata.category(one) in ("Cc", "Zl", "Zp") or turns:
            assert not is_order_id(f"a{one}b"), hex(number)
        elif unicodedata.category(one)[0] in "LN" and one.isprintable():
            assert is_order_id(f"a{one}b"), hex(number)
