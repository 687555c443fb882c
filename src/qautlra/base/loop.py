"""Manners of work on the event loop, and beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
SLICE_COUNT = 256
"Items of some microseconds each: half a millisecond."
_PAUSE_S = 1e-4

# From the read of a socket to the end of an HTTP request's handler: the connection's task wakes, makes one
# for the request, and that runs.
REQUEST_TURNS = 3


async def give_way() -> None:
    """Let requests that came while the caller worked be answered whole before it works on.

    After a single turn each of their steps would wait for another slice of the caller's.
    """
    for _ in range(REQUEST_TURNS):
        await asyncio.sleep(0)


def batched(items: Sequence[_Item], count: int) -> Iterator[Sequence[_Item]]:
    """Yield items `count` at a time."""
    for first in range(0, len(items), count):
        yield items[first : first + count]


def in_slices(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield items to a thread beside the loop's that has many; between slices it lets go of the interpreter.

    Where it only computes, the loop would wait 5 ms for it (`sys.getswitchinterval`) each turn. A pause of
    no length is not enough: who waits wakes too late to take it.
    """
    for at, item in enumerate(items, 1):
        yield item
        if at % SLICE_COUNT == 0:
            time.sleep(_PAUSE_S)


def used_up(items: list[_Item]) -> Iterator[_Item]:
    """Yield items as `in_slices` does and give each up: at the end the list is empty.

    Tens of thousands that are freed at one moment hold the interpreter, so the loop, for ten milliseconds.
    """
    items.reverse()

    def from_the_end() -> Iterator[_Item]:
        while items:
            yield items.pop()

    return in_slices(from_the_end())
