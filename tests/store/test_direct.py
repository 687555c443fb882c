"""Rows straight from files against the plain way: all rows of all files, filtered, sorted, cut."""

from __future__ import annotations

import os
import random
from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from qautlra.base.errors import LimitError
from qautlra.store import direct, footers, groups
from qautlra.store.catalogue import DataFile
from qautlra.store.compaction import ordered
from qautlra.store.direct import DirectReader, needed_columns
from qautlra.store.footers import Footers
from qautlra.store.mask import passing
from qautlra.store.parquet import Layout, row_groups, write_partitions
from qautlra.store.plan import Plan
from qautlra.store.predicate import Compare
from qautlra.store.render import ArrowStream
from qautlra.store.schema import FUTURES_MARKET, INSTRUMENT, ROW_SCHEMA, STREAMS, TIME, narrowed
from tests.store.world import OPENING

START_US = OPENING // 1_000
SPAN_US = 600_000_000
SYMBOLS = [f"SHFE.au25{month:02d}" for month in range(1, 13)]
DAYS = (date(1, 1, 1), date(9999, 12, 31))


def random_rows(rng: random.Random, count: int) -> pa.Table:
    rows = {}
    fixed = {symbol: rng.choice([0.0, -0.0, 5.5, None]) for symbol in SYMBOLS}
    for _ in range(count):
        symbol = rng.choice(SYMBOLS[:3] if rng.random() < 0.7 else SYMBOLS)
        at, seq = START_US + rng.randrange(SPAN_US // 1_000) * 1_000, rng.randrange(2)
        rows[symbol, at, seq] = {
            INSTRUMENT: symbol, TIME: at, "seq": seq, "trading_date": date(2021, 1, 4), "source": "sim",
            "last_price": rng.choice([None, 0.0, -0.0, round(rng.random() * 100, 1)]),
            "open": fixed[symbol], "volume": rng.choice([None, rng.randrange(1_000)]),
            "upper_limit": 9.25, "recv_time": at + 5,
        }  # fmt: skip
    columns = [pa.array([row.get(field.name) for row in rows.values()], field.type) for field in ROW_SCHEMA]
    return pa.table(columns, schema=ROW_SCHEMA)


def written(directory: Path, rng: random.Random) -> tuple[list[DataFile], pa.Table]:
    """A few files, each row in one of them, whatever its time."""
    table = random_rows(rng, 3_000)
    order = list(range(table.num_rows))
    if rng.random() < 0.5:
        order.sort(key=lambda at: table.column(TIME)[at].value)  # as files of one day come to be
    else:
        rng.shuffle(order)
    files, at = [], 0
    while at < len(order):
        some = order[at : at + rng.randrange(1, 1_200)]
        part = ordered(table.take(pa.array(some)))
        packed = rng.choice(["zstd", "zstd", "uncompressed", "lz4"])  # the last is read by pyarrow
        layout = Layout(compression=packed, row_group_rows=rng.choice([16, 64, 1_024]))
        files += write_partitions(directory, part, at + 1, at + len(some), layout)
        at += len(some)
    return files, table


def plainly(table: pa.Table, plan: Plan, limit: int | None) -> pa.Table:
    moment = ROW_SCHEMA.field(TIME).type
    mine = pc.and_(
        pc.is_in(table.column(INSTRUMENT), pa.array(sorted(plan.symbols or ()), pa.string())),
        pc.and_(
            pc.greater_equal(table.column(TIME), pa.scalar(plan.start_us, moment)),
            pc.less(table.column(TIME), pa.scalar(plan.stop_us, moment)),
        ),
    )
    table = table.filter(mine)
    table = table if plan.rest is None else passing(table, plan.rest)
    order = "descending" if plan.descending else "ascending"
    return table.sort_by([(name, order) for name in plan.stream.order]).slice(0, limit)


def text(table: pa.Table) -> list[str]:
    return [repr(row) for row in table.to_pylist()]  # tells -0.0 from 0.0


@pytest.mark.parametrize("seed", range(4))
def test_the_same_rows_as_the_plain_way(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    if seed % 2:
        monkeypatch.setattr(footers, "FOOTER_CHUNKS_COUNT", 1)
        monkeypatch.setattr(direct, "FILES_COUNT", 1)
        monkeypatch.setattr(groups, "NOTHING_ROWS", 4)
    files, table = written(tmp_path, rng)
    reader = DirectReader(tmp_path, Footers(), ROW_SCHEMA)
    stream = STREAMS[FUTURES_MARKET]
    for _ in range(40):
        start = START_US + rng.randrange(SPAN_US)
        plan = Plan(
            stream,
            rng.choice([tuple(stream.columns), ("last_price",), (TIME, "open", "volume", INSTRUMENT)]),
            start,
            start + rng.randrange(SPAN_US),
            DAYS,
            frozenset(rng.sample(SYMBOLS, rng.choice([1, 1, 2, 5]))),
            rng.choice([None, None, Compare("volume", ">", 500)]),
            None,
            rng.random() < 0.5,
            False,
        )
        limit = rng.choice([None, 1, 10, 100, 1_000])
        found = reader.read(plan, files, plan.start_us, plan.stop_us, limit, lambda: False)
        wanted = plainly(table, plan, limit).select(needed_columns(plan))
        assert found.schema == wanted.schema
        assert text(found) == text(wanted), (seed, plan, limit)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_answered_at_once_is_what_is_read(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    files, _ = written(tmp_path, rng)
    reader = DirectReader(tmp_path, Footers(), ROW_SCHEMA)
    stream = STREAMS[FUTURES_MARKET]
    every = tuple(stream.columns)
    answered = 0
    for _ in range(150):
        start = START_US + rng.randrange(SPAN_US)
        columns = rng.choice([every, (TIME, INSTRUMENT, "seq", "volume")])
        symbols = frozenset(rng.sample(SYMBOLS, 1))
        stop = start + rng.randrange(SPAN_US)
        limit = rng.choice([1, 10, 100])
        plan = Plan(stream, columns, start, stop, DAYS, symbols, None, limit, False, False)
        schema = narrowed(ROW_SCHEMA, columns)
        render = ArrowStream(schema)
        some = [file for file in files if rng.random() < 0.5]
        found = reader.message(plan, some, render.head(), render.tail())
        wanted = reader.read(plan, some, start, stop, limit, lambda: False)
        if found is not None:
            answered += bool(found[1])
            assert found[1] == wanted.num_rows
            assert text(pa.ipc.open_stream(found[0]).read_all()) == text(wanted), (seed, plan)
    assert answered > 5


def test_what_is_not_known_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, _ = written(tmp_path, random.Random(2))
    reader = DirectReader(tmp_path, Footers(), ROW_SCHEMA)
    stream = STREAMS[FUTURES_MARKET]
    every = tuple(stream.columns)
    plan = Plan(stream, every, 0, 2**60, DAYS, frozenset(SYMBOLS[:1]), None, 1, False, False)
    assert reader.message(plan, files[:1], b"", b"") is None  # nothing is known of it
    reader.read(plan, files[:1], 0, 2**60, 1, lambda: False)
    assert reader.message(plan, files[:1], b"", b"") is not None
    with reader._lock:  # as while another thread looks for a file
        assert reader.message(plan, files[:1], b"", b"") is None

    def cold(*_: object, **how: object) -> None:
        assert not how["may_wait"]
        raise BlockingIOError

    monkeypatch.setattr(groups.GroupFile, "message", cold)
    assert reader.message(plan, files[:1], b"", b"") is None


def test_a_damaged_page_is_told(tmp_path: Path) -> None:
    """As an error of the file, whether it is read in a thread or, first, at once."""
    table = ordered(random_rows(random.Random(4), 3_000))
    (file,) = write_partitions(tmp_path, table, 1, 3_000, Layout())
    path = tmp_path / file.path
    content = bytearray(path.read_bytes())
    chunk = pq.read_metadata(path).row_group(0).column(ROW_SCHEMA.names.index("last_price"))
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    content[begin + chunk.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    reader = DirectReader(tmp_path, Footers(), ROW_SCHEMA)
    stream = STREAMS[FUTURES_MARKET]
    every = tuple(stream.columns)
    errors = 0
    for symbol in SYMBOLS:
        plan = Plan(stream, every, 0, 2**60, DAYS, frozenset([symbol]), None, 1_000, False, False)
        try:
            reader.read(plan, [file], 0, 2**60, 1_000, lambda: False)
        except OSError as error:
            errors += 1
            assert "damaged" in str(error)
            assert reader.message(plan, [file], b"", b"") is None
    assert errors


def test_a_given_up_read_ends(tmp_path: Path) -> None:
    files, _ = written(tmp_path, random.Random(1))
    stream = STREAMS[FUTURES_MARKET]
    plan = Plan(stream, tuple(stream.columns), 0, 2**60, DAYS, frozenset(SYMBOLS), None, None, False, False)
    with pytest.raises(LimitError):
        DirectReader(tmp_path, Footers(), ROW_SCHEMA).read(plan, files, 0, 2**60, None, lambda: True)


def test_little_is_read_for_a_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten rows of one instrument open the one group they lie in, in a day of many files."""
    table = random_rows(random.Random(2), 6_000)
    table = table.filter(pc.equal(table.column(INSTRUMENT), SYMBOLS[0])).sort_by(TIME)
    parts = [table.slice(at, 100) for at in range(0, table.num_rows, 100)]
    layout = Layout(row_group_rows=1_024)
    files = [
        write_partitions(tmp_path, ordered(part), at * 1_000 + 1, at * 1_000 + 999, layout)[0]
        for at, part in enumerate(parts)
    ]
    opened = []
    whole = direct.ParquetFile
    monkeypatch.setattr(direct, "ParquetFile", lambda path: opened.append(path) or whole(path))
    stream = STREAMS[FUTURES_MARKET]
    plan = Plan(
        stream, tuple(stream.columns), 0, 2**60, DAYS, frozenset(SYMBOLS[:1]), None, None, False, False
    )
    for descending in (False, True):
        opened.clear()
        asked = replace(plan, descending=descending)
        found = DirectReader(tmp_path, Footers(), ROW_SCHEMA).read(asked, files, 0, 2**60, 10, lambda: False)
        assert found.num_rows == 10
        assert 0 < len(opened) <= 2 < len(files)


def test_a_deleted_file_is_let_go_of(tmp_path: Path) -> None:
    """Or the disk would not get its room back as long as nobody asks for other files."""
    files, _ = written(tmp_path, random.Random(3))
    reader = DirectReader(tmp_path, Footers(), ROW_SCHEMA)
    stream = STREAMS[FUTURES_MARKET]
    plan = Plan(stream, tuple(stream.columns), 0, 2**60, DAYS, frozenset(SYMBOLS), None, None, False, False)

    def held() -> list[Path]:
        """Files of ours among the descriptors; the one that lists them is gone by then."""
        paths = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
        return [
            path for path in paths if path.is_symlink() and str(path.readlink()).startswith(str(tmp_path))
        ]

    reader.read(plan, files, 0, 2**60, None, lambda: False)
    assert held()
    for file in files:
        (tmp_path / file.path).unlink()
    reader.close_deleted()
    assert not held()


def test_row_groups_end_where_instruments_do() -> None:
    def groups(counts: list[int], most: int) -> list[tuple[int, int]]:
        names = [f"x{at:03d}" for at, count in enumerate(counts) for _ in range(count)]
        return row_groups(pa.table({INSTRUMENT: pa.array(names, pa.string())}), most)

    assert groups([10], 4) == [(0, 4), (4, 8), (8, 10)]
    assert groups([3, 3, 3], 4) == [(0, 3), (3, 6), (6, 9)]
    assert groups([1, 1, 1, 1, 1], 4) == [(0, 2), (2, 4), (4, 5)]
    assert groups([1, 9, 1], 8) == [(0, 1), (1, 6), (6, 10), (10, 11)]
    assert groups([], 8) == [(0, 0)]
    rng = random.Random(3)
    for _ in range(200):
        counts = [rng.randrange(1, 40) for _ in range(rng.randrange(1, 30))]
        found = groups(counts, 16)
        assert found[0][0] == 0 and found[-1][1] == sum(counts)
        assert all(a[1] == b[0] for a, b in pairwise(found))
        assert all(0 < stop - start <= 16 for start, stop in found)
