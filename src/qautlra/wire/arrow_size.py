"""How large an Arrow body becomes when it is unpacked, told from its messages before any is."""

from __future__ import annotations

import struct
from typing import Final

import pyarrow as pa

MAGIC: Final = b"ARROW1\0\0"
_RECORD_BATCH: Final = 3
_DICTIONARY: Final = 2


def unpacked_bytes(body: bytes) -> int:
    """Return the bytes of all buffers of an Arrow stream or file; ArrowInvalid or OSError when it is none."""
    found = 0
    try:
        reader = pa.ipc.MessageReader.open_stream(body[len(MAGIC) :] if body.startswith(MAGIC) else body)
        for message in reader:
            found += _of(message.metadata.to_pybytes(), message.body)
    except (struct.error, IndexError) as error:
        raise pa.ArrowInvalid(f"a message cannot be read: {error}") from None
    return found


def _of(head: bytes, body: pa.Buffer | None) -> int:
    """Return what the buffers of one message take. `head` is a flatbuffer of Arrow's Message."""
    (at,) = struct.unpack_from("<I", head)
    kind = _field(head, at, 1)
    kind = head[kind] if kind else 0
    if body is None or kind not in (_RECORD_BATCH, _DICTIONARY):
        return 0
    at = _follow(head, _field(head, at, 2))
    if kind == _DICTIONARY:
        at = _follow(head, _field(head, at, 1))
    buffers = _follow(head, _field(head, at, 2))
    is_packed = bool(_field(head, at, 3))
    (count,) = struct.unpack_from("<I", head, buffers)
    size = 0
    for offset, length in struct.iter_unpack("<qq", head[buffers + 4 : buffers + 4 + 16 * count]):
        if is_packed and length >= 8:  # a packed buffer begins with its size unpacked, -1: it is not
            (whole,) = struct.unpack_from("<q", body, offset)
            length = whole if whole >= 0 else length
        size += max(length, 0)
    return size


def _field(head: bytes, table: int, number: int) -> int:
    """Return where a field of a table is, 0 when it is left out."""
    (back,) = struct.unpack_from("<i", head, table)
    (size,) = struct.unpack_from("<H", head, table - back)
    if 4 + 2 * number >= size:
        return 0
    (offset,) = struct.unpack_from("<H", head, table - back + 4 + 2 * number)
    return table + offset if offset else 0


def _follow(head: bytes, at: int) -> int:
    if not at:
        raise IndexError("a part is left out")
    (offset,) = struct.unpack_from("<I", head, at)
    return at + int(offset)
