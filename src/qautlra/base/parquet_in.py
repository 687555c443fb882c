"""Parquet files others made, read by a process of its own: half a kilobyte may be gigabytes unpacked.

`batches` is for whoever wants the rows; `python -m qautlra.base.parquet_in` is the process. It has the file
and no more memory than it is given, and ends with the reading.
"""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from qautlra.base.arrow import leave_pandas_out
from qautlra.base.errors import StorageError
from qautlra.base.limits import PARQUET_MEMORY_BYTES

PIECE_BYTES = 32 << 20
"""Of more than one row no batch that is given is larger."""
ENVIRONMENT = ("PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
_ROWS = _SIZE = struct.Struct("<q")
_TOO_MUCH = 3
_REASON_BYTES = 4096


def batches(
    path: Path,
    rows: int,
    choose: Callable[[list[str]], list[str]] | None = None,
    total: Callable[[int], None] = lambda _rows: None,
) -> Generator[pa.RecordBatch, None, None]:
    """Yield the rows of a file in order, at most so many at a time; blocking.

    `choose` is told the names of its columns and returns those that are wanted, all without it; `total` is
    told how many rows there are. ArrowInvalid: the file cannot be read, or not further; StorageError: nothing
    can be started now.
    """
    command = [sys.executable, "-m", "qautlra.base.parquet_in", str(path.absolute()), str(rows)]
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    # Arrow's own allocator reserves what it does not use, which would count.
    environment["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd="/",
        )
    except OSError as error:
        raise StorageError(f"the process that reads Parquet files cannot be started: {error}") from None
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    with process:
        try:
            try:
                (count,) = _ROWS.unpack(process.stdout.read(_ROWS.size))
                schema = pa.ipc.read_schema(pa.py_buffer(_exactly(process.stdout)))
            except (struct.error, EOFError):
                raise _ended(process, path) from None
            total(count)
            wanted = None if choose is None else choose(_names(schema))
            with suppress(BrokenPipeError):  # its end is told below
                process.stdin.write(msgspec.json.encode(wanted))
                process.stdin.close()
            yield from _given(process, path)
        finally:
            process.kill()


def columns(path: Path) -> list[str]:
    """Return the names of a file's columns; errors as `batches`."""
    found: list[str] = []

    def note(names: list[str]) -> list[str]:
        found.extend(names)
        return []

    with closing(batches(path, 1, note)) as rows:
        next(rows, None)
    return found


def _names(schema: pa.Schema) -> list[str]:
    try:
        return list(schema.names)
    except UnicodeDecodeError as error:
        raise pa.ArrowInvalid(f"a name is not UTF-8: {error}") from None


def _given(process: subprocess.Popen[bytes], path: Path) -> Iterator[pa.RecordBatch]:
    try:
        with pa.ipc.open_stream(process.stdout) as reader:
            yield from reader
    except (OSError, pa.ArrowException) as error:
        raise (_ended(process, path) if process.wait() else error) from None
    if process.wait():  # a stream that is cut between two batches has ended, too
        raise _ended(process, path)


def _ended(process: subprocess.Popen[bytes], path: Path) -> pa.ArrowInvalid:
    assert process.stderr is not None
    code, said = process.wait(), process.stderr.read(_REASON_BYTES).decode("utf-8", "replace").strip()
    if code == _TOO_MUCH:
        most = PARQUET_MEMORY_BYTES >> 20
        return pa.ArrowInvalid(f"unpacked it needs more than {most} MiB at a time")
    how = f"signal {-code}" if code < 0 else f"status {code}"
    return pa.ArrowInvalid(
        said if code == 1 and said else f"{path.name}: the process that read it ended ({how}) {said}"
    )


def _exactly(file: IO[bytes]) -> bytes:
    (size,) = _SIZE.unpack(file.read(_SIZE.size))
    found = file.read(size)
    if len(found) < size:
        raise EOFError
    return found


# The process


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if batch.num_rows < 2 or batch.nbytes <= PIECE_BYTES:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _pieces(batch.slice(0, half))
    yield from _pieces(batch.slice(half))


def _some(meta: pq.FileMetaData, rows: int) -> int:
    """Return how many rows to decode at a time: fewer where they are large, as far as the file says so."""
    groups = [meta.row_group(at) for at in range(meta.num_row_groups)]
    most = max((group.total_byte_size / max(group.num_rows, 1) for group in groups), default=0.0)
    return max(min(rows, int(PIECE_BYTES / max(most, 1.0))), 1)


def _read(path: str, rows: int, told: IO[bytes], asked: IO[bytes]) -> None:
    with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
        schema = file.schema_arrow
        said = schema.serialize().to_pybytes()
        told.write(_ROWS.pack(file.metadata.num_rows) + _SIZE.pack(len(said)) + said)
        told.flush()
        wanted = msgspec.json.decode(asked.read(), type=list[str] | None)
        if wanted is not None:
            schema = pa.schema([field for field in schema if field.name in wanted])
        with pa.ipc.new_stream(told, schema) as writer:
            for batch in file.iter_batches(_some(file.metadata, rows), columns=wanted, use_threads=False):
                for piece in _pieces(batch):
                    writer.write_batch(piece)
        told.flush()


def main() -> None:
    """Entry: the arguments are the file and how many rows a batch has."""
    leave_pandas_out()
    pa.set_cpu_count(1)  # the other cores are the server's
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (PARQUET_MEMORY_BYTES, PARQUET_MEMORY_BYTES))
    with suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(b"500")
    code = 0
    try:
        _read(sys.argv[1], int(sys.argv[2]), sys.stdout.buffer, sys.stdin.buffer)
    except (BrokenPipeError, msgspec.DecodeError):
        code = 2  # nobody wants it any more
    except MemoryError:
        code = _TOO_MUCH
    except (OSError, pa.ArrowException, UnicodeError, ValueError) as error:
        sys.stderr.write(str(error)[:_REASON_BYTES])
        sys.stderr.flush()
        code = 1
    os._exit(code)


if __name__ == "__main__":
    main()
