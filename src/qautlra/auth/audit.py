"""The audit log: who did what, when, from where, with what result. Append-only and chained (see `chain`).

`record` queues and never blocks; a thread writes what waits as one transaction. A full queue drops and the
log itself says so. Beyond `rows_max` the oldest tenth goes, and the chain is anchored at what is left.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from qautlra.auth import audit_upgrade
from qautlra.auth.chain import FIELDS, SCHEMA, VERSION, Chain, End, Entry, Verdict
from qautlra.base import clock, log, metrics
from qautlra.base.errors import StorageError
from qautlra.base.sqlite import connect, transaction

FILE_NAME: Final = "audit.db"
QUEUE_COUNT: Final = 65_536
GROUP_COUNT: Final = 1_024
BLOCK_COUNT: Final = 128
GROUP_S: Final = 0.05
"""So long an entry may wait for others to be written with it."""
SYNC_S: Final = 1.0
"""So long what is written, and survives a kill, may wait to be synced: that is dear to the orders beside."""
PAGE_COUNT: Final = 1_000
DETAIL_CHARS: Final = 2_000
NAME_CHARS: Final = 64


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


class AuditLog:
    """The log of one data directory."""

    def __init__(self, directory: Path, key: bytes, *, rows_max: int = 1_000_000) -> None:
        self._rows_max = rows_max
        path = directory / FILE_NAME
        self._database = connect(path, SCHEMA, VERSION, {1: lambda found: audit_upgrade.to_2(found, key)})
        self._chain = Chain(self._database, key)
        self._lock = threading.Lock()
        self._reader = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        self._read_chain = Chain(self._reader, key)
        self._read_lock = threading.Lock()
        self._queue: deque[bytes] = deque()
        self._lost = 0
        self._wake = threading.Event()
        self._is_awake = False
        "Whether the thread will look at the queue again: set by who queues, cleared before it looks."
        self._closing = threading.Event()
        self._database.execute("PRAGMA synchronous=NORMAL")  # see SYNC_S
        self._sync_due_s = 0.0
        self._head = self._chain.end("head")
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
        self.put(act, user_id, result, account_id, address, detail)

    def put(
        self, act: Act, user_id: str, result: Result, account_id: str, address: str, detail: dict[str, Any]
    ) -> None:
        """`record`, as the order path calls it."""
        if len(self._queue) >= QUEUE_COUNT:
            self._lost += 1
            self._dropped.inc()
            return
        self._queue.append(_written(act, user_id, result, account_id, address, detail))
        if not self._is_awake:
            self._is_awake = True
            self._wake.set()

    def flush(self) -> None:
        """Write what is queued; blocking."""
        with self._lock:
            while self._queue or self._lost:
                self._write_group()

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._closing.set()
        self._wake.set()
        self._thread.join(5.0)
        self.flush()
        with self._read_lock, self._lock:
            self._reader.close()
            self._database.close()

    def read(self, *, before_seq: int | None = None, count: int = 100, **equal: str) -> list[Entry]:
        """Return up to `count` entries, newest first; `equal` names type, result, user_id or account_id."""
        wanted = {name: equal[name] for name in FIELDS if equal.get(name)}
        before = before_seq if before_seq is not None else 1 << 62
        with self._reading() as chain:
            return chain.search(before, max(1, min(count, PAGE_COUNT)), wanted)

    def find(self, seq: int) -> Entry | None:
        """Return one entry."""
        with self._reading() as chain:
            return chain.find(seq)

    def verify(self) -> Verdict:
        """Walk the chain from its anchor to its head."""
        with self._reading() as chain:
            return chain.verify()

    @contextmanager
    def _reading(self) -> Iterator[Chain]:
        """All that was recorded, as it stands now; the writer goes on beside."""
        self.flush()
        with self._read_lock:
            self._reader.execute("BEGIN")
            try:
                yield self._read_chain
            finally:
                self._reader.execute("ROLLBACK")

    def _work(self) -> None:
        while not self._closing.is_set():
            if self._wake.wait(SYNC_S if self._sync_due_s else None):
                self._wake.clear()
                self._is_awake = False
                self._closing.wait(GROUP_S)
            try:
                self.flush()
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

    def _write_group(self) -> None:
        count, lost = min(GROUP_COUNT, len(self._queue)), self._lost
        rows = list(islice(self._queue, count))
        if lost:
            rows.append(_written(Act.ENTRIES_LOST, "", Result.FAILED, "", "", {"count": lost}))
        slices = (rows[at : at + BLOCK_COUNT] for at in range(0, len(rows), BLOCK_COUNT))
        blocks = [(len(part), b"[" + b",".join(part) + b"]") for part in slices]
        with transaction(self._database):
            head = self._chain.add(self._newest_head(), blocks)
            self._chain.trim(head.seq, self._rows_max)
        self._head = head
        self._sync_due_s = self._sync_due_s or clock.monotonic_s() + SYNC_S
        self._lost -= lost
        for _ in range(count):
            self._queue.popleft()

    def _newest_head(self) -> End:
        """Return where the chain goes on: another process may have written, a command beside our back."""
        ours, found = self._head or End(0, b""), self._chain.end("head")
        return found if found is not None and found.seq > ours.seq else ours


def _written(
    act: Act, user_id: str, result: Result, account_id: str, address: str, detail: dict[str, Any]
) -> bytes:
    """Return an entry of now as it stands in a block."""
    row = (clock.wall_ns(), act, result, user_id, account_id, address, detail)
    try:
        text = orjson.dumps(row, default=str)
    except TypeError as error:  # a text that is none
        return _shortened(row, {"unreadable": str(error)})
    if len(text) > DETAIL_CHARS or len(user_id) > NAME_CHARS or len(account_id) > NAME_CHARS:
        shown = orjson.dumps(detail, default=str)
        is_long = len(shown) > DETAIL_CHARS
        cut = {"cut": shown[: DETAIL_CHARS // 2].decode(errors="ignore")} if is_long else detail
        return _shortened(row, cut)
    return text


def _shortened(row: tuple[Any, ...], detail: dict[str, Any]) -> bytes:
    """Return an entry with what can be kept of the names somebody sent, and this detail."""
    names = [name[:NAME_CHARS].encode("utf-8", "replace").decode() for name in row[3:6]]
    return orjson.dumps((*row[:3], *names, detail), default=str)
