"""Metrics named `qautlra_<room>_<noun>_<unit>`, made once, found again by name; `/metrics` is `render()`.

Values the core counts itself are read at scrape time by `watch`, so counting costs nothing on the hot path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Reading = float | int | dict[tuple[str, ...], float]

disable_created_metrics()  # type: ignore[no-untyped-call]
_registry = CollectorRegistry()
_made: dict[str, Any] = {}


class _Watched:
    """Collects every watched value at scrape time; a reader that fails is left out of that scrape."""

    def __init__(self) -> None:
        self.readers: dict[str, tuple[str, str, Sequence[str], Callable[[], Reading]]] = {}

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        for name, (kind, text, labels, read) in list(self.readers.items()):
            family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            try:
                value = read()
            except Exception:
                continue
            metric = family(name, text, labels=list(labels))
            if isinstance(value, dict):
                for key, number in value.items():
                    metric.add_metric(list(key), float(number))
            else:
                metric.add_metric([], float(value))
            yield metric


_watched = _Watched()
_registry.register(_watched)
ProcessCollector(registry=_registry)
GCCollector(registry=_registry)


def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    """Return the counter of this name, made at the first call; `_total` is added to the name when printed."""
    return _find(Counter, name, text, labels)  # type: ignore[no-any-return]


def gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
    """Return the gauge of this name, made at the first call."""
    return _find(Gauge, name, text, labels)  # type: ignore[no-any-return]


def histogram(name: str, text: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
    """Return the histogram of this name, made at the first call with these upper bounds."""
    if name not in _made:
        _made[name] = Histogram(_checked(name), text, list(labels), buckets=buckets, registry=_registry)
    return _made[name]  # type: ignore[no-any-return]


def watch(
    name: str, text: str, read: Callable[[], Reading], *, kind: str = "gauge", labels: Sequence[str] = ()
) -> None:
    """Print `read()` as `name` (kind gauge|counter) at each scrape: a number, or {label values: number}.

    A later watch of the same name takes its place.
    """
    _watched.readers[_checked(name)] = (kind, text, labels, read)


def unwatch(prefix: str) -> None:
    """Forget the watched values whose name starts with `prefix`."""
    for name in [name for name in _watched.readers if name.startswith(prefix)]:
        del _watched.readers[name]


def render() -> bytes:
    """Return all metrics in Prometheus text form (`CONTENT_TYPE`)."""
    return generate_latest(_registry)


def _find(make: Callable[..., Any], name: str, text: str, labels: Sequence[str]) -> Any:
    if name not in _made:
        _made[name] = make(_checked(name), text, list(labels), registry=_registry)
    return _made[name]


def _checked(name: str) -> str:
    if not name.startswith("qautlra_"):
        raise ValueError(f"metric {name!r} does not start with qautlra_")
    return name
