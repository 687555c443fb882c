"""Answers of SQL in the forms of the other queries; columns may be of any type here."""

from __future__ import annotations

from itertools import count
from typing import Any

import orjson
import pyarrow as pa

from qautlra.base.errors import InputError
from qautlra.model.query import QueryFormat
from qautlra.store.render import Renderer, renderer

_WHOLE = pa.int64()


class SqlRenderer:
    """`head`, batches, `tail`, as a `Renderer`, for a schema DuckDB chose."""

    def __init__(self, form: QueryFormat, schema: pa.Schema, omit_null: bool) -> None:
        self._json = form in (QueryFormat.ARRAY, QueryFormat.RECORDS, QueryFormat.NDJSON)
        self._lines = form is QueryFormat.NDJSON
        self._by_value = self._json and (omit_null or any(_is_nested(column.type) for column in schema))
        self._omit_null = omit_null
        self._flat = form is QueryFormat.CSV
        is_arrow = form is QueryFormat.ARROW
        names = _told_apart(schema.names)
        kinds = (_plain_type(column.type, is_arrow) for column in schema)
        self.schema = pa.schema(zip(names, kinds, strict=True))
        try:
            self._render: Renderer = renderer(form, self.schema)
        except pa.ArrowNotImplementedError as error:
            text = f"query: a column cannot be written in this form, cast it to VARCHAR: {error}"
            raise InputError(text, key="query") from None
        self._separator = b""

    def head(self) -> bytes:
        """Return what comes before the first row."""
        return self._render.head()

    def batch(self, batch: pa.RecordBatch) -> bytes:
        """Return some more rows."""
        table = pa.Table.from_batches([_plain(batch, self.schema)])
        if not self._by_value:
            return bytes(self._render.piece(_flattened(table) if self._flat else table))
        rows = table.to_pylist()
        if self._omit_null:
            rows = [{name: value for name, value in row.items() if value is not None} for row in rows]
        if self._lines:
            return b"".join(orjson.dumps(row, default=_text, option=orjson.OPT_UTC_Z) + b"\n" for row in rows)
        text = self._separator + orjson.dumps(rows, default=_text, option=orjson.OPT_UTC_Z)[1:-1]
        self._separator = b","
        return text

    def tail(self) -> bytes:
        """Return what comes after the last row."""
        return self._render.tail()


def sql_renderer(form: QueryFormat, schema: pa.Schema, omit_null: bool) -> SqlRenderer:
    """Return a renderer for one answer."""
    return SqlRenderer(form, schema, omit_null)


def _told_apart(names: list[str]) -> list[str]:
    """Return names of which none is there twice: of two columns `a`, as a join has them, one is `a_1`."""
    taken, before, found = set(names), set(), []
    for name in names:
        shown = name
        if name in before:
            shown = next(one for number in count(1) if (one := f"{name}_{number}") not in taken)
            taken.add(shown)
        before.add(name)
        found.append(shown)
    return found


def _is_nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind)) or pa.types.is_binary(kind)


def _plain_type(kind: pa.DataType, is_arrow: bool) -> pa.DataType:
    """Sums of whole numbers come as wide decimals: whole numbers again where they fit.

    Intervals are texts in every form but Arrow's, which alone has a type for them.
    """
    if pa.types.is_interval(kind) and not is_arrow:
        return pa.string()
    if pa.types.is_decimal(kind):
        return _WHOLE if kind.scale == 0 else pa.float64()
    if pa.types.is_dictionary(kind):
        return kind.value_type
    return kind


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = []
    for column, field in zip(batch.columns, schema, strict=True):
        if column.type != field.type and pa.types.is_interval(column.type):
            column = pa.array([None if v is None else _text(v) for v in column.to_pylist()], pa.string())
        elif column.type != field.type:
            try:
                column = column.cast(field.type)
            except pa.ArrowInvalid:
                raise InputError(
                    f"query: column {field.name[:64]!r} does not fit 64 bits; cast it to DOUBLE", key="query"
                ) from None
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _flattened(table: pa.Table) -> pa.Table:
    for at, field in enumerate(table.schema):
        if _is_nested(field.type):
            texts = [None if v is None else _json_text(v) for v in table.column(at).to_pylist()]
            table = table.set_column(at, field.name, pa.array(texts, pa.string()))
    return table


def _json_text(value: Any) -> str:
    return orjson.dumps(value, default=_text).decode()


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return _duration(*value) if isinstance(value, pa.MonthDayNano) else str(value)


def _duration(months: int, days: int, ns: int) -> str:
    """Return an interval as ISO 8601 writes it: `P1DT2H`; each part has its own sign."""
    date = "".join(f"{number}{unit}" for number, unit in ((months, "M"), (days, "D")) if number)
    sign, ns = ("-" if ns < 0 else ""), abs(ns)
    minutes, ns = divmod(ns, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{ns // 10**9}.{ns % 10**9:09}".rstrip("0").rstrip(".") if ns else ""
    parts = ((hours, "H"), (minutes, "M"), (seconds, "S"))
    time = "".join(f"{sign}{number}{unit}" for number, unit in parts if number)
    return f"P{date}T{time}" if time else f"P{date}" if date else "PT0S"
