"""The admin socket: line-JSON commands from this machine's own user, one socket per listening port.

Its directory is the owner's alone, and so is each peer: the kernel says whose process calls (SO_PEERCRED).
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from qautlra.auth import admin
from qautlra.base import metrics
from qautlra.base.errors import QautlraError, StorageError
from qautlra.base.log import get_logger
from qautlra.base.service import Service

if TYPE_CHECKING:
    from qautlra.auth.service import AuthService

LINE_BYTES: Final = 16 << 10
CALLS_COUNT: Final = 16
CALL_S: Final = 30.0
_log = get_logger("net")


def socket_name(port: int) -> str:
    """Return the socket's file name for a port."""
    return f"{port}.sock"


def call(directory: Path, port: int, command: dict[str, Any], timeout_s: float = CALL_S) -> dict[str, Any]:
    """Send one command to the server of `port` and return its answer; OSError when none answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        with _short(directory) as short:
            connection.connect(f"{short}/{socket_name(port)}")
        connection.sendall(orjson.dumps(command) + b"\n")
        with connection.makefile("rb") as answers:
            line = answers.readline(1 << 24)
    if not line.endswith(b"\n"):
        raise ConnectionResetError("the server ended without an answer")
    answer = orjson.loads(line)
    if not isinstance(answer, dict):
        raise ConnectionResetError("the server's answer is not understood")
    return answer


class _short:
    """A short name of a directory while it is open: a socket's path has room for 107 bytes."""

    def __init__(self, directory: Path) -> None:
        self._descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._descriptor}"

    def __exit__(self, *_error: object) -> None:
        os.close(self._descriptor)


class AdminSocket(Service):
    """Answers commands; `ports` are asked for at the start, when the doors are open."""

    name = "admin_socket"

    def __init__(
        self, auth: AuthService, directory: Callable[[], Path], ports: Callable[[], Sequence[int]]
    ) -> None:
        super().__init__()
        self._auth = auth
        self._find_directory = directory
        self._directory = Path()
        self._ports = ports
        self._servers: list[asyncio.AbstractServer] = []
        self._names: dict[str, int] = {}
        self._calls = 0
        self._refused = metrics.counter("qautlra_net_admin_calls_refused", "Admin calls refused")

    async def start(self) -> None:
        """Listen beside every port of the front; without a safe directory a warning is all."""
        try:
            self._directory = self._find_directory()
        except StorageError as error:
            _log.warning("no_admin_socket", reason=str(error))
            return
        with _short(self._directory) as short:
            for port in self._ports():
                path = f"{short}/{socket_name(port)}"
                if _is_alive(path):  # a port has one owner, and it is ours: what answers is another machine's
                    _log.warning("admin_socket_busy", port=port)
                    continue
                server_socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                server_socket.bind(path)
                os.chmod(path, 0o600)
                self._names[socket_name(port)] = os.stat(path).st_ino
                self._servers.append(
                    await asyncio.start_unix_server(self._serve, sock=server_socket, limit=LINE_BYTES)
                )

    async def stop(self, grace_s: float) -> None:
        """Close the sockets and take their files away."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for name, inode in self._names.items():
            path = self._directory / name
            if path.exists() and path.stat().st_ino == inode:
                path.unlink()
        self._names.clear()
        await self.cancel_tasks(grace_s)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._calls >= CALLS_COUNT or not _is_owner(writer):
            self._refused.inc()
            writer.close()
            return
        self._calls += 1
        try:
            async with asyncio.timeout(CALL_S):
                answer = await self._answer(await reader.readline())
                writer.write(orjson.dumps(answer, default=str) + b"\n")
                await writer.drain()
        except (TimeoutError, ValueError, ConnectionError):
            self._refused.inc()
        finally:
            self._calls -= 1
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            return {"ok": True, **await admin.perform(self._auth, admin.decode(line))}
        except QautlraError as error:
            return {"ok": False, **error.to_dict()}
        except Exception as error:
            _log.error("admin_command_failed", error=str(error), exc_info=error)
            return {"ok": False, "error": "internal error; see the server's log", "code": "error"}


def _is_alive(path: str) -> bool:
    """Tell whether someone answers at `path`; a dead socket's file is taken away."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(path)
        except FileNotFoundError:
            return False
        except OSError:
            os.unlink(path)
            return False
    return True


def _is_owner(writer: asyncio.StreamWriter) -> bool:
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    _pid, uid, _gid = struct.unpack("3i", peer)
    return uid in (os.getuid(), 0)
