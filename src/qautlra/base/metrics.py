"""Metrics named `qautlra_<room>_<noun>_<unit>`, made once, found again by name; `/metrics` is `render()`.

Values the core counts itself are read at scrape time by `watch`, so counting costs nothing on the hot path.
Everything that may fill up is shown by `bound`: how full it is, how full it may be, what happens then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

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
Unit = Literal["count", "rows", "bytes"]
WhenFull = Literal["coalesce", "refuse", "disconnect", "block", "drop"]
_BOUND_LABELS = ("queue", "unit", "when_full")

disable_created_metrics()  # type: ignore[no-untyped-call]
_registry = CollectorRegistry()
_made: dict[str, Any] = {}


class _Bound(NamedTuple):
    labels: tuple[str, str, str]
    most: float
    fill: Callable[[], float]


class _Watched:
    """Collects every watched value at scrape time; a reader that fails is left out of that scrape."""

    def __init__(self) -> None:
        self.readers: dict[str, tuple[str, str, Sequence[str], Callable[[], Reading]]] = {}
        self.bounds: dict[str, _Bound] = {}

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
        yield from self._bounded()

    def _bounded(self) -> Iterable[Metric]:
        fill = GaugeMetricFamily("qautlra_base_queue_fill", "What is in it now", labels=_BOUND_LABELS)
        most = GaugeMetricFamily("qautlra_base_queue_bound", "What may be in it", labels=_BOUND_LABELS)
        for bound in list(self.bounds.values()):
            try:
                now = float(bound.fill())
            except Exception:
                continue
            fill.add_metric(bound.labels, now)
            most.add_metric(bound.labels, float(bound.most))
        yield fill
        yield most


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


def bound(
    queue: str, fill: Callable[[], float], most: float, *, unit: Unit = "count", when_full: WhenFull
) -> None:
    """Show a queue or buffer, named `<room>_<noun>`: `fill()` at each scrape against `most`.

    Of one that every client has, `fill` tells the fullest. A later bound of the same name takes its place.
    """
    _watched.bounds[queue] = _Bound((queue, unit, when_full), most, fill)


def unwatch(prefix: str) -> None:
    """Forget the watched values and bounds whose name (of a bound: with `qautlra_`) starts with `prefix`."""
    for name in [name for name in _watched.readers if name.startswith(prefix)]:
        del _watched.readers[name]
    for queue in [queue for queue in _watched.bounds if f"qautlra_{queue}".startswith(prefix)]:
        del _watched.bounds[queue]


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
