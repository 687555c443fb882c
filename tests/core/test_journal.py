"""The journal through its Python face; its threads and failing disks are tested in journal_test.cpp."""

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from qautlra._core.journal import Journal, JournalError, read, verify


def test_records_come_back_numbered_in_order(tmp_path: Path) -> None:
    with Journal(tmp_path / "log") as journal:
        assert [journal.append(i, b"x" * i) for i in range(200)] == list(range(1, 201))
        assert journal.head_lsn == 200
        assert journal.sync()
        assert journal.durable_lsn == journal.written_lsn == 200
        assert journal.error == ""
    assert [(lsn, kind, len(payload)) for lsn, kind, payload in read(tmp_path / "log")] == [
        (i + 1, i, i) for i in range(200)
    ]
    assert next(iter(read(tmp_path / "log", 150)))[0] == 150
    assert list(read(tmp_path / "log", 201)) == []


def test_any_buffer_is_a_payload(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for payload in (b"abc", bytearray(b"abc"), memoryview(b"abc")):
            journal.append(1, payload)
        with pytest.raises(TypeError):
            journal.append(1, "abc")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="kind"):
            journal.append(256, b"")
        with pytest.raises(ValueError, match="at most"):
            journal.append(1, bytes(journal.max_record_bytes + 1))
    assert {payload for _, _, payload in read(tmp_path)} == {b"abc"}


def test_segments_seal_by_size_and_by_roll_and_are_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=4096)
    for _ in range(10):
        journal.append(1, bytes(1000))
    assert journal.next_segment == journal.roll() == 11
    assert journal.sync()
    sealed = [s for s in journal.segments() if s.sealed]
    assert [(s.first_lsn, s.last_lsn) for s in sealed] == [(1, 5), (6, 10)]
    assert all(os.path.getsize(s.path) == s.bytes for s in journal.segments())
    assert journal.drop_through(9) == 1
    assert journal.drop_through(10) == 1
    assert not os.path.exists(sealed[0].path)
    assert journal.append(1, b"next") == 11
    journal.close()
    assert Journal(tmp_path).head_lsn == 11


@pytest.mark.parametrize("durability", ["memory", "process", "power"])
def test_durable_lsn_follows(tmp_path: Path, durability: str) -> None:
    with Journal(tmp_path, durability=durability) as journal:
        lsn = journal.append(1, b"money")
        assert journal.wait_durable(lsn)
        assert journal.durable_lsn == lsn
        assert journal.stats["syncs"] == (1 if durability == "power" else 0)


def test_bad_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="durability"):
        Journal(tmp_path, durability="sometimes")
    with pytest.raises(JournalError, match="segment_bytes"):
        Journal(tmp_path, segment_bytes=10)
    with pytest.raises(JournalError, match="No such file"):
        Journal(tmp_path / "none", create=False)
    with pytest.raises(JournalError, match="No such file"):
        read(tmp_path / "none")


def test_files_belong_to_their_owner_alone(tmp_path: Path) -> None:
    Journal(tmp_path / "a" / "log").close()
    assert stat.S_IMODE((tmp_path / "a" / "log").stat().st_mode) == 0o700
    for file in (tmp_path / "a" / "log").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    program = f"from qautlra._core.journal import Journal; Journal({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"in use by process {os.getpid()}" in done.stderr
    journal.close()
    subprocess.run([sys.executable, "-c", program], check=True)


def test_kill_9_keeps_what_the_kernel_was_given(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import os, signal
        from qautlra._core.journal import Journal
        journal = Journal({str(tmp_path)!r})
        for i in range(5000):
            journal.append(1, b"%d" % (i + 1))
        journal.wait_durable(4000)
        print(journal.durable_lsn, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    durable = int(done.stdout)
    assert durable >= 4000
    with Journal(tmp_path) as journal:
        assert journal.head_lsn >= durable
        assert journal.append(1, b"%d" % (journal.head_lsn + 1)) == journal.head_lsn
    records = list(read(tmp_path))
    assert [payload for _, _, payload in records] == [b"%d" % lsn for lsn, _, _ in records]


def test_verify_reports_damage_in_the_middle_and_read_stops_there(tmp_path: Path) -> None:
    with Journal(tmp_path, segment_bytes=4096) as journal:
        for i in range(100):
            journal.append(1, b"%0200d" % i)
        journal.sync()
        second = journal.segments()[1]
    assert verify(tmp_path).damage == []
    data = bytearray(Path(second.path).read_bytes())
    data[1000] ^= 4
    Path(second.path).write_bytes(data)
    (damage,) = verify(tmp_path).damage
    assert damage.path == second.path
    assert not damage.torn_tail
    got = []
    with pytest.raises(JournalError, match="checksum") as caught:
        for record in read(tmp_path):
            got.append(record)
    assert len(got) == damage.lsn - 1
    assert caught.value.path == second.path
    assert caught.value.lsn == damage.lsn
    assert caught.value.offset == damage.offset <= 1000


def test_a_newer_format_is_refused_not_cut(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(1, b"x")
        path = Path(journal.segments()[0].path)
    header = bytearray(path.read_bytes())
    header[8] = 2
    header[36:40] = crc32c(bytes(header[:36])).to_bytes(4, "little")
    path.write_bytes(header)
    with pytest.raises(JournalError, match="another version"):
        Journal(tmp_path)
    assert path.read_bytes() == bytes(header)


def test_disk_full_pauses_and_resumes(small_disk: Path) -> None:
    filler = small_disk / "filler"
    with Journal(small_disk / "log", buffer_bytes=65536) as journal:
        filler.write_bytes(bytes(900_000))
        last = 0
        while lsn := journal.append(1, b"%0500d" % (last + 1)) or not journal.error:
            last = max(last, lsn)
        assert not journal.sync(0.3)
        assert "No space left" in journal.error
        assert not journal.failed
        # The buffer may have room again (the disk took a last piece), but never without end.
        for _ in range(65536 // 500 + 1):
            lsn = journal.append(1, b"%0500d" % (last + 1))
            if not lsn:
                break
            last = lsn
        else:
            pytest.fail("a full buffer took more")
        filler.unlink()
        assert journal.sync(5.0)
        assert journal.error == ""
        assert journal.append(1, b"%0500d" % (last + 1)) == last + 1
    records = list(read(small_disk / "log"))
    assert [int(payload) for _, _, payload in records] == list(range(1, last + 2))


@pytest.fixture
def small_disk(tmp_path: Path):  # type: ignore[no-untyped-def]
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a tmpfs needs privileges")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=False)


def crc32c(data: bytes) -> int:
    """Bit by bit, so that nothing is shared with the implementation."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
