"""Replays recorded ticks as if they came now: paced by their own stamps, resumable, loopable.

The market clock follows the event time. Reading happens in one thread, one batch ahead; rows enter the tape
on the loop in slices of at most 1024.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from qautlra._core.market import CtpNormaliser, Rows
from qautlra._core.sim import Resume, shift_days
from qautlra.base import metrics
from qautlra.base.clock import monotonic_ns, wall_ns
from qautlra.base.errors import ConfigError, SourceError
from qautlra.base.log import get_logger
from qautlra.source.base import SLICE_ROWS, Source, SourceContext
from qautlra.source.files import TickFile
from qautlra.source.hours import OpenTime, SectionCalendar

CLIENT_POLL_S = 0.02
LONGEST_SLEEP_S = 0.25
LONGEST_LAG_NS = 1_000_000_000
WEEKS_TRIED_COUNT = 1040
ERRORS_KEPT_COUNT = 20


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """`speed` is a factor of market time, 0 for as fast as rows are taken."""

    files: Sequence[str | Path]
    speed: float = 1.0
    loop: bool = False
    wait_clients: int = 0

    @classmethod
    def parse(cls, files: Sequence[str], speed: str, loop: bool, wait_clients: int) -> ReplayOptions:
        """Return options of the settings `source.replay.*`; ConfigError names the wrong one."""
        try:
            factor = 0.0 if speed == "max" else float(speed)
        except ValueError:
            factor = -1.0
        if factor < 0 or (factor == 0 and speed != "max"):
            raise ConfigError("not a speed", key="source.replay.speed", value=speed, expected="max or > 0")
        if not files:
            raise ConfigError("nothing to replay", key="source.replay.files", expected="one file or more")
        for name in files:
            if not Path(name).is_file():
                raise ConfigError("no such file", key="source.replay.files", value=str(name))
        return cls([Path(name) for name in files], factor, loop, wait_clients)


class ReplaySource(Source):
    """Publishes the rows of the files in the order given; ends as `finished` and stays up.

    Rows at or before the last stored identity of their instrument are skipped, which is what resumes a
    replay. Files that lie on the same day are not interleaved: list them in time order.
    """

    def __init__(self, context: SourceContext, options: ReplayOptions) -> None:
        super().__init__(context, "replay")
        self._options = options
        self._skipped = self._refused = self._bad = self._passes = 0
        self._errors: list[str] = []
        self._bad_lines: dict[str, list[int]] = {}
        self._file = ""
        self._first_day = self._last_day = 0
        self._pace: _Pace | None = None

    def health(self) -> dict[str, Any]:
        """Add the file at hand, what was skipped, refused and unreadable, and the errors met."""
        report = super().health() | {
            "file": self._file,
            "passes": self._passes,
            "skipped": self._skipped,
            "refused": self._refused,
            "bad_rows": self._bad,
            "errors": list(self._errors),
        }
        if self._bad_lines:
            report["bad_lines"] = self._bad_lines
        if self.state == "waiting":
            report["waiting_for_clients"] = self._options.wait_clients
        return report

    async def run(self) -> None:
        """Wait for the clients asked for, replay every file (again and again with `loop`), then idle."""
        self._watch()
        self.state = "waiting"
        while self.context.clients() < self._options.wait_clients:  # noqa: ASYNC110 - asked rarely
            await asyncio.sleep(CLIENT_POLL_S)
        self.state = "running"
        self._pace = _Pace(self.context.calendar, self._options.speed)
        resume = Resume(self.context.tape)
        shift = 0
        while True:
            before = self.context.pump.rows
            await self._one_pass(resume, shift)
            self._passes += 1
            if not self._options.loop:
                break
            if not self._first_day:
                self._note(SourceError("nothing in the files can be replayed, so it is not repeated"))
                break
            shift = self._next_shift(shift, resume)
            if self.context.pump.rows == before:
                await asyncio.sleep(0)
        self.state = "finished with errors" if self._errors else "finished"
        get_logger("source").info("replay_finished", rows=self.context.pump.rows, errors=len(self._errors))

    async def _one_pass(self, resume: Resume, shift: int) -> None:
        calendar = self.context.calendar
        for path in self._options.files:
            file = TickFile(path)
            self._file = str(path)
            # A file is read from its start each time, so that ordinals come out the same.
            normaliser = CtpNormaliser(self.context.instruments, calendar)
            async for batch in _read_ahead(file.batches()):
                for at in range(0, batch.num_rows, SLICE_ROWS):
                    rows, refused = normaliser.rows(
                        batch.slice(at, SLICE_ROWS), trust_action_day=True, now_ns=wall_ns()
                    )
                    self._refused += refused
                    await self._take(rows, resume, shift)
            self._account(file)

    async def _take(self, rows: Rows, resume: Resume, shift: int) -> None:
        if not len(rows):
            return
        if not shift:
            first, last = rows.trading_day(0), rows.trading_day(len(rows) - 1)
            self._first_day = min(self._first_day or first, first)
            self._last_day = max(self._last_day, last)
        else:
            shift_days(rows, shift)
        skipped = resume.drop_stored(rows)
        self._skipped += skipped
        if skipped and not len(rows):
            await asyncio.sleep(0)
            return
        assert self._pace is not None
        at = 0
        while at < len(rows):
            stop, wait_s = self._pace.due(rows, at)
            if stop == at:
                await asyncio.sleep(wait_s)
                continue
            # The clock leads: nobody may see a row from the market's future.
            self.context.clock.advance_to(rows.ts_event_ns(stop - 1))
            await self.context.pump.publish(rows, at, stop)
            at = stop

    def _account(self, file: TickFile) -> None:
        self._bad += file.bad_rows
        if file.bad_lines:
            self._bad_lines[str(file.path)] = sorted(file.bad_lines)
            get_logger("source").warning(
                "replay_bad_rows", file=str(file.path), count=file.bad_rows, first_line=min(file.bad_lines)
            )
        if file.error is not None:
            self._note(file.error)

    def _note(self, error: SourceError) -> None:
        get_logger("source").error("replay_file_broken", error=str(error))
        if len(self._errors) < ERRORS_KEPT_COUNT:
            self._errors.append(str(error))

    def _next_shift(self, shift: int, resume: Resume) -> int:
        """Return the next pass's shift in days: the fewest whole weeks that keep every day a trading day."""
        newest_ns = resume.newest_ns()
        newest = self.context.calendar.trading_day(newest_ns) if newest_ns else 0
        first, last = _to_date(self._first_day), _to_date(self._last_day)
        done = last + timedelta(days=shift)
        for _ in range(WEEKS_TRIED_COUNT):
            shift += 7
            if first + timedelta(days=shift) <= done or not self._all_trading_days(first, last, shift):
                continue
            if _to_int(last + timedelta(days=shift)) >= newest:
                return shift
            done = last + timedelta(days=shift)  # a pass that is stored already, whole
        raise SourceError(f"no week within {WEEKS_TRIED_COUNT} weeks has the trading days of the recording")

    def _all_trading_days(self, first: date, last: date, shift: int) -> bool:
        calendar = self.context.calendar
        day = first
        while day <= last:
            if calendar.is_trading_day(_to_int(day)) and not calendar.is_trading_day(
                _to_int(day + timedelta(days=shift))
            ):
                return False
            day += timedelta(days=1)
        return True

    def _watch(self) -> None:
        metrics.watch(
            "qautlra_source_bad_rows",
            "Recorded rows that could not be read or used.",
            lambda: self._bad + self._refused,
            kind="counter",
        )
        metrics.watch(
            "qautlra_source_rows", "Rows published.", lambda: self.context.pump.rows, kind="counter"
        )


class _Pace:
    """Says how many rows are due: market time since the day's first row, divided by the speed, has passed.

    Breaks and nights take no time; so does the way from one trading day to the next.
    """

    def __init__(self, calendar: SectionCalendar, speed: float) -> None:
        self._calendar = calendar
        self._speed = speed
        self._open_time = OpenTime(calendar)
        self._day = self._base_ts = self._base_ns = 0

    def due(self, rows: Rows, start: int) -> tuple[int, float]:
        """Return the index after the last row due now, and the seconds until the next when none is."""
        size = self._end_of_day(rows, start)
        if not self._speed:
            return size, 0.0
        now = due_ns = monotonic_ns()
        for at in range(start, size):
            due_ns = self._due_ns(rows, at, now)
            if due_ns > now:
                return at, min((due_ns - now) / 1e9, LONGEST_SLEEP_S)
        if now - due_ns > LONGEST_LAG_NS:  # held tape or sleeping machine: not made up for
            self._base_ns += now - due_ns
        return size, 0.0

    @staticmethod
    def _end_of_day(rows: Rows, start: int) -> int:
        """Return the index after the last row of the first one's trading day: each day enters alone."""
        size, day = len(rows), rows.trading_day(start)
        if rows.trading_day(size - 1) == day:
            return size
        return next(at for at in range(start, size) if rows.trading_day(at) != day)

    def _due_ns(self, rows: Rows, at: int, now: int) -> int:
        ts, day = rows.ts_event_ns(at), rows.trading_day(at)
        if day != self._day:
            self._day, self._base_ts, self._base_ns = day, ts, now
            self._open_time = OpenTime(self._calendar)
        self._open_time.know(rows.symbol(at), day)
        return self._base_ns + int(self._open_time.between(self._base_ts, ts) / self._speed)


async def _read_ahead(batches: Iterator[pa.RecordBatch]) -> AsyncIterator[pa.RecordBatch]:
    """Yield the batches, the next one being read in a thread while this one is used."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "replay") as thread:
        ahead = loop.run_in_executor(thread, next, batches, None)
        while (batch := await ahead) is not None:
            ahead = loop.run_in_executor(thread, next, batches, None)
            yield batch


def _to_date(day: int) -> date:
    return date(day // 10000, day // 100 % 100, day % 100)


def _to_int(day: date) -> int:
    return day.year * 10000 + day.month * 100 + day.day
