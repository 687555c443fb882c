"""How large an Arrow body becomes when it is unpacked, told from its messages before any is."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import pyarrow as pa

MAGIC: Final = b"ARROW1\0\0"
_RECORD_BATCH: Final = 3
_DICTIONARY: Final = 2
_DICTIONARIES, _BATCHES = 2, 3  # fields of a footer


def unpacked_bytes(body: bytes | pa.Buffer) -> Iterator[int]:
    """Yield the bytes of the buffers of each message; ArrowInvalid or OSError when it is no Arrow.

    A file is what its footer says, wherever that points to; what begins with MAGIC is one.
    """
    whole = pa.py_buffer(body)
    try:
        if whole[: len(MAGIC)].to_pybytes() == MAGIC:
            messages = map(pa.ipc.read_message, _blocks(whole))
        else:
            messages = iter(pa.ipc.MessageReader.open_stream(whole))
        for message in messages:
            yield _of(message.metadata.to_pybytes(), message.body)
    except (struct.error, IndexError) as error:
        raise pa.ArrowInvalid(f"a message cannot be read: {error}") from None


def _blocks(whole: pa.Buffer) -> Iterator[pa.Buffer]:
    """Yield the messages the footer of a file names."""
    end = whole.size - len(MAGIC.rstrip(b"\0")) - 4
    (size,) = struct.unpack("<i", whole[max(end, 0) : max(end, 0) + 4].to_pybytes())
    if not 0 < size <= end:
        raise pa.ArrowInvalid("the file has no footer")
    footer = whole[end - size : end].to_pybytes()
    (at,) = struct.unpack_from("<I", footer)
    for number in (_DICTIONARIES, _BATCHES):
        if not (field := _field(footer, at, number)):
            continue
        blocks = _follow(footer, field)
        (count,) = struct.unpack_from("<I", footer, blocks)
        for offset, head, body in struct.iter_unpack("<qi4xq", footer[blocks + 4 : blocks + 4 + 24 * count]):
            if min(offset, head, body) < 0 or offset + head + body > whole.size:
                raise pa.ArrowInvalid("the footer points beyond the file")
            yield whole[offset : offset + head + body]


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
