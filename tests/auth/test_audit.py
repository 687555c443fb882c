"""The audit log: its chain, what breaks it, its bounds, a kill."""

import hmac
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from qautlra.auth import audit
from qautlra.auth.audit import FILE_NAME, Act, AuditLog, Result
from tests.conftest import PRODUCT

KEY = b"k" * 32


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    found = AuditLog(tmp_path, KEY)
    yield found
    found.close()


def fill(log: AuditLog, count: int) -> None:
    for number in range(count):
        log.record(Act.ORDER_SUBMIT, "u", account_id=f"a{number % 3}", address="::1", order_id=str(number))
    log.flush()


def alter(tmp_path: Path, *statements: str) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as database:
        for statement in statements:
            database.execute(statement)


def test_entries_are_read_newest_first(log: AuditLog) -> None:
    fill(log, 10)
    log.record(Act.LOGIN, "v", result=Result.FAILED, address="1.2.3.4")
    newest = log.read(count=2)
    assert [(entry.seq, entry.type, entry.user_id) for entry in newest] == [
        (11, "LOGIN", "v"),
        (10, "ORDER_SUBMIT", "u"),
    ]
    assert newest[1].detail == '{"order_id":"9"}'
    assert [entry.seq for entry in log.read(count=2, before_seq=10)] == [9, 8]
    assert [entry.seq for entry in log.read(account_id="a1", user_id="u")] == [8, 5, 2]
    assert [entry.seq for entry in log.read(result="FAILED")] == [11]
    assert log.read(user_id="u' OR '1'='1") == []
    assert log.find(3) is not None and log.find(99) is None


def test_the_chain_holds_over_a_restart(log: AuditLog, tmp_path: Path) -> None:
    fill(log, 100)
    log.close()
    again = AuditLog(tmp_path, KEY)
    fill(again, 100)
    assert again.verify() == (200, 1, 200, "")
    again.close()
    other_key = AuditLog(tmp_path, b"x" * 32)
    assert other_key.verify().reason
    other_key.close()


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (["UPDATE entries SET user_id = 'w' WHERE seq = 5"], "entry 5 was changed"),
        (["UPDATE entries SET ts_ns = ts_ns + 1 WHERE seq = 10"], "entry 10 was changed"),
        (["UPDATE entries SET hash = zeroblob(32) WHERE seq = 7"], "entry 7 was changed"),
        (["DELETE FROM entries WHERE seq = 5"], "entry 5 is missing"),
        (["DELETE FROM entries WHERE seq <= 3"], "entry 1 is missing"),
        (["DELETE FROM entries WHERE seq >= 8"], "entries after the last one are missing"),
        (["DELETE FROM entries"], "entries after the last one are missing"),
        (["DELETE FROM entries WHERE seq >= 8", "UPDATE ends SET seq = 7"], "an end of the chain is forged"),
        (
            ["INSERT INTO entries SELECT 11, ts_ns, type, result, user_id, account_id, address, detail, hash "
             "FROM entries WHERE seq = 10"],
            "entry 11 was changed",
        ),
    ],
)  # fmt: skip
def test_what_breaks_the_chain(log: AuditLog, tmp_path: Path, statements: list[str], reason: str) -> None:
    fill(log, 10)
    assert log.verify().reason == ""
    alter(tmp_path, *statements)
    assert log.verify().reason == reason


def test_the_oldest_go_and_the_rest_stays_chained(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, KEY, rows_max=100)
    for _ in range(5):
        fill(log, 50)
    verdict = log.verify()
    assert (verdict.reason, verdict.last_seq) == ("", 250)
    assert verdict.entries <= 100
    assert verdict.first_seq == 250 - verdict.entries + 1
    log.close()
    alter(tmp_path, f"DELETE FROM entries WHERE seq <= {verdict.first_seq + 4}")
    log = AuditLog(tmp_path, KEY, rows_max=100)
    assert log.verify().reason == f"entry {verdict.first_seq} is missing"
    log.close()


def test_a_full_queue_drops_and_says_so(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "QUEUE_COUNT", 5)
    with log._lock:  # the writer waits
        for number in range(8):
            log.record(Act.LOGIN, f"u{number}")
    log.flush()
    newest = log.read()
    assert [entry.user_id for entry in reversed(newest[1:])] == ["u0", "u1", "u2", "u3", "u4"]
    assert (newest[0].type, newest[0].detail) == ("ENTRIES_LOST", '{"count":3}')
    assert log.verify().reason == ""


def test_what_was_written_is_synced_a_little_later(
    log: AuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SYNC_S", 0.05)
    for number in range(100):
        log.record(Act.LOGIN, f"u{number}")
    deadline = time.monotonic() + 10
    while log._queue or log._sync_due_s:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / FILE_NAME).write_bytes((tmp_path / FILE_NAME).read_bytes())  # without what only its WAL has
    found = AuditLog(copy, KEY)
    assert found.verify() == (100, 1, 100, "")
    found.close()


def test_entries_wait_a_little_for_others_to_be_written_with_them(log: AuditLog) -> None:
    waits, go = threading.Event(), threading.Event()

    class Closing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout == audit.GROUP_S
            waits.set()
            return go.wait(10)

    log._closing = Closing()
    log.record(Act.LOGIN, "u0")
    assert waits.wait(10)
    log.record(Act.LOGIN, "u1")
    assert len(log._queue) == 2
    go.set()
    deadline = time.monotonic() + 10
    while log._queue:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert [entry.user_id for entry in log.read()] == ["u1", "u0"]


def test_a_long_detail_is_cut(log: AuditLog) -> None:
    log.record(Act.SETTINGS_CHANGE, "u" * 500, text="x" * 100_000)
    (entry,) = log.read()
    assert (len(entry.detail) < 3000, len(entry.user_id)) == (True, 64)


WRITER = """
import sys
from pathlib import Path
from qautlra.auth.audit import Act, AuditLog
log = AuditLog(Path(sys.argv[1]), b"k" * 32)
number = 0
while True:
    for _ in range(20):
        log.record(Act.ORDER_SUBMIT, "u", order_id=str(number))
        number += 1
    log.flush()
    print(number, flush=True)
"""


@pytest.mark.parametrize("rounds", [5])
def test_flushed_entries_survive_a_kill(tmp_path: Path, rounds: int) -> None:
    told = 0
    for _ in range(rounds):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": PRODUCT},
        )
        assert child.stdout is not None
        last = 0
        for line in child.stdout:
            last = int(line)
            if last >= 100:
                break
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
        told += int(rest[-1]) if rest else last
        child.wait()
        log = AuditLog(tmp_path, KEY)
        verdict = log.verify()
        log.close()
        assert verdict.reason == ""
        assert verdict.entries >= told
        told = verdict.entries


def test_the_chain_is_hmac_sha256_under_its_key(log: AuditLog) -> None:
    row = (1, 2, "LOGIN", "SUCCESS", "ann", "", "127.0.0.1", "{}")
    assert log._chained(b"before", row) == hmac.digest(KEY, b"before" + orjson.dumps(row), "sha256")


def test_a_command_may_write_behind_our_back(log: AuditLog, tmp_path: Path) -> None:
    """As `user add` does between a server's start and its admin socket: both go on in one chain."""
    log.record(Act.LOGIN, "one")
    log.flush()
    beside = AuditLog(tmp_path, KEY)
    beside.record(Act.USER_CHANGE, "command")
    beside.flush()
    log.record(Act.LOGIN, "two")
    log.flush()
    beside.record(Act.USER_CHANGE, "again")
    beside.close()
    assert [entry.user_id for entry in log.read()] == ["again", "two", "command", "one"]
    assert log.verify().reason == ""
