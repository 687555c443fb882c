"""The native reader of our Parquet files against pyarrow's own reading, in every layout ours have had."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from qautlra._core.parquet import Columns, ParquetFile

TIMES = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    [
        ("datetime", TIMES), ("instrument_id", pa.string()), ("day", pa.date32()), ("price", pa.float64()),
        ("count", pa.int64()), ("wide", pa.int64()), ("calm", pa.float64()), ("source", pa.string()),
        ("nothing", pa.float64()), ("no_text", pa.string()), ("recv_time", TIMES),
    ]
)  # fmt: skip
SYMBOLS = ("DCE.m2601", "SHFE.ag2512", "SHFE.au2512", "甲.乙1")
LOW, STOP = -(2**63), 2**63 - 1
LAYOUTS: dict[str, dict[str, Any]] = {
    "now": {"few": ["instrument_id", "source", "calm"], "write_batch_size": 64, "data_page_size": 32},
    "former": {"few": ["instrument_id", "source"]},
    "dictionaries": {"few": ["instrument_id", "source", "calm", "price"], "write_batch_size": 100},
    "not packed": {"few": ["instrument_id", "source"], "compression": "none", "data_page_size": 200},
}


def rows(rng: random.Random, count: int) -> pa.Table:
    noise = np.random.default_rng(rng.randrange(2**32))
    symbols = sorted(rng.choice(SYMBOLS) for _ in range(count))
    times = np.concatenate([np.sort(noise.integers(0, 5_000, symbols.count(one))) for one in SYMBOLS])

    def holes(share: float) -> Any:
        return noise.random(count) < share

    columns = {
        "datetime": pa.array(times, TIMES),
        "instrument_id": pa.array(symbols),
        "day": pa.array(noise.integers(-400, 20_000, count).astype(np.int32), pa.date32(), mask=holes(0.05)),
        "price": pa.array(np.round(noise.normal(4_000, 2, count), 1), mask=holes(rng.choice([0, 0.3]))),
        "count": pa.array(np.cumsum(noise.integers(0, 90, count)), mask=holes(rng.choice([0, 0.9]))),
        "wide": pa.array(noise.integers(-(2**63), 2**63, count)),
        "calm": pa.array(np.full(count, rng.choice([-0.0, 9.25, float("nan")]))),
        "source": pa.array(noise.choice(["sim", "ctp", ""], count), mask=holes(0.5)),
        "recv_time": pa.array(times + 7, TIMES, mask=np.full(count, True)),
    }
    arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in SCHEMA]
    return pa.table(arrays, schema=SCHEMA)


def written(path: Path, table: pa.Table, layout: str, group_rows: int, **more: Any) -> None:
    settings = {"compression": "zstd", "write_page_checksum": True, **LAYOUTS[layout], **more}
    whole = ["datetime", "day", "count", "wide", "recv_time"]
    pq.write_table(
        table, path, row_group_size=group_rows, use_dictionary=settings.pop("few"), store_schema=False,
        column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"), **settings,
    )  # fmt: skip


def columns(schema: pa.Schema, file: ParquetFile) -> Columns:
    places = {name: at for at, name in enumerate(file.names) if name in schema.names}
    return Columns(schema, places, "datetime", "instrument_id")


def table_of(found: tuple[bytes, int, int, int] | None, schema: pa.Schema) -> pa.Table:
    assert found is not None
    if not found[1]:
        assert found[0] == b""
        return schema.empty_table()
    batch = pa.ipc.read_record_batch(pa.py_buffer(found[0]), schema)
    batch.validate(full=True)
    times = batch.column("datetime")
    assert found[1:] == (batch.num_rows, times[0].value, times[-1].value)
    return pa.Table.from_batches([batch])


def plainly(
    table: pa.Table, symbol: str, low: int, stop: int, limit: int | None, descending: bool
) -> pa.Table:
    times = table.column("datetime").cast(pa.int64())
    is_mine = pc.and_(pc.greater_equal(times, low), pc.less(times, stop))
    mine = table.filter(pc.and_(pc.equal(table.column("instrument_id"), symbol), is_mine))
    kept = mine.num_rows if limit is None else min(limit, mine.num_rows)
    return mine.slice(mine.num_rows - kept if descending else 0, kept)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_rows_as_pyarrow(tmp_path: Path, layout: str, seed: int) -> None:
    rng = random.Random(seed)
    path = tmp_path / "rows.parquet"
    written(path, rows(rng, 3_000), layout, 1_000)
    file, plain = ParquetFile(path), pq.ParquetFile(path)
    for _ in range(60):
        schema = rng.choice([SCHEMA, pa.schema([SCHEMA.field(at) for at in (4, 1, 7, 0)])])
        group, symbol = rng.randrange(3), rng.choice(SYMBOLS)
        low = rng.choice([LOW, rng.randrange(5_000)])
        stop = rng.choice([STOP, low, max(low, 0) + rng.randrange(3_000)])
        limit, descending = rng.choice([None, 1, 7, 500]), rng.random() < 0.5
        found = file.read(
            group, columns(schema, file), symbol, low, stop,
            limit=limit, descending=descending, may_wait=rng.random() < 0.5,
        )  # fmt: skip
        table = plain.read_row_group(group).select(schema.names).cast(schema)
        wanted = plainly(table, symbol, low, stop, limit, descending)
        mine = table_of(found, schema)
        assert [repr(row) for row in mine.to_pylist()] == [repr(row) for row in wanted.to_pylist()]


def test_a_group_of_one_instrument(tmp_path: Path) -> None:
    table = rows(random.Random(5), 2_000)
    mine = table.filter(pc.equal(table.column("instrument_id"), SYMBOLS[2]))
    path = tmp_path / "rows.parquet"
    written(path, mine, "now", 10_000)
    file = ParquetFile(path)
    assert file.rows_of(0) == mine.num_rows
    found = file.read(0, columns(SCHEMA, file), SYMBOLS[2], LOW, STOP, is_only=True)
    assert repr(table_of(found, SCHEMA).to_pylist()) == repr(mine.to_pylist())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", range(3))
def test_all_rows_of_a_group(tmp_path: Path, layout: str, seed: int) -> None:
    rng = random.Random(seed)
    path = tmp_path / "rows.parquet"
    written(path, rows(rng, 2_500), layout, 1_000)
    file, plain = ParquetFile(path), pq.ParquetFile(path)
    for group in range(3):
        for schema in (SCHEMA, pa.schema([SCHEMA.field(at) for at in (4, 1, 7, 0)])):
            found = file.read_all(group, columns(schema, file))
            assert found is not None
            batch = pa.ipc.read_record_batch(pa.py_buffer(found[0]), schema)
            batch.validate(full=True)
            table = plain.read_row_group(group).select(schema.names).cast(schema)
            assert found[1] == batch.num_rows == table.num_rows
            assert [repr(row) for row in batch.to_pylist()] == [repr(row) for row in table.to_pylist()]
            assert [column.null_count for column in batch] == [column.null_count for column in table]


def test_an_answer_is_a_whole_stream(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    written(path, rows(random.Random(6), 1_000), "now", 1_000)
    file = ParquetFile(path)
    head, tail = bytes(SCHEMA.serialize()), b"\xff\xff\xff\xff\0\0\0\0"
    found = file.read(0, columns(SCHEMA, file), SYMBOLS[0], LOW, STOP, limit=9, head=head, tail=tail)
    assert found is not None
    assert pa.ipc.open_stream(found[0]).read_all().num_rows == 9


@pytest.mark.parametrize(
    "settings",
    [
        {"compression": "snappy"},
        {"compression": "lz4"},
        {"data_page_version": "2.0"},
        {"few": False},  # texts without a dictionary
        {"few": ["instrument_id"], "dictionary_pagesize_limit": 8},
    ],
)
def test_what_is_not_ours_is_left_to_pyarrow(tmp_path: Path, settings: dict[str, Any]) -> None:
    path = tmp_path / "rows.parquet"
    written(path, rows(random.Random(7), 500), "former", 500, **settings)
    file = ParquetFile(path)
    assert file.read(0, columns(SCHEMA, file), SYMBOLS[0], LOW, STOP) is None
    assert file.read_all(0, columns(SCHEMA, file)) is None


def test_rows_out_of_order_are_left_to_pyarrow(tmp_path: Path) -> None:
    table = rows(random.Random(8), 500)
    path = tmp_path / "rows.parquet"
    written(path, table.take(pa.array(range(499, -1, -1))), "now", 500)
    file = ParquetFile(path)
    assert file.read(0, columns(SCHEMA, file), SYMBOLS[0], LOW, STOP) is None


def test_types_that_differ_are_left_to_pyarrow(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    written(path, rows(random.Random(9), 500), "now", 500)
    file = ParquetFile(path)
    other = pa.schema([*list(SCHEMA)[:3], ("price", pa.int64())])
    assert file.read(0, columns(other, file), SYMBOLS[0], LOW, STOP) is None
    assert file.read_all(0, columns(other, file)) is None


@pytest.mark.parametrize("layout", ["now", "former"])
def test_a_damaged_file_gives_its_rows_or_an_error(tmp_path: Path, layout: str) -> None:
    """Whatever bit is wrong: no other rows, and an error (or pyarrow's) where pages were hit."""
    rng = random.Random(10)
    path, damaged = tmp_path / "rows.parquet", tmp_path / "damaged.parquet"
    written(path, rows(rng, 400), layout, 400)
    content = path.read_bytes()
    file = ParquetFile(path)
    wanted = table_of(file.read(0, columns(SCHEMA, file), SYMBOLS[1], LOW, STOP), SCHEMA)
    refused = errors = 0
    for _ in range(1_000):
        at = rng.randrange(len(content))
        bad = bytearray(content)
        bad[at] ^= 1 << rng.randrange(8)
        damaged.write_bytes(bad)
        try:
            broken = ParquetFile(damaged)
            found = broken.read(0, columns(SCHEMA, broken), SYMBOLS[1], LOW, STOP)
        except OSError as error:
            assert str(damaged) in str(error)
            errors += 1
            continue
        except (ValueError, IndexError, UnicodeDecodeError):  # a name or a number of groups that changed
            refused += 1
            continue
        if found is None:
            refused += 1
        elif set(broken.names) == set(file.names):
            assert repr(table_of(found, SCHEMA).to_pylist()) == repr(wanted.to_pylist()), at
    assert errors > 100
    assert refused > 10


@pytest.mark.parametrize("layout", ["now", "former"])
def test_a_damaged_group_gives_its_rows_or_an_error(tmp_path: Path, layout: str) -> None:
    rng = random.Random(14)
    path, damaged = tmp_path / "rows.parquet", tmp_path / "damaged.parquet"
    written(path, rows(rng, 400), layout, 400)
    content = path.read_bytes()
    file = ParquetFile(path)
    wanted = file.read_all(0, columns(SCHEMA, file))
    errors = 0
    for _ in range(500):
        at = rng.randrange(len(content))
        bad = bytearray(content)
        bad[at] ^= 1 << rng.randrange(8)
        damaged.write_bytes(bad)
        try:
            broken = ParquetFile(damaged)
            found = broken.read_all(0, columns(SCHEMA, broken))
        except OSError:
            errors += 1
            continue
        except (ValueError, IndexError, UnicodeDecodeError):
            continue
        assert found is None or set(broken.names) != set(file.names) or found == wanted, at
    assert errors > 50


def test_a_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    path, cut = tmp_path / "rows.parquet", tmp_path / "cut.parquet"
    written(path, rows(random.Random(11), 400), "now", 400)
    content = path.read_bytes()
    for size in (0, 4, 7, 100, len(content) // 2, len(content) - 1):
        cut.write_bytes(content[:size])
        with pytest.raises(OSError, match=r"footer|Parquet"):
            ParquetFile(cut)
    with pytest.raises(OSError, match="opened"):
        ParquetFile(tmp_path / "none.parquet")


def test_a_file_cut_after_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    written(path, rows(random.Random(12), 4_000), "now", 1_000)
    file = ParquetFile(path)
    os.truncate(path, 1_000)
    with pytest.raises(OSError, match="cannot be read to its end"):
        file.read(3, columns(SCHEMA, file), SYMBOLS[3], LOW, STOP)
    with pytest.raises(OSError, match="cannot be read to its end"):
        file.read_all(3, columns(SCHEMA, file))


def test_groups_and_columns_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    written(path, rows(random.Random(13), 100), "now", 100)
    file = ParquetFile(path)
    with pytest.raises(IndexError):
        file.read(1, columns(SCHEMA, file), SYMBOLS[0], LOW, STOP)
    with pytest.raises(IndexError):
        file.read_all(1, columns(SCHEMA, file))
    beyond = Columns(SCHEMA, {"datetime": 0, "instrument_id": 99}, "datetime", "instrument_id")
    with pytest.raises(ValueError, match="another file"):
        file.read(0, beyond, SYMBOLS[0], LOW, STOP)
    with pytest.raises(ValueError, match="another file"):
        file.read_all(0, beyond)


def test_nested_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": [[1, 2], [3]]}), path)
    with pytest.raises(OSError, match="flat"):
        ParquetFile(path)
