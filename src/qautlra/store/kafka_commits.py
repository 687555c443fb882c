"""Commits of a Kafka reading, made while more is read: one under way, and the newest offsets waiting.

Who adds an offset has made all before it durable, and noted it; one that is never told costs reading again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from qautlra.link.kafka import Place

CLOSE_S: Final = 2.0


class Commits:
    """Of one connection. What waits is one offset for each partition, so a slow broker holds nothing up."""

    def __init__(
        self, commit: Callable[[Mapping[Place, int]], Awaitable[None]], told: Callable[[], None]
    ) -> None:
        self._commit = commit
        self._told = told
        self._waiting: dict[Place, int] = {}
        self._work: asyncio.Task[None] | None = None

    def add(self, place: Place, offset: int) -> None:
        """Commit an offset; raises what an earlier commit ended with."""
        self.check()
        self._waiting[place] = offset
        if self._work is None:
            self._work = asyncio.get_running_loop().create_task(self._tell(), name="kafka.commit")

    def check(self) -> None:
        """Raise what a commit has ended with."""
        if self._work is not None and self._work.done():
            work, self._work = self._work, None
            work.result()

    async def settle(self) -> None:
        """Return when nothing is under way or waits; raises what a commit ended with."""
        if self._work is not None:
            await asyncio.wait((self._work,))
            self.check()

    async def close(self) -> None:
        """Let what is under way end, for CLOSE_S; what is not told by then is read again, and known."""
        work, self._work = self._work, None
        if work is not None:
            try:
                await asyncio.wait((work,), timeout=CLOSE_S)
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def _tell(self) -> None:
        while self._waiting:
            offsets, self._waiting = self._waiting, {}
            await self._commit(offsets)
            self._told()
