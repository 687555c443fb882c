"""Events for the market's own streams as rows of their schema: times read, `-` no value, nothing unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from qautlra.base.errors import InputError
from qautlra.store.schema import INSTRUMENT, ORDINAL, ROW_SCHEMA, TIME, TRADING_DATE
from qautlra.store.tables.infer import fit
from qautlra.store.timegrammar import parse_time

NO_VALUE = ("-", "", None)
_NARROW = (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32())


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
    kinds = dict(zip(schema.names, schema.types, strict=True))
    given = dict(zip(table.column_names, table.columns, strict=True))
    unknown = [name for name in given if name not in kinds]
    if unknown:
        raise InputError(f"no column {unknown[0][:64]!r}; there are {', '.join(kinds)}", key=unknown[0])
    for name in (TIME, INSTRUMENT):
        if name not in given or given[name].null_count:
            raise InputError(f"{name}: is missing", key=name)
    try:
        for name, column in given.items():
            kind, own = kinds[name], column.type
            if own != kind and not (schema is ROW_SCHEMA and _is_read_as(own, kind)):
                given[name] = column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"the columns have other types: {error}", key="body") from None
    return pa.table(given)


def _is_read_as(given: pa.DataType, kind: pa.DataType) -> bool:
    """Whether rows are read from such numbers as they are: every one of them is one of `kind` too."""
    return given in _NARROW and kind in (pa.float64(), pa.int64())


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
