"""One-minute bars of the days whose bars are not all in files yet, folded for one statement."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path

import duckdb
import pyarrow as pa

from qautlra._core.market import Calendar, Instruments
from qautlra._core.store import rows_from_arrow
from qautlra._core.tape import BarFolder
from qautlra.store.bars import DAY_STARTS, GRACE_US, MINUTE_US, TICK_COLUMNS, tidy_bars
from qautlra.store.catalogue import State
from qautlra.store.plan import microseconds
from qautlra.store.schema import BAR_1M, BAR_SCHEMA, INSTRUMENT, MARKET_DATA, STREAMS, TIME, TRADING_DATE
from qautlra.store.sqlviews import make_view
from qautlra.store.timegrammar import BEIJING

FOLD_ROWS = 65_536


def bars_table(
    connection: duckdb.DuckDBPyConnection,
    state: State,
    tables: dict[str, pa.Table],
    data_dir: Path,
    within: tuple[int, int],
    calendar: Calendar,
) -> pa.Table:
    """Return bars made of rows that no file of bars has, of the trading days that reach into `within`."""
    ticks = STREAMS[MARKET_DATA]
    begin_us = day_begin_us(calendar, within[0])
    reach = (begin_us, within[1] + MINUTE_US + GRACE_US)
    make_view(connection, ticks, state, tables, data_dir, reach)
    names = ", ".join(f'"{name}"' for name in TICK_COLUMNS)
    made = sorted(state.bar_days)
    found = connection.sql(
        f'SELECT {names} FROM "{ticks.name}" WHERE NOT list_contains(?, "{TRADING_DATE}") '
        f'ORDER BY "{INSTRUMENT}", "{TIME}", "seq"',
        params=[made],
    )
    instruments = Instruments(calendar)
    folder = BarFolder(instruments, calendar, whole_days=_oldest_us(connection) < begin_us)
    reader: pa.RecordBatchReader = found.to_arrow_reader(FOLD_ROWS)
    for batch in reader:
        if batch.num_rows:
            folder.add(rows_from_arrow(batch, instruments))
    bars = tidy_bars(folder.finish())
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


def _oldest_us(connection: duckdb.DuckDBPyConnection) -> int:
    sql = f'SELECT epoch_us(min("{TIME}")) FROM "{MARKET_DATA}"'
    ((oldest,),) = connection.execute(sql).fetchall()
    return int(oldest or 0)


def day_begin_us(calendar: Calendar, us: int) -> int:
    """Return when the trading day of a moment begins: at 18:00 of the trading day before."""
    if abs(us) > 2**53:
        return us
    number = calendar.previous_trading_day(calendar.trading_day(us * 1_000))
    before = date(number // 10_000, number // 100 % 100, number % 100)
    return microseconds(datetime.combine(before, time(DAY_STARTS.hour), BEIJING))
