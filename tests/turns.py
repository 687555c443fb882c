"""Turns of the tests of one run in several processes: many side by side, or one alone."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(run: str, *, alone: bool) -> Iterator[None]:
    """Hold a turn of the run of this name; nobody begins while one waits to be alone, so it gets in."""
    name = str(Path(tempfile.gettempdir(), f"qautlra-{run}"))
    with open(f"{name}.door", "w") as door, open(f"{name}.lock", "w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        if alone:
            fcntl.flock(room, fcntl.LOCK_EX)
        else:
            fcntl.flock(room, fcntl.LOCK_SH)
            fcntl.flock(door, fcntl.LOCK_UN)
        yield
