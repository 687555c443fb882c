"""The process that answers SQL: `python -m qautlra.store.sqlworker`, started and owned by `sqlproc`.

It reads the manifest, the files and the log of a data directory and writes nothing; statements run in
threads, each with a socket of its own, and end when that closes or their time is over. It owns no state.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from qautlra.base.arrow import leave_pandas_out
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import InputError, LimitError, QautlraError, StorageError
from qautlra.model.query import QueryFormat
from qautlra.store.kept import Control, exactly
from qautlra.store.sqlask import DATA, DONE, FAILED, HEAD, Ask, value_of
from qautlra.store.sqlcheck import Reads, check_sql
from qautlra.store.sqldata import SqlData
from qautlra.store.sqlrender import sql_renderer
from qautlra.store.tail import MovedError

MOVED_COUNT = 5
POLL_MS = 50
BATCH_ROWS = 8_192
SEND_TIMEOUT_S = 30.0
REQUEST_BYTES = 1 << 20
NICENESS = 5
# A statement that does not stop when it is told (some functions never look up) ends the process after this.
STUCK_S = 2.0
SPARE_BYTES = 2 << 30


class _Job:
    """A statement on its way. `lock` guards connection and why."""

    def __init__(self, number: int, link: socket.socket) -> None:
        self.number = number
        self.link = link
        self.lock = threading.Lock()
        self.connection: duckdb.DuckDBPyConnection | None = None
        self.deadline_s = float("inf")
        self.timeout_s = 0.0
        self.why = ""
        self.stopped_s = float("inf")
        self.is_sending = False

    def stop(self, why: str) -> None:
        with self.lock:
            if not self.why:
                self.why, self.stopped_s = why, monotonic_s()
            if self.connection is not None:
                self.connection.interrupt()

    def is_stuck(self) -> bool:
        """Tell whether the engine is still at it long after it was told to stop."""
        with self.lock:
            at_work = self.connection is not None and not self.is_sending
        return at_work and monotonic_s() > self.stopped_s + STUCK_S

    def send(self, kind: bytes, payload: bytes) -> None:
        """Send a frame; the time it takes the other side to read it is not the statement's."""
        began_s = monotonic_s()
        self.is_sending = True
        try:
            self.link.sendall(kind + struct.pack("<I", len(payload)))
            self.link.sendall(payload)
        finally:
            self.deadline_s += monotonic_s() - began_s
            self.is_sending = False


class Worker:
    """All of the process. `serve` runs until the control socket closes."""

    def __init__(self, data_dir: Path, threads: int, memory_bytes: int) -> None:
        self._data = SqlData(data_dir)
        self._memory_bytes = memory_bytes
        self._root = _connect(data_dir, memory_bytes)
        self._pool = ThreadPoolExecutor(threads, "sql")
        self._jobs: dict[int, _Job] = {}
        self._lock = threading.Lock()

    def serve(self, control: Control) -> None:
        """Answer one statement per socket until the other side is gone."""
        threading.Thread(target=self._watch, daemon=True).start()

        def begin(number: int, link: socket.socket) -> None:
            job = _Job(number, link)
            with self._lock:
                self._jobs[number] = job
            self._pool.submit(self._answer, job, control)

        control.serve(begin)

    def _watch(self) -> None:
        while True:
            with self._lock:
                jobs = list(self._jobs.values())
            poll = select.poll()
            links = {}
            for job in jobs:
                if monotonic_s() > job.deadline_s and not job.is_sending:
                    job.stop("deadline")
                if job.is_stuck():
                    self._give_up(job)
                if not job.why and job.link.fileno() >= 0:
                    links[job.link.fileno()] = job
                    poll.register(job.link.fileno(), select.POLLRDHUP)
            for descriptor, _event in poll.poll(POLL_MS):
                links[descriptor].stop("left")

    def _give_up(self, job: _Job) -> None:
        """Tell whoever asked, and end; the other statements are asked again of the next process."""
        print(f"sql: a statement did not stop ({job.why})", file=sys.stderr, flush=True)
        with suppress(OSError):
            job.link.setblocking(False)
            payload = _told(_given_up(job.why, job.timeout_s))
            job.link.send(FAILED + struct.pack("<I", len(payload)) + payload)
        os._exit(1)

    def _answer(self, job: _Job, control: Control) -> None:
        try:
            with suppress(ConnectionError, TimeoutError):
                try:
                    job.send(DONE, json.dumps(self._run(job)).encode())
                except QautlraError as error:
                    job.send(FAILED, _told(error))
        except BaseException as error:
            print(f"sql: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            with self._lock:
                self._jobs.pop(job.number, None)
            job.link.close()
            control.let_go(job.number)

    def _run(self, job: _Job) -> dict[str, Any]:
        job.link.settimeout(SEND_TIMEOUT_S)
        ask = _request(job.link)
        job.timeout_s = ask.timeout_s
        job.deadline_s = monotonic_s() + ask.timeout_s
        try:
            for _attempt in range(MOVED_COUNT):
                try:
                    return self._try(job, ask)
                except MovedError:
                    continue
            raise StorageError("the files changed faster than the statement could start; try again")
        except duckdb.InterruptException:
            raise _given_up(job.why, ask.timeout_s) from None
        except duckdb.OutOfMemoryException:
            text = f"the query needs more than {self._memory_bytes >> 20} MiB; ask for less"
            raise LimitError(text, status=413) from None
        except (duckdb.IOException, OSError, pa.ArrowException) as error:
            if isinstance(error, ConnectionError | TimeoutError):
                raise
            raise StorageError(f"the store's files cannot be read: {error}") from None
        except duckdb.Error as error:
            raise InputError(f"query: {error}", key="query") from None

    def _try(self, job: _Job, ask: Ask) -> dict[str, Any]:
        with self._root.cursor() as connection:
            with job.lock:
                if job.why:
                    raise _given_up(job.why, ask.timeout_s)
                job.connection = connection
            try:
                reads = (
                    Reads(set(ask.streams))
                    if ask.streams
                    else check_sql(connection, ask.sql, self._data.streams())
                )
                self._data.prepare(connection, reads, ask)
                values = [value_of(*value) for value in ask.values]
                try:
                    reader = connection.sql(ask.sql, params=values).to_arrow_reader(BATCH_ROWS)
                except duckdb.IOException as error:
                    if "No files found" in str(error) or "No such file" in str(error):
                        raise MovedError from None
                    raise
                return _send_rows(job, ask, reader)
            finally:
                with job.lock:
                    job.connection = None


def _send_rows(job: _Job, ask: Ask, reader: pa.RecordBatchReader) -> dict[str, Any]:
    render = sql_renderer(QueryFormat(ask.form), reader.schema, ask.omit_null)
    rows, left = 0, ask.cap_rows
    truncated = False
    job.send(HEAD, render.head())
    for batch in reader:
        if batch.num_rows > left:
            batch, truncated = batch.slice(0, left), True
        rows += batch.num_rows
        left -= batch.num_rows
        if batch.num_rows:
            job.send(DATA, render.batch(batch))
        if truncated:
            break
    job.send(DATA, render.tail())
    return {"rows": rows, "truncated": truncated}


def _told(error: QautlraError) -> bytes:
    return json.dumps(error.to_dict() | {"status": error.status}, default=str).encode()


def _given_up(why: str, timeout_s: float) -> LimitError:
    if why == "deadline":
        return LimitError(f"the query took longer than {timeout_s:g} s; ask for less", status=504)
    return LimitError("the query was given up")


def _request(link: socket.socket) -> Ask:
    size = struct.unpack("<I", exactly(link, 4))[0]
    if size > REQUEST_BYTES:
        raise InputError("query: the statement is too long", key="query")
    return msgspec.json.decode(exactly(link, size), type=Ask)


def _connect(data_dir: Path, memory_bytes: int) -> duckdb.DuckDBPyConnection:
    """Return an engine that opens no file but below the data directory and whose settings are closed."""
    root = duckdb.connect(
        ":memory:", config={"threads": "1", "memory_limit": f"{memory_bytes // 1_000_000}MB"}
    )
    directory = str(data_dir).replace("'", "''")
    for setting in (
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "temp_directory = ''",
        "GLOBAL TimeZone = 'UTC'",  # of every connection, not of the first
        "enable_object_cache = true",
        "python_enable_replacements = false",
        f"allowed_directories = ['{directory}']",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        root.execute(f"SET {setting}")
    return root


def _confine(memory_bytes: int) -> None:
    """Take from this process what it does not need: writing files, core dumps, the machine's last memory.

    The engine counts its buffers, not the values its functions make: those end at the process's own limit.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = 2 * memory_bytes + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    os.nice(NICENESS)
    with suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(b"500")


def main() -> None:
    """Entry: the control socket is descriptor 0, the arguments are directory, threads, memory in bytes."""
    directory, threads, memory_bytes = sys.argv[1:4]
    leave_pandas_out()
    control = Control()
    worker = Worker(Path(directory), int(threads), int(memory_bytes))
    _confine(int(memory_bytes))
    worker.serve(control)


if __name__ == "__main__":
    main()
