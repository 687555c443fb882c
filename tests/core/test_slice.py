"""Slices of a core: asked for by one thread, not handed on to those it starts."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from qautlra._core.feed import ask_slice

SLICE_NS = 100_000


def in_force() -> int:
    """Return the calling thread's slice in ns as the kernel tells it."""
    try:
        lines = Path("/proc/thread-self/sched").read_text().splitlines()
    except OSError:
        pytest.skip("this kernel does not tell")
    found = [line for line in lines if line.startswith("se.slice ")]
    if not found:
        pytest.skip("this kernel does not tell")
    return int(found[0].rpartition(":")[2])


def test_a_thread_asks_for_itself() -> None:
    before = in_force()  # of this thread, which a test before may have had ask
    found: list[int] = []
    usual: list[int] = []
    plain = threading.Thread(target=lambda: usual.append(in_force()))
    plain.start()
    plain.join()

    def work() -> None:
        found.extend((ask_slice(SLICE_NS), in_force()))
        started = threading.Thread(target=lambda: found.append(in_force()))
        started.start()
        started.join()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if found[0] == 0:
        pytest.skip("before Linux 6.12")
    assert found == [SLICE_NS, SLICE_NS, *usual]
    assert in_force() == before
