"""Users' streams: inference and growth, files by date and field, merging, retention, a full disk."""

import asyncio
import errno
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra.base.errors import InputError, StorageError
from qautlra.config.tree import Schema
from qautlra.model.cells import Cells, number_in
from qautlra.model.query import QueryFormat, QueryRequest, SqlRequest
from qautlra.model.streams import StreamOptions
from qautlra.store.bulk import Local
from qautlra.store.parquet import Layout
from qautlra.store.tables import files, filing
from qautlra.store.tables.definition import Column, Definition, TypeName, own_columns
from qautlra.store.tables.infer import fit, infer
from qautlra.store.tables.rows import flatten, rows_of, table_rows
from qautlra.store.tables.store import TableStore
from qautlra.store.upkeep import copy_store, verify
from qautlra.wire.ingest import csv_rows, decode_events
from tests.store.world import CALENDAR, World, run, world

EMPTY = Definition(name="t", columns=own_columns(), created_us=0)


@asynccontextmanager
async def tables(path: Path, **settings: Any) -> AsyncIterator[tuple[World, TableStore]]:
    async with world(path, **settings) as w:
        assert w.store._open is not None
        yield w, w.store._open.tables


async def take(w: World, name: str, *events: dict[str, Any], **more: Any) -> int:
    return await w.store.ingest.ingest(name, list(events), {}, create=True, **more)


async def rows(w: World, name: str, **more: Any) -> list[dict[str, Any]]:
    result = await w.store.query.run(
        QueryRequest(stream=name, start_time="400d", end_time="2200-01-01", format=QueryFormat.ARRAY, **more)
    )
    assert isinstance(result.chunks, bytes)
    found: list[dict[str, Any]] = json.loads(result.chunks)
    return found


def test_events_of_any_size_up_to_a_bound(tmp_path: Path) -> None:
    async def work() -> None:
        async with tables(tmp_path) as (w, _):
            # a few large ones among many small: no piece is too large for the log
            large = [{"n": n, "s": "x" * 2_000_000} for n in range(5)]
            small = [{"n": n, "s": "y"} for n in range(5, 200)]
            assert await take(w, "app", *large, *small) == 200
            with pytest.raises(InputError, match="larger than") as refused:
                await take(w, "app", {"n": 200}, {"n": 201, "s": "x" * 7_000_000})
            assert refused.value.status == 413
            assert await take(w, "app", {"n": 202, "s": "x" * 6_000_000}) == 1
            await w.store.ingest.settle()
            assert sorted(row["n"] for row in await rows(w, "app")) == [*map(float, range(200)), 202.0]

    run(work())


def test_flattening_and_types() -> None:
    assert flatten({"a": {"b": 1}, "a_b": 2, "a_": {"b": 3}}) == {"a_b": 1, "a_b_": 2, "a__b": 3}
    deep: dict[str, Any] = {"v": 1}
    for _ in range(12):
        deep = {"d": deep}
    flat = flatten(deep)
    assert list(flat) == ["_".join("d" * 10)] and json.loads(next(iter(flat.values())))["d"]["d"]["v"] == 1
    event = {
        "a": 1, "b": "x", "c": True, "created_at": "2026-01-02T03:04:05Z", "time": "not a time",
        "l": [1, 2.5],
        "m": ["a", 1], "n": None, "e": {}, "mail_date": "Fri, 02 Jan 2026 03:04:05 +0800", "big": 2**70,
    }  # fmt: skip
    grown = rows_of([event], EMPTY, {}, may_grow=True)
    kinds = {column.name: column.type for column in grown.columns}
    assert kinds["a"] == "float64" and kinds["big"] == kinds["b"] == kinds["time"] == kinds["m"] == "utf8"
    assert kinds["created_at"] == kinds["mail_date"] == "timestamp_us" and kinds["l"] == "list"
    assert kinds["c"] == "boolean" and "n" not in kinds and kinds["e"] == "utf8"


def test_conflicts_go_beside_and_nothing_is_lost() -> None:
    events = [{"v": 1}, {"v": "x"}, {"v": True}, {"v": [1]}, {"v": "7"}, {"v": None}, {}]
    table = rows_of(events, EMPTY, {}, may_grow=True).table
    assert table.column("v").to_pylist() == [1, None, None, None, 7, None, None]
    assert table.column("v_utf8").to_pylist() == [None, "x", None, None, None, None, None]
    assert table.column("v_boolean").to_pylist() == [None, None, True, None, None, None, None]
    assert table.column("v_list").to_pylist() == [None, None, None, [1], None, None, None]
    with pytest.raises(InputError, match="is not a column"):
        rows_of(events, EMPTY, {}, may_grow=False)


def in_csv(text: str, *known: Column, may_grow: bool = True) -> dict[str, list[Any]]:
    definition = msgspec.structs.replace(EMPTY, columns=(*own_columns(), *known))
    events, _ = decode_events(text.encode(), "text/csv")
    found: dict[str, list[Any]] = rows_of(events, definition, {}, may_grow=may_grow).table.to_pydict()
    return found


def test_a_cell_is_what_its_column_holds() -> None:
    cells = "v\n000002\n1e3\n007\n1_000\n-inf\n1.50\n9007199254740993\n18446744073709551616\n+1\n1e400\n"
    texts = cells.split()[1:]
    assert in_csv(cells, Column("v", "utf8")) == {"v": texts}
    found = in_csv(cells, Column("v", "float64"))
    assert found["v"] == [None, 1000.0, None, None, None, 1.5, None, None, None, None]
    assert found["v_int64"][6] == 2**53 + 1 and found["v_int64"].count(None) == 9
    assert [text for text in found["v_utf8"] if text] == [
        "000002", "007", "1_000", "-inf", "18446744073709551616", "+1", "1e400",
    ]  # fmt: skip
    found = in_csv(cells, Column("v", "int64"))
    assert found["v"] == [None, 1000, None, None, None, None, 2**53 + 1, None, None, None]
    assert found["v_float64"][5] == 1.5


def test_the_type_of_a_new_column_of_cells() -> None:
    assert in_csv("v\n1\n1e3\n0.10\n") == {"v": [1.0, 1000.0, 0.1]}
    assert in_csv("v\n9007199254740993\n-9223372036854775808\n") == {"v": [2**53 + 1, -(2**63)]}
    # codes are no numbers, wherever the zero is
    assert in_csv("v\n000001\n600000\n") == {"v": ["000001", "600000"]}
    assert in_csv("v\n600000\n1e3\n000001\n") == {"v": ["600000", "1e3", "000001"]}
    assert in_csv("v\n1\nx\n") == {"v": [1.0, None], "v_utf8": [None, "x"]}
    assert in_csv("v\n1e400\n") == {"v": ["1e400"]}
    assert in_csv("v\n" + "1" * 5_000 + "\n") == {"v": ["1" * 5_000]}


def test_true_and_false_in_cells() -> None:
    assert in_csv("v\ntrue\nFalse\n\nTRUE\n") == {"v": [True, False, True]}
    assert in_csv("v\ntrue\nno\n") == {"v": ["true", "no"]}
    assert in_csv("v\ntrue\n", Column("v", "utf8")) == {"v": ["true"]}
    found = in_csv("v\ntrue\nyes\n0\n", Column("v", "boolean"))
    assert found == {"v": [True, None, None], "v_utf8": [None, "yes", None], "v_float64": [None, None, 0.0]}
    assert in_csv("v\n1\ntrue\n") == {"v": [1.0, None], "v_utf8": [None, "true"]}
    # as JSON texts they enter a column of truths, and make none
    assert fit("true", "boolean") is True and fit("False", "boolean") is False and fit(1, "boolean") is None
    assert infer("v", "true") == "utf8"


def in_arrow(array: pa.Array, kind: TypeName, *, may_grow: bool = True) -> dict[str, list[Any]]:
    definition = msgspec.structs.replace(EMPTY, columns=(*own_columns(), Column("v", kind)))
    grown = table_rows(pa.table({"v": array}), definition, {}, may_grow=may_grow)
    return dict(grown.table.to_pydict())


def test_arrow_columns_enter_what_holds_all_of_them() -> None:
    whole = in_arrow(pa.array([1, None, -(2**53)]), "float64", may_grow=False)
    assert whole == {"v": [1.0, None, -(2.0**53)]}
    assert in_arrow(pa.array([1, 2**53 + 1, 2**54]), "float64") == {
        "v": [1.0, None, 2.0**54], "v_int64": [None, 2**53 + 1, None],
    }  # fmt: skip
    assert in_arrow(pa.array([3], pa.uint8()), "float64") == {"v": [3.0]}
    assert in_arrow(pa.array([1.0, 1.5, None, float("inf")]), "int64") == {
        "v": [1, None, None, None], "v_float64": [None, 1.5, None, float("inf")],
    }  # fmt: skip
    assert in_arrow(pa.array(["1.50", "007"]), "float64") == {"v": [1.5, None], "v_utf8": [None, "007"]}
    assert in_arrow(pa.array(["true", "x"]), "boolean") == {"v": [True, None], "v_utf8": [None, "x"]}
    assert in_arrow(pa.array([True]), "float64") == {"v": [None], "v_boolean": [True]}
    assert in_arrow(pa.array([7, None]), "utf8") == {"v": ["7", None]}
    morning = datetime(2026, 11, 30, 1, 30, tzinfo=UTC)
    assert in_arrow(pa.array([morning]), "utf8") == {"v": ["2026-11-30T01:30:00+00:00"]}
    assert in_arrow(pa.array(["2026-11-30 09:30"]), "timestamp_us") == {"v": [morning]}
    assert in_arrow(pa.array([date(2026, 11, 30)]), "timestamp_us") == {
        "v": [datetime(2026, 11, 29, 16, tzinfo=UTC)]
    }
    midnight = datetime(2026, 11, 29, 16, tzinfo=UTC)
    assert in_arrow(pa.array([midnight, morning]), "date") == {
        "v": [date(2026, 11, 30), None], "v_timestamp_us": [None, morning],
    }  # fmt: skip


def test_decimals_become_the_nearest_doubles() -> None:
    prices = [Decimal(n).scaleb(-2) for n in range(2_000)] + [Decimal("930.0001"), None]
    for kind in (pa.decimal128(18, 4), pa.decimal256(50, 4)):
        found = table_rows(pa.table({"v": pa.array(prices, kind)}), EMPTY, {}, may_grow=True).table
        assert found.column("v").to_pylist() == [None if one is None else float(one) for one in prices]


def test_times_of_arrow_without_a_zone_are_beijings_too() -> None:
    naive, morning = datetime(2026, 11, 30, 9, 30), datetime(2026, 11, 30, 1, 30, tzinfo=UTC)
    for unit in ("s", "ms", "us", "ns"):
        given = pa.array([naive, None], pa.timestamp(unit))
        found = table_rows(pa.table({"v": given}), EMPTY, {}, may_grow=True).table
        assert found.column("v").to_pylist() == [morning, None]
        assert in_arrow(given.dictionary_encode(), "timestamp_us") == {"v": [morning, None]}
    assert in_arrow(pa.array([morning]), "timestamp_us") == {"v": [morning]}


@given(
    st.lists(st.text(alphabet="0123456789-+.eE_xin \u0661", min_size=1, max_size=22), min_size=1, max_size=5)
)
def test_no_cell_loses_anything(cells: list[str]) -> None:
    for known in ((), (Column("v", "float64"),), (Column("v", "int64"),), (Column("v", "utf8"),)):
        events = Cells(csv_rows(["v\n", *(f'"{cell}"\n' for cell in cells)]))
        definition = msgspec.structs.replace(EMPTY, columns=(*own_columns(), *known))
        found = rows_of(events, definition, {}, may_grow=True).table.to_pydict()
        for at, cell in enumerate(cells):
            (kept,) = [values[at] for values in found.values() if values[at] is not None]
            if isinstance(kept, str):
                assert type(kept) is str and kept == cell
            else:
                assert orjson.loads(cell) == kept
        if known and known[0].type == "utf8":
            assert found == {"v": cells}


def test_texts_in_number_columns_are_read_as_json_writes_numbers() -> None:
    assert fit("7", "float64") == 7 and fit("-1.5e3", "float64") == -1500 and fit("12", "int64") == 12
    for text in ("007", "1_000", " 7", "+7", "inf", "nan", "0x7", "1."):
        assert fit(text, "float64") is fit(text, "int64") is None, text
    assert fit("9007199254740993", "int64") == 2**53 + 1 and fit("9007199254740993", "float64") is None
    assert fit("9007199254740993.0", "int64") is None


@pytest.mark.parametrize("text", ["0", "-0", "1", "-1.50", "1e3", "1E-3", "0.10", "9007199254740993"])
def test_texts_that_are_numbers(text: str) -> None:
    assert number_in(text) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    ["", "007", "-01", "+1", "1_000", "inf", "-inf", "nan", "1.", ".5", "1e", " 1", "1 ", "0x1", "١", "-"],
)
def test_texts_that_are_none(text: str) -> None:
    assert number_in(text) is None


def test_the_least_whole_number_is_one_too() -> None:
    events = [{"i": 2**53 + 1}, {"i": -(2**63)}, {"i": 2**63 - 1}, {"i": -(2**63) - 1}]
    found = rows_of(events, EMPTY, {}, may_grow=True).table.to_pydict()
    assert found == {
        "i": [2**53 + 1, -(2**63), 2**63 - 1, None],
        "i_utf8": [None, None, None, str(-(2**63) - 1)],
    }
    assert fit(-(2.0**63), "int64") == -(2**63) and fit(2.0**63, "int64") is None


def test_names_in_another_case_are_the_same_column() -> None:
    definition = msgspec.structs.replace(EMPTY, columns=(*own_columns(), Column("Abc", "float64")))
    events = [{"abc": 1}, {"ABC": 2}, {"Abc": "x"}, {"abc": "y"}, {"ABC_utf8": "z", "P_Timestamp": "no"}]
    grown = rows_of(events, definition, {}, may_grow=True)
    assert grown.table.to_pydict() == {
        "Abc": [1, 2, None, None, None],
        "ABC_utf8": [None, None, "x", "y", "z"],
    }
    with pytest.raises(InputError, match="event 1 has column 'ABC' twice"):
        rows_of([{"abc": 1}, {"abc": 1, "ABC": 2}], definition, {}, may_grow=True)
    table = pa.table({"ABC": [1.5], "P_Import": ["forged"]})
    assert table_rows(table, definition, {}, may_grow=True).table.to_pydict() == {"Abc": [1.5]}
    with pytest.raises(InputError, match="two columns"):
        table_rows(pa.table({"a": [1], "A": [2]}), EMPTY, {}, may_grow=True)


def test_what_goes_beside_takes_no_others_place() -> None:
    definition = msgspec.structs.replace(EMPTY, columns=(*own_columns(), Column("v", "float64")))
    events = [{"v": "x"}, {"v_utf8": "y"}, {"v": "z", "v_utf8": "w"}]
    found = rows_of(events, definition, {"tag": "t"}, may_grow=True).table.to_pydict()
    held = [{value for values in found.values() if (value := values[at]) is not None} for at in range(3)]
    assert held == [{"x", "t"}, {"y", "t"}, {"z", "w", "t"}]
    assert found["v_utf8"][1:] == ["y", "w"]
    # nor does a constant of the request
    found = rows_of([{"tag": "mine"}], EMPTY, {"tag": "t"}, may_grow=True).table.to_pydict()
    assert found == {"tag": ["t"], "tag_utf8": ["mine"]}
    table = pa.table({"v": ["x", None], "v_utf8": ["y", "z"]})
    found = table_rows(table, definition, {}, may_grow=True).table.to_pydict()
    assert sorted(value for values in found.values() for value in values if value) == ["x", "y", "z"]


def test_what_a_declared_column_cannot_hold_is_told() -> None:
    columns = (*own_columns(), Column("a", "float64"), Column("t", "timestamp_us"), Column("b", "float64"),
               Column("b_utf8", "utf8"))  # fmt: skip
    declared = msgspec.structs.replace(EMPTY, columns=columns, is_static=True)
    with pytest.raises(InputError, match=r"column 'a' is float64 and cannot hold 'x' \(event 1\)"):
        rows_of([{"a": 1}, {"a": "x"}], declared, {}, may_grow=False)
    with pytest.raises(InputError, match=r"column 'a' is float64 and cannot hold 'x' \(event 0\)"):
        table_rows(pa.table({"a": ["x"]}), declared, {}, may_grow=False)
    with pytest.raises(InputError, match="'c' is not a column of this stream"):
        rows_of([{"c": 1}], declared, {}, may_grow=False)
    found = rows_of([{"b": "x", "t": "2026-11-30 09:00:00"}], declared, {}, may_grow=False).table
    assert found.column("b_utf8").to_pylist() == ["x"]
    assert found.column("t").to_pylist() == [datetime(2026, 11, 30, 1, 0, tzinfo=UTC)]


def test_times_without_a_zone_are_beijings_in_columns_of_times() -> None:
    morning = datetime(2026, 11, 30, 1, 30, tzinfo=UTC)
    for text in (
        "2026-11-30 09:30",
        "2026-11-30T09:30:00",
        "2026-11-30 09:30:00.000",
        "2026-11-30T01:30:00Z",
    ):
        assert fit(text, "timestamp_us") == morning, text
    assert fit("2026-11-30", "timestamp_us") == datetime(2026, 11, 29, 16, tzinfo=UTC)
    for text in ("2026-13-30", "2026-11-30 25:00", "2026-11-30 9:30", "20261130", "x"):
        assert fit(text, "timestamp_us") is None, text
    assert infer("time", "2026-11-30 09:30:00") == "utf8"  # a new column of times needs a zone


@pytest.mark.parametrize(
    "array",
    [
        pa.array([b"\x00\xff"]),
        pa.array([b"ab"], pa.binary(2)),
        pa.array([b"ab"], pa.large_binary()),
        pa.array([5], pa.duration("s")),
        pa.array([5], pa.time32("s")),
        pa.array([5], pa.time64("ns")),
        pa.array([None], pa.month_day_nano_interval()),
        pa.array([[b"x"]]),
        pa.array([{"a": [b"x"]}]),
        pa.array([[("k", b"x")]], pa.map_(pa.string(), pa.binary())),
        pa.array([b"x"]).dictionary_encode(),
    ],
    ids=lambda array: str(array.type),
)
def test_values_without_a_place_are_refused(array: pa.Array) -> None:
    with pytest.raises(InputError, match="column 'x'"):
        table_rows(pa.table({"n": [1], "x": array}), EMPTY, {}, may_grow=True)


def test_what_arrow_nests_is_kept() -> None:
    array = pa.array([{"a": [1.5, None], "d": date(2026, 1, 2), "n": Decimal("1.50"), "t": "x"}])
    table = pa.table({
        "x": array, "l": [[1.5]], "none": pa.nulls(1), "v": pa.array(["y"], pa.string_view()),
        "m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        "many": pa.array([[1]], pa.large_list(pa.int8())),
    })  # fmt: skip
    found = table_rows(table, EMPTY, {}, may_grow=True).table.to_pydict()
    assert json.loads(found["x"][0]) == {"a": [1.5, None], "d": "2026-01-02", "n": "1.50", "t": "x"}
    assert found["l"] == [[1.5]] and found["v"] == ["y"] and found["many"] == [[1]] and "none" not in found
    assert json.loads(found["m"][0]) == [["k", 1]]


def test_what_is_refused_makes_and_grows_no_stream(tmp_path: Path) -> None:
    async def work() -> None:
        async with tables(tmp_path) as (w, store):
            door = w.store.ingest
            for events in (
                [5],
                [{"a": 1}, 5],
                [{"": 1}],
                [{"a": 1, "A": 2}],
                [{"a": "x" * 7_000_000}],
                [{f"c{n}": n for n in range(2_000)}],
                pa.table({"a": [b"x"]}),
                pa.table([[1], [2]], names=["a", "a"]),
                pa.table({"a": pa.array([2**64 - 1], pa.uint64())}),
            ):
                with pytest.raises(InputError):
                    await door.ingest("ghost", events, {}, create=True)
                assert "ghost" not in door.names(), events
            assert await door.ingest("ghost", [], {}, create=True) == 0 and "ghost" not in door.names()
            assert await take(w, "app", {"a": 1}) == 1
            columns = store.book.get("app").columns
            with pytest.raises(InputError, match="larger than"):
                await take(w, "app", {"b": 1, "s": "x" * 7_000_000})
            assert store.book.get("app").columns == columns
        async with tables(tmp_path) as (w, _):
            assert "ghost" not in w.store.ingest.names() and len(await rows(w, "app")) == 1

    run(work())


def test_a_stream_that_leaves_texts_texts(tmp_path: Path) -> None:
    async def work() -> None:
        async with tables(tmp_path) as (w, store):
            door = w.store.ingest
            for name, infer_times in (("plain", False), ("timed", True)):
                fields = (("declared", "datetime"), ("n", "float"))
                await door.create(name, StreamOptions(fields=fields, infer_times=infer_times))
                text = "2026-01-01T00:00:00Z"
                await take(w, name, {"time": text, "declared": text, "n_date": text, "n": 1})
                kinds = {column.name: column.type for column in store.book.get(name).columns}
                assert kinds["declared"] == "timestamp_us"
                assert kinds["time"] == kinds["n_date"] == ("timestamp_us" if infer_times else "utf8")

    run(work())


def test_a_stream_nothing_could_be_stored_in_is_not_made(tmp_path: Path) -> None:
    async def work() -> None:
        async with tables(tmp_path, schema=Schema(auto_detect=False)) as (w, _):
            door = w.store.ingest
            for options in (
                StreamOptions(),
                StreamOptions(fields=()),
                StreamOptions(fields=(), is_static=True),
            ):
                with pytest.raises(InputError, match="fields"):
                    await door.create("und", options)
                assert "und" not in door.names()
            await door.create("und", StreamOptions(fields=(("a", "float"),)))
            assert await door.ingest("und", [{"a": 1}], {}, create=False) == 1
            await door.create("timed", StreamOptions(time_partition="t"))
            await door.create("timed", StreamOptions(update=True, time_limit_days=3))

    run(work())


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "a_b", "time", "a_utf8", "A"]), _values, max_size=4),
        max_size=6,
    )
)
def test_whatever_comes_every_value_is_kept_somewhere(events: list[dict[str, Any]]) -> None:
    given_names = [[name for name, value in flatten(event).items() if value is not None] for event in events]
    if any(len({name.lower() for name in names}) < len(names) for names in given_names):
        with pytest.raises(InputError, match="twice"):
            rows_of(events, EMPTY, {}, may_grow=True)
        return
    grown = rows_of(events, EMPTY, {}, may_grow=True)
    for at, event in enumerate(events):
        for name, value in flatten(event).items():
            if value is None or (isinstance(value, float) and value in (float("inf"), float("-inf"))):
                continue
            beside = [
                column.name
                for column in grown.columns
                if f"{column.name}_".lower().startswith(f"{name}_".lower())
            ]
            kept = [grown.table.column(c)[at].as_py() for c in beside if c in grown.table.column_names]
            assert any(item is not None for item in kept), (name, value)
            if type(value) is int:  # with all its digits
                assert value in kept or str(value) in kept, (name, value)


def test_numbers_fit_or_they_do_not() -> None:
    assert fit(2**53, "float64") == 2.0**53 and fit(2**53 + 1, "float64") is None
    assert (
        fit(10**400, "int64") is fit(10**400, "float64") is None and fit(10**400, "utf8") == "1" + "0" * 400
    )
    assert fit("1e3", "float64") == 1000.0 and fit("inf", "float64") is None and fit("", "float64") is None
    assert fit(2**60 + 1, "int64") == 2**60 + 1 and fit(1.5, "int64") is None and fit(2**63, "int64") is None
    assert fit(True, "float64") is None and fit("x", "date") is None and fit({"a": 1}, "utf8") == '{"a":1}'


def test_rows_are_there_once_at_every_moment(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            for step in range(12):
                await take(w, "app", {"n": step}, {"n": step + 0.5, f"c{step}": "x"})
                filing = asyncio.ensure_future(store.file_away())
                while not filing.done():
                    assert len(await rows(w, "app")) == 2 * step + 2
                await filing
            await store.merge_small()  # or it was done meanwhile
            assert len(store.catalogue.state.files) < 8
            found = await rows(w, "app")
            assert [row["n"] for row in found] == sorted(row["n"] for row in found) and len(found) == 24
            assert found[0]["c3"] is None and sum(row["c3"] == "x" for row in found) == 1
            # what was merged stays for questions under way, and goes at the next start
            assert len(list(tmp_path.glob("tables/stream=app/date=*/*.parquet"))) > 12
            assert store.stats("app")["rows"] == 24
        async with tables(tmp_path) as (w, store):
            kept = {file.path for file in store.catalogue.state.files}
            files = tmp_path.glob("tables/stream=app/date=*/*.parquet")
            assert {str(path.relative_to(tmp_path / "tables")) for path in files} == kept
            assert len(await rows(w, "app")) == 24
        # the manifest can be made again from the files
        (tmp_path / "tables" / "manifest.json").unlink()
        async with tables(tmp_path) as (w, store):
            assert len(await rows(w, "app")) == 24

    run(story())


def test_a_manifest_made_again_takes_no_filing_for_whole_that_a_kill_cut_short(tmp_path: Path) -> None:
    async def story() -> None:
        manifest = tmp_path / "tables" / "manifest.json"
        async with tables(tmp_path) as (w, store):
            await take(w, "app", {"n": 1})
            await store.file_away()
            await take(w, "app", {"n": 2})
            await take(w, "other", {"n": 3})
            first, last = store.catalogue.state.watermark_lsn + 1, store.head_lsn
        filed = filing.file_records(tmp_path / "tables", first, last, (), Layout())
        assert {file.stream for file in filed} == {"app", "other"}
        for file in filed:
            if file.stream == "other":  # the kill came before this one
                (tmp_path / "tables" / file.path).unlink()
        manifest.unlink()
        async with tables(tmp_path) as (w, store):
            assert [row["n"] for row in await rows(w, "other")] == [3]
            assert [row["n"] for row in await rows(w, "app")] == [1, 2]
            # cut short, and done again up to a later row
            first, last = store.catalogue.state.watermark_lsn + 1, store.head_lsn
            filing.file_records(tmp_path / "tables", first, last, (), Layout())
            await take(w, "app", {"n": 4})
            await store.file_away()
        manifest.unlink()
        async with tables(tmp_path) as (w, _):
            assert [row["n"] for row in await rows(w, "app")] == [1, 2, 4]
            assert [row["n"] for row in await rows(w, "other")] == [3]

    run(story())


def test_rows_of_a_stream_that_was_deleted_are_not_counted_in_the_next(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, _):
            await take(w, "app", {"n": 1}, {"n": 2})
            await take(w, "gone", {"n": 1})
            await w.store.ingest.drop("app")
            await w.store.ingest.drop("gone")
            await take(w, "app", {"n": 3})
        async with tables(tmp_path) as (w, store):
            assert len(await rows(w, "app")) == store.stats("app")["rows"] == 1

    run(story())


def test_logged_rows_come_back_and_are_counted(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, _):
            await take(w, "app", {"n": 1}, {"n": 2})
        async with tables(tmp_path) as (w, store):
            assert store.stats("app")["log_rows"] == 2
            assert [row["n"] for row in await rows(w, "app")] == [1, 2]
            await w.store.ingest.drop("app")
            await take(w, "app", {"m": 1})
            await store.file_away()
            (row,) = await rows(w, "app")
            assert row["m"] == 1 and "n" not in row

    run(story())


def test_partitions_by_fields_stay_inside(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            await w.store.ingest.create("app", StreamOptions(custom_partition=("host", "env")))
            hostile = ["../../../etc", "a/b", "..", ".", "", "x" * 300, "日本", "a=b", "\n"]
            await take(w, "app", *({"host": host, "env": "e"} for host in hostile), {"env": None})
            await store.file_away()
            found = list(tmp_path.rglob("*.parquet"))
            assert len(found) == len(hostile) + 1
            base = (tmp_path / "tables" / "stream=app").resolve()
            assert all(base in path.resolve().parents for path in found)
            assert len(await rows(w, "app")) == len(hostile) + 1
            assert len(await rows(w, "app", filter="host = 'a/b'")) == 1

    run(story())


def test_old_dates_go_and_the_open_one_stays(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            await w.store.ingest.create("app", StreamOptions(time_partition="when"))
            await take(
                w, "app", {"when": "2026-01-01T00:00:00Z", "n": 1}, {"when": "2199-01-01T00:00:00Z", "n": 2}
            )
            await store.file_away()
            assert len(store.catalogue.state.files) == 2
            await w.store.ingest.retain("app", 1)
            await store._retire()
            assert [row["n"] for row in await rows(w, "app")] == [2]

    run(story())


def test_a_disk_too_full_pauses_and_goes_on_by_itself(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, _):
            await take(w, "app", {"n": 1})
            w.store.disk._max_percent = 0.001
            with pytest.raises(StorageError, match="% full") as refused:
                await take(w, "app", {"n": 2})
            assert refused.value.status == 507 and refused.value.details["retry_after_s"] == 10
            assert [row["n"] for row in await rows(w, "app")] == [1]
            w.store.disk._max_percent = 100.0
            await take(w, "app", {"n": 3})
            assert [row["n"] for row in await rows(w, "app")] == [1, 3]

    run(story())


def test_at_most_so_many_schemas_are_in_memory(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path, schema=msgspec.convert({"cache_size": 3}, type=_schema())) as (w, store):
            for n in range(6):
                await take(w, f"s{n}", {"n": n})
            assert store.book.cached_count == 3
            assert [row["n"] for row in await rows(w, "s0")] == [0]

    run(story())


def _schema() -> Any:
    from qautlra.config.tree import Schema

    return Schema


def test_a_log_that_was_removed_goes_on_behind_its_files(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            for n in range(5):
                await take(w, "app", {"n": n})
            await store.file_away()
            await take(w, "app", {"n": 5})  # goes with the log
            await take(w, "late", {"n": 1})
        shutil.rmtree(tmp_path / "tables" / "log")
        async with tables(tmp_path) as (w, store):
            assert await take(w, "app", {"n": 6}) == await take(w, "late", {"n": 2}) == 1
            assert [row["n"] for row in await rows(w, "app")] == [0, 1, 2, 3, 4, 6]
        async with tables(tmp_path) as (w, store):
            await store.file_away()
            assert [row["n"] for row in await rows(w, "app")] == [0, 1, 2, 3, 4, 6]
            assert [row["n"] for row in await rows(w, "late")] == [2]
            assert verify(tmp_path, CALENDAR).errors == []

    run(story())


def test_a_damaged_definition_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path, schema=_schema()(cache_size=1)) as (w, _):
            await take(w, "a", {"n": 1})
            await take(w, "b", {"n": 1})
            (tmp_path / "tables" / "streams" / "a.json").write_bytes(b"{torn")
            with pytest.raises(StorageError, match=r"a\.json"):
                await take(w, "a", {"n": 2})

    run(story())


def test_files_hold_what_was_sent(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            table = pa.table(
                {"i": pa.array([1, 2**62], pa.int64()), "t": pa.array([0, 1], pa.timestamp("ms"))}
            )
            await w.store.ingest.ingest("app", table, {}, create=True)
            await store.file_away()
            (path,) = tmp_path.rglob("*.parquet")
            assert pq.read_table(path, partitioning=None).column("i").to_pylist() == [1, 2**62]
            assert store.book.get("app").columns[-2] == Column("i", "int64")

    run(story())


def test_partitions_of_other_values_keep_their_own_rows(tmp_path: Path) -> None:
    """Each value once, whatever it looks like beside the others; also where a field names a path."""
    values = [
        "none",
        None,
        "",
        "empty",
        "y" * 64 + "1",
        "y" * 64 + "2",
        "日" * 200,
        "日" * 199 + "月",
        "%2E",
        ".",
    ]

    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            await w.store.ingest.create("app", StreamOptions(custom_partition=("a/../b", "v")))
            await take(w, "app", *({"a/../b": "x", "v": value} for value in values))
            await store.file_away()
            assert len({file.path for file in store.catalogue.state.files}) == len(values)
            found = [row["v"] for row in await rows(w, "app")]
            assert sorted(map(repr, found)) == sorted(map(repr, values))

    run(story())


def test_numbers_that_are_none_and_zeros_of_either_sign_are_partitions_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            fields = (("x", "float64"), ("l", "list"))
            await w.store.ingest.create("app", StreamOptions(custom_partition=("x", "l"), fields=fields))
            table = pa.table({"x": [0.0, -0.0, float("nan"), None, 1.5], "n": [1.0, 2.0, 3.0, 4.0, 5.0]})
            await w.store.ingest.ingest("app", table, {}, create=True)
            await take(w, "app", {"l": [1, 2], "n": 6}, {"l": [3], "n": 7})
            await store.file_away()
            assert sorted(row["n"] for row in await rows(w, "app")) == [1, 2, 3, 4, 5, 6, 7]

    run(story())


def test_too_many_partitions_become_coarser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PARTITIONS_COUNT", 20)
    days = [f"2026-0{1 + n // 28}-{1 + n % 28:02d}" for n in range(56)]
    years = [f"{1990 + n}-05-05" for n in range(30)]

    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            await w.store.ingest.create("app", StreamOptions(custom_partition=("v",)))
            await take(w, "app", *({"v": f"v{n}"} for n in range(30)))
            for name, dates in (("days", days), ("years", years)):
                await w.store.ingest.create(name, StreamOptions(time_partition="at"))
                await take(w, name, *({"at": f"{day}T00:00:00Z"} for day in dates))
            await take(w, "other", {"n": 1})
            await store.file_away()
            kept: dict[str, list[Any]] = {name: [] for name in store.book.names()}
            for file in store.catalogue.state.files:
                kept[file.stream].append(file.day)
            assert len(kept["app"]) == len(kept["other"]) == 1
            assert [str(day) for day in sorted(kept["days"])] == ["2026-01-31", "2026-02-28"]
            assert {(day.month, day.day) for day in kept["years"]} == {(12, 31)} and len(kept["years"]) == 30
            assert store.stats("days")["rows"] == 56 and store.stats("app")["rows"] == 30

    run(story())


def test_a_stream_of_many_files_is_partitioned_by_date_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qautlra.store.tables.store.STREAM_FILES_COUNT", 5)

    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            await w.store.ingest.create("app", StreamOptions(custom_partition=("v",)))
            for step in range(2):
                await take(w, "app", *({"v": f"v{step * 6 + n}"} for n in range(6)))
                await store.file_away()
            assert len(store.catalogue.state.files) == 7
            assert len(await rows(w, "app")) == 12

    run(story())


def test_times_no_date_can_name_are_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            await w.store.ingest.create("app", StreamOptions(time_partition="at"))
            for us in (-(2**62), 2**62):
                table = pa.table({"at": pa.array([us], pa.timestamp("us", "UTC"))})
                with pytest.raises(InputError, match="the years 1 to 9999"):
                    await w.store.ingest.ingest("app", table, {}, create=False)
            await take(w, "app", {"at": "9998-01-01T00:00:00Z"}, {"at": "0002-01-01T00:00:00Z"})
            await store.file_away()
            assert store.stats("app")["files"] == 2

    run(story())


def test_one_streams_rows_do_not_hold_up_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(directory: Path, table: pa.Table, definition: Definition, *more: Any, **and_more: Any) -> Any:
        if definition.name == "bad":
            raise pa.ArrowInvalid("these rows")
        return files.write_rows(directory, table, definition, *more, **and_more)

    monkeypatch.setattr(filing, "write_rows", refused)

    async def story() -> None:
        async with tables(tmp_path, schema=_schema()(cache_size=1)) as (w, store):
            await take(w, "torn", {"n": 5})
            await take(w, "bad", {"n": 1}, {"n": 2})
            await take(w, "bad", {"m": "x"})
            await take(w, "good", {"n": 3})
            (tmp_path / "tables" / "streams" / "torn.json").write_bytes(b"{torn")
            await store.file_away()
            assert [row["n"] for row in await rows(w, "good")] == [3]
            assert store.stats("good")["files"] == 1 and store.stats("bad")["rows"] == 0
            assert w.store.health()["aside_files"] == 3
            sql = SqlRequest(sql="SELECT n FROM good", start_time=0, end_time="2200-01-01")
            assert json.loads((await w.store.query.run(sql)).chunks) == [{"n": 3}]  # type: ignore[arg-type]
            aside = sorted((tmp_path / "tables" / "aside").glob("*.arrow"))
            kept = [pa.ipc.open_file(path).read_all() for path in aside]
            assert [path.name.partition("-")[0] for path in aside] == ["bad", "bad", "torn"]
            assert [table.num_rows for table in kept] == [2, 1, 1]
            # nothing deletes them, and an import puts them back
            await take(w, "good", {"n": 4})
            await store.file_away()
        async with tables(tmp_path) as (w, store):
            assert sorted((tmp_path / "tables" / "aside").glob("*.arrow")) == aside
            assert len(verify(tmp_path, CALENDAR).notes) == 3
            copy = tmp_path.with_name(f"{tmp_path.name}-copy")
            copy_store(tmp_path, copy)
            assert len(list((copy / "tables" / "aside").glob("*.arrow"))) == 3
            work = Local(w.store.ingest, w.store.query, aside[0], "good", "arrow", lambda _rows: None)
            assert (await work.run("a")).error == ""
            assert [row["n"] for row in await rows(w, "good")] == [3, 4, 1, 2]

    run(story())


def test_a_full_disk_sets_nothing_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "full")

    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            await take(w, "app", {"n": 1})
            with monkeypatch.context() as patch:
                patch.setattr(filing, "write_rows", full)
                with pytest.raises(OSError, match="full"):
                    await store.file_away()
            assert [row["n"] for row in await rows(w, "app")] == [1] and store.aside_files == 0
            await store.file_away()
            assert store.stats("app")["files"] == 1

    run(story())


def test_files_are_merged_as_they_are_when_it_begins(tmp_path: Path) -> None:
    """Of a stream deleted while a merge waits nothing comes back, and others are merged."""

    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            for step in range(8):
                await take(w, "app", {"n": step})
                await take(w, "other", {"n": step})
                await store.file_away()
            async with store._change:
                merging = asyncio.ensure_future(store.merge_small())
                await asyncio.sleep(0)
                await store._forget("app")
            await merging
            await store.merge_small()
            assert {(f.stream, f.rows) for f in store.catalogue.state.files} == {("other", 8)}

    run(story())


def test_what_cannot_be_merged_holds_no_other_up(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            for step in range(8):
                await take(w, "app", {"n": step})
                await take(w, "other", {"n": step})
                await store.file_away()
                for file in store.catalogue.state.files:
                    if file.stream == "app":
                        (store.directory / file.path).write_bytes(b"torn")
            with pytest.raises((StorageError, pa.ArrowException, OSError)):
                await store.merge_small()
            assert sum(file.stream == "other" for file in store.catalogue.state.files) == 1

    run(story())


def test_a_merge_holds_no_more_rows_than_have_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that unpack to more than 2 GiB failed every minute, and were read for it each time."""
    monkeypatch.setattr(files, "MERGED_BYTES", 100_000)

    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            sizes = [30, 30, 30, 300, 30, 30, 30, 30, 300, 30, 30, 30, 30]  # kB of a row
            for step, kilobytes in enumerate(sizes):
                await take(w, "app", {"n": step, "text": "x" * 1000 * kilobytes})
                await store.file_away()
            for _ in range(20):
                await store.merge_small()
            ranges = sorted((file.first_lsn, file.last_lsn) for file in store.catalogue.state.files)
            assert len(ranges) < len(sizes) - 2
            assert all(last < first for (_, last), (first, _) in pairwise(ranges))  # none within another
            asked = [0]
            read = files.merged
            monkeypatch.setattr(files, "merged", lambda *a: (asked.append(1), read(*a))[1])
            await store.merge_small()
            assert asked == [0]  # what has no room is not read again
            found = await rows(w, "app")
            assert [row["n"] for row in found] == list(range(len(sizes)))
        for name in ("manifest.json", "tables/manifest.json"):
            (tmp_path / name).unlink(missing_ok=True)
        async with tables(tmp_path) as (w, store):
            assert [row["n"] for row in await rows(w, "app")] == list(range(len(sizes)))

    run(story())


def test_files_are_merged_with_their_neighbours_only(tmp_path: Path) -> None:
    """A large one between small ones was taken for a part of theirs when the manifest was lost."""

    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            await take(w, "app", {"n": 1})
            await store.file_away()
            (one,) = store.catalogue.state.files
            filed = [
                msgspec.structs.replace(one, path=f"{Path(one.path).parent}/{n}", first_lsn=n, last_lsn=n)
                for n in range(17)
            ]
            filed[8] = msgspec.structs.replace(filed[8], bytes=files.MERGE_BYTES)
            state = store.catalogue.state
            state = msgspec.structs.replace(state, files=tuple(reversed(filed)))
            assert files.crowded(state) == [filed[:8], filed[9:]]
            assert files.crowded(state, {filed[3].path}) == [filed[9:]]
            assert files.crowded(msgspec.structs.replace(state, files=(*filed[1:8], *filed[8:16]))) == []

    run(story())


def test_only_what_the_manifest_does_not_name_is_swept(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            await take(w, "app", {"n": 1})
            await store.file_away()
            (kept,) = store.catalogue.state.files
            gone = store.directory / "stream=app" / "gone.parquet"
            gone.write_bytes(b"")
            store._stale = [(0.0, kept.path), (0.0, "stream=app/gone.parquet")]
            await store._sweep()
            assert not gone.exists() and [row["n"] for row in await rows(w, "app")] == [1]

    run(story())


def test_rows_of_a_deleted_stream_do_not_come_back(tmp_path: Path) -> None:
    """Not by a stop between the two steps of a deletion, nor by a manifest made again from the files."""

    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            await take(w, "app", {"n": 1})
            await store.file_away()
            store.book.remove("app")  # half of a deletion of before
            await take(w, "app", {"n": 2})
            assert [row["n"] for row in await rows(w, "app")] == [2]
            await w.store.ingest.drop("app")
            await take(w, "app", {"n": 3})
            left = list(tmp_path.glob("tables/stream=app/date=*/*.parquet"))
            assert len(left) == 1, "files stay for questions under way"
        (tmp_path / "tables" / "manifest.json").unlink()
        async with tables(tmp_path) as (w, store):
            assert [row["n"] for row in await rows(w, "app")] == [3]

    run(story())
