"""A writer process: replays tick files into a store, resuming where the log ends. Its parent kills it."""

import asyncio
from pathlib import Path

from qautlra._core.market import CtpNormaliser
from qautlra._core.sim import Resume
from qautlra.base.clock import wall_ns
from qautlra.source.files import TickFile
from qautlra.store.fileproc import FileProcess
from tests.store.world import world

SLICE_ROWS = 64


async def write(directory: Path, files: list[Path]) -> None:
    async with world(directory, make_filer=FileProcess, segment_bytes=1 << 19, hot_bytes=4 << 20) as w:
        print("ready", flush=True)
        resume = Resume(w.tape)
        for path in files:
            normaliser = CtpNormaliser(w.instruments, w.instruments.calendar)
            for batch in TickFile(path).batches():
                for at in range(0, batch.num_rows, SLICE_ROWS):
                    rows, _ = normaliser.rows(
                        batch.slice(at, SLICE_ROWS), trust_action_day=True, now_ns=wall_ns()
                    )
                    resume.drop_stored(rows)
                    published = 0
                    while published < len(rows):
                        published = w.tape.publish(rows, published)
                        w.store.drain()
                        await asyncio.sleep(0.004)
        await w.store.flush()
        print("done", flush=True)
