"""The DIFF spelling of orders in C++: golden bytes, what is refused, and one call from bytes to bytes."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from qautlra._core import account as account_module
from qautlra._core import book, orders
from qautlra._core.exchange import STATUSES, Exchange
from qautlra._core.journal import Journal
from qautlra.model import codes
from tests.core.test_exchange import BUY, CLOSETODAY, CU, OPEN, SELL, opened, random_day
from tests.models.diff_orders import decode as naive

NOW = 1_627_867_810_000_000_000
INSERT: dict[str, Any] = {
    "aid": "insert_order",
    "user_id": "acc001",
    "order_id": "o1",
    "exchange_id": "SHFE",
    "instrument_id": "cu2109",
    "direction": "BUY",
    "offset": "OPEN",
    "volume": 2,
    "price_type": "LIMIT",
    "limit_price": 75000,
    "volume_condition": "ANY",
    "time_condition": "GFD",
}


def bytes_of(**changes: Any) -> bytes:
    """The contract's insert_order with keys changed, or left out where the value is ...."""
    return json.dumps({k: v for k, v in (INSERT | changes).items() if v is not ...}).encode()


def after_a2() -> Exchange:
    """Contract section 11 A up to A2, as section 1.11 shows it."""
    x = opened()
    x.street(0, SELL, 75_000, 2, now_ns=NOW)
    assert x.insert(1, "o1", 0, BUY, OPEN, 2, 75_000, now_ns=NOW)[0] == 0
    x.mark(0, 75_200, NOW + 1)
    x.street(0, BUY, 75_200, 1, now_ns=NOW + 2)
    assert x.insert(1, "o2", 0, SELL, CLOSETODAY, 1, 75_200, now_ns=NOW + 3)[0] == 0
    return x


def test_golden_order_and_trade() -> None:
    x = after_a2()
    assert orders.encode_order(x, 0).decode() == (
        '{"seqno":2,"user_id":"acc001","exchange_id":"SHFE","instrument_id":"cu2109","order_id":"o1",'
        '"direction":"BUY","offset":"OPEN","volume_orign":2,"price_type":"LIMIT","limit_price":75000,'
        '"time_condition":"GFD","volume_condition":"ANY","insert_date_time":1627867810000000000,'
        '"exchange_order_id":"2","status":"FINISHED","volume_left":0,"last_msg":"全部成交"}'
    )
    assert orders.encode_trade(x, 0).decode() == (
        '{"seqno":3,"user_id":"acc001","exchange_id":"SHFE","instrument_id":"cu2109","trade_id":"o1|1",'
        '"order_id":"o1","exchange_trade_id":"1","direction":"BUY","offset":"OPEN","volume":2,"price":75000,'
        '"trade_date_time":1627867810000000000,"commission":37.5}'
    )


def test_golden_account_and_position() -> None:
    x = after_a2()
    # The contract's own example starts from pre_balance; here the money came as a deposit.
    assert orders.encode_account(x, 1).decode() == (
        '{"user_id":"acc001","currency":"CNY","pre_balance":0,"deposit":1000000,"withdraw":0,'
        '"close_profit":1000,"commission":37.5,"premium":0,"static_balance":1000000,"position_profit":1000,'
        '"float_profit":1000,"balance":1001962.5,"margin":37500,"frozen_margin":0,"frozen_commission":0,'
        '"frozen_premium":0,"available":964462.5,"risk_ratio":0.03742655039485011,"market_value":0,'
        '"value_balance":1001962.5}'
    )
    assert b'"withdraw":0,"WithdrawQuota":963462.5,' in orders.encode_account(x, 1, with_quota=True)
    assert (orders.encode_position(x, 1, 0) or b"").decode() == (
        '{"user_id":"acc001","exchange_id":"SHFE","instrument_id":"cu2109","volume_long_today":1,'
        '"volume_long_his":0,"volume_long":1,"volume_long_frozen_today":0,"volume_long_frozen_his":0,'
        '"volume_long_frozen":0,"volume_long_yd":0,"pos_long_his":0,"pos_long_today":1,"volume_short_today":0,'
        '"volume_short_his":0,"volume_short":0,"volume_short_frozen_today":0,"volume_short_frozen_his":0,'
        '"volume_short_frozen":0,"volume_short_yd":0,"pos_short_his":0,"pos_short_today":0,'
        '"open_price_long":75000,"open_cost_long":375000,"position_price_long":75000,'
        '"position_cost_long":375000,"open_price_short":0,"open_cost_short":0,"position_price_short":0,'
        '"position_cost_short":0,"last_price":75200,"float_profit_long":1000,"float_profit_short":0,'
        '"float_profit":1000,"position_profit_long":1000,"position_profit_short":0,"position_profit":1000,'
        '"margin_long":37500,"margin_short":0,"margin":37500,"frozen_margin":0}'
    )
    assert orders.encode_position(x, 1, 1) is None


def test_what_has_no_value_is_a_dash_and_a_refused_order_has_no_number() -> None:
    x = opened(cash=1)
    code, number, _ = x.insert(1, 'q"\\\n', 0, BUY, OPEN, 1, 75_000, now_ns=NOW)
    assert (code, number) == (1001, 0)
    got = json.loads(orders.encode_order(x, 0))
    assert (
        got
        | {
            "order_id": 'q"\\\n',
            "exchange_order_id": "",
            "status": "FINISHED",
            "volume_left": 1,
            "last_msg": "开仓保证金不足",
        }
        == got
    )
    y = Exchange()
    y.list("SHFE.cu2109", 60_000, 90_000, **CU)
    y.open_account("a")
    y.settle(20210802)
    y.move_money(1, 1e6)
    y.set_phase(0, book.CONTINUOUS)
    y.insert(1, "o", 0, BUY, OPEN, 1, 75_000)
    assert b'"last_price":"-"' in (orders.encode_position(y, 1, 0) or b"")
    for number in (1, 1 << 31):
        with pytest.raises(ValueError, match="there is no"):
            orders.encode_order(x, number)
        with pytest.raises(ValueError, match="there is no"):
            orders.encode_trade(x, number)
    with pytest.raises(ValueError, match="no account"):
        orders.encode_account(x, 99)
    with pytest.raises(ValueError, match="no instrument"):
        orders.encode_position(x, 1, 99)
    with pytest.raises(ValueError, match="no trade"):
        orders.encode_part(x, 1, trades=[0])


def test_an_average_that_is_no_whole_number() -> None:
    x = opened()
    x.street(1, BUY, 5_001, 3)
    x.street(1, BUY, 5_000, 4)
    x.insert(1, "c", 1, SELL, OPEN, 10, 5_000)
    got = json.loads(orders.encode_position(x, 1, 1) or b"")
    assert got["open_price_short"] == pytest.approx(5000.428571428571, abs=1e-9)
    assert got["open_price_short"] == x.account(1).position(1)["open_price_short"]  # type: ignore[index]
    assert json.loads(orders.encode_order(x, 0))["last_msg"] == "部分成交"


def test_a_change_is_the_part_with_what_can_be_withdrawn_and_without_what_there_is_nothing_of() -> None:
    x = after_a2()
    part = json.loads(orders.encode_part(x, 1, instruments=[0], orders=[0, 1], trades=[1]))
    part["accounts"]["CNY"] = json.loads(orders.encode_account(x, 1, with_quota=True))
    written = orders.encode_change(x, 1, [1, 0], [0, 1], [1])
    assert json.loads(b"{" + written + b"}") == part
    assert list(json.loads(b"{" + orders.encode_change(x, 1, [1], [], []) + b"}")) == ["accounts"]
    assert list(json.loads(b"{" + orders.encode_change(x, 1, [1], [0], []) + b"}")) == ["accounts", "orders"]
    with pytest.raises(ValueError, match="no trade"):
        orders.encode_change(x, 1, [], [], [99])
    with pytest.raises(ValueError, match="no account"):
        orders.encode_change(x, 99, [], [], [])


def test_changes_are_the_events_by_account() -> None:
    one, two = opened(), opened()
    for x in (one, two):
        x.events()
        for number, side in enumerate((BUY, BUY, SELL, BUY)):
            instrument, price = ((0, 75_000), (1, 5_000))[number // 3]
            assert x.insert(1 + number // 2, f"o{number}", instrument, side, OPEN, 2, price)[0] == 0
        assert x.cancel(1, "o1")[0] == 0
    wanted: dict[int, tuple[dict[int, None], list[int], list[int], set[int]]] = {}
    for event in one.events():
        numbers, trades, both, instruments = wanted.setdefault(event[3], ({}, [], [], set()))
        numbers.pop(event[2], None)
        numbers[event[2]] = None
        instruments.add(event[4])
        if event[0] == "trade":
            trades.append(event[10])
        both.append(-1 - event[10] if event[0] == "trade" else event[2])
    found = orders.changes(two)
    assert found == wanted
    assert [list(of[0]) for of in found.values()] == [list(of[0]) for of in wanted.values()]
    assert set(found) == {1, 2}
    assert all(of[1] for of in found.values())
    assert (orders.changes(two), two.events()) == ({}, [])


def test_everything_equals_what_the_accounts_say() -> None:
    """The encoders beside the dicts of the account module, over a random day."""
    seed = int(os.environ.get("QAUTLRA_SEED", random.SystemRandom().getrandbits(32)))
    print(f"QAUTLRA_SEED={seed}")
    x = opened()
    for _ in range(8):
        random_day(x, random.Random(seed := seed + 1), 150)
        for account in (1, 2):
            part = json.loads(
                orders.encode_part(
                    x,
                    account,
                    instruments=range(2),
                    orders=x.orders_of(account),
                    trades=x.trades_of(account),
                )
            )
            funds = x.account(account).funds()
            for key, value in part["accounts"]["CNY"].items():
                if key in funds:
                    assert value == funds[key], key
            positions = {f"{p['symbol']}": p for p in x.account(account).positions()}
            assert set(part["positions"]) == set(positions)
            for symbol, position in part["positions"].items():
                for key, value in position.items():
                    if key == "last_price":
                        assert value == ("-" if positions[symbol][key] is None else positions[symbol][key])
                    elif key in positions[symbol]:
                        assert value == positions[symbol][key], (symbol, key)
            mine = {x.order(n)["order_id"]: x.order(n) for n in x.orders_of(account)}
            assert set(part["orders"]) == set(mine)
            for order_id, order in part["orders"].items():
                one = mine[order_id]
                assert order["order_id"] == order_id
                assert order["volume_left"] == one["left"]
                assert order["volume_orign"] == one["volume"]
                assert order["status"] == ("ALIVE" if one["alive"] else "FINISHED")
                assert order["limit_price"] == one["price"]
                assert order["seqno"] == one["seq"]
                assert order["exchange_order_id"] == (
                    str(one["exchange_number"]) if one["exchange_number"] else ""
                )
                number = x.find(account, order_id)
                assert number is not None
                assert order["last_msg"] == orders.message(x, number) != ""
            for trade_id, trade in part["trades"].items():
                assert trade_id == trade["trade_id"] == f"{trade['order_id']}|{trade['exchange_trade_id']}"
            assert sorted(
                (t["price"], t["volume"], t["commission"]) for t in part["trades"].values()
            ) == sorted(
                (t["price"], t["volume"], t["commission"]) for t in map(x.trade, x.trades_of(account))
            )


def test_counts_of_a_day_are_those_of_its_orders_and_trades() -> None:
    seed = int(os.environ.get("QAUTLRA_SEED", random.SystemRandom().getrandbits(32)))
    print(f"QAUTLRA_SEED={seed}")
    met = set()
    for days in range(40):
        if days >= 8 and met == {0, 1, 2, 3, 4}:
            break
        if days % 4 == 0:  # accounts of many such days have no money left
            x = opened()
        random_day(x, random.Random(seed := seed + 1), 150)
        rows = [x.order(number) for number in range(x.orders)]
        states = [
            4 if row["code"]
            else (row["left"] < row["volume"]) if row["alive"]
            else 3 if row["left"]
            else 2
            for row in rows
        ]  # fmt: skip
        met |= set(states)
        counts, lots, by_instrument = x.tally_orders()
        assert counts == [states.count(state) for state in range(5)] and len(STATUSES) == 5
        assert lots == sum(row["volume"] - row["left"] for row in rows)
        instruments = [row["instrument"] for row in rows]
        assert by_instrument == {one: instruments.count(one) for one in set(instruments)}
        for bits in (0, 0b11, 0b10100, 0b11111):
            chosen = [number for number, state in enumerate(states) if bits >> state & 1]
            assert x.chosen_orders(bits) == chosen
            for account in (1, 2):
                own = [number for number in chosen if rows[number]["account"] == account]
                assert x.chosen_orders(bits, account) == own
        matches = {trade["match"]: trade for trade in map(x.trade, range(x.trades))}.values()
        value = dict.fromkeys(set(instruments), 0.0)
        for trade in matches:
            value[trade["instrument"]] += trade["price"] * trade["volume"]
        number, volume, worth = x.tally_trades()
        assert (number, volume) == (len(matches), sum(trade["volume"] for trade in matches))
        assert worth == pytest.approx({one: found for one, found in value.items() if found})
    assert met == {0, 1, 2, 3, 4}


def test_every_code_has_a_text() -> None:
    for code, (name, diff, ctp, text) in account_module.CODES.items():
        assert orders.CODES[code] == (name, diff, ctp, text)
    assert set(book.CODES) | {5001, 5004, 5005} <= set(orders.CODES)
    assert all(name and text for name, _, _, text in orders.CODES.values())
    assert {code: codes.describe(code).text for code in orders.CODES} == {
        code: text for code, (*_, text) in orders.CODES.items()
    }


# In


def test_the_contracts_message() -> None:
    got = orders.decode(bytes_of())
    assert got == ("insert", "acc001", "o1", "SHFE", "cu2109", 0, 0, 2, 75_000.0, 0, 3, 1, 0, 0, 0, "")
    got = orders.decode(b'{"aid":"cancel_order","user_id":"acc001","order_id":"o1"}')
    assert (got.kind, got.user_id, got.order_id, got.code) == ("cancel", "acc001", "o1", 0)
    assert orders.decode(b'{"aid":"peek_message"}').kind == "other"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"limit_price": 0.1}, {"price": 0.1}),
        ({"limit_price": 5000.2}, {"price": 5000.2}),
        ({"limit_price": 1e3}, {"price": 1000.0}),
        ({"limit_price": -5}, {"price": -5.0}),
        ({"limit_price": 1e300}, {"price": None}),
        ({"limit_price": "-"}, {"price": None}),
        ({"limit_price": None}, {"price": None}),
        ({"limit_price": ...}, {"price": None}),
        ({"volume": 3.0}, {"volume": 3}),
        ({"volume": 1.5}, {"volume": 0}),
        ({"volume": 10**30}, {"volume": 0}),
        ({"volume": -1}, {"volume": -1}),
        ({"price_type": "ANY", "time_condition": ...}, {"price_type": 1, "time": 1, "price": None}),
        ({"time_condition": ..., "volume_condition": ...}, {"time": 3, "condition": 1}),
        ({"time_condition": None}, {"time": 3}),
        ({"offset": "CLOSEYESTERDAY"}, {"offset": 1}),
        ({"volume_condition": "MIN", "min_volume": 2}, {"condition": 2, "min_volume": 2}),
        ({"time_condition": "GTD", "GTD_date": 20210901}, {"time": 4, "gtd_day": 20210901}),
        ({"hedge_flag": "MARKETMAKER"}, {"kind": "insert"}),
        ({"hedge_flag": None}, {"kind": "insert"}),
        ({"hedge_flag": "SPECULATION", "contingent_condition": "IMMEDIATELY"}, {"kind": "insert"}),
        ({"unknown": {"a": [1, {"b": "\\u00e4"}, [], {}, None, True, False, -1.5e-3]}}, {"kind": "insert"}),
        ({"order_id": ""}, {"order_id": ""}),
        ({"order_id": "单\u00e4😀"}, {"order_id": "单\u00e4😀"}),
        ({"user_id": ...}, {"user_id": ""}),
    ],
)
def test_what_is_taken(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    for message in (bytes_of(**changes), b" \n" + bytes_of(**changes).replace(b":", b" : ") + b"\t"):
        got = orders.decode(message)
        assert got.code == 0, got
        assert {key: getattr(got, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"order_id": ...}, "order_id"),
        ({"order_id": 5}, "order_id"),
        ({"order_id": "a|b"}, "order_id"),
        ({"order_id": "x" * 257}, "order_id"),
        ({"exchange_id": None}, "exchange_id"),
        ({"instrument_id": ["cu2109"]}, "instrument_id"),
        ({"instrument_id": "x" * 300}, "instrument_id"),
        ({"direction": "buy"}, "direction"),
        ({"direction": 0}, "direction"),
        ({"offset": "REVERSE"}, "offset"),
        ({"volume": "2"}, "volume"),
        ({"volume": True}, "volume"),
        ({"volume": None}, "volume"),
        ({"price_type": "STOP"}, "price_type"),
        ({"limit_price": "75000"}, "limit_price"),
        ({"limit_price": {}}, "limit_price"),
        ({"time_condition": "DAY"}, "time_condition"),
        ({"volume_condition": 1}, "volume_condition"),
        ({"contingent_condition": "TOUCH"}, "contingent_condition"),
        ({"hedge_flag": "FOO"}, "hedge_flag"),
        ({"hedge_flag": ""}, "hedge_flag"),
        ({"hedge_flag": 1}, "hedge_flag"),
        ({"user_id": 1}, "user_id"),
        ({"direction": "BUY\u0000"}, "direction"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], field: str) -> None:
    got = orders.decode(bytes_of(**changes))
    assert (got.kind, got.code, got.field) == ("insert", 1008, field)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"null",
        b"[]",
        b'"insert_order"',
        b"{",
        b"{}x",
        b'{"aid"}',
        b'{"aid":}',
        b'{"aid":"insert_order",}',
        b'{"aid":"insert_order" "a":1}',
        b"{'aid':'insert_order'}",
        b'{"aid":"insert_order","a":01}',
        b'{"aid":"insert_order","a":.5}',
        b'{"aid":"insert_order","a":1.}',
        b'{"aid":"insert_order","a":1e}',
        b'{"aid":"insert_order","a":+1}',
        b'{"aid":"insert_order","a":NaN}',
        b'{"aid":"insert_order","a":tru}',
        b'{"aid":"insert_order","a":"\x01"}',
        b'{"aid":"insert_order","a":"\\x"}',
        b'{"aid":"insert_order","a":"\\ud800"}',
        b'{"aid":"insert_order","a":"\\ud800\\u0041"}',
        b'{"aid":"insert_order","order_id":"\xff"}',
        b'{"aid":"insert_order","order_id":"\xc0\x80"}',
        b'{"aid":"insert_order","order_id":"\xed\xa0\x80"}',
        b'{"aid":"insert_order","a":[1,]}',
        b'{"aid":"insert_order","a":[1 2]}',
        b'{"aid":"insert_order","a":{"b":1]}',
        b'{"aid":"insert_order","a":{1:1}}',
        b'{"aid":"insert_order","a":' + b"[" * 33 + b"]" * 33 + b"}",
        b'{"aid":"insert_order","a":"' + b"x" * (64 << 10) + b'"}',
        b'{"aid":"insert_order","order_id":"' + b"\\u0041" * 3000 + b'"}',
    ],
)
def test_what_is_no_message(message: bytes) -> None:
    got = orders.decode(message)
    assert (got.kind, got.code, got.field) == ("none", 1008, "json")


def test_keys_and_words_may_be_escaped_and_the_last_counts() -> None:
    message = bytes_of().replace(b'"aid"', b'"\\u0061id"').replace(b'"BUY"', b'"\\u0042UY"')
    message = message.replace(b'"order_id": "o1"', b'"order_id": "o1", "order_id": "o\\u0032"')
    got = orders.decode(message)
    assert (got.kind, got.code, got.order_id, got.side) == ("insert", 0, "o2", 0)
    assert orders.decode(b'{"x":"' + b"\\u4e2d" * 9_000 + b'",' + bytes_of()[1:]).code == 0


def test_texts_may_begin_and_end_anywhere_among_the_blocks_that_are_read_at_once() -> None:
    for before in range(140):
        padding = b'{"x":"' + b"x" * before + b'",'
        for order_id in ("o", "o" * 7, "o" * 15, "o" * 16, "o" * 70, 'o"', "中" * 30):
            message = padding + bytes_of(order_id=order_id)[1:]
            got = orders.decode(message)
            assert (got.code, got.order_id, got.instrument_id) == (0, order_id, INSERT["instrument_id"])
            assert got == naive(message)
            assert orders.decode(message[:-1]).field == "json"
            assert orders.decode(message + b" \n\t").code == 0
            assert orders.decode(message + b"}").field == "json"


NUMBERS = (
    "1 0 7.5 3500.25 0.000001 99999.123456 12345678901 1e3 1.0 0.1e1 123456789012 1.2345678 1000000000 "
    "1000000001 01 1. -1 -0.5 00 5.50 1E2 - 1.e5"
)


@pytest.mark.parametrize("value", NUMBERS.split())
def test_numbers_as_they_may_be_written(value: str) -> None:
    for field in ("limit_price", "volume", "min_volume", "GTD_date"):
        message = bytes_of(**{field: 987654}).replace(b"987654", value.encode())
        assert orders.decode(message) == naive(message), message


def test_keys_may_come_in_any_order_after_those_of_another_message() -> None:
    """One reader learns which key follows which; it must read what it did not expect all the same."""
    rng = random.Random(7)
    path, fresh = orders.Path(after_a2()), after_a2()
    for number in range(300):
        members = list((INSERT | {"order_id": f"k{number}", "other": [number], "GTD_date": 20210901}).items())
        rng.shuffle(members)
        spaced = rng.choice([(",", ":"), (", ", ": "), (" ,  ", " :  "), (",\n", "\t:")])
        message = json.dumps(dict(members), separators=spaced).encode()
        if number % 3 == 0:
            message = message.replace(b'"offset"', b'"off\\u0073et"')
        answer = path.handle(1, message, NOW + number)
        assert (answer.kind, answer.code) == (
            naive(message).kind,
            orders.Path(fresh).handle(1, message, NOW).code,
        )
        found = path.exchange.order(answer.number)
        assert found["order_id"] == f"k{number}"
        assert found["volume"] == INSERT["volume"]


def test_the_decoder_beside_the_naive_one() -> None:
    """Whole, cut and mangled messages: both say the same, whatever it is."""
    seed = int(os.environ.get("QAUTLRA_SEED", random.SystemRandom().getrandbits(32)))
    print(f"QAUTLRA_SEED={seed}")
    rng = random.Random(seed)
    values: list[Any] = [
        None,
        "",
        "-",
        "BUY",
        "OPEN",
        "LIMIT",
        "ANY",
        "IOC",
        "ALL",
        "SHFE",
        0,
        1,
        2.5,
        -3,
        1e20,
    ]
    values += [7.25, True, [], {}, [1, "a"], {"a": {"b": [None]}}, "\u0000", "é", "x" * 256, "x" * 257]
    taken = 0
    for _ in range(4_000):
        message = dict(INSERT)
        for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
            key = rng.choice([*INSERT, "GTD_date", "min_volume", "contingent_condition", "other"])
            if rng.random() < 0.2:
                message.pop(key, None)
            else:
                message[key] = rng.choice(values)
        text = bytearray(json.dumps(message, ensure_ascii=rng.random() < 0.5).encode())
        if rng.random() < 0.4:
            for _ in range(rng.randint(1, 3)):
                place = rng.randrange(len(text))
                if rng.random() < 0.5:
                    text[place] = rng.choice(b'"\\{}[],:0123456789.eE+-untrfls \n\x00\xc3\xa9\xff')
                else:
                    del text[place]
        got = orders.decode(text)
        assert got == naive(bytes(text)), bytes(text)
        taken += got.code == 0
    assert taken > 500


# One call


def test_one_call_from_bytes_to_bytes(tmp_path: Path) -> None:
    with Journal(tmp_path / "log") as journal:
        x = opened(journal)
        path = orders.Path(x, whole=True)
        x.street(0, SELL, 75_000, 1)
        x.events()
        got = path.handle(1, bytes_of(), NOW)
        assert (got.kind, got.code, got.number, got.lsn) == ("insert", 0, 0, journal.head_lsn)
        report = json.loads(got.report)
        assert report["aid"] == "rtn_data"
        part = report["data"][0]["trade"]["acc001"]
        assert part == json.loads(orders.encode_part(x, 1, instruments=[0], orders=[0], trades=[0]))
        assert part["orders"]["o1"]["volume_left"] == 1
        assert list(part["trades"]) == ["o1|1"]
        assert [event[0] for event in x.events()] == ["order", "order", "trade"]
        again = path.handle(1, bytes_of(), NOW)  # the same id: the first order's number, nothing done
        assert (again.code, again.number, again.lsn) == (3002, 0, 0)
        notify = next(iter(json.loads(again.report)["data"][0]["notify"].values()))
        assert notify == {
            "type": "MESSAGE",
            "level": "WARNING",
            "code": 407,
            "session_id": 0,
            "content": "单号重复",
        }
        gone = path.handle(1, b'{"aid":"cancel_order","user_id":"acc001","order_id":"o1"}', NOW)
        assert (gone.kind, gone.code) == ("cancel", 0)
        order = json.loads(gone.report)["data"][0]["trade"]["acc001"]["orders"]["o1"]
        assert (order["status"], order["volume_left"], order["last_msg"]) == ("FINISHED", 1, "已撤单")
        assert path.handle(1, b'{"aid":"cancel_order","user_id":"acc001","order_id":"o1"}', NOW).code == 3001


def merged(tree: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    tree = dict(tree) if isinstance(tree, dict) else {}
    for key, value in patch.items():
        if value is None:
            tree.pop(key, None)
        else:
            tree[key] = merged(tree.get(key), value)
    return tree


def whole_tree(x: Exchange, account: int) -> Any:
    numbers = {"orders": x.orders_of(account), "trades": x.trades_of(account)}
    return json.loads(orders.encode_part(x, account, instruments=range(x.instruments), **numbers))


def shares_of_yesterday(x: Exchange, accounts: list[int]) -> None:
    """Give every account 5,000 old SSE.600000: what is sold freezes lots under any offset."""
    costs = {"margin": (1.0, 0), "open": (0.00025, 0), "fee_min": 5, "sell_tax": 0.001}
    share = x.list("SSE.600000", 9, 11, tick=0.01, multiple=1, asset="stock", self_trade=1, **costs)
    x.set_phase(share, book.CONTINUOUS)
    for account in accounts:
        assert x.street(share, SELL, 10, 5_000)[0] == 0
        assert x.insert(account, "shares", share, BUY, OPEN, 5_000, 10)[0] == 0
    x.end_day()
    x.set_settlement(share, 10)
    for instrument, price in ((0, 75_000), (1, 5_000)):
        x.set_settlement(instrument, price)
    assert x.settle(x.trading_day + 1)[0] == 0
    for instrument in range(x.instruments):
        x.set_phase(instrument, book.CONTINUOUS)
    x.events()


@pytest.mark.parametrize("seed", range(4))
def test_patches_of_changes_come_to_the_whole_tree(seed: int) -> None:
    draw = random.Random(seed)
    x = opened()
    path = orders.Path(x)
    accounts = [x.open_account(f"acc{n:03}") for n in (1, 2, 3)]
    for account in accounts:
        x.move_money(account, 1e7)
    shares_of_yesterday(x, accounts)
    trees = {account: whole_tree(x, account) for account in accounts}
    for step in range(900):
        account = draw.choice(accounts)
        name = x.account(account).name
        if draw.random() < 0.3:
            order_id = f'o{draw.randrange(step + 1)}"\\'
            message = json.dumps({"aid": "cancel_order", "user_id": name, "order_id": order_id}).encode()
        else:
            share = draw.random() < 0.3
            message = bytes_of(
                user_id=name,
                order_id=f'o{step}"\\',
                direction=draw.choice(["BUY", "SELL"]),
                offset=draw.choice(["OPEN", "OPEN", "CLOSE", "CLOSETODAY"]),
                volume=draw.randrange(1, 5),
                limit_price=(10 + 0.01 * draw.randrange(-4, 5))
                if share
                else 75_000 + 10 * draw.randrange(-4, 5),
                **({"exchange_id": "SSE", "instrument_id": "600000"} if share else {}),
                **draw.choice([{}, {}, {}, {"price_type": "ANY", "time_condition": "IOC"}]),
            )
        got = path.handle(account, message, NOW + step * 50_000_000)
        patch = json.loads(got.report)["data"][0]
        if "trade" in patch:
            trees[account] = merged(trees[account], patch["trade"][name])
        others = {event[3] for event in x.events()} - {account}
        if draw.random() < 0.05:
            x.mark(0, 75_000 + 10 * draw.randrange(-4, 5))
            others = set(accounts)
        for other in others & set(accounts):  # what another's order did is the owner's to tell
            trees[other] = merged(trees[other], whole_tree(x, other))
        assert trees[account] == whole_tree(x, account), (step, message)
    assert x.trades > 20
    mine = [x.order(n) for account in accounts for n in x.orders_of(account)]
    assert any(o["instrument"] == 2 and o["side"] == SELL and o["code"] == 0 for o in mine)


def test_one_call_refuses_what_is_not_the_senders_or_is_nothing() -> None:
    x = opened()
    path = orders.Path(x)
    before = x.state_hash()
    assert path.handle(1, bytes_of(user_id="acc002"), NOW)[:5] == ("insert", 1006, None, 0, "")
    assert path.handle(99, bytes_of(), NOW).code == 1006
    assert path.handle(0, bytes_of(user_id=...), NOW).code == 1006
    assert path.handle(1, bytes_of(instrument_id="cu9999"), NOW).code == 1007
    assert path.handle(1, bytes_of(instrument_id="x" * 256, exchange_id="y" * 256), NOW).code == 1007
    assert path.handle(1, bytes_of(order_id=""), NOW).code == 1008
    assert path.handle(1, b"junk", NOW)[:5] == ("none", 1008, None, 0, "json")
    other = path.handle(1, b'{"aid":"peek_message"}', NOW)
    assert (other.kind, other.code, other.report) == ("other", 0, b"")
    assert (x.state_hash(), x.events()) == (before, [])
    assert path.handle(1, bytes_of(user_id="acc001.unit"), NOW).code == 0
