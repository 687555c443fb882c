"""Token buckets per user and address, and the throttle of failed logins. Their tables are bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from qautlra.base import clock, metrics
from qautlra.base.errors import LimitError

KEYS_COUNT: Final = 20_000
WINDOW_S: Final = 60.0


class Buckets:
    """Buckets of one size, one per key: `rate_per_s` flow in up to `burst`."""

    def __init__(self, name: str, rate_per_s: float, burst: float, keys_count: int = KEYS_COUNT) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._keys_count = keys_count
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._refused = metrics.counter(
            "qautlra_auth_requests_refused", "Requests beyond a rate limit", ["bucket"]
        ).labels(name)

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str, count: float = 1.0, now_s: float | None = None) -> None:
        """Take `count` at once, or raise LimitError (429) that says when to come again and take nothing."""
        now = clock.monotonic_s() if now_s is None else now_s
        level, then = self._levels.get(key, (self.burst, now))
        level = min(self.burst, level + (now - then) * self.rate_per_s)
        if level < count:
            self._refused.inc()
            if count > self.burst:
                raise LimitError(f"{count:g} at once are more than {self.burst:g}", status=400)
            wait_s = (count - level) / self.rate_per_s
            raise LimitError(
                f"more than {self.rate_per_s:g} a second", retry_after_s=max(1, int(wait_s + 0.999))
            )
        self._levels[key] = (level - count, now)
        self._levels.move_to_end(key)
        if len(self._levels) > self._keys_count:
            self._levels.popitem(last=False)


class LoginThrottle:
    """Counts failed logins: a few a minute per user and address, ten times as many per address or per user.

    The wider counts stop who tries many names or many addresses; one typing wrong locks out only himself.
    """

    def __init__(self, attempts_per_min: int, keys_count: int = KEYS_COUNT) -> None:
        self._attempts = attempts_per_min
        self._keys_count = keys_count
        self._failed: OrderedDict[str, list[float]] = OrderedDict()
        self._refused = metrics.counter("qautlra_auth_logins_throttled", "Logins refused unseen")

    def __len__(self) -> int:
        return len(self._failed)

    def check(self, user_id: str, address: str, now_s: float | None = None) -> None:
        """Raise LimitError when this user or address has failed too often in the last minute."""
        now = clock.monotonic_s() if now_s is None else now_s
        for key, most in self._keys(user_id, address):
            recent = [at for at in self._failed.get(key, ()) if now - at < WINDOW_S]
            if len(recent) >= most:
                self._refused.inc()
                wait_s = WINDOW_S - (now - recent[-most])
                raise LimitError("too many failed logins", retry_after_s=max(1, int(wait_s + 0.999)))

    def failed(self, user_id: str, address: str, now_s: float | None = None) -> None:
        """Remember a failure."""
        now = clock.monotonic_s() if now_s is None else now_s
        for key, most in self._keys(user_id, address):
            recent = [at for at in self._failed.get(key, ()) if now - at < WINDOW_S]
            self._failed[key] = [*recent, now][-most:]
            self._failed.move_to_end(key)
        while len(self._failed) > self._keys_count:
            self._failed.popitem(last=False)

    def succeeded(self, user_id: str, address: str) -> None:
        """Forget this user's failures from this address."""
        self._failed.pop(f"both {user_id.lower()} {address}", None)

    def _keys(self, user_id: str, address: str) -> list[tuple[str, int]]:
        user = user_id.lower()[:64]
        return [
            (f"both {user} {address}", self._attempts),
            (f"from {address}", self._attempts * 10),
            (f"user {user}", self._attempts * 10),
        ]
