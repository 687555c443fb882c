"""Answers about a data directory that another process writes, or nobody: all from outside, holding nothing.

Any number of processes may do so at once; they see what the writer's files and log say at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from qautlra.base.clock import Clock
from qautlra.config.tree import Store
from qautlra.model.query import CountsRequest, QueryRequest, SqlRequest
from qautlra.store.answer import QueryResult
from qautlra.store.names import TABLES
from qautlra.store.plan import Planner
from qautlra.store.schema import STREAMS
from qautlra.store.sqldoor import SqlDoor
from qautlra.store.sqlproc import SqlProcess
from qautlra.store.tables.definition import DEFINITIONS, Book, Definition


class FollowedBook(Book):
    """The definitions of streams as they are on the disk at every question."""

    def __contains__(self, name: str) -> bool:
        self._reload()
        return super().__contains__(name)

    def get(self, name: str) -> Definition:
        """Return a definition as it is now; NotFoundError when there is none."""
        self._reload()
        return super().get(name)

    def names(self) -> list[str]:
        """Return the names there are now, in order."""
        self._reload()
        return super().names()

    def _reload(self) -> None:
        found = (path.stem for path in self._directory.glob("*.json"))
        self._names = {name.lower(): name for name in found}
        self._cache.clear()


class FollowerQuery:
    """The query door of a process that only answers."""

    def __init__(
        self, settings: Store, data_dir: Path, clock: Clock, canonical: Callable[[str], str | None]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._canonical = canonical
        self.process = SqlProcess(data_dir, settings.query_threads, settings.query_memory_bytes)
        self.book = FollowedBook(data_dir / TABLES / DEFINITIONS, settings.schema.cache_size)
        self._door = SqlDoor(
            self.process,
            clock,
            lambda: 0,
            self.book,
            timeout_s=settings.query_timeout_s,
            cap_rows=settings.query_rows,
        )
        self._planner = Planner(canonical, self._door.names)
        self.queries = 0

    def begin(self, request: QueryRequest | SqlRequest) -> Coroutine[Any, Any, QueryResult]:
        """Return what has to be awaited for an answer: memory has none here."""
        return self.run(request)

    async def run(self, request: QueryRequest | SqlRequest) -> QueryResult:
        """Answer one request, as `StoreQuery.run`."""
        self.queries += 1
        if isinstance(request, SqlRequest):
            return await self._door.run(request)
        if request.stream.lower() not in STREAMS and self._door.knows(request.stream):
            return await self._door.run_table(request, self._canonical)
        plan = self._planner.plan(request, self._clock.now_ns(), self._settings.query_rows)
        if request.verb is not None:
            return await self._door.run_verb(request.verb, plan, request)
        return await self._door.run_plan(plan, request)

    async def counts(self, request: CountsRequest) -> dict[str, Any]:
        """Return how many rows there are in each part of a range."""
        self.queries += 1
        return await self._door.counts(request)
