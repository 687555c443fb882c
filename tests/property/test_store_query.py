"""Whatever mix of hot tier, files and late rows holds the rows, a query answers what a list would."""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qautlra.store import reader
from qautlra.store.filter import parse_filter
from qautlra.store.schema import STREAMS, stream_of
from tests.models.filter_rows import keeps
from tests.store.world import NOW, OPENING, World, run, tick, world

SYMBOLS = ["SHFE.au2102", "SHFE.rb2105", "SSE.600000"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 24 * 3_600 * 10**9


def row(symbol: str, ts_ns: int, seq: int) -> dict[str, Any]:
    """The row of an identity: it has the same values whenever it comes again."""
    number = SYMBOLS.index(symbol) + ts_ns // 500_000_000 + seq
    return tick(symbol, ts_ns, seq, last_price=[None, 99.5, 100.0, 100.5][number % 4], volume=number % 3)


# Few moments, so that rows share them, come late and come again; two trading days.
half_seconds = st.builds(
    lambda day, n: OPENING + day * DAY + n * 500_000_000, st.sampled_from([0, 1]), st.integers(0, 4)
)
rows = st.builds(row, st.sampled_from(SYMBOLS), half_seconds, st.integers(0, 1))
steps = st.lists(
    st.tuples(st.just("publish"), st.lists(rows, max_size=12))
    | st.tuples(st.just("import"), st.lists(rows, max_size=12))
    | st.tuples(st.sampled_from(["file", "compact", "evict", "roll"]), st.none()),
    min_size=1,
    max_size=8,
)
filters = st.sampled_from(
    [
        "",
        "instrument = au2102",
        "instrument in (rb2105, 600000)",
        "last_price > 99.5",
        "instrument = au2102 and volume <> 2",
        "last_price is null or volume = 1",
        "datetime >= '2021-01-05' and not instrument like 'rb%'",
        "trading_date = 2021-01-05",
    ]
)
moments = st.builds(
    lambda day, n: OPENING + day * DAY + n * 500_000_000, st.integers(-1, 3), st.integers(-2, 15)
)
queries = st.tuples(
    st.sampled_from(["futures_market", "stock_market", "market_data"]),
    filters,
    moments,
    moments,
    st.none() | st.integers(0, 12),
    st.booleans(),
)


class Twin:
    """All rows there ever were, each identity once: the first that came."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int, int], dict[str, Any]] = {}

    def add(self, values: list[dict[str, Any]]) -> None:
        for value in values:
            self.kept.setdefault((value["instrument_id"], value["datetime"], value["seq"]), value)

    def answer(
        self, stream: str, text: str, start: int, stop: int, limit: int | None, descending: bool
    ) -> list[tuple[Any, ...]]:
        predicate = parse_filter(text, STREAMS[stream].columns, now_ns=NOW, canonical=canonical)
        found = []
        for value in self.kept.values():
            moment = EPOCH + timedelta(microseconds=value["datetime"] // 1000)
            row = dict.fromkeys(STREAMS[stream].columns) | value
            row |= {"datetime": moment, "trading_date": (moment + timedelta(hours=8)).date()}
            inside = (
                start <= value["datetime"] < stop
                and stream_of(value["instrument_id"]) in STREAMS[stream].parts
            )
            if inside and keeps(predicate, row):
                found.append(
                    (moment, value["instrument_id"], value["seq"], value["last_price"], value["volume"])
                )
        found.sort(key=lambda row: row[:3], reverse=descending)
        return found[:limit]


def canonical(spelling: str) -> str | None:
    return {symbol.partition(".")[2]: symbol for symbol in SYMBOLS}.get(spelling, spelling)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(story=steps, asked=st.lists(queries, min_size=1, max_size=6), slice_rows=st.sampled_from([2, 5, 8192]))
def test_a_query_answers_what_a_list_would(story: Any, asked: Any, slice_rows: int) -> None:
    kept = (reader.SLICE_ROWS, reader.FIRST_SLICE_ROWS, reader.FIRST_WINDOW_ROWS, reader.WINDOW_ROWS)
    reader.SLICE_ROWS = reader.FIRST_SLICE_ROWS = slice_rows
    reader.FIRST_WINDOW_ROWS, reader.WINDOW_ROWS = slice_rows, 4 * slice_rows
    try:
        with tempfile.TemporaryDirectory() as directory:
            run(told(Path(directory), story, asked))
    finally:
        reader.SLICE_ROWS, reader.FIRST_SLICE_ROWS, reader.FIRST_WINDOW_ROWS, reader.WINDOW_ROWS = kept


async def told(directory: Path, story: Any, asked: Any) -> None:
    twin = Twin()
    half = len(story) // 2
    async with world(directory, durability="memory", segment_bytes=1 << 16) as w:
        await play(w, twin, story[:half])
        await compare(w, twin, asked)
    # the second half after a restart
    async with world(directory, durability="memory", segment_bytes=1 << 16) as w:
        await compare(w, twin, asked[:1])
        await play(w, twin, story[half:])
        await compare(w, twin, asked)


async def play(w: World, twin: Twin, story: Any) -> None:
    for step, values in story:
        assert w.store._open is not None
        if step == "publish":
            twin.add(values)
            w.publish(values)
        elif step == "import":
            expected = {(v["instrument_id"], v["datetime"], v["seq"]) for v in values} - set(twin.kept)
            twin.add(values)
            assert await w.store.import_rows(w.rows(values)) == len(expected)
        elif step in ("file", "compact"):
            await w.store.compact()
            if step == "file":
                w.store._open.hot.evict_through(w.store._open.hot.safe_lsn)
        elif step == "roll":
            w.store._open.journal.roll()
        else:
            w.store._open.hot.evict_through(w.store._open.hot.safe_lsn)


async def compare(w: World, twin: Twin, asked: Any) -> None:
    columns = ("datetime", "instrument_id", "seq", "last_price", "volume")
    for stream, text, start, stop, limit, descending in asked:
        if start > stop:
            start, stop = stop, start
        body = await w.answer(
            stream,
            start_time=start,
            end_time=stop,
            filter=text,
            limit=limit,
            descending=descending,
            columns=columns,
        )
        found = [
            (datetime.fromisoformat(row["datetime"]), *(row[name] for name in columns[1:]))
            for row in json.loads(body)
        ]
        assert found == twin.answer(stream, text, start, stop, limit, descending)
