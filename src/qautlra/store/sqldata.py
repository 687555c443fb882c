"""What a statement sees: manifest, files and log of a data directory, read from outside, as views."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from qautlra._core.market import Calendar
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import LimitError, NotFoundError, StorageError
from qautlra.model.calendar import load_calendar
from qautlra.store.catalogue import MANIFEST, State
from qautlra.store.names import TABLES
from qautlra.store.schema import BAR_1M, MARKET_DATA, ORDINAL, STREAMS, TIME
from qautlra.store.sqlbars import bars_table, day_begin_us, without_outdated
from qautlra.store.sqlcheck import Reads
from qautlra.store.sqlverbs import KNOWN, known_sql
from qautlra.store.sqlviews import make_macros, make_table_view, make_view
from qautlra.store.tables.definition import ARRIVAL, Definition
from qautlra.store.tables.tail import TableTail
from qautlra.store.tail import LogTail
from qautlra.store.timegrammar import check_order
from qautlra.wire.period import DAY_S

if TYPE_CHECKING:
    from qautlra.store.sqlask import Ask

BEHIND_S = 5.0
POLL_S = 0.002
SECTIONS_COUNT = 500_000
MINUTE_S = 60


class SqlData:
    """One data directory for many threads."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._tail = LogTail(data_dir)
        self._lock = threading.Lock()
        self._state = State()
        self._stamp: tuple[int, int, int] | None = None
        self._calendar: Calendar | None = None
        self._tables = TableTail(data_dir / TABLES)

    def streams(self) -> list[str]:
        """Return the names of the streams that can be asked for."""
        with self._lock:
            return [*STREAMS, *self._tables.definitions()]

    def prepare(self, connection: duckdb.DuckDBPyConnection, reads: Reads, ask: Ask) -> None:
        """Make views of the streams a statement uses, all of one moment. MovedError: begin again."""
        used = {name for name in reads.streams if name.lower() in STREAMS}
        definitions = self._make_tables(connection, reads.streams - used, ask)
        reads.check_columns({name: one.stream() for name, one in definitions.items()})
        periods = {name: one.derived for name, one in definitions.items() if one.derived is not None}
        joined = reads.joined | ({ask.asof.lower()} if ask.asof else set())
        with self._lock:
            state = self._following(ask.position)
            tables = self._tail.tables()
        if used:
            check_order(ask.start_us * 1_000, ask.stop_us * 1_000)
        begin_us = self._day_begin_us(ask.start_us) if ask.whole_days else ask.start_us
        for name in sorted(used - {BAR_1M}):
            make_view(connection, STREAMS[name], state, tables, self._data_dir, (begin_us, ask.stop_us))
        if BAR_1M in used:
            first_us = self._reach_us(ask.start_us, MINUTE_S) if ask.asof == BAR_1M else begin_us
            within = (min(begin_us, first_us), ask.stop_us)
            stored, oldest_us = without_outdated(state, tables), _oldest_us(state, tables)
            folded = bars_table(
                connection, stored, tables, self._data_dir, within, self._calendar_now(), oldest_us
            )
            make_view(connection, STREAMS[BAR_1M], stored, {BAR_1M: folded}, self._data_dir, within)
        make_macros(connection)
        bars = {name for name in joined if name == BAR_1M or (name in periods and periods[name].bars)}
        sampled = used if ask.whole_days or "sample_" in ask.sql.lower() else set()
        if sampled or bars:
            self._make_sections(connection, sampled | bars, begin_us, _oldest_us(state, tables))
        for name in joined:
            period_s = periods[name].period_s if name in periods else MINUTE_S if name == BAR_1M else 0
            arrived = "0" if name in periods else f'epoch_us("{ARRIVAL}")'
            place = f'"{ORDINAL}"' if name in STREAMS else arrived
            sql = known_sql(name, period_s, is_bars=name in bars, place=place)
            connection.execute(f'CREATE OR REPLACE TEMP VIEW "{KNOWN}{name}" AS {sql}')

    def _make_tables(
        self, connection: duckdb.DuckDBPyConnection, names: set[str], ask: Ask
    ) -> dict[str, Definition]:
        """Make views of users' streams; return their definitions by their names in small letters."""
        if not names:
            return {}
        found = {}
        market, machine = (ask.start_us, ask.stop_us), (ask.table_start_us, ask.table_stop_us)
        with self._lock:
            self._follow_tables(ask.table_position)
            definitions = self._tables.definitions()
            for name in sorted(name.lower() for name in names):
                if name in self._tables.unreadable:
                    raise self._tables.unreadable[name]
                if name not in definitions:
                    raise NotFoundError(f"there is no stream {name!r}", key="stream")
                definition = found[name] = definitions[name]
                within = market if definition.follows_market else machine
                check_order(within[0] * 1_000, within[1] * 1_000)
                if name == ask.asof.lower() and definition.derived is not None:
                    within = (self._reach_us(within[0], definition.derived.period_s), within[1])
                make_table_view(connection, definition, self._tables, self._data_dir / TABLES, within)
        return found

    def _day_begin_us(self, us: int) -> int:
        return day_begin_us(self._calendar_now(), us)

    def _reach_us(self, start_us: int, period_s: int) -> int:
        """Return from where on bars are read that rows from `start_us` on are joined with.

        From the trading day's beginning; bars of days, known at its end, from the day before.
        """
        begin_us = self._day_begin_us(start_us)
        return begin_us if period_s < DAY_S else self._day_begin_us(begin_us - 1)

    def _follow_tables(self, position: int) -> None:
        """Read the streams' log up to `position` at least."""
        give_up_s = monotonic_s() + BEHIND_S
        while (last_lsn := self._tables.follow()) < position:
            if monotonic_s() > give_up_s:
                raise StorageError(f"the streams' log is written up to {last_lsn}, not yet to {position}")
            time.sleep(POLL_S)

    def _following(self, position: int) -> State:
        """Return the manifest with the log read up to `position` at least."""
        give_up_s = monotonic_s() + BEHIND_S
        while True:
            state = self._manifest()
            self._tail.follow(state)
            if max(self._tail.last_lsn, state.watermark_lsn) >= position:
                return state
            if monotonic_s() > give_up_s:
                raise StorageError(f"the log is written up to {self._tail.last_lsn}, not yet to {position}")
            time.sleep(POLL_S)

    def _manifest(self) -> State:
        path = self._data_dir / MANIFEST
        try:
            facts = path.stat()
            stamp = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
            if stamp != self._stamp:
                self._state = msgspec.json.decode(path.read_bytes(), type=State)
                self._stamp = stamp
        except FileNotFoundError:
            return State()
        except msgspec.DecodeError as error:
            raise StorageError(f"{path} is damaged: {error}", retryable=False) from None
        return self._state

    def _calendar_now(self) -> Calendar:
        if self._calendar is None:
            self._calendar = load_calendar()
        return self._calendar

    def _make_sections(
        self, connection: duckdb.DuckDBPyConnection, used: set[str], begin_us: int, oldest_us: int
    ) -> None:
        """Make a table of the trading sections of what the streams hold from `begin_us` on.

        `early`: where a section's auction begins, its opening where it has none.
        `seen_by`: a first row before it says all that was traded; one behind it came when the day had begun.
        """
        calendar = self._calendar_now()
        symbols, days, opens, closes, firsts, lasts, seen = [], [], [], [], [], [], []
        earlies = []
        for name in sorted(used):
            found = connection.execute(
                f'SELECT DISTINCT instrument_id, trading_date FROM "{name}"'
            ).fetchall()
            for symbol, day in found:
                number = day.year * 10_000 + day.month * 100 + day.day
                bounds = calendar.section_bounds(symbol, number)
                auctions = calendar.auction_openings(symbol, number)
                auction_ns = calendar.auction_s(symbol) * 1_000_000_000
                day_us = self._day_begin_us(bounds[0][0] // 1_000) if bounds else 0
                seen_us = 0
                if bounds and begin_us <= day_us:
                    is_whole = oldest_us < day_us
                    seen_us = (bounds[-1][1] if is_whole else bounds[0][0]) // 1_000 + MINUTE_S * 1_000_000
                for start_ns, stop_ns in bounds:
                    symbols.append(symbol)
                    days.append(day)
                    opens.append(start_ns // 1_000)
                    earlies.append((start_ns - auction_ns * (start_ns in auctions)) // 1_000)
                    closes.append(stop_ns // 1_000)
                    firsts.append(bounds[0][0] // 1_000)
                    lasts.append(bounds[-1][1] // 1_000)
                    seen.append(seen_us)
                if len(symbols) > SECTIONS_COUNT:
                    raise LimitError(f"sample_by: more than {SECTIONS_COUNT} sections; ask for less")
        moment = pa.timestamp("us", "UTC")
        table = pa.table(
            {
                "instrument_id": pa.array(symbols, pa.string()),
                "trading_date": pa.array(days, pa.date32()),
                "open": pa.array(opens, moment),
                "early": pa.array(earlies, moment),
                "close": pa.array(closes, moment),
                "day_open": pa.array(firsts, moment),
                "day_close": pa.array(lasts, moment),
                "seen_by": pa.array(seen, moment),
            }
        )
        connection.register("__sections", table)


def _oldest_us(state: State, tables: dict[str, pa.Table]) -> int:
    ticks = STREAMS[MARKET_DATA].parts
    times = [file.first_us for file in state.files if file.stream in ticks]
    for part in ticks:
        if part in tables and tables[part].num_rows:
            times.append(pc.min(tables[part].column(TIME).cast(pa.int64())).as_py())
    return min(times, default=0)
