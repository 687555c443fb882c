"""How late the event loop wakes: one small measurement, ten times a second."""

from __future__ import annotations

import asyncio
from typing import Any

from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.service import Service

PERIOD_S = 0.1
_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopLag(Service):
    """Measures how much later than asked a sleeping task runs again."""

    name = "loop_lag"

    def __init__(self) -> None:
        super().__init__()
        self._seen = metrics.histogram(
            "qautlra_net_loop_lag_seconds", "How late the event loop wakes a sleeping task", _BUCKETS_S
        )
        self.worst_s = 0.0
        self.last_s = 0.0

    async def run(self) -> None:
        """Sleep and compare, for ever."""
        while True:
            due_s = monotonic_s() + PERIOD_S  # uvloop's own clock tells whole milliseconds
            await asyncio.sleep(PERIOD_S)
            self.last_s = max(0.0, monotonic_s() - due_s)
            self.worst_s = max(self.worst_s, self.last_s)
            self._seen.observe(self.last_s)

    def health(self) -> dict[str, Any]:
        """Return the last and the worst lag in seconds."""
        return {"lag_s": round(self.last_s, 6), "worst_lag_s": round(self.worst_s, 6)}
