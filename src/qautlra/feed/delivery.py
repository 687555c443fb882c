"""Who is sent what, and when: held peeks at once, pushed clients per interval, slow ones the latest state.

No message of a client is read here; `FeedService` calls in after each one and after each batch of the tape.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from qautlra.base.log import get_logger
from qautlra.config.tree import Feed
from qautlra.feed.client import Client
from qautlra.feed.context import FeedHub, Flow
from qautlra.feed.deflate import Deflater
from qautlra.wire.errors import CLOSE_INTERNAL, CLOSE_TRY_LATER

_log = get_logger("feed")
Close = Callable[[Client, int, str, str], None]


class Delivery:
    """Writes what clients are owed. Owner: the loop thread; `clients` is the service's own mapping."""

    def __init__(
        self,
        hub: FeedHub,
        settings: Feed,
        clients: Mapping[int, Client],
        market_now_ns: Callable[[], int],
        close: Close,
        *,
        deflater: Deflater,
    ) -> None:
        self._hub = hub
        self._settings = settings
        self._clients = clients
        self._market_now_ns = market_now_ns
        self._close = close
        self._deflater = deflater
        self._interval = settings.batch_interval_ms / 1000
        self._interval_ns = settings.batch_interval_ms * 1_000_000
        self._held: dict[int, Client] = {}
        self._rooted: dict[int, Client] = {}  # pushed to, with more than quotes to say
        self._slow: dict[int, Client] = {}
        self._undecided: dict[int, Client] = {}  # not pushed to yet
        self._pushing: dict[int, Client] = {}
        self._stirred: set[int] = set()  # whose charts have something new
        self._push: list[int] | None = None  # handles of _pushing that are not slow; None: count again
        self._ticks = 0
        self._last_flush = 0.0
        self._last_flush_market_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self._queued_bytes = 0

    @property
    def bytes_sent_count(self) -> int:
        """Bytes given to the kernel or to transports."""
        return self._queued_bytes + self._hub.sent_bytes

    @property
    def slow_count(self) -> int:
        """Clients whose send buffer is full."""
        return len(self._slow)

    # --- life ---

    def start(self) -> None:
        """Begin to send by the clock."""
        self._running = True

    def stop(self) -> None:
        """Send no more by the clock."""
        self._running = False
        self._cancel_timer()

    def join(self, client: Client) -> None:
        """Take a new connection in."""
        session = client.session
        (self._pushing if session.flow is Flow.PUSH else self._undecided)[session.client] = client
        self._push = None

    def leave(self, handle: int) -> None:
        """Forget a connection."""
        for group in (self._held, self._rooted, self._slow, self._undecided, self._pushing):
            group.pop(handle, None)
        self._stirred.discard(handle)
        self._push = None

    def is_decided(self, handle: int) -> bool:
        """Tell whether a client would be sent the next change, pulling or pushed to."""
        return handle not in self._undecided

    def settle(self, client: Client, now: float) -> None:
        """Take in what a message changed: how the client is sent to, and whether something waits for it."""
        session = client.session
        handle = session.client
        if session.held:
            self._held[handle] = client
        else:
            self._held.pop(handle, None)
        if session.flow is Flow.PULL:
            self._rooted.pop(handle, None)
            self._undecided.pop(handle, None)
            if self._pushing.pop(handle, None) is not None:
                self._push = None
            return
        if session.flow is Flow.PUSH and handle not in self._pushing:
            self._undecided.pop(handle, None)
            self._pushing[handle] = client
            self._push = None
        if session.has_root:
            self._rooted[handle] = client
        if self._timer is None and session.unsent():
            if handle in self._pushing:
                self.schedule(now)
            else:
                self._timer = asyncio.get_running_loop().call_later(self._interval, self.flush)

    # --- data ---

    def batch(self, ticks: int) -> None:
        """Send what is due after the tape has brought `ticks` rows."""
        self._ticks += ticks
        now = asyncio.get_running_loop().time()
        if self._stirred:
            self.send_stirred(now)
        if self._held:
            self._answer_held(now)
        # The interval is one of the market's time: a replay ten times as fast flushes ten times as often.
        if abs(self._market_now_ns() - self._last_flush_market_ns) >= self._interval_ns:
            self.flush()
            return
        if self._timer is None:
            self.schedule(now)
        if self._ticks >= self._settings.batch_size_threshold:
            self._ticks = 0
            self._flush_push(now, self._settings.batch_size_threshold)

    def flush(self) -> None:
        """Send everything that may be pushed now."""
        now = asyncio.get_running_loop().time()
        self._cancel_timer()
        self._last_flush = now
        self._last_flush_market_ns = self._market_now_ns()
        self._ticks = 0
        self.check_slow(now)
        self.admit(now)
        for handle, client in list(self._rooted.items()):
            if handle in self._pushing and client.slow_since is None:
                self._rooted.pop(handle)
                self.deliver(client, now)
        more = self._flush_push(now, 1) or any(client.slow_since is None for client in self._rooted.values())
        if more or any(client.session.push_after is not None for client in self._undecided.values()):
            self._timer = asyncio.get_running_loop().call_later(self._interval, self.flush)

    def deliver(self, client: Client, now: float) -> None:
        """Write what is unsent; what goes wrong with one client ends that client alone."""
        session = client.session
        self._held.pop(session.client, None)
        try:
            frames = session.take()
            if client.deflate is not None:
                frames = self._deflater.private(client.deflate, frames)
            self.write(client, frames, now)
            if session.held:  # there was nothing to say after all
                self._held[session.client] = client
            if session.has_root and session.client in self._pushing:  # the rest of a long series
                self._rooted[session.client] = client
        except Exception as error:
            _log.error("session_failed", session=client.session.key, exc_info=error)
            self._close(client, CLOSE_INTERNAL, "internal error", "error")

    def write(self, client: Client, frames: bytes, now: float) -> None:
        """Write frames; a client that leaves too many unread is slow from then on."""
        if not frames:
            return
        self._queued_bytes += len(frames)
        client.sink.write(frames)
        if client.slow_since is None and client.sink.buffered() > self._settings.send_buffer_bytes:
            client.slow_since = now
            self._slow[client.session.client] = client
            self._push = None
            client.sink.hold(True)

    def stir(self, handle: int) -> None:
        """Note that a client's charts have something new."""
        self._stirred.add(handle)

    def send_stirred(self, now: float) -> None:
        """Answer held peeks of those whose charts changed; the others are pushed to with the next flush."""
        for handle in self._stirred:
            client = self._clients.get(handle)
            if client is None or client.closing:
                continue
            if client.session.held:
                if client.slow_since is None:
                    self.deliver(client, now)
            elif client.session.flow is not Flow.PULL:
                self._rooted[handle] = client
        self._stirred.clear()

    def check_slow(self, now: float) -> None:
        """Go on with those who have read enough, give up those who have not for too long."""
        for client in list(self._slow.values()):
            if client.sink.buffered() <= self._settings.send_buffer_bytes // 2:
                client.slow_since = None
                self._slow.pop(client.session.client)
                self._push = None
                client.sink.hold(False)
                if client.session.held and client.session.unsent():
                    self.deliver(client, now)
            elif client.slow_since is not None and now - client.slow_since >= self._settings.slow_client_s:
                self._close(client, CLOSE_TRY_LATER, "too slow", "slow")

    def schedule(self, now: float) -> None:
        """See to it that a flush comes: now when the last one is an interval ago, else then."""
        if self._timer is not None or not self._running:
            return
        due = self._last_flush + self._interval
        if due <= now:
            self.flush()
        else:
            self._timer = asyncio.get_running_loop().call_at(due, self.flush)

    def admit(self, now: float) -> None:
        """Begin to push to those whose first interval has passed without a peek."""
        for handle, client in list(self._undecided.items()):
            if client.session.due(now):
                self._pushing[handle] = self._undecided.pop(handle)
                self._push = None

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush_push(self, now: float, min_pending: int) -> bool:
        """Write what push clients have unsent; tell whether some of it did not fit into one frame."""
        if self._push is None:
            self._push = [handle for handle, client in self._pushing.items() if client.slow_since is None]
        self._queue(self._hub.send(self._push, min_pending), now)
        return self._hub.unfinished

    def _answer_held(self, now: float) -> None:
        ready = [handle for handle, client in self._held.items() if client.slow_since is None]
        answered: list[int] = []
        queued = self._hub.send(ready, 1, answered)
        for handle in answered:
            self._held.pop(handle).session.held = False
        self._queue(queued, now)

    def _queue(self, queued: list[tuple[int, bytes]], now: float) -> None:
        """Write what the hub could not send by itself."""
        self._deflater.begin()
        for handle, frames in queued:
            client = self._clients[handle]
            if client.deflate is not None:
                self.write(client, self._deflater.pushed(client.deflate, frames), now)
            else:
                self.write(client, frames, now)
