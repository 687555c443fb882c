"""The process that writes files of rows: `python -m qautlra.store.fileworker`, owned by `fileproc`.

Each job runs in a thread of its own, at the priority it is asked with; a thread cannot raise its priority
again. It writes no manifest and owns no state: it may end at any moment.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path

import msgspec
import pyarrow as pa
from msgspec import Struct

from qautlra.base import log
from qautlra.base.arrow import leave_pandas_out
from qautlra.base.errors import StorageError
from qautlra.base.memory import give_back
from qautlra.store.filework import Done, Job, do
from qautlra.store.kept import Control, exactly
from qautlra.store.parquet import Layout

ASK, ANSWER = struct.Struct("<QQ"), struct.Struct("<Q")


class Ask(Struct, frozen=True, kw_only=True):
    """A job; the rows it is about, if any, follow as an Arrow stream."""

    job: Job
    layout: Layout
    is_calm: bool


class Failed(Struct, frozen=True, kw_only=True, tag=True):
    """Why a job was not done. `errno`: what the system said, 0 when it was not asked."""

    text: str
    errno: int = 0
    path: str | None = None
    is_retryable: bool = True

    def error(self) -> Exception:
        """Return it as whoever asked raises it."""
        if self.errno:
            return OSError(self.errno, self.text, self.path)
        return StorageError(self.text, retryable=self.is_retryable)


Answer = Done | Failed


class Worker:
    """All of the process."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._is_fresh = True
        "Whether no job was done yet, whose freed memory is kept."

    def begin(self, number: int, link: socket.socket, control: Control) -> None:
        """Take a job from a socket and answer there, in a thread."""
        threading.Thread(target=self._answer, args=(number, link, control), daemon=True).start()

    def _answer(self, number: int, link: socket.socket, control: Control) -> None:
        with link, suppress(ConnectionError):
            size, rows = ASK.unpack(exactly(link, ASK.size))
            ask = msgspec.json.decode(exactly(link, size), type=Ask)
            table = pa.ipc.open_stream(exactly(link, rows)).read_all() if rows else None
            answer = msgspec.json.encode(self._done(ask, table))
            self._is_fresh = False
            link.sendall(ANSWER.pack(len(answer)) + answer)
        control.let_go(number)

    def _done(self, ask: Ask, table: pa.Table | None) -> Answer:
        if ask.is_calm:
            _step_back()
        try:
            return do(ask.job, table, self._data_dir, ask.layout)
        except StorageError as error:
            return Failed(text=error.message, is_retryable=error.retryable)
        except OSError as error:
            return Failed(text=error.strerror or str(error), errno=error.errno or 0, path=_path(error))
        except MemoryError as error:
            traceback.print_exc()
            if not self._is_fresh:
                os._exit(os.EX_UNAVAILABLE)  # another process does it again, with nothing kept
            return Failed(text=f"{type(error).__name__}: {error}")
        except Exception as error:
            traceback.print_exc()
            return Failed(text=f"{type(error).__name__}: {error}")


def _path(error: OSError) -> str | None:
    return None if error.filename is None else os.fsdecode(error.filename)


def _step_back() -> None:
    """Let everybody else go before this thread; one that is only nice is left its slice."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _confine(memory_bytes: int) -> None:
    """Take from this process what it does not need: core dumps, the machine's last memory, its signals."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    with suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(b"500")


def main() -> None:
    """Entry: the control socket is descriptor 0, the arguments are directory and memory in bytes."""
    leave_pandas_out()
    control = Control()
    log.configure("info", "json")
    pa.set_cpu_count(1)  # the other cores are the server's
    _confine(int(sys.argv[2]))
    worker = Worker(Path(sys.argv[1]))
    control.serve(lambda number, link: worker.begin(number, link, control), give_back)


if __name__ == "__main__":
    main()
