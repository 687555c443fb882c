"""Who is told what, and when: changes of a commit go out in order once the journal has them.

Bound: one set of changes under way, beside it that of a day that ends; what changes meanwhile conflates in
the engine until it is out.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

from qautlra.base.errors import UnavailableError
from qautlra.base.log import get_logger
from qautlra.model.order import Change

_log = get_logger("trade")

Prepare = Callable[[Change], Any]
Callback = Callable[[Change, Any], None]


class _Subscriber(NamedTuple):
    callback: Callback
    prepare: Prepare | None


class Teller:
    """Subscribers and those who wait for a record."""

    def __init__(self) -> None:
        self._subscribers: dict[str | None, dict[int, _Subscriber]] = {}
        self._ids = count(1)
        self._pending: deque[tuple[int, list[tuple[_Subscriber, Change, Any]]]] = deque()
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def pending_count(self) -> int:
        """How many sets of changes wait for the journal."""
        return len(self._pending)

    @property
    def is_waiting(self) -> bool:
        """Whether anything waits for the journal."""
        return bool(self._pending or self._waiters)

    def subscribe(
        self, account_id: str | None, callback: Callback, prepare: Prepare | None = None
    ) -> Callable[[], None]:
        """Add a subscriber; return what ends it."""
        number = next(self._ids)
        self._subscribers.setdefault(account_id, {})[number] = _Subscriber(callback, prepare)

        def end() -> None:
            ours = self._subscribers.get(account_id)
            if ours is not None and ours.pop(number, None) is not None and not ours:
                del self._subscribers[account_id]

        return end

    def wait(self, lsn: int) -> asyncio.Future[None]:
        """Return what is done when record `lsn` is durable."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (lsn, next(self._ids), future))
        return future

    def collect(self, changes: Sequence[Change], lsn: int) -> None:
        """Prepare what subscribers are told of these changes once record `lsn` is durable."""
        everyone = self._subscribers.get(None, {})
        found: list[tuple[_Subscriber, Change, Any]] = []
        for change in changes:
            ours = self._subscribers.get(change.account_id, {})
            for subscriber in (*ours.values(), *everyone.values()):
                prepared = None
                if subscriber.prepare is not None:
                    prepared = _guarded(subscriber.prepare, change)
                found.append((subscriber, change, prepared))
        if found:
            self._pending.append((lsn, found))

    def release(self, durable_lsn: int) -> None:
        """Tell what is durable now."""
        while self._waiters and self._waiters[0][0] <= durable_lsn:
            future = heapq.heappop(self._waiters)[2]
            if not future.done():
                future.set_result(None)
        while self._pending and self._pending[0][0] <= durable_lsn:
            for subscriber, change, prepared in self._pending.popleft()[1]:
                _guarded(subscriber.callback, change, prepared)

    def end(self) -> None:
        """Nothing more becomes durable: whoever waits is told, what waits is dropped."""
        for _, _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(UnavailableError("trading stops"))
        self._waiters.clear()
        self._pending.clear()


def _guarded(call: Callable[..., Any], *arguments: Any) -> Any:
    """One subscriber's failure is its own."""
    try:
        return call(*arguments)
    except Exception as error:
        _log.error("subscriber_failed", error=str(error), exc_info=error)
        return None
