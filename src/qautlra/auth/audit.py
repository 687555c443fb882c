"""The audit log: who did what, when, from where, with what result. Append-only: each row's keyed hash covers
the one before, so that a changed, missing or added row shows in `verify`.

`record` queues and never blocks; a thread writes what waits as one transaction. A full queue drops and the
log itself says so. Beyond `rows_max` the oldest tenth goes, and the chain is anchored at what is left.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from qautlra.base import clock, log, metrics
from qautlra.base.errors import StorageError
from qautlra.base.sqlite import connect, transaction

FILE_NAME: Final = "audit.db"
VERSION: Final = 1
QUEUE_COUNT: Final = 65_536
GROUP_COUNT: Final = 1_024
GROUP_S: Final = 0.05
"""So long an entry may wait for others to be written with it."""
SYNC_S: Final = 1.0
"""So long what is written, and survives a kill, may wait to be synced: that is dear to the orders beside."""
SLICE_COUNT: Final = 8
PAUSE_S: Final = 0.0003
"""Between slices of a group: beside a thread that never rests a kernel lets orders wait for milliseconds."""
PAGE_COUNT: Final = 1_000
DETAIL_CHARS: Final = 2_000
NAME_CHARS: Final = 64
_SCHEMA: Final = """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    ts_ns INTEGER NOT NULL,
    type TEXT NOT NULL,
    result TEXT NOT NULL,
    user_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    address TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL
);
CREATE INDEX entries_user ON entries (user_id, seq);
CREATE INDEX entries_account ON entries (account_id, seq);
CREATE TABLE ends (
    name TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL, seal BLOB NOT NULL
) WITHOUT ROWID;
"""
_COLUMNS: Final = "seq, ts_ns, type, result, user_id, account_id, address, detail"


class Act(StrEnum):
    """What is written down."""

    LOGIN = "LOGIN"
    LOGOUT = "LOGOUT"
    ORDER_SUBMIT = "ORDER_SUBMIT"
    ORDER_CANCEL = "ORDER_CANCEL"
    ORDER_AMEND = "ORDER_AMEND"
    DEPOSIT = "DEPOSIT"
    WITHDRAW = "WITHDRAW"
    TRANSFER = "TRANSFER"
    PASSWORD_CHANGE = "PASSWORD_CHANGE"
    ACCOUNT_OPEN = "ACCOUNT_OPEN"
    ACCOUNT_FREEZE = "ACCOUNT_FREEZE"
    ACCOUNT_UNFREEZE = "ACCOUNT_UNFREEZE"
    SETTINGS_CHANGE = "SETTINGS_CHANGE"
    USER_CHANGE = "USER_CHANGE"
    SETTLEMENT = "SETTLEMENT"
    LIQUIDATION = "LIQUIDATION"
    RISK_ALERT = "RISK_ALERT"
    RISK_STATE = "RISK_STATE"
    ENTRIES_LOST = "ENTRIES_LOST"


class Result(StrEnum):
    """How it ended: done, refused by a rule of the matter, refused by rights or limits."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    BLOCKED = "BLOCKED"


class Entry(NamedTuple):
    """One row; `detail` is a JSON object as text."""

    seq: int
    ts_ns: int
    type: str
    result: str
    user_id: str
    account_id: str
    address: str
    detail: str


class Verdict(NamedTuple):
    """What `verify` found: `reason` is empty when the chain holds."""

    entries: int
    first_seq: int
    last_seq: int
    reason: str


class AuditLog:
    """The log of one data directory."""

    def __init__(self, directory: Path, key: bytes, *, rows_max: int = 1_000_000) -> None:
        self._key = key
        block = key.ljust(hashlib.sha256().block_size, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._rows_max = rows_max
        self._database = connect(directory / FILE_NAME, _SCHEMA, VERSION)
        self._lock = threading.Lock()
        self._queue: deque[tuple[int, str, str, str, str, str, str]] = deque()
        self._lost = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._database.execute("PRAGMA synchronous=NORMAL")  # see SYNC_S
        self._sync_due_s = 0.0
        self._head = self._end("head")
        self._log = log.get_logger("auth")
        self._dropped = metrics.counter("qautlra_auth_audit_dropped", "Audit entries lost to a full queue")
        metrics.watch(
            "qautlra_auth_audit_queue_count", "Audit entries not yet written", lambda: len(self._queue)
        )
        metrics.bound("auth_audit", lambda: len(self._queue), QUEUE_COUNT, unit="rows", when_full="drop")
        self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
        self._thread.start()

    def record(
        self,
        act: Act,
        user_id: str,
        *,
        result: Result = Result.SUCCESS,
        account_id: str = "",
        address: str = "",
        **detail: Any,
    ) -> None:
        """Queue one entry; secrets never belong into `detail`."""
        if len(self._queue) >= QUEUE_COUNT:
            self._lost += 1
            self._dropped.inc()
            return
        text = orjson.dumps(detail, default=str).decode()
        if len(text) > DETAIL_CHARS:
            text = orjson.dumps({"cut": text[: DETAIL_CHARS // 2]}).decode()
        names = (_text(user_id), _text(account_id), _text(address))
        self._queue.append((clock.wall_ns(), act.value, result.value, *names, text))
        if not self._wake.is_set():  # who waits for it clears it before looking at the queue
            self._wake.set()

    def flush(self, *, gently: bool = False) -> None:
        """Write what is queued; blocking. `gently`, with pauses while not much waits."""
        with self._lock:
            while self._queue or self._lost:
                self._write_group(PAUSE_S if gently and len(self._queue) < GROUP_COUNT else 0.0)

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._closing.set()
        self._wake.set()
        self._thread.join(5.0)
        self.flush()
        with self._lock:
            self._database.close()

    def read(
        self,
        *,
        before_seq: int | None = None,
        count: int = 100,
        **equal: str,
    ) -> list[Entry]:
        """Return up to `count` entries, newest first; `equal` names type, result, user_id or account_id."""
        self.flush()
        where, values = ["seq < ?"], [before_seq if before_seq is not None else 1 << 62]
        for name in ("type", "result", "user_id", "account_id"):
            if equal.get(name):
                where.append(f"{name} = ?")
                values.append(equal[name])  # type: ignore[arg-type]
        count = max(1, min(count, PAGE_COUNT))
        text = f"SELECT {_COLUMNS} FROM entries WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?"
        with self._lock:
            return [Entry(*row) for row in self._database.execute(text, (*values, count))]

    def find(self, seq: int) -> Entry | None:
        """Return one entry."""
        self.flush()
        with self._lock:
            row = self._database.execute(f"SELECT {_COLUMNS} FROM entries WHERE seq = ?", (seq,)).fetchone()
        return Entry(*row) if row is not None else None

    def verify(self) -> Verdict:
        """Walk the chain from its anchor to its head."""
        self.flush()
        with self._lock:
            return self._verify()

    def _verify(self) -> Verdict:
        if self._end("anchor") is None or self._end("head") is None:
            return Verdict(0, 0, 0, "an end of the chain is forged")
        first, linked = self._end("anchor") or (0, b"")
        seq, entries = first, 0
        for row in self._database.execute(f"SELECT {_COLUMNS}, hash FROM entries ORDER BY seq"):
            if row[0] != seq + 1:
                return Verdict(entries, first + 1, seq, f"entry {seq + 1} is missing")
            seq, entries = row[0], entries + 1
            linked = self._chained(linked, row[:8])
            if not hmac.compare_digest(linked, row[8]):
                return Verdict(entries, first + 1, seq, f"entry {seq} was changed")
        if (seq, linked) != self._end("head"):
            return Verdict(entries, first + 1, seq, "entries after the last one are missing")
        return Verdict(entries, first + 1, seq, "")

    def _work(self) -> None:
        while not self._closing.is_set():
            if self._wake.wait(SYNC_S if self._sync_due_s else None):
                self._wake.clear()
                self._closing.wait(GROUP_S)
            try:
                self.flush(gently=True)
                self._sync()
            except (StorageError, sqlite3.Error) as error:
                self._log.error("audit_not_written", error=str(error), waiting=len(self._queue))
                threading.Event().wait(1.0)
                self._wake.set()

    def _sync(self) -> None:
        """Bring to the disk what was written, once it is due."""
        if self._sync_due_s and clock.monotonic_s() >= self._sync_due_s:
            with self._lock:
                _, written, synced = self._database.execute("PRAGMA wal_checkpoint").fetchone()
                self._sync_due_s = 0.0 if written == synced else clock.monotonic_s() + SYNC_S

    def _write_group(self, pause_s: float) -> None:
        group = [self._queue[i] for i in range(min(GROUP_COUNT, len(self._queue)))]
        lost = self._lost
        rows = list(group)
        if lost:
            detail = orjson.dumps({"count": lost}).decode()
            rows.append((clock.wall_ns(), Act.ENTRIES_LOST.value, Result.FAILED.value, "", "", "", detail))
        seq = 0
        linked = b""

        def chained() -> Iterator[tuple[Any, ...]]:
            nonlocal seq, linked
            for row in rows:  # one by one: others run while each is written
                seq += 1
                if pause_s and seq % SLICE_COUNT == 0:
                    time.sleep(pause_s)
                linked = self._chained(linked, (seq, *row))
                yield (seq, *row, linked)

        with transaction(self._database):
            seq, linked = self._newest_head()
            self._database.executemany(
                f"INSERT INTO entries ({_COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", chained()
            )
            self._set_end("head", seq, linked)
            self._trim(seq)
        self._head = (seq, linked)
        self._sync_due_s = self._sync_due_s or clock.monotonic_s() + SYNC_S
        self._lost -= lost
        for _ in group:
            self._queue.popleft()

    def _newest_head(self) -> tuple[int, bytes]:
        """Return where the chain goes on: another process may have written, a command beside our back."""
        ours, found = self._head or (0, b""), self._end("head")
        return found if found is not None and found[0] > ours[0] else ours

    def _trim(self, head: int) -> None:
        """Let the oldest go when there are too many, keeping the hash the rest is chained to."""
        first, _ = self._end("anchor") or (0, b"")
        if head - first <= self._rows_max:
            return
        last = head - self._rows_max + self._rows_max // 10
        row = self._database.execute("SELECT hash FROM entries WHERE seq = ?", (last,)).fetchone()
        self._database.execute("DELETE FROM entries WHERE seq <= ?", (last,))
        self._set_end("anchor", last, row[0])

    def _chained(self, before: bytes, row: tuple[Any, ...]) -> bytes:
        """Return the row's HMAC-SHA256, by states that have taken the key already: half the price."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(before + orjson.dumps(row))
        outer.update(inner.digest())
        return outer.digest()

    def _seal(self, name: str, seq: int, hashed: bytes) -> bytes:
        return hmac.digest(self._key, orjson.dumps([name, seq, hashed.hex()]), "sha256")

    def _end(self, name: str) -> tuple[int, bytes] | None:
        """Return (seq, hash) of an end of the chain, None when its seal is wrong."""
        row = self._database.execute("SELECT seq, hash, seal FROM ends WHERE name = ?", (name,)).fetchone()
        if row is None:
            return (0, b"")
        return (row[0], row[1]) if hmac.compare_digest(row[2], self._seal(name, row[0], row[1])) else None

    def _set_end(self, name: str, seq: int, hashed: bytes) -> None:
        self._database.execute(
            "INSERT INTO ends (name, seq, hash, seal) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
            "SET seq = excluded.seq, hash = excluded.hash, seal = excluded.seal",
            (name, seq, hashed, self._seal(name, seq, hashed)),
        )


def _text(name: str) -> str:
    """Return what can be written of a name that somebody sent."""
    if len(name) <= NAME_CHARS and name.isascii():
        return name
    return name[:NAME_CHARS].encode("utf-8", "replace").decode()
