"""The streams and their columns: what a row of ticks and a bar hold, in which order, of which type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from qautlra._core.market import COUNT_FIELDS, FIELDS
from qautlra.base.errors import InputError, NotFoundError
from qautlra.store.filter import ALIASES, Kind
from qautlra.store.names import check_stream_name

FUTURES_MARKET = "futures_market"
STOCK_MARKET = "stock_market"
MARKET_DATA = "market_data"
BAR_1M = "bar_1m"

# Rows of every stream are ordered and identified by these.
TIME, INSTRUMENT, ORDINAL = "datetime", "instrument_id", "seq"
TRADING_DATE = "trading_date"

_STOCK_EXCHANGES = frozenset({"SSE", "SZSE", "BSE", "HKEX", "NYSE", "NASDAQ", "AMEX", "NSE"})
_TIMESTAMP = pa.timestamp("us", "UTC")

ROW_SCHEMA = pa.schema(
    [
        (TIME, _TIMESTAMP),
        (INSTRUMENT, pa.string()),
        (TRADING_DATE, pa.date32()),
        *((name, pa.int64() if name in COUNT_FIELDS else pa.float64()) for name in FIELDS if name != TIME),
        ("source", pa.string()),
        (ORDINAL, pa.int64()),
        ("recv_time", _TIMESTAMP),
    ]
)
BAR_SCHEMA = pa.schema(
    [
        (TIME, _TIMESTAMP),
        (INSTRUMENT, pa.string()),
        (TRADING_DATE, pa.date32()),
        *((name, pa.float64()) for name in ("open", "high", "low", "close")),
        ("volume", pa.int64()),
        *((name, pa.float64()) for name in ("amount", "open_oi", "close_oi")),
    ]
)


@dataclass(frozen=True, slots=True)
class Stream:
    """A name rows are asked for by. `parts` are the streams on disk it is made of."""

    name: str
    schema: pa.Schema
    parts: tuple[str, ...]
    columns: Mapping[str, Kind]

    @property
    def order(self) -> tuple[str, ...]:
        """Columns rows are ordered by, which together identify one."""
        return (TIME, INSTRUMENT, ORDINAL) if ORDINAL in self.columns else (TIME, INSTRUMENT)

    def projection(self, columns: tuple[str, ...] | None) -> tuple[str, ...]:
        """Return the columns to answer with; InputError with the list when one does not exist."""
        if columns is None:
            return _kept(tuple(self.columns))
        found = [ALIASES.get(name, name) for name in columns]
        for name in found:
            if name not in self.columns:
                raise InputError(
                    f"fields: no column {name[:64]!r} in {self.name}; there are {', '.join(self.columns)}",
                    key="fields",
                    columns=list(self.columns),
                )
        return _kept(tuple(dict.fromkeys(found)))


@lru_cache(64)
def _kept(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return one and the same tuple for the same names: whoever knows it need not look at them."""
    return names


def narrowed(schema: pa.Schema, names: tuple[str, ...]) -> pa.Schema:
    """Return the fields of these names in this order; the schema itself when that is what it has."""
    return schema if schema.names == list(names) else pa.schema([schema.field(name) for name in names])


NAMES_TOLD_COUNT = 50


def stream_named(name: str, users: Callable[[], Sequence[str]] = tuple) -> Stream:
    """Return the market's stream; InputError when it cannot be a name, NotFoundError when there is none.

    The error names `users`, the streams that users made, too.
    """
    stream = STREAMS.get(check_stream_name(name))
    if stream is None:
        names = [*STREAMS, *users()]
        told = ", ".join(names[:NAMES_TOLD_COUNT]) + (", …" if len(names) > NAMES_TOLD_COUNT else "")
        raise NotFoundError(f"there is no stream {name!r}; there are {told}", key="stream", streams=names)
    return stream


def stream_of(symbol: str) -> str:
    """Return the stream the ticks of `symbol` (EXCHANGE.code) belong to."""
    return STOCK_MARKET if symbol.partition(".")[0] in _STOCK_EXCHANGES else FUTURES_MARKET


def _kind(column: pa.Field) -> Kind:
    if pa.types.is_timestamp(column.type):
        return Kind.TIME
    if pa.types.is_date(column.type):
        return Kind.DATE
    if pa.types.is_integer(column.type):
        return Kind.COUNT
    return Kind.NUMBER if pa.types.is_floating(column.type) else Kind.TEXT


def _stream(name: str, schema: pa.Schema, *parts: str) -> Stream:
    return Stream(name, schema, parts or (name,), {column.name: _kind(column) for column in schema})


STREAMS = {
    stream.name: stream
    for stream in (
        _stream(FUTURES_MARKET, ROW_SCHEMA),
        _stream(STOCK_MARKET, ROW_SCHEMA),
        _stream(MARKET_DATA, ROW_SCHEMA, FUTURES_MARKET, STOCK_MARKET),
        _stream(BAR_1M, BAR_SCHEMA),
    )
}
