"""What one trade session is still to be told, and when it goes: patches, notices, a tree asked for anew.

A session that does not ask for data keeps at most one object per order, trade and position of the day
and the one before, and MAX_NOTICES notices.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol
from weakref import WeakSet

from qautlra.base import metrics
from qautlra.base.clock import monotonic_s, new_uuid
from qautlra.wire import trade as wire

MAX_NOTICES: Final = 1000
LARGE_BYTES: Final = 1 << 20
"""A packet of so much is not copied into one piece: that takes milliseconds."""
SLOW_CLIENT_S: Final = 10.0
SLOW_RETRY_S: Final = 0.02


_all: WeakSet[Packets] = WeakSet()
metrics.bound(
    "net_trade_notices", lambda: max((one.notices_count for one in _all), default=0), MAX_NOTICES,
    when_full="drop",
)  # fmt: skip


class Out(Protocol):
    """Where packets go."""

    @property
    def is_full(self) -> bool: ...
    def send(self, text: bytes) -> None: ...
    def send_pieces(self, pieces: Sequence[bytes]) -> None: ...
    def close(self, code: int, reason: str) -> None: ...


class Packets:
    """The outgoing half of one session. One thread."""

    def __init__(self, out: Out, trading_day: Callable[[], int], *, push: bool) -> None:
        _all.add(self)
        self._out = out
        self._trading_day = trading_day
        self._push = push
        self.is_quiet = False
        "While a login is under way: what is to be told waits for its end."
        self.asked = False
        "Whether the client has asked for data since it was last sent some."
        self._patch: wire.Patch | None = None
        self._is_shared = False  # the patch: sessions of a channel get the same one
        self._refreshed: wire.Patch | None = None  # asked for, and kept up to date until it is durable
        self._dropped = metrics.counter(
            "qautlra_net_trade_notices_dropped", "Notices slow trade clients were not told"
        )
        self._notices: deque[bytes] = deque(maxlen=MAX_NOTICES)
        self._flush_due = False
        self._full_since_s = 0.0
        self._again: asyncio.TimerHandle | None = None
        self._serial = 0
        self._prefix = new_uuid()[:8]

    @property
    def notices_count(self) -> int:
        """How many notices wait."""
        return len(self._notices)

    @property
    def may_go_at_once(self) -> bool:
        """Whether what is new may be sent as it comes: nothing waits, data is wanted, the client keeps up."""
        if self._patch is not None or self._notices or self._refreshed is not None or self._flush_due:
            return False
        return not self.is_quiet and (self._push or self.asked) and not self._out.is_full

    def send_at_once(self, packet: bytes) -> None:
        """Send what `may_go_at_once`."""
        self.asked = False
        self._out.send(packet)

    def forget(self) -> None:
        """Drop all that waits: it is another user's, or nobody's."""
        self._patch = self._refreshed = None
        self._notices.clear()

    def end(self) -> None:
        """Nobody listens any more."""
        if self._again is not None:
            self._again.cancel()
            self._again = None

    # --- what is to be told ---

    def begin(self, whole: wire.Patch) -> None:
        """Have the whole tree told, in place of any patch."""
        self._patch, self._is_shared = whole, False

    def new_day(self) -> None:
        """Keep nothing of the day that is over but how its orders ended."""
        self._refreshed = None
        if self._patch is not None and self._patch.has_whole:
            self._patch = None  # nothing of that day was told; else how its orders ended is told yet

    def merge(self, patch: wire.Patch) -> None:
        """Have told what has changed for all sessions of the channel."""
        if self._refreshed is not None:
            self._refreshed.merge(patch)
        self.add(patch)

    def add(self, patch: wire.Patch) -> None:
        """Have a patch told to this session."""
        if self._patch is None:
            self._patch, self._is_shared = patch, True
        else:
            if self._is_shared:
                self._patch, self._is_shared = self._patch.copy(), False
            self._patch.merge(patch)
        self.flush()

    @property
    def is_refreshing(self) -> bool:
        """Whether a tree asked for anew waits to be durable."""
        return self._refreshed is not None

    def refresh(self, whole: wire.Patch) -> None:
        """Keep the whole tree, changes merged into it, until `show_refreshed`."""
        self._refreshed = whole

    def show_refreshed(self) -> None:
        """Have the tree told that was kept, if the day or the user has not changed meanwhile."""
        patch, self._refreshed = self._refreshed, None
        if patch is not None:
            self.add(patch)

    def note(self, notice: bytes) -> None:
        """Have a notice told; the oldest goes beyond MAX_NOTICES."""
        if len(self._notices) == MAX_NOTICES:
            self._dropped.inc()
        self._notices.append(notice)

    def new_key(self) -> str:
        """Return a key no other notice has."""
        self._serial += 1
        return f"{self._prefix}n{self._serial}"

    def tell(self, code: int, text: str, level: str = "INFO") -> None:
        """Have a notice of these words told at the end of this turn of the loop."""
        self.note(wire.notice(self.new_key(), code, text, level))
        self.soon()

    # --- when it goes ---

    def soon(self) -> None:
        """Flush at the end of this turn of the loop, so that what belongs together goes together."""
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Send what waits and may go."""
        self._flush_due = False
        if self.is_quiet or self._is_held():
            return
        if self._patch is not None and (self.asked or self._push):
            pieces = wire.rtn_data_pieces(self._notices, self._patch.pieces(self._trading_day()))
            self._notices.clear()
            self._patch = None
            self.asked = False
            if sum(map(len, pieces)) < LARGE_BYTES:
                self._out.send(b"".join(pieces))
            else:
                self._out.send_pieces(pieces)
        elif self._notices:
            self.push_notices()

    def push_notices(self) -> None:
        """Send the notices: they do not wait for a peek."""
        patches = list(self._notices)
        self._notices.clear()
        self._out.send(wire.rtn_data(patches))

    def _is_held(self) -> bool:
        """Tell whether a client reads too slowly to be sent to: what is new merges meanwhile, for a while."""
        if not self._out.is_full:
            self._full_since_s = 0.0
            return False
        now_s = monotonic_s()
        self._full_since_s = self._full_since_s or now_s
        if now_s - self._full_since_s > SLOW_CLIENT_S:
            self._out.close(1013, "too slow")
        elif self._again is None:
            self._again = asyncio.get_running_loop().call_later(SLOW_RETRY_S, self._try_again)
        return True

    def _try_again(self) -> None:
        self._again = None
        self.flush()
