"""A live market before a store, a busy one, until standard input ends: says now and then how it goes.

`python -m tests.fault.live_writer DIRECTORY`; each line is a JSON object. Its parent has the disk fail.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from qautlra.app.gate import GatedPump
from qautlra.base import log
from qautlra.store.fileproc import FileProcess
from tests.store.world import OPENING, world
from tests.store.world import tick as row

BATCH_ROWS = 500
ROWS_PER_S = 60_000
SAY_S = 0.1
STEP_NS = 50_000
SYMBOLS = [f"SHFE.au21{month:02d}" for month in range(1, 13)]


async def write(directory: Path) -> None:
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.read)
    async with world(directory, make_filer=FileProcess, hot_bytes=256 << 20) as w:
        pump = GatedPump(
            w.tape,
            [w.store.drain],
            when_held="drop",
            shed=w.store.shed,
            is_open=lambda: True,
            missed=w.store.miss,
        )  # type: ignore[arg-type]
        most_s, said_s, seen_s, at = 0.0, 0.0, time.monotonic(), 0
        due_s = seen_s
        while not ended.done():
            moments = (OPENING + (at + n) * STEP_NS for n in range(BATCH_ROWS))
            rows = w.rows(
                row(SYMBOLS[n % 12], moment, last_price=700.0 + n % 7, volume=n)
                for n, moment in enumerate(moments)
            )
            await pump.publish(rows)
            at += BATCH_ROWS
            now_s = time.monotonic()
            most_s = max(most_s, now_s - seen_s)
            due_s = max(due_s + BATCH_ROWS / ROWS_PER_S, now_s)  # what was missed is not made up for
            await asyncio.sleep(due_s - now_s)
            seen_s = time.monotonic()
            most_s = max(most_s, seen_s - due_s)  # others had the loop meanwhile
            if now_s - said_s > SAY_S:
                facts = w.store.health()
                told = {
                    "published": pump.rows,
                    "given_up": pump.dropped,
                    "most_s": round(most_s, 4),
                    "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                    **{name: facts.get(name, 0) for name in ("rows_logged", "rows_shed", "unwritten_bytes")},
                    "error": facts.get("error", ""),
                }
                print(json.dumps(told), flush=True)
                most_s, said_s = 0.0, now_s
        assert w.store._open is not None
        await w.store.flush()
        print(json.dumps({"logged": w.store.health()["rows_logged"]}), flush=True)


if __name__ == "__main__":
    log.configure("info", "json")  # beside what is said
    asyncio.run(write(Path(sys.argv[1])))
