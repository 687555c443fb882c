"""Composes the simulated CTP front: the tape's ticks, the market's clock, the trading desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from qautlra._core.ctp_feed import CtpFeed
from qautlra.net.ctp_desk import Desk
from qautlra.net.ctp_front import CtpFrontService
from qautlra.net.ctp_trader import TraderSession
from qautlra.wire import ctp_queries
from qautlra.wire.ctp_frames import ANSWER, LAST, Kind
from qautlra.wire.ctp_login import LoginReply

if TYPE_CHECKING:
    from qautlra._core.market import Calendar, Instruments
    from qautlra._core.tape import Tape
    from qautlra.auth.service import AuthService
    from qautlra.base.clock import Clock
    from qautlra.config.load import Loaded
    from qautlra.trade.service import TradeService


def make(loaded: Loaded, tape: Tape, clock: Clock, calendar: Calendar) -> CtpFrontService:
    """Return the front of this configuration, without trading yet."""
    settings = loaded.config.trade.ctp_front

    def login() -> LoginReply:
        now_ns = clock.now_ns()
        beijing = datetime.fromtimestamp(now_ns / 1e9, UTC) + timedelta(hours=8)
        return LoginReply(calendar.trading_day(now_ns), beijing.strftime("%H:%M:%S"))

    feed = CtpFeed(tape, max_clients=settings.max_clients)
    return CtpFrontService(
        settings=settings,
        feed=feed,
        login=login,
        wanted=lambda code: _own_code(tape.instruments, code),
        symbol=tape.instruments.canonical,
        chosen=loaded.origin("trade.ctp_front.listen") != "default",
    )


def trade_on(
    front: CtpFrontService,
    trade: TradeService,
    auth: AuthService,
    clock: Clock,
    last_day: Callable[[str], int],
) -> None:
    """Let trader sessions into the front."""
    feed = front.feed
    assert isinstance(feed, CtpFeed)
    front.desk = desk = Desk(
        settings=front.settings,
        trade=trade,
        auth=auth,
        listing=Listing(feed, last_day),
        login=front.login,
        now_ns=clock.now_ns,
    )
    front.trader = partial(TraderSession, desk)


def _own_code(instruments: Instruments, code: str) -> bool:
    """Take up an instrument nobody has asked for yet; whether its own code is this one."""
    symbol = instruments.canonical(code)
    if symbol is None or symbol.partition(".")[2] != code:
        return False
    instruments.intern(code)
    return True


class Listing:
    """The instrument table as the front shows it: futures and options that have a tick."""

    def __init__(self, feed: CtpFeed, last_day: Callable[[str], int]) -> None:
        self._feed = feed
        self._table = feed.tape.instruments
        self._last_day = last_day
        self._looked = 0
        self._made: list[tuple[Mapping[str, Any], bytes]] = []

    def symbol(self, code: str, exchange: str) -> str | None:
        """Return the full name of the instrument with this very code; None when there is none."""
        number = self._feed.instrument_of(code)
        if number is None:
            return None
        symbol = self._table.symbol(number)
        return symbol if exchange in ("", symbol.partition(".")[0]) else None

    def info(self, symbol: str) -> Mapping[str, Any]:
        """Return the table's facts of an instrument."""
        return self._table.info(self._table.find(symbol))

    @property
    def made(self) -> Sequence[tuple[Mapping[str, Any], bytes]]:
        """The futures and options that were looked at so far, with their records."""
        return self._made

    def look(self, count: int) -> bool:
        """Make the records of up to `count` more of the table, each once; tell whether there are more."""
        first, self._looked = self._looked, min(self._looked + count, len(self._table))
        for number in range(first, self._looked):
            info = self._table.info(number)
            if info["kind"] in ("FUTURE", "OPTION") and info["price_tick"]:
                record = ctp_queries.instrument(info, self._last_day(info["symbol"]))
                self._made.append((info, record))
        return self._looked < len(self._table)

    def instruments(self) -> Iterator[tuple[Mapping[str, Any], bytes]]:
        """Yield every listed future and option with its record, made as it is asked for."""
        at, is_more = 0, True
        while is_more:
            is_more = self.look(1)
            while at < len(self._made):
                yield self._made[at]
                at += 1

    def depth(self, code: str, request: int) -> bytes | None:
        """Return the latest of an instrument as one frame; None when there is none."""
        return self._feed.depth(code, Kind.QRY_DEPTH, LAST | ANSWER, request)
