"""Events to rows: nested objects flattened, types inferred, schemas grown, conflicting values kept aside.

Pure. A column never changes its type; a value that cannot become it goes to a sibling `<name>_<type>`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from qautlra.base.clock import wall_ns
from qautlra.base.errors import InputError
from qautlra.store.tables.definition import (
    GIVEN_COLUMNS,
    TYPES,
    Column,
    Definition,
    TypeName,
    check_column_name,
    check_columns,
)
from qautlra.store.timegrammar import BEIJING

DEPTH_COUNT: Final = 10
_TIMELY = re.compile(r"time|date|timestamp|created|received|saved|delivered|at$|ts$", re.IGNORECASE)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)
_INT_LIMIT = 2**63
DAY_US = 86_400_000_000
# The days a calendar date can name, in any zone.
FIRST_US = (date.min.toordinal() + 1 - 719_163) * DAY_US
LAST_US = (date.max.toordinal() - 1 - 719_163) * DAY_US
_EXACT_LIMIT = 2**53


@dataclass(frozen=True, slots=True)
class Grown:
    """Rows, and the columns the stream has after them; `is_new` when there are more than before."""

    table: pa.Table
    columns: tuple[Column, ...]
    is_new: bool


def flatten(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event with nested objects as `outer_inner`; what lies deeper than ten levels becomes text."""
    found: dict[str, Any] = {}
    _flatten("", event, 0, found)
    return found


def _flatten(prefix: str, value: Mapping[str, Any], depth: int, found: dict[str, Any]) -> None:
    for name, item in value.items():
        key = f"{prefix}{name}"
        if isinstance(item, Mapping) and item and depth + 1 < DEPTH_COUNT:
            _flatten(f"{key}_", item, depth + 1, found)
            continue
        while key in found:  # {"a": {"b": 1}, "a_b": 2}: both are kept
            key += "_"
        found[key] = _text(item) if isinstance(item, Mapping) else item


def rows_of(
    events: Sequence[Any], definition: Definition, extra: Mapping[str, Any], *, may_grow: bool
) -> Grown:
    """Return events as rows of the definition's columns, grown by what they bring.

    `extra` are constant columns, or arrays with a value per event. Without `may_grow` an undeclared column
    is an InputError.
    """
    flat = []
    for number, event in enumerate(events):
        if not isinstance(event, Mapping):
            raise InputError(f"event {number} is not an object", key="body")
        row = flatten(event)
        for name in GIVEN_COLUMNS:
            row.pop(name, None)
        flat.append(row)
    known = {column.name: column for column in definition.columns}
    given: dict[str, list[Any]] = {}
    for at, row in enumerate(flat):
        for name, value in row.items():
            if value is None:
                continue
            if name not in given:
                given[name] = [None] * len(flat)
            given[name][at] = value
    arrays: dict[str, pa.Array] = {}
    for name, values in given.items():
        _place(name, values, known, arrays, may_grow)
    _add(extra, len(flat), known, arrays, may_grow)
    return _grown(arrays, len(flat), known, definition)


def table_rows(table: pa.Table, definition: Definition, extra: Mapping[str, Any], *, may_grow: bool) -> Grown:
    """Return the rows of a table whose columns have types; InputError for types that have no place."""
    known = {column.name: column for column in definition.columns}
    arrays: dict[str, pa.Array] = {}
    if len(set(table.column_names)) < table.num_columns:
        raise InputError("two columns have one name", key="body")
    for field in table.schema:
        if field.name in GIVEN_COLUMNS:
            continue
        kind = type_of_arrow(field.type)
        column = table.column(field.name).combine_chunks()
        if kind is None:
            _place(field.name, column.to_pylist(), known, arrays, may_grow)
            continue
        name = _column_for(field.name, kind, known, may_grow)
        try:
            arrays[name] = column.cast(TYPES[kind])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"column {field.name[:64]!r}: {error}", key=field.name[:64]) from None
    _add(extra, table.num_rows, known, arrays, may_grow)
    return _grown(arrays, table.num_rows, known, definition)


def _add(
    extra: Mapping[str, Any], rows: int, known: dict[str, Column], arrays: dict[str, pa.Array], may_grow: bool
) -> None:
    for name, value in extra.items():
        grows = may_grow or name in GIVEN_COLUMNS
        if isinstance(value, pa.Array):
            kind = type_of_arrow(value.type)
            assert kind is not None and len(value) == rows
            arrays[_column_for(name, kind, known, grows)] = value
        else:
            _place(name, [value] * rows, known, arrays, grows)


def _grown(
    arrays: Mapping[str, pa.Array], rows: int, known: Mapping[str, Column], definition: Definition
) -> Grown:
    columns = check_columns(known.values()) if len(known) > len(definition.columns) else definition.columns
    fields = [column for column in columns if column.name in arrays]
    table = pa.table(
        [_chunked(arrays[column.name]) for column in fields],
        schema=pa.schema([(column.name, TYPES[column.type]) for column in fields]),
    )
    assert not fields or table.num_rows == rows
    return Grown(table, columns, len(columns) > len(definition.columns))


def _chunked(array: Any) -> pa.ChunkedArray:
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _place(
    name: str, values: list[Any], known: dict[str, Column], arrays: dict[str, pa.Array], may_grow: bool
) -> None:
    """Turn one column's values into arrays: of its type, the rest into siblings."""
    if name not in known:
        first = next((value for value in values if value is not None), None)
        if first is None:
            return
        _column_for(name, infer(name, first), known, may_grow)
    rest: dict[TypeName, list[Any]] = {}
    kind = known[name].type
    kept = [None] * len(values)
    for at, value in enumerate(values):
        if value is None:
            continue
        fitted = fit(value, kind)
        if fitted is None:
            other = infer(name, value)
            if other not in rest:
                rest[other] = [None] * len(values)
            rest[other][at] = value
        else:
            kept[at] = fitted
    arrays[name] = pa.array(kept, TYPES[kind])
    for other, left in rest.items():
        sibling = _column_for(f"{name}_{other}", other, known, may_grow)
        arrays[sibling] = pa.array([fit(value, known[sibling].type) for value in left], TYPES[other])


def _column_for(name: str, kind: TypeName, known: dict[str, Column], may_grow: bool) -> str:
    """Return the name of the column values of `kind` go to, made when there is none."""
    found = known.get(name)
    while found is not None and found.type != kind:
        name = f"{name}_{kind}"
        found = known.get(name)
    if found is None:
        if not may_grow:
            raise InputError(
                f"{name[:64]!r} is not a column of this stream; there are {', '.join(list(known)[:100])}",
                key=name[:64],
            )
        known[name] = Column(check_column_name(name), kind)
    return name


def infer(name: str, value: Any) -> TypeName:
    """Return the type a value of a column of that name speaks for."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) and not _is_exact(value):
        return "int64" if abs(value) < _INT_LIMIT else "utf8"
    if isinstance(value, int | float):
        return "float64"
    if isinstance(value, datetime):
        return "timestamp_us"
    if isinstance(value, date):
        return "date"
    if isinstance(value, list) and all(_is_plain(item) for item in value):
        return "list"
    if isinstance(value, str) and _TIMELY.search(name) and _moment(value) is not None:
        return "timestamp_us"
    return "utf8"


def fit(value: Any, kind: TypeName) -> Any:
    """Return the value as `kind` has it; None when it cannot be, or when it is no value."""
    if value is None:
        return None
    match kind:
        case "float64":
            return None if type(value) is int and not _is_exact(value) else _number(value)
        case "int64":
            if type(value) is int:
                return value if abs(value) < _INT_LIMIT else None
            number = _number(value)
            if number is None or abs(number) >= _INT_LIMIT or number != int(number):
                return None
            return int(number)
        case "boolean":
            return value if isinstance(value, bool) else None
        case "timestamp_us":
            return _moment(value)
        case "date":
            return _day(value)
        case "list":
            fits = isinstance(value, list) and all(_is_plain(item) for item in value)
            return [float(item) for item in value] if fits else None
    return value if isinstance(value, str) else _text(value)


def _text(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # whole numbers beyond 64 bits, lone surrogates
        return json.dumps(value, default=str)


def _is_exact(value: int) -> bool:
    """Tell whether a double holds the number with all its digits."""
    return abs(value) <= _EXACT_LIMIT or (abs(value) < _INT_LIMIT and int(float(value)) == value)


def _is_plain(item: Any) -> bool:
    return type(item) is float or (type(item) is int and _is_exact(item))


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        number = float(value)
    elif isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
    else:
        return None
    return number if abs(number) < float("inf") else None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=BEIJING)
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        if _RFC3339.fullmatch(value):
            return datetime.fromisoformat(value.upper().replace("Z", "+00:00"))
        if value[:1].isalpha() or value[:2].strip().isdigit():
            found = parsedate_to_datetime(value)
            return found if found.tzinfo is not None else None
    except (ValueError, TypeError, IndexError, OverflowError):
        pass
    return None


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def type_of_arrow(kind: pa.DataType) -> TypeName | None:
    """Return the type a column of Arrow's becomes; None when its values are looked at one by one."""
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind):
        return "int64"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "float64"
    if types.is_string(kind) or types.is_large_string(kind):
        return "utf8"
    if types.is_timestamp(kind):
        return "timestamp_us"
    return "date" if types.is_date(kind) else None


def static_columns(fields: Iterable[tuple[str, str]]) -> tuple[Column, ...]:
    """Return declared columns; type names as Arrow's and SQL's people write them."""
    names: dict[str, TypeName] = {
        "float": "float64", "double": "float64", "float64": "float64", "number": "float64",
        "int": "int64", "int64": "int64", "bigint": "int64", "integer": "int64",
        "bool": "boolean", "boolean": "boolean", "string": "utf8", "text": "utf8", "utf8": "utf8",
        "datetime": "timestamp_us", "timestamp": "timestamp_us", "timestamp_us": "timestamp_us",
        "date": "date", "list": "list", "double_list": "list", "float_list": "list",
    }  # fmt: skip
    columns = []
    for name, kind in fields:
        if kind.lower() not in names:
            raise InputError(
                f"column {name[:64]!r}: no type {kind[:64]!r}; there are {', '.join(names)}", key=name[:64]
            )
        columns.append(Column(check_column_name(name), names[kind.lower()]))
    return check_columns(columns)


def check_times(table: pa.Table, definition: Definition) -> None:
    """InputError when a row has no time to be kept under, or one beyond the stream's limit."""
    name = definition.time_column
    if name not in table.column_names or table.column(name).null_count:
        raise InputError(f"{name!r} is the time of this stream: every event needs it", key=name)
    first_us, last_us = pc.min_max(table.column(name).cast(pa.int64())).as_py().values()
    if first_us < FIRST_US or last_us >= LAST_US:
        raise InputError(f"{name!r}: a time outside the years 1 to 9999", key=name)
    if definition.time_limit_days and first_us < wall_ns() // 1_000 - definition.time_limit_days * DAY_US:
        raise InputError(f"{name!r}: an event is older than {definition.time_limit_days} days", key=name)
