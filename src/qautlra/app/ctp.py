"""Configuration to CTP sessions: which library, which front, whose credentials."""

from __future__ import annotations

from collections.abc import Callable

from qautlra._core import book
from qautlra._core.market import Calendar
from qautlra.base.clock import Clock, monotonic_s
from qautlra.base.errors import ConfigError
from qautlra.config.tree import Broker, Config
from qautlra.feed.directory import AUCTION, NOT_TRADING, TRADING, Directory
from qautlra.link.ctp_library import find_libraries
from qautlra.link.ctp_login import LoginOptions
from qautlra.link.ctp_session import SessionOptions
from qautlra.source.base import SourceContext
from qautlra.source.ctp import CtpSource
from qautlra.trade.brokers.ctp import CtpBroker

OPEN_PROBES = ("SHFE.au", "CFFEX.IF", "DCE.m")
SLACK_NS = 10 * 60 * 1_000_000_000
PROBE_S = 5.0
_STATES = {book.CONTINUOUS: TRADING, book.AUCTION: AUCTION}


def session_options(config: Config, name: str, *, market: bool) -> SessionOptions:
    """Return the session of a configured broker; ConfigError when there is none, or no library for it."""
    ctp = config.source.ctp
    broker: Broker | None = ctp.brokers.get(name)
    if broker is None:
        raise ConfigError("no such broker", key="source.ctp.brokers", value=name)
    address = broker.front_addr if market else broker.td_addr
    fronts = fronts_of(address, f"source.ctp.brokers.{name}.{'front_addr' if market else 'td_addr'}")
    found = find_libraries(config.ctp.md_lib, config.ctp.td_lib)
    return SessionOptions(
        name=name,
        library=found.market if market else found.trader,
        fronts=fronts,
        broker_id=broker.broker_id,
        user_id=broker.user_id,
        password=broker.password,
        app_id=broker.app_id,
        auth_code=broker.auth_code,
        query_interval_s=ctp.query_interval_s,
        login=LoginOptions(connect_s=ctp.connect_timeout_s),
    )


def market_source(config: Config, context: SourceContext) -> CtpSource:
    """Return the CTP source of the broker in use."""
    ctp = config.source.ctp
    return CtpSource(
        context,
        session_options(config, ctp.default_broker, market=True),
        instruments=tuple(ctp.instruments),
        is_open=any_section(context.calendar, context.clock),
    )


def follow_status(broker: CtpBroker, directory: Directory) -> None:
    """Have clients told the trading status as the broker's front says it, for as long as it is there."""
    who = f"{broker.bid}.{broker.account}"

    def told(name: str, phase: int) -> None:
        directory.tell(who, name, _STATES.get(phase, NOT_TRADING))

    broker.status_told = told
    broker.status_lost = lambda: directory.forget(who)


def fronts_of(address: str, key: str) -> tuple[str, ...]:
    fronts = tuple(one.strip() for one in address.split(",") if one.strip())
    if not fronts or not all(one.startswith(("tcp://", "ssl://")) for one in fronts):
        raise ConfigError("not a CTP front", key=key, value=address, expected="tcp://HOST:PORT[,...]")
    return fronts


def any_section(calendar: Calendar, clock: Clock) -> Callable[[], bool]:
    """Return what tells whether any futures market trades now, or will within ten minutes."""
    looked_s, known = -PROBE_S, True

    def look() -> bool:
        now_ns = clock.now_ns()
        day = calendar.trading_day(now_ns)
        return any(
            open_ns - SLACK_NS <= now_ns < close_ns + SLACK_NS
            for symbol in OPEN_PROBES
            for open_ns, close_ns in calendar.section_bounds(f"{symbol}9912", day)
        )

    def is_open() -> bool:
        nonlocal looked_s, known
        if monotonic_s() - looked_s >= PROBE_S:
            looked_s, known = monotonic_s(), look()
        return known

    return is_open
