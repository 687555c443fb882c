"""A token bucket: so many per second, so many at once."""

from __future__ import annotations


class Bucket:
    """Holds up to `burst` tokens and gains `rate` per second; may go below zero by one cost."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, cost: float, now: float) -> bool:
        """Spend `cost`; False, spending nothing, when no token is left."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens <= 0:
            return False
        self._tokens -= cost
        return True

    def charge(self, cost: float) -> None:
        """Spend `cost` after the fact (the size of an answer)."""
        self._tokens -= cost
