"""The log read from outside while it is written: records cut short, segments that go, copies."""

from pathlib import Path

import pytest

from qautlra._core.journal import JournalError
from qautlra._core.store import SegmentTail
from qautlra.store.catalogue import State
from qautlra.store.tail import LogTail, MovedError
from tests.store.world import OPENING, S, run, tick, world

AU = "SHFE.au2102"


def segment_of(tmp_path: Path, rows: int) -> bytes:
    async def story() -> None:
        async with world(tmp_path / "store") as w:
            w.publish(tick(AU, OPENING + n * S) for n in range(rows))

    run(story())
    (path,) = (tmp_path / "store" / "log").glob("*.qlog")
    return path.read_bytes()


def test_a_segment_is_followed_however_it_grows(tmp_path: Path) -> None:
    whole = segment_of(tmp_path, 40)
    path = tmp_path / f"{1:020d}.qlog"
    path.write_bytes(whole[:20])
    with pytest.raises(JournalError, match="header"):
        SegmentTail(path)
    path.write_bytes(whole[:40])
    tail = SegmentTail(path)
    assert tail.read() is None and tail.last_lsn == tail.first_lsn - 1
    seen = 0
    for size in range(41, len(whole) + 1, 7):  # cuts inside heads, inside payloads, between records
        with path.open("r+b") as file:
            file.seek(0, 2)
            file.write(whole[file.tell() : size])
        batch = tail.read()
        seen += 0 if batch is None else batch.num_rows
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(whole[file.tell() :])
    while (batch := tail.read(3)) is not None:
        assert batch.num_rows <= 3
        seen += batch.num_rows
    assert seen == 40
    assert tail.last_lsn == 41  # one record says what the instrument's number means


def test_damage_ends_what_is_read_and_harms_nothing(tmp_path: Path) -> None:
    whole = bytearray(segment_of(tmp_path, 40))
    whole[len(whole) // 2] ^= 0xFF
    path = tmp_path / f"{1:020d}.qlog"
    path.write_bytes(whole)
    tail = SegmentTail(path)
    batch = tail.read()
    assert 0 < batch.num_rows < 40
    assert tail.read() is None and tail.read() is None


def test_a_gap_says_that_the_manifest_is_old(tmp_path: Path) -> None:
    whole = segment_of(tmp_path, 40)
    log = tmp_path / "other" / "log"
    log.mkdir(parents=True)
    (log / f"{1:020d}.qlog").write_bytes(whole)
    tail = LogTail(tmp_path / "other")
    tail.follow(State())
    assert tail.tables()["futures_market"].num_rows == 40
    (log / f"{1:020d}.qlog").rename(log / f"{99:020d}.qlog")
    with pytest.raises(MovedError):
        LogTail(tmp_path / "other").follow(State(watermark_lsn=41))
    nothing = LogTail(tmp_path / "nowhere")
    nothing.follow(State())
    assert nothing.tables() == {}
