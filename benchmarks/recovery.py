"""Start after a kill: a money journal of a million records read, checked and applied in one call.

The records are those of the `matching` stream on 100 instruments and 1,000 accounts. The control reads and
checks the same files and applies nothing. The recovered exchange has the state hash of the one that wrote.
"""

from __future__ import annotations

import struct
import tempfile
import time

import _bench

_bench.import_product()

import matching  # noqa: E402
from qautlra._core import bench  # noqa: E402
from qautlra._core.exchange import Exchange  # noqa: E402
from qautlra._core.journal import Journal, verify  # noqa: E402

BOOKS = 100
CHUNK = 20_000  # operations between waits for the disk: less than the journal's buffer holds


def main() -> None:
    """Write once, recover in turn with the control, print the line."""
    chosen = _bench.options(__doc__ or "")
    rounds, wanted = (2, 20_000) if chosen.short else (5, 1_000_000)
    ops = matching.generate(wanted * 3 // 2, BOOKS)
    recovered: list[float] = []
    cpu: list[float] = []
    read: list[float] = []
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as place:
        with Journal(place, durability="memory") as journal:
            x = matching.new_exchange(BOOKS, journal)
            for start in range(0, len(ops), CHUNK):
                packed = b"".join(struct.pack("<BBHIii", *op) for op in ops[start : start + CHUNK])
                bench.play(x, packed, matching.TRADERS)
                assert journal.sync(60)
                if journal.head_lsn >= wanted:
                    break
            records, expected = journal.head_lsn, x.state_hash()
        assert records >= wanted
        size = sum(segment.bytes for segment in journal.segments())
        for _ in range(rounds):
            begun = time.perf_counter()
            verdict = verify(place)
            read.append(time.perf_counter() - begun)
            assert (verdict.records, verdict.damage) == (records, [])
            again = Exchange(accounts_max=matching.TRADERS + 1)
            begun, spent = time.perf_counter(), time.process_time()
            found = again.replay_all(place)
            recovered.append(time.perf_counter() - begun)
            cpu.append(time.process_time() - spent)
            assert found.records == records
            assert again.state_hash() == expected
            del again
    _bench.report(
        "recovery",
        seconds=_bench.spread(recovered, 3),
        cpu_seconds=_bench.spread(cpu, 3),
        control="reading and checking alone",
        control_seconds=_bench.spread(read, 3),
        records=records,
        bytes=size,
        trades=x.trades,
    )


if __name__ == "__main__":
    main()
