"""Events for the market's own streams as rows of their schema: times read, `-` no value, nothing unknown."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from qautlra.base.errors import InputError
from qautlra.store.schema import INSTRUMENT, ORDINAL, ROW_SCHEMA, TIME
from qautlra.store.tables.infer import cast, fit
from qautlra.store.timegrammar import parse_time

NO_VALUE = ("-", "", None)
FAR = 1e15
"""From here on, either way, a number of an event is CTP's "no value": the largest double, or float."""
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


class _Plan(NamedTuple):
    """What makes rows of one schema rows of another."""

    given: pa.Schema
    schema: pa.Schema
    keys: tuple[tuple[int, str], ...]
    "Columns that must have a value in every row."
    casts: tuple[tuple[int, pa.Field], ...]


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    given = table.schema
    plan = next((one for one in _plans if one.schema is schema and one.given == given), None)
    found = plan or _plan(given, schema)
    for at, name in found.keys:
        if table.column(at).null_count:
            raise InputError(f"{name}: is missing", key=name)
    try:
        for at, field in found.casts:
            table = table.set_column(at, field, cast(table.column(at), field.type))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"the columns have other types: {error}", key="body") from None
    if plan is None:
        _plans.append(found)
    return table


def _plan(given: pa.Schema, schema: pa.Schema) -> _Plan:
    kinds = dict(zip(schema.names, schema.types, strict=True))
    names = given.names
    for at, name in enumerate(names):
        if name not in kinds:
            raise InputError(f"no column {name[:64]!r}; there are {', '.join(kinds)}", key=name)
        if name in names[:at]:
            raise InputError(f"column {name} is there twice", key=name)
    for name in (TIME, INSTRUMENT):
        if name not in names:
            raise InputError(f"{name}: is missing", key=name)
    casts = [
        (at, pa.field(name, kinds[name]))
        for at, (name, own) in enumerate(zip(names, given.types, strict=True))
        if own != kinds[name] and not (schema is ROW_SCHEMA and _is_read_as(own, kinds[name]))
    ]
    plain = pa.schema([field.remove_metadata() for field in given])  # of a sender's notes nothing is kept
    return _Plan(plain, schema, tuple((names.index(name), name) for name in (TIME, INSTRUMENT)), tuple(casts))


# Of the schemas seen last whose rows could be read: who sends rows sends many bodies alike.
_plans: deque[_Plan] = deque(maxlen=8)


def _is_read_as(given: pa.DataType, kind: pa.DataType) -> bool:
    """Whether rows are read from such numbers as they are: every one of them is one of `kind` too."""
    return given in _NARROW and kind in (pa.float64(), pa.int64())


def _value(at: int, name: str, value: Any, kind: pa.DataType, now_ns: int) -> Any:
    if value in NO_VALUE:
        return None
    read = _reader(name, kind)
    try:
        found = read(value, now_ns)
    except InputError as error:
        raise InputError(f"event {at}: {error}", key=name) from None
    if found is None:
        raise InputError(f"event {at}: {name}: {str(value)[:64]!r} is not {kind}", key=name)
    return None if isinstance(found, float) and abs(found) >= FAR else found


def _reader(name: str, kind: pa.DataType) -> Callable[[Any, int], Any]:
    if pa.types.is_timestamp(kind):
        return lambda value, now_ns: parse_time(value, now_ns, key=name) // 1_000
    if pa.types.is_integer(kind):
        return lambda value, _now: fit(value, "int64")
    if pa.types.is_floating(kind):
        return lambda value, _now: fit(value, "float64")
    if pa.types.is_date(kind):
        return lambda value, _now: fit(value, "date")
    return lambda value, _now: value if isinstance(value, str) else None
