"""Uploaded files: what is received is what the file says, a full disk is waited for, no row is skipped."""

import asyncio
import errno
import gzip
import io
import json
import os
import resource
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from qautlra.base.errors import InputError, StorageError
from qautlra.model.query import QueryFormat, QueryRequest
from qautlra.source.files import TickFile
from qautlra.store import bulk, filerows, importer
from qautlra.store.bulk import Imports, Note
from tests.store.world import World, run, world


@asynccontextmanager
async def imports(w: World, path: Path) -> AsyncIterator[Imports]:
    service = Imports(
        w.store.ingest,
        w.store.query,
        path / "imports",
        TickFile,
        w.instruments,
        w.instruments.calendar,
        1 << 20,
    )
    await service.start()
    try:
        yield service
    finally:
        await service.stop(5.0)


async def given(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def send(service: Imports, name: str, text: str, form: str = "csv", stream: str = "app") -> Note:
    await service.receive(name, stream, form, 0, given(text.encode()))
    return await over(service, name)


async def over(service: Imports, name: str) -> Note:
    await until(lambda: service.get(name).state in ("done", "failed"))
    return service.get(name)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def numbers(w: World, stream: str = "app") -> list[float]:
    request = QueryRequest(stream=stream, start_time="1h", end_time="2200-01-01", format=QueryFormat.ARRAY)
    result = await w.store.query.run(request)
    assert isinstance(result.chunks, bytes)
    return sorted(row["n"] for row in json.loads(result.chunks))


def csv(first: int, count: int) -> str:
    return "n\n" + "".join(f"{n}\n" for n in range(first, first + count))


def test_another_file_under_an_old_name_loses_no_row(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w, imports(w, tmp_path) as service:
            assert (await send(service, "day", csv(0, 100))).new_rows == 100
            with pytest.raises(InputError, match="this import is done") as refused:
                await send(service, "day", csv(500, 10))
            assert refused.value.status == 409
            await service.forget("day")
            note = await send(service, "day", csv(100, 120))
            assert (note.state, note.rows, note.new_rows) == ("done", 120, 120)
            assert await numbers(w) == list(range(220))
            # the same content under the same name is there already
            await service.forget("day")
            assert (await send(service, "day", csv(100, 120))).new_rows == 0
            assert await numbers(w) == list(range(220))

    run(story())


def test_what_a_column_of_a_text_file_is_depends_on_all_its_lines(tmp_path: Path) -> None:
    """A code in the last line makes texts of all of them, a number elsewhere goes beside, nothing is lost."""
    lines = [f"{600_000 + n},{n}.5,true,{n}" for n in range(10_000)] + ["000001,x,no,1"]

    async def story() -> None:
        async with world(tmp_path) as w, imports(w, tmp_path) as service:
            note = await send(service, "day", "code,price,flag,n\n" + "\n".join(lines) + "\n")
            assert (note.state, note.new_rows, note.total_rows) == ("done", 10_001, 10_001)
            kinds = {column["name"]: column["data_type"] for column in w.store.ingest.schema("app")}
            assert note.new_columns == ["code", "price", "flag", "n", "price_utf8"]
            assert (await send(service, "more", "n,x\n5,y\n")).new_columns == ["x"]
            assert kinds["code"] == kinds["flag"] == "Utf8" and kinds["price"] == "Float64"
            request = QueryRequest(stream="app", start_time="1h", end_time="2200-01-01", filter="n <= 1")
            result = await w.store.query.run(request)
            assert isinstance(result.chunks, bytes)
            found = {row["code"]: (row["price"], row["price_utf8"]) for row in json.loads(result.chunks)}
            assert found == {"600000": (0.5, None), "600001": (1.5, None), "000001": (None, "x")}

    run(story())


@pytest.mark.parametrize("kept_bytes", [0, 10_000])
def test_what_the_disk_did_not_take_is_not_received(tmp_path: Path, kept_bytes: int) -> None:
    """A write that is cut short leaves a part: the file's size is what is gone on from."""
    body = csv(0, 4_000).encode()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def story() -> None:
        async with world(tmp_path) as w, imports(w, tmp_path) as service:
            await service.receive("x", "app", "csv", 0, given(body[:kept_bytes]), more=True)
            spool = service._directory / "x.csv"

            async def pieces() -> AsyncIterator[bytes]:
                resource.setrlimit(resource.RLIMIT_FSIZE, (kept_bytes + 777, before[1]))
                yield body[kept_bytes : kept_bytes + 500]
                yield body[kept_bytes + 500 : kept_bytes + 1_500]

            try:
                with pytest.raises(StorageError) as refused:
                    await service.receive("x", "app", "csv", kept_bytes, pieces(), more=True)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            assert refused.value.status == 507
            at = service.get("x").bytes
            assert at == spool.stat().st_size == kept_bytes + 777
            await service.receive("x", "app", "csv", at, given(body[at:]))
            assert (await over(service, "x")).new_rows == 4_000
            assert await numbers(w) == list(range(4_000))

    run(story())


def test_a_request_cut_off_waits_for_what_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing, go_on = threading.Event(), threading.Event()
    write = bulk._write

    def slow(file: Any, piece: bytes) -> None:
        writing.set()
        assert go_on.wait(60)
        write(file, piece)

    async def story() -> None:
        async with world(tmp_path) as w, imports(w, tmp_path) as service:
            monkeypatch.setattr(bulk, "_write", slow)
            task = asyncio.ensure_future(
                service.receive("x", "app", "csv", 0, given(csv(0, 10).encode()), more=True)
            )
            assert await asyncio.to_thread(writing.wait, 60)
            task.cancel()
            await asyncio.sleep(0)
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert service.get("x").bytes == len(csv(0, 10))

    run(story())


@pytest.mark.parametrize("where", ["note", "definition", "guard"])
def test_an_import_waits_for_room_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(bulk, "RETRY_S", 0.02)
    failures = 0

    async def story() -> None:
        async with world(tmp_path) as w, imports(w, tmp_path) as service:
            assert w.store._open is not None
            await service.receive("x", "app", "csv", 0, given(csv(0, 9_000).encode()), more=True)

            def full(*_: Any) -> None:
                nonlocal failures
                failures += 1
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            with monkeypatch.context() as patch:
                if where == "note":
                    patch.setattr(bulk, "_replace", full)
                elif where == "definition":
                    patch.setattr(w.store._open.tables.book, "put", full)
                else:
                    patch.setattr(w.store.disk, "_max_percent", 0.001)
                await service.receive("x", "app", "csv", len(csv(0, 9_000)), given())
                await until(lambda: where == "guard" or failures > 2)
                await until(lambda: "full" in service.get("x").error or "left" in service.get("x").error)
                assert service.get("x").state == "importing", service.get("x")
                assert (tmp_path / "imports" / "x.csv").exists(), "the upload is kept"
            note = await over(service, "x")
            assert (note.state, note.rows, note.error) == ("done", 9_000, "")
            assert await numbers(w) == list(range(9_000))
            assert not (tmp_path / "imports" / "x.csv").exists()

    run(story())


def test_an_end_that_cannot_be_noted_is_noted_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "RETRY_S", 0.02)
    write = bulk.write_durably
    is_full = True
    failures = 0

    def sometimes(path: Path, content: bytes) -> None:
        nonlocal failures
        if is_full and b'"state":"failed"' in content:
            failures += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    monkeypatch.setattr(bulk, "write_durably", sometimes)

    async def story() -> None:
        nonlocal is_full
        async with world(tmp_path) as w, imports(w, tmp_path) as service:
            await service.receive("x", "app", "ndjson", 0, given(b'{"n": 1}\n{torn\n'))
            await until(lambda: failures > 2)
            assert service.get("x").state == "importing"
            is_full = False
            note = await over(service, "x")
            assert note.state == "failed" and "line 2" in note.error
            assert (await send(service, "y", csv(2, 1))).state == "done", "the next one is imported"
            assert await numbers(w) == [1, 2]

    run(story())


def test_one_that_is_stopped_while_it_waits_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with world(tmp_path) as w, imports(w, tmp_path) as service:
            with monkeypatch.context() as patch:
                await service.receive("x", "app", "csv", 0, given(csv(0, 10).encode()), more=True)
                patch.setattr(w.store.disk, "_max_percent", 0.001)
                await service.receive("x", "app", "csv", len(csv(0, 10)), given())
                await until(lambda: "full" in service.get("x").error)
                await service.forget("x")
            assert not list((tmp_path / "imports").iterdir())
            assert (await send(service, "x", csv(5, 2))).new_rows == 2
            assert await numbers(w) == [5, 6]

    run(story())


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("ndjson", b'\xef\xbb\xbf{"n": 1}\r\n{"n": 2}\r\n{torn\n'),
        ("ndjson", b'{"n": 1}\n\n{"n": 2}\n\xff\n'),
        ("csv", b"n\n1\n2\n3,4\n"),
    ],
)  # fmt: skip
def test_rows_before_what_cannot_be_read_are_stored(tmp_path: Path, form: str, text: bytes) -> None:
    async def story() -> None:
        async with world(tmp_path) as w, imports(w, tmp_path) as service:
            await service.receive("x", "app", form, 0, given(text))
            note = await over(service, "x")
            assert note.state == "failed" and "line" in note.error, note
            assert await numbers(w) == [1, 2]

    run(story())


def test_what_is_packed_a_thousandfold_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filerows, "LINE_CHARS", 1_000)
    monkeypatch.setattr(importer, "UNPACKED_BYTES", 10_000)
    table = pa.table({"n": [3.0] * 2_000})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    stream, file = io.BytesIO(), io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema, options=options) as writer:
        writer.write_table(pa.table({"n": [1.0, 2.0]}))
        writer.write_table(table)
    with pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table)
    files = {
        "csv": b"n\n1\n2\n" + b"3" * 2_000 + b"\n4\n",
        "csv.gz": gzip.compress(b"n\n1\n2\n" + b"3" * 1_000_000),
        "ndjson": b'{"n": 1}\n{"n": 2}\n{"n": 3' + b" " * 2_000 + b"}\n",
    }

    async def story() -> None:
        async with world(tmp_path) as w, imports(w, tmp_path) as service:
            for form, text in files.items():
                name = form.replace(".", "_")
                await service.receive(name, name, form, 0, given(text))
                note = await over(service, name)
                assert note.state == "failed" and "longer than 1000 characters" in note.error, note
                assert await numbers(w, name) == [1, 2]
                await service.forget(name)
            for body in (stream.getvalue(), file.getvalue()):
                await service.receive("x", "app", "arrow", 0, given(body))
                note = await over(service, "x")
                assert note.state == "failed" and "a batch holds more than" in note.error, note
                await service.forget("x")

    run(story())
