"""From CTP records, core rows and any spelling of an instrument to QAMD."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from qautlra._core.market import CtpNormaliser, Instruments
from qautlra.model.calendar import load_instruments
from qautlra.qamd.enums import InstrumentType
from qautlra.qamd.types import MDSnapshot


@lru_cache(maxsize=1)
def _instruments() -> Instruments:
    return load_instruments()


def instrument_id(spelling: str, exchange: str | None = None) -> str:
    """EXCHANGE.code of any spelling, or of an exchange's own code; ValueError when it names nothing."""
    table = _instruments()
    return table.symbol(table.intern(f"{exchange}.{spelling}" if exchange else spelling))


_TYPES = {
    "STOCK": InstrumentType.STOCK,
    "FUTURE": InstrumentType.FUTURE,
    "INDEX": InstrumentType.INDEX,
    "FUND": InstrumentType.FUND,
}
_SUFFIXES = {"SSE": "XSHG", "SZSE": "XSHE"}


def instrument_type(spelling: str) -> InstrumentType:
    """QAMD's type of an instrument; options, combinations, bonds and the rest are Other."""
    table = _instruments()
    return _TYPES.get(table.info(table.intern(spelling))["kind"], InstrumentType.OTHER)


def order_book_id(spelling: str) -> str:
    """The name bars use: 600000.XSHG, 000001.XSHE, IF2301.CFFEX."""
    exchange, _, code = instrument_id(spelling).partition(".")
    return f"{code}.{_SUFFIXES.get(exchange, exchange)}"


def snapshot_from_ctp(
    record: Mapping[str, Any], *, now_ns: int | None = None, instruments: Instruments | None = None
) -> MDSnapshot:
    """A snapshot of one CTP depth record (keys as in CThostFtdcDepthMarketDataField).

    Without `now_ns` it is recorded data, whose ActionDay is trusted; with it (Unix ns) the day nearest to now
    is chosen and a record more than 30 minutes away is refused. ValueError says why one is refused.
    """
    import pyarrow as pa

    table = instruments or _instruments()
    normaliser = CtpNormaliser(table, table.calendar)
    texts = ("TradingDay", "ActionDay", "UpdateTime", "InstrumentID", "ExchangeID")
    values = {}
    for name, value in record.items():
        if name in texts:
            value = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            values[name] = pa.array([value], pa.string())
        elif isinstance(value, int | float) or value is None:
            values[name] = pa.array([value], pa.float64())
    rows, refused = normaliser.rows(
        pa.RecordBatch.from_pydict(values), trust_action_day=now_ns is None, now_ns=now_ns or 0
    )
    if refused:
        raise ValueError(normaliser.first_refusal)
    return snapshots_of(rows.to_dicts())[0]


def snapshots_of(rows: Iterable[Mapping[str, Any]]) -> list[MDSnapshot]:
    """Snapshots of rows as the core gives them (Rows.to_dicts)."""
    return [MDSnapshot.from_dict({k: v for k, v in row.items() if v is not None}) for row in rows]
