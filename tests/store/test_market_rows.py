"""Tables that are sent as rows of the market: cast where their types differ, refused where they cannot be."""

import datetime as dt
import random
from decimal import Decimal

import pyarrow as pa
import pytest

from qautlra.base.errors import InputError
from qautlra.store import market_rows
from qautlra.store.market_rows import market_table
from qautlra.store.schema import BAR_SCHEMA, ROW_SCHEMA

NOW = dt.datetime(2026, 1, 5, 1, 0, tzinfo=dt.UTC)
KEYS = {
    "datetime": pa.array([NOW, NOW], ROW_SCHEMA.field("datetime").type),
    "instrument_id": pa.array(["SHFE.cu2609", "DCE.m2609"]),
}
NUMBERS = [
    pa.int8(),
    pa.uint16(),
    pa.int32(),
    pa.int64(),
    pa.uint64(),
    pa.float32(),
    pa.float64(),
    pa.string(),
]


@pytest.mark.parametrize("schema", [ROW_SCHEMA, BAR_SCHEMA])
def test_every_schema_is_read_by_itself_in_whatever_order_they_come(schema: pa.Schema) -> None:
    """More schemas than are kept, some of them again and again."""
    rng = random.Random(5)
    names = [name for name in schema.names if pa.types.is_floating(schema.field(name).type)]
    for _ in range(200):
        chosen = rng.sample(names, 3)
        columns = KEYS | {
            name: pa.array([1, 2]).cast(rng.choice(NUMBERS[: rng.randint(1, 8)])) for name in chosen
        }
        order = rng.sample(list(columns), len(columns))
        found = market_table(pa.table({name: columns[name] for name in order}), schema, 0)
        assert found.column_names == order and found.num_rows == 2
        for name in order:
            want = columns[name].cast(schema.field(name).type)
            assert found.column(name).cast(want.type).combine_chunks().equals(want)
            kind = found.column(name).type
            # What the core reads as it is, of rows of the market alone.
            assert kind == want.type or (
                schema is ROW_SCHEMA and pa.types.is_integer(kind) and kind.bit_width < 64
            )


def test_what_is_wrong_is_told_each_time() -> None:
    good = pa.table(KEYS | {"last_price": [1.0, 2.0]})
    for _ in range(2):
        assert market_table(good, ROW_SCHEMA, 0).equals(good)
        bad = good.set_column(1, "instrument_id", pa.array(["SHFE.cu2609", None]))
        with pytest.raises(InputError, match="instrument_id: is missing"):
            market_table(bad, ROW_SCHEMA, 0)
        with pytest.raises(InputError, match="datetime: is missing"):
            market_table(good.drop_columns(["datetime"]), ROW_SCHEMA, 0)
        with pytest.raises(InputError, match="no column 'colour'; there are datetime"):
            market_table(good.append_column("colour", pa.array([1, 2])), ROW_SCHEMA, 0)
        with pytest.raises(InputError, match="column last_price is there twice"):
            market_table(good.append_column("last_price", pa.array([3.0, 4.0])), ROW_SCHEMA, 0)
        with pytest.raises(InputError, match="other types"):
            market_table(good.set_column(2, "last_price", pa.array(["one", "2"])), ROW_SCHEMA, 0)


def test_an_event_s_value_that_is_none_of_its_column_is_told() -> None:
    event = {"datetime": NOW.isoformat(), "instrument_id": "SHFE.cu2609"}
    for name, value in (
        ("trading_date", "2026-13-01"),
        ("recv_time", "x"),
        ("seq", 1.5),
        ("last_price", "one"),
    ):
        with pytest.raises(InputError, match=f"event 1: {name}: ") as told:
            market_table([event, event | {name: value}], ROW_SCHEMA, 0)
        assert told.value.details["key"] == name
    table = market_table([event | {"trading_date": "2026-01-06"}], ROW_SCHEMA, 0)
    assert table.column("trading_date").to_pylist() == [dt.date(2026, 1, 6)]


def test_ctps_no_value_is_no_value() -> None:
    none = [
        1.7976931348623157e308,
        3.4028234663852886e38,
        -1.7976931348623157e308,
        "-",
        "1.7976931348623157e308",
    ]
    events = [
        {"datetime": NOW.isoformat(), "instrument_id": "SHFE.cu2609", "close": value}
        for value in (*none, 9e14)
    ]
    assert market_table(events, ROW_SCHEMA, 0).column("close").to_pylist() == [None] * len(none) + [9e14]


def test_of_what_was_sent_nothing_large_is_kept() -> None:
    """Schemas are kept, and few; neither what senders note in them nor types that cannot be read."""
    note = {"note": "x" * 100_000}
    fields = [pa.field(name, column.type, metadata=note) for name, column in KEYS.items()]
    table = pa.table(list(KEYS.values()), pa.schema([*fields], note))
    wide = pa.array([{str(at): 1 for at in range(1_000)}] * 2)
    for at in range(20):
        assert market_table(table.append_column(f"bid_volume{at % 5 + 1}", pa.array([at, 1])), ROW_SCHEMA, 0)
        with pytest.raises(InputError, match="other types"):
            market_table(table.append_column("last_price", wide), ROW_SCHEMA, 0)
    assert 5 <= len(market_rows._plans) <= 8
    assert all(len(plan.given.serialize()) < 20_000 for plan in market_rows._plans)


def test_times_without_a_zone_are_beijings() -> None:
    naive = KEYS | {"datetime": pa.array([dt.datetime(2026, 1, 5, 9, 0)] * 2, pa.timestamp("ns"))}
    for schema in (ROW_SCHEMA, BAR_SCHEMA):
        assert market_table(pa.table(naive), schema, 0).column("datetime").to_pylist() == [NOW, NOW]


def test_days_and_decimals_are_what_they_say() -> None:
    given = KEYS | {
        "trading_date": pa.array([dt.datetime(2026, 1, 5)] * 2, pa.timestamp("ns")),
        "last_price": pa.array([Decimal("0.35"), Decimal("930.0001")], pa.decimal128(18, 4)),
        "volume": pa.array([Decimal(2**53 + 1), None], pa.decimal128(20, 0)),
    }
    found = market_table(pa.table(given), ROW_SCHEMA, 0)
    assert found.column("trading_date").to_pylist() == [dt.date(2026, 1, 5)] * 2
    assert found.column("last_price").to_pylist() == [0.35, 930.0001]
    assert found.column("volume").to_pylist() == [2**53 + 1, None]
