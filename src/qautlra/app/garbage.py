"""The garbage collector kept from stalling prices: what lives at the start is frozen, pauses are measured."""

from __future__ import annotations

import gc

from qautlra.base import clock, metrics

_BUCKETS_S = (0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)


class PauseWatch:
    """Measures how long each collection holds the process up; `close` takes it off again."""

    def __init__(self) -> None:
        self._began_s = 0.0
        self.worst_s = 0.0
        self._seen = metrics.histogram(
            "qautlra_app_gc_pause_seconds", "How long a garbage collection held the process up", _BUCKETS_S
        )
        gc.callbacks.append(self._step)

    def close(self) -> None:
        """Stop measuring."""
        if self._step in gc.callbacks:
            gc.callbacks.remove(self._step)

    def _step(self, phase: str, _info: dict[str, int]) -> None:
        now_s = clock.monotonic_s()
        if phase == "start":
            self._began_s = now_s
            return
        pause_s = now_s - self._began_s
        self.worst_s = max(self.worst_s, pause_s)
        self._seen.observe(pause_s)


def settle() -> None:
    """Collect once and take all that lives now out of later collections, which then stay short.

    Call when every service runs.
    """
    gc.collect()
    gc.freeze()


def release() -> None:
    """Give what was frozen back to the collector, which the interpreter needs to end without leaks."""
    gc.unfreeze()
