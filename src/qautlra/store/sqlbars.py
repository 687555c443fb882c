"""One-minute bars of the days whose bars are not all in files yet, folded for one statement."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from qautlra._core.market import Calendar, Instruments
from qautlra._core.store import rows_from_arrow
from qautlra._core.tape import BarFolder
from qautlra.store.bardays import GRACE_US, MINUTE_US, tidy_bars
from qautlra.store.bars import DAY_STARTS
from qautlra.store.barseeds import TICK_COLUMNS
from qautlra.store.catalogue import State
from qautlra.store.plan import microseconds
from qautlra.store.schema import BAR_1M, BAR_SCHEMA, INSTRUMENT, MARKET_DATA, STREAMS, TIME, TRADING_DATE
from qautlra.store.sqlviews import make_view
from qautlra.store.timegrammar import BEIJING

FOLD_ROWS = 65_536


def without_outdated(state: State, tables: dict[str, pa.Table]) -> State:
    """Return the state without bars of days that got rows since those were made: they are made anew."""
    ticks = [tables[part] for part in STREAMS[MARKET_DATA].parts if part in tables]
    days = {day for table in ticks for day in table.column(TRADING_DATE).unique().to_pylist()}
    return msgspec.structs.replace(
        state,
        files=tuple(file for file in state.files if not (file.is_made and file.day in days)),
        bar_days=tuple(day for day in state.bar_days if day not in days),
    )


def bars_table(
    connection: duckdb.DuckDBPyConnection,
    state: State,
    tables: dict[str, pa.Table],
    data_dir: Path,
    within: tuple[int, int],
    calendar: Calendar,
    oldest_us: int,
) -> pa.Table:
    """Return bars made of rows that no file of bars has, of the trading days that reach into `within`.

    `oldest_us`: of all rows there are; days begun later were seen from their beginning.
    """
    ticks = STREAMS[MARKET_DATA]
    reach = (day_begin_us(calendar, within[0]), within[1] + MINUTE_US + GRACE_US)
    make_view(connection, ticks, state, tables, data_dir, reach)
    names = ", ".join(f'"{name}"' for name in TICK_COLUMNS)
    found = connection.sql(
        f'SELECT {names} FROM "{ticks.name}" WHERE NOT list_contains(?, "{TRADING_DATE}") '
        f'ORDER BY "{TRADING_DATE}", "{INSTRUMENT}", "{TIME}", "seq"',
        params=[sorted(state.bar_days)],
    )
    instruments = Instruments(calendar)
    folders: dict[date, BarFolder] = {}
    reader: pa.RecordBatchReader = found.to_arrow_reader(FOLD_ROWS)
    for batch in reader:
        days = batch.column(batch.schema.get_field_index(TRADING_DATE))
        for day in days.unique().to_pylist():
            if day not in folders:
                noon_us = microseconds(datetime.combine(day, time(12), BEIJING))
                whole = oldest_us < day_begin_us(calendar, noon_us)
                folders[day] = BarFolder(instruments, calendar, whole_days=whole)
            folders[day].add(rows_from_arrow(batch.filter(pc.equal(days, day)), instruments))
    bars = pa.concat_tables(
        [BAR_SCHEMA.empty_table(), *(tidy_bars(folder.finish()) for folder in folders.values())]
    )
    files = state.overlapping((BAR_1M,), *within)
    if not files or not bars.num_rows:
        return bars
    connection.register("__folded", bars)
    columns = ", ".join(f'"{name}"' for name in BAR_SCHEMA.names)
    paths = [str(data_dir / file.path) for file in files]
    table: pa.Table = connection.sql(
        f'SELECT {columns} FROM __folded ANTI JOIN read_parquet(?) USING ("{TIME}", "{INSTRUMENT}")',
        params=[paths],
    ).to_arrow_table()
    return table.cast(BAR_SCHEMA)


def day_begin_us(calendar: Calendar, us: int) -> int:
    """Return when the trading day of a moment begins: at 18:00 of the trading day before."""
    if abs(us) > 2**53:
        return us
    number = calendar.previous_trading_day(calendar.trading_day(us * 1_000))
    before = date(number // 10_000, number // 100 % 100, number % 100)
    return microseconds(datetime.combine(before, time(DAY_STARTS.hour), BEIJING))
