"""One connection as the feed service sees it: where its bytes go, and how it behaves."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from qautlra._core.feed import Outlet
from qautlra.feed.bucket import Bucket
from qautlra.feed.deflate import Follower, Terms
from qautlra.feed.sessions import Session

MESSAGE_RATE = 500.0  # tokens per second and session; a short message (a peek) costs 1/20, others by size
MESSAGE_BURST = 1000.0
SHORT_MESSAGE_CHARS = 32
SHORT_MESSAGE_COST = 0.05
FLOOD_CLOSE_S = 3.0
FLOOD_CALM_S = 1.0


def cost_of(size_chars: int) -> float:
    """Return the tokens a message of this size costs."""
    return SHORT_MESSAGE_COST if size_chars <= SHORT_MESSAGE_CHARS else 1.0 + size_chars / 1024


class Flood(Enum):
    """What to do about one message too many."""

    DROP = "drop"
    TELL = "tell"
    CLOSE = "close"


class Sink(Protocol):
    """Where a client's bytes go; none of its methods waits or raises."""

    @property
    def outlet(self) -> Outlet | None:
        """The way around `write` for the hub's own frames, None where there is none."""

    @property
    def deflate(self) -> Terms | None:
        """How the client wants messages compressed, None for not at all."""

    def write(self, frames: bytes) -> None:
        """Queue ready frames; a closing connection drops them."""

    def buffered(self) -> int:
        """Return how many bytes wait to be sent."""

    def ping(self) -> None:
        """Send a protocol ping."""

    def hold(self, held: bool) -> None:
        """Stop or go on reading what the client sends."""

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and end the connection soon, whether or not the client answers."""


class Client:
    """One connection: its session, its socket, and how it behaves."""

    __slots__ = (
        "bucket",
        "closing",
        "deflate",
        "flood_last",
        "flood_since",
        "flood_told",
        "heard",
        "pinged",
        "revision",
        "session",
        "sink",
        "slow_since",
        "waiting",
    )

    def __init__(self, session: Session, sink: Sink, now: float) -> None:
        self.session = session
        self.sink = sink
        self.heard = now
        self.pinged = now
        self.bucket = Bucket(MESSAGE_RATE, MESSAGE_BURST, now)
        self.flood_since = 0.0
        self.flood_told = 0
        self.flood_last = -FLOOD_CALM_S
        self.slow_since: float | None = None
        self.revision = 0
        self.waiting: set[str] = set()
        self.closing = False
        self.deflate = Follower(sink.deflate) if sink.deflate is not None else None

    def flooded(self, now: float) -> Flood:
        """Count one message too many: told at first and each second, closed after FLOOD_CLOSE_S of it."""
        if now - self.flood_last >= FLOOD_CALM_S:
            self.flood_since = now
            self.flood_told = 0
        self.flood_last = now
        lasted = now - self.flood_since
        if lasted >= FLOOD_CLOSE_S:
            return Flood.CLOSE
        if lasted < self.flood_told:
            return Flood.DROP
        self.flood_told += 1
        return Flood.TELL
