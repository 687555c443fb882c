"""DuckDB in threads of its own: our statements, bound values, named files; locked against everything else.

A statement can be stopped at any moment: by its deadline, or because whoever asked has left.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from qautlra.base.errors import InputError, LimitError, StorageError
from qautlra.base.limits import QUERY_QUEUE_COUNT

HOT = "hot"
# Row groups read at once: an answer of a million rows is decoded by two threads while the loop sends.
READERS_COUNT = 2


@dataclass(slots=True)
class _Job:
    """One statement; `connection` is set while a thread runs it. Guarded by `lock`."""

    sql: str
    values: Sequence[Any]
    hot: pa.Table | None
    then: Callable[[pa.Table], pa.Table] | None
    lock: threading.Lock = field(default_factory=threading.Lock)
    connection: duckdb.DuckDBPyConnection | None = None
    stopped: bool = False

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            if self.connection is not None:
                self.connection.interrupt()


class SqlEngine:
    """Runs `threads` statements at once, one core each; QUERY_QUEUE_COUNT wait, more are refused."""

    def __init__(self, data_dir: Path, threads: int, memory_bytes: int) -> None:
        self._root = duckdb.connect(
            ":memory:", config={"threads": "1", "memory_limit": f"{memory_bytes // 1_000_000}MB"}
        )
        self._memory_bytes = memory_bytes
        directory = str(data_dir).replace("'", "''")
        for setting in (
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "temp_directory = ''",
            "GLOBAL TimeZone = 'UTC'",  # of every connection, not of the first
            "enable_object_cache = true",
            f"allowed_directories = ['{directory}']",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            self._root.execute(f"SET {setting}")
        self._pool = ThreadPoolExecutor(threads, "sql")
        self._readers = ThreadPoolExecutor(max(threads, READERS_COUNT), "read")
        self._local = threading.local()
        self._pending = 0
        self._threads = threads
        self.statements = 0
        self.interrupted = 0

    @property
    def pending(self) -> int:
        """Statements that run or wait."""
        return self._pending

    @property
    def pending_max(self) -> int:
        """How many may."""
        return self._threads + QUERY_QUEUE_COUNT

    async def run(
        self,
        sql: str,
        values: Sequence[Any],
        *,
        timeout_s: float,
        hot: pa.Table | None = None,
        then: Callable[[pa.Table], pa.Table] | None = None,
    ) -> pa.Table:
        """Return the rows of one statement; `hot` is the table of that name in it, `then` has the last word.

        Raises LimitError when too many wait, or it takes longer than `timeout_s` or more memory than allowed.
        """
        if self._pending >= self.pending_max:
            raise LimitError(f"{self._pending} queries are waiting already", retry_after_s=1)
        job = _Job(sql, values, hot, then)
        self._pending += 1
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, self._work, job)
            future.add_done_callback(self._done)
        except BaseException:
            self._pending -= 1
            raise
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(future)
        except TimeoutError:
            raise LimitError(
                f"the query took longer than {timeout_s:g} s; ask for less", status=504
            ) from None
        finally:
            if not future.done():
                self.interrupted += 1
                job.stop()

    async def call(self, work: Callable[[], pa.Table], *, timeout_s: float) -> pa.Table:
        """Return what `work` does in a thread that reads files; bounds and errors are those of `run`."""
        if self._pending >= self.pending_max:
            raise LimitError(f"{self._pending} queries are waiting already", retry_after_s=1)
        self._pending += 1
        future = asyncio.get_running_loop().run_in_executor(self._readers, work)
        future.add_done_callback(self._done)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(future)
        except TimeoutError:
            raise LimitError(
                f"the query took longer than {timeout_s:g} s; ask for less", status=504
            ) from None
        except (OSError, pa.ArrowException) as error:
            raise StorageError(f"the store's files cannot be read: {error}") from None

    def close(self) -> None:
        """End the threads; statements at work are stopped. Blocking, briefly."""
        self._root.interrupt()
        for pool in (self._pool, self._readers):
            pool.shutdown(wait=True, cancel_futures=True)
        self._root.close()

    def _done(self, future: asyncio.Future[pa.Table]) -> None:
        self._pending -= 1
        if not future.cancelled():
            future.exception()  # whoever asked may have left: nobody else looks at it

    def _work(self, job: _Job) -> pa.Table:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._root.cursor()
        with job.lock:
            if job.stopped:
                raise LimitError("the query was given up")
            job.connection = connection
        try:
            table = self._run(connection, job)
            return table if job.then is None else job.then(table)
        finally:
            with job.lock:
                job.connection = None

    def _run(self, connection: duckdb.DuckDBPyConnection, job: _Job) -> pa.Table:
        self.statements += 1
        if job.hot is not None:
            connection.register(HOT, job.hot)
        try:
            return connection.sql(job.sql, params=list(job.values)).to_arrow_table()
        except duckdb.InterruptException:
            raise LimitError("the query was given up") from None
        except duckdb.OutOfMemoryException:
            raise LimitError(
                f"the query needs more than {self._memory_bytes >> 20} MiB; ask for less", status=413
            ) from None
        except duckdb.IOException as error:
            raise StorageError(f"the store's files cannot be read: {error}") from None
        except duckdb.ConversionException as error:
            raise InputError(f"filter: {error}", key="filter") from None
        except duckdb.Error as error:
            raise StorageError(f"the query failed: {error}", retryable=False, status=500) from None
        finally:
            if job.hot is not None:
                connection.unregister(HOT)
