"""What a start takes from the files: how far they reach, the newest rows, and today's for the bars."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qautlra._core.store import rows_from_arrow
from qautlra.store.bars import TICK_COLUMNS
from qautlra.store.schema import INSTRUMENT, ORDINAL, ROW_SCHEMA, TIME, TRADING_DATE

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra._core.store import HotStore
    from qautlra._core.tape import Tape
    from qautlra.store.catalogue import Catalogue

# Rows of the newest trading day folded into the tape's bars at a start; a bigger day is left to queries.
TODAY_ROWS = 400_000
SLICE_ROWS = 4_096


async def restore_tape(
    catalogue: Catalogue, latest: pa.Table, instruments: Instruments, hot: HotStore, tape: Tape | None
) -> None:
    """Tell the hot tier how far the files reach and, with `tape`, set its last rows and today's bars."""
    if not latest.num_rows:
        return
    rows = rows_from_arrow(latest.combine_chunks().to_batches()[0], instruments)
    for index in range(len(rows)):
        hot.note_cold(rows.instrument(index), rows.ts_event_ns(index))
    if tape is None:
        return
    today = pc.max(latest.column(TRADING_DATE)).as_py()
    files = [file for file in catalogue.state.files if file.day == today and file.last_lsn]
    if sum(file.rows for file in files) <= TODAY_ROWS:
        loop = asyncio.get_running_loop()
        table = await loop.run_in_executor(None, _read_day, catalogue.paths(files))
        for at in range(0, table.num_rows, SLICE_ROWS):
            for batch in table.slice(at, SLICE_ROWS).to_batches():
                tape.restore(rows_from_arrow(batch, instruments))
            await asyncio.sleep(0)
    tape.restore(rows)


def _read_day(paths: list[str]) -> pa.Table:
    schema = pa.schema([ROW_SCHEMA.field(name) for name in TICK_COLUMNS])
    tables = [
        pq.read_table(path, columns=list(TICK_COLUMNS), schema=schema, partitioning=None) for path in paths
    ]
    if not tables:
        return schema.empty_table()
    return pa.concat_tables(tables).sort_by([(name, "ascending") for name in (TIME, INSTRUMENT, ORDINAL)])
