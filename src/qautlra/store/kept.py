"""A process of ours that is started when first needed, kept, and given one socket for each thing it is asked.

Both ends: `KeptProcess` is the server's, `Control` the process's. The process has the control socket as
descriptor 0 and ends when that closes, so it outlives nobody. It inherits nothing but what it is given.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock

from qautlra.base import log
from qautlra.base.errors import StorageError
from qautlra.store.child import Child

GONE_S = 1.0
STDERR_BYTES = 64 << 10
ENVIRONMENT = (
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
)
GIVEN = {"OPENBLAS_NUM_THREADS": "1"}
"Nobody multiplies matrices: numpy need start no threads for it, which takes a sixth of its import."

_log = log.get_logger("store")


class KeptProcess:
    """`python -m MODULE ARGUMENTS`, called `name` in logs. Loop only."""

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        inherits: Sequence[int] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        self._name = name
        self._command = [sys.executable, "-m", module, *arguments]
        self._inherits = inherits
        self._environment = environment or {}
        self._process: Child | None = None
        self._control: socket.socket | None = None
        self._starting = asyncio.Lock()
        self._asked = 0
        self.open: set[int] = set()
        "Numbers of what it was asked and has not let go of."
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Process id, None when it does not run."""
        return None if self._process is None or self._process.ended else self._process.pid

    async def ask(self) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
        """Give it a socket, and start it when it is not there; return the number it has and our end.

        StorageError when it cannot be started; ConnectionResetError when it ended at once.
        """
        async with self._starting:
            if self._process is None or self._process.ended:
                await self._start()
            ours = self._sent()
            if ours is None:  # it has ended, and nobody has told us yet
                await self._start()
                ours = self._sent()
            if ours is None:
                raise ConnectionResetError
            self._asked += 1
            number = self._asked
            self.open.add(number)
        reader, writer = await asyncio.open_connection(sock=ours)
        return number, reader, writer

    async def gone(self) -> str:
        """Wait until a process that lets go of its sockets has ended; return how. The next is asked then."""
        process = self._process
        if process is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), GONE_S)
        return "" if process is None else process.how

    def kill_if(self, number: int, pid: int | None) -> bool:
        """End the process of this id when it is still at what it was asked; return whether it was."""
        if number not in self.open or pid is None or pid != self.pid:
            return False
        assert self._process is not None
        self._process.kill()
        return True

    async def close(self) -> None:
        """End it; return when it has ended."""
        async with self._starting:
            await self._end()

    def _sent(self) -> socket.socket | None:
        """Give the process one end of a new pair of sockets; return the other, None when it is not there."""
        assert self._control is not None
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [b"q"], [theirs.fileno()])
        except OSError:
            ours.close()
            return None
        finally:
            theirs.close()
        return ours

    async def _start(self) -> None:
        await self._end()
        ours, theirs = socket.socketpair()
        try:
            inherited = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
            self._process = Child(
                self._command,
                theirs.fileno(),
                GIVEN | self._environment | inherited,
                _Report(self._name),
                self._inherits,
            )
        except OSError as error:
            ours.close()
            raise StorageError(f"the {self._name} process cannot be started: {error}") from None
        finally:
            theirs.close()
        ours.setblocking(False)
        self._control = ours
        self._asked = 0
        self.open.clear()
        self.starts += 1
        asyncio.get_running_loop().add_reader(ours.fileno(), self._heard, ours, bytearray())

    def _heard(self, control: socket.socket, kept: bytearray) -> None:
        """Note what the process has let go of; numbers come four bytes each."""
        try:
            kept += (got := control.recv(4096))
        except BlockingIOError:
            return
        except OSError:
            got = b""
        if not got:
            asyncio.get_running_loop().remove_reader(control.fileno())
            self.open.clear()
            return
        while len(kept) >= 4:
            self.open.discard(struct.unpack_from("<I", kept)[0])
            del kept[:4]

    async def _end(self) -> None:
        process, self._process = self._process, None
        control, self._control = self._control, None
        if control is not None:
            with suppress(OSError, ValueError):
                asyncio.get_running_loop().remove_reader(control.fileno())
            control.close()
        if process is not None:
            process.kill()  # it owns nothing that has to be put away
            await process.wait()
        self.open.clear()


class _Report:
    """Logs what the process says on its standard error, within a bound."""

    def __init__(self, name: str) -> None:
        self._event = f"{name.lower()}_process"
        self._said = 0

    def __call__(self, line: bytes) -> None:
        self._said += len(line)
        if self._said <= STDERR_BYTES:
            _log.warning(self._event, says=line.decode("utf-8", "replace").rstrip())


class Control:
    """The process's end of the control socket."""

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=os.dup(0))
        self._lock = Lock()

    def serve(
        self,
        begin: Callable[[int, socket.socket], None],
        rest: Callable[[], None] = lambda: None,
        rest_s: float = 60.0,
    ) -> None:
        """Give `begin` number and socket of each thing that is asked; end when nobody can ask.

        `rest` is called once when nothing was asked for so long.
        """
        number = 0
        while True:
            if number and not select.select([self._socket], [], [], rest_s)[0]:
                rest()
            message, descriptors, _, _ = socket.recv_fds(self._socket, 1, 1)
            if not message:
                os._exit(0)  # whoever asked is gone: what is at work has nobody to tell
            for descriptor in descriptors:
                number += 1
                begin(number, socket.socket(fileno=descriptor))

    def let_go(self, number: int) -> None:
        """Tell that nothing is done for this number any more. Any thread."""
        with suppress(OSError), self._lock:
            self._socket.sendall(struct.pack("<I", number))


def exactly(link: socket.socket, size: int) -> bytes:
    """Return so many bytes; ConnectionResetError when they do not come."""
    found = bytearray()
    while len(found) < size:
        piece = link.recv(min(size - len(found), 1 << 20))
        if not piece:
            raise ConnectionResetError
        found += piece
    return bytes(found)
