"""Orders and cancels on their way to a CTP front: what flow control holds back goes out later, in its order.

Each request ends in one of two ways, and its owner is told which: it went out, or it never will.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final
from weakref import WeakSet

from qautlra.base import metrics
from qautlra.link.ctp_session import FLOW_CONTROL
from qautlra.wire.ctp_frames import Kind

HELD_COUNT: Final = 1000


class Outbox:
    """Owner: the broker. Bound: HELD_COUNT requests held back; when it is full, new ones are refused.

    `send` returns CTP's 0, -1, -2 or -3; `ended` is told kind and order number, and whether it was sent.
    """

    def __init__(self, send: Callable[[Kind, bytes], int], ended: Callable[[Kind, int, bool], None]) -> None:
        self._send = send
        self._ended = ended
        self._held: deque[tuple[Kind, bytes, int]] = deque()
        _outboxes.add(self)

    def __len__(self) -> int:
        return len(self._held)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is taken."""
        return len(self._held) >= HELD_COUNT

    def put(self, kind: Kind, record: bytes, number: int) -> bool:
        """Send a request or hold it behind those before it; False when it can be neither."""
        code = FLOW_CONTROL[0] if self._held else self._send(kind, record)
        if code in FLOW_CONTROL and not self.is_full:
            self._held.append((kind, record, number))
            return True
        self._ended(kind, number, code == 0)
        return code == 0

    def flush(self) -> None:
        """Send what is held, as far as the front takes it."""
        while self._held:
            kind, record, number = self._held[0]
            code = self._send(kind, record)
            if code in FLOW_CONTROL:
                return
            self._held.popleft()
            self._ended(kind, number, code == 0)

    def drop(self) -> None:
        """The link is gone: nothing that is held will be sent."""
        held, self._held = self._held, deque()
        for kind, _, number in held:
            self._ended(kind, number, False)


_outboxes: WeakSet[Outbox] = WeakSet()
metrics.bound(
    "trade_ctp_held", lambda: max((len(one) for one in _outboxes), default=0), HELD_COUNT, when_full="refuse"
)
