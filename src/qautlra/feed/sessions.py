"""The brain of one client session: text messages in, ready frames out; when to send is the service's to ask.

No socket and no clock: `now` (monotonic seconds) is passed in. The rules are SEMANTICS "Client sessions".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, IntEnum
from typing import Any, Protocol

from qautlra.base.clock import wall_ns
from qautlra.config.tree import Feed
from qautlra.feed.directory import Directory, Place
from qautlra.wire import diff, legacy
from qautlra.wire.market import BadMessage, Dialect, decode

NAMES_SHOWN_COUNT = 20
TIMER_EARLY_S = 0.001  # a loop's timer may run that much before its time


class Flow(Enum):
    """Who decides when data is sent: not settled yet (pushed after one interval), the server, the client."""

    UNDECIDED = "undecided"
    PUSH = "push"
    PULL = "pull"


class Style(IntEnum):
    """The core's encodings; the same numbers as in `_core.feed`."""

    DIFF = 0
    LEGACY_RTN = 1
    LEGACY_MARKET_DATA = 2
    CORE = 3


class Hub(Protocol):
    """What a session needs of the core's hub; one client handle each."""

    def set_style(
        self,
        client: int,
        style: int,
        *,
        market_data: bool = False,
        full_only: bool = False,
        stamp: bool = False,
    ) -> None: ...
    def subscribe(self, client: int, entries: list[tuple[int, str]]) -> None: ...
    def pending(self, client: int) -> int: ...
    def frame(self, client: int, tail: bytes = b"") -> bytes: ...


class Context(Protocol):
    """What all sessions share."""

    @property
    def hub(self) -> Hub: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def settings(self) -> Feed: ...
    def text_frame(self, payload: bytes) -> bytes: ...
    def connected(self) -> bool: ...


_STYLES = {
    Dialect.DIFF: Style.DIFF,
    Dialect.GATEWAY: Style.LEGACY_RTN,
    Dialect.QO: Style.LEGACY_RTN,
    Dialect.CORE: Style.CORE,
}


class Session:
    """One client. Bounded: `max_symbols` names, one unsent patch per name, a bounded root object."""

    __slots__ = (
        "_context",
        "_first",
        "_fixed",
        "_greeted",
        "_notices",
        "_peeked",
        "_root",
        "_speaks",
        "_stamp",
        "_states",
        "_status_names",
        "_style",
        "_text",
        "_wanted",
        "client",
        "flow",
        "held",
        "key",
        "push_after",
        "revision",
    )

    def __init__(
        self, key: str, client: int, context: Context, *, flow: Flow | None = None, stamp: bool = False
    ) -> None:
        self.key = key
        self.client = client
        self.flow = flow or Flow.UNDECIDED
        self.held = False  # a peek waits for something to send
        self.push_after: float | None = None  # when an undecided session is first pushed to
        self.revision = 0  # counts changes of the wanted set
        self._context = context
        self._fixed = flow is not None
        self._stamp = stamp
        self._first: Dialect | None = None
        self._speaks: set[Dialect] = set()
        self._greeted = False
        self._peeked = False
        self._root = diff.Root()
        self._notices = 0
        self._style: Dialect | None = None
        self._text = ""
        self._wanted: dict[str, Place] = {}
        self._status_names: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._set_style(Dialect.DIFF)

    # --- what the service asks ---

    def receive(self, text: str, now: float) -> list[bytes]:
        """Take one text message in; return the frames to send at once, in order."""
        dialect, command = decode(text)
        out: list[bytes] = []
        if dialect is not None and not isinstance(command, BadMessage):
            self._meet(dialect, out)
        _HANDLERS[type(command)](self, command, text, out)
        self._after(out, now)
        return out

    def greet(self) -> list[bytes]:
        """Return the greeting of a client that asked for one in its URL."""
        self._greeted = True
        return [self._frame(legacy.greeting(self.key))]

    def refuse(self, message: str, now: float, code: int = diff.NOTIFY_BAD_FRAME) -> list[bytes]:
        """Return the frames that tell the client, in its own words, what was refused."""
        out: list[bytes] = []
        self._error(None, message, out, code)
        self._after(out, now)
        return out

    def unsent(self) -> bool:
        """Tell whether there is anything to send."""
        return bool(self._root) or self._context.hub.pending(self.client) > 0

    @property
    def has_root(self) -> bool:
        """Whether something besides quotes waits to be sent."""
        return bool(self._root)

    def take(self) -> bytes:
        """Return the frames of everything unsent and count it as sent; this answers a held peek."""
        self.held = False
        root = self._root.take()
        if root and self._style is Dialect.CORE:  # its data messages have no place for a root object
            return self._frame(diff.return_data(root)) + self._context.hub.frame(self.client)
        return self._context.hub.frame(self.client, root)

    def due(self, now: float) -> bool:
        """Tell whether the session may be pushed to now."""
        return self.flow is Flow.PUSH or (
            self.flow is Flow.UNDECIDED
            and self.push_after is not None
            and now >= self.push_after - TIMER_EARLY_S
        )

    def appeared(self, symbol: str, instrument: int) -> None:
        """A source has shown an instrument this session waits for."""
        for shown, place in self._wanted.items():
            if place.symbol == symbol and place.instrument < 0:
                self._wanted[shown] = Place(symbol, instrument)
        self._apply()

    def refresh_trading_status(self) -> None:
        """Put changed trading states into the next answer."""
        status = self._context.directory.trading_status
        now = {shown: status(symbol) for shown, symbol in self._status_names.items()}
        changed = {shown: state for shown, state in now.items() if self._states.get(shown) != state}
        self._states = now
        if changed:
            self._root.trading_status(changed)

    @property
    def watches_status(self) -> bool:
        """Whether trading states are wanted."""
        return bool(self._status_names)

    @property
    def names(self) -> list[str]:
        """The wanted instruments as the client spelled them."""
        return list(self._wanted)

    @property
    def demand(self) -> Mapping[str, str]:
        """The wanted instruments: symbol -> the client's spelling."""
        return {place.symbol: shown for shown, place in self._wanted.items()}

    @property
    def waiting(self) -> set[str]:
        """The wanted symbols no source has shown yet."""
        return {place.symbol for place in self._wanted.values() if place.instrument < 0}

    # --- common steps ---

    def _frame(self, payload: bytes) -> bytes:
        return self._context.text_frame(payload)

    def _meet(self, dialect: Dialect, out: list[bytes]) -> None:
        """Greet a client whose first message is not DIFF, and settle who decides when to send."""
        if self._first is None:
            self._first = dialect
            if dialect is Dialect.GATEWAY and not self._greeted:
                out.append(self._frame(legacy.greeting(self.key)))
            elif dialect is Dialect.QO and not self._greeted:
                connected = self._context.connected()
                out.append(self._frame(legacy.qo_welcome(self.key, connected, wall_ns() // 1_000_000)))
        self._speaks.add(dialect)
        if dialect is not Dialect.DIFF and not self._fixed:
            self.flow = Flow.PUSH

    def _after(self, out: list[bytes], now: float) -> None:
        if self.flow is Flow.UNDECIDED:
            if self.push_after is None and self.unsent():
                self.push_after = now + self._context.settings.batch_interval_ms / 1000
        elif self.held and (self.flow is Flow.PUSH or self.unsent()):
            if self.unsent():
                out.append(self.take())
            self.held = False

    def _error(
        self, dialect: Dialect | None, message: str, out: list[bytes], code: int = diff.NOTIFY_BAD_FRAME
    ) -> None:
        dialect = dialect or self._first or Dialect.GATEWAY
        if dialect is Dialect.DIFF:
            self._notice("ERROR", code, message)
        elif dialect is Dialect.GATEWAY:
            out.append(self._frame(legacy.error(message)))
        elif dialect is Dialect.CORE:
            out.append(self._frame(legacy.core_error(message)))
        else:
            out.append(self._frame(legacy.qo_error(message, wall_ns() // 1_000_000)))

    def _notice(self, level: str, code: int, content: str) -> None:
        self._notices += 1
        self._root.notice(f"{self.key[:8]}-{self._notices}", level, code, content)

    def _set_style(self, dialect: Dialect) -> None:
        """Write data in the words of `dialect` from now on; what was sent in others is sent again whole."""
        if self._style is dialect:
            return
        settings = self._context.settings
        if self._style is not None:
            self._context.hub.subscribe(self.client, [])
        self._context.hub.set_style(
            self.client,
            _STYLES[dialect],
            market_data=dialect is Dialect.GATEWAY and settings.market_data_frames,
            full_only=not settings.incremental.enabled,
            stamp=self._stamp,
        )
        if self._style is not None:
            self._apply()
        self._style = dialect

    def _apply(self) -> None:
        self.revision += 1
        entries = [
            (place.instrument, shown) for shown, place in self._wanted.items() if place.instrument >= 0
        ]
        self._context.hub.subscribe(self.client, entries)

    def _sort(self, names: Iterable[str], room: int) -> tuple[dict[str, Place], list[str], int]:
        """Return what is known (at most `room` names), what is no instrument, and how many were too many."""
        known: dict[str, Place] = {}
        unknown: list[str] = []
        refused = 0
        for name in names:
            place = self._context.directory.resolve(name)
            if place is None:
                unknown.append(name)
            elif len(known) < room or name in known:
                known[name] = place
            else:
                refused += 1
        return known, unknown, refused

    def _add(self, dialect: Dialect, names: list[str], out: list[bytes]) -> int:
        """Add names for a `type`, `op` or `action` message; return how many were taken."""
        stripped = [name.strip() for name in names]
        fresh = [name for name in stripped if name not in self._wanted]
        room = self._context.settings.max_symbols - len(self._wanted)
        known, unknown, refused = self._sort(fresh, room)
        if unknown:
            self._error(dialect, f"Unknown instruments: {_listed(unknown)}", out)
        if refused:
            self._error(dialect, self._too_many(refused), out, diff.NOTIFY_LIMIT)
        self._set_style(dialect)
        if known:
            self._wanted |= known
            self._apply()
        return len(names) - len(unknown) - refused

    def _remove(self, names: list[str]) -> None:
        """Take names out; another spelling of a wanted instrument takes that one out."""
        resolve = self._context.directory.resolve
        count = len(self._wanted)
        for name in (name.strip() for name in names):
            if self._wanted.pop(name, None) is None and (place := resolve(name)) is not None:
                for shown in [s for s, p in self._wanted.items() if p.symbol == place.symbol]:
                    del self._wanted[shown]
        if len(self._wanted) != count:
            self._apply()

    def _too_many(self, refused: int) -> str:
        limit = self._context.settings.max_symbols
        return f"At most {limit} instruments per session: {refused} not subscribed"

    # --- DIFF ---

    def _diff_subscribe(self, command: diff.SubscribeQuote, _text: str, out: list[bytes]) -> None:
        text = command.text or ""
        known, unknown, refused = self._sort(diff.split(text), self._context.settings.max_symbols)
        if unknown:
            self._notice(
                "WARNING", diff.NOTIFY_UNKNOWN_INSTRUMENT, f"Unknown instruments: {_listed(unknown)}"
            )
        if refused:
            self._notice("WARNING", diff.NOTIFY_LIMIT, self._too_many(refused))
        waiting = [shown for shown, place in known.items() if place.instrument < 0]
        if waiting:
            self._notice("INFO", diff.NOTIFY_WAITING, f"No data yet for: {_listed(waiting)}")
        self._set_style(Dialect.DIFF)
        self._wanted = known
        self._apply()
        self._text = text
        self._root.echo(text)
        if Dialect.GATEWAY in self._speaks:
            out.append(self._frame(legacy.subscribed(len(known))))
        out.append(self._frame(diff.subscribed(text)))
        if Dialect.QO in self._speaks:
            out.append(self._frame(legacy.QO_SUBSCRIBE_QUOTE))

    def _diff_unsubscribe(self, command: diff.UnsubscribeQuote, _text: str, out: list[bytes]) -> None:
        self._remove(diff.split(command.text))
        self._text = ",".join(self._wanted)
        self._root.echo(self._text)
        out.append(self._frame(diff.subscribed(self._text)))

    def _diff_peek(self, _command: diff.PeekMessage, _text: str, out: list[bytes]) -> None:
        if not self._peeked:
            self._peeked = True
            self._root.history_complete(self._text)
        if self.flow is Flow.UNDECIDED:
            self.flow = Flow.PULL
        if self.flow is Flow.PUSH:
            out.append(self._frame(diff.subscription_list(self.names)))
        self.held = True

    def _diff_ping(self, _command: diff.Ping, _text: str, out: list[bytes]) -> None:
        out.append(self._frame(diff.PONG))

    def _diff_chart(self, command: diff.SetChart, text: str, _out: list[bytes]) -> None:
        if not self._root.empty_chart(command, text):
            self._notice("ERROR", diff.NOTIFY_LIMIT, "Too many unanswered charts: peek first")
        elif command.text:
            self._notice(
                "WARNING", diff.NOTIFY_NOT_SERVED, f"Chart {command.chart_id[:64]}: no series is served here"
            )

    def _diff_query(self, command: diff.InsQuery, _text: str, _out: list[bytes]) -> None:
        if not self._root.instruments(command, "Instrument queries are not served here"):
            self._notice("ERROR", diff.NOTIFY_LIMIT, "Too many unanswered instrument queries: peek first")

    def _diff_status(self, command: diff.SubscribeTradingStatus, _text: str, _out: list[bytes]) -> None:
        known, unknown, _ = self._sort(diff.split(command.text), self._context.settings.max_symbols)
        if unknown:
            self._notice(
                "WARNING", diff.NOTIFY_UNKNOWN_INSTRUMENT, f"Unknown instruments: {_listed(unknown)}"
            )
        self._status_names = {shown: place.symbol for shown, place in known.items()}
        self._states = {}
        self.refresh_trading_status()

    # --- the gateway's own ---

    def _type_subscribe(self, command: legacy.Subscribe, _text: str, out: list[bytes]) -> None:
        names = command.payload.instruments
        if not names:
            self._error(Dialect.GATEWAY, legacy.NO_INSTRUMENTS, out)
        elif taken := self._add(Dialect.GATEWAY, names, out):
            out.append(self._frame(legacy.subscribed(taken)))

    def _type_unsubscribe(self, command: legacy.Unsubscribe, _text: str, out: list[bytes]) -> None:
        names = command.payload.instruments
        if not names:
            self._error(Dialect.GATEWAY, legacy.NO_INSTRUMENTS, out)
            return
        self._remove(names)
        out.append(self._frame(legacy.unsubscribed(len(names))))

    def _type_subscriptions(self, _command: legacy.Subscriptions, _text: str, out: list[bytes]) -> None:
        out.append(self._frame(legacy.subscriptions(self.names)))

    def _type_auth(self, _command: legacy.Auth, _text: str, out: list[bytes]) -> None:
        out.append(self._frame(legacy.system(legacy.NO_AUTHENTICATION)))

    def _type_ping(self, _command: legacy.Ping, _text: str, out: list[bytes]) -> None:
        out.append(self._frame(legacy.PONG))

    # --- CORE ---

    def _op_subscribe(self, command: legacy.CoreSubscribe, _text: str, out: list[bytes]) -> None:
        if not command.symbols:
            self._error(Dialect.CORE, legacy.CORE_NO_SYMBOLS, out)
        elif self._add(Dialect.CORE, command.symbols, out):
            out.append(self._frame(legacy.CORE_SUBSCRIBED))

    def _op_unsubscribe(self, command: legacy.CoreUnsubscribe, _text: str, out: list[bytes]) -> None:
        if not command.symbols:
            self._error(Dialect.CORE, legacy.CORE_NO_SYMBOLS, out)
            return
        self._remove(command.symbols)
        out.append(self._frame(legacy.CORE_UNSUBSCRIBED))

    # --- QO ---

    def _action_subscribe(self, command: legacy.QoSubscribe, _text: str, out: list[bytes]) -> None:
        taken = self._add(Dialect.QO, command.instruments, out)
        if taken or not command.instruments:
            out.append(self._frame(legacy.qo_subscribed(len(self._wanted))))

    def _action_unsubscribe(self, command: legacy.QoUnsubscribe, _text: str, out: list[bytes]) -> None:
        self._remove(command.instruments)
        out.append(self._frame(legacy.qo_unsubscribed(len(self._wanted))))

    def _action_list(self, _command: legacy.QoListInstruments, _text: str, out: list[bytes]) -> None:
        out.append(self._frame(legacy.qo_instruments(self._context.directory.symbols())))

    def _action_search(self, command: legacy.QoSearchInstruments, _text: str, out: list[bytes]) -> None:
        found = self._context.directory.search(command.pattern)
        out.append(self._frame(legacy.qo_found(command.pattern, found)))

    def _bad(self, command: BadMessage, _text: str, out: list[bytes]) -> None:
        self._error(command.dialect, command.text, out)


def _listed(names: list[str]) -> str:
    """Return a list for people, cut to what can be read."""
    text = ", ".join(name[:64] for name in names[:NAMES_SHOWN_COUNT])
    more = len(names) - NAMES_SHOWN_COUNT
    return f"{text} and {more} more" if more > 0 else text


Handler = Callable[[Session, Any, str, list[bytes]], None]
_HANDLERS: Mapping[type, Handler] = {
    BadMessage: Session._bad,
    diff.SubscribeQuote: Session._diff_subscribe,
    diff.UnsubscribeQuote: Session._diff_unsubscribe,
    diff.PeekMessage: Session._diff_peek,
    diff.Ping: Session._diff_ping,
    diff.SetChart: Session._diff_chart,
    diff.InsQuery: Session._diff_query,
    diff.SubscribeTradingStatus: Session._diff_status,
    legacy.Subscribe: Session._type_subscribe,
    legacy.Unsubscribe: Session._type_unsubscribe,
    legacy.Subscriptions: Session._type_subscriptions,
    legacy.Auth: Session._type_auth,
    legacy.Ping: Session._type_ping,
    legacy.CoreSubscribe: Session._op_subscribe,
    legacy.CoreUnsubscribe: Session._op_unsubscribe,
    legacy.QoSubscribe: Session._action_subscribe,
    legacy.QoUnsubscribe: Session._action_unsubscribe,
    legacy.QoListInstruments: Session._action_list,
    legacy.QoSearchInstruments: Session._action_search,
}
