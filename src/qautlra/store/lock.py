"""One server for a data directory: a lock it holds, and a process of it that writes files as well."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from qautlra.base.clock import monotonic_s
from qautlra.base.errors import StorageError

LEFT_S = 10.0
POLL_S = 0.01


def lock_directory(data_dir: Path) -> int:
    """Return the descriptor that holds the lock of a directory, which is made. Blocking.

    StorageError when another server has it. What a server that was killed left behind is waited for: it is
    about to end.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(data_dir / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{data_dir}: {error.strerror}", retryable=False) from error
    give_up_s = monotonic_s() + LEFT_S
    while not _is_locked(descriptor):
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        if _runs(holder) or monotonic_s() > give_up_s:
            os.close(descriptor)
            raise StorageError(
                f"{data_dir} is in use by another process" + (f" (pid {holder})" if holder else ""),
                retryable=False,
                status=409,
            )
        time.sleep(POLL_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _runs(pid: str) -> bool:
    """Tell whether a process runs; one that nobody has asked after its end does not."""
    with suppress(OSError, ValueError):
        return Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
