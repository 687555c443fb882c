"""The store's past for charts: minute bars and ticks of one instrument, and how many ticks there were.

What is asked for on the loop is read as any query is: the hot tier in short slices, files in a thread.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from qautlra.base.clock import monotonic_s
from qautlra.base.errors import UnavailableError
from qautlra.model.query import QueryFormat, QueryRequest
from qautlra.store.aggregates import BAR_1D
from qautlra.store.plan import Plan, moment
from qautlra.store.schema import BAR_1M, INSTRUMENT, STREAMS, TIME, TRADING_DATE, Stream, stream_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from qautlra._core.market import Instruments
    from qautlra.store.opened import Opened

_DAYS = (date(1, 1, 1), date(9999, 12, 31))
FIRST_US = -(2**53)
LAST_US = 2**53
FIRST_DAY_US, LAST_DAY_US = 0, 4_102_444_800_000_000
INTERESTS_COUNT = 1_000_000
BEHIND_MAX_S, BEHIND_POLL_S = 5.0, 0.02


class StoreHistory:
    """Answers while the store is open; UnavailableError otherwise."""

    def __init__(
        self, opened: Callable[[], Opened | None], instruments: Instruments, timeout_s: float
    ) -> None:
        self._opened = opened
        self._instruments = instruments
        self._timeout_s = timeout_s

    async def caught_up(self) -> bool:
        """Wait, BEHIND_MAX_S at most, until what is on the tape now is stored; return whether it is.

        It waits there while the log or the hot tier cannot take more; not here, where the log has failed.
        """
        opened = self._need()
        log = opened.log
        end, until_s = log.position + log.waiting, monotonic_s() + BEHIND_MAX_S
        while log.position < end:
            if opened.journal.error or monotonic_s() >= until_s:
                return False
            await asyncio.sleep(BEHIND_POLL_S)
        return True

    async def minutes(self, symbol: str, start_us: int, stop_us: int) -> pa.Table:
        """Return the one-minute bars that open in [start, stop), in order, columns of `schema.BAR_SCHEMA`."""
        stream = STREAMS[BAR_1M]
        return await self._read(symbol, stream, tuple(stream.columns), start_us, stop_us)

    async def ticks(
        self, symbol: str, columns: tuple[str, ...], start_us: int, stop_us: int, limit: int | None = None
    ) -> pa.Table:
        """Return the rows with start <= time < stop in order: all, or the newest `limit` of them."""
        return await self._read(symbol, STREAMS[stream_of(symbol)], columns, start_us, stop_us, limit)

    async def prices(
        self, symbol: str, columns: tuple[str, ...], start_us: int, stop_us: int, limit: int
    ) -> pa.Table:
        """Return the newest `limit` rows with start <= time < stop in order, of which bars are folded."""
        return await self.ticks(symbol, columns, start_us, stop_us, limit)

    async def interests(self, prefix: str, start_us: int, stop_us: int) -> pa.Table:
        """Return `day`, `symbol`, `open_interest` at its end of such symbols, in order, out of `bar_1d`."""
        request = QueryRequest(
            stream=BAR_1D,
            start_time=moment(max(start_us, FIRST_DAY_US)).isoformat(),
            end_time=moment(min(stop_us, LAST_DAY_US)).isoformat(),
            filter=f"{INSTRUMENT} LIKE '{prefix}%'",
            columns=(TRADING_DATE, INSTRUMENT, "close_oi"),
            limit=INTERESTS_COUNT,
            format=QueryFormat.ARROW,
        )
        chunks = (await self._need().query.run(request)).chunks
        data = chunks if isinstance(chunks, bytes) else b"".join([chunk async for chunk in chunks])
        table = pa.ipc.open_stream(data).read_all().select([TRADING_DATE, INSTRUMENT, "close_oi"])
        return table.rename_columns(["day", "symbol", "open_interest"]).sort_by("day")

    async def measure(self, symbol: str, start_us: int, stop_us: int) -> tuple[int, int | None]:
        """Return how many rows there are with start <= time < stop, and the time of the oldest of them."""
        opened = self._need()
        number = self._instruments.find(symbol)
        state = opened.catalogue.state
        stream = STREAMS[stream_of(symbol)]
        files = state.overlapping(stream.parts, start_us, stop_us, frozenset((symbol,)))
        total, times = 0, []
        with opened.pins.hold_above(state.watermark_lsn):
            if number >= 0:
                low, high, above = start_us * 1_000, stop_us * 1_000, state.watermark_lsn
                total = opened.hot.count([number], low, high, min_lsn=above)
                batch = opened.hot.scan([number], low, high, min_lsn=above, limit=1, fields=[TIME])
                times = [batch.column(TIME)[0].value] if batch.num_rows else []
            if files:
                table = await opened.engine.run(
                    f'SELECT count(*), epoch_us(min("{TIME}")) FROM read_parquet(?) '
                    f'WHERE "{INSTRUMENT}" = ? AND "{TIME}" >= ? AND "{TIME}" < ?',
                    [opened.catalogue.paths(files), symbol, moment(start_us), moment(stop_us)],
                    timeout_s=self._timeout_s,
                )
                count, oldest = (column[0].as_py() for column in table.columns)
                total += count
                times += [oldest] if oldest is not None else []
        return total, min(times, default=None)

    async def _read(
        self,
        symbol: str,
        stream: Stream,
        columns: tuple[str, ...],
        start_us: int,
        stop_us: int,
        limit: int | None = None,
    ) -> pa.Table:
        query = self._need().query
        start_us, stop_us = max(start_us, FIRST_US), min(stop_us, LAST_US)
        newest = limit is not None
        plan = Plan(
            stream, columns, start_us, stop_us, _DAYS, frozenset((symbol,)), None, limit, newest, False
        )
        schema = pa.schema([stream.schema.field(name) for name in plan.read_columns])
        async with aclosing(query.tables(plan)) as tables:
            # Rows of the hot tier have their texts as dictionaries, those of files have none.
            found = [table if table.schema == schema else table.cast(schema) async for table in tables]
        table = pa.concat_tables(found) if found else schema.empty_table()
        return table.take(pa.array(range(table.num_rows - 1, -1, -1), pa.int64())) if newest else table

    def _need(self) -> Opened:
        opened = self._opened()
        if opened is None:
            raise UnavailableError("the store is not running yet")
        return opened
