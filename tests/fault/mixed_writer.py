"""Ingests into users' streams and the market's at once until it is killed; prints what was acknowledged."""

import asyncio
import itertools
import sys
from pathlib import Path

from qautlra.store import keeping
from qautlra.store.fileproc import FileProcess
from qautlra.store.tables import store as tables
from tests.store.world import OPENING, S, World, tick, world


async def events(w: World, first: int) -> None:
    for number in itertools.count(first):
        rows = [{"n": number}, {"n": number + 0.5, f"c{number % 40}": "x" * 50}]
        await w.store.ingest.ingest(f"s{number % 3}", rows, {}, create=True)
        print("event", number, flush=True)


async def ticks(w: World, first: int) -> None:
    for number in itertools.count(first):
        rows = [tick("SHFE.au2102", OPENING + (number * 10 + n) * S // 10, volume=n) for n in range(10)]
        await w.store.ingest.ingest("futures_market", _shown(rows), {}, create=True)
        print("ticks", number, flush=True)
        if number % 5 == 0:
            await w.store.compact()


def _shown(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{key: value for key, value in row.items() if key != "source"} for row in rows]


async def main(directory: Path, first: int, durability: str) -> None:
    tables.FILE_AGE_S, keeping.EVERY_S = 0.1, 0.05
    async with world(directory, make_filer=FileProcess, durability=durability, segment_bytes=1 << 16) as w:
        print("ready", flush=True)
        await asyncio.gather(events(w, first), ticks(w, first))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
