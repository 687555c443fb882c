"""Names of streams and the paths made of them; nothing a user typed becomes a path without passing here."""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from urllib.parse import quote

from qautlra.base.errors import InputError, StorageError

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


def path_part(value: str) -> str:
    """Return a value as one part of a path: nothing in it separates, climbs or hides."""
    text = quote(value[:64], safe="")
    return text.replace(".", "%2E") if not text.strip(".") or text.startswith(".") else text


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
