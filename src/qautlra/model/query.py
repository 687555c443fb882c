"""A question to the store, as a value: what every door decodes to and the store answers."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class QueryFormat(Enum):
    """The form of an answer; the value is its content type."""

    ARRAY = "application/json"
    RECORDS = "application/json; fields=true"
    NDJSON = "application/x-ndjson"
    CSV = "text/csv; charset=utf-8"
    ARROW = "application/vnd.apache.arrow.stream"

    @property
    def content_type(self) -> str:
        """What the reply's Content-Type says."""
        return "application/json" if self is QueryFormat.RECORDS else self.value

    @property
    def streamed(self) -> bool:
        """Whether rows leave as they are read, so that nothing but `limit` bounds their number."""
        return self not in (QueryFormat.ARRAY, QueryFormat.RECORDS)


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
    columns: tuple[str, ...] | None = None
    format: QueryFormat = QueryFormat.ARRAY
