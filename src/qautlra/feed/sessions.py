"""The brain of one client session: text messages in, ready frames out; when to send is the service's to ask.

No socket and no clock: `now` (monotonic seconds) is passed in. The rules are SEMANTICS "Client sessions";
what each message does is in `dialects`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping

from qautlra.base.clock import wall_ns
from qautlra.feed.charts import SessionCharts
from qautlra.feed.context import Context, Flow, Style
from qautlra.feed.directory import Place
from qautlra.wire import diff, legacy
from qautlra.wire.market import Dialect

NAMES_SHOWN_COUNT = 20
TABLE_FULL = "The server's subscription table is full"
TIMER_EARLY_S = 0.001  # a loop's timer may run that much before its time

_STYLES = {
    Dialect.DIFF: Style.DIFF,
    Dialect.GATEWAY: Style.LEGACY_RTN,
    Dialect.QO: Style.LEGACY_RTN,
    Dialect.CORE: Style.CORE,
}


def listed(names: list[str]) -> str:
    """Return a list for people, cut to what can be read."""
    text = ", ".join(name[:64] for name in names[:NAMES_SHOWN_COUNT])
    more = len(names) - NAMES_SHOWN_COUNT
    return f"{text} and {more} more" if more > 0 else text


class Session:
    """One client. Bounded: `max_symbols` names, one unsent patch per name, a bounded root object."""

    __slots__ = (
        "_first",
        "_fixed",
        "_greeted",
        "_notices",
        "_stamp",
        "_style",
        "_whole",
        "asking",
        "charts",
        "client",
        "context",
        "data_bytes",
        "flow",
        "held",
        "key",
        "peeked",
        "push_after",
        "revision",
        "root",
        "speaks",
        "states",
        "status_names",
        "text",
        "wanted",
    )

    def __init__(
        self,
        key: str,
        client: int,
        context: Context,
        *,
        flow: Flow | None = None,
        stamp: bool = False,
        whole: bool = False,
    ) -> None:
        self.key = key
        self.client = client
        self.flow = flow or Flow.UNDECIDED
        self.held = False  # a peek waits for something to send
        self.push_after: float | None = None  # when an undecided session is first pushed to
        self.revision = 0  # counts changes of the wanted set
        self.context = context
        self._fixed = flow is not None
        self._stamp = stamp
        self._whole = whole  # as the oldest servers: each quote whole, as rtn_data and as market_data
        self._first: Dialect | None = None
        self.speaks: set[Dialect] = set()
        self._greeted = False
        self.peeked = False
        self.root = diff.Root()
        self._notices = 0
        self._style: Dialect | None = None
        self.text = ""
        self.wanted: dict[str, Place] = {}
        self.status_names: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.charts: SessionCharts | None = None
        self.asking: set[asyncio.Task[None]] = set()
        "Queries for many instruments that are not answered yet."
        self.data_bytes = 0  # taken since it was last set to 0
        self.set_style(Dialect.DIFF)

    # --- what the service asks ---

    def greet(self) -> list[bytes]:
        """Return the greeting of a client that asked for one in its URL."""
        self._greeted = True
        return [self.frame(legacy.greeting(self.key))]

    def refuse(self, message: str, now: float, code: int = diff.NOTIFY_BAD_FRAME) -> list[bytes]:
        """Return the frames that tell the client, in its own words, what was refused."""
        out: list[bytes] = []
        self.error(None, message, out, code)
        self.after(out, now)
        return out

    def unsent(self) -> bool:
        """Tell whether there is anything to send."""
        return self.has_root or self.context.hub.pending(self.client) > 0

    @property
    def has_root(self) -> bool:
        """Whether something besides quotes waits to be sent."""
        return bool(self.root) or (self.charts is not None and self.charts.dirty)

    def take(self) -> bytes:
        """Return the frames of everything unsent and count it as sent; this answers a held peek."""
        charts = self.charts.take() if self.charts is not None and self.charts.dirty else None
        root = self.root.take(charts)
        if root and self._style is Dialect.CORE:  # its data messages have no place for a root object
            frames = self.frame(diff.return_data(root)) + self.context.hub.frame(self.client)
        else:
            frames = self.context.hub.frame(self.client, root)
        self.held = self.held and not frames
        self.data_bytes += len(frames)
        return frames

    def chart_room(self) -> SessionCharts | None:
        """Return the session's charts, None when series are not served here."""
        if self.charts is None and (lines := self.context.lines) is not None:
            context, client = self.context, self.client
            self.charts = SessionCharts(
                lines,
                stirred=lambda: context.stir(client),
                woken=lambda: context.wake(client),
                told=lambda text: self.notice("WARNING", diff.NOTIFY_NOT_SERVED, text),
            )
        return self.charts

    def close(self) -> None:
        """Let go of what is shared; the session is not used any more."""
        if self.charts is not None:
            self.charts.close()
        for task in self.asking:
            task.cancel()

    def due(self, now: float) -> bool:
        """Tell whether the session may be pushed to now."""
        return self.flow is Flow.PUSH or (
            self.flow is Flow.UNDECIDED
            and self.push_after is not None
            and now >= self.push_after - TIMER_EARLY_S
        )

    def appeared(self, symbol: str, instrument: int) -> None:
        """A source has shown an instrument this session waits for."""
        now_known = Place(symbol, instrument)
        self.want({shown: now_known if p.symbol == symbol else p for shown, p in self.wanted.items()})
        if self.charts is not None:
            self.charts.appeared(symbol, self.context.directory.resolve)

    def refresh_trading_status(self) -> None:
        """Put changed trading states into the next answer."""
        status = self.context.directory.trading_status
        now = {shown: status(symbol) for shown, symbol in self.status_names.items()}
        changed = {shown: state for shown, state in now.items() if self.states.get(shown) != state}
        self.states = now
        if changed:
            self.root.trading_status(changed)

    @property
    def watches_status(self) -> bool:
        """Whether trading states are wanted."""
        return bool(self.status_names)

    @property
    def names(self) -> list[str]:
        """The wanted instruments as the client spelled them."""
        return list(self.wanted)

    @property
    def demand(self) -> Mapping[str, str]:
        """The instruments wanted or shown in charts: symbol -> the client's spelling."""
        charted = self.charts.names() if self.charts is not None else {}
        return charted | {place.symbol: shown for shown, place in self.wanted.items()}

    @property
    def waiting(self) -> set[str]:
        """The wanted symbols no source has shown yet."""
        charted = self.charts.waiting if self.charts is not None else set()
        return charted | {place.symbol for place in self.wanted.values() if place.instrument < 0}

    # --- common steps ---

    def frame(self, payload: bytes) -> bytes:
        return self.context.text_frame(payload)

    def meet(self, dialect: Dialect, out: list[bytes]) -> None:
        """Greet a client whose first message is not DIFF, and settle who decides when to send."""
        if self._first is None:
            self._first = dialect
            if dialect is Dialect.GATEWAY and not self._greeted:
                out.append(self.frame(legacy.greeting(self.key)))
            elif dialect is Dialect.QO and not self._greeted:
                connected = self.context.connected()
                out.append(self.frame(legacy.qo_welcome(self.key, connected, wall_ns() // 1_000_000)))
        self.speaks.add(dialect)
        if dialect is not Dialect.DIFF and not self._fixed:
            self.flow = Flow.PUSH

    def after(self, out: list[bytes], now: float) -> None:
        """Answer a peek that is held, or have an undecided client pushed to, once a message was taken."""
        if self.flow is Flow.UNDECIDED:
            if self.push_after is None and self.unsent():
                self.push_after = now + self.context.settings.batch_interval_ms / 1000
        elif self.held and (self.flow is Flow.PUSH or self.unsent()):
            if self.unsent():
                out.append(self.take())
            if self.flow is Flow.PUSH:
                self.held = False

    def error(
        self, dialect: Dialect | None, message: str, out: list[bytes], code: int = diff.NOTIFY_BAD_FRAME
    ) -> None:
        dialect = dialect or self._first or Dialect.GATEWAY
        if dialect is Dialect.DIFF:
            self.notice("ERROR", code, message)
        elif dialect is Dialect.GATEWAY:
            out.append(self.frame(legacy.error(message)))
        elif dialect is Dialect.CORE:
            out.append(self.frame(legacy.core_error(message)))
        else:
            out.append(self.frame(legacy.qo_error(message, wall_ns() // 1_000_000)))

    def notice(self, level: str, code: int, content: str) -> None:
        self._notices += 1
        self.root.notice(f"{self.key[:8]}-{self._notices}", level, code, content)

    def set_style(self, dialect: Dialect) -> None:
        """Write data in the words of `dialect` from now on; what was sent in others is sent again whole."""
        if self._style is dialect:
            return
        settings = self.context.settings
        if self._style is not None:
            self.context.hub.subscribe(self.client, [])
        self.context.hub.set_style(
            self.client,
            _STYLES[dialect],
            market_data=settings.market_data_frames and (self._whole or dialect is Dialect.GATEWAY),
            full_only=self._whole or not settings.incremental.enabled,
            stamp=self._stamp,
        )
        if self._style is not None:
            self.want(self.wanted)
        self._style = dialect

    def want(self, wanted: dict[str, Place]) -> bool:
        """Make `wanted` the session's set; False, changing nothing, when the server's table is full."""
        entries = [(place.instrument, shown) for shown, place in wanted.items() if place.instrument >= 0]
        try:
            self.context.hub.subscribe(self.client, entries)
        except OverflowError:
            return False
        self.wanted = wanted
        self.revision += 1
        return True

    def sort(self, names: Iterable[str], room: int) -> tuple[dict[str, Place], list[str], int]:
        """Return what is known (at most `room` names), what is no instrument, and how many were too many."""
        known: dict[str, Place] = {}
        unknown: list[str] = []
        refused = 0
        for name in names:
            place = self.context.directory.resolve(name)
            if place is None:
                unknown.append(name)
            elif len(known) < room or name in known:
                known[sys.intern(name)] = place  # a spelling is kept once, however many clients use it
            else:
                refused += 1
        return known, unknown, refused

    def add(self, dialect: Dialect, names: list[str], out: list[bytes]) -> int:
        """Add names for a `type`, `op` or `action` message; return how many were taken."""
        stripped = [name.strip() for name in names]
        fresh = [name for name in stripped if name not in self.wanted]
        room = self.context.settings.max_symbols - len(self.wanted)
        known, unknown, refused = self.sort(fresh, room)
        if unknown:
            self.error(dialect, f"Unknown instruments: {listed(unknown)}", out)
        if refused:
            self.error(dialect, self.too_many(refused), out, diff.NOTIFY_LIMIT)
        self.set_style(dialect)
        if known and not self.want(self.wanted | known):
            self.error(dialect, TABLE_FULL, out, diff.NOTIFY_LIMIT)
            return 0
        return len(names) - len(unknown) - refused

    def remove(self, names: list[str]) -> None:
        """Take names out; another spelling of a wanted instrument takes that one out."""
        resolve = self.context.directory.resolve
        left = dict(self.wanted)
        for name in (name.strip() for name in names):
            if left.pop(name, None) is None and (place := resolve(name)) is not None:
                left = {shown: p for shown, p in left.items() if p.symbol != place.symbol}
        if len(left) != len(self.wanted):
            self.want(left)

    def too_many(self, refused: int) -> str:
        limit = self.context.settings.max_symbols
        return f"At most {limit} instruments per session: {refused} not subscribed"
