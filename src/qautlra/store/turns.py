"""Whose statement runs next: everybody's in turn, so that one who asks much keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from qautlra.base.errors import LimitError

KNOWN_COUNT = 1_024


class Turns:
    """At most `slots` run, of one asker one less where there are several; others wait in line by asker.

    Who had a turn longest ago is next. `each_count` of one asker may wait, `all_count` of all together; when
    those are reached the newest of whoever has most gives way to one who has less. Loop only.
    """

    def __init__(self, slots: int, each_count: int, all_count: int) -> None:
        self._slots = slots
        self._slots_each = max(slots - 1, 1)
        self._each_count = each_count
        self._all_count = all_count
        self._running: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._served: OrderedDict[str, int] = OrderedDict()
        self._number = 0
        self.refused = 0

    @property
    def running(self) -> int:
        """How many run."""
        return sum(self._running.values())

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def askers(self) -> int:
        """How many have something running or waiting."""
        return len(self._running.keys() | self._waiting.keys())

    async def take(self, who: str) -> None:
        """Wait for a turn; LimitError 429 when `who` has too many waiting, 503 when all together have."""
        if self._may_run(who) and who not in self._waiting:
            self._begin(who)
            return
        self._make_place(who)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        try:
            await turn
        except BaseException:
            line = self._waiting.get(who)
            if line is not None and turn in line:
                line.remove(turn)
                if not line:
                    del self._waiting[who]
            elif turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give(who)  # it came in the moment it was given up
            raise

    def give(self, who: str) -> None:
        """End a turn; who is next begins."""
        self._running[who] -= 1
        if not self._running[who]:
            del self._running[who]
        while able := [name for name in self._waiting if self._may_run(name)]:
            name = min(able, key=lambda one: (self._running.get(one, 0), self._served.get(one, 0)))
            line = self._waiting[name]
            turn = line.popleft()
            if not line:
                del self._waiting[name]
            if not turn.done():
                self._begin(name)
                turn.set_result(None)

    def _may_run(self, who: str) -> bool:
        return self.running < self._slots and self._running.get(who, 0) < self._slots_each

    def _begin(self, who: str) -> None:
        self._number += 1
        self._running[who] = self._running.get(who, 0) + 1
        self._served[who] = self._number
        self._served.move_to_end(who)
        if len(self._served) > KNOWN_COUNT:
            self._served.popitem(last=False)

    def _make_place(self, who: str) -> None:
        mine = len(self._waiting.get(who, ()))
        if mine >= self._each_count:
            self.refused += 1
            raise LimitError(f"{mine} statements of yours are waiting already", retry_after_s=1)
        if self.waiting < self._all_count:
            return
        self.refused += 1
        busy = LimitError(f"{self.waiting} statements are waiting already", status=503, retry_after_s=1)
        line = max(self._waiting.values(), key=len, default=deque())
        if len(line) <= mine + 1:
            raise busy
        turn = line.pop()
        if not turn.done():
            turn.set_exception(busy)
