"""An answer of the store: whole, or in pieces as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

# What a piece of an answer is; a view keeps what it shows alive.
Chunk = bytes | memoryview


@dataclass(slots=True)
class QueryResult:
    """An answer. `chunks` is whole, or an iterator of chunks to be sent as they come (close it when done).

    `rows` is None until all are counted; `truncated` says that the server's cap, not the caller's, ended it.
    `clock` names the clock `now` was read from.
    """

    content_type: str
    clock: str
    chunks: bytes | AsyncIterator[Chunk] = b""
    rows: int | None = None
    elapsed_s: float = 0.0
    truncated: bool = False
