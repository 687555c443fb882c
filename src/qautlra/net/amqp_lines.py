"""What of an account's RabbitMQ queue is on its way: deliveries, and what they wait for."""

from __future__ import annotations

import asyncio
from collections import deque

from qautlra.link.bus import Delivery

RETRY_S = 0.02


class Entry:
    """A delivery on its way to its acknowledgement: its journal record, or its order at a broker outside."""

    __slots__ = ("day", "delivery", "lsn", "order_id", "unreadable")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.lsn = 0
        self.order_id = ""
        self.unreadable = ""
        "Why it cannot be read: it is kept before it is acknowledged."
        self.day: int | None = None
        "In which it was sent to a broker outside, None for what was not."


class Line:
    """An account's queue and what of it waits. Bound: the bus's prefetch; RabbitMQ holds the rest."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.held: deque[Entry] = deque()
        "Not executed yet, in the order they came."
        self.is_away = False
        "Whether they wait for a broker outside."
        self.unshown: list[Entry] = []
        "Sent to a broker outside that has not shown them."
        self.timer: asyncio.TimerHandle | None = None
        self.wait_s = RETRY_S

    @property
    def waiting_count(self) -> int:
        """Deliveries that wait for something else than the journal."""
        return len(self.held) + len(self.unshown)

    @property
    def held_bytes(self) -> int:
        """Bodies of those."""
        return sum(len(entry.delivery.body) for part in (self.held, self.unshown) for entry in part)

    def forget(self) -> None:
        """What waits comes again."""
        self.held.clear()
        self.unshown.clear()
        self.is_away = False
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
