"""Former forms of the audit log's file."""

from __future__ import annotations

import hmac
import sqlite3
from typing import Any, Final

import orjson

from qautlra.auth.chain import SCHEMA, Chain, End
from qautlra.base import clock

_BLOCK_COUNT: Final = 128


def to_2(database: sqlite3.Connection, key: bytes) -> None:
    """Put form 1, a row and a hash for each entry, into blocks.

    A gap stays one for `verify`; another fault of the old chain is told by an entry of its own, the last.
    """
    database.execute(SCHEMA.partition(";\n")[0])
    chain = Chain(database, key)
    anchor, sealed = chain.end("anchor"), chain.end("head")
    head = anchor or End(0, b"")
    linked, faults = head.hash, [] if anchor and sealed else ["an end of the chain is forged"]
    block: list[tuple[Any, ...]] = []

    def write() -> None:
        nonlocal head
        if block:
            head = chain.add(head, [(len(block), orjson.dumps(block))])
            block.clear()

    columns = "seq, ts_ns, type, result, user_id, account_id, address, detail"
    for *row, hashed in database.execute(f"SELECT {columns}, hash FROM entries ORDER BY seq"):
        seq = head.seq + len(block) + 1
        linked = hmac.digest(key, linked + orjson.dumps(row), "sha256")
        if row[0] == seq and not hmac.compare_digest(linked, hashed) and not faults:
            faults.append(f"entry {seq} was changed")
        linked = hashed
        if row[0] != seq or len(block) == _BLOCK_COUNT:
            write()
            head = End(row[0] - 1, head.hash)
        block.append((*row[1:7], orjson.Fragment(row[7])))
    write()
    if not faults and (head.seq, linked) != sealed:
        faults.append("entries after the last one are missing")
    block.extend((clock.wall_ns(), "ENTRIES_LOST", "FAILED", "", "", "", {"form_1": text}) for text in faults)
    write()
    database.execute("DROP TABLE entries")
