"""The brain of a DIFF quote client: frames in, frames and patches out. No socket, no clock.

A server is taken for one that answers peeks until it shows that a peek only lists subscriptions: then it
pushes, and is not peeked again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qautlra.wire import diff_client as wire

LIST_BYTES = 60_000
COMPLAINTS_KEPT_COUNT = 5


def fit(names: Iterable[str], max_names: int) -> list[str]:
    """Return the names that fit into one subscription, in order, each once."""
    found: list[str] = []
    size_bytes = 0
    for name in dict.fromkeys(names):
        size_bytes += len(name) + 1
        if len(found) >= max_names or size_bytes > LIST_BYTES:
            break
        found.append(name)
    return found


class Conversation:
    """What one client says to one server, over any number of connections."""

    def __init__(self, max_names: int = 5000) -> None:
        self._max_names = max_names
        self._names: list[str] = []
        self._connected = False
        self._outstanding = False
        self.pushes = False
        "Whether the server sends without being peeked."
        self.left_out_count = 0
        self.frames_count = 0
        self.bad_frames_count = 0
        self.complaints: list[str] = []

    @property
    def names(self) -> list[str]:
        """What is subscribed to, as it is spelled to the server."""
        return self._names

    def opened(self) -> list[str]:
        """Begin on a new connection: ask for everything again. The server's manner is learned anew."""
        self._connected = True
        self.pushes = False
        self._outstanding = True
        return [*([wire.subscribe(self._names)] if self._names else []), wire.PEEK]

    def closed(self) -> None:
        """The connection is gone; nothing is sent until the next."""
        self._connected = False

    def want(self, names: Iterable[str]) -> list[str]:
        """Replace the set; return what to send. Names past the bounds are left out and counted."""
        asked = list(dict.fromkeys(names))
        fitting = fit(asked, self._max_names)
        self.left_out_count = len(asked) - len(fitting)
        if fitting == self._names:
            return []
        self._names = fitting
        return [wire.subscribe(fitting)] if self._connected else []

    def receive(self, message: str | bytes) -> tuple[list[str], list[Any]]:
        """Take one frame; return what to send and the quote patches it brought, in order."""
        self.frames_count += 1
        try:
            frame = wire.read(message)
        except ValueError:
            self.bad_frames_count += 1
            return [], []
        if isinstance(frame, wire.Patches):
            return ([] if self.pushes else [wire.PEEK]), frame.quotes
        if isinstance(frame, wire.SubscriptionList):
            self.pushes = True
        elif isinstance(frame, wire.Complaint):
            self.complaints = [*self.complaints, frame.text[:200]][-COMPLAINTS_KEPT_COUNT:]
        return [], []
