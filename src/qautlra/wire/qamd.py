"""How QAMD writes what is not a number: times."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(ts_ns: int) -> str:
    """Return Unix ns as RFC 3339 in UTC with microseconds, `2021-01-04T01:30:00.500000Z`."""
    seconds, rest = divmod(ts_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"
