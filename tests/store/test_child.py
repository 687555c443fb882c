"""A child process: its lines are heard, its end is noticed, it can be ended."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from qautlra.store.child import Child


def started(program: str, heard: list[bytes]) -> Child:
    return Child([sys.executable, "-c", program], subprocess.DEVNULL, {}, heard.append)


def test_what_it_says_is_heard_before_its_end() -> None:
    async def story() -> None:
        heard: list[bytes] = []
        child = started("import os; os.write(2, b'one\\ntwo')", heard)
        assert child.pid > 0
        await asyncio.wait_for(child.wait(), 20)
        assert child.ended
        assert heard == [b"one\n", b"two"]
        child.kill()  # there is nothing to end

    asyncio.run(story())


def test_it_is_ended() -> None:
    async def story() -> None:
        child = started("import time; time.sleep(60)", [])
        assert not child.ended
        child.kill()
        await asyncio.wait_for(child.wait(), 20)
        assert child.ended

    asyncio.run(story())


def test_what_cannot_be_started() -> None:
    async def story() -> None:
        with pytest.raises(OSError):
            Child(["/nowhere"], subprocess.DEVNULL, {}, [].append)

    asyncio.run(story())
