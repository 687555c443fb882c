"""Composes the simulated CTP front: the tape's ticks, the market's clock, the trading desk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from qautlra._core.ctp_feed import CtpFeed
from qautlra._core.market import Calendar
from qautlra._core.tape import Tape
from qautlra.base.clock import Clock
from qautlra.config.load import Loaded
from qautlra.net.ctp_front import CtpFrontService
from qautlra.wire.ctp_login import LoginReply


def make(loaded: Loaded, tape: Tape, clock: Clock, calendar: Calendar) -> CtpFrontService | None:
    """Return the front of this configuration, None when it is switched off."""
    settings = loaded.config.trade.ctp_front
    if not settings.enabled:
        return None

    def login() -> LoginReply:
        now_ns = clock.now_ns()
        beijing = datetime.fromtimestamp(now_ns / 1e9, UTC) + timedelta(hours=8)
        return LoginReply(calendar.trading_day(now_ns), beijing.strftime("%H:%M:%S"))

    def wanted(code: str) -> bool:
        """Take up an instrument nobody has asked for yet; whether its own code is this one."""
        symbol = tape.instruments.canonical(code)
        if symbol is None or symbol.partition(".")[2] != code:
            return False
        tape.instruments.intern(code)
        return True

    return CtpFrontService(
        settings=settings,
        feed=CtpFeed(tape, max_clients=settings.max_clients),
        login=login,
        wanted=wanted,
        chosen=loaded.origin("trade.ctp_front.listen") != "default",
    )
