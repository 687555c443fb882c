"""The doors of a busy account leave the event loop to others: bounds are several times what a door takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.benchmarks.test_short import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]
CPU_MS = {
    "trade socket login": 200,
    "diff socket login": 200,
    "account document": 120,
    "account detail": 120,
    "statement": 200,
    "statement page": 200,
    "trade login with a statement": 200,
}
"""Of the loop's own thread in the worst gap, with 40,000 orders and as many trades."""


def test_a_busy_account_holds_up_nobody_else() -> None:
    only = "|".join(f"^{name}$" for name in ("settle", *CPU_MS))
    command = [sys.executable, str(ROOT / "benchmarks" / "stalls.py"), "--orders", "40000", "--only", only]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    doors = json.loads(done.stdout)["doors"]
    assert not [name for name, found in doors.items() if str(found["got"]).startswith("failed")], doors
    took = {name: doors[name]["cpu_ms"] for name in CPU_MS}
    assert not {name: ms for name, ms in took.items() if ms > CPU_MS[name]}, took
