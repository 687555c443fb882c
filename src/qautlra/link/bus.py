"""Words of a message bus: exchanges, durable queues, deliveries that are acknowledged, messages out.

`amqp.AmqpBus` speaks to a broker, `memory_bus.MemoryBus` is the same inside this process. One loop owns it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

ExchangeKind = Literal["direct", "fanout", "topic"]


class Exchange(NamedTuple):
    """An exchange as its users declare it: one of another kind or with other flags is another exchange."""

    name: str
    kind: ExchangeKind = "direct"
    durable: bool = False
    auto_delete: bool = False


class Queue(NamedTuple):
    """A durable queue of ours, and the (exchange, key) pairs it is bound by."""

    name: str
    bindings: tuple[tuple[str, str], ...] = ()
    length_count: int = 0
    "Bound; the oldest go first. 0: the broker's own."
    one_consumer: bool = True
    "Only one consumer at a time is given messages, the others wait to take over."
    needs_ack: bool = True
    "Without it a message is done when it is delivered, and no bound holds deliveries back."


class Delivery(NamedTuple):
    """A message in; `epoch` is the connection's number: an older one can no longer be acknowledged."""

    queue: str
    body: bytes
    tag: int
    epoch: int
    redelivered: bool = False
    message_id: str = ""


class Message(NamedTuple):
    """A message out, transient; `reason` says why a letter is dead: that one goes by `keep`, to a queue."""

    exchange: str
    key: str
    body: bytes
    message_id: str = ""
    reason: str = ""


OnDelivery = Callable[[Delivery], None]


class Bus(Protocol):
    """What doors know of a broker."""

    state: str
    error: str
    prefetch_count: int
    "Most deliveries of one queue that wait for their acknowledgement; the broker holds the rest."

    @property
    def is_connected(self) -> bool:
        """Whether deliveries can arrive now."""

    @property
    def refused_count(self) -> int:
        """Exchanges and queues of ours that the broker does not let us have: they alone are missing."""

    @property
    def is_blocked(self) -> bool:
        """Whether the broker takes no messages now: what is published waits."""

    def declare(self, *exchanges: Exchange) -> None:
        """Say which exchanges there must be; before `run`."""

    def serve(self, queue: Queue, on_delivery: OnDelivery | None) -> None:
        """Keep the queue; with `on_delivery`, consume it, now and on every connection to come."""

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge these and no others; those of a connection that is gone come again all the same."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when the broker has them in this order; LinkError when that is not known."""

    async def keep(self, messages: Sequence[Message]) -> list[bool]:
        """Return of each, with its `reason`, whether its queue has it; LinkError when that is not known."""

    async def run(self) -> None:
        """Stay connected until cancelled."""

    def health(self) -> dict[str, Any]:
        """Return what a person wants to know."""
