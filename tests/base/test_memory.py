"""What the process does with memory that was freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ANSWERS = """
import random, resource
import pyarrow  # as our processes have it
from qautlra.base.memory import keep_freed
assert keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
rng = random.Random(1)
sizes = [rng.randrange(780_000, 930_000) for _ in range(60)]
for number, size in enumerate(sizes):
    if number == 10:
        before = faults()
    answer = b"x" * size
    sent = answer + b"head"
    del answer, sent
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is another")
def test_answers_of_about_one_size_take_the_same_memory() -> None:
    done = subprocess.run([sys.executable, "-c", ANSWERS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100  # of 20,000 pages
