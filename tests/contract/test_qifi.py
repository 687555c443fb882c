"""QIFI documents both ways: golden bytes, older habits, and the worked numbers of the contract."""

import json
import math
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.int64 import Int64
from hypothesis import given
from hypothesis import strategies as st

from qautlra import qifi
from qautlra._core.account import BUY, OPEN, SELL, Ledger
from qautlra.base.errors import InputError
from qautlra.model import order as words
from qautlra.wire import qifi_account
from qautlra.wire.qifi import stored

HERE = Path(__file__).parent / "qifi"
CU = (HERE / "cu.json").read_bytes()
OLDER = (HERE / "older_rb.json").read_bytes()

# Field lists of QUANTAXIS/qifi-rs 0.3, whose loader wants each of them there and not null.
RS = json.loads((HERE / "qifi_rs_fields.json").read_text())
RS_TOP, RS_ACCOUNT, RS_ORDER, RS_TRADE = RS["top"], RS["account"], RS["order"], RS["trade"]


def nulls(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in nulls(item, f"{path}.{key}")]
    return [path] if value is None else []


def test_the_golden_document_is_read_and_written_byte_for_byte() -> None:
    document = qifi.from_json(CU)
    written = qifi.to_json(document)
    assert json.loads(written) == json.loads(CU)
    assert qifi.to_json(qifi.from_json(written)) == written
    # The document as it goes to the database: its bytes are kept beside, made once and read by pymongo.
    kept = (HERE / "cu.bson").read_bytes()
    assert qifi.to_bson(document) == kept
    assert qifi.load(kept) == document
    assert bson.decode(kept)["orders"]["o1"]["insert_date_time"] == 1627867810000000000


def test_what_is_written_has_every_field_qifi_rs_wants_and_no_null() -> None:
    for document in (qifi.from_json(CU), qifi.from_json(OLDER), qifi.Qifi(account_cookie="bare")):
        for values in (json.loads(qifi.to_json(document)), bson.decode(qifi.to_bson(document))):
            assert set(RS_TOP) <= set(values)
            assert set(RS_ACCOUNT) == set(values["accounts"])
            assert all(set(RS_ORDER) == set(order) for order in values["orders"].values())
            assert all(set(RS_TRADE) == set(trade) for trade in values["trades"].values())
            assert nulls(values) == []


def test_money_by_currency_as_diff_has_it_is_read() -> None:
    values = json.loads(CU)
    values["accounts"] = {"CNY": values["accounts"]}
    for read in (
        qifi.from_json(json.dumps(values)), qifi.from_bson(bson.encode(values)), qifi.from_dict(values),
    ):  # fmt: skip
        assert read == qifi.from_json(CU)


def test_older_documents_are_put_right() -> None:
    document = qifi.load(OLDER)
    assert list(document.positions) == ["SHFE.rb2001"]
    assert document.event == {"2019-10-21 09:50:00": "下单成功"}
    assert document.capital_password == "" and document.bankname == "null is a word"
    assert document.orders["a1"].insert_date_time == 1571622601000000000
    assert document.orders["a3"].last_msg == ""
    assert document.accounts.WithdrawQuota == 0.0
    assert b"sourceid" not in qifi.to_json(document)
    again = qifi.load(qifi.to_bson(document, key_sep="_"))
    assert again == document
    assert list(bson.decode(qifi.to_bson(document, key_sep="_"))["positions"]) == ["SHFE_rb2001"]


def test_the_numbers_of_the_golden_document_come_from_its_trades_and_orders() -> None:
    """Contract 1.10 (case G): the account core is fed the document's trades and living orders."""
    golden = qifi.load(OLDER)
    ledger = Ledger()
    ledger.set_terms(0, "SHFE.rb2001", multiple=10, tick=1, margin=(0.0, 2736.0), open=(0.0, 3.42))
    account = ledger.open("simnow_01")
    assert account.deposit(golden.accounts.deposit) == 0
    sides = {"BUY": BUY, "SELL": SELL}
    for trade in golden.trades.values():
        account.trade(0, sides[trade.direction], OPEN, trade.volume, trade.price)
    for order in golden.orders.values():
        if order.status == "ALIVE":
            code, hold = account.freeze(0, sides[order.direction], OPEN, order.volume_left, order.limit_price)
            assert code == 0 and hold is not None
    ledger.mark(0, 3432.0)
    ours = qifi_account.document(
        "simnow_01",
        funds=account.funds(),
        positions=[{"symbol": "SHFE.rb2001"} | position for position in account.positions()],
        orders=[],
        trades=[],
        transfers=[],
        trading_day=20191021,
        now_ns=0,
    )
    funds, frozen = ours.accounts, 2 * 3.42
    # The document was made by a simulator that freezes no fees; the contract's formula does (1.2).
    assert funds.frozen_commission == pytest.approx(frozen, abs=1e-6)
    for name in (
        "balance",
        "margin",
        "frozen_margin",
        "commission",
        "float_profit",
        "position_profit",
        "risk_ratio",
    ):
        assert getattr(funds, name) == pytest.approx(getattr(golden.accounts, name), abs=1e-6), name
    assert funds.available + frozen == pytest.approx(golden.accounts.available, abs=1e-6)
    held, said = ours.positions["SHFE.rb2001"], golden.positions["SHFE.rb2001"]
    for name in (
        "float_profit_long",
        "float_profit_short",
        "margin",
        "open_cost_long",
        "position_cost_short",
    ):
        assert getattr(held, name) == pytest.approx(getattr(said, name), abs=1e-6), name


def test_orders_and_trades_of_the_house_become_those_of_the_document() -> None:
    order = words.Order(
        number=7,
        account_id="acc001",
        order_id="o1",
        exchange_order_id="1001",
        symbol="SHFE.cu2109",
        direction=words.Direction.SELL,
        offset=words.Offset.CLOSETODAY,
        price_type=words.PriceType.ANY,
        time_condition=words.TimeCondition.IOC,
        volume_condition=words.VolumeCondition.ANY,
        limit_price=None,
        volume=3,
        volume_left=1,
        is_alive=False,
        code=0,
        message="已撤单",
        insert_ns=1627867810000000001,
        update_ns=0,
    )
    made = qifi_account.order_of(order)
    assert (made.exchange_id, made.instrument_id) == ("SHFE", "cu2109")
    assert (made.direction, made.offset, made.price_type) == ("SELL", "CLOSETODAY", "ANY")
    assert (made.time_condition, made.status, made.volume_left, made.limit_price) == (
        "IOC",
        "FINISHED",
        1,
        0.0,
    )
    assert qifi_account.stamp(1627867865_123456789) == "2021-08-02 09:31:05.123456"


def test_cancelled_orders_of_the_python_account_are_finished() -> None:
    values = json.loads(CU)
    values["orders"]["o1"]["status"] = "CANCEL"
    values["orders"]["o1"]["volume"] = values["orders"]["o1"].pop("volume_orign")
    read = qifi.from_dict(values).orders["o1"]
    assert read.status == "FINISHED" and read.volume_orign == 2


def test_no_number_is_written_as_none() -> None:
    document = qifi.from_json(CU)
    document.accounts.risk_ratio = math.nan
    document.positions["SHFE.cu2109"].open_price_short = math.inf
    values = json.loads(qifi.to_json(document))
    assert values["accounts"]["risk_ratio"] == 0.0
    assert nulls(values) == []
    document.trades["t1"].trade_date_time = 5
    assert type(stored(document)["trades"]["t1"]["trade_date_time"]) is Int64


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON|not BSON"),
        (b"{", "not JSON"),
        (b"[]", "not BSON|object"),
        (b"{}", "account_cookie"),
        (b'{"account_cookie": 5}', "account_cookie"),
        (b'{"account_cookie": "a", "accounts": []}', "accounts"),
        (b'{"account_cookie": "a", "orders": {"x": 1}}', "orders.x"),
        (b'{"account_cookie": "a", "status": true}', "status"),
        (b'{"account_cookie": "a", "money": "much"}', "money"),
        (b'{"account_cookie": "a", "status": 1e300}', "status"),
        (b'{"account_cookie": "a", "positions": [1]}', "positions"),
        (b"\x05\x00\x00\x00\x00", "account_cookie"),
        (b"\x10\x00\x00\x00broken", "not BSON"),
        (b'{"account_cookie":' + b"[" * 5000, "not JSON"),
    ],
)
def test_what_is_no_document_is_refused_with_the_place(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        qifi.load(data)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from([*RS_TOP[1:], "events", "positons", "frozen"]), JUNK)
def test_any_value_anywhere_is_read_or_refused(name: str, value: Any) -> None:
    values = json.loads(CU) | {name: value}
    try:
        document = qifi.from_dict(values)
    except InputError:
        return
    written = json.loads(qifi.to_json(document))
    assert nulls({key: item for key, item in written.items() if key != "executions"}) == []


@given(st.sampled_from(["orders", "positions", "trades", "banks", "accounts"]), st.data())
def test_any_value_inside_is_read_or_refused(part: str, data: Any) -> None:
    values = json.loads(CU)
    item = values[part] if part == "accounts" else next(iter(values[part].values()))
    item[data.draw(st.sampled_from(sorted(item)))] = data.draw(JUNK)
    try:
        document = qifi.from_dict(values)
    except InputError:
        return
    written = qifi.to_json(document)
    assert qifi.to_json(qifi.from_json(written)) == written


@given(st.binary(max_size=64))
def test_junk_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        qifi.load(data)


@given(st.integers(0, len(CU)), st.binary(max_size=4))
def test_a_damaged_document_never_crashes(place: int, bytes_: bytes) -> None:
    try:
        qifi.load(CU[:place] + bytes_ + CU[place + 4 :])
    except InputError:
        pass


def test_files(tmp_path: Path) -> None:
    document = qifi.from_json(CU)
    for name in ("a.json", "a.bson"):
        qifi.save(document, tmp_path / name)
        assert qifi.read(tmp_path / name) == document
