"""The audit log: its chain, what breaks it, its bounds, a kill."""

import hashlib
import hmac
import os
import signal
import sqlite3
import struct
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


OTHER_USER = "CAST(replace(CAST(entries AS TEXT), '\"u\"', '\"w\"') AS BLOB)"


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (
            [f"UPDATE blocks SET entries = {OTHER_USER} WHERE seq = 4"],
            "entry 4 or one after it, before 7, was changed",
        ),
        (["UPDATE blocks SET count = 2 WHERE seq = 4"], "entry 4 or one after it, before 6, was changed"),
        (
            ["UPDATE blocks SET hash = zeroblob(32) WHERE seq = 7"],
            "entry 7 or one after it, before 10, was changed",
        ),
        (["DELETE FROM blocks WHERE seq = 4"], "entry 4 is missing"),
        (["DELETE FROM blocks WHERE seq = 1"], "entry 1 is missing"),
        (["DELETE FROM blocks WHERE seq = 10"], "entries after the last one are missing"),
        (["DELETE FROM blocks"], "entries after the last one are missing"),
        (["DELETE FROM blocks WHERE seq = 10", "UPDATE ends SET seq = 9"], "an end of the chain is forged"),
        (
            ["INSERT INTO blocks SELECT 11, count, entries, hash FROM blocks WHERE seq = 10"],
            "entry 11 or one after it, before 12, was changed",
        ),
        (
            ["DELETE FROM blocks WHERE seq = 4", "UPDATE blocks SET seq = 4 WHERE seq = 7"],
            "entry 4 or one after it, before 7, was changed",
        ),
    ],
)  # fmt: skip
def test_what_breaks_the_chain(log: AuditLog, tmp_path: Path, statements: list[str], reason: str) -> None:
    for count in (3, 3, 3, 1):  # a block each
        fill(log, count)
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
    alter(tmp_path, f"DELETE FROM blocks WHERE seq = {verdict.first_seq}")
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


def test_the_chain_is_hmac_sha256_under_its_key(log: AuditLog, tmp_path: Path) -> None:
    log.record(Act.LOGIN, "ann", address="127.0.0.1", what="é")
    log.record(Act.LOGOUT, "ann")
    log.flush()
    log.record(Act.LOGIN, "bob")
    log.flush()
    with sqlite3.connect(tmp_path / FILE_NAME) as database:
        rows = database.execute("SELECT seq, count, entries, hash FROM blocks ORDER BY seq").fetchall()
    assert [row[:2] for row in rows] == [(1, 2), (3, 1)]
    assert orjson.loads(rows[0][2])[0][1:] == [
        "LOGIN", "SUCCESS", "ann", "", "127.0.0.1", {"what": "é"},
    ]  # fmt: skip
    before = b""
    for seq, count, entries, hashed in rows:
        before = hmac.digest(KEY, before + struct.pack(">qq", seq, count) + entries, "sha256")
        assert before == hashed


def test_many_entries_are_found_again(log: AuditLog) -> None:
    """Against a plain list: several blocks, names that are escaped or parts of others or of details."""
    users = ["u", "uu", 'q"uote', "张三", "back\\slash", ""]
    told = []
    for number in range(1000):
        user, account = users[number % 6], f"a{number % 7}"
        log.record(
            Act.LOGIN if number % 5 else Act.LOGOUT, user, account_id=account, n=number, other=users[0]
        )
        told.append((number + 1, "LOGIN" if number % 5 else "LOGOUT", user, account))
        if number % 300 == 299:
            log.flush()

    def fits(row: tuple[int, str, str, str], equal: dict[str, str]) -> bool:
        known = dict(zip(("type", "user_id", "account_id"), row[1:], strict=True))
        return all(known[name] == value for name, value in equal.items())

    for user in (*users[:5], "nobody"):
        for equal in ({}, {"type": "LOGOUT"}, {"account_id": "a3"}):
            wanted = {"user_id": user} | equal
            for before, count in ((1 << 62, 100), (512, 7), (1, 5), (150, 1000)):
                rows = [row for row in reversed(told) if row[0] < before and fits(row, wanted)][:count]
                found = log.read(before_seq=before, count=count, **wanted)
                assert [(e.seq, e.type, e.user_id, e.account_id) for e in found] == rows
    assert log.verify() == (1000, 1, 1000, "")


def test_what_cannot_be_written_is_written_as_such(log: AuditLog) -> None:
    log.record(Act.LOGIN, "bad\ud800", account_id="\udfff", address="::1", text="\ud800", thing=Path("x"))
    log.record(Act.LOGIN, "good", thing=Path("x"))
    good, bad = log.read()
    assert (good.user_id, good.detail) == ("good", '{"thing":"x"}')
    assert (bad.user_id, bad.account_id) == ("bad?", "?")
    assert bad.detail.startswith('{"unreadable":')


def test_one_reads_while_another_writes(log: AuditLog) -> None:
    """A page that is read holds no writer up, and sees the log as it was."""
    fill(log, 10)
    with log._reading() as chain:
        assert len(chain.search(1 << 62, 100, {})) == 10
        fill(log, 5)
        assert len(chain.search(1 << 62, 100, {})) == 10
    assert len(log.read()) == 15


FORM_1 = """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, type TEXT NOT NULL, result TEXT NOT NULL,
    user_id TEXT NOT NULL,
    account_id TEXT NOT NULL, address TEXT NOT NULL, detail TEXT NOT NULL, hash BLOB NOT NULL
);
CREATE INDEX entries_user ON entries (user_id, seq);
CREATE INDEX entries_account ON entries (account_id, seq);
CREATE TABLE ends (
    name TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL, seal BLOB NOT NULL
) WITHOUT ROWID;
PRAGMA user_version=1;
"""


def write_form_1(path: Path, first: int, count: int) -> None:
    """A file as builds before blocks wrote it, its oldest entries gone already."""
    anchor = linked = hashlib.sha256(b"gone").digest() if first > 1 else b""
    with sqlite3.connect(path) as database:
        database.executescript(FORM_1)
        for seq in range(first, first + count):
            row = (seq, seq * 1000, "LOGIN", "SUCCESS", f"u{seq % 3}", "", "::1", f'{{"n":{seq}}}')
            linked = hmac.digest(KEY, linked + orjson.dumps(row), "sha256")
            database.execute("INSERT INTO entries VALUES (?,?,?,?,?,?,?,?,?)", (*row, linked))
        for name, seq, hashed in (("anchor", first - 1, anchor), ("head", first + count - 1, linked)):
            seal = hmac.digest(KEY, orjson.dumps([name, seq, hashed.hex()]), "sha256")
            database.execute("INSERT INTO ends VALUES (?, ?, ?, ?)", (name, seq, hashed, seal))


@pytest.mark.parametrize("first", [1, 502])
def test_the_form_before_is_taken_over(tmp_path: Path, first: int) -> None:
    write_form_1(tmp_path / FILE_NAME, first, 300)
    log = AuditLog(tmp_path, KEY)
    assert log.verify() == (300, first, first + 299, "")
    newest = log.read(count=1)[0]
    assert newest[:2] == (first + 299, (first + 299) * 1000)
    assert newest[-1] == f'{{"n":{first + 299}}}'
    assert [entry.seq for entry in log.read(user_id="u1", count=2, before_seq=first + 6)] == [
        first + 3,
        first,
    ]
    fill(log, 5)
    log.close()
    again = AuditLog(tmp_path, KEY)
    assert again.verify() == (305, first, first + 304, "")
    again.close()


@pytest.mark.parametrize(
    ("statement", "verdict", "told"),
    [
        ("UPDATE entries SET user_id = 'w' WHERE seq = 150", "", "entry 150 was changed"),
        ("DELETE FROM entries WHERE seq = 150", "entry 150 is missing", ""),
        ("DELETE FROM entries WHERE seq > 290", "", "entries after the last one are missing"),
        ("UPDATE ends SET seal = zeroblob(32) WHERE name = 'head'", "", "an end of the chain is forged"),
    ],
)
def test_a_fault_of_the_form_before_stays_known(
    tmp_path: Path, statement: str, verdict: str, told: str
) -> None:
    write_form_1(tmp_path / FILE_NAME, 1, 300)
    alter(tmp_path, statement)
    log = AuditLog(tmp_path, KEY)
    assert log.verify().reason == verdict
    newest = log.read(count=1)[0]
    assert (newest.type == "ENTRIES_LOST", told in newest.detail) == (bool(told), True)
    log.close()


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
