"""Torn and flipped bytes: every truncation and thousands of flips are found, the clean prefix comes back."""

import json
import random
from pathlib import Path

import pytest

from qautlra._core.journal import Journal, JournalError, Verdict, read, verify

SMALL = 64 << 10  # journal buffer: these logs are tiny and there are thousands


@pytest.fixture
def log(tmp_path: Path) -> tuple[Path, bytes, list[tuple[int, int, bytes]]]:
    """A log of one segment with 80 records of uneven size: its file, its bytes, its records."""
    random_ = random.Random(5)
    with Journal(tmp_path / "log", buffer_bytes=SMALL) as journal:
        for _ in range(80):
            journal.append(random_.randrange(4), random_.randbytes(random_.choice([0, 1, 7, 40, 90])))
        path = Path(journal.segments()[0].path)
    return path, path.read_bytes(), list(read(path.parent))


def boundaries(records: list[tuple[int, int, bytes]]) -> list[int]:
    """Offset of the end of each record, the header's first."""
    ends = [40]
    for _, _, payload in records:
        ends.append(ends[-1] + 9 + len(payload))
    return ends


def clean(directory: Path) -> list[tuple[int, int, bytes]]:
    """What read() gives until it ends or raises."""
    got = []
    try:
        for record in read(directory):
            got.append(record)
    except JournalError:
        pass
    return got


def assert_damaged(verdict: Verdict, offset: int) -> None:
    (damage,) = verdict.damage
    assert damage.offset <= offset < damage.offset + max(damage.bytes, 1)


def test_every_truncation(log: tuple[Path, bytes, list[tuple[int, int, bytes]]]) -> None:
    path, data, records = log
    ends = boundaries(records)
    assert ends[-1] == len(data)
    for size in range(len(data)):
        for aside in path.parent.glob("*.torn"):
            aside.unlink()
        path.write_bytes(data[:size])
        whole = sum(end <= size for end in ends) - 1
        assert clean(path.parent) == records[: max(whole, 0)], size
        verdict = verify(path.parent)
        assert len(verdict.damage) == (size not in ends), size
        assert all(damage.torn_tail for damage in verdict.damage)
        if size % 5 == 0 or size in ends:  # opening syncs the disk: a fifth of the lengths will do
            with Journal(path.parent, buffer_bytes=SMALL) as journal:
                assert journal.head_lsn == max(whole, 0)
                assert [cut.bytes for cut in journal.cuts] == (
                    [] if size in ends else [size - ends[max(whole, 0)]] if whole >= 0 else [size]
                )
                for cut in journal.cuts:
                    assert Path(cut.kept).read_bytes() == data[cut.offset : size]
                    assert not cut.records_after
                assert journal.append(9, b"goes on") == max(whole, 0) + 1
            assert clean(path.parent) == [*records[: max(whole, 0)], (max(whole, 0) + 1, 9, b"goes on")]
            assert verify(path.parent).damage == []


@pytest.mark.parametrize("seed", [1, 2])
def test_random_flips(log: tuple[Path, bytes, list[tuple[int, int, bytes]]], seed: int) -> None:
    path, data, records = log
    ends = boundaries(records)
    random_ = random.Random(seed)
    for n in range(5000):
        damaged = bytearray(data)
        at = random_.randrange(len(data))
        damaged[at] ^= 1 << random_.randrange(8)
        path.write_bytes(damaged)
        whole = max(sum(end <= at for end in ends) - 1, 0)  # records before the one that was hit
        verdict = verify(path.parent)
        assert verdict.records == whole, (seed, n, at)
        assert_damaged(verdict, at)
        assert clean(path.parent) == records[:whole], (seed, n, at)
        if n % 25 == 0:
            with Journal(path.parent, buffer_bytes=SMALL) as journal:
                assert journal.head_lsn == whole
                assert len(journal.cuts) == 1
                kept = Path(journal.cuts[0].kept)
                assert kept.read_bytes() == damaged[journal.cuts[0].offset :]
            kept.unlink()


def test_garbage_of_any_kind(log: tuple[Path, bytes, list[tuple[int, int, bytes]]]) -> None:
    """Pieces moved, doubled, zeroed or invented: only a true prefix ever comes back."""
    path, data, records = log
    random_ = random.Random(3)
    for n in range(2000):
        damaged = bytearray(data)
        for _ in range(random_.randint(1, 3)):
            a, b, c = (random_.randrange(40, len(data)) for _ in range(3))
            size = random_.randrange(1, 200)
            what = random_.randrange(5)
            if what == 0:
                damaged[a : a + size] = bytes(size)
            elif what == 1:
                damaged[a : a + size] = damaged[b : b + size]
            elif what == 2:
                del damaged[a : a + size]
            elif what == 3:
                damaged[a:a] = damaged[b : b + size]
            else:
                damaged[c : c + 4] = random_.randbytes(4)
        path.write_bytes(damaged)
        got = clean(path.parent)
        assert got == records[: len(got)], n
        assert verify(path.parent).records == len(got)
        if damaged != data:
            first = next(
                (i for i, (x, y) in enumerate(zip(damaged, data, strict=False)) if x != y),
                min(len(damaged), len(data)),
            )
            assert boundaries(records)[len(got)] <= first or first == len(data)


def test_flips_across_segments_name_the_file(tmp_path: Path) -> None:
    with Journal(tmp_path, segment_bytes=4096, buffer_bytes=SMALL) as journal:
        for i in range(300):
            journal.append(1, json.dumps({"n": i, "text": "y" * (i % 50)}).encode())
        journal.sync()
        segments = journal.segments()
    assert len(segments) >= 4
    records = list(read(tmp_path))
    random_ = random.Random(9)
    for _ in range(500):
        segment = random_.choice(segments[:-1])
        path = Path(segment.path)
        data = path.read_bytes()
        damaged = bytearray(data)
        damaged[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
        path.write_bytes(damaged)
        got = []
        with pytest.raises(JournalError) as caught:
            for record in read(tmp_path):
                got.append(record)
        assert caught.value.path == segment.path
        assert segment.first_lsn - 1 <= len(got) < segment.last_lsn
        assert got == records[: len(got)]
        path.write_bytes(data)
    assert list(read(tmp_path)) == records
