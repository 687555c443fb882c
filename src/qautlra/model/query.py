"""A question to the store, as a value: what every door decodes to and the store answers."""

from __future__ import annotations

from enum import Enum
from typing import Literal

from msgspec import Struct


class QueryFormat(Enum):
    """The form of an answer; the value is its content type."""

    ARRAY = "application/json"
    RECORDS = "application/json; fields=true"
    NDJSON = "application/x-ndjson"
    CSV = "text/csv; charset=utf-8"
    ARROW = "application/vnd.apache.arrow.stream"
    PARQUET = "application/vnd.apache.parquet"

    content_type: str
    "What the reply's Content-Type says."
    streamed: bool
    "Whether rows leave as they are read, so that nothing but `limit` bounds their number."

    def __init__(self, value: str) -> None:
        # Attributes: a property of an enumeration's member is a call or two each time.
        self.content_type = value.partition(";")[0] if value.startswith("application/json") else value
        self.streamed = not value.startswith("application/json")


class Verb(Struct, frozen=True, kw_only=True):
    """What to make of the rows: bars, the newest of each instrument, a mean, rows of another stream."""

    name: Literal["sample_by", "latest_on", "rolling_mean", "asof"]
    period: str = ""
    fill: Literal["none", "null", "prev"] = "none"
    other: str = ""


class QueryRequest(Struct, frozen=True, kw_only=True):
    """Rows of `stream` with start_time <= datetime < end_time that pass `filter`: the first `limit` of them.

    Times and filter are still texts in the store's grammars; None means the default.
    """

    stream: str
    start_time: str | int | float | None = None
    end_time: str | int | float | None = None
    limit: int | None = None
    filter: str = ""
    descending: bool = False
    unordered: bool = False
    columns: tuple[str, ...] | None = None
    verb: Verb | None = None
    format: QueryFormat = QueryFormat.ARRAY
    who: str = ""
    "Who asks, when it waits for its turn."


class SqlRequest(Struct, frozen=True, kw_only=True):
    """One SELECT over rows with start_time <= datetime < end_time. Nulls are left out without `send_null`."""

    sql: str
    start_time: str | int | float | None = None
    end_time: str | int | float | None = None
    send_null: bool = True
    format: QueryFormat = QueryFormat.ARRAY
    who: str = ""


class CountsRequest(Struct, frozen=True, kw_only=True):
    """How many rows of a stream there are in each of `bins` equal parts of a range."""

    stream: str
    start_time: str | int | float | None = None
    end_time: str | int | float | None = None
    bins: int = 10
    who: str = ""
