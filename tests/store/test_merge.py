"""Files made one a few instruments at a time are what they would be made at once."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qautlra.store.catalogue import DataFile, describe
from qautlra.store.compaction import IDENTITY, ordered, without_repeats
from qautlra.store.merge import MERGED_LEVEL, merge
from qautlra.store.parquet import Layout, empty_columns, write_parquet
from qautlra.store.schema import ROW_SCHEMA

DAY = date(2026, 11, 30)


def some_rows(chance: np.random.Generator, count: int, symbols: int) -> pa.Table:
    """Rows in order; one instrument has half of them, and some are there twice over all files."""
    which = np.where(chance.random(count) < 0.5, symbols // 2, chance.integers(0, symbols, count))
    values = {
        "instrument_id": pa.array([f"SHFE.a{number:04d}" for number in which]),
        "datetime": pa.array(chance.integers(0, 2 * count, count)).cast(pa.timestamp("us", "UTC")),
        "seq": pa.array(chance.integers(0, 2, count)),
        "trading_date": pa.array([DAY] * count),
    }
    columns = [
        values[field.name].cast(field.type) if field.name in values else pa.nulls(count, field.type)
        for field in ROW_SCHEMA
    ]
    table = ordered(pa.table(columns, schema=ROW_SCHEMA))
    place = table.column("datetime").cast(pa.int64()).to_numpy() * 2 + table.column("seq").to_numpy()
    volumes = pa.array(place).cast(ROW_SCHEMA.field("volume").type)  # the same of a row wherever it is
    at = table.column_names.index("volume")
    return without_repeats(table.set_column(at, ROW_SCHEMA.field("volume"), volumes), IDENTITY)


def groups_of(path: Path) -> list[int]:
    meta = pq.read_metadata(path)
    return [meta.row_group(at).num_rows for at in range(meta.num_row_groups)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("load_rows", [1, 40, 10_000])
def test_a_merge_is_what_it_would_be_at_once(tmp_path: Path, seed: int, load_rows: int) -> None:
    chance = np.random.default_rng(seed)
    layout = Layout(row_group_rows=32)
    tables = [some_rows(chance, int(chance.integers(1, 400)), int(chance.integers(1, 60))) for _ in range(4)]
    files: list[DataFile] = []
    for number, table in enumerate(tables):
        if number == 1:  # an older build's, without a column
            table = table.drop_columns(["ask_price10"])
        path = (
            tmp_path
            / f"stream=futures_market/date={DAY}/{number * 10 + 1:020d}-{number * 10 + 10:020d}.parquet"
        )
        write_parquet(path, table, layout, by_instrument=True)
        described = describe(tmp_path, path, table, "futures_market", DAY, number * 10 + 1, number * 10 + 10)
        files.append(described)
    one = merge(tmp_path, files, layout, load_rows)
    expected = without_repeats(ordered(pa.concat_tables(tables)), IDENTITY)
    at_once = tmp_path / "at-once.parquet"
    write_parquet(at_once, expected, Layout(row_group_rows=32, level=MERGED_LEVEL), by_instrument=True)
    merged = tmp_path / one.path
    assert pq.read_table(merged, partitioning=None, schema=ROW_SCHEMA).equals(expected)
    assert groups_of(merged) == groups_of(at_once)
    assert empty_columns(pq.read_metadata(merged)) == empty_columns(pq.read_metadata(at_once))
    assert (one.first_lsn, one.last_lsn, one.rows) == (1, 40, expected.num_rows)
    whole = describe(tmp_path, merged, expected, "futures_market", DAY, 1, 40)
    assert one == whole
