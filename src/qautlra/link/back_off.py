"""How a connection outside comes back: attempts one after the other, each after a longer wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from qautlra.base.clock import monotonic_s


class BackOff:
    """Waits between attempts: doubling from `least_s` to `most_s`, each shortened at random by up to half.

    A connection that lasted for `settled_s` starts them anew.
    """

    def __init__(
        self, least_s: float, most_s: float, random: Callable[[], float], settled_s: float = 5.0
    ) -> None:
        self._least_s, self._most_s, self._random, self._settled_s = least_s, most_s, random, settled_s
        self._next_s = least_s

    def reset(self) -> None:
        """Start from the shortest wait again."""
        self._next_s = self._least_s

    def next_s(self) -> float:
        """Return the seconds to wait before the next attempt."""
        wait_s = self._next_s
        self._next_s = min(wait_s * 2, self._most_s)
        return wait_s * (1 - self._random() / 2)

    async def attempt(
        self, once: Callable[[], Awaitable[None]], lost: Callable[[float], Awaitable[float]]
    ) -> NoReturn:
        """Connect until cancelled: `once` is one connection from its opening to its end, and raises nothing.

        `lost` is told after each how long the wait is to be, in seconds, and returns how long it will be.
        """
        while True:
            began_s = monotonic_s()
            await once()
            if monotonic_s() - began_s >= self._settled_s:
                self.reset()
            await asyncio.sleep(await lost(self.next_s()))
