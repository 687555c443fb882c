from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from qautlra.source import files
from qautlra.source.files import TickFile, first_day

TEXT = "InstrumentID,UpdateTime,LastPrice,Volume,Note\nIF2101,10:00:00,5230.2,7,x\nIF2101,10:00:01,,8.0,y\n"


def read(path: Path) -> tuple[list[dict[str, object]], TickFile]:
    file = TickFile(path)
    return [row for batch in file.batches() for row in batch.to_pylist()], file


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_every_form_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(TEXT.encode()))
    elif name.endswith(".parquet"):
        pq.write_table(csv.read_csv(pa.py_buffer(TEXT.encode())), path)
    else:
        path.write_text(TEXT)
    rows, file = read(path)
    assert rows == [
        {"InstrumentID": "IF2101", "UpdateTime": "10:00:00", "LastPrice": 5230.2, "Volume": 7},
        {"InstrumentID": "IF2101", "UpdateTime": "10:00:01", "LastPrice": None, "Volume": 8},
    ]
    assert file.error is None
    assert file.bad_rows == 0


def test_small_chunks_and_several_members_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"IF2101,10:{n // 60:02d}:{n % 60:02d},{5000 + n}.2,{n},x\n" for n in range(3000)]
    lines[1234] = "IF2101,10:20:34,oops,1,x\n"
    lines[2000] = "short\n"
    half = "".join([TEXT.splitlines(keepends=True)[0], *lines[:1500]]).encode()
    path = tmp_path / "two.csv.gz"
    path.write_bytes(gzip.compress(half) + gzip.compress("".join(lines[1500:]).encode()) + b"\0" * 100)
    monkeypatch.setattr(files, "CHUNK_BYTES", 777)
    rows, file = read(path)
    assert len(rows) == 2998
    assert sorted(file.bad_lines) == [1236, 2002]
    assert file.error is None


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK_BYTES", 256)
    path = tmp_path / "long.csv"
    path.write_text(TEXT + "x" * 1000)
    rows, file = read(path)
    assert len(rows) == 2
    assert file.error is not None and "longer than" in str(file.error)


def test_a_wrong_header_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("datetime,price\n1,2\n")
    rows, file = read(path)
    assert rows == []
    assert file.error is not None and "no column InstrumentID, UpdateTime" in str(file.error)


def test_what_is_not_gzip_inside_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.csv.gz"
    packed = bytearray(gzip.compress(TEXT.encode() * 2000))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)
    _, file = read(path)
    assert file.error is not None
    assert str(path) in str(file.error)


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)], ids=["nothing", "nothing packed"])
def test_an_empty_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.csv"
    path.write_bytes(content)
    rows, file = read(path)
    assert rows == []
    assert "empty.csv: empty" in str(file.error)


def test_the_first_day_a_recording_names(tmp_path: Path) -> None:
    """By it `TA109` is of 2021, whatever the machine's year."""
    plain, later, whole = tmp_path / "plain.csv", tmp_path / "later.csv", tmp_path / "whole.parquet"
    plain.write_text(TEXT)
    later.write_text(
        "TradingDay,ActionDay,InstrumentID,UpdateTime\n,,TA109,09:00:00\n,20210802,TA109,09:00:01\n"
    )
    days = pa.array([20210803, 20210804])
    pq.write_table(
        pa.table({"TradingDay": days, "InstrumentID": ["a", "b"], "UpdateTime": ["x", "y"]}), whole
    )
    assert first_day([plain]) == first_day([tmp_path / "none.csv"]) == first_day([]) == 0
    assert first_day([plain, later]) == 20210802
    assert first_day([whole]) == 20210803


def test_the_first_day_is_looked_for_in_the_first_rows_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start does not read a recording of gigabytes."""
    path = tmp_path / "long.csv"
    rows = "".join(f",IF2101,10:00:{n % 60:02d}\n" for n in range(3000))
    path.write_text("TradingDay,InstrumentID,UpdateTime\n" + rows + "20210802,IF2101,10:00:00\n")
    monkeypatch.setattr(files, "CHUNK_BYTES", 777)
    assert first_day([path]) == 0
