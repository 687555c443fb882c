"""A money journal cut anywhere or with any bit turned over: noticed, and the exchange is as it was before.

The judge is the exchange itself: its state hash after each record, taken when the journal was whole. It is
the same with room behind the records: the zeros a journal of durability `power` prepares. With
QAUTLRA_JOURNAL_BYTES=all every length of the file and 10,000 flips are tried (`make journal-bytes`).
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qautlra._core.exchange import DELIVERED, Exchange
from qautlra._core.journal import Journal, JournalError, read, verify
from tests.core.test_exchange import opened, random_day

EVERYTHING = os.environ.get("QAUTLRA_JOURNAL_BYTES", "") == "all"
HEADER_BYTES = 40
ROOM_BYTES = (0, 700)


def small() -> Exchange:
    return Exchange(orders_max=1_000, live_orders_max=1_000, accounts_max=10, trades_max=10_000)


class Whole:
    """A journal of one segment, where its records end, and what the exchange was after each."""

    def __init__(self, place: Path) -> None:
        with Journal(place) as journal:
            x = opened(journal)
            x.note("条件单".encode())
            random_day(x, random.Random(20210802), 300)
            x.end_day()
            held = len(x.holders(1))
            assert held and x.expire(1, DELIVERED, 5_003, fee=0.0001, now_ns=1)[0] == 0
            assert journal.sync()
            (segment,) = journal.segments()
        self.name = Path(segment.path).name
        self.bytes = Path(segment.path).read_bytes()
        self.ends = [HEADER_BYTES]
        y = small()
        self.hashes = [y.state_hash()]
        for _, kind, payload in read(place):
            assert y.replay(kind, payload) == 0
            self.hashes.append(y.state_hash())
            self.ends.append(self.ends[-1] + 8 + 1 + len(payload))
        assert self.ends[-1] == len(self.bytes)
        assert self.hashes[-1] == x.state_hash()

    def records_in(self, size: int) -> int:
        """How many records lie whole within the first bytes."""
        return sum(end <= size for end in self.ends[1:])

    def is_torn(self, size: int) -> bool:
        """Whether the first bytes end with a part of a record that says anything."""
        return any(self.bytes[max(end for end in (0, *self.ends) if end <= size) : size])

    def recovered(self, place: Path) -> int:
        """Records the exchange comes back with; its state is then the one it had after them."""
        x = small()
        found = x.replay_all(place)
        assert found.records == found.last_lsn
        assert x.state_hash() == self.hashes[found.records]
        return found.records


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(tmp_path_factory.mktemp("whole") / "log")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in memory where there is one: what is judged is bytes, not a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made)


def lay(place: Path, name: str, data: bytes) -> None:
    for path in place.iterdir():
        path.unlink()
    (place / name).write_bytes(data)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("room", ROOM_BYTES)
def test_every_truncation(whole: Whole, place: Path, room: int) -> None:
    sizes = (
        range(len(whole.bytes)) if EVERYTHING else sorted({*range(0, len(whole.bytes), 97), *whole.ends[:-1]})
    )
    for size in sizes:
        lay(place, whole.name, whole.bytes[:size] + bytes(room))
        lost = whole.bytes[size : size + room]
        same = size + len(lost) - len(lost.lstrip(b"\0"))  # a record's own last zeros are as good as room
        expected = whole.records_in(same)
        is_torn = whole.is_torn(same) or same < HEADER_BYTES
        assert bool(verify(place).damage) == is_torn, size
        if size >= HEADER_BYTES:
            assert whole.recovered(place) == expected, size  # before anything is repaired
        with Journal(place, buffer_bytes=1 << 16) as journal:
            assert journal.head_lsn == expected
            assert bool(journal.cuts) == is_torn
        assert whole.recovered(place) == expected, size
    print(f"{len(sizes)} truncations of {len(whole.bytes)} bytes, {len(whole.ends) - 1} records")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("room", ROOM_BYTES)
def test_bit_flips(whole: Whole, place: Path, room: int) -> None:
    seed = int(os.environ.get("QAUTLRA_SEED", random.SystemRandom().getrandbits(32)))
    print(f"QAUTLRA_SEED={seed}")
    rng = random.Random(seed)
    flips = 10_000 if EVERYTHING else 150
    bits = set(range(8 * HEADER_BYTES)) if EVERYTHING else {0, 75, 300}
    while len(bits) < flips:
        bits.add(rng.randrange(8 * (len(whole.bytes) + room)))
    for bit in sorted(bits):
        data = bytearray(whole.bytes + bytes(room))
        data[bit // 8] ^= 1 << bit % 8
        lay(place, whole.name, bytes(data))
        before = whole.records_in(bit // 8)
        assert verify(place).damage, bit
        try:
            unrepaired = small().replay_all(place).records
        except JournalError as error:
            assert error.lsn <= before + 1
        else:
            assert unrepaired == before  # it looks like a write cut short: the last record
        try:
            with Journal(place, buffer_bytes=1 << 16) as journal:
                expected = 0 if bit // 8 < HEADER_BYTES else before
                assert journal.head_lsn == expected
                assert journal.cuts
                kept = Path(journal.cuts[-1].kept)
                assert kept.stat().st_size == journal.cuts[-1].bytes > 0  # nothing is thrown away
        except JournalError as error:
            assert bit // 8 < HEADER_BYTES, error  # another version, another first LSN: not ours to repair
            continue
        assert whole.recovered(place) == expected, bit
    print(f"{len(bits)} flips of {len(whole.bytes)} bytes")
