"""A child process started without stopping the loop: the event loop's own way copies our page tables first.

uvloop forks: with 1.5 GB of rows in memory that held everything up for 100 ms. `subprocess.Popen` uses vfork,
which takes under 1 ms whatever the size.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Thread


class Child:
    """A process whose lines on stderr go to `heard`. Loop only; a thread waits for its end."""

    def __init__(
        self,
        command: Sequence[str],
        stdin: int,
        env: Mapping[str, str],
        heard: Callable[[bytes], None],
        inherits: Sequence[int] = (),
    ) -> None:
        """Start it, in `/`, with the descriptors it `inherits` and no others; OSError when that cannot be."""
        self._loop = asyncio.get_running_loop()
        self._heard = heard
        self._ended = asyncio.Event()
        self._process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=env,
            cwd="/",
            pass_fds=inherits,
        )
        Thread(target=self._watch, name="child", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is known to have ended."""
        return self._ended.is_set()

    @property
    def how(self) -> str:
        """How it ended: `status 1`, `signal 9`; empty while it runs."""
        code = self._process.returncode
        if code is None:
            return ""
        return f"signal {-code}" if code < 0 else f"status {code}"

    def kill(self) -> None:
        """End it now; nothing when it has ended."""
        self._process.kill()

    async def wait(self) -> None:
        """Return when it has ended."""
        await self._ended.wait()

    def _watch(self) -> None:
        assert self._process.stderr is not None
        with suppress(RuntimeError):  # the loop has gone
            with self._process.stderr as lines:
                for line in lines:
                    self._loop.call_soon_threadsafe(self._heard, line)
            self._process.wait()
            self._loop.call_soon_threadsafe(self._ended.set)
