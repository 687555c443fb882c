"""Whole files into streams: received piece by piece, imported behind the scenes, gone on with after any end.

A file waits in `<data_dir>/imports` with a note of how far it is. Rows of users' streams carry the import's
name, a hash of the file and their number in it, so each is stored once, and other content under an old name
loses none; rows of the market are known by their identity.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
import orjson
import pyarrow as pa
from msgspec import Struct

from qautlra.base import log
from qautlra.base.clock import wall_ns
from qautlra.base.errors import InputError, LimitError, NotFoundError, StorageError, UnavailableError
from qautlra.base.service import Service
from qautlra.model.cells import Cells
from qautlra.model.query import QueryFormat, QueryRequest
from qautlra.store.catalogue import write_durably
from qautlra.store.filerows import FORMS, Batch, Form, batches, digest_of
from qautlra.store.importer import ImportReport, RecordedFile, ahead, import_file
from qautlra.store.schema import BAR_1M, STREAMS
from qautlra.store.tables.definition import GIVEN_COLUMNS, check_table_name

if TYPE_CHECKING:
    from qautlra._core.market import Calendar, Instruments, Rows

State = Literal["receiving", "waiting", "importing", "done", "failed"]

IMPORTS_COUNT = 100
RETRY_S = 2.0
LOOK_BYTES = 16 << 20
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_LONG_AGO, _FAR_AHEAD = "1700-01-01", "2260-01-01"
_log = log.get_logger("store")


class Note(Struct, kw_only=True):
    """How far an import is. `rows` of the file are done; `total_rows` 0: not known."""

    id: str
    stream: str
    form: Form
    state: State = "receiving"
    bytes: int = 0
    rows: int = 0
    new_rows: int = 0
    bad_rows: int = 0
    total_rows: int = 0
    new_columns: list[str] = []
    "What the stream has by this import; values its columns could not hold are in `<name>_<type>`."
    error: str = ""
    begun_us: int = 0
    digest: str = ""
    "Of the file's content, once it is whole."


class Door(Protocol):
    """The store's taking in."""

    async def ingest(self, name: str, events: Any, extra: Mapping[str, Any], *, create: bool) -> int: ...
    async def import_rows(self, rows: Rows) -> int: ...
    async def flush(self) -> None: ...
    async def settle(self) -> None: ...
    def check_room(self) -> None: ...
    def names(self) -> list[str]: ...
    def schema(self, name: str) -> list[dict[str, Any]]: ...


class Questions(Protocol):
    """The store's answering."""

    async def run(self, request: QueryRequest) -> Any: ...


class Filling:
    """Rows of a file into a stream, each once, however often it is begun."""

    def __init__(self, door: Door, questions: Questions) -> None:
        self._door = door
        self._questions = questions

    async def fill(self, note: Note, path: Path, told: Callable[[], Awaitable[None]]) -> None:
        """Store the rows of a file that are not stored yet; `told` is called after each batch."""
        if not note.digest:
            note.digest = await asyncio.to_thread(digest_of, path)
        known = await self._known(note)
        before = self._columns(note.stream)
        at = 0

        def total(rows: int) -> None:
            note.total_rows = rows

        async with aclosing(ahead(batches(path, note.form, total))) as found:
            async for batch in found:
                count = batch.num_rows if isinstance(batch, pa.Table) else len(batch)
                skipped = min(max(known - at, 0), count)
                await self._take(note, _part(batch, skipped, count), at + skipped)
                at += count
                note.rows, note.error = at, ""
                new = [name for name in self._columns(note.stream) if name not in before]
                if new:
                    note.new_columns = list(dict.fromkeys([*note.new_columns, *new]))
                await told()

    def _columns(self, stream: str) -> list[str]:
        """Return the columns of a stream that are not the store's own; none when it is not there."""
        if stream.lower() not in map(str.lower, self._door.names()):
            return []
        names = [column["name"] for column in self._door.schema(stream)]
        return [name for name in names if name not in GIVEN_COLUMNS]

    async def _take(self, note: Note, batch: Batch, at: int) -> None:
        """Store rows of a file from row `at` on; InputError names the first that cannot be."""
        count = batch.num_rows if isinstance(batch, pa.Table) else len(batch)
        if not count:
            return
        extra = {
            "p_import": pa.array([note.id] * count, pa.string()),
            "p_import_file": pa.array([note.digest] * count, pa.string()),
            "p_import_row": pa.array(range(at, at + count), pa.int64()),
        }
        try:
            note.new_rows += await self._door.ingest(note.stream, batch, extra, create=True)
        except LimitError:
            raise
        except InputError as error:
            if count == 1 or isinstance(error, NotFoundError):
                raise InputError(f"row {at + 1}: {error}; the rows before it are stored") from None
            half = count // 2
            await self._take(note, _part(batch, 0, half), at)
            await self._take(note, _part(batch, half, count), at + half)

    async def _known(self, note: Note) -> int:
        """Return how many rows of the file are stored already: it is imported in order."""
        if note.stream.lower() in STREAMS or note.stream.lower() not in map(str.lower, self._door.names()):
            return 0
        await self._door.settle()
        if "p_import_file" not in {column["name"] for column in self._door.schema(note.stream)}:
            return 0
        request = QueryRequest(
            stream=note.stream,
            start_time=_LONG_AGO,
            end_time=_FAR_AHEAD,
            columns=("p_import_row",),
            filter=f"p_import = '{note.id}' AND p_import_file = '{note.digest}'"
            f" AND p_import_row >= {max(note.rows - 1, 0)}",
            format=QueryFormat.NDJSON,
        )
        result = await self._questions.run(request)
        most, rest = -1, b""
        async for piece in result.chunks:
            *lines, rest = (rest + piece).split(b"\n")
            most = max(most, *(int(orjson.loads(line)["p_import_row"]) for line in lines if line), -1)
        return most + 1


class Local:
    """One file of this machine into a stream of an open store, without being kept aside first."""

    def __init__(
        self,
        door: Door,
        questions: Questions,
        path: Path,
        stream: str,
        form: str,
        told: Callable[[int], None],
    ) -> None:
        if stream.lower() not in STREAMS:
            check_table_name(stream)
        self._filling = Filling(door, questions)
        self._path = path
        self._stream = stream
        self._form = form
        self._told = told

    async def run(self, name: str) -> Note:
        """Import it; the note says what held it up, if anything."""
        note = Note(id=name, stream=self._stream, form=self._form)  # type: ignore[arg-type]

        async def told() -> None:
            self._told(note.rows)

        try:
            await self._filling.fill(note, self._path, told)
        except (InputError, OSError, pa.ArrowException) as error:
            note.error = f"{self._path}: {error}"
        return note


class Imports(Service):
    """One file is imported at a time; IMPORTS_COUNT may be known, the oldest that are over are forgotten."""

    name = "imports"

    def __init__(
        self,
        door: Door,
        questions: Questions,
        directory: Path,
        recorded: Callable[[Path], RecordedFile],
        instruments: Instruments,
        calendar: Calendar,
        file_bytes: int,
    ) -> None:
        super().__init__()
        self._door = door
        self._filling = Filling(door, questions)
        self._directory = directory
        self._recorded = recorded
        self._instruments = instruments
        self._calendar = calendar
        self._file_bytes = file_bytes
        self._notes: dict[str, Note] = {}
        self._receiving: set[str] = set()
        self._work: asyncio.Task[None] | None = None
        self._current: Note | None = None
        self._news = asyncio.Event()

    async def start(self) -> None:
        """Find what was begun, and go on with it."""
        await asyncio.to_thread(self._load)
        self.spawn(self._keep_importing(), "import")

    def health(self) -> dict[str, Any]:
        """Return how many imports there are of each state."""
        states = [note.state for note in self._notes.values()]
        return {state: states.count(state) for state in dict.fromkeys(states)}

    def _load(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self._directory.glob("*.json"):
            try:
                note = msgspec.json.decode(path.read_bytes(), type=Note)
            except (OSError, msgspec.DecodeError) as error:
                _log.error("import_note_unreadable", path=str(path), error=str(error))
                continue
            if note.state == "importing":
                note.state = "waiting"
            spool = self._spool(note)
            if note.state == "receiving":
                note.bytes = spool.stat().st_size if spool.exists() else 0
            if note.state in ("done", "failed"):
                spool.unlink(missing_ok=True)
            self._notes[note.id] = note

    # What doors ask

    def all(self) -> list[Note]:
        """Return every import, the newest first."""
        return sorted(self._notes.values(), key=lambda note: -note.begun_us)

    def get(self, name: str) -> Note:
        """Return how far an import is; NotFoundError when there is none."""
        if name not in self._notes:
            raise NotFoundError(f"there is no import {name[:64]!r}", key="id")
        return self._notes[name]

    async def receive(
        self, name: str, stream: str, form: str, at: int, pieces: AsyncIterator[bytes], *, more: bool = False
    ) -> Note:
        """Add bytes to a file, the first of which is byte `at`; without `more` they are its last.

        InputError 409 when it has another number of bytes so far (in the details), or is received by now.
        """
        self._reserve(name)
        try:
            note = await self._begun(name, stream, form, at)
            await self._append(note, pieces)
            if not more:
                await self._keep(note, "waiting")
                self._news.set()
        finally:
            self._receiving.discard(name)
        return note

    async def forget(self, name: str) -> None:
        """Stop an import and forget it; rows that are stored stay."""
        self.get(name)
        self._reserve(name)
        try:
            note = self._notes.pop(name)
            if note is self._current and self._work is not None:
                self._work.cancel()
                await asyncio.wait([self._work])
            await asyncio.to_thread(self._remove, note)
        finally:
            self._receiving.discard(name)

    def _reserve(self, name: str) -> None:
        if name in self._receiving:
            raise InputError("this file is being received by another request", key="id", status=409)
        self._receiving.add(name)

    async def _begun(self, name: str, stream: str, form: str, at: int) -> Note:
        if not _ID.fullmatch(name):
            raise InputError("an import's name is up to 64 of A-Z, a-z, 0-9, _ and -", key="id")
        if stream.lower() not in STREAMS:
            check_table_name(stream)
        if form not in FORMS:
            raise InputError(f"format {form[:32]!r}: expected one of {', '.join(FORMS)}", key="format")
        note = self._notes.get(name)
        if note is None:
            note = Note(id=name, stream=stream, form=form, begun_us=wall_ns() // 1_000)  # type: ignore[arg-type]
        if (note.stream, note.form) != (stream, form):
            raise InputError(f"this import is of {note.form} into {note.stream}", key="id", status=409)
        if note.state != "receiving":
            raise InputError(f"this import is {note.state}", key="id", status=409, state=note.state)
        if note.bytes != at:
            text = f"at: the file has {note.bytes} bytes so far, not {at}"
            raise InputError(text, key="at", status=409, bytes=note.bytes)
        if name not in self._notes:
            await self._make_place()
            self._notes[name] = note
            try:
                await self._keep(note)
            except BaseException:
                del self._notes[name]
                raise
        return note

    async def _make_place(self) -> None:
        over = [note for note in reversed(self.all()) if note.state in ("done", "failed")]
        while len(self._notes) >= IMPORTS_COUNT:
            if not over:
                raise LimitError(f"{IMPORTS_COUNT} imports are under way", retry_after_s=60)
            oldest = over.pop(0)
            del self._notes[oldest.id]
            await asyncio.to_thread(self._remove, oldest)

    async def _append(self, note: Note, pieces: AsyncIterator[bytes]) -> None:
        looked = 0
        # Unbuffered: what a full disk or a cut connection leaves of the file is what counts as received.
        with self._spool(note).open("ab", buffering=0) as file:
            try:
                async for piece in pieces:
                    if note.bytes + len(piece) > self._file_bytes:
                        text = f"larger than store.import_bytes ({self._file_bytes}); send it in parts"
                        raise InputError(text, status=413)
                    if note.bytes >= looked:
                        self._door.check_room()
                        looked = note.bytes + LOOK_BYTES
                    await _on_disk(partial(_write, file, piece))
                    note.bytes += len(piece)
                await _on_disk(partial(os.fsync, file.fileno()))
            finally:
                note.bytes = os.fstat(file.fileno()).st_size

    # Importing

    async def _keep_importing(self) -> None:
        while True:
            self._news.clear()
            waiting = [note for note in reversed(self.all()) if note.state == "waiting"]
            if not waiting:
                await self._news.wait()
                continue
            self._current = waiting[0]
            self._work = asyncio.create_task(self._import(self._current))
            try:
                await asyncio.wait([self._work])
            finally:
                self._work.cancel()
            if not self._work.cancelled():
                self._work.result()

    async def _import(self, note: Note) -> None:
        """Import a file to its end, whatever has to be waited for; the upload is kept until then."""
        outcome: str | None = None
        while True:
            try:
                if outcome is None:
                    await self._keep(note, "importing")
                    outcome = await self._outcome(note)
                note.error = outcome
                await self._keep(note, "failed" if outcome else "done")
                await asyncio.to_thread(self._spool(note).unlink, True)
                _log.info("import_ended", id=note.id, stream=note.stream, rows=note.rows, error=outcome)
                return
            except (StorageError, UnavailableError, LimitError, OSError) as error:
                note.error = str(error)  # a full disk, or the like: it is tried again
                await asyncio.sleep(RETRY_S)

    async def _outcome(self, note: Note) -> str:
        """Return what ended an import, empty when all is stored; raises what passes."""
        if not await asyncio.to_thread(self._spool(note).exists):
            return "the upload is gone"
        try:
            if note.stream.lower() in STREAMS and note.stream.lower() != BAR_1M:
                return await self._market(note)
            await self._filling.fill(note, self._spool(note), partial(self._keep, note, durably=False))
        except LimitError as error:
            if error.status != 413:
                raise
            return str(error)
        except (InputError, pa.ArrowException) as error:
            return str(error)
        except (StorageError, UnavailableError, OSError):
            raise
        except Exception as error:
            _log.exception("import_failed", id=note.id)
            return f"{type(error).__name__}: {error}"
        return ""

    async def _market(self, note: Note) -> str:
        def told(report: ImportReport) -> None:
            note.rows, note.new_rows = report.read_rows, report.new_rows
            note.bad_rows = report.bad_rows + report.refused_rows
            note.error = ""

        file = await asyncio.to_thread(self._recorded, self._spool(note))
        return (await import_file(self._door, file, self._instruments, self._calendar, told)).error

    # Files

    async def _keep(self, note: Note, state: State | None = None, *, durably: bool = True) -> None:
        """Store how far an import is; it is in `state` once that is on the disk. StorageError 507 if not."""
        kept = note if state is None else msgspec.structs.replace(note, state=state)
        write = write_durably if durably else _replace
        await _on_disk(partial(write, self._directory / f"{note.id}.json", msgspec.json.encode(kept)))
        note.state = kept.state

    def _spool(self, note: Note) -> Path:
        return self._directory / f"{note.id}.{note.form}"

    def _remove(self, note: Note) -> None:
        self._spool(note).unlink(missing_ok=True)
        (self._directory / f"{note.id}.json").unlink(missing_ok=True)


def _part(batch: Batch, start: int, stop: int) -> Batch:
    if isinstance(batch, pa.Table):
        return batch.slice(start, stop - start)
    return batch.part(start, stop) if isinstance(batch, Cells) else batch[start:stop]


async def _on_disk(work: Callable[[], Any]) -> None:
    """Run what writes in a thread; StorageError 507 when it cannot. Cancellation waits for it to end."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(future)
    except OSError as error:
        raise StorageError(f"the file cannot be kept: {error.strerror}", status=507) from None
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise


def _write(file: io.FileIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _replace(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.tmp")
    aside.write_bytes(content)
    aside.rename(path)
