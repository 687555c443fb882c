"""Snapshots as JSON in the four styles, and numbers that read back bit-equal."""

import datetime as dt
import json
import math
import re
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qautlra._core import market
from qautlra._core.market import Instruments, Rows, encode
from qautlra.model.calendar import load_calendar

TABLE = Instruments(load_calendar(), 20251121)
STAMP = 1763730000500000000  # 2025-11-21 21:00:00.5 in Beijing

TICK = {
    "instrument_id": "SHFE.au2512",
    "datetime": STAMP,
    "last_price": 936.48,
    "open": 935.02,
    "highest": 936.90,
    "lowest": 934.80,
    "volume": 8123,
    "amount": 7601245600.0,
    "open_interest": 152340,
    "pre_open_interest": 151876,
    "pre_close": 932.10,
    "pre_settlement": 931.56,
    "upper_limit": 1043.34,
    "lower_limit": 819.76,
    "bid_price1": 936.46,
    "bid_volume1": 3,
    "ask_price1": 936.50,
    "ask_volume1": 7,
    "average": 935.77,
}
QG_KEYS = {
    "instrument_id last_price pre_settlement pre_close pre_open_interest open highest lowest volume amount "
    "open_interest close settlement upper_limit lower_limit average datetime"
}.pop().split() + [f"{s}_{k}{n}" for s in ("bid", "ask") for k in ("price", "volume") for n in range(1, 6)]


def row(**values: Any) -> Rows:
    rows = Rows(TABLE)
    rows.append_dict(TABLE, {**TICK, **values})
    return rows


def decoded(style: int, rows: Rows, **options: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(encode(style, rows, 0, **options))
    return value


def test_names_are_qamds() -> None:
    assert len(market.FIELDS) == 57
    assert market.FIELDS[0] == "datetime"
    assert market.FIELDS[16] == "volume"
    assert market.FIELDS[56] == "ask_volume10"
    assert {"datetime", "volume", "bid_volume1", "ask_volume10"} <= market.COUNT_FIELDS
    assert len(market.COUNT_FIELDS) == 22


def test_diff_full_snapshot() -> None:
    got = decoded(market.STYLE_DIFF, row(), full=True)
    assert got.pop("datetime") == "2025-11-21 21:00:00.500000"
    assert {k: got.pop(k) for k in ("close", "settlement", "iopv")} == {
        "close": "-",
        "settlement": "-",
        "iopv": "-",
    }
    assert {k: got.pop(k) for k in list(got) if k not in TICK} == {
        name: 0 if "volume" in name else "-"
        for name in market.FIELDS
        if re.fullmatch(r"\w+(?:[2-9]|10)", name)
    }  # every key is named, so that a reader may index any of them
    assert got == {k: v for k, v in TICK.items() if k != "datetime"}


def test_diff_required_values_that_are_missing() -> None:
    got = decoded(market.STYLE_DIFF, row(ask_price1=None, ask_volume1=None, last_price=None), full=True)
    assert (got["last_price"], got["ask_price1"], got["ask_volume1"]) == ("-", "-", 0)


def test_diff_vanished_ask_at_the_upper_limit() -> None:
    fields = market.mask_of(["ask_price1", "ask_volume1", "ask_price2"])
    got = decoded(market.STYLE_DIFF, row(ask_price1=None, ask_volume1=None), mask=fields)
    assert got == {"instrument_id": "SHFE.au2512", "ask_price1": "-", "ask_volume1": 0, "ask_price2": "-"}


def test_legacy_rtn_has_the_keys_of_the_predecessor_and_the_deeper_book() -> None:
    got = decoded(market.STYLE_LEGACY_RTN, row(), full=True)
    assert set(got) == {"instrument_id", *market.FIELDS}
    assert set(QG_KEYS) < set(got)
    assert got["close"] is None
    assert got["bid_price2"] is None
    assert got["datetime"] == "2025-11-21 21:00:00.500000"


def test_legacy_rtn_vanished_is_null() -> None:
    fields = market.mask_of(["ask_price1", "ask_volume1"])
    got = decoded(market.STYLE_LEGACY_RTN, row(ask_price1=None, ask_volume1=None), mask=fields)
    assert got == {"instrument_id": "SHFE.au2512", "ask_price1": None, "ask_volume1": None}


def test_legacy_market_data_is_the_whole_typed_snapshot() -> None:
    got = decoded(market.STYLE_LEGACY_MARKET_DATA, row(), full=True)
    assert len(got) == 58
    assert got["datetime"] == "2025-11-21T13:00:00.500000Z"
    assert (got["close"], got["settlement"], got["iopv"], got["ask_price2"]) == (None, "-", None, None)


def test_core_dialect_speaks_ctp() -> None:
    got = decoded(market.STYLE_CORE, row(), full=True)
    assert got["trading_day"] == "20251124"
    assert got["action_day"] == "20251121"
    assert (got["update_time"], got["update_millisec"]) == ("21:00:00", 500)
    assert got["turnover"] == 7601245600.0
    assert got["pre_settlement_price"] == 931.56
    assert got["settlement_price"] is None
    assert "iopv" not in got
    assert "datetime" not in got


def test_shown_id_is_the_readers_spelling() -> None:
    assert decoded(market.STYLE_DIFF, row(), mask=0, shown_id="au2512") == {"instrument_id": "au2512"}
    for hostile in ('au"', "au\\", "au\n", "", "a" * 65, "黄金"):
        with pytest.raises(ValueError, match="character"):
            encode(market.STYLE_DIFF, row(), 0, shown_id=hostile)


def test_whole_numbers_keep_their_kind() -> None:
    text = encode(market.STYLE_DIFF, row(last_price=5230.0, open_interest=90826.0), 0).decode()
    assert '"last_price":5230.0,' in text
    assert '"open_interest":90826,' in text
    assert '"volume":8123,' in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5230.0, "5230.0"),
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (0.2, "0.2"),
        (98.005, "98.005"),
        (101.998, "101.998"),
        (0.0001, "0.0001"),
        (1569176.2312, "1569176.2312"),
        (132807388020.0, "132807388020.0"),
        (-12.5, "-12.5"),
        (5806.400000000001, "5806.400000000001"),
        (1e-7, "0.0000001"),
    ],
)
def test_prices_as_text(value: float, text: str) -> None:
    got = encode(market.STYLE_DIFF, row(last_price=value), 0, mask=market.mask_of(["last_price"])).decode()
    assert got == f'{{"instrument_id":"SHFE.au2512","last_price":{text}}}'


def bits(x: float) -> bytes:
    return struct.pack("<d", x)


prices = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-(10**12), 10**12, places=4).map(float),
    st.decimals(-(10**6), 10**6, places=9).map(float),
    st.integers(-(2**60), 2**60).map(float),
    st.floats(1, 1e9).map(lambda x: x / 300),
)


@given(prices, prices, st.integers(-(2**62), 2**62))
@example(9007199254740993.0, 9.0e11 - 0.0001, 0)
@example(8.999999999999e6, 8999999.999999999, 2**62)
@example(1.7976931348623157e308, 5e-324, -1)
@example(0.1 + 0.2, 1e-9, 1)
def test_numbers_read_back_bit_equal(last: float, interest: float, volume: int) -> None:
    got = decoded(market.STYLE_DIFF, row(last_price=last, open_interest=interest, volume=volume))
    assert bits(float(got["last_price"])) == bits(last + 0.0)
    assert float(got["open_interest"]) == interest
    assert got["volume"] == volume


@given(
    st.dictionaries(
        st.sampled_from(market.FIELDS[1:]), st.one_of(st.none(), st.integers(0, 10**6)), max_size=57
    )
)
def test_patch_of_every_field_is_the_row(values: dict[str, Any]) -> None:
    before, after = row(), row(**values)
    changed = market.changed_fields(before, 0, after, 0)
    a, b = before.to_dict(0), after.to_dict(0)
    assert set(market.fields_of(changed)) == {f for f in market.FIELDS if a[f] != b[f]}
    patch = json.loads(market.diff_json(before, 0, after, 0) or b"{}")
    patch.pop("instrument_id", None)
    assert patch.keys() == set(market.fields_of(changed))
    for name, value in patch.items():
        if b[name] is None:
            assert value == (0 if name in market.COUNT_FIELDS else "-")
        elif name != "datetime":
            assert value == b[name]


@given(st.integers(-(2**62), 2**62))
def test_stamps_in_both_forms(stamp: int) -> None:
    rows = row(datetime=stamp)
    local = decoded(market.STYLE_DIFF, rows, mask=1)["datetime"]
    utc = decoded(market.STYLE_LEGACY_MARKET_DATA, rows, mask=1)["datetime"]
    if not -(2**61) < stamp < 2**61:
        assert (len(local), len(utc)) == (26, 27)
        return
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=stamp // 1000)
    assert utc == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    beijing = moment.astimezone(dt.timezone(dt.timedelta(hours=8)))
    assert local == beijing.strftime("%Y-%m-%d %H:%M:%S.%f")


def test_rows_refuse_what_is_no_row() -> None:
    rows = Rows(TABLE)
    with pytest.raises(ValueError, match="not a price"):
        rows.append_dict(TABLE, {**TICK, "last_price": math.inf})
    with pytest.raises(ValueError, match="event time"):
        rows.append_dict(TABLE, {**TICK, "datetime": None})
    with pytest.raises(ValueError, match="no product"):
        rows.append_dict(TABLE, {**TICK, "instrument_id": "zz2512"})
    assert len(rows) == 0
    with pytest.raises(IndexError):
        rows.to_dict(0)
    with pytest.raises(ValueError, match="no style"):
        encode(9, row(), 0)


def test_rows_of_another_table_are_refused() -> None:
    other = Rows(Instruments(load_calendar()))
    with pytest.raises(ValueError, match="differently"):
        other.extend(row())
    mine = row()
    mine.extend(row(), 0, 1)
    assert len(mine) == 2
    assert mine.symbol(-1) == "SHFE.au2512"
