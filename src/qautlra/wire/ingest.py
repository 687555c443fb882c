"""Bodies and headers of the ingest doors: JSON, NDJSON, CSV and Arrow to events; `X-P-*` to options."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

import msgspec
import orjson
import pyarrow as pa

from qautlra.base.errors import InputError
from qautlra.base.loop import in_slices
from qautlra.model.cells import Cells
from qautlra.model.streams import StreamOptions
from qautlra.wire.arrow_size import MAGIC, unpacked_bytes

E = TypeVar("E")
EVENTS_COUNT = 1_000_000
UNPACKED_BYTES = 256 << 20
RETENTION_DAYS = 36_500
DESCRIPTION_CHARS = 1_000
_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
# `curl -d` says the third when it is not told otherwise; ingest needs a login, so no page can send it.
_JSON = (
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "",
)
_ARROW = ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file")


def decode_events(
    body: bytes, content_type: str, *, beside_loop: bool = False
) -> tuple[list[Any] | pa.Table, str]:
    """Return the events of a body and what form it has; InputError 415 for a type that is none of ours.

    `beside_loop`: in a thread beside an event loop, to which many events leave the interpreter now and then.
    """
    slices: Callable[[Iterable[Any]], Iterator[Any]] = in_slices if beside_loop else iter
    if content_type in _ARROW:
        return _arrow(body), "arrow"
    if content_type == "text/csv":
        return _csv(body), "csv"
    if content_type in _LINES:
        if max(body.count(b"\n"), body.count(b"\r")) > EVENTS_COUNT:
            raise _too_many()
        lines = enumerate(body.splitlines(), 1)
        return _some(_json(line, f"line {at}") for at, line in slices(lines) if line.strip()), "json"
    if content_type not in _JSON:
        raise InputError(
            f"Content-Type {content_type[:64]!r}: expected application/json, application/x-ndjson, "
            "text/csv or application/vnd.apache.arrow.stream",
            status=415,
        )
    if beside_loop and (parts := _parts(body)) is not None:
        return _some(_json(part, "the body") for part in slices(parts)), "json"
    events = _json(body, "the body")
    return _some(events) if isinstance(events, list) else [events], "json"


def _some(events: Iterable[E]) -> list[E]:
    """Return the events, EVENTS_COUNT at most; InputError 413 when there are more."""
    found = list(islice(events, EVENTS_COUNT + 1))
    if len(found) > EVENTS_COUNT:
        raise _too_many()
    return found


def _too_many() -> InputError:
    return InputError(f"more than {EVENTS_COUNT} events at once", key="body", status=413)


def extra_columns(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the constant columns `X-P-Meta-*` and `X-P-Tag-*` ask for."""
    found = {}
    for name, value in headers.items():
        lower = name.lower()
        for prefix in ("x-p-meta-", "x-p-tag-"):
            if lower.startswith(prefix) and len(lower) > len(prefix):
                found[lower[len(prefix) :].replace("-", "_")] = header_text(value)[:1024]
    return found


def header_text(value: str) -> str:
    """Return a header's value as a text that can be kept: what in it is not UTF-8 becomes U+FFFD."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def decode_options(headers: Mapping[str, str], body: bytes) -> StreamOptions:
    """Return how a stream is to be made; InputError names the header or field that cannot be read."""
    fields = None
    if body.strip():
        declared = _json(body, "the body")
        try:
            fields = tuple(
                (str(field["name"]), str(field.get("data_type") or field["type"]))
                for field in declared["fields"]
            )
        except (KeyError, TypeError, AttributeError):
            raise InputError('the body is not {"fields": [{"name", "data_type"}, …]}', key="fields") from None
    partition = header_text(headers.get("X-P-Custom-Partition", ""))
    custom = tuple(name.strip() for name in partition.split(",") if name.strip())
    if len(custom) > 3 or len(set(custom)) != len(custom):
        raise InputError("X-P-Custom-Partition: up to three different fields", key="X-P-Custom-Partition")
    limit = headers.get("X-P-Time-Partition-Limit", "")
    return StreamOptions(
        is_static=_flag(headers, "X-P-Static-Schema-Flag"),
        update=_flag(headers, "X-P-Update-Stream"),
        time_partition=header_text(headers.get("X-P-Time-Partition", "")).strip(),
        time_limit_days=days(limit, "X-P-Time-Partition-Limit") if limit else 0,
        custom_partition=custom,
        fields=fields,
        infer_times=_flag(headers, "X-P-Infer-Timestamp", default=True),
    )


def decode_retention(body: bytes) -> tuple[int, str]:
    """Return days and description of `[{"description", "action": "delete", "duration": "30d"}]`: one task."""
    tasks = _json(body, "the body")
    if not isinstance(tasks, list) or len(tasks) != 1 or not isinstance(tasks[0], dict):
        raise InputError('expected one task: [{"description", "action": "delete", "duration": "30d"}]')
    if tasks[0].get("action") != "delete":
        raise InputError("action: only delete", key="action")
    description = tasks[0].get("description", "")
    if not isinstance(description, str) or len(description) > DESCRIPTION_CHARS:
        raise InputError(f"description: a text of up to {DESCRIPTION_CHARS} characters", key="description")
    return days(str(tasks[0].get("duration", "")), "duration"), description


def retention(kept_days: int, description: str) -> list[dict[str, str]]:
    """Return a retention as the same JSON."""
    if not kept_days:
        return []
    return [{"description": description, "action": "delete", "duration": f"{kept_days}d"}]


def days(text: str, key: str) -> int:
    """Return the days of `30d`; the suffix is mandatory, 1 to 36500."""
    number = text[:-1]
    if (
        text[-1:] != "d"
        or not (number.isascii() and number.isdigit())
        or not 0 < int(number) <= RETENTION_DAYS
    ):
        raise InputError(f"{key}: expected 1d to {RETENTION_DAYS}d, got {text[:32]!r}", key=key)
    return int(number)


def _flag(headers: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    text = headers.get(name, str(default)).strip().lower()
    if text not in ("true", "false"):
        raise InputError(f"{name}: expected true or false, got {text[:32]!r}", key=name)
    return text == "true"


def _parts(body: bytes) -> list[memoryview] | None:
    """Return the elements of a JSON array, unread; None for a body that is none."""
    try:
        return [memoryview(part) for part in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, RecursionError):
        return None


def _json(text: bytes | memoryview, what: str) -> Any:
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{what} is not JSON: {error}", key="body") from None


def _arrow(body: bytes) -> pa.Table:
    """Return the table of an Arrow stream or file, every offset of it checked: nobody's bytes are trusted."""
    try:
        if sum(unpacked_bytes(body)) > UNPACKED_BYTES:
            raise _too_much()
        if body.startswith(MAGIC):
            file = pa.ipc.open_file(body)
            table = _bounded(file.schema, map(file.get_batch, range(file.num_record_batches)))
        else:
            stream = pa.ipc.open_stream(body)
            table = _bounded(stream.schema, stream)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"the body is not Arrow: {error}", key="body") from None
    return table


def check_batch(batch: pa.RecordBatch) -> None:
    """Check names and every offset of a batch nobody vouches for; ArrowInvalid says what is wrong."""
    try:
        _check_names(batch.schema)
    except UnicodeDecodeError as error:
        raise pa.ArrowInvalid(f"a name is not UTF-8: {error}") from None
    batch.validate(full=True)


def _check_names(fields: Iterable[pa.Field]) -> None:
    for field in fields:
        _ = field.name  # decoded when it is asked for
        if pa.types.is_nested(field.type):
            _check_names(field.type.field(i) for i in range(field.type.num_fields))


def _bounded(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Return batches as a table, each checked; InputError 413 when they have too many rows, or bytes.

    A file may name a batch it holds more than once.
    """
    found, rows, size = [], 0, 0
    for batch in batches:
        rows += batch.num_rows
        if rows > EVENTS_COUNT:
            raise _too_many()
        check_batch(batch)
        size += batch.get_total_buffer_size()
        if size > UNPACKED_BYTES:
            raise _too_much()
        found.append(batch)
    return pa.Table.from_batches(found, schema)


def _too_much() -> InputError:
    return InputError(f"more than {UNPACKED_BYTES >> 20} MiB unpacked", key="body", status=413)


def _csv(body: bytes) -> Cells:
    try:
        return Cells(_some(csv_rows(io.StringIO(body.decode("utf-8-sig"), newline=""))))
    except UnicodeDecodeError as error:
        raise InputError(f"the body is not CSV: {error}", key="body") from None


def csv_rows(file: Iterable[str]) -> Iterator[dict[str, str | None]]:
    """Yield the lines of a CSV below its header, an empty cell as no value.

    InputError names a line that is none when it is come to.
    """
    lines = 0

    def counted() -> Iterator[str]:
        nonlocal lines
        for line in file:
            lines += 1
            yield line

    reader = csv.reader(counted(), strict=True)
    try:
        names = next((line for line in reader if line), [])
        if len(set(names)) < len(names):
            raise InputError("the header names a column twice", key="body")
        for cells in reader:
            if len(cells) > len(names):
                raise InputError(f"line {lines} has more cells than the header", key="body")
            if cells:
                yield {name: text or None for name, text in zip(names, cells, strict=False)}
    except csv.Error as error:
        raise InputError(f"line {lines} is not CSV: {error}", key="body") from None
    except (UnicodeDecodeError, EOFError) as error:
        raise InputError(f"after line {lines}: {error}", key="body") from None
