"""The feed's metrics: what the service and the hub count, read when `/metrics` is asked for."""

from __future__ import annotations

from collections.abc import Callable

from qautlra.base import metrics
from qautlra.base.limits import PINNED_SYMBOLS_COUNT
from qautlra.base.metrics import Unit, WhenFull
from qautlra.feed.lines import LINES_COUNT, ROWS_TOTAL_COUNT
from qautlra.feed.service import FeedService

_HUB = {
    "resyncs": "Times the hub was overrun and sent whole snapshots",
    "frames_built": "Frames the hub built",
    "frames_shared": "Frames that were another client's bytes",
    "bytes_built": "Bytes the hub encoded",
    "fragment_hits": "Fragments encoded once and used again",
}


def watch(feed: FeedService) -> None:
    """Show a service's own counts; a later service takes the place of an earlier one."""

    def show(name: str, text: str, fact: str) -> None:
        metrics.watch(f"qautlra_feed_{name}_count", text, lambda: feed.health()[fact])

    show("clients", "Connected market clients", "clients")
    show("slow_clients", "Clients whose send buffer is full", "slow_clients")
    show("wanted_instruments", "Instruments anyone wants", "instruments_wanted")
    show("series", "Series of bars or ticks that charts show", "series")
    show("series_rows", "Rows held in those series", "series_rows")
    show("waiting_instruments", "Wanted instruments no source has shown yet", "instruments_waiting")
    settings = feed.settings
    bounds: tuple[tuple[str, Callable[[], float], int, Unit, WhenFull], ...] = (
        ("clients", lambda: feed.clients_count, settings.max_clients, "count", "refuse"),
        ("send_buffer", lambda: feed.buffered_bytes, settings.send_buffer_bytes, "bytes", "coalesce"),
        ("client_symbols", lambda: feed.symbols_count, settings.max_symbols, "count", "refuse"),
        ("pinned_symbols", lambda: feed.book.pinned_count, PINNED_SYMBOLS_COUNT, "count", "refuse"),
    )
    for queue, fill, most, unit, when_full in bounds:
        metrics.bound(f"feed_{queue}", fill, most, unit=unit, when_full=when_full)
    if (lines := feed.lines) is not None:
        metrics.bound("feed_series", lambda: len(lines), LINES_COUNT, when_full="refuse")
        metrics.bound(
            "feed_series_rows", lambda: lines.rows_count, ROWS_TOTAL_COUNT, unit="rows", when_full="refuse"
        )
    metrics.watch(
        "qautlra_feed_deflate_contexts_count",
        "Compressors shared by clients",
        lambda: feed.deflater.contexts_count,
    )
    for name, text in (("compressed", "compressed"), ("shared", "that another client's bytes were sent for")):
        metrics.watch(
            f"qautlra_feed_deflate_{name}_total",
            f"Messages {text}",
            lambda fact=f"{name}_count": getattr(feed.deflater, fact),  # type: ignore[misc]
            kind="counter",
        )
    for name, text in (
        ("ticks", "Ticks the hub took"),
        ("bytes_sent", "Bytes handed to client sockets"),
        ("messages", "Client messages obeyed"),
    ):
        metrics.watch(
            f"qautlra_feed_{name}_total",
            text,
            lambda fact=f"{name}_count": getattr(feed, fact),  # type: ignore[misc]
            kind="counter",
        )
    for name, text in _HUB.items():
        metrics.watch(
            f"qautlra_feed_hub_{name}_total",
            text,
            lambda fact=name: getattr(feed.hub, fact),  # type: ignore[misc]
            kind="counter",
        )
