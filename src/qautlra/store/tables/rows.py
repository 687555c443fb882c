"""Events to rows: nested objects flattened, schemas grown, conflicting values kept aside.

Pure. A column never changes its type; a value that cannot become it goes to a sibling `<name>_<type>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from qautlra.base.errors import InputError
from qautlra.model.cells import CellColumn, Cells, column_of
from qautlra.store.tables.definition import (
    GIVEN_COLUMNS,
    TYPES,
    Column,
    Definition,
    TypeName,
    check_column_name,
    check_columns,
)
from qautlra.store.tables.infer import (
    as_numbers,
    fit,
    has_place,
    in_type,
    infer,
    kind_of_all,
    kind_of_cells,
    text_of,
    type_of_arrow,
)

DEPTH_COUNT: Final = 10


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
        found[key] = text_of(item) if isinstance(item, Mapping) else item


def rows_of(
    events: Sequence[Any], definition: Definition, extra: Mapping[str, Any], *, may_grow: bool
) -> Grown:
    """Return events as rows of the definition's columns, grown by what they bring.

    `extra` are constant columns, or arrays with a value per event. Without `may_grow` an undeclared column
    is an InputError. Names that differ in case alone are one column's, as they are in SQL.
    """
    made = _Rows(definition, len(events), may_grow)
    given: dict[str, tuple[str, list[Any]]] = {}  # by the name's lower case
    spelled: dict[str, list[Any]] = {}
    left_out: list[Any] = []
    for at, event in enumerate(events):
        if not isinstance(event, Mapping):
            raise InputError(f"event {at} is not an object", key="body")
        for name, value in flatten(event).items():
            if value is None:
                continue
            values = spelled.get(name)
            if values is None:
                key = name.lower()
                if key in GIVEN_COLUMNS:
                    values = left_out
                else:
                    values = given.setdefault(key, (name, [None] * len(events)))[1]
                spelled[name] = values
            if values is left_out:
                continue
            if values[at] is not None:
                raise InputError(f"event {at} has column {name[:64]!r} twice", key=name[:64])
            values[at] = value
    made.add(extra)
    for name, values in given.values():
        made.place(name, values, _cells(events, name, values))
    return made.grown()


def _cells(events: Sequence[Any], name: str, values: list[Any]) -> CellColumn | None:
    """Return what a column says as cells of a text file; None: it is none of a text file's."""
    if not isinstance(events, Cells):
        return None
    return column_of(values) if events.columns is None else events.columns.get(name)


def table_rows(table: pa.Table, definition: Definition, extra: Mapping[str, Any], *, may_grow: bool) -> Grown:
    """Return the rows of a table whose columns have types; InputError for types that have no place."""
    made = _Rows(definition, table.num_rows, may_grow)
    if len({name.lower() for name in table.column_names}) < table.num_columns:
        raise InputError("two columns have one name", key="body")
    made.add(extra)
    for field in table.schema:
        if field.name.lower() in GIVEN_COLUMNS:
            continue
        if not has_place(field.type):
            text = f"column {field.name[:64]!r}: values of type {field.type} have no place here"
            raise InputError(text, key=field.name[:64])
        kind = type_of_arrow(field.type)
        column = table.column(field.name).combine_chunks()
        try:
            if kind is None:
                made.place(field.name, column.to_pylist())
            else:
                made.fill(field.name, kind, in_type(column, kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
            raise InputError(f"column {field.name[:64]!r}: {error}", key=field.name[:64]) from None
    return made.grown()


class _Rows:
    """Rows being made: the columns their stream has by now, and what each column holds."""

    def __init__(self, definition: Definition, count: int, may_grow: bool) -> None:
        self._definition = definition
        self._count = count
        self._may_grow = may_grow
        self._known = {column.name.lower(): column for column in definition.columns}
        self._held: dict[str, list[Any] | pa.Array] = {}
        "By the name's lower case, as `_known`."
        self._rest: list[tuple[str, TypeName, list[Any]]] = []
        "What goes beside once every column has its own: name, type, values."

    def add(self, extra: Mapping[str, Any]) -> None:
        """Place constants, or arrays, beside every event; those only the store gives are columns anywhere."""
        for name, value in extra.items():
            if isinstance(value, pa.Array):
                kind = type_of_arrow(value.type)
                assert kind is not None and len(value) == self._count
                self.put(name, kind, value)
            else:
                self.place(name, [value] * self._count)

    def put(self, name: str, kind: TypeName, array: pa.Array) -> None:
        """Put a whole column where its type is the column's: under its name, or beside."""
        at = self._column(name, kind, _is_none_free, lambda: f"values of type {kind}")
        self._held[at] = array

    def fill(self, name: str, kind: TypeName, array: pa.Array) -> None:
        """Put a column of a table where it belongs: what becomes the column's own type exactly, into it."""
        column = self._known.get(name.lower())
        if column is None or column.type == kind:
            self.put(name, kind, array)
            return
        numbers = None if name.lower() in self._held else as_numbers(array, column.type)
        if numbers is None:
            self.place(name, array.to_pylist())
        else:
            self._held[name.lower()] = numbers

    def place(self, name: str, values: list[Any], cells: CellColumn | None = None) -> None:
        """Place values under their name; those that cannot be of its type are left to go beside."""
        column = self._known.get(name.lower())
        if column is None:
            first = kind_of_all(name, values) if cells is None else kind_of_cells(name, cells)
            if first is None:
                return
            column = self._known[self._column(name, self._type(first), _is_none_free, str)]
        key, kind = column.name.lower(), column.type
        held = self._held.get(key)
        kept = [None] * self._count if held is None else held
        rest: dict[TypeName, list[Any]] = {}
        for at, value in enumerate(values):
            if value is None:
                continue
            fitted = fit(value, kind)
            if fitted is None or not isinstance(kept, list) or kept[at] is not None:
                other = self._type(infer(name, value, is_cell=cells is not None))
                rest.setdefault(other, [None] * self._count)[at] = value
            else:
                kept[at] = fitted
        self._held[key] = kept
        self._rest += [(column.name, other, left) for other, left in rest.items()]

    def _type(self, kind: TypeName) -> TypeName:
        """Return the type of a new column whose values speak for `kind`."""
        return "utf8" if kind == "timestamp_us" and not self._definition.infer_times else kind

    def _beside(self, name: str, kind: TypeName, values: list[Any]) -> None:
        def is_free(held: list[Any] | pa.Array) -> bool:
            return isinstance(held, list) and all(
                one is None or value is None for one, value in zip(held, values, strict=True)
            )

        def told() -> str:
            at, value = next((at, value) for at, value in enumerate(values) if value is not None)
            return f"{str(value)[:64]!r} (event {at})"

        at = self._column(f"{name}_{kind}", kind, is_free, told, of=name)
        held = self._held.setdefault(at, [None] * self._count)
        for row, value in enumerate(values):
            if value is not None:
                held[row] = value if kind == "float64" and type(value) is float else fit(value, kind)

    def _column(
        self,
        name: str,
        kind: TypeName,
        is_free: Callable[[list[Any] | pa.Array], bool],
        told: Callable[[], str],
        *,
        of: str = "",
    ) -> str:
        """Return the key of the column values of `kind` go to, made when there is none."""
        sought = name
        while (found := self._known.get(sought.lower())) is not None:
            held = self._held.get(sought.lower())
            if found.type == kind and (held is None or is_free(held)):
                return sought.lower()
            of, sought = of or found.name, f"{sought}_{kind}"
        if not self._may_grow and (of or name) not in GIVEN_COLUMNS:
            own = self._known.get(of.lower())
            if own is not None:
                text = f"column {own.name[:64]!r} is {own.type} and cannot hold {told()}"
                raise InputError(f"{text}; this stream has declared columns only", key=own.name[:64])
            there = ", ".join([column.name for column in self._known.values()][:100])
            text = f"{name[:64]!r} is not a column of this stream; there are {there}"
            raise InputError(text, key=name[:64])
        self._known[sought.lower()] = Column(check_column_name(sought), kind)
        return sought.lower()

    def grown(self) -> Grown:
        """Return the rows, and the stream's columns with them."""
        for name, kind, values in self._rest:
            self._beside(name, kind, values)
        before = self._definition.columns
        is_new = len(self._known) > len(before)
        columns = check_columns(self._known.values()) if is_new else before
        fields = [column for column in columns if column.name.lower() in self._held]
        table = pa.table(
            [_chunked(self._held[column.name.lower()], TYPES[column.type]) for column in fields],
            schema=pa.schema([(column.name, TYPES[column.type]) for column in fields]),
        )
        assert not fields or table.num_rows == self._count
        return Grown(table, columns, is_new)


def _is_none_free(_held: list[Any] | pa.Array) -> bool:
    return False


def _chunked(held: Any, kind: pa.DataType) -> pa.ChunkedArray:
    if isinstance(held, list):
        held = pa.array(held, kind)
    return held if isinstance(held, pa.ChunkedArray) else pa.chunked_array([held])
