"""What a start takes from the files: newest rows, how far the files reach, today's rows into memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qautlra._core.store import rows_from_arrow
from qautlra.store.schema import (
    INSTRUMENT,
    MARKET_DATA,
    ORDINAL,
    ROW_SCHEMA,
    STREAMS,
    TIME,
    TRADING_DATE,
)

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra._core.store import HotStore
    from qautlra._core.tape import Tape
    from qautlra.store.catalogue import Catalogue

# A newest trading day of more rows than this stays in its files; queries find it there.
TODAY_ROWS = 400_000
SLICE_ROWS = 4_096


async def restore(
    catalogue: Catalogue, latest: pa.Table, instruments: Instruments, hot: HotStore, tape: Tape | None
) -> None:
    """Put the newest trading day back into the hot tier and, with `tape`, set its last rows and bars."""
    if not latest.num_rows:
        return
    today = pc.max(latest.column(TRADING_DATE)).as_py()
    ticks = [file for file in catalogue.state.files if file.stream in STREAMS[MARKET_DATA].parts]
    mine = [file for file in ticks if file.day == today]
    is_whole = False
    if sum(file.rows for file in mine) <= TODAY_ROWS:
        loop = asyncio.get_running_loop()
        table = await loop.run_in_executor(None, _read, catalogue.paths(mine))
        is_whole = True
        for at in range(0, table.num_rows, SLICE_ROWS):
            rows = rows_from_arrow(table.slice(at, SLICE_ROWS), instruments)
            is_whole &= hot.load(rows, max(catalogue.state.watermark_lsn, 1)) == len(rows)
            if tape is not None:
                tape.restore(rows)
            await asyncio.sleep(0)
    rows = rows_from_arrow(latest, instruments)
    hot.keep(rows)
    if tape is not None:
        tape.restore(rows)
    elsewhere_us = max((file.last_us for file in ticks if file.day != today), default=None)
    for index, day in enumerate(latest.column(TRADING_DATE).to_pylist()):
        newest_ns = rows.ts_event_ns(index)
        if is_whole and day == today:
            if elsewhere_us is not None:
                hot.note_cold(rows.instrument(index), elsewhere_us * 1_000 + 999)
        else:
            hot.note_cold(rows.instrument(index), newest_ns)


def _read(paths: list[str]) -> pa.Table:
    tables = [pq.read_table(path, schema=ROW_SCHEMA, partitioning=None) for path in paths]
    if not tables:
        return ROW_SCHEMA.empty_table()
    return pa.concat_tables(tables).sort_by([(name, "ascending") for name in (TIME, INSTRUMENT, ORDINAL)])
