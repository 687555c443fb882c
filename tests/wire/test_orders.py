"""The order exchange's messages: three dialects to one order, and everything else refused with its reason."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qautlra._core.market import Instruments
from qautlra.model.calendar import load_calendar
from qautlra.model.command import Ask, Notice, Question, Transfer
from qautlra.model.order import (
    AmendOrder,
    CancelOrder,
    Direction,
    InsertOrder,
    Offset,
    PriceType,
    TimeCondition,
    VolumeCondition,
)
from qautlra.wire.orders import MESSAGE_BYTES, BadOrder, Command, decode

INSTRUMENTS = Instruments(load_calendar(), 20210802)
BARE = {
    "topic": "sendorder",
    "account_cookie": "acc001",
    "code": "cu2109",
    "order_direction": "BUY",
    "order_offset": "OPEN",
    "volume": 1,
    "price": 75000,
}
# Contract 11.L, word for word.
LETTERS = (
    b'{"topic":"order","action":"send_order","account_cookie":"acc001","data":{"instrument_id":"cu2109",'
    b'"exchange_id":"SHFE","price":75000,"volume":1,"direction":"BUY","offset":"OPEN"}}',
    b'{"topic":"sendorder","account_cookie":"acc001","strategy_id":"s","code":"cu2109","price":75000.0,'
    b'"order_direction":"BUY","order_offset":"OPEN","volume":1.0,"order_time":"2021-08-02 09:30:00",'
    b'"exchange_id":"SHFE","order_id":"x1"}',
    b'{"topic":"send_order","account_cookie":"acc001","instrument_id":"cu2109","towards":2,"exchange_id":"SHFE",'
    b'"volume":1,"price":75000.0,"order_id":"x2","direction":"BUY","offset":"OPEN","limit_price":75000.0}',
)


def read(body: bytes | dict[str, Any], account_id: str = "") -> Command:
    return decode(
        body if isinstance(body, bytes) else json.dumps(body).encode(), INSTRUMENTS.canonical, account_id
    )


def test_three_dialects_are_one_order() -> None:
    wanted = InsertOrder(
        account_id="acc001",
        order_id="",
        symbol="SHFE.cu2109",
        direction=Direction.BUY,
        offset=Offset.OPEN,
        volume=1.0,
        limit_price=75000.0,
        price_type=PriceType.LIMIT,
        time_condition=TimeCondition.GFD,
        volume_condition=VolumeCondition.ANY,
    )
    found = [read(letter) for letter in LETTERS]
    assert [order.order_id for order in found if isinstance(order, InsertOrder)] == ["", "x1", "x2"]
    for order in found:
        assert isinstance(order, InsertOrder)
        assert {name: getattr(order, name) for name in wanted.__struct_fields__ if name != "order_id"} == {
            name: getattr(wanted, name) for name in wanted.__struct_fields__ if name != "order_id"
        }


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"code": "SHFE.cu2109"}, {"symbol": "SHFE.cu2109"}),
        ({"code": "IF2109"}, {"symbol": "CFFEX.IF2109"}),
        ({"price_type": "MARKET"}, {"price_type": PriceType.ANY, "limit_price": None}),
        ({"order_type": "ANY", "price": None}, {"time_condition": TimeCondition.IOC}),
        ({"time_condition": "IOC", "volume_condition": "ALL"}, {"volume_condition": VolumeCondition.ALL}),
        ({"volume_condition": "MIN", "min_volume": 3, "volume": 5}, {"min_volume": 3, "volume": 5.0}),
        ({"order_offset": "CLOSETODAY"}, {"offset": Offset.CLOSETODAY}),
        ({"order_offset": "CLOSEYESTERDAY"}, {"offset": Offset.CLOSE}),
        ({"order_direction": None, "order_offset": None, "towards": -4}, {"offset": Offset.CLOSETODAY}),
        ({"order_direction": None, "order_offset": None, "towards": -1}, {"direction": Direction.SELL}),
        ({"volume": -1}, {"volume": -1.0}),
    ],
)
def test_optional_fields(change: dict[str, Any], wanted: dict[str, Any]) -> None:
    order = read(BARE | change)
    for name, value in wanted.items():
        assert getattr(order, name) == value


def test_other_commands() -> None:
    def say(topic: str, **fields: Any) -> Command:
        flat = read({"topic": topic, "account_cookie": "acc001", **fields})
        envelope = read({"topic": "order", "action": topic, "account_cookie": "acc001", "data": fields})
        assert flat == envelope
        return flat

    assert say("cancel_order", order_id="x1") == CancelOrder(account_id="acc001", order_id="x1")
    assert say("amend_order", order_id="x1", price=5.0) == AmendOrder(
        account_id="acc001", order_id="x1", price=5.0
    )
    assert say("amend_order", order_id="x1", new_volume=2).volume == 2.0  # type: ignore[union-attr]
    assert say("query_orders") == Question(account_id="acc001", ask=Ask.ORDERS)
    assert say("query_settlement", day="20210802").day == 20210802  # type: ignore[union-attr]
    assert say("query_settlement", trading_day=20210802).ask is Ask.SETTLEMENT  # type: ignore[union-attr]
    assert say("transfer", bankid="B", amount=-5) == Transfer(account_id="acc001", amount=-5.0, bank_id="B")
    assert say("peek") == Notice(account_id="acc001", topic="peek")


def test_the_queue_says_whose_it_is_only_of_what_moves_nothing() -> None:
    """Contract 3.3: what is missing drops the message; these name no account there."""
    for topic in ("peek", "login", "subscribe", "kill", "change_password", "query_settlement"):
        for body in ({"topic": topic}, {"topic": "order", "action": topic}):
            assert read(body, "acc007").account_id == "acc007"
            assert read(body | {"account_cookie": "acc001"}, "acc007").account_id == "acc001"
            with pytest.raises(BadOrder, match="account_cookie"):
                read(body)


@pytest.mark.parametrize(
    "body",
    [
        {key: value for key, value in BARE.items() if key != "account_cookie"} | {"order_id": "x1"},
        {"topic": "cancel_order", "order_id": "x1"},
        {"topic": "amend_order", "order_id": "x1", "price": 5},
        {"topic": "transfer", "amount": 5},
        {"topic": "query_account"},
        {"topic": "query_bank"},
        {"topic": "order", "action": "send_order", "data": {"account_cookie": "acc001"}},
        {"topic": "order", "action": "cancel_order", "data": {"order_id": "x1"}},
    ],
)
def test_no_queue_stands_in_for_an_account_that_is_missing(body: dict[str, Any]) -> None:
    with pytest.raises(BadOrder, match="account_cookie is missing") as caught:
        read(body, "acc007")
    assert (caught.value.number, caught.value.account_id) == (1006, "")
    assert caught.value.order_id == body.get("order_id", "")


@pytest.mark.parametrize(
    ("body", "number", "says"),
    [
        (b"", 1008, "not a JSON object"),
        (b"\xff\xfe", 1008, "not a JSON object"),
        (b"[1]", 1008, "not a JSON object"),
        (b"[" * 50_000, 1008, "not a JSON object"),
        (b"x" * (MESSAGE_BYTES + 1), 1008, "more than"),
        ({"topic": "sendorder"}, 1006, "account_cookie"),
        ({"topic": "sendorder", "account_cookie": 5}, 1006, "account_cookie"),
        ({"topic": "sendorder", "account_cookie": "a\nb"}, 1006, "account_cookie"),
        ({"topic": "buy", "account_cookie": "a"}, 1008, "unknown topic 'buy'"),
        ({"topic": ["order"], "account_cookie": "a"}, 1008, "unknown topic"),
        ({"topic": "order", "account_cookie": "a", "action": "fly"}, 1008, "unknown action"),
        ({"topic": "order", "account_cookie": "a", "action": "send_order", "data": 1}, 1008, "data"),
        ({"topic": "order", "account_cookie": "a", "action": "send_order"}, 1008, "direction is missing"),
        (BARE | {"price": None}, 1008, "price is missing"),
        (BARE | {"price": "75000"}, 3003, "price '75000'"),
        (BARE | {"price": True}, 3003, "price True"),
        (BARE | {"price": 1e300}, 3003, "price"),
        (BARE | {"volume": None}, 1008, "volume is missing"),
        (BARE | {"volume": True}, 1003, "volume True"),
        (BARE | {"volume": 1.5}, 1003, "volume 1.5"),
        (BARE | {"volume": 10**40}, 1003, "volume"),
        (BARE | {"volume": 1 << 31}, 1003, "volume"),
        (BARE | {"volume": "1"}, 1003, "volume '1'"),
        (json.dumps(BARE).replace("75000", "NaN").encode(), 1008, "not a JSON object"),
        (json.dumps(BARE).replace("75000", "1e999").encode(), 1008, "not a JSON object"),
        (BARE | {"order_direction": "LONG"}, 1008, "direction 'LONG' is not one of BUY, SELL"),
        (BARE | {"order_offset": 3}, 1008, "offset 3"),
        (BARE | {"towards": -2}, 1008, "contradicts"),
        (BARE | {"towards": 5}, 1008, "towards 5"),
        (BARE | {"towards": -1}, 1008, "contradicts BUY"),
        (BARE | {"direction": "SELL"}, 1008, "order_direction 'BUY' contradicts direction 'SELL'"),
        (BARE | {"offset": "CLOSE"}, 1008, "contradicts offset 'CLOSE'"),
        (BARE | {"price_type": "LIMIT", "order_type": "ANY"}, 1008, "contradicts order_type 'ANY'"),
        (BARE | {"price_type": "LIMIT", "order_type": "FOO"}, 1008, "order_type 'FOO'"),
        (BARE | {"hedge_flag": "FOO"}, 1008, "hedge_flag 'FOO'"),
        (BARE | {"contingent_condition": "TOUCH"}, 1008, "contingent_condition 'TOUCH'"),
        (BARE | {"code": None}, 1008, "instrument_id is missing"),
        (BARE | {"code": "cu 2109"}, 1007, "no instrument"),
        (BARE | {"code": "zz2109"}, 1007, "no instrument"),
        (BARE | {"code": "m2109", "order_offset": "CLOSEYESTERDAY"}, 1008, "SHFE and INE"),
        (BARE | {"order_id": "a|b"}, 1008, "order_id"),
        (BARE | {"order_id": 7}, 1008, "order_id"),
        (BARE | {"order_id": "x" * 257}, 1008, "order_id"),
        (BARE | {"order_id": "单" * 100}, 1008, "order_id"),
        ({"topic": "cancel_order", "account_cookie": "a"}, 1008, "order_id is missing"),
        ({"topic": "amend_order", "account_cookie": "a", "order_id": "x"}, 1008, "neither price nor volume"),
        ({"topic": "transfer", "account_cookie": "a", "amount": "all"}, 2004, "amount"),
        ({"topic": "transfer", "account_cookie": "a", "amount": 0}, 2004, "amount"),
        ({"topic": "query_settlement", "account_cookie": "a", "day": "soon"}, 1008, "trading_day"),
    ],
)
def test_what_is_wrong_is_said(body: Any, number: int, says: str) -> None:
    with pytest.raises(BadOrder, match=None) as caught:
        read(body)
    assert caught.value.number == number
    assert says in caught.value.message


def test_a_refusal_names_the_account_and_the_order_it_was_for() -> None:
    for body in (
        BARE | {"order_id": "x9", "price": None},
        {"topic": "order", "action": "send_order", "account_cookie": "acc001", "data": {"order_id": "x9"}},
    ):
        with pytest.raises(BadOrder) as caught:
            read(body)
        assert (caught.value.account_id, caught.value.order_id) == ("acc001", "x9")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=12)
    | st.sampled_from(["BUY", "SELL", "OPEN", "cu2109", "SHFE", "order", "sendorder", "send_order", "LIMIT"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [*BARE, "action", "data", "towards", "order_id", "price_type", "amount", "day", "direction"]
)
TOPICS = st.sampled_from(
    ["order", "sendorder", "send_order", "cancel_order", "amend_order", "transfer", "query_bank"]
)


@given(st.dictionaries(FIELDS, VALUES, max_size=6), TOPICS)
@example({"volume": 1e308}, "sendorder")
@example({"towards": True}, "sendorder")
def test_any_message_is_a_command_or_a_refusal(fields: dict[str, Any], topic: str) -> None:
    for body in (
        BARE | {"topic": topic} | fields,
        {"topic": "order", "account_cookie": "a", "data": fields, "action": topic},
    ):
        try:
            command = read(json.dumps(body).encode())
        except BadOrder as error:
            assert error.message and error.number
            continue
        assert isinstance(command, Command)
        if isinstance(command, InsertOrder):
            assert command.volume == int(command.volume)
            assert command.limit_price is None or abs(command.limit_price) < 1e13
            assert not set(command.order_id) & set("=#|;/")


@given(st.binary(max_size=200), st.sampled_from(LETTERS), st.integers(0, 300), st.integers(0, 10))
def test_bytes_of_any_kind_never_end_the_consumer(junk: bytes, letter: bytes, place: int, cut: int) -> None:
    for body in (junk, letter[:place] + junk[:4] + letter[place + cut :]):
        try:
            assert isinstance(read(body), Command)
        except BadOrder:
            pass
