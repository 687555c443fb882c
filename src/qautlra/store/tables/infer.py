"""Which type a value speaks for, and what it is as each type: numbers, texts, times, days, lists. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from qautlra.base.clock import wall_ns
from qautlra.base.errors import InputError
from qautlra.model.cells import CellColumn, number_in, truth_in
from qautlra.store.tables.definition import (
    TYPES,
    Column,
    Definition,
    TypeName,
    check_column_name,
    check_columns,
)
from qautlra.store.timegrammar import BEIJING

_TIMELY = re.compile(r"time|date|timestamp|created|received|saved|delivered|at$|ts$", re.IGNORECASE)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?", re.ASCII)
_INT_LIMIT = 2**63
_BEIJING_OFFSET = pa.scalar(8 * 3_600, pa.duration("s"))
DAY_US = 86_400_000_000
# The days a calendar date can name, in any zone.
FIRST_US = (date.min.toordinal() + 1 - 719_163) * DAY_US
LAST_US = (date.max.toordinal() - 1 - 719_163) * DAY_US
_EXACT_LIMIT = 2**53
_INFINITE = float("inf")


def kind_of_all(name: str, values: list[Any]) -> TypeName | None:
    """Return the type of a new column: its first value's; None when it has none."""
    first = next((value for value in values if value is not None), None)
    return None if first is None else infer(name, first)


def kind_of_cells(name: str, column: CellColumn) -> TypeName:
    """Return the type of a new column of a text file: a code, `000001`, makes all of it texts."""
    if column.has_codes and number_in(column.first) is not None:
        return "utf8"
    return "boolean" if column.is_truths else infer(name, column.first, is_cell=True)


def infer(name: str, value: Any, *, is_cell: bool = False) -> TypeName:
    """Return the type a value of a column of that name speaks for; a cell's may be a number's."""
    if isinstance(value, bool):
        return "boolean"
    if is_cell and (number := number_in(value)) is not None:
        return "utf8" if abs(number) == _INFINITE else infer(name, number)
    if isinstance(value, int) and not _is_exact(value):
        return "int64" if _is_long(value) else "utf8"
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
            number = _number(value)
            return None if type(number) is int and not _is_exact(number) else _finite(number)
        case "int64":
            number = _number(value)
            if type(number) is int:
                return number if _is_long(number) else None
            # Of a text's digits a double has lost some by now.
            limit = _EXACT_LIMIT if isinstance(value, str) else _INT_LIMIT
            return None if number is None or not -limit <= number < limit else _whole(number)
        case "boolean":
            return truth_in(value) if isinstance(value, str) else _truth(value)
        case "timestamp_us":
            found = _moment(value)
            return _local_moment(value) if found is None else found
        case "date":
            return _day(value)
        case "list":
            fits = isinstance(value, list) and all(_is_plain(item) for item in value)
            return [float(item) for item in value] if fits else None
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str) else text_of(value)


def text_of(value: Any) -> str:
    try:
        return orjson.dumps(value, default=_spelled).decode()
    except TypeError:  # whole numbers beyond 64 bits, lone surrogates
        return json.dumps(value, default=_spelled)


def _spelled(value: Any) -> str:
    """Return what is inside a list or an object of Arrow's and JSON has no word for."""
    if isinstance(value, Decimal | date):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a text")


def _is_exact(value: int) -> bool:
    """Tell whether a double holds the number with all its digits."""
    return abs(value) <= _EXACT_LIMIT or (_is_long(value) and int(float(value)) == value)


def _is_plain(item: Any) -> bool:
    return type(item) is float or (type(item) is int and _is_exact(item))


def _is_long(value: int) -> bool:
    return -_INT_LIMIT <= value < _INT_LIMIT


def _number(value: Any) -> int | float | None:
    """Return a number, also one that is written as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    return number_in(value) if isinstance(value, str) else None


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _finite(number: int | float | None) -> float | None:
    return float(number) if number is not None and abs(number) < _INFINITE else None


def _whole(number: float) -> int | None:
    return int(number) if number == int(number) else None


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


def _local_moment(text: Any) -> datetime | None:
    """Return Beijing's moment of a day, or of a text without a zone: `2026-01-02 09:30:00.5`, or less."""
    if isinstance(text, date):
        return datetime.combine(text, time.min, BEIJING)
    if not isinstance(text, str) or not _LOCAL.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).replace(tzinfo=BEIJING)
    except ValueError:
        return None


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        local = value.astimezone(BEIJING)
        return local.date() if local.time() == time.min else None
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


def in_type(array: pa.Array, kind: TypeName) -> pa.Array:
    """Return values of Arrow's as `kind` has them; ArrowInvalid: one has no place."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return cast(array, TYPES[kind])


def cast(values: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """Return values as another type of Arrow's; ArrowInvalid: one has no place there.

    Times that name no zone are Beijing's. A decimal becomes the nearest double, which Arrow's own way misses
    by a digit in one of seven (0.35 -> 0.35000000000000003).
    """
    given = values.type
    if pa.types.is_timestamp(given) and given.tz is None and pa.types.is_timestamp(kind):
        values = pc.subtract_checked(values, _BEIJING_OFFSET)
    elif pa.types.is_decimal(given) and pa.types.is_floating(kind):
        values = values.cast(pa.string())
    return values.cast(kind)


def as_numbers(array: pa.Array, kind: TypeName) -> pa.Array | None:
    """Return numbers as `kind` has them; None where they are none, or one would lose something."""
    if array.type == TYPES[kind] or {array.type, TYPES[kind]} != {pa.float64(), pa.int64()}:
        return None
    try:
        return array.cast(TYPES[kind])
    except pa.ArrowInvalid:
        return None


def has_place(kind: pa.DataType) -> bool:
    """Tell whether values of Arrow's type are numbers, texts, times, days, or lists and objects of those."""
    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind) or _is_list(kind):
        return has_place(kind.value_type)
    if types.is_map(kind):
        return has_place(kind.key_type) and has_place(kind.item_type)
    if types.is_struct(kind):
        return all(has_place(kind.field(at).type) for at in range(kind.num_fields))
    return types.is_null(kind) or types.is_string_view(kind) or type_of_arrow(kind) is not None


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        return True
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


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
