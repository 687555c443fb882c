"""`qautlra user` and `qautlra demo`: with a running server and without one."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PRODUCT

PASSWORD = "Check-pass-1\n"


def environment(tmp_path: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(
            ("QAUTLRA__", "QADB_", "QAMDGATEWAY_", "P_", "RUST_LOG", "XDG_", "LANG", "LC_")
        )
    }
    run = tmp_path / "run"
    run.mkdir(exist_ok=True)
    return kept | {"PYTHONPATH": PRODUCT, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(run)}


def user(tmp_path: Path, *arguments: str, text: str = "") -> tuple[int, Any, str]:
    """Run the command with --json; (exit code, answer, standard error)."""
    done = subprocess.run(
        [sys.executable, "-m", "qautlra", "user", *arguments, "--json"],
        input=text.encode(),
        capture_output=True,
        env=environment(tmp_path),
        cwd=tmp_path,
        timeout=30,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None, done.stderr.decode()


def started(tmp_path: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "qautlra", *arguments, "--json", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
        cwd=tmp_path,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def ended(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(6) == 0
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()


SMALL = ("--set", "source.sim.history_bars=0")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dict[str, Any]]:
    process, facts = started(tmp_path, "serve", "--mode", "all", *SMALL)
    yield facts
    ended(process)
    assert list((tmp_path / "run" / "qautlra").iterdir()) == []


def login(url: str, name: str, password: str) -> dict[str, Any]:
    body = json.dumps({"username": name, "password": password}).encode()
    request = urllib.request.Request(
        f"{url}/api/auth/login", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        said: dict[str, Any] = json.loads(reply.read())["data"]
    return said


def test_without_a_server_the_data_directory_is_worked_on(tmp_path: Path) -> None:
    add = (
        "add",
        "check",
        "--password-stdin",
        "--account",
        "check",
        "--broker",
        "paper",
        "--cash",
        "10000000",
    )
    code, answer, _ = user(tmp_path, *add, text=PASSWORD)
    wish = {"account": "check", "access": "own", "broker": "paper", "opened": False}
    assert (code, answer["user"]["accounts"]) == (0, [wish])
    code, answer, _ = user(tmp_path, "list")
    assert [found["name"] for found in answer["users"]] == ["check"]
    files = tmp_path / ".local" / "share" / "qautlra"
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.iterdir()} == {0o600}
    assert user(tmp_path, *add, text=PASSWORD)[:2] == (
        1,
        {"error": "there is a user 'check' already", "code": "input", "retryable": False},
    )
    code, answer, _ = user(tmp_path, "add", "weak", "--password-stdin", text="weak\n")
    assert (code, "characters" in answer["error"]) == (1, True)
    assert user(tmp_path, "add", "none")[0] == 2
    assert user(tmp_path, "add", "x", "--password-stdin", "--role", "king", text=PASSWORD)[0] == 1


def test_a_running_server_is_found_by_its_port_alone(tmp_path: Path, server: dict[str, Any]) -> None:
    port, url = str(server["ports"][0]), server["urls"][0]
    add = ("add", "check", "--password-stdin", "--account", "check", "--broker", "paper", "--port", port)
    assert user(tmp_path, *add, text=PASSWORD)[0] == 0
    assert login(url, "check", "Check-pass-1")["accounts"] == {"check": "own"}
    assert (
        user(tmp_path, "passwd", "check", "--password-stdin", "--port", port, text="Second-pass-2\n")[0] == 0
    )
    assert login(url, "check", "Second-pass-2")["user_id"] == "check"
    assert user(tmp_path, "disable", "check", "--port", port)[1]["user"]["disabled"] is True
    with pytest.raises(urllib.error.HTTPError):
        login(url, "check", "Second-pass-2")
    assert user(tmp_path, "enable", "check", "--port", port)[0] == 0
    assert user(tmp_path, "roles", "check", "admin", "trader", "--port", port)[0] == 0
    assert "manage_users" in login(url, "check", "Second-pass-2")["permissions"]
    with urllib.request.urlopen(f"{url}/api/market/kline/rb2701?period=4&count=5", timeout=10) as reply:
        bars = json.loads(reply.read())["data"]["data"]
    assert len(bars) == 5 and bars[0]["timestamp"] < bars[-1]["timestamp"]  # of before the start, too
    code, answer, _ = user(tmp_path, "list", "--port", "1")
    assert (code, "no server" in answer["error"]) == (1, True)


@pytest.mark.slow
def test_an_account_added_beside_a_server_s_back_is_opened_by_it(
    tmp_path: Path, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the moment between a server's start and its admin socket: the command writes the file."""
    (tmp_path / "nowhere").mkdir()
    here = environment(tmp_path)
    monkeypatch.setitem(
        globals(), "environment", lambda _: here | {"XDG_RUNTIME_DIR": str(tmp_path / "nowhere")}
    )
    code, answer, _ = user(tmp_path, "add", "late", "--password-stdin", "--account", "late", text=PASSWORD)
    assert (code, answer["user"]["accounts"][0]["opened"]) == (0, False)
    deadline_s = time.monotonic() + 10
    while not user(tmp_path, "list")[1]["users"][0]["accounts"][0]["opened"]:
        assert time.monotonic() < deadline_s
    assert login(server["urls"][0], "late", "Check-pass-1")["accounts"] == {"late": "own"}


def test_the_demo_prints_a_password_that_works(tmp_path: Path) -> None:
    passwords = []
    for _ in range(2):
        process, facts = started(tmp_path, "demo", *SMALL)
        assert facts["sources"] == ["sim"]
        said = login(facts["urls"][0], facts["user"], facts["password"])
        assert said["accounts"] == {"demo": "own"}
        passwords.append(facts["password"])
        ended(process)
    assert passwords[0] != passwords[1] and len(passwords[0]) >= 16
