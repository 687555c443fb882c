"""The process that writes files of rows, as the store sees it: started when first needed, asked job by job.

It holds the lock of the directory as the server does, so no other server opens it while one is left that
still writes. When it ends in the middle of a job the job is done again: nothing of it counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
import pyarrow as pa

from qautlra.base import log
from qautlra.base.errors import StorageError
from qautlra.store.filework import Done, Job
from qautlra.store.fileworker import ANSWER, ASK, Answer, Ask, Failed
from qautlra.store.kept import KeptProcess
from qautlra.store.parquet import Layout

TRIES_COUNT = 3
PAUSE_S, PAUSE_MAX_S = 0.1, 30.0
LOOK_S = 0.5
# A job holds the rows of a segment several times over, unpacked; a merge those of a million rows.
MEMORY_BYTES, SEGMENTS_COUNT = 4 << 30, 16
# What a job frees is the next one's until none has come for a while. Given back at once, it is taken at once
# by a host that takes what its virtual machines have free: all wait, for 20 to 50 ms.
KEEPS_MEMORY = {
    "MIMALLOC_PURGE_DELAY": "3600000",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(MEMORY_BYTES),
}

_log = log.get_logger("store")


class Filer(Protocol):
    """Does the jobs of `filework` for a store."""

    jobs: int
    ended: int
    hurried: int

    @property
    def pid(self) -> int | None:
        """Process id, None when there is none now."""

    @property
    def starts(self) -> int:
        """How often it was started."""

    async def run(self, job: Job, table: pa.Table | None = None, *, calm: Calm | None = None) -> Done:
        """Do a job; OSError and StorageError when it cannot be done now.

        While it is `calm` the job is done when nobody else wants the processor.
        """

    async def wake(self) -> None:
        """Get ready for a job that comes soon."""

    async def close(self) -> None:
        """Do nothing any more; what is being done is given up."""


Calm = Callable[[], bool]
MakeFiler = Callable[[Path, Layout, int, int], Filer]
"""Makes one of data directory, layout of files, size of a segment, descriptor of the directory's lock."""


class FileProcess:
    """Loop only. A job that was calm and is no more is begun anew, at the server's own priority."""

    def __init__(self, data_dir: Path, layout: Layout, segment_bytes: int, lock: int) -> None:
        memory_bytes = MEMORY_BYTES + SEGMENTS_COUNT * segment_bytes
        self._layout = layout
        self._process = KeptProcess(
            "filing",
            "qautlra.store.fileworker",
            [str(data_dir), str(memory_bytes)],
            () if lock < 0 else (lock,),
            KEEPS_MEMORY,
        )
        self._is_closed = False
        self._hurried_start = 0
        self._pause_s = PAUSE_S
        self.jobs = 0
        self.ended = 0
        self.hurried = 0

    @property
    def pid(self) -> int | None:
        """Process id, None when it does not run."""
        return self._process.pid

    @property
    def starts(self) -> int:
        """How often it was started."""
        return self._process.starts

    async def run(self, job: Job, table: pa.Table | None = None, *, calm: Calm | None = None) -> Done:
        """Do a job; OSError and StorageError as it met them. A cancelled caller waits for its end."""
        work = asyncio.ensure_future(self._tried(job, table, calm))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            work.exception()  # nobody waits for it any more
            raise

    async def wake(self) -> None:
        """Start the process, if it does not run; whoever asks it next meets what goes wrong with it."""
        if self._is_closed:
            return
        with suppress(StorageError, ConnectionError):
            number, _, writer = await self._process.ask()
            self._process.open.discard(number)
            writer.close()

    async def close(self) -> None:
        """End the process in the middle of whatever it does."""
        self._is_closed = True
        await self._process.close()

    async def _tried(self, job: Job, table: pa.Table | None, calm: Calm | None) -> Done:
        rows = None if table is None else await asyncio.to_thread(_packed, table)
        tries = 0
        while not self._is_closed:
            is_calm = calm is not None and calm()
            asked = msgspec.json.encode(Ask(job=job, layout=self._layout, is_calm=is_calm))
            start = 0
            try:
                link = await self._process.ask()
                start = self._process.starts
                answering = asyncio.ensure_future(self._answered(*link, asked, rows))
                while is_calm and not (await asyncio.wait([answering], timeout=LOOK_S))[0]:
                    if calm is not None and not calm():
                        is_calm = False
                        self._hurried_start = start
                        self.hurried += 1
                        self._process.kill_if(link[0], self._process.pid)
                answer = await answering
            except (asyncio.IncompleteReadError, ConnectionError):
                how = await self._process.gone()
                if self._is_closed or start == self._hurried_start:
                    continue
                self.ended += 1
                _log.error("filing_process_ended", how=how, job=type(job).__name__)
                tries += 1
                if tries == TRIES_COUNT:
                    raise StorageError(f"the filing process ended ({how})") from None
                pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, PAUSE_MAX_S)
                await asyncio.sleep(pause_s)
                continue
            self._pause_s = PAUSE_S
            if isinstance(answer, Failed):
                raise answer.error()
            self.jobs += 1
            return answer
        raise StorageError("the store is closing")

    async def _answered(
        self,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asked: bytes,
        rows: pa.Buffer | None,
    ) -> Answer:
        try:
            writer.write(ASK.pack(len(asked), 0 if rows is None else rows.size) + asked)
            if rows is not None:
                writer.write(memoryview(rows))
            await writer.drain()
            (size,) = ANSWER.unpack(await reader.readexactly(ANSWER.size))
            return msgspec.json.decode(await reader.readexactly(size), type=Answer)
        finally:
            self._process.open.discard(number)
            writer.close()


def _packed(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
