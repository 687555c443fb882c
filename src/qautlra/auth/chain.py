"""Entries of the audit log on the disk: blocks of them in one SQLite table, each block's keyed hash covering
the one before, so that a changed, missing or added block shows. Blocking; the caller takes care of threads.

A block is a JSON list of `[ts_ns, type, result, user_id, account_id, address, detail]`; the first entry's
number is the block's. Its hash is HMAC-SHA256 over the hash before, number and count as eight bytes each, and
the list. Both ends of the chain are sealed with the same key. An entry pays its part of a block's price and
there is no index to keep: a search lets SQLite look for the names in the bytes.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

VERSION: Final = 2
SCHEMA: Final = """
CREATE TABLE blocks (
    seq INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    entries BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE TABLE ends (
    name TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL, seal BLOB NOT NULL
) WITHOUT ROWID;
"""
FIELDS: Final = ("type", "result", "user_id", "account_id")
"""What can be searched for."""


class Entry(NamedTuple):
    """One entry; `detail` is a JSON object as text."""

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


class End(NamedTuple):
    """An end of the chain: the number of an entry and the hash of the block it ends."""

    seq: int
    hash: bytes


class Chain:
    """The chain in one database, under one key."""

    def __init__(self, database: sqlite3.Connection, key: bytes) -> None:
        self._database = database
        self._key = key

    def end(self, name: str) -> End | None:
        """Return the end called `head` or `anchor`, None when its seal is wrong."""
        row = self._database.execute("SELECT seq, hash, seal FROM ends WHERE name = ?", (name,)).fetchone()
        if row is None:
            return End(0, b"")
        good = hmac.compare_digest(row[2], self._seal(name, row[0], row[1]))
        return End(row[0], row[1]) if good else None

    def set_end(self, name: str, end: End) -> None:
        """Move an end."""
        self._database.execute(
            "INSERT INTO ends (name, seq, hash, seal) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
            "SET seq = excluded.seq, hash = excluded.hash, seal = excluded.seal",
            (name, end.seq, end.hash, self._seal(name, *end)),
        )

    def add(self, before: End, blocks: Sequence[tuple[int, bytes]]) -> End:
        """Write blocks (count, bytes) behind `before`, within a transaction; return the new head."""
        head = before
        for count, entries in blocks:
            hashed = self._hash(head, count, entries)
            row = (head.seq + 1, count, entries, hashed)
            self._database.execute("INSERT INTO blocks (seq, count, entries, hash) VALUES (?, ?, ?, ?)", row)
            head = End(head.seq + count, hashed)
        self.set_end("head", head)
        return head

    def trim(self, head: int, entries_max: int) -> None:
        """Let the oldest blocks go when there are too many entries, down to nine tenths."""
        anchor = self.end("anchor") or End(0, b"")
        if head - anchor.seq <= entries_max:
            return
        keep_from = head - entries_max + entries_max // 10 + 1
        rest = self._block_of(keep_from)
        if rest is None or rest[0] <= anchor.seq + 1:
            return
        last = self._database.execute(
            "SELECT hash FROM blocks WHERE seq < ? ORDER BY seq DESC LIMIT 1", (rest[0],)
        ).fetchone()
        self._database.execute("DELETE FROM blocks WHERE seq < ?", (rest[0],))
        self.set_end("anchor", End(rest[0] - 1, last[0]))

    def search(self, before_seq: int, count: int, equal: dict[str, str]) -> list[Entry]:
        """Return up to `count` entries below a number, newest first, whose FIELDS have these values."""
        text = "SELECT seq, entries FROM blocks WHERE seq < ?"
        names = [orjson.dumps(value) for value in equal.values()]
        text += " AND instr(entries, ?) > 0" * len(names) + " ORDER BY seq DESC"
        found: list[Entry] = []
        for seq, entries in self._database.execute(text, (before_seq, *names)):
            for entry in reversed(entries_of(seq, entries)):
                if entry.seq < before_seq and all(getattr(entry, k) == v for k, v in equal.items()):
                    found.append(entry)
                    if len(found) == count:
                        return found
        return found

    def find(self, seq: int) -> Entry | None:
        """Return one entry."""
        block = self._block_of(seq)
        entries = entries_of(*block) if block is not None else []
        return next((entry for entry in entries if entry.seq == seq), None)

    def verify(self) -> Verdict:
        """Walk the chain from its anchor to its head."""
        anchor, head = self.end("anchor"), self.end("head")
        if anchor is None or head is None:
            return Verdict(0, 0, 0, "an end of the chain is forged")
        last, first = anchor, anchor.seq + 1

        def verdict(reason: str) -> Verdict:
            return Verdict(last.seq - anchor.seq, first, last.seq, reason)

        text = "SELECT seq, count, entries, hash FROM blocks ORDER BY seq"
        for seq, count, entries, hashed in self._database.execute(text):
            if seq != last.seq + 1:
                return verdict(f"entry {last.seq + 1} is missing")
            if not hmac.compare_digest(self._hash(last, count, entries), hashed):
                return verdict(f"entry {seq} or one after it, before {seq + count}, was changed")
            last = End(seq + count - 1, hashed)
        return verdict("" if last == head else "entries after the last one are missing")

    def _block_of(self, seq: int) -> tuple[int, bytes] | None:
        """Return number and bytes of the block that would have an entry."""
        row: tuple[int, bytes] | None = self._database.execute(
            "SELECT seq, entries FROM blocks WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (seq,)
        ).fetchone()
        return row

    def _hash(self, before: End, count: int, entries: bytes) -> bytes:
        head = before.hash + (before.seq + 1).to_bytes(8, "big") + count.to_bytes(8, "big", signed=True)
        return hmac.digest(self._key, head + entries, "sha256")

    def _seal(self, name: str, seq: int, hashed: bytes) -> bytes:
        return hmac.digest(self._key, orjson.dumps([name, seq, hashed.hex()]), "sha256")


def entries_of(seq: int, entries: bytes) -> list[Entry]:
    """Return the entries of a block whose first has number `seq`."""
    rows: list[tuple[int, str, str, str, str, str, Any]] = orjson.loads(entries)
    return [
        Entry(number, ts_ns, act, result, user_id, account_id, address, orjson.dumps(detail).decode())
        for number, (ts_ns, act, result, user_id, account_id, address, detail) in enumerate(rows, seq)
    ]
