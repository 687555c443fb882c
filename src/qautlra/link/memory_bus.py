"""The embedded twin of a broker: exchanges, queues, prefetch, acknowledgement and redelivery, in process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from qautlra.base.errors import LinkError
from qautlra.link.bus import Delivery, Exchange, Message, OnDelivery, Queue

QUEUE_COUNT = 10_000


class _Line:
    """One queue: messages that wait, and its consumer."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.waiting: deque[tuple[bytes, str, bool]] = deque()
        self.on_delivery: OnDelivery | None = None
        self.unacked_count = 0


class MemoryBus:
    """As `bus.Bus`. A full queue makes its publishers wait; one with a bound of its own drops the oldest."""

    def __init__(self, *, prefetch_count: int = 256, queue_count: int = QUEUE_COUNT) -> None:
        self.prefetch_count = prefetch_count
        self._queue_count = queue_count
        self._exchanges: dict[str, Exchange] = {}
        self._lines: dict[str, _Line] = {}
        self._unacked: dict[int, tuple[_Line, tuple[bytes, str, bool]]] = {}
        self._epoch = 1
        self._tag = 0
        self._room = asyncio.Event()
        self._pumping = False
        self._running = False
        self.state = "stopped"
        self.error = ""
        self.refused_count = 0
        self.is_blocked = False
        self.published_count = 0
        self.delivered_count = 0
        self.redelivered_count = 0

    @property
    def is_connected(self) -> bool:
        """Whether deliveries can arrive now."""
        return self._running

    @property
    def unacked_count(self) -> int:
        """Deliveries that wait for their acknowledgement."""
        return len(self._unacked)

    def declare(self, *exchanges: Exchange) -> None:
        """Make exchanges; LinkError when there is one of the name and another kind."""
        for exchange in exchanges:
            there = self._exchanges.setdefault(exchange.name, exchange)
            if there != exchange:
                raise LinkError(f"exchange {exchange.name!r} exists with another kind or other flags (406)")

    def serve(self, queue: Queue, on_delivery: OnDelivery | None) -> None:
        """Keep the queue; with `on_delivery`, consume it."""
        line = self._lines.setdefault(queue.name, _Line(queue))
        line.queue = queue
        if on_delivery is not None:
            line.on_delivery = on_delivery
        self._pump_soon()

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge these and no others; those of a connection that is gone come again all the same."""
        for delivery in deliveries:
            found = self._unacked.pop(delivery.tag, None) if delivery.epoch == self._epoch else None
            if found is not None:
                found[0].unacked_count -= 1
        self._pump_soon()

    async def publish(self, messages: Sequence[Message]) -> None:
        """Put each into every queue it is bound to; waits for room."""
        for message in messages:
            for line in self._routes(message):
                while not line.queue.length_count and len(line.waiting) >= self._queue_count:
                    self._room.clear()
                    await self._room.wait()
                line.waiting.append((message.body, message.message_id, False))
                if line.queue.length_count and len(line.waiting) > line.queue.length_count:
                    line.waiting.popleft()
            self.published_count += 1
        self._pump_soon()

    async def keep(self, messages: Sequence[Message]) -> list[bool]:
        """Put each into its queue, and tell of each whether there is one."""
        await self.publish(messages)
        return [bool(self._routes(message)) for message in messages]

    def cut(self) -> None:
        """Lose the connection: what was not acknowledged is delivered again."""
        self._epoch += 1
        while self._unacked:
            _, (line, (body, message_id, _)) = self._unacked.popitem()
            line.unacked_count -= 1
            line.waiting.appendleft((body, message_id, True))
        self._pump_soon()

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._running, self.state = True, "connected"
        try:
            self._pump_soon()
            await asyncio.get_running_loop().create_future()
        finally:
            self._running, self.state = False, "stopped"

    def health(self) -> dict[str, Any]:
        """Return what went through."""
        return {
            "state": self.state,
            "broker": "in this process",
            "delivered": self.delivered_count,
            "redelivered": self.redelivered_count,
            "unacked": len(self._unacked),
            "published": self.published_count,
        }

    def _routes(self, message: Message) -> list[_Line]:
        if not message.exchange:
            line = self._lines.get(message.key)
            return [line] if line is not None else []
        exchange = self._exchanges.get(message.exchange)
        if exchange is None:
            raise LinkError(f"no exchange {message.exchange!r} (404)")
        return [
            line
            for line in self._lines.values()
            if any(
                name == exchange.name and _matches(exchange.kind, key, message.key)
                for name, key in line.queue.bindings
            )
        ]

    def _pump_soon(self) -> None:
        if self._running and not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        for line in self._lines.values():
            while self._running and line.on_delivery and line.waiting and self._has_room(line):
                item = line.waiting.popleft()
                self._tag += 1
                if line.queue.needs_ack:
                    self._unacked[self._tag] = line, item
                    line.unacked_count += 1
                self.delivered_count += 1
                self.redelivered_count += item[2]
                body, message_id, again = item
                line.on_delivery(Delivery(line.queue.name, body, self._tag, self._epoch, again, message_id))
        self._room.set()

    def _has_room(self, line: _Line) -> bool:
        return not line.queue.needs_ack or line.unacked_count < self.prefetch_count


def _matches(kind: str, pattern: str, key: str) -> bool:
    if kind == "fanout":
        return True
    if kind == "direct":
        return pattern == key
    return _topic(pattern.split("."), key.split("."))


def _topic(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_topic(pattern[1:], words[n:]) for n in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and _topic(pattern[1:], words[1:])
