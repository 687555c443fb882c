"""A service: it is started, runs, may fail, is stopped and started again; the supervisor owns its life.

Subclasses override `start` (take what is needed, `spawn` the work), `stop` (give it back) and `health`;
one whose work is a single loop may override only `run`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from qautlra.base.errors import SourceError

STOP_GRACE_S = 5.0


class Service:
    """Base of all services. `start` must work again after `stop`: that is what a restart is."""

    name: str = "service"

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            self.name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failure: asyncio.Future[BaseException] | None = None
        self._stopping = False

    @property
    def failed(self) -> asyncio.Future[BaseException]:
        """Future of this run's first failure; the supervisor waits on it. Never set by a clean end."""
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
        return self._failure

    async def start(self) -> None:
        """Take resources and begin; on return the service does its work. Errors here count as failures."""
        self.spawn(self.run(), "run")

    async def run(self) -> None:
        """Do the work until cancelled; returning is a clean end, raising a failure."""
        await asyncio.get_running_loop().create_future()

    async def stop(self, grace_s: float) -> None:
        """End within `grace_s` seconds and give everything back; safe to call when half started."""
        await self.cancel_tasks(grace_s)

    def health(self) -> dict[str, Any]:
        """Return what a person wants to know about this service now; plain JSON values, cheap to call."""
        return {}

    def spawn(self, work: Coroutine[Any, Any, Any], name: str = "task") -> asyncio.Task[Any]:
        """Run `work` as a task whose failure, or cancellation by anyone but `stop`, fails the service."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}.{name}")
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def fail(self, error: BaseException) -> None:
        """Report a failure seen outside a spawned task (a callback, a thread's result)."""
        if not self._stopping and not self.failed.done():
            self.failed.set_result(error)

    async def cancel_tasks(self, grace_s: float = STOP_GRACE_S) -> None:
        """Cancel every spawned task and wait up to `grace_s` seconds for them."""
        self._stopping = True
        try:
            tasks = [task for task in self._tasks if not task.done()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=grace_s)
        finally:
            self._stopping = False

    def renew(self) -> None:
        """Forget the last failure before another start; called by the supervisor."""
        self._failure = None
        self._stopping = False

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self.fail(SourceError(f"task {task.get_name()} was cancelled"))
            return
        error = task.exception()
        if error is not None:
            self.fail(error)
