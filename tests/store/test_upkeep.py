"""Checking and copying a data directory: what is whole passes, damage is named, copies answer."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qautlra.base.errors import InputError, StorageError
from qautlra.store import upkeep
from qautlra.store.catalogue import MANIFEST, State
from qautlra.store.upkeep import copy_store, verify
from tests.store.world import CALENDAR, OPENING, S, World, run, tick, world

AU, IF = "SHFE.au2102", "CFFEX.IF2101"


async def filled(w: World) -> None:
    w.publish(tick(symbol, OPENING + n * 10 * S, volume=n + 1) for symbol in (AU, IF) for n in range(60))
    await w.store.compact()
    await w.store.ingest.ingest("app", [{"n": 1}], {}, create=True)
    assert w.store._open is not None
    await w.store._open.tables.file_away()
    await w.store.ingest.ingest("app", [{"n": 2}], {}, create=True)
    w.publish(tick(AU, OPENING + n * 10 * S, volume=n + 1) for n in range(60, 70))
    await w.store.flush()


def test_a_whole_store_passes_and_gaps_are_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            await filled(w)
            verdict = verify(tmp_path, CALENDAR)
            assert verdict.errors == [] and verdict.files == 2 and verdict.rows == 121
            assert verdict.log_records > 10
            # from 09:40 on nothing is in files: that is a gap for both
            assert {gap.instrument_id for gap in verdict.gaps} == {AU, IF}
            assert min(gap.longest_s for gap in verdict.gaps) > 3_600

    run(story())


def test_damage_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            await filled(w)

    run(story())
    (path, *_) = sorted(tmp_path.glob("stream=*/date=*/*.parquet"))
    whole = path.read_bytes()
    for at in range(4, len(whole), max(len(whole) // 40, 1)):
        torn = bytearray(whole)
        torn[at] ^= 0xFF
        path.write_bytes(torn)
        errors = verify(tmp_path, CALENDAR).errors
        assert errors and str(path) in errors[0], at
    path.write_bytes(whole[:-10])
    assert str(path) in verify(tmp_path, CALENDAR).errors[0]
    path.write_bytes(whole)
    assert verify(tmp_path, CALENDAR).errors == []
    state = msgspec.json.decode((tmp_path / MANIFEST).read_bytes(), type=State)
    twice = msgspec.structs.replace(state, files=(*state.files, state.files[0]))
    (tmp_path / MANIFEST).write_bytes(msgspec.json.encode(twice))
    assert "120 rows are there twice" in verify(tmp_path, CALENDAR).errors[0]
    (tmp_path / MANIFEST).write_bytes(b"{")
    assert MANIFEST in verify(tmp_path, CALENDAR).errors[0]
    (tmp_path / MANIFEST).write_bytes(msgspec.json.encode(state))
    path.unlink()
    assert str(path) in verify(tmp_path, CALENDAR).errors[0]
    with pytest.raises(InputError, match="no store"):
        verify(tmp_path / "nowhere", CALENDAR)


def test_what_a_store_needs_beside_rows_is_checked_too(tmp_path: Path) -> None:
    """Rows of a stream without a definition, or of a log whose beginning is gone, are lost to questions."""

    async def story() -> None:
        async with world(tmp_path) as w:
            await filled(w)

    run(story())
    assert verify(tmp_path, CALENDAR).errors == []
    definition = tmp_path / "tables" / "streams" / "app.json"
    whole = definition.read_bytes()
    definition.write_bytes(whole[:-1])
    (error,) = verify(tmp_path, CALENDAR).errors
    assert str(definition) in error
    definition.unlink()
    (error,) = verify(tmp_path, CALENDAR).errors
    assert "no definition of app" in error
    definition.write_bytes(whole)
    for place in (tmp_path, tmp_path / "tables"):
        (segment,) = (place / "log").glob("*.qlog")
        away = segment.rename(tmp_path / "away")
        (error,) = verify(tmp_path, CALENDAR).errors
        assert error == f"{place / 'log'}: the segment of record {int(segment.stem)} is missing"
        away.rename(segment)
    assert verify(tmp_path, CALENDAR).errors == []


def test_a_copy_made_while_rows_come_answers_as_of_a_moment(tmp_path: Path) -> None:
    source = tmp_path / "source"

    async def story() -> None:
        async with world(source) as w:
            await filled(w)
            loop = asyncio.get_running_loop()
            for round_number in range(4):
                target = tmp_path / f"copy-{round_number}"
                copying = loop.run_in_executor(None, copy_store, source, target)
                first = 100 + 40 * round_number
                while not copying.done():
                    w.publish(tick(IF, OPENING + (first + n) * S, volume=n + 1000) for n in range(10))
                    await w.store.compact()
                    await asyncio.sleep(0)
                await copying
            rows = len(await w.query())
        for round_number in range(4):
            target = tmp_path / f"copy-{round_number}"
            assert verify(target, CALENDAR).errors == []
            async with world(target) as w:
                found = await w.query()
                keys = {(row["instrument_id"], row["datetime"], row["seq"]) for row in found}
                assert 130 <= len(found) == len(keys) <= rows
                app = await w.query("app", start_time="1d", end_time="2200-01-01")
                assert [row["n"] for row in app] == [1, 2]
        with pytest.raises(InputError, match="not empty"):
            copy_store(source, tmp_path / "copy-0")
        (tmp_path / "link").symlink_to(source)
        for inside in (source / "copy", source / "stream=x", tmp_path / "link" / "log" / "copy"):
            with pytest.raises(InputError, match="lies inside"):
                copy_store(source, inside)
            assert not inside.exists()

    run(story())


def test_a_copy_that_was_cut_short_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it has is whole and passes every check, but it is not all there was."""
    source, target = tmp_path / "source", tmp_path / "half"
    copied = upkeep._copy_place

    async def fill() -> None:
        async with world(source) as w:
            await filled(w)

    run(fill())

    def cut(place: Path, into: Path, told: Any) -> int:
        if place.name == "tables":
            raise KeyboardInterrupt
        return copied(place, into, told)

    monkeypatch.setattr(upkeep, "_copy_place", cut)
    with pytest.raises(KeyboardInterrupt):
        copy_store(source, target)
    monkeypatch.undo()
    assert "was cut short" in verify(target, CALENDAR).errors[0]
    for what in (lambda: copy_store(target, tmp_path / "again"), lambda: copy_store(source, target)):
        with pytest.raises(StorageError, match="was cut short"):
            what()

    async def serve() -> None:
        async with world(target):
            raise AssertionError("half a store is served")

    with pytest.raises(StorageError, match="was cut short"):
        run(serve())
    copy_store(source, tmp_path / "whole")
    assert verify(tmp_path / "whole", CALENDAR).errors == []


def test_the_commands(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def story() -> None:
        async with world(data) as w:
            await filled(w)
            w.publish([tick(AU, OPENING + 300 * 86_400 * S)])
            await w.store.compact()

    run(story())

    def command(*arguments: str) -> tuple[int, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "qautlra", "data", *arguments, "--json"],
            capture_output=True, text=True, timeout=60, cwd=tmp_path,
        )  # fmt: skip
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else done.stderr

    code, verdict = command("verify", "--data-dir", str(data), "--gap", "600")
    assert code == 0 and verdict["errors"] == [] and verdict["rows"] == 132
    assert command("backup", str(tmp_path / "kept"), "--data-dir", str(data))[0] == 0
    code, done = command("retention", "--days", "5", "--data-dir", str(data))
    assert (code, done) == (0, {"files": 2})
    again = tmp_path / "again"
    assert command("restore", str(tmp_path / "kept"), "--data-dir", str(again))[0] == 0
    assert command("verify", "--data-dir", str(again))[1]["rows"] == 132
    (path, *_) = sorted((tmp_path / "kept").glob("stream=*/date=*/*.parquet"))
    path.write_bytes(path.read_bytes()[:-1])
    code, text = command("restore", str(tmp_path / "kept"), "--data-dir", str(tmp_path / "third"))
    assert code != 0 and "damaged" in str(text)
    assert command("verify", "--data-dir", str(tmp_path / "kept"))[0] == 1
