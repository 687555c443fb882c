"""Reads recorded ticks (CSV, .csv.gz, Parquet; CTP field names) as bounded Arrow batches.

Rows that cannot be read are counted with their line numbers and left out; a file that ends too early gives
the rows before the break and then the error. Blocking: callers run `next` in a thread.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from qautlra.base import parquet_in
from qautlra.base.errors import SourceError

CHUNK_BYTES = 1 << 20
BATCH_ROWS = 8192
BAD_LINES_KEPT_COUNT = 20

_TEXT = ("TradingDay", "InstrumentID", "ExchangeID", "UpdateTime", "ActionDay")
_WHOLE = ("UpdateMillisec", "Volume", *(f"{s}Volume{n}" for s in ("Bid", "Ask") for n in range(1, 6)))
_PRICES = (
    "LastPrice",
    "PreSettlementPrice",
    "PreClosePrice",
    "PreOpenInterest",
    "OpenPrice",
    "HighestPrice",
    "LowestPrice",
    "Turnover",
    "OpenInterest",
    "ClosePrice",
    "SettlementPrice",
    "UpperLimitPrice",
    "LowerLimitPrice",
    "AveragePrice",
    *(f"{s}Price{n}" for s in ("Bid", "Ask") for n in range(1, 6)),
)
_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(_TEXT, pa.string()),
    **dict.fromkeys(_PRICES, pa.float64()),
    # Tools that went through floats write volumes as 240.0.
    **dict.fromkeys(_WHOLE, pa.float64()),
}
_NEEDED = ("InstrumentID", "UpdateTime")
_NULLS = ["", "-", "nan", "NaN", "NAN", "null", "NULL", "None", "NA", "N/A"]


class TickFile:
    """One recorded file. Iterate `batches()`; the counts and `error` are then those of the rows so far."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.rows = 0
        self.bad_rows = 0
        self.bad_lines: list[int] = []
        self.error: SourceError | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield batches of CTP columns in file order; what ends the file early is kept in `error`."""
        try:
            reader = self._parquet if self.path.suffix.lower() in (".parquet", ".pq") else self._csv
            for batch in reader():
                self.rows += batch.num_rows
                if batch.num_rows:
                    yield batch
        except SourceError as error:
            self.error = error
        except (OSError, pa.ArrowException) as error:
            self.error = SourceError(f"{self.path}: {error}")

    def _bad(self, line: int) -> None:
        self.bad_rows += 1
        if len(self.bad_lines) < BAD_LINES_KEPT_COUNT:
            self.bad_lines.append(line)

    def _parquet(self) -> Iterator[pa.RecordBatch]:
        def choose(found: list[str]) -> list[str]:
            names = [name for name in found if name in _TYPES]
            self._check(names)
            return names

        with closing(parquet_in.batches(self.path, BATCH_ROWS, choose)) as file:
            for batch in file:
                names = batch.schema.names
                table = pa.table(
                    {name: _cast(batch.column(name), _TYPES[name], lambda _: None) for name in names}
                )
                yield _whole(table)

    def _csv(self) -> Iterator[pa.RecordBatch]:
        names: list[str] | None = None
        line = 1
        for text in self._chunks():
            if names is None:
                head, _, text = text.partition(b"\n")
                names = [part.strip().strip('"') for part in head.decode("utf-8-sig", "replace").split(",")]
                self._check(names)
                line = 2
            if text.strip():
                yield self._parse(text, names, line)
            line += text.count(b"\n")
        if names is None:
            raise SourceError(f"{self.path}: empty, it has not even a line of column names")

    def _check(self, names: list[str]) -> None:
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            raise SourceError(
                f"{self.path}: no column {', '.join(missing)}; expected CTP field names "
                f"(TradingDay, InstrumentID, UpdateTime, LastPrice, ...), found {', '.join(names[:8])}"
            )

    def _chunks(self) -> Iterator[bytes]:
        """Yield whole lines, about CHUNK_BYTES at a time, unpacked."""
        kept = b""
        with self.path.open("rb") as file:
            unpack = _Gzip() if file.peek(2)[:2] == b"\x1f\x8b" else None
            try:
                while raw := file.read(CHUNK_BYTES):
                    for text in unpack.feed(raw) if unpack else (raw,):
                        cut = text.rfind(b"\n") + 1
                        if cut:
                            yield kept + text[:cut]
                            kept = text[cut:]
                        else:
                            kept += text
                        if len(kept) > CHUNK_BYTES:
                            raise SourceError(f"{self.path}: a line longer than {CHUNK_BYTES} bytes")
                if unpack:
                    unpack.finish()
            except (EOFError, zlib.error) as error:
                # The last line is cut somewhere; only whole lines are rows.
                raise SourceError(f"{self.path}: damaged or cut short: {error}") from None
        if kept:
            yield kept

    def _parse(self, text: bytes, names: list[str], line: int) -> pa.RecordBatch:
        wanted = [name for name in names if name in _TYPES]
        skipped: list[int] = []

        def odd_row(row: Any) -> str:
            skipped.append(row.number)
            return "skip"

        def read(types: dict[str, pa.DataType]) -> pa.Table:
            skipped.clear()
            return csv.read_csv(
                pa.BufferReader(text),
                csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
                csv.ParseOptions(ignore_empty_lines=False, invalid_row_handler=odd_row),
                csv.ConvertOptions(
                    column_types=types,
                    include_columns=wanted,
                    null_values=_NULLS,
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                ),
            )

        try:
            table = read({name: _TYPES[name] for name in wanted})
        except pa.ArrowInvalid:
            table = self._mend(read(dict.fromkeys(wanted, pa.string())), skipped, line)
        for number in skipped:
            self._bad(line + number - 1)
        return _whole(table)

    def _mend(self, table: pa.Table, skipped: list[int], line: int) -> pa.Table:
        """Cast column by column and leave out the rows that hold something unreadable."""
        bad: set[int] = set()
        columns = {
            name: _cast(table.column(name).combine_chunks(), _TYPES[name], bad.add)
            for name in table.column_names
        }
        numbers = (n for n in range(1, table.num_rows + len(skipped) + 1) if n not in set(skipped))
        for index, number in enumerate(numbers):
            if index in bad:
                self._bad(line + number - 1)
        keep = pa.array([index not in bad for index in range(table.num_rows)])
        return pa.table(columns).filter(keep)


class _Gzip:
    """Unpacks gzip members as they come, in pieces of bounded size."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(31)

    def feed(self, raw: bytes) -> Iterator[bytes]:
        full = False
        while raw or full:
            piece = self._unpacker.decompress(raw, CHUNK_BYTES)
            full = len(piece) == CHUNK_BYTES  # more may wait inside although all input is taken
            if piece:
                yield piece
            if self._unpacker.eof:
                full = False
                raw = self._unpacker.unused_data.lstrip(b"\0")
                if raw:
                    self._unpacker = zlib.decompressobj(31)
            else:
                raw = self._unpacker.unconsumed_tail

    def finish(self) -> None:
        if not self._unpacker.eof:
            raise EOFError("the compressed data ends too early")


def _cast(values: pa.Array, wanted: pa.DataType, bad: Callable[[int], object]) -> pa.Array:
    """Cast a column; when that fails, value by value, telling `bad` the index of each unreadable one."""
    try:
        if pa.types.is_time(values.type):  # tools that guess types make times and dates of these texts
            return pc.utf8_slice_codeunits(values.cast(wanted), 0, 8)
        if pa.types.is_date(values.type):
            return pc.strftime(values, "%Y%m%d")
        return values.cast(wanted, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    found = []
    for index, value in enumerate(values.to_pylist()):
        try:
            found.append(None if value is None else float(value) if wanted == pa.float64() else str(value))
        except (TypeError, ValueError):
            found.append(None)
            bad(index)
    return pa.array(found, wanted)


def _whole(table: pa.Table) -> pa.RecordBatch:
    """Return one batch with the volume columns as whole numbers."""
    for name in _WHOLE:
        if name in table.column_names:
            at = table.column_names.index(name)
            column = table.column(at)
            finite = pc.if_else(pc.less(pc.abs(column), 9e15), column, None)
            table = table.set_column(at, name, pc.round(finite).cast(pa.int64()))
    batches = table.combine_chunks().to_batches()
    if not batches:
        return pa.RecordBatch.from_pylist([], schema=table.schema)
    return batches[0]


def first_day(paths: Sequence[str | Path]) -> int:
    """Return the first day the first rows of the files name, as YYYYMMDD, 0 when none does.

    Blocking: reads a batch of each until one names a day.
    """
    for path in paths:
        for batch in islice(TickFile(path).batches(), 1):
            for name in ("TradingDay", "ActionDay"):
                for value in batch.column(name) if name in batch.schema.names else ():
                    day = str(value.as_py() or "").replace("-", "")
                    if len(day) == 8 and day.isdigit():
                        return int(day)
    return 0
