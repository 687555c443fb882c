"""The `sim` source: a whole made-up market whose virtual day never leaves a trading section.

Market time runs as fast as real time; breaks and nights are skipped forward. With the same seed and an empty
data directory the same rows come out; over stored rows the market goes on after the last of them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

from qautlra._core.market import Rows
from qautlra._core.sim import Simulator
from qautlra.base import metrics
from qautlra.base.clock import monotonic_ns, wall_ns
from qautlra.base.errors import ConfigError
from qautlra.base.log import get_logger
from qautlra.source.base import SLICE_ROWS, Source, SourceContext
from qautlra.source.contracts import listing
from qautlra.source.hours import CommonHours, Section
from qautlra.source.market import Listed, PastMaker, intern

WAKE_S = 0.01
OPENED_BEFORE_NS = 300_000_000_000
"""A first start finds the market open for so long, so that ticks and bars of seconds have a past too."""
CALM_TICKS_PER_S = 2000.0
"""Up to this rate rows do not wait for each other."""
LONGEST_LAG_NS = 1_000_000_000
_BEIJING = timezone(timedelta(hours=8))
Rate = float | Literal["natural", "max"]


@dataclass(frozen=True, slots=True)
class SimOptions:
    """`trading_day` YYYYMMDD, 0 for the current one; `ticks_per_s` of all instruments together."""

    seed: int = 1
    trading_day: int = 0
    ticks_per_s: Rate = "natural"
    burst: int = 1
    history_bars: int = 10_000

    @classmethod
    def parse(
        cls, *, seed: int, trading_day: str, ticks_per_s: str | float, burst: int, history_bars: int
    ) -> SimOptions:
        """Return options of the settings `source.sim.*`; a rate of 0 is the natural one."""
        rate: Rate
        if ticks_per_s in ("natural", "max"):
            rate = "max" if ticks_per_s == "max" else "natural"
        else:
            try:
                rate = float(ticks_per_s) or "natural"
            except ValueError:
                rate = -1.0
            if isinstance(rate, float) and not 0 < rate <= 1e6:
                raise ConfigError(
                    "not a rate",
                    key="source.sim.ticks_per_s",
                    value=ticks_per_s,
                    expected='"natural", "max" or a number up to 1000000',
                )
        day = int(trading_day.replace("-", "")) if trading_day else 0
        return cls(seed, day, rate, burst, history_bars)


class SimSource(Source):
    """Lists a day's contracts and trades them. Falls behind rather than jump when the machine stalls."""

    def __init__(self, context: SourceContext, options: SimOptions) -> None:
        super().__init__(context, "sim")
        self._options = options
        self._listed: dict[str, Listed] = {}
        self._maker = PastMaker(context.calendar, options.seed, options.history_bars)
        self._rows = Rows(context.instruments)
        self._simulator: Simulator | None = None
        self._hours: CommonHours | None = None
        self._section = Section(0, 0, 0)
        # Market time now is the base plus the real time since; it moves on at breaks and after stalls.
        self._base_market_ns = self._base_real_ns = self._asked_ns = 0

    def health(self) -> dict[str, Any]:
        """Add the market time, the trading day and the size of the market."""
        clock = self.context.clock
        return super().health() | {
            "market_time": _iso(clock.now_ns()) if self._listed else None,
            "trading_day": self._section.trading_day or None,
            "instruments": len(self._listed),
            "seed": self._options.seed,
            "ticks_per_s": self._options.ticks_per_s,
        }

    def facts(self) -> dict[str, Listed]:
        """Return what is listed, or was since the start, by symbol."""
        return dict(self._listed)

    async def start(self) -> None:
        """Open the market: list it, make and store its past. Trading begins as this returns."""
        self.state = "starting"
        self._listed.clear()
        day, from_ns = self._start()
        await self._open_market(day, from_ns)
        if not from_ns and self._options.ticks_per_s == "natural" and self.context.bars is not None:
            await self._trade_at_once(self._base_market_ns + OPENED_BEFORE_NS)
        self.state = "running"
        metrics.watch(
            "qautlra_source_rows", "Rows published.", lambda: self.context.pump.rows, kind="counter"
        )
        get_logger("source").info(
            "sim_running", trading_day=self._section.trading_day, instruments=len(self._listed)
        )
        await super().start()

    async def run(self) -> None:
        """Trade until cancelled."""
        while True:
            if self._options.ticks_per_s == "max":
                await self._trade_flat_out()
            elif self._options.burst > 1 or self._is_calm:
                await self._trade_in_bursts()
            else:
                await self._trade()
            await self._next_section()

    @property
    def _is_calm(self) -> bool:
        """Whether a rate was asked for at which each row can be published in its own time."""
        rate = self._options.ticks_per_s
        return isinstance(rate, float) and rate <= CALM_TICKS_PER_S

    def _start(self) -> tuple[int, int]:
        """Return the trading day and the moment to start from: after what is stored, if anything is."""
        calendar = self.context.calendar
        day = self._options.trading_day
        if day and not calendar.is_trading_day(day):
            raise ConfigError(
                f"not a trading day; the next one is {_dashed(calendar.next_trading_day(day))}",
                key="source.sim.trading_day",
                value=_dashed(day),
            )
        stored_day, stored_ns = self._stored()
        if not day:
            today = int(f"{datetime.fromtimestamp(wall_ns() / 1e9, _BEIJING):%Y%m%d}")
            day = today if calendar.is_trading_day(today) else calendar.next_trading_day(today)
        elif stored_day > day and not self._is_continued(day):
            raise ConfigError(
                f"the data directory holds a simulated market up to {_dashed(stored_day)}, and market time "
                "does not go back; choose another store.data_dir",
                key="source.sim.trading_day",
                value=_dashed(day),
            )
        if stored_day >= day:
            return stored_day, stored_ns + 1
        return day, 0

    def _stored(self) -> tuple[int, int]:
        """Return trading day and event time of the newest simulated row on the tape, zeros without any."""
        newest = (0, 0)
        for instrument in self.context.tape.seen():
            row = self.context.tape.last_row(instrument)
            if len(row) and row.to_dict(0)["source"] == "sim":
                newest = max(newest, (row.ts_event_ns(0), row.trading_day(0)))
        return newest[1], newest[0]

    def _is_continued(self, day: int) -> bool:
        futures = [one for one in listing(day, self.context.calendar) if one.is_future]
        numbers = (self.context.instruments.find(one.symbol) for one in futures)
        return any(n >= 0 and self.context.tape.last_identity(n) is not None for n in numbers)

    async def _open_market(self, day: int, from_ns: int) -> None:
        context, options = self.context, self._options
        listed = intern(context.instruments, listing(day, context.calendar))
        if not listed:
            raise ConfigError("no listed product is in config/products.toml", key="source.kinds", value="sim")
        self._hours = CommonHours(context.calendar, [one.symbol for one in listed])
        section = self._hours.at_or_after(day, from_ns)
        natural = sum(one.contract.live.ticks_per_s for one in listed)
        factor = options.ticks_per_s / natural if isinstance(options.ticks_per_s, float) else 1.0
        self._simulator = Simulator(context.instruments, factor)
        self._rows = Rows(context.instruments)
        start_ns = max(from_ns, section.open_ns)
        # The past ends where the first listed day opened, whatever was stored since.
        opening_ns = self._hours.of(section.trading_day)[0].open_ns
        await self._add(listed, section.trading_day, opening_ns)
        self._enter(section, start_ns)

    async def _add(self, listed: list[Listed], day: int, opening_ns: int) -> None:
        """List instruments: make their past, store its bars where there are none, let them trade."""
        context, simulator = self.context, self._simulator
        assert simulator is not None
        stored = await context.bars.bar_symbols() if context.bars is not None else set()
        wanted = {one.symbol for one in listed} - stored if context.bars is not None else set()
        if context.bars is not None and wanted and self._options.history_bars:
            context.bars.expect_bars()
        past = await asyncio.to_thread(self._maker.make, listed, day, opening_ns, wanted)
        if context.bars is not None and past.bars.num_rows:
            await context.bars.write_bars(past.bars)
        for one in listed:
            state = past.states[one.instrument]
            row = context.tape.last_row(one.instrument)
            if len(row):
                # A stream of its own after each stop, or the market would repeat itself.
                state["seed"] ^= row.ts_event_ns(0)
            one.index = simulator.add(one.instrument, **state)
            self._listed[one.symbol] = one
        simulator.begin_day(day)
        for one in listed:
            row = context.tape.last_row(one.instrument)
            if len(row):
                simulator.restore(one.index, row)

    def _enter(self, section: Section, from_ns: int) -> None:
        assert self._simulator is not None
        self._simulator.open_section(from_ns, section.close_ns)
        self._section = section
        self._base_market_ns, self._base_real_ns, self._asked_ns = from_ns, monotonic_ns(), from_ns
        self.context.clock.advance_to(from_ns)

    async def _next_section(self) -> None:
        """Go to the next section; at a day's end settle, retire what has expired and list what is new."""
        assert self._hours is not None and self._simulator is not None
        before = self._section
        section = self._hours.at_or_after(before.trading_day, before.close_ns)
        if section.trading_day != before.trading_day:
            day = section.trading_day
            self.context.clock.advance_to(before.close_ns - 1)
            self._simulator.close_day(self._rows)
            await self.context.pump.publish(self._rows)
            for one in self._listed.values():
                if one.contract.is_future and one.contract.expiry_day < day:
                    self._simulator.retire(one.index)
            self._simulator.begin_day(day)
            known = {one.instrument for one in self._listed.values()}
            listed = intern(self.context.instruments, listing(day, self.context.calendar))
            await self._add([one for one in listed if one.instrument not in known], day, section.open_ns)
        self._enter(section, section.open_ns)

    def _now(self) -> int:
        """Return market time, at most a second after the last time it was asked: a stall is not made up."""
        real = monotonic_ns()
        now = self._base_market_ns + real - self._base_real_ns
        if now > self._asked_ns + LONGEST_LAG_NS:
            now = self._asked_ns + LONGEST_LAG_NS
            self._base_market_ns, self._base_real_ns = now, real
        self._asked_ns = now
        return now

    async def _trade(self) -> None:
        """Publish rows as they fall due until the section closes."""
        simulator, rows, close_ns = self._simulator, self._rows, self._section.close_ns
        assert simulator is not None
        while (now := self._now()) < close_ns or simulator.due() is not None:
            self.context.clock.advance_to(min(now, close_ns - 1))
            if simulator.run(rows, now, SLICE_ROWS):
                await self.context.pump.publish(rows)
            else:
                due = simulator.due()
                wait_s = ((due if due is not None else close_ns) - now) / 1e9
                await asyncio.sleep(min(max(wait_s, WAKE_S), 0.5))

    async def _trade_at_once(self, until_ns: int) -> None:
        """Publish the rows up to a moment of this section without waiting for it."""
        simulator, rows = self._simulator, self._rows
        assert simulator is not None
        until_ns = min(until_ns, self._section.close_ns)
        while simulator.run(rows, until_ns, SLICE_ROWS):
            self.context.clock.advance_to(rows.ts_event_ns(len(rows) - 1))
            await self.context.pump.publish(rows)
        self._base_market_ns, self._base_real_ns, self._asked_ns = until_ns, monotonic_ns(), until_ns
        self.context.clock.advance_to(until_ns)

    async def _trade_in_bursts(self) -> None:
        """Publish `burst` rows at once, when the last of them is due."""
        simulator, rows, burst = self._simulator, self._rows, self._options.burst
        assert simulator is not None
        while (last := simulator.due(burst - 1)) is not None:
            now = self._now()
            if now <= last:
                # Timers of the loop are of milliseconds: less than one would be a turn without rest.
                await asyncio.sleep(min(max((last - now) / 1e9 + 0.0002, 0.001), 0.5))
                continue
            self.context.clock.advance_to(now)
            simulator.run(rows, last + 1, burst)
            await self.context.pump.publish(rows)
        await self._trade()

    async def _trade_flat_out(self) -> None:
        """Publish `burst` rows after each other without a pause, all instruments in turn."""
        simulator, rows, close_ns = self._simulator, self._rows, self._section.close_ns
        assert simulator is not None
        burst = self._options.burst
        while (now := self._now()) < close_ns:
            self.context.clock.advance_to(now)
            if simulator.blast(rows, now, burst):
                await self.context.pump.publish(rows)
            else:  # everything listed has expired
                await asyncio.sleep(WAKE_S)


def _iso(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns / 1e9, UTC).isoformat(timespec="milliseconds")


def _dashed(day: int) -> str:
    return f"{day // 10000:04d}-{day // 100 % 100:02d}-{day % 100:02d}"
