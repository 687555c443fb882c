"""Names of streams and the paths made of them; nothing a user typed becomes a path without passing here."""

from __future__ import annotations

import hashlib
import os
import re
from datetime import date
from pathlib import Path
from urllib.parse import quote

from qautlra.base.errors import InputError, StorageError

PART_BYTES = 200
HEAD_BYTES = 128
TABLES = "tables"
"""Below the data directory: users' streams."""
NULL_VALUE = "__HIVE_DEFAULT_PARTITION__"
STREAM_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,63}")


def check_stream_name(name: str) -> str:
    """Return `name` when it may name a stream; InputError otherwise, without asking whether it exists."""
    if not STREAM_PATTERN.fullmatch(name):
        raise InputError(
            f"stream {name[:80]!r} is not a stream name: a letter a-z, then up to 63 of a-z, 0-9 and _",
            key="stream",
        )
    return name


def partition_dir(data_dir: Path, stream: str, day: date) -> Path:
    """Return `<data_dir>/stream=<stream>/date=<day>`, inside `data_dir` by construction and by check."""
    return inside(data_dir, data_dir / f"stream={check_stream_name(stream)}" / f"date={day.isoformat()}")


def path_part(field: str, value: object) -> str:
    """Return `field=value` as one part of a path: nothing in it separates, climbs or hides; None is Hive's.

    Another value has another part; a long one ends with its hash, behind a + that no short one has.
    """
    text = NULL_VALUE if value is None else _quoted(str(value))
    if value is not None and text.startswith("_"):
        text = f"%5F{text[1:]}"
    return _short(f"{_quoted(field)}={text}")


def _quoted(text: str) -> str:
    found = quote(text, safe="")
    return f"%2E{found[1:]}" if found.startswith(".") else found


def _short(part: str) -> str:
    if len(part) <= PART_BYTES:
        return part
    head = part[:HEAD_BYTES].rstrip("%")
    if head[-2:-1] == "%":
        head = head[:-2]
    return f"{head}+{hashlib.sha256(part.encode()).hexdigest()}"


def inside(data_dir: Path, path: Path) -> Path:
    """Return `path` when it lies below `data_dir` and passes no symbolic link; StorageError otherwise."""
    try:
        parts = path.relative_to(data_dir).parts
    except ValueError:
        raise StorageError(f"{path} is outside the data directory {data_dir}", retryable=False) from None
    walked = data_dir
    for part in parts:
        if part in ("..", ".", "") or "\0" in part or os.sep in part:
            raise StorageError(f"{path} climbs out of the data directory {data_dir}", retryable=False)
        walked = walked / part
        if walked.is_symlink():
            raise StorageError(f"{walked} is a symbolic link; the data directory holds none", retryable=False)
    return path
