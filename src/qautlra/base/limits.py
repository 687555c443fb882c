"""Bounds that are the same everywhere, unit in the name; those users may change are configuration keys."""

from __future__ import annotations

from typing import Final

HTTP_BODY_BYTES: Final = 1 << 20
INGEST_BODY_BYTES: Final = 10 << 20
WORKBOOK_BODY_BYTES: Final = 32 << 20
HTTP_HEADER_BYTES: Final = 16 << 10
WS_MESSAGE_IN_BYTES: Final = 64 << 10
CLIENTS_COUNT: Final = 5_000
SESSIONS_PER_ACCOUNT_COUNT: Final = 64
SYMBOLS_PER_CLIENT_COUNT: Final = 5_000
CLIENT_SEND_BUFFER_BYTES: Final = 1 << 20
INSTRUMENTS_COUNT: Final = 65_536
PINNED_SYMBOLS_COUNT: Final = 20_000
JOURNAL_BUFFER_BYTES: Final = 32 << 20
BARS_PER_INSTRUMENT_COUNT: Final = 10_000
QUERY_ROWS_COUNT: Final = 100_000
QUERY_TIME_S: Final = 10.0
QUERY_MEMORY_BYTES: Final = 1 << 30
QUERY_QUEUE_COUNT: Final = 64
QUERY_QUEUE_EACH_COUNT: Final = 16
FILTER_TEXT_BYTES: Final = 8 << 10
NAME_CHARS_COUNT: Final = 64
PARQUET_MEMORY_BYTES: Final = 2 << 30
CONFIG_TEXT_BYTES: Final = 1 << 20
