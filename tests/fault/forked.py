"""Writers that are killed soon, forked from a process that has loaded what they use: to load takes longer."""

import asyncio
import multiprocessing as mp
import os
import subprocess
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any

_context = mp.get_context("forkserver")


class Forked:
    """Runs `main` in a process of its own; `stdout`, `kill` and `wait` are those of a `Popen`."""

    def __init__(self, main: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        _context.set_forkserver_preload(["tests.fault.mixed_writer", "tests.fault.store_writer"])
        told, tells = _context.Pipe(duplex=False)
        self._process = _context.Process(target=_run, args=(tells, main, arguments), daemon=True)
        self._process.start()
        tells.close()
        self.stdout = os.fdopen(os.dup(told.fileno()))
        told.close()

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout_s: float) -> int:
        self._process.join(timeout_s)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("writer", timeout_s)
        return self._process.exitcode


def _run(tells: Connection, main: Callable[..., Coroutine[Any, Any, None]], arguments: tuple[object]) -> None:
    os.dup2(tells.fileno(), 1)
    tells.close()
    asyncio.run(main(*arguments))
