"""What does not wait: a stop for the process that writes files, and who finds a directory taken."""

import os
import time
from pathlib import Path

import pytest

from qautlra.base.errors import StorageError
from qautlra.store import lock
from qautlra.store.fileproc import FileProcess
from tests.store.test_fileproc import publish, stopped_at_work, volumes
from tests.store.world import run, world

pytestmark = pytest.mark.alone


def test_a_stop_does_not_wait_for_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, make_filer=FileProcess) as w:
            publish(w, 0, 10)
            await w.store.compact()
            publish(w, 10, 100)
            pid, task = await stopped_at_work(w, w.store.compact())
            began = time.monotonic()
        assert time.monotonic() - began < 3.0
        assert not Path(f"/proc/{pid}").exists()
        with pytest.raises(StorageError, match="closing"):
            await task
        async with world(tmp_path) as w:
            assert await volumes(w) == list(range(110))

    run(story())


def test_a_server_that_runs_is_not_waited_for(tmp_path: Path) -> None:
    held = lock.lock_directory(tmp_path)
    began = time.monotonic()
    with pytest.raises(StorageError, match=f"in use by another process .pid {os.getpid()}.") as refused:
        lock.lock_directory(tmp_path)
    assert refused.value.status == 409 and time.monotonic() - began < 1.0
    os.close(held)
    os.close(lock.lock_directory(tmp_path))
