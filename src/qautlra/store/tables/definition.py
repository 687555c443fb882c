"""What a user's stream is: its name, its columns, how it is partitioned and kept. One small file each."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import msgspec
import pyarrow as pa
from msgspec import Struct

from qautlra.base import log
from qautlra.base.errors import InputError, LimitError, NotFoundError, StorageError
from qautlra.model.streams import Derived
from qautlra.store.catalogue import sync_directory, write_durably
from qautlra.store.filter import Kind
from qautlra.store.schema import STREAMS, Stream

TypeName = Literal["float64", "int64", "boolean", "utf8", "timestamp_us", "date", "list"]

STREAMS_COUNT = 1_000
COLUMNS_COUNT = 1_000
PARTITION_FIELDS_COUNT = 3
DEFINITIONS: Final = "streams"
"Below `tables`: a file for each stream, which says what it is."
ARRIVAL: Final = "p_timestamp"
OWN_COLUMNS: Final = (ARRIVAL, "p_user_agent", "p_src_ip", "p_format")
KAFKA_COLUMNS: Final = ("p_kafka_topic", "p_kafka_partition", "p_kafka_offset")
IMPORT_COLUMNS: Final = ("p_import", "p_import_file", "p_import_row")
GIVEN_COLUMNS: Final = frozenset((*OWN_COLUMNS, *KAFKA_COLUMNS, *IMPORT_COLUMNS))
"""Columns only the store itself fills: what an event says of them is left out."""

_log = log.get_logger("store")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", re.ASCII)
_KEYWORDS = frozenset(
    ("select", "from", "where", "group", "by", "order", "limit", "offset", "join", "and", "sql")
)
TYPES: Final[dict[TypeName, pa.DataType]] = {
    "float64": pa.float64(),
    "int64": pa.int64(),
    "boolean": pa.bool_(),
    "utf8": pa.string(),
    "timestamp_us": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "list": pa.list_(pa.float64()),
}
_KINDS: Final[dict[TypeName, Kind]] = {
    "float64": Kind.NUMBER,
    "int64": Kind.COUNT,
    "timestamp_us": Kind.TIME,
    "date": Kind.DATE,
}


class Column(Struct, frozen=True):
    """One column; a column never changes its type."""

    name: str
    type: TypeName


class Definition(Struct, frozen=True, kw_only=True):
    """One stream. Rows of the log up to `born_lsn` belong to an earlier stream of the name."""

    name: str
    columns: tuple[Column, ...]
    created_us: int
    born_lsn: int = 0
    is_static: bool = False
    infer_times: bool = True
    time_partition: str = ""
    time_limit_days: int = 0
    custom_partition: tuple[str, ...] = ()
    retention_days: int = 0
    retention_description: str = ""
    derived: Derived | None = None
    "How its rows are made of another stream's; None: they are ingested."

    @property
    def time_column(self) -> str:
        """The column ranges of time are about."""
        return self.time_partition or ARRIVAL

    @property
    def follows_market(self) -> bool:
        """Whether its times are the market's: it is made of one of the market's streams."""
        return self.derived is not None and self.derived.source.lower() in STREAMS

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        return pa.schema([(column.name, TYPES[column.type]) for column in self.columns])

    def stream(self) -> Stream:
        """Return it as the thing filters and projections ask about."""
        kinds = {column.name: _KINDS.get(column.type, Kind.TEXT) for column in self.columns}
        return Stream(self.name, self.schema, (self.name,), kinds)


def check_table_name(name: str) -> str:
    """Return `name` when it may name a user's stream; InputError otherwise."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"stream {name[:80]!r} is not a stream name: up to 64 letters, digits, - and _", key="stream"
        )
    if name.lower() in _KEYWORDS:
        raise InputError(f"stream {name!r} is a word of SQL and cannot name a stream", key="stream")
    return name


class Book:
    """The definitions of a directory: names are all known, at most `cache_count` of the rest are in memory.

    `put` and `remove` are blocking and for one thread; reading is for the loop.
    """

    def __init__(self, directory: Path, cache_count: int) -> None:
        self._directory = directory
        self._cache_count = cache_count
        self._names: dict[str, str] = {}
        self._cache: OrderedDict[str, Definition] = OrderedDict()

    def load(self) -> None:
        """Read which streams there are. Blocking."""
        self._directory.mkdir(parents=True, exist_ok=True)
        found = (path.stem for path in self._directory.glob("*.json"))
        self._names = {name.lower(): name for name in found}

    @property
    def cached_count(self) -> int:
        """How many definitions are in memory."""
        return len(self._cache)

    def names(self) -> list[str]:
        """Return the names there are, in order."""
        return sorted(self._names.values())

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._names

    def get(self, name: str) -> Definition:
        """Return a definition; NotFoundError when there is none."""
        spelled = self._names.get(name.lower())
        if spelled is None:
            raise NotFoundError(
                f"there is no stream {name[:80]!r}; there are {', '.join([*STREAMS, *self.names()[:50]])}",
                key="stream",
            )
        found = self._cache.get(spelled)
        if found is None:
            found = read_definition(self._directory / f"{spelled}.json")
        self._keep(found)
        return found

    def find(self, name: str) -> Definition | None:
        """Return a definition; None when there is none, or it cannot be read, which is logged."""
        try:
            return self.get(name)
        except NotFoundError:
            return None
        except StorageError as error:
            _log.error("stream_unreadable", stream=name, error=str(error))
            return None

    def put(self, definition: Definition) -> None:
        """Store a definition durably; LimitError when there are too many."""
        if definition.name not in self and len(self._names) >= STREAMS_COUNT:
            raise LimitError(f"there are {STREAMS_COUNT} streams already")
        write_durably(self._directory / f"{definition.name}.json", msgspec.json.encode(definition))
        self._names[definition.name.lower()] = definition.name
        self._keep(definition)

    def remove(self, name: str) -> None:
        """Forget a stream durably."""
        (self._directory / f"{name}.json").unlink(missing_ok=True)
        sync_directory(self._directory)
        self._names.pop(name.lower(), None)
        self._cache.pop(name, None)

    def _keep(self, definition: Definition) -> None:
        self._cache[definition.name] = definition
        self._cache.move_to_end(definition.name)
        while len(self._cache) > self._cache_count:
            self._cache.popitem(last=False)


def read_definition(path: Path) -> Definition:
    """Return the definition in a file; StorageError when it is damaged. Blocking, briefly."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Definition)
    except (OSError, msgspec.DecodeError) as error:
        passes = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        raise StorageError(f"{path} cannot be read: {error}", retryable=passes) from None


def own_columns() -> tuple[Column, ...]:
    """Return the columns every event gains."""
    return (Column(ARRIVAL, "timestamp_us"), *(Column(name, "utf8") for name in OWN_COLUMNS[1:]))


def check_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Return the columns when there are not too many, none twice and none with a strange name."""
    found = tuple(columns)
    if len(found) > COLUMNS_COUNT:
        raise LimitError(f"a stream has at most {COLUMNS_COUNT} columns, not {len(found)}", status=413)
    seen: set[str] = set()
    for column in found:
        check_column_name(column.name)
        if column.name.lower() in seen:
            raise InputError(f"column {column.name[:64]!r} is there twice", key=column.name[:64])
        seen.add(column.name.lower())
    return found


def check_column_name(name: str) -> str:
    """Return `name` when it may name a column: printable, without quotes, up to 128 characters."""
    if not 0 < len(name) <= 128 or not name.isprintable() or '"' in name:
        raise InputError(f"{name[:80]!r} cannot name a column", key="columns")
    return name
