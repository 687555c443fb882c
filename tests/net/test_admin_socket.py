"""The admin socket: who may speak to it, what it takes, what it leaves behind."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from qautlra.app.places import runtime_directories, runtime_directory
from qautlra.auth.service import AuthService
from qautlra.base.errors import StorageError
from qautlra.net import admin_socket
from qautlra.net.admin_socket import AdminSocket, call, socket_name

PORT = 18_399
ADD = {"type": "user.add", "name": "check", "password": "Check-pass-1", "account": "a1", "cash": 5.0}


def run(tmp_path: Path, work: Callable[[AuthService, Path], Awaitable[None]]) -> None:
    async def whole() -> None:
        auth = AuthService(tmp_path / "data")
        places = tmp_path / ("deep" * 30)  # longer than a socket's name may be
        places.mkdir(mode=0o700)
        served = AdminSocket(auth, lambda: places, lambda: [PORT])
        await auth.start()
        await served.start()
        try:
            await work(auth, places)
        finally:
            await served.stop(1.0)
            await auth.stop(1.0)
        assert list(places.iterdir()) == []

    asyncio.run(whole())


async def ask(places: Path, command: dict[str, Any]) -> dict[str, Any]:
    return await asyncio.to_thread(call, places, PORT, command)


def test_commands(tmp_path: Path) -> None:
    async def work(auth: AuthService, places: Path) -> None:
        mode = (places / socket_name(PORT)).stat().st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
        assert await ask(places, {"type": "hello"}) == {"ok": True, "data_dir": str(tmp_path / "data")}
        answer = await ask(places, ADD)
        account = {"account": "a1", "access": "own", "broker": "paper", "opened": False}
        shown = {"name": "check", "roles": ["trader"], "disabled": False, "accounts": [account]}
        assert answer == {"ok": True, "user": shown}
        assert (await ask(places, {"type": "user.list"}))["users"] == [shown]
        assert (await ask(places, ADD))["code"] == "input"
        more = {"type": "user.add", "name": "check", "account": "a2"}
        assert len((await ask(places, more))["user"]["accounts"]) == 2
        assert (await ask(places, {"type": "user.roles", "name": "check", "roles": ["admin"]}))["ok"]
        assert (await ask(places, {"type": "user.passwd", "name": "check", "password": "x"}))["ok"] is False
        answer = await ask(places, {"type": "user.passwd", "name": "check", "password": "Second-pass-2"})
        assert answer["ok"]
        assert (await auth.login("check", "Second-pass-2")).user.user_id == "check"
        assert (await ask(places, {"type": "user.disable", "name": "check"}))["user"]["disabled"]
        assert (await ask(places, {"type": "user.disable", "name": "nobody"}))["code"] == "not_found"
        written = auth.audit.read(user_id="(this machine)")
        assert {entry.type for entry in written} == {"USER_CHANGE", "ACCOUNT_OPEN", "PASSWORD_CHANGE"}

    run(tmp_path, work)


def speak(places: Path, data: bytes) -> bytes:
    directory = os.open(places, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(f"/proc/self/fd/{directory}/{socket_name(PORT)}")
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    os.close(directory)
    return answer


@pytest.mark.parametrize(
    "data",
    [b"\n", b"{}\n", b"[]\n", b"null\n", b"\xff\n", b'{"type":"user.add"}\n', b'{"type":"rm -rf"}\n',
     b'{"type":"user.add","name":5}\n', b"[" * 5000 + b"\n", b""],
)  # fmt: skip
def test_junk_is_answered(tmp_path: Path, data: bytes) -> None:
    async def work(_auth: AuthService, places: Path) -> None:
        answer = json.loads(await asyncio.to_thread(speak, places, data))
        assert (answer["ok"], answer["code"]) == (False, "input")
        assert (await ask(places, {"type": "hello"}))["ok"]

    run(tmp_path, work)


def test_a_line_beyond_the_bound_ends_the_call(tmp_path: Path) -> None:
    async def work(_auth: AuthService, places: Path) -> None:
        assert await asyncio.to_thread(speak, places, b"x" * (admin_socket.LINE_BYTES - 1)) != b""
        try:
            answer = await asyncio.to_thread(speak, places, b"x" * (4 * admin_socket.LINE_BYTES))
        except OSError:
            answer = b""
        assert answer == b""
        assert (await ask(places, {"type": "hello"}))["ok"]

    run(tmp_path, work)


def test_callers_beyond_the_bound_are_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_socket, "CALLS_COUNT", 1)

    async def work(_auth: AuthService, places: Path) -> None:
        directory = os.open(places, os.O_PATH)
        reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/{socket_name(PORT)}")
        os.close(directory)
        await asyncio.sleep(0.05)
        with pytest.raises(OSError):
            await ask(places, {"type": "hello"})
        writer.write(b'{"type":"hello"}\n')
        assert json.loads(await reader.readline())["ok"]
        writer.close()
        await asyncio.sleep(0.05)
        assert (await ask(places, {"type": "hello"}))["ok"]

    run(tmp_path, work)


def test_another_user_is_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(_auth: AuthService, places: Path) -> None:
        monkeypatch.setattr(admin_socket, "_is_owner", lambda _writer: False)
        with pytest.raises(OSError):
            await ask(places, {"type": "hello"})

    run(tmp_path, work)


def test_a_dead_server_s_socket_is_replaced(tmp_path: Path) -> None:
    places = tmp_path / "run"
    places.mkdir(mode=0o700)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(places / socket_name(PORT)))
    dead.close()

    async def work() -> None:
        auth = AuthService(tmp_path / "data")
        await auth.start()
        served = AdminSocket(auth, lambda: places, lambda: [PORT])
        await served.start()
        assert (await ask(places, {"type": "hello"}))["ok"]
        second = AdminSocket(auth, lambda: places, lambda: [PORT])
        await second.start()  # a living one is left alone
        await second.stop(1.0)
        assert (await ask(places, {"type": "hello"}))["ok"]
        await served.stop(1.0)
        await auth.stop(1.0)

    asyncio.run(work())


def test_the_directory_is_the_owner_s_alone(tmp_path: Path) -> None:
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert runtime_directory(env) == tmp_path / "qautlra"
    assert stat.S_IMODE((tmp_path / "qautlra").stat().st_mode) == 0o700
    (tmp_path / "qautlra").chmod(0o755)
    with pytest.raises(StorageError, match="alone"):
        runtime_directory(env)
    (tmp_path / "qautlra").rmdir()
    (tmp_path / "else").mkdir(mode=0o700)
    (tmp_path / "qautlra").symlink_to(tmp_path / "else")
    with pytest.raises(StorageError):
        runtime_directory(env)
    assert runtime_directories({"XDG_RUNTIME_DIR": "/no/such"}) == runtime_directories({})


def test_without_a_safe_directory_there_is_no_socket(tmp_path: Path) -> None:
    def unsafe() -> Path:
        raise StorageError("not safe")

    async def work() -> None:
        served = AdminSocket(AuthService(tmp_path), unsafe, lambda: [PORT])
        await served.start()
        await served.stop(1.0)

    asyncio.run(work())
