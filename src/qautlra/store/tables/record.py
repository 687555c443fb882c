"""Rows of a user's stream as one record of the log.

u16 length of the name, u32 rows, the name, an Arrow stream.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from qautlra.base import log
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import InputError, StorageError

if TYPE_CHECKING:
    from qautlra._core.journal import Journal

ROWS_RECORD: Final = 16
ROWS_BYTES: Final = 6 << 20
"""Of rows in one record: 8 MiB are the log's bound, and every column costs some of it."""
NOTHING_RECORD: Final = 17
COUNT_S: Final = 60.0
FULL_S: Final = 0.001
_log = log.get_logger("store")
_HEAD: Final = struct.Struct("<HI")


def count_up(journal: Journal, lsn: int) -> None:
    """Let a log that was removed go on behind the rows that are in files: their numbers are not given again.

    Blocking. StorageError when it takes nothing.
    """
    if journal.head_lsn >= lsn:
        return
    _log.warning("log_restarted", log_lsn=journal.head_lsn, filed_lsn=lsn)
    give_up_s = monotonic_s() + COUNT_S
    while journal.head_lsn < lsn:
        if journal.append(NOTHING_RECORD, b""):
            continue
        if journal.failed or monotonic_s() > give_up_s:
            raise StorageError(f"the log of streams cannot be written: {journal.error or 'the disk is slow'}")
        time.sleep(FULL_S)
    journal.roll()


def encode(name: str, table: pa.Table) -> bytes:
    """Return the payload of a record."""
    spelled = name.encode()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return b"".join((_HEAD.pack(len(spelled), table.num_rows), spelled, sink.getvalue()))


def head(payload: bytes) -> tuple[str, int]:
    """Return stream and number of rows of a payload."""
    size, rows = _HEAD.unpack_from(payload)
    return payload[_HEAD.size : _HEAD.size + size].decode(), rows


def decode(payload: bytes) -> pa.Table:
    """Return the rows of a payload."""
    size, _ = _HEAD.unpack_from(payload)
    return pa.ipc.open_stream(pa.py_buffer(payload)[_HEAD.size + size :]).read_all()


def split(table: pa.Table) -> list[pa.Table]:
    """Return the table in pieces that fit a record each; InputError 413 when a row is too large for one."""
    if table.nbytes <= ROWS_BYTES:
        return [table] if table.num_rows else []
    if table.num_rows == 1:
        raise InputError(
            f"an event of {table.nbytes} bytes is larger than {ROWS_BYTES >> 20} MiB", key="body", status=413
        )
    half = table.num_rows // 2
    return split(table.slice(0, half)) + split(table.slice(half))
