"""Random filters mean the same to the parser, to DuckDB and to a naive twin; hostile ones change nothing."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qautlra.base.errors import InputError
from qautlra.store.filter import DEPTH_COUNT, MEMBERS_COUNT, Kind, parse_filter
from qautlra.store.mask import passing
from qautlra.store.predicate import (
    All,
    AnyOf,
    Between,
    Compare,
    In,
    IsNull,
    Like,
    Not,
    Predicate,
    narrow,
    split_members,
    to_sql,
)
from tests.models.filter_rows import keeps

NOW_NS = 1_609_723_800_000_000_000
COLUMNS = {
    "datetime": Kind.TIME,
    "instrument_id": Kind.TEXT,
    "trading_date": Kind.DATE,
    "last_price": Kind.NUMBER,
    "volume": Kind.COUNT,
    "source": Kind.TEXT,
}
ARROW = pa.schema(
    [
        ("datetime", pa.timestamp("us", "UTC")),
        ("instrument_id", pa.string()),
        ("trading_date", pa.date32()),
        ("last_price", pa.float64()),
        ("volume", pa.int64()),
        ("source", pa.string()),
    ]
)
SYMBOLS = [
    "SHFE.au2512",
    "SHFE.rb2512",
    "CFFEX.IF2101",
    "DCE.m1807-C-2450",
    "SSE.600000",
    "DCE.SP a1709&a1801",
]
SOURCES = ["sim", "replay", "it's", 'a "b"', "x_y", "100%", "back\\slash", "two\nlines"]


def canonical(spelling: str) -> str | None:
    known = {symbol.partition(".")[2]: symbol for symbol in SYMBOLS}
    return spelling if spelling in SYMBOLS else known.get(spelling)


def parse(text: str) -> Predicate | None:
    return parse_filter(text, COLUMNS, now_ns=NOW_NS, canonical=canonical)


FIRST = datetime(2021, 1, 4, 1, 30, tzinfo=UTC)
moments = st.integers(0, 50).map(lambda n: FIRST + timedelta(milliseconds=500 * n))
days = st.integers(0, 5).map(lambda n: date(2021, 1, 4) + timedelta(days=n))
prices = st.integers(-8, 8).map(lambda n: n / 4) | st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(-5, 5) | st.integers(-(2**40), 2**40)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "datetime": moments,
    "instrument_id": st.sampled_from(SYMBOLS),
    "trading_date": days,
    "last_price": prices,
    "volume": counts | st.integers(-20, 20).map(lambda n: n / 2),
    "source": st.sampled_from(SOURCES),
}
patterns = st.text("%_axim'\" 0\\\n", min_size=1, max_size=6).map(lambda text: re.sub("%+", "%", text))


@st.composite
def comparisons(draw: st.DrawFn) -> Predicate:
    column = draw(st.sampled_from(list(COLUMNS)))
    value = VALUES[column]
    form = draw(st.sampled_from(["compare", "in", "between", "like", "null"]))
    if form == "compare":
        return Compare(column, draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="])), draw(value))
    if form == "in":
        return In(column, tuple(draw(st.lists(value, min_size=1, max_size=4))))
    if form == "between":
        return Between(column, draw(value), draw(value))
    if form == "like":
        return Like("source", draw(patterns))
    return IsNull(column)


predicates = st.recursive(
    comparisons(),
    lambda inner: (
        inner.map(Not)
        | st.lists(inner, min_size=2, max_size=3).map(lambda terms: All(tuple(terms)))
        | st.lists(inner, min_size=2, max_size=3).map(lambda terms: AnyOf(tuple(terms)))
    ),
    max_leaves=8,
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "datetime": moments,
            "instrument_id": st.sampled_from(SYMBOLS),
            "trading_date": days,
            "last_price": st.none() | prices,
            "volume": st.none() | counts,
            "source": st.none() | st.sampled_from(SOURCES),
        }
    ),
    min_size=1,
    max_size=12,
)


def spell(node: Predicate) -> str:
    """The text of a predicate; every group in brackets, so that it parses back to the same shape."""
    match node:
        case Compare(column, operator, value):
            return f"{column} {operator} {quoted(value)}"
        case In(column, values):
            return f"{column} in ({', '.join(map(quoted, values))})"
        case Between(column, low, high):
            return f"{column} between {quoted(low)} and {quoted(high)}"
        case Like(column, pattern):
            return f"{column} like {quoted(pattern)}"
        case IsNull(column):
            return f"{column} is null"
        case Not(term):
            return f"not ({spell(term)})"
        case All(terms):
            return " and ".join(f"({spell(term)})" for term in terms)
        case AnyOf(terms):
            return " or ".join(f"({spell(term)})" for term in terms)
    raise AssertionError(node)


def quoted(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, (datetime, date)):
        return f"'{value.isoformat()}'"
    return repr(value)


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(":memory:", config={"threads": "1"})
    connection.execute("SET TimeZone='UTC'")
    yield connection
    connection.close()


def selected(database: duckdb.DuckDBPyConnection, predicate: Predicate, table: pa.Table) -> list[int]:
    sql, values = to_sql(predicate)
    database.register("t", table.append_column("n", pa.array(range(len(table)))))
    found = database.sql(f"select n from t where {sql} order by n", params=values).fetchall()
    database.unregister("t")
    return [n for (n,) in found]


@given(predicate=predicates, rows=rows)
def test_duckdb_and_the_twin_agree(
    database: duckdb.DuckDBPyConnection, predicate: Predicate, rows: list[dict[str, Any]]
) -> None:
    parsed = parse(spell(predicate))
    assert parsed == predicate
    table = pa.Table.from_pylist(rows, schema=ARROW)
    expected = [n for n, row in enumerate(rows) if keeps(predicate, row)]
    assert selected(database, predicate, table) == expected
    numbered = table.append_column("n", pa.array(range(len(table))))
    assert passing(numbered, predicate).column("n").to_pylist() == expected


@given(predicate=predicates, rows=rows)
def test_what_is_split_off_says_the_same(predicate: Predicate, rows: list[dict[str, Any]]) -> None:
    members, rest = split_members(predicate, "instrument_id")
    low, high = narrow(
        predicate, "datetime", datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
    )
    for row in rows:
        confined = members is None or row["instrument_id"] in members
        assert (confined and keeps(rest, row)) == keeps(predicate, row)
        assert not keeps(predicate, row) or low <= row["datetime"] <= high


HOSTILE = [
    "instrument='au2512'; drop table t",
    "instrument='au2512' union select * from read_csv('/etc/passwd')",
    "1=1",
    "instrument='x' or 1=1 --",
    "instrument='x' /* */ or true",
    "instrument='x'); copy t to '/tmp/x'; --",
    "instrument in (select instrument_id from t)",
    "lower(instrument)='x'",
    "instrument = read_text('/etc/passwd')",
    "instrument = 'a' || 'b'",
    "instrument = ?",
    "instrument = $1",
    "\"instrument_id\" = 1; attach 'x.db'",
    "instrument_id = 'x' escape '\\'",
    "last_price = 1e999",
    "last_price = nan",
    "last_price = 'inf'",
    "volume = 0x10",
    "volume = 1;",
    "\0",
    "instrument='\0'",
    "instrument=\ud800",
    "instrument='\ud800'",
    "ｉｎｓｔｒｕｍｅｎｔ='x'",
    "volume = ١٢",
    "((((((((((",
    "(" * 100 + "volume=1" + ")" * 100,
    "not " * 100 + "volume=1",
    " and ".join(["volume=1"] * 10_000),
    "source like '" + "%a" * 50 + "'",
    "select 1",
    "exists (select 1)",
    "case when volume=1 then 1 end",
    "'",
    '"',
    "volume = '1",
    "trading_date = 2021-13-45",
    "datetime > 'yesterdayish'",
    "x" * 9_000,
]


@given(text=st.text(max_size=60) | st.text("'\"()=<>,;-% abivnot1._\0", max_size=40))
@example(text="instrument='au2512'")
def test_any_text_is_a_predicate_or_a_clear_error(database: duckdb.DuckDBPyConnection, text: str) -> None:
    harmless(database, text)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_refused(database: duckdb.DuckDBPyConnection, text: str) -> None:
    assert harmless(database, text) is None, text


def harmless(database: duckdb.DuckDBPyConnection, text: str) -> Predicate | None:
    try:
        predicate = parse(text)
    except InputError as error:
        assert error.message.startswith("filter: ")
        assert len(error.message) < 700
        return None
    if predicate is not None:
        sql, _ = to_sql(predicate)
        for column in COLUMNS:
            sql = sql.replace(f'"{column}"', "c")
        assert not sql.translate(str.maketrans("", "", "c?()<>=, ANDORTIBEWLKSU")), sql
        assert len(database.extract_statements(f"select n from t where {sql}")) == 1
        selected(database, predicate, pa.Table.from_pylist([], schema=ARROW))
    return predicate


def test_bounds() -> None:
    deepest = DEPTH_COUNT - 1
    assert parse("(" * deepest + "volume=1" + ")" * deepest) == Compare("volume", "=", 1)
    with pytest.raises(InputError, match="nested deeper"):
        parse("(" * DEPTH_COUNT + "volume=1" + ")" * DEPTH_COUNT)
    members = ",".join(["1"] * MEMBERS_COUNT)
    parsed = parse(f"volume in ({members})")
    assert isinstance(parsed, In)
    assert len(parsed.values) == MEMBERS_COUNT
    with pytest.raises(InputError, match="more than 1000 values"):
        parse(f"volume in ({members},1)")
