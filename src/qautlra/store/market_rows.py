"""Events for the market's own streams as rows of their schema: times read, `-` no value, nothing unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from qautlra.base.errors import InputError
from qautlra.store.schema import INSTRUMENT, ORDINAL, TIME, TRADING_DATE
from qautlra.store.tables.infer import fit
from qautlra.store.timegrammar import parse_time

NO_VALUE = ("-", "", None)


def market_table(events: Sequence[Any] | pa.Table, schema: pa.Schema, now_ns: int) -> pa.Table:
    """Return events as a table with those columns of `schema` they bring; InputError names event and key."""
    if isinstance(events, pa.Table):
        return _cast(events, schema)
    columns: dict[str, list[Any]] = {}
    for at, event in enumerate(events):
        if not isinstance(event, Mapping):
            raise InputError(f"event {at} is not an object", key="body")
        for name, value in event.items():
            if name not in schema.names:
                raise InputError(
                    f"event {at}: no column {name[:64]!r}; there are {', '.join(schema.names)}", key=name[:64]
                )
            column = columns.setdefault(name, [None] * len(events))
            column[at] = _value(at, name, value, schema.field(name).type, now_ns)
    for name in (TIME, INSTRUMENT):
        missing = [at for at, value in enumerate(columns.get(name, [None])) if value is None]
        if missing:
            raise InputError(f"event {missing[0]}: {name} is missing", key=name)
    if ORDINAL in schema.names and ORDINAL in columns:
        columns[ORDINAL] = [value or 0 for value in columns[ORDINAL]]
    return pa.table({name: pa.array(values, schema.field(name).type) for name, values in columns.items()})


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    unknown = [name for name in table.column_names if name not in schema.names]
    if unknown:
        raise InputError(
            f"no column {unknown[0][:64]!r}; there are {', '.join(schema.names)}", key=unknown[0]
        )
    for name in (TIME, INSTRUMENT):
        if name not in table.column_names or table.column(name).null_count:
            raise InputError(f"{name}: is missing", key=name)
    try:
        columns = {}
        for name, column in zip(table.column_names, table.columns, strict=True):
            kind = schema.field(name).type
            columns[name] = column if column.type == kind else column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"the columns have other types: {error}", key="body") from None
    return pa.table(columns)


def _value(at: int, name: str, value: Any, kind: pa.DataType, now_ns: int) -> Any:
    if value in NO_VALUE:
        return None
    read = _reader(kind)
    try:
        found = read(value, now_ns)
    except InputError as error:
        raise InputError(f"event {at}: {error}", key=name) from None
    if found is None and name != TRADING_DATE:
        raise InputError(f"event {at}: {name}: {str(value)[:64]!r} is not {kind}", key=name)
    return found


def _reader(kind: pa.DataType) -> Callable[[Any, int], Any]:
    if pa.types.is_timestamp(kind):
        return lambda value, now_ns: parse_time(value, now_ns, key="datetime") // 1_000
    if pa.types.is_integer(kind):
        return lambda value, _now: fit(value, "int64")
    if pa.types.is_floating(kind):
        return lambda value, _now: fit(value, "float64")
    if pa.types.is_date(kind):
        return lambda value, _now: fit(value, "date")
    return lambda value, _now: value if isinstance(value, str) else None
