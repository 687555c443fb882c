"""Records as Arrow tables and pandas frames, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from qautlra.qamd.record import Record, columns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

R = TypeVar("R", bound=Record)


def to_arrow(items: Sequence[R]) -> pa.Table:
    """A table of records of one type; missing values become nulls. ValueError when there are none."""
    import pyarrow as pa

    if not items:
        raise ValueError("no records: the columns depend on their type")
    arrow = {
        "text": pa.string(),
        "a number": pa.float64(),
        "a whole number": pa.int64(),
        "a number or null": pa.float64(),
        "a whole number or null": pa.int64(),
        "a number, text or null": pa.float64(),
        "a time": pa.timestamp("us", "UTC"),
        "a date": pa.date32(),
        "a date or null": pa.date32(),
        "an instrument type": pa.string(),
    }

    def cell(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return value

    arrays = {}
    for name, shape, _ in columns(type(items[0])):
        values = [cell(getattr(item, name)) for item in items]
        if shape == "a number, text or null":
            values = [None if isinstance(x, str) else x for x in values]
        arrays[name] = pa.array(values, arrow[shape])
    return pa.table(arrays)


def from_arrow(table: pa.Table, kind: type[R]) -> list[R]:
    """Records of a table with QAMD's column names; a null becomes the type's own missing value."""
    return [
        kind.from_dict({name: value for name, value in row.items() if value is not None})
        for row in table.select([n for n, _, _ in columns(kind) if n in table.column_names]).to_pylist()
    ]


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError("pandas is not installed: pip install 'qautlra[pandas]'") from error
    return pandas


def to_pandas(items: Sequence[R]) -> pd.DataFrame:
    """A data frame of records of one type; missing values become NaN or None."""
    _pandas()
    return to_arrow(items).to_pandas()


def from_pandas(frame: pd.DataFrame, kind: type[R]) -> list[R]:
    """Records of a data frame with QAMD's column names."""
    _pandas()
    import pyarrow as pa

    return from_arrow(pa.Table.from_pandas(frame, preserve_index=False), kind)
