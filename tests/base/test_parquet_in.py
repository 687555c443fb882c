"""Parquet files read by another process: all rows in order, bounded pieces, and what is wrong is said."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qautlra.base import parquet_in


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.parquet"
    columns = {"n": list(range(10_000)), "a.b": ["x"] * 10_000, "l": [[1, 2]] * 10_000}
    pq.write_table(pa.table(columns), path, row_group_size=3_000)
    return path


def test_rows_come_in_order_and_only_the_columns_asked_for(file: Path) -> None:
    told: list[int] = []
    found = list(parquet_in.batches(file, 4_096, total=told.append))
    assert told == [10_000] and max(batch.num_rows for batch in found) <= 4_096
    assert pa.Table.from_batches(found).equals(pq.read_table(file))
    chosen = pa.Table.from_batches(parquet_in.batches(file, 4_096, lambda names: names[:1]))
    assert chosen.equals(pq.read_table(file, columns=["n"]))
    assert parquet_in.columns(file) == ["n", "a.b", "l"]


def test_a_file_without_rows_and_one_that_is_left_early(file: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"n": pa.array([], pa.int64())}), empty)
    assert sum(batch.num_rows for batch in parquet_in.batches(empty, 10)) == 0
    assert parquet_in.columns(empty) == ["n"]
    with closing(parquet_in.batches(file, 10)) as found:
        assert next(found).num_rows == 10


def test_what_cannot_be_read_is_said(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    for content in (whole[:-50], b"", b"PAR1" + bytes(100) + b"PAR1", b"no"):
        file.write_bytes(content)
        with pytest.raises(pa.ArrowInvalid, match=r"Parquet|thrift"):
            list(parquet_in.batches(file, 10))
    with pytest.raises(pa.ArrowInvalid, match="No such file"):
        parquet_in.columns(tmp_path / "none.parquet")
    damaged = bytearray(whole)
    damaged[200 : len(whole) // 2] = bytes(len(whole) // 2 - 200)
    file.write_bytes(damaged)
    with pytest.raises(pa.ArrowInvalid):
        list(parquet_in.batches(file, 10))


def test_large_rows_come_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "large.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 200, pa.int32()), ["x" * 1_000_000])
    pq.write_table(pa.table({"s": texts}), path, compression="zstd", store_schema=False)
    found = list(parquet_in.batches(path, 4_096))
    assert sum(batch.num_rows for batch in found) == 200
    assert max(batch.nbytes for batch in found) <= parquet_in.PIECE_BYTES
