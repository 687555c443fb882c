"""Bodies of the gateway's subscription REST and of the operations doors."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from qautlra.base.errors import InputError


class SubscriptionRequest(Struct, frozen=True):
    """Instruments to pin or to let go, in any spelling."""

    instruments: list[str]


class SubscriptionList(Struct, frozen=True):
    """Instruments wanted now, and those among them that no source has shown yet."""

    instruments: list[str]
    pending: list[str] = []


class SourceStatus(Struct, frozen=True):
    """One market data source."""

    name: str
    connected: bool
    logged_in: bool = False
    trading_day: str | None = None
    last_tick: str | None = None


class GatewayStatus(Struct, frozen=True):
    """The gateway as a whole; uptime in seconds."""

    status: str
    uptime: int
    connected_clients: int
    active_subscriptions: int
    sources: list[SourceStatus]


class InstrumentList(Struct, frozen=True):
    """Known instruments: full symbols, or with `detail` their terms."""

    success: bool
    data: list[str | dict[str, Any]]
    error: None = None


class ServiceHealth(Struct, frozen=True):
    """One service and its state; further facts as it has them."""

    name: str
    state: str


class Health(Struct, frozen=True):
    """The process: `ok`, `starting`, `degraded` or `stopping`; its event loop; the market clock."""

    status: str
    version: str
    loop: str
    modes: list[str]
    uptime_s: float
    clock: dict[str, Any]
    services: list[ServiceHealth]


class Readiness(Struct, frozen=True):
    """Whether every service runs, and which do not."""

    ready: bool
    waiting: list[str]


class ErrorBody(Struct, frozen=True):
    """What went wrong, for a person; further keys for machines."""

    error: str


class QueryBody(Struct, frozen=True):
    """A question to the store. Times as in `1h-ago`, `now`, RFC 3339, `2021-01-04 09:30`; range half-open.

    Either `stream` and what to keep of it, or `query`: one SELECT over streams, with both times.
    """

    stream: str = ""
    start_time: str | int | float | None = None
    end_time: str | int | float | None = None
    limit: int | None = None
    filter: str = ""
    order: str = "asc"
    fields: list[str] | bool | None = None
    sample_by: str | None = None
    fill: str | None = None
    latest_on: bool | None = None
    rolling_mean: str | None = None
    asof: str | None = None
    query: str | None = None
    startTime: str | int | float | None = None
    endTime: str | int | float | None = None
    sendNull: bool = True


class CountsBody(Struct, frozen=True):
    """How many rows there are in each of numBins equal parts of a range."""

    stream: str
    startTime: str | int | float | None = None
    endTime: str | int | float | None = None
    numBins: int = 10


class Counts(Struct, frozen=True):
    """`records` have the keys start_time, end_time and count."""

    fields: list[str]
    records: list[dict[str, str | int]]


_SUBSCRIPTION = msgspec.json.Decoder(SubscriptionRequest)


def decode_subscription(body: bytes) -> list[str]:
    """Return the instruments of a request; InputError 400 when malformed, 422 when there are none."""
    try:
        names = _SUBSCRIPTION.decode(body).instruments
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError(f'Expected {{"instruments": ["au2512", ...]}}: {error}') from None
    if not names or not any(name.strip() for name in names):
        raise InputError("No instruments specified", status=422)
    return names
