"""bench: helper. The product's store opened in this process and asked as the peers are, by a call."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pyarrow as pa
import uvloop

from qautlra.app.offline import open_store
from qautlra.base import log
from qautlra.config.load import load
from qautlra.model.query import QueryFormat, QueryRequest


class InProcess:
    """A store of its own directory; nothing of it runs between two questions."""

    def __init__(self, data: Path) -> None:
        sets = [f"store.data_dir={data}", "store.hot_bytes=1MiB"]
        log.configure("warning")
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._opened = contextlib.AsyncExitStack()
        entering = self._opened.enter_async_context(open_store(load(env={}, sets=sets, discover=False)))
        self._store = self._runner.run(entering).store

    def point(self, symbol: str, start: int, stop: int) -> pa.Table:
        """Return the first 1,000 rows of an instrument from a moment on, through an Arrow stream."""
        asked = QueryRequest(
            stream="futures_market",
            start_time=start,
            end_time=stop,
            limit=1_000,
            filter=f"instrument='{symbol}'",
            format=QueryFormat.ARROW,
        )
        answers = []

        async def ask() -> None:  # what a task returns, asyncio writes out as a text when it ends
            answers.append((await self._store.query.run(asked)).chunks)

        self._runner.run(ask())
        return pa.ipc.open_stream(answers[0]).read_all()

    def close(self) -> None:
        """Close the store."""
        self._runner.run(self._opened.aclose())
        self._runner.close()
