"""What happened before a chart was opened: bars and ticks out of tape and store, as blocks of rows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from qautlra.feed.ruler import DAY_NS, DAY_S, SECOND_NS, ZONE_NS, Ints, Ruler
from qautlra.feed.series import BAR_FIELDS, Block, Floats, bars_of, fold_ticks, nothing
from qautlra.wire.charts import TICK_KEYS

MINUTE_S = 60
MINUTE_NS = MINUTE_S * SECOND_NS
TICKS_READ_COUNT = 200_000  # rows read for one window of bars shorter than a minute
JUST_BEFORE_NS = 20 * MINUTE_NS
LONGEST_REST_NS = 12 * DAY_NS  # no trading day begins longer than this before its date
SINCE_US = -(2**53)
_BAR_COLUMNS = ("trading_date", "last_price", "volume", "open_interest", "seq")
_TICK_COLUMNS = (*TICK_KEYS, "seq")


class History(Protocol):
    """The stored past of one instrument at a time. Times are Unix microseconds, tables in order."""

    async def caught_up(self) -> bool: ...
    async def minutes(self, symbol: str, start_us: int, stop_us: int) -> pa.Table: ...
    async def prices(
        self, symbol: str, columns: tuple[str, ...], start_us: int, stop_us: int, limit: int
    ) -> pa.Table: ...
    async def ticks(
        self, symbol: str, columns: tuple[str, ...], start_us: int, stop_us: int, limit: int | None = None
    ) -> pa.Table: ...
    async def measure(self, symbol: str, start_us: int, stop_us: int) -> tuple[int, int | None]: ...


class Tape(Protocol):
    """The tape's last rows and minute bars."""

    def bars(self, instrument: int, period_s: int = 60) -> pa.RecordBatch: ...
    def last_row(self, instrument: int) -> Any: ...


class Calendar(Protocol):
    """Which bar a moment belongs to."""

    def bar_open(self, symbol: str, ts_ns: int, period_ns: int) -> int: ...
    def trading_day(self, ts_ns: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Handover:
    """Where the tape stands: the newest row, and the minutes made of what this process saw."""

    ts_ns: int
    ordinal: int
    day: int
    row: dict[str, Any]
    minutes: tuple[Ints, Floats]

    @property
    def volume(self) -> float:
        """The day's total up to this row."""
        value = self.row["volume"]
        return float("nan") if value is None else float(value)

    @property
    def values(self) -> list[float]:
        """The row as one of a tick series."""
        found = (self.row.get(key) for key in TICK_KEYS)
        return [float("nan") if value is None else float(value) for value in found]


class Past:
    """Reads for one instrument and, if it is of bars, one period. `ruler` None: ticks."""

    def __init__(
        self,
        tape: Tape,
        calendar: Calendar,
        history: History | None,
        symbol: str,
        instrument: int,
        period_s: int,
        ruler: Ruler | None,
    ) -> None:
        self._tape = tape
        self._calendar = calendar
        self._history = history
        self._symbol = symbol
        self._instrument = instrument
        self._period_s = period_s
        self._ruler = ruler
        self._base: int | None = None

    def handover(self) -> Handover | None:
        """Return where the tape stands now, None when it has not seen the instrument."""
        rows = self._tape.last_row(self._instrument)
        if not len(rows):
            return None
        batch = self._tape.bars(self._instrument, MINUTE_S)
        days = batch.column("trading_day").to_numpy()
        times = batch.column("datetime").to_numpy()
        minutes = (self._labelled(times, _midnights_of_numbers(days)), _bar_values(batch))
        return Handover(rows.ts_event_ns(0), rows.ordinal(0), rows.trading_day(0), rows.to_dict(0), minutes)

    async def caught_up(self) -> bool:
        """Wait a while until what is on the tape now is stored; return whether it is."""
        return self._history is None or await self._history.caught_up()

    # --- bars ---

    async def newest_bars(self, handover: Handover | None, now_ns: int, width: int) -> tuple[Block, int]:
        """Return the last `width` bars up to the handover, and the lowest id that was looked for."""
        ruler = self._need_ruler()
        newest_ns = now_ns if handover is None else self._opened(handover.ts_ns)
        low = max(ruler.id_at(newest_ns if newest_ns >= 0 else now_ns) - width + 1, 0)
        if self._history is None:
            times, values = handover.minutes if handover and self._of_minutes else _no_bars()
        elif not self._of_minutes:
            stop_ns = now_ns if handover is None else handover.ts_ns + 1
            times, values = await self._short_bars(self._start_ns(low), stop_ns, handover)
        else:
            times, values = await self._whole_minutes(self._start_ns(low), handover, now_ns)
        block = await asyncio.to_thread(bars_of, ruler, times, values)
        return block.part(low, block.last), low

    async def bars(self, low: int, high: int) -> Block:
        """Return the stored bars of low <= id <= high, from the first there is."""
        ruler = self._need_ruler()
        if self._history is None or low > high:
            return nothing(len(BAR_FIELDS))
        start_ns, stop_ns = self._start_ns(low), ruler.time_of(high + 1)
        if self._of_minutes:
            times, values = await self._minutes(start_ns, stop_ns)
        else:
            times, values = await self._short_bars(start_ns, stop_ns, None)
        block = await asyncio.to_thread(bars_of, ruler, times, values)
        return block.part(low, high)

    @property
    def _of_minutes(self) -> bool:
        return self._period_s % MINUTE_S == 0

    async def _whole_minutes(
        self, start_ns: int, handover: Handover | None, now_ns: int
    ) -> tuple[Ints, Floats]:
        """Return minutes up to the handover: the store's, then those seen here from their beginning."""
        if handover is None:
            return await self._minutes(start_ns, now_ns + DAY_NS)
        raw = self._tape.bars(self._instrument, MINUTE_S)
        opens = raw.column("datetime").to_numpy()
        times, values = handover.minutes
        if len(opens) >= 2 and len(opens) == len(times):  # only the first may have begun before we looked
            older = await self._minutes(start_ns, int(opens[1]))
            return _joined(older, (times[1:], values[1:]))
        minute_ns = self._calendar.bar_open(self._symbol, handover.ts_ns, MINUTE_NS)
        if minute_ns < 0:
            return await self._minutes(start_ns, handover.ts_ns + 1)
        older = await self._minutes(start_ns, minute_ns)
        return _joined(older, await self._open_minute(minute_ns, handover))

    async def _minutes(self, start_ns: int, stop_ns: int) -> tuple[Ints, Floats]:
        if self._history is None or start_ns >= stop_ns:
            return _no_bars()
        table = await self._history.minutes(self._symbol, -(-start_ns // 1000), -(-stop_ns // 1000))
        dates = table.column("trading_date").cast(pa.int32()).to_numpy().astype(np.int64)
        times = table.column("datetime").cast(pa.int64()).to_numpy() * 1000
        return self._labelled(times, dates * DAY_NS - ZONE_NS), _bar_values(table)

    async def _open_minute(self, minute_ns: int, handover: Handover) -> tuple[Ints, Floats]:
        """Return the bar of the minute the handover lies in, made of its rows."""
        times, values = await self._folded(minute_ns - JUST_BEFORE_NS, handover.ts_ns + 1, MINUTE_S, handover)
        mine = times >= minute_ns
        days = np.full(int(mine.sum()), _midnight(handover.day), np.int64)
        return self._labelled(times[mine], days), values[mine]

    async def _short_bars(
        self, start_ns: int, stop_ns: int, handover: Handover | None
    ) -> tuple[Ints, Floats]:
        """Return rows as bars of their own, labelled for this period, but for what may lack its beginning."""
        before_ns = start_ns - max(self._period_s * SECOND_NS, MINUTE_NS)
        times, values = await self._folded(before_ns, stop_ns, self._period_s, handover)
        whole = times > times[0] if len(times) and times[0] < start_ns else slice(None)
        return times[whole], values[whole]

    async def _folded(
        self, start_ns: int, stop_ns: int, period_s: int, handover: Handover | None
    ) -> tuple[Ints, Floats]:
        """Return one bar per row, at the opening of the period it belongs to."""
        assert self._history is not None
        start_us, stop_us = -(-start_ns // 1000), -(-stop_ns // 1000)
        table = await self._history.prices(self._symbol, _BAR_COLUMNS, start_us, stop_us, TICKS_READ_COUNT)
        return await asyncio.to_thread(self._fold, _until(table, handover), period_s)

    def _fold(self, table: pa.Table, period_s: int) -> tuple[Ints, Floats]:
        times = table.column("datetime").cast(pa.int64()).to_numpy() * 1000
        seconds, place = np.unique(times // SECOND_NS, return_inverse=True)
        period_ns = period_s * SECOND_NS
        opens = [self._calendar.bar_open(self._symbol, int(s) * SECOND_NS, period_ns) for s in seconds]
        labels = np.array(opens, np.int64)[place] if len(times) else times
        prices = _column(table, "last_price")
        keep = (labels >= 0) & ~np.isnan(prices)
        labels = labels[keep]
        days = table.column("trading_date").cast(pa.int32()).to_numpy()[keep].astype(np.int64)
        volumes, interests = _column(table, "volume")[keep], _column(table, "open_interest")[keep]
        return labels, fold_ticks(days, prices[keep], volumes, interests)

    def _opened(self, ts_ns: int) -> int:
        period_ns = min(self._period_s, DAY_S) * SECOND_NS
        opened = self._calendar.bar_open(self._symbol, ts_ns, period_ns)
        return opened if opened >= 0 else ts_ns

    def _start_ns(self, low: int) -> int:
        """Return from when on minutes can be part of a bar."""
        opened = self._need_ruler().time_of(low)
        return opened - LONGEST_REST_NS if self._period_s >= DAY_S else opened

    def _labelled(self, times: Ints, midnights: Ints) -> Ints:
        """Return when the bars that minutes are part of may be taken to open; of days: their trading day."""
        return midnights if self._period_s >= DAY_S else times

    def _need_ruler(self) -> Ruler:
        assert self._ruler is not None
        return self._ruler

    # --- ticks ---

    async def newest_ticks(self, handover: Handover | None, width: int) -> Block:
        """Return the last `width` rows up to the handover."""
        if handover is None:
            return nothing(len(TICK_KEYS))
        if self._history is not None:
            block = await self._ticks_before(handover.ts_ns // 1000 + 1, width, handover)
            if len(block):
                return block
        only = np.array([handover.values])
        return Block(handover.ts_ns // 1_000_000, np.array([handover.ts_ns], np.int64), only)

    async def older_ticks(self, before_ns: int, width: int) -> Block:
        """Return the last `width` rows earlier than a moment."""
        if self._history is None:
            return nothing(len(TICK_KEYS))
        return await self._ticks_before(before_ns // 1000, width, None)

    async def ticks(self, low: int, high: int) -> Block:
        """Return the rows of low <= id <= high, from the first there is."""
        base = await self._tick_base()
        if self._history is None or base is None or low > high:
            return nothing(len(TICK_KEYS))
        # The time of row `low` is found by counting: few rows are read, however far back it lies.
        count, oldest_us = await self._history.measure(self._symbol, SINCE_US, -SINCE_US)
        early_us, late_us = oldest_us or 0, -SINCE_US
        before = 0
        wanted = max(low - base, 0)
        if count <= wanted:
            return nothing(len(TICK_KEYS))
        newest = await self._history.ticks(self._symbol, ("seq",), SINCE_US, -SINCE_US, 1)
        late_us = newest.column("datetime").cast(pa.int64())[0].as_py() + 1
        while count > 4 * (high - low + 1) + 1000 and late_us - early_us > 1:
            middle = (early_us + late_us) // 2
            half, _ = await self._history.measure(self._symbol, early_us, middle)
            if before + half <= wanted:
                early_us, before, count = middle, before + half, count - half
            elif before + half > high - base:
                late_us, count = middle, half
            else:
                break
        table = await self._history.ticks(self._symbol, _TICK_COLUMNS, early_us, late_us)
        return _tick_block(table, base + before).part(low, high)

    async def tick_at(self, ts_ns: int) -> int:
        """Return the id of the first row at or after a moment, as far as rows are stored."""
        base = await self._tick_base()
        if self._history is None or base is None:
            return -1
        before, _ = await self._history.measure(self._symbol, SINCE_US, -(-ts_ns // 1000))
        return base + before

    async def _tick_base(self) -> int | None:
        """Return the id of the oldest stored row."""
        if self._base is None and self._history is not None:
            _, oldest_us = await self._history.measure(self._symbol, SINCE_US, -SINCE_US)
            self._base = None if oldest_us is None else oldest_us // 1000
        return self._base

    async def _ticks_before(self, stop_us: int, width: int, handover: Handover | None) -> Block:
        assert self._history is not None
        base = await self._tick_base()
        table = await self._history.ticks(self._symbol, _TICK_COLUMNS, SINCE_US, stop_us, width + 64)
        if base is None or not table.num_rows:
            return nothing(len(TICK_KEYS))
        times = table.column("datetime").cast(pa.int64()).to_numpy()
        if table.num_rows == width + 64 and times[0] != times[-1]:  # of its first moment rows may be missing
            table = table.slice(int((times == times[0]).sum()))
        first_us = table.column("datetime").cast(pa.int64())[0].as_py()
        before, _ = await self._history.measure(self._symbol, SINCE_US, first_us)
        block = _tick_block(_until(table, handover), base + before)
        return block.part(block.last - width + 1, block.last)


def _until(table: pa.Table, handover: Handover | None) -> pa.Table:
    """Leave out the rows that came after the handover."""
    if handover is None or not table.num_rows:
        return table
    times = table.column("datetime").cast(pa.int64()).to_numpy()
    ordinals = table.column("seq").to_numpy()
    end_us = handover.ts_ns // 1000
    return table.slice(
        0, int(((times < end_us) | ((times == end_us) & (ordinals <= handover.ordinal))).sum())
    )


def _tick_block(table: pa.Table, first: int) -> Block:
    times = table.column("datetime").cast(pa.int64()).to_numpy() * 1000
    if not len(times):
        return nothing(len(TICK_KEYS))
    return Block(first, times, np.stack([_column(table, key) for key in TICK_KEYS], 1))


def _column(table: pa.Table | pa.RecordBatch, name: str) -> Floats:
    column = table.column(name).cast(pa.float64())
    values: Floats = (
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    )
    return values


def _bar_values(table: pa.Table | pa.RecordBatch) -> Floats:
    return np.stack([_column(table, name) for name in BAR_FIELDS], 1)


def _no_bars() -> tuple[Ints, Floats]:
    return np.empty(0, np.int64), np.empty((0, len(BAR_FIELDS)))


def _joined(one: tuple[Ints, Floats], other: tuple[Ints, Floats]) -> tuple[Ints, Floats]:
    return np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])


def _midnight(day: int) -> int:
    date = np.datetime64(f"{day // 10000:04d}-{day // 100 % 100:02d}-{day % 100:02d}", "D")
    return int(date.astype(np.int64)) * DAY_NS - ZONE_NS


def _midnights_of_numbers(days: npt.NDArray[np.int32]) -> Ints:
    """Return midnight (Unix ns) of days written YYYYMMDD."""
    different, place = np.unique(days, return_inverse=True)
    found = np.array([_midnight(int(day)) for day in different], np.int64)
    return found[place] if len(days) else np.empty(0, np.int64)
