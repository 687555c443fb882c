"""Each published benchmark runs and prints one JSON line; how fast anything is, is not judged here."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if not path.stem.startswith("_"))


def run(name: str, **environment: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--short"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, env=os.environ | environment, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert found["name"] == name
    return found


def test_the_published_ones_are_there() -> None:
    assert NAMES == [
        "amqp",
        "bandwidth",
        "bars",
        "clients",
        "ctp",
        "diff",
        "fanout",
        "flood",
        "ingest",
        "latency",
        "load",
        "matching",
        "order_path",
        "order_socket",
        "page",
        "power",
        "qifi",
        "query",
        "recovery",
        "stalls",
        "start",
        "store",
        "wake",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_prints_one_line(shared: Path, name: str) -> None:
    line = run(name)
    assert "control" in line
    assert "machine" in line
    assert line["command"] == f"python benchmarks/{name}.py --short"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bandwidth", "ingest", "query"])
def test_says_when_the_recorded_day_is_not_there(tmp_path: Path, name: str) -> None:
    assert "QAUTLRA_SHARED" in run(name, QAUTLRA_SHARED=str(tmp_path))["skipped"]


@pytest.mark.slow
def test_fanout_without_the_generator_says_so(tmp_path: Path) -> None:
    line = run("fanout", QAUTLRA_SHARED=str(tmp_path))
    assert line["control"].startswith("none: load generator not there")
    assert line["burst 20"]["product"]["cpu_us"]["median"] > 0


def test_a_paced_fanout_is_met_at_the_same_rate_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    fanout = importlib.import_module("fanout")

    def met(rate: float, seen: float) -> bool:
        def of(cpu_us: float, quotes_per_s: float) -> list[dict[str, float]]:
            return [{"cpu_us": cpu_us, "quotes_per_s": quotes_per_s}]

        line = fanout.summary((50, 1, rate), {"product": of(2.0, 1000.0), "limit": of(2.0, seen)})
        found: bool = line["met"]
        return found

    assert met(0.0, 2000.0) and met(2000.0, 1000.0)
    assert not met(2000.0, 2000.0) and not met(2000.0, 500.0)
