"""Ticks of a CTP front, real or simulated: what clients want is subscribed, what comes is published as rows.

The core reads records off CTP's thread; here batches become rows. A front of ours that replays the past says
so by its library, and its own days are trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from qautlra._core.ctp_feed import TICK_BYTES, CtpTicks
from qautlra.base import metrics
from qautlra.base.log import get_logger
from qautlra.link.ctp_login import MARKET_STEPS, State
from qautlra.link.ctp_session import CtpSession, SessionOptions, new_brain
from qautlra.source.base import Source, SourceContext
from qautlra.wire.ctp_frames import Frame, Kind
from qautlra.wire.ctp_records import layout

SUBSCRIBE_COUNT: Final = 500
REFUSED_COUNT: Final = 100
FUTURES: Final = frozenset({"SHFE", "INE", "DCE", "CZCE", "CFFEX", "GFEX"})
_log = get_logger("source")


class CtpSource(Source):
    """One market session. With nothing wanted it is logged in and subscribes nothing.

    After a reconnection everything is subscribed again and counts as stale until its next tick.
    """

    def __init__(
        self,
        context: SourceContext,
        options: SessionOptions,
        *,
        instruments: tuple[str, ...] = (),
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(context, "ctp")
        self._pinned = frozenset(instruments)
        self._options = options
        self._is_open = is_open
        self._subscribed: dict[str, str] = {}  # code -> symbol
        self._stale: set[str] = set()
        self._refused: dict[str, int] = {}
        self._unlisten: Callable[[], None] = lambda: None
        self._normaliser = CtpTicks(context.instruments, context.calendar)
        self._session = self._new_session()
        self._bad = 0
        self._last_ns = 0
        self._latency = metrics.histogram(
            "qautlra_source_ctp_latency_seconds",
            "Receipt of a batch's newest tick minus its own stamp",
            (0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 60.0),
        )

    def _new_session(self) -> CtpSession:
        return CtpSession(
            self._options,
            new_brain(MARKET_STEPS, self._options.login, self._is_open),
            market=True,
            on_ticks=self._on_ticks,
            on_frame=self._on_frame,
            on_state=self._on_state,
        )

    def serves(self, symbol: str) -> bool:
        """Tell whether a CTP front can have the instrument."""
        return symbol.partition(".")[0] in FUTURES

    # --- life ---

    async def start(self) -> None:
        """Listen to the demand and connect."""
        self._unlisten()
        self._unlisten = self.context.demand.listen(self._follow)
        await super().start()

    async def stop(self, grace_s: float) -> None:
        """Log off."""
        self._unlisten()
        await super().stop(grace_s)

    async def run(self) -> None:
        """Keep the session."""
        self._session = self._new_session()
        self._subscribed = {}
        await self._session.run()

    def _on_state(self, state: State) -> None:
        self.state = str(state)
        if state is State.LOGGED_IN:
            self._stale = set(self._subscribed.values())
            self._subscribed = {}
            self._follow()
        elif state is State.LOCKED:
            _log.error("ctp_locked", session=self._options.name, reason=self._session.brain.reason)

    # --- subscriptions ---

    def _wanted(self) -> dict[str, str]:
        found = {}
        for spelling in self.context.demand.wanted | self._pinned:
            symbol = self.context.instruments.canonical(spelling)
            if symbol is not None and self.serves(symbol):
                found[symbol.partition(".")[2]] = symbol
        return found

    def _follow(self) -> None:
        """Subscribe what is wanted and not subscribed, give up what nobody wants any more."""
        if self._session.brain.state is not State.LOGGED_IN:
            return
        wanted = self._wanted()
        new = sorted(code for code in wanted if code not in self._subscribed)
        gone = sorted(code for code in self._subscribed if code not in wanted)
        for at in range(0, len(new), SUBSCRIBE_COUNT):
            self._session.subscribe(new[at : at + SUBSCRIBE_COUNT])
        for at in range(0, len(gone), SUBSCRIBE_COUNT):
            self._session.subscribe(gone[at : at + SUBSCRIBE_COUNT], on=False)
        self._subscribed = wanted

    def _on_frame(self, got: Frame) -> None:
        if got.kind == Kind.SUBSCRIBE and got.error and len(self._refused) < REFUSED_COUNT:
            self._refused[layout("SpecificInstrument").read(got.record).text("InstrumentID")] = got.error

    # --- ticks ---

    async def _on_ticks(self, ticks: bytes) -> None:
        context = self.context
        now_ns = context.clock.now_ns()
        rows, refused = self._normaliser.rows(ticks, now_ns=now_ns, recorded=self._session.library.simulated)
        self._bad += refused
        if not len(rows):
            return
        if self._stale:
            self._stale.difference_update({rows.symbol(i) for i in range(len(rows))})
        newest_ns = max(rows.ts_event_ns(i) for i in range(len(rows)))
        self._last_ns = max(self._last_ns, newest_ns)
        self._latency.observe(max(now_ns - newest_ns, 0) / 1e9)
        context.clock.advance_to(newest_ns)
        await context.pump.publish(rows)

    def health(self) -> dict[str, Any]:
        """Return the session's facts, what is subscribed, and what was refused."""
        session = self._session.health()
        report = super().health() | session
        report |= {"subscribed": len(self._subscribed), "not_published": self._bad, "tick_bytes": TICK_BYTES}
        if self._stale:
            report["stale"] = len(self._stale)
        if self._refused:
            report["refused"] = dict(self._refused)
        if self._bad:
            report["first_refusal"] = self._normaliser.first_refusal
        return report
