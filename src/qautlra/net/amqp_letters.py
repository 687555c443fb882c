"""Messages of the order path's RabbitMQ door that nobody can read: kept where a person finds them, then done.

What the broker does not take waits here unacknowledged, with what is behind it of its account beyond the
prefetch, and is tried again ever more seldom. Nothing else waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from qautlra.base.errors import LinkError
from qautlra.base.log import Seldom, get_logger
from qautlra.link.bus import Bus, Message, Queue
from qautlra.net.amqp_lines import Entry

DEAD_QUEUE = "qautlra.dead"
DEAD_COUNT = 10_000
BATCH_COUNT = 256
RETRY_S, RETRY_MAX_S = 0.2, 20.0
_log = get_logger("net")


class Letters:
    """The door's. `done` is called with each that is kept. Bound: the bus's prefetch of each queue."""

    def __init__(self, bus: Bus, done: Callable[[Entry], None]) -> None:
        self._bus = bus
        self._done = done
        self._waiting: deque[tuple[Entry, Message]] = deque()
        self._under_way: list[tuple[Entry, Message]] = []
        self._generation = 0
        self._came = asyncio.Event()
        self._seldom = Seldom()
        self.refused_count = 0
        self.error = ""
        "Why those that wait are not kept."
        bus.serve(Queue(DEAD_QUEUE, length_count=DEAD_COUNT, one_consumer=False), None)

    @property
    def waiting_count(self) -> int:
        """Letters not kept yet."""
        return len(self._waiting) + len(self._under_way)

    @property
    def held_bytes(self) -> int:
        """Bodies of those that wait."""
        return sum(len(letter.body) for part in (self._waiting, self._under_way) for _, letter in part)

    def put(self, entry: Entry, reason: str) -> None:
        """Keep the message of a delivery, with the reason."""
        delivery = entry.delivery
        letter = Message("", DEAD_QUEUE, delivery.body, delivery.message_id, reason)
        self._waiting.append((entry, letter))
        self._came.set()

    def forget(self) -> None:
        """Another connection: what is not kept comes again by it, and is read again."""
        self._generation += 1
        self._waiting.clear()
        self._under_way = []
        self.error = ""

    async def run(self) -> None:
        """Keep what comes, until cancelled."""
        wait_s = RETRY_S
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH_COUNT, len(self._waiting)))]
                if await self._keep(batch):
                    wait_s = RETRY_S
                else:
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, RETRY_MAX_S)

    async def _keep(self, batch: list[tuple[Entry, Message]]) -> bool:
        """Tell whether all are kept; those that are not have their place at the head again."""
        generation, self._under_way = self._generation, batch
        try:
            kept = await self._bus.keep([letter for _, letter in batch])
            error = f"{DEAD_QUEUE} does not take what cannot be read: it is not acknowledged"
        except LinkError as reason:
            kept, error = [False] * len(batch), reason.message
        if generation != self._generation:
            return True
        self._under_way = []
        left = [item for item, is_kept in zip(batch, kept, strict=True) if not is_kept]
        for (entry, _), is_kept in zip(batch, kept, strict=True):
            if is_kept:
                self._done(entry)
        self._waiting.extendleft(reversed(left))
        self.error = error if left else ""
        self.refused_count += len(left)
        if left and (times := self._seldom.due("refused")):
            _log.error("dead_letters_refused", queue=DEAD_QUEUE, waiting=len(left), error=error, times=times)
        return not left
