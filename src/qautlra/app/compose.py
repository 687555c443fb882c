"""Configuration to services: the one place where rooms meet, cursors are attached and ports are given out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qautlra._core.market import Calendar, Instruments
from qautlra._core.tape import Follower, Tape
from qautlra.app import auth as auth_room
from qautlra.app import modes
from qautlra.app import sources as source_rooms
from qautlra.app.app import App
from qautlra.app.gate import GatedPump
from qautlra.app.places import data_directory, runtime_directory
from qautlra.base import log, metrics
from qautlra.base.clock import Clock, MarketClock, VirtualClock, WallClock, wall_ns
from qautlra.base.errors import ConfigError
from qautlra.config.choose import VIRTUAL, Choice, choose, listens_beside
from qautlra.config.listen import endpoints
from qautlra.model.calendar import data_file, load_calendar
from qautlra.model.expiry import last_day
from qautlra.net.app import NetService
from qautlra.net.deps import Deps
from qautlra.net.lag import LoopLag
from qautlra.source.base import Demand, Source, SourceContext, Wants
from qautlra.source.continuous import Continuous

if TYPE_CHECKING:
    from qautlra.app.brokers import Brokers
    from qautlra.base.service import Service
    from qautlra.config.load import Loaded
    from qautlra.config.tree import Config
    from qautlra.trade.service import TradeService

DAY_S: Final = 86_400
FEED_PATIENCE_S: Final = 1.0
_log = log.get_logger("app")


def build(loaded: Loaded) -> App:
    """Return the process of this configuration, nothing started yet; ConfigError when it cannot be."""
    config = loaded.config
    rooms = modes.rooms(config.mode, loaded.origin("mode"), with_store=config.store.enabled)
    choice = choose(loaded, rooms)
    calendar = _calendar()
    instruments = Instruments(calendar, _reference_day(config, choice))
    tape = Tape(instruments, calendar, config.feed.tape_ticks)
    market_clock = _clock(choice)
    last_days = _last_days(instruments, calendar)
    late = _Late()
    services: list[Service] = [LoopLag()]
    parts: dict[str, Any] = {"tape": tape, "instruments": instruments, "calendar": calendar}
    drains: list[Callable[[], object]] = []
    if rooms:
        from qautlra.base.arrow import leave_pandas_out

        leave_pandas_out()

    store = None
    if modes.STORE in rooms:
        from qautlra.store.service import StoreService

        store = StoreService(
            settings=config.store,
            data_dir=data_directory(config.store.data_dir),
            instruments=instruments,
            calendar=calendar,
            tape=tape,
            clock=market_clock,
            follows=modes.INGEST not in rooms,
        )
        drains.append(store.drain)
        parts["store"] = store

    trade = brokers = None
    beside_trade: list[Service] = []
    if modes.TRADE in rooms:
        from qautlra.app import documents
    if modes.TRADE in rooms and config.trade.trader.broker != "paper":
        beside_trade = documents.at_gateway(loaded, instruments, tape, market_clock, parts)
    elif modes.TRADE in rooms:
        from qautlra.trade.desk import Desk
        from qautlra.trade.service import TradeService

        trade = TradeService(
            settings=config.trade,
            data_dir=data_directory(config.store.data_dir),
            tape=tape,
            instruments=instruments,
            calendar=calendar,
            clock=market_clock,
            last_day=last_days,
        )
        parts["trade"] = trade
        brokers = _brokers_of(loaded, trade, instruments, tape, market_clock)
        beside_trade = documents.services(loaded, trade, instruments, market_clock, parts)

    demand = Demand()
    wants = Wants(demand)
    continuous = Continuous(tape, instruments, Follower(tape), demand)
    drains.insert(0, continuous.drain)
    feed = None
    if modes.FEED in rooms:
        from qautlra.app import feeding

        feed = feeding.make(config.feed, tape, market_clock, last_days, wants, continuous, store)
        drains.append(feed.on_batch)
        parts["feed"] = feed
        if config.trade.trader.broker == "ctp" and "broker" in parts:
            from qautlra.app.ctp import follow_status

            follow_status(parts["broker"], feed.directory)
        if brokers is not None:
            brokers.directory = feed.directory

    if trade is not None:
        drains.append(trade.on_batch)  # after the feed: prices do not wait for orders
    ctp_front = None
    if modes.FEED in rooms and config.trade.ctp_front.enabled:
        from qautlra.app import ctp_front as ctp_front_room

        ctp_front = ctp_front_room.make(loaded, tape, market_clock, calendar)
        ctp_front.demand_changed = lambda wanted: wants.put("ctp_front", wanted)
        drains.append(ctp_front.on_batch)
        parts["ctp_front"] = ctp_front

    sources: list[Source] = []
    if modes.SOURCE in rooms and choice.kinds:
        # A recording can wait. So can a feed, which merges meanwhile; who watches it, for a moment only.
        kinds = set(choice.kinds)
        is_feed = kinds == {"upstream"}
        held = "wait" if kinds <= VIRTUAL or (is_feed and feed is None) else "drop"
        pump = GatedPump(
            tape,
            drains,
            when_held=held,
            shed=None if store is None else store.shed,
            is_open=lambda: store is None or late.app.supervisor.children[store.name].state == "running",
            in_hand=store.in_hand if store is not None and set(choice.kinds) <= VIRTUAL else lambda: 0,
            patience_s=FEED_PATIENCE_S if is_feed else 0.0,
            missed=store.miss if store is not None else lambda _rows: None,
        )
        context = SourceContext(
            tape=tape,
            instruments=instruments,
            calendar=calendar,
            clock=market_clock,
            pump=pump,
            bars=store,
            clients=feed.served_count if feed is not None else (lambda: 0),
            demand=demand,
        )
        sources = source_rooms.make(choice.kinds, config, context)
        if trade is not None:
            trade.is_fed = lambda: any(map(_feeds, sources))
        parts["pump"] = pump

    app: App
    _watch_tape(tape)

    def started(service: Service) -> None:
        if service is store:
            _catch_up(market_clock, tape)

    settings, may_be_busy = _listening(loaded, choice)
    auth = auth_room.service(
        loaded, keeps_data=bool({modes.STORE, modes.TRADE} & rooms), profile=config.trade.profile
    )
    parts["auth"] = auth
    desk = None
    if trade is not None:
        desk = Desk(trade, data_directory(config.store.data_dir), tape, instruments)
        parts["desk"] = desk
        if auth is not None:
            from qautlra.app.trading import connect

            connect(auth, trade, desk)
            if ctp_front is not None:
                ctp_front_room.trade_on(ctp_front, trade, auth, market_clock, last_days)
    kafka = imports = lake = None
    if store is not None and modes.INGEST in rooms:
        from qautlra.app import taking

        imports = taking.imports(config.store, store, instruments, calendar)
        if config.link.kafka.enabled:
            kafka = taking.kafka(config.link.kafka, store)
        if config.store.lake.url:
            lake = taking.lake(config.store.lake, store)
    deps = Deps(
        settings=settings,
        clock=market_clock,
        process=late,
        modes=config.mode,
        feed=feed,
        store=store.query if store is not None and modes.QUERY in rooms else None,
        ingest=store.ingest if store is not None and modes.INGEST in rooms else None,
        streams=store.ingest if store is not None else None,
        imports=imports,
        auth=auth,
        trade=trade,
        desk=desk,
        require_login=config.auth.require_login,
        may_be_busy=may_be_busy,
    )
    net = NetService(deps)
    parts["net"] = net
    services.append(net)
    if auth is not None:
        from qautlra.net.admin_socket import AdminSocket

        services.insert(1, auth)
        services.append(AdminSocket(auth, runtime_directory, lambda: [port for _, port in net.addresses]))
    flight: Service | None = None
    if store is not None and config.net.flight_listen:
        from qautlra.net.flight import FlightDoor

        origin = loaded.origin("net.flight_listen")
        (place,) = endpoints([config.net.flight_listen], origin, allow_remote=config.net.allow_remote)
        flight = FlightDoor(deps, place.host, place.port)
    trading = () if trade is None else (trade, trade.router)
    parts_in_order = (store, imports, lake, kafka, flight, desk, *trading, *beside_trade, feed, ctp_front)
    services += [part for part in parts_in_order if part is not None]
    services += sources
    app = App(
        loaded=loaded,
        choice=choice,
        services=services,
        market_clock=market_clock,
        tape=tape,
        calendar=calendar,
        started=started,
        parts=parts,
    )
    late.app = app
    return app


def _feeds(source: Source) -> bool:
    """Tell whether a source shows the market as it is now, as far as it knows."""
    facts = source.health()
    return bool(facts.get("connected", True)) and not facts.get("behind")


def _brokers_of(
    loaded: Loaded, trade: TradeService, instruments: Instruments, tape: Tape, clock: Clock
) -> Brokers:
    """Give the router the brokers outside, where the configuration has any; return what makes them."""
    from qautlra.app.brokers import Brokers
    from qautlra.trade.brokers.gate import OutsideGate
    from qautlra.trade.risk import changes

    brokers = Brokers(loaded.config, instruments, tape, clock)
    settings = loaded.config.trade
    trade.router.sites = brokers
    trade.router.gate = OutsideGate(
        brokers.market, settings.profile, **changes(settings.profile, settings.limits)
    )
    return brokers


def _last_days(instruments: Instruments, calendar: Calendar) -> Callable[[str], int]:
    """Return what tells the last trading day (YYYYMMDD) of a contract, 0 when it is not known."""

    @cache  # of what is in the table: asked every second for each status that is watched
    def of(symbol: str) -> int:
        return last_day(instruments.info(instruments.find(symbol)), calendar)

    return of


class _Late:
    """Stands for the app where a part needs it before it exists."""

    app: App

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)


def _clock(choice: Choice) -> MarketClock:
    return VirtualClock(choice.kinds[0]) if choice.is_virtual else WallClock()


def _reference_day(config: Config, choice: Choice) -> int:
    """Return the day near which a one-digit year is understood, 0 for the machine's today."""
    if choice.kinds == ("replay",):
        from qautlra.source.files import first_day

        return first_day(config.source.replay.files)
    day = config.source.sim.trading_day
    return int(day.replace("-", "")) if day else 0


def _calendar() -> Calendar:
    """Return the trading calendar; ConfigError for files that are wrong.

    Behind the holidays that are known every weekday is taken for a trading day: that is said, and measured.
    """
    try:
        calendar = load_calendar()
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from None
    last = datetime.strptime(f"{calendar.known_through} +0800", "%Y%m%d %z").timestamp()
    if last + DAY_S < wall_ns() / 1e9:
        _log.warning(
            "holidays_unknown", known_through=calendar.known_through, file=str(data_file("calendar.toml"))
        )
    metrics.watch("qautlra_calendar_known_through_s", "The last day whose holidays are known", lambda: last)
    return calendar


def _catch_up(market_clock: Clock, tape: Tape) -> None:
    """Set the market clock to the newest row recovery brought back: `now` means the same as before."""
    if not isinstance(market_clock, VirtualClock):
        return
    stamps = [identity[0] for i in tape.seen() if (identity := tape.last_identity(i)) is not None]
    if stamps:
        market_clock.advance_to(max(stamps))


def _listening(loaded: Loaded, choice: Choice) -> tuple[Any, frozenset[str]]:
    """Return the settings of the door, and which of its addresses may be busy."""
    wanted = listens_beside(loaded, choice)
    net = msgspec.structs.replace(loaded.config.net, listen=[one.text for one in wanted])
    return net, frozenset(one.text for one in wanted if not one.required)


def _watch_tape(tape: Tape) -> None:
    metrics.watch("qautlra_tape_rows_total", "Rows published", lambda: tape.head, kind="counter")
    metrics.watch("qautlra_tape_duplicates_total", "Rows met again", lambda: tape.duplicates, kind="counter")
    metrics.watch("qautlra_tape_late_total", "Rows older than the newest", lambda: tape.late, kind="counter")
    metrics.watch("qautlra_tape_capacity_count", "Length of the tape", lambda: tape.capacity)
