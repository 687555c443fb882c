"""One CTP session on the loop: an Api object of a library found at run time, driven by the login brain.

What the library says arrives in batches: ticks as bytes, events as frames. Nothing here runs on CTP's thread.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from qautlra._core.ctp import FRONT_CONNECTED, FRONT_DISCONNECTED, Client, Library, LibraryError
from qautlra.base import metrics
from qautlra.base.clock import monotonic_s, new_random
from qautlra.base.errors import ConfigError
from qautlra.base.log import get_logger
from qautlra.base.secret import Secret
from qautlra.link.ctp_login import Action, LoginBrain, LoginOptions, Renew, Send, State
from qautlra.wire.ctp_frames import ANSWER, LAST, QUERIES, RESTART, Frame, Kind
from qautlra.wire.ctp_records import Record, layout

TICKS_COUNT: Final = 4096
EVENTS_COUNT: Final = 1024
QUERIES_COUNT: Final = 10_000
TIMER_S: Final = 0.25
FLOW_CONTROL: Final = (-2, -3)
NO_ANSWER: Final = -1
"""The error of a query that the front took and never answered."""
_log = get_logger("ctp")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """One front and the credentials for it."""

    name: str
    library: str
    fronts: tuple[str, ...]
    broker_id: str
    user_id: str
    password: Secret = field(default_factory=Secret)
    app_id: str = ""
    auth_code: Secret = field(default_factory=Secret)
    production: bool = True
    query_interval_s: float = 1.0
    query_answer_s: float = 10.0
    login: LoginOptions = field(default_factory=LoginOptions)


class CtpSession:
    """Owner: the source or broker that runs it. `run` ends only by cancellation or a broken library.

    `on_ticks` is awaited and so holds back the reading: what does not fit meanwhile becomes the latest of
    its instrument in the core's ring. Queries go out one at a time,
    `query_interval_s` apart, and are repeated when the library says "later". One that is refused, or whose
    next row does not come within `query_answer_s`, is handed out as its kind's last frame with an error; what
    comes under another request's number is nobody's.
    """

    def __init__(
        self,
        options: SessionOptions,
        brain: LoginBrain,
        *,
        market: bool,
        on_ticks: Callable[[bytes], Awaitable[None]] | None = None,
        on_frame: Callable[[Frame], None] = lambda _frame: None,
        on_state: Callable[[State], None] = lambda _state: None,
    ) -> None:
        self.options = options
        self.brain = brain
        self._market = market
        self._on_ticks = on_ticks
        self._on_frame = on_frame
        self._on_state = on_state
        self._told = State.DOWN
        self._client: Client | None = None
        self._flow = ""
        self._numbers = 0
        self._readable = asyncio.Event()
        self._queries: deque[tuple[Kind, bytes]] = deque()
        self._asked: tuple[Kind, int] | None = None
        self._query_due_s = self._answer_due_s = 0.0
        self.login: Record | None = None
        "The front's answer to the last login: trading day, front, session, references."
        self.renewals = 0
        try:
            self.library = Library(options.library, market)
        except LibraryError as error:
            raise ConfigError(str(error), key=f"source.ctp.brokers.{options.name}") from None
        role = "market" if market else "trader"
        self._ticks = metrics.counter("qautlra_link_ctp_ticks", "Ticks taken", ["session"])
        labels = (f"{options.name}.{role}",)
        self._label = labels[0]
        metrics.bound(
            f"link_ctp_{role}_queries", lambda: len(self._queries), QUERIES_COUNT, when_full="refuse"
        )
        metrics.watch(
            f"qautlra_link_ctp_{role}_coalesced_total",
            "Ticks replaced by a later one of their instrument, because the loop was late",
            lambda: {labels: float(self._client.coalesced if self._client else 0)},
            labels=["session"],
            kind="counter",
        )

    # --- life ---

    async def run(self) -> None:
        """Connect, log in, read; again and again."""
        self._start()
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(TIMER_S):
                        await self._readable.wait()
                if self._readable.is_set():
                    await self._read()
                self._act(self.brain.timer(monotonic_s()))
                self._give_up(monotonic_s())
                self._next_query()
        finally:
            self._end()

    def _start(self) -> None:
        self._flow = tempfile.mkdtemp(prefix="qautlra-ctp-")  # 0700; CTP keeps its .con files there
        client = Client(
            self.library,
            flow=f"{self._flow}/",
            fronts=list(self.options.fronts),
            production=self.options.production,
            private_mode=RESTART,
        )
        self._client = client
        self._readable.clear()
        asyncio.get_running_loop().add_reader(client.fd, self._on_readable, client.fd)
        client.start()
        self.brain.begin(monotonic_s())

    def _end(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            asyncio.get_running_loop().remove_reader(client.fd)
            client.close()
        shutil.rmtree(self._flow, ignore_errors=True)
        self._asked = None
        self._queries.clear()

    def _on_readable(self, fd: int) -> None:
        asyncio.get_running_loop().remove_reader(fd)  # until it has been read
        self._readable.set()

    async def _read(self) -> None:
        client = self._client
        assert client is not None
        self._readable.clear()
        ticks, events = client.take(TICKS_COUNT, EVENTS_COUNT)
        for event in events:
            self._take(event)
        if ticks and self._on_ticks is not None:
            await self._on_ticks(ticks)
        if self._client is client:
            asyncio.get_running_loop().add_reader(client.fd, self._on_readable, client.fd)

    def _take(self, event: tuple[int, int, bool, bool, int, bytes, bytes]) -> None:
        kind, request, last, answered, error, text, record = event
        now_s = monotonic_s()
        if kind == FRONT_CONNECTED:
            self._act(self.brain.connected(now_s))
            return
        if kind == FRONT_DISCONNECTED:
            _log.warning("ctp_disconnected", session=self._label, reason=f"{error:#x}")
            self._asked = None
            self._queries.clear()
            self._act(self.brain.disconnected(error, now_s))
            return
        got = Frame(
            kind, (LAST if last else 0) | (ANSWER if answered else 0), request, error, 0, text, record
        )
        if kind == Kind.LOGIN and error == 0 and record:
            self.login = layout("RspUserLogin").read(record)
        if self._asked is not None and request == self._asked[1]:
            got = self._answered(got, self._asked[0], now_s)
        elif kind in QUERIES:
            return  # given up before
        if error and kind in (Kind.AUTHENTICATE, Kind.LOGIN, Kind.CONFIRM):
            _log.warning("ctp_refused", session=self._label, step=Kind(kind).name, code=error)
        self._act(self.brain.answered(kind, error, now_s))
        self._on_frame(got)

    def _answered(self, got: Frame, kind: Kind, now_s: float) -> Frame:
        """Take a row of what was asked; an error without a record is the whole answer."""
        self._answer_due_s = now_s + self.options.query_answer_s
        if got.kind == Kind.ERROR:
            got = got._replace(kind=kind, flags=got.flags | LAST, error=got.error or NO_ANSWER)
        if got.flags & LAST:
            self._asked = None
        return got

    def _act(self, action: Action) -> None:
        if isinstance(action, Send):
            code = self._step(action.kind)
            if code:
                self._act(self.brain.refused(code, monotonic_s()))
        elif isinstance(action, Renew):
            _log.warning("ctp_renewed", session=self._label, reason=self.brain.reason)
            self.renewals += 1
            self._end()
            self._start()
        if self.brain.state is not self._told:
            self._told = self.brain.state
            self._on_state(self._told)

    def _step(self, kind: Kind) -> int:
        options = self.options
        who = {"BrokerID": options.broker_id, "UserID": options.user_id}
        if kind == Kind.AUTHENTICATE:
            program = {"AppID": options.app_id, "AuthCode": options.auth_code.reveal()}
            return self.request(kind, layout("ReqAuthenticate").pack(who | program))
        if kind == Kind.LOGIN:
            return self.request(
                kind, layout("ReqUserLogin").pack(who | {"Password": options.password.reveal()})
            )
        confirm = {"BrokerID": options.broker_id, "InvestorID": options.user_id}
        return self.request(kind, layout("SettlementInfoConfirm").pack(confirm))

    # --- what its owner asks ---

    @property
    def is_connected(self) -> bool:
        """Whether the front is there."""
        return self.brain.state not in (State.DOWN, State.LOCKED)

    def enter_anew(self, reason: str) -> None:
        """Log in again by a new Api object: what the login said counts no more."""
        self._act(self.brain.forget(reason, monotonic_s()))

    def request(self, kind: Kind, record: bytes) -> int:
        """Send one request now; 0 or CTP's -1, -2, -3."""
        self._numbers += 1
        return self._client.request(kind, record, self._numbers) if self._client is not None else -1

    def query(self, kind: Kind, record: bytes) -> bool:
        """Queue a query; False when too many wait already. A lost front forgets them."""
        if len(self._queries) >= QUERIES_COUNT:
            return False
        self._queries.append((kind, record))
        self._next_query()
        return True

    @property
    def queries_waiting(self) -> int:
        """How many queries are not answered yet."""
        return len(self._queries) + (self._asked is not None)

    def subscribe(self, codes: list[str], on: bool = True) -> int:
        """Subscribe or unsubscribe instruments by their own codes."""
        return self._client.subscribe(codes, on) if self._client is not None and codes else 0

    def _give_up(self, now_s: float) -> None:
        if self._asked is not None and now_s >= self._answer_due_s:
            (kind, request), self._asked = self._asked, None
            _log.warning("ctp_no_answer", session=self._label, query=kind.name)
            self._on_frame(Frame(kind, LAST, request, NO_ANSWER, 0, b"", b""))

    def _next_query(self) -> None:
        now_s = monotonic_s()
        if not self._queries or self._asked is not None or now_s < self._query_due_s:
            return
        kind, record = self._queries[0]
        code = self.request(kind, record)
        self._query_due_s = now_s + self.options.query_interval_s
        if code == 0:
            self._queries.popleft()
            self._asked = (kind, self._numbers)
            self._answer_due_s = now_s + self.options.query_answer_s
        elif code in FLOW_CONTROL:
            self._query_due_s = now_s + max(self.options.query_interval_s, 1.0)

    def health(self) -> dict[str, Any]:
        """Return how the session stands."""
        client, brain = self._client, self.brain
        facts: dict[str, Any] = {
            "login": str(brain.state),
            "connected": self.is_connected,
            "release": self.library.release,
            "library": Path(self.library.path).name,
            "renewals": self.renewals,
        }
        if self.login is not None:
            facts["front_day"] = self.login.text("TradingDay")
        if brain.reason:
            facts["reason"] = brain.reason
        if brain.state is State.LOCKED:
            facts["error"] = f"login refused ({brain.error}): {brain.reason}; correct it and restart"
        if client is not None and self._market:
            facts |= {"coalesced": client.coalesced, "dropped": client.dropped}
        return facts


def new_brain(steps: tuple[Kind, ...], options: LoginOptions, is_open: Callable[[], bool]) -> LoginBrain:
    """Return a brain with randomness of its own."""
    return LoginBrain(steps, random=new_random(), options=options, is_open=is_open)
