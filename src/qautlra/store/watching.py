"""The store's metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qautlra.base import metrics
from qautlra.base.limits import JOURNAL_BUFFER_BYTES
from qautlra.store.bardays import KEPT_BYTES
from qautlra.store.ingest import UNDER_WAY_BYTES
from qautlra.store.live import waiting_rows
from qautlra.store.tables.definition import STREAMS_COUNT
from qautlra.store.tables.keys import KEYS_COUNT

if TYPE_CHECKING:
    from qautlra.store.disk import DiskGuard
    from qautlra.store.opened import Opened


def watch(
    opened: Opened,
    disk: DiskGuard,
    tail_rows: int,
    rows_shed: Callable[[], int],
    under_way: Callable[[], int],
) -> None:
    """Give out what an open store knows of itself, until `metrics.unwatch`."""
    note, tables = metrics.watch, opened.tables
    note("qautlra_store_rows_logged_total", "Rows logged", lambda: opened.log.rows_logged, kind="counter")
    note("qautlra_store_rows_shed_total", "Live rows the log could not take", rows_shed, kind="counter")
    note("qautlra_store_hot_rows", "Rows in the hot tier", lambda: opened.hot.rows)
    note("qautlra_store_hot_bytes", "Size of the hot tier", lambda: opened.hot.bytes)
    note(
        "qautlra_store_log_behind_rows",
        "Records not durable yet",
        lambda: opened.journal.head_lsn - opened.journal.durable_lsn,
    )
    note(
        "qautlra_store_uncompacted_rows",
        "Records not in files yet",
        lambda: opened.journal.head_lsn - opened.catalogue.state.watermark_lsn,
    )
    note("qautlra_store_files_count", "Parquet files", lambda: len(opened.catalogue.state.files))
    note("qautlra_store_blocked", "1 while the log holds the tape", lambda: float(opened.log.blocked))
    note("qautlra_store_queries_total", "Queries asked", lambda: opened.query.queries, kind="counter")
    note("qautlra_store_sql_statements_total", "SQL asked", lambda: opened.sql.statements, kind="counter")
    note(
        "qautlra_store_sql_starts_total",
        "SQL process starts",
        lambda: opened.sql.starts,
        kind="counter",
    )
    filer = opened.filer
    note("qautlra_store_filing_starts_total", "Filing process starts", lambda: filer.starts, kind="counter")
    note("qautlra_store_filing_jobs_total", "Jobs it has done", lambda: filer.jobs, kind="counter")
    note("qautlra_store_filing_ended_total", "Ends of it at work", lambda: filer.ended, kind="counter")
    note(
        "qautlra_store_filing_hurried_total",
        "Jobs begun anew",
        lambda: filer.hurried,
        kind="counter",
    )
    turns = opened.sql.turns
    note("qautlra_store_sql_askers_count", "Users with SQL running or waiting", lambda: turns.askers)
    note(
        "qautlra_store_sql_refused_total",
        "SQL refused, too much waits",
        lambda: turns.refused,
        kind="counter",
    )
    note("qautlra_store_ingested_rows_total", "Rows ingested", lambda: tables.rows_taken, kind="counter")
    note(
        "qautlra_store_ingest_repeats_total",
        "Requests that came again",
        lambda: tables.replays,
        kind="counter",
    )
    note("qautlra_store_aside_files_count", "Files of rows set aside", lambda: tables.aside_files)
    note("qautlra_store_schemas_cached_count", "Schemas in memory", lambda: tables.book.cached_count)
    made = opened.aggregates
    note("qautlra_store_aggregate_refreshes_total", "Refreshes", lambda: made.refreshes, kind="counter")
    note("qautlra_store_aggregate_rows_total", "Rows made by them", lambda: made.rows, kind="counter")
    note("qautlra_store_disk_used_percent", "Of the data's disk", lambda: disk.used_percent)
    bound = metrics.bound
    bound(
        "store_log", lambda: opened.journal.stats["buffered_bytes"], JOURNAL_BUFFER_BYTES,
        unit="bytes", when_full="block",
    )  # fmt: skip
    bound(
        "store_ingest_log", lambda: tables.buffered_bytes, JOURNAL_BUFFER_BYTES,
        unit="bytes", when_full="refuse",
    )  # fmt: skip
    bound("store_ingest", under_way, UNDER_WAY_BYTES, unit="bytes", when_full="refuse")
    bound("store_ingest_keys", lambda: len(tables.keys), KEYS_COUNT, when_full="drop")
    bound("store_hot", lambda: opened.hot.bytes, opened.hot_bytes, unit="bytes", when_full="drop")
    bound("store_bars", lambda: opened.bars.kept_bytes, KEPT_BYTES, unit="bytes", when_full="drop")
    bound("store_queries", lambda: opened.engine.pending, opened.engine.pending_max, when_full="refuse")
    bound("store_sql", lambda: opened.sql.pending, opened.sql.pending_max, when_full="refuse")
    bound("store_tail", waiting_rows, tail_rows, unit="rows", when_full="drop")
    bound("store_streams", lambda: len(tables.book.names()), STREAMS_COUNT, when_full="refuse")
