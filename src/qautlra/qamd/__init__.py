"""QAMD's data model as a library: snapshot, tick, minute and daily bar, their enums and converters.

Importable without a server. JSON names are QAMD's own; pyarrow and pandas are imported when first used.
Missing values: a required price is NaN (null on the wire), open interest and settlement are "-", depth levels
and the extras of bars are None (left out on the wire). Prices are doubles throughout, bars included.
"""

from qautlra.qamd.convert import (
    instrument_id,
    instrument_type,
    order_book_id,
    snapshot_from_ctp,
    snapshots_of,
)
from qautlra.qamd.enums import (
    ExchangeId,
    ExerciseType,
    InstrumentClass,
    InstrumentType,
    MarketDataSource,
    OptionClass,
    TradeStatus,
)
from qautlra.qamd.record import MISSING_VALUE, OptionalF64
from qautlra.qamd.tables import from_arrow, from_pandas, to_arrow, to_pandas
from qautlra.qamd.types import DailyBar, MDSnapshot, MinuteBar, Tick

__all__ = [
    "MISSING_VALUE",
    "DailyBar",
    "ExchangeId",
    "ExerciseType",
    "InstrumentClass",
    "InstrumentType",
    "MDSnapshot",
    "MarketDataSource",
    "MinuteBar",
    "OptionClass",
    "OptionalF64",
    "Tick",
    "TradeStatus",
    "from_arrow",
    "from_pandas",
    "instrument_id",
    "instrument_type",
    "order_book_id",
    "snapshot_from_ctp",
    "snapshots_of",
    "to_arrow",
    "to_pandas",
]
