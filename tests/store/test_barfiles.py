"""Stored bars from files against the plain way: all of them, filtered, sorted, cut."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from qautlra.store import barfiles
from qautlra.store.barfiles import BarFiles
from qautlra.store.mask import passing
from qautlra.store.parquet import Layout, write_partitions
from qautlra.store.plan import Plan
from qautlra.store.predicate import Compare
from qautlra.store.schema import BAR_1M, BAR_SCHEMA, INSTRUMENT, STREAMS, TIME
from tests.store.world import OPENING

START_US = OPENING // 1_000
MINUTE_US = 60_000_000
SYMBOLS = [f"SHFE.au25{month:02d}" for month in range(1, 13)] + [f"SHFE.ag25{m:02d}" for m in range(1, 13)]


@pytest.mark.parametrize("kept_bytes", [1, 64 << 20])
def test_the_same_bars_as_the_plain_way(
    tmp_path: Path, kept_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(barfiles, "KEPT_BYTES", kept_bytes)
    rng = random.Random(4)
    rows = [
        {
            INSTRUMENT: symbol, TIME: START_US + minute * MINUTE_US,
            "trading_date": date(2021, 1, 4 + minute // 60), "volume": rng.randrange(100),
            "open": rng.choice([None, 1.0, 2.0]), "close": rng.random(),
        }
        for minute in range(120)
        for symbol in rng.sample(SYMBOLS, 15)
    ]  # fmt: skip
    table = pa.table(
        [pa.array([row.get(field.name) for row in rows], field.type) for field in BAR_SCHEMA], BAR_SCHEMA
    )
    table = table.sort_by([(INSTRUMENT, "ascending"), (TIME, "ascending")])
    some = pc.less(table.column("close"), 0.2)
    files = []
    for tag, part in enumerate((table.filter(some), table.filter(pc.invert(some)))):
        files += write_partitions(tmp_path, part, 0, 0, Layout(row_group_rows=64), stream=BAR_1M, tag=tag)
    reader, stream = BarFiles(tmp_path), STREAMS[BAR_1M]
    for _ in range(80):
        low = START_US + rng.randrange(100) * MINUTE_US
        symbols = rng.choice([None, frozenset(rng.sample(SYMBOLS, 2)), frozenset(rng.sample(SYMBOLS, 20))])
        rest = rng.choice([None, Compare("volume", ">", 50)])
        plan = Plan(
            stream, rng.choice([tuple(stream.columns), ("close",)]), low, low + rng.randrange(60) * MINUTE_US,
            (date(1, 1, 1), date(9999, 1, 1)), symbols, rest, None, rng.random() < 0.5, False,
        )  # fmt: skip
        limit = rng.choice([None, 0, 3, 500])
        moment = BAR_SCHEMA.field(TIME).type
        wanted = table.filter(
            pc.and_(
                pc.greater_equal(table.column(TIME), pa.scalar(plan.start_us, moment)),
                pc.less(table.column(TIME), pa.scalar(plan.stop_us, moment)),
            )
        )
        if symbols is not None:
            wanted = wanted.filter(pc.is_in(wanted.column(INSTRUMENT), pa.array(sorted(symbols))))
        wanted = wanted if rest is None else passing(wanted, rest)
        order = "descending" if plan.descending else "ascending"
        wanted = wanted.sort_by([(TIME, order), (INSTRUMENT, order)]).slice(0, limit)
        found = reader.read(plan, files, plan.start_us, plan.stop_us, limit)
        assert found.to_pylist() == wanted.select(plan.read_columns).to_pylist()
