"""Manners of work on the event loop."""

from __future__ import annotations

import asyncio

# From the read of a socket to the end of an HTTP request's handler: the connection's task wakes, makes one
# for the request, and that runs.
REQUEST_TURNS = 3


async def give_way() -> None:
    """Let requests that came while the caller worked be answered whole before it works on.

    After a single turn each of their steps would wait for another slice of the caller's.
    """
    for _ in range(REQUEST_TURNS):
        await asyncio.sleep(0)
