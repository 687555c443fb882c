"""Unmodified CTP programs on the drop-in library against `qautlra serve`.

openctp_ctp 6.7.11 is a test dependency; QAUTLRA_OPENCTP_PYTHONS names further interpreters that have other
releases of it (colons between), QAUTLRA_CTP_PYTHON one that has ctp-python (6.7.13).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve, Server, serve
from tests.services import missing

__all__ = ["serve"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PASSWORD = "a-Passw0rd-of-tests"
PROGRAM = Path(__file__).with_name("ctp_program.py")
OPENCTP = [sys.executable, *filter(None, os.environ.get("QAUTLRA_OPENCTP_PYTHONS", "").split(":"))]


def qautlra(server: Server, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "qautlra", *words, "--port", str(server.port)],
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def under_exec(server: Server, python: str, program: Path, *words: str) -> list[str]:
    """Return the command that runs a program of another interpreter on the server's front."""
    outer = [sys.executable, "-m", "qautlra", "ctp-sim", "exec", "--port", str(server.port), "--"]
    # Not `env -u`: it takes a path with an equals sign for a variable.
    return [*outer, "sh", "-c", 'unset PYTHONPATH; exec "$0" "$@"', python, str(program), *words]


def trading_server(serve: Serve, *arguments: str) -> Server:
    less = ("--set", "source.sim.history_bars=0")
    server = serve("--set", "trade.ctp_front.listen=127.0.0.1:0", *less, *arguments)
    server.add_user("sim001", PASSWORD, "--account", "sim001", "--broker", "paper", "--cash", "10000000")
    return server


@pytest.mark.shared
@pytest.mark.parametrize("python", OPENCTP, ids=range(len(OPENCTP)))
def test_the_acceptance_check(serve: Serve, shared: Path, python: str) -> None:
    server = trading_server(serve)
    library = subprocess.run(
        [sys.executable, "-m", "qautlra", "ctp-sim", "lib"], capture_output=True, text=True, timeout=60
    ).stdout.strip()
    front = qautlra(server, "ctp-sim", "front")
    check = shared / "checks" / "ctp" / "openctp_check.py"
    words = ["--md-lib", library, "--td-lib", library, "--front", front, "--password", PASSWORD]
    done = subprocess.run(
        [python, check, *words, "--ticks", "100"],
        env={k: v for k, v in server.environment.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK: 0 failures" in done.stdout


@pytest.mark.shared
def test_vnpy_headless_on_the_recorded_day(serve: Serve, real_day: Path, tmp_path: Path) -> None:
    """vnpy_ctp is a source package that takes a minute to compile, so not everybody has it; CI does."""
    python = os.environ.get("QAUTLRA_VNPY_PYTHON", "")
    if not python:
        missing("an interpreter that has vnpy and vnpy_ctp (QAUTLRA_VNPY_PYTHON)")
    server = trading_server(serve, "--replay", str(real_day), "--speed", "10")
    program = PROGRAM.with_name("vnpy_program.py")
    done = subprocess.run(
        under_exec(server, python, program, "sim001", PASSWORD, "IF2101", "CFFEX"),
        env=server.environment | {"HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert [offset for offset, _, _ in said["trades"]] == ["OPEN", "CLOSETODAY"]
    assert (said["pricetick"], said["size"], said["name"]) == (0.2, 300, "沪深300指数2101")


def test_a_program_built_for_another_release_runs_under_exec(serve: Serve) -> None:
    python = os.environ.get("QAUTLRA_CTP_PYTHON", "")
    if not python:
        missing("an interpreter that has ctp-python (QAUTLRA_CTP_PYTHON)")
    server = trading_server(serve)
    done = subprocess.run(
        under_exec(server, python, PROGRAM, "sim001", PASSWORD, "rb2701", "SHFE"),
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["version"].startswith("v6.7.13")
    assert [said[name][0] for name in ("opened", "closed")] == ["1", "2"]
