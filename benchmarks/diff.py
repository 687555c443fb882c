"""Diff of two 57-field snapshots, 8 fields changed, and the DIFF JSON of the change, called from Python.

Measures the core's function alone, one call at a time; the control does the same on dicts with orjson.
"""

from __future__ import annotations

import itertools
import random
import time
from typing import Any

import orjson

import _bench

_bench.import_product()

from qautlra._core.feed import patch_message  # noqa: E402
from qautlra._core.market import COUNT_FIELDS, FIELDS, Instruments, Rows  # noqa: E402
from qautlra.model.calendar import load_calendar  # noqa: E402

CHANGED = (
    "datetime",
    "last_price",
    "volume",
    "amount",
    "average",
    "open_interest",
    "bid_volume1",
    "ask_volume1",
)
TARGET_US = 0.25


def main() -> None:
    """Measure both in turn and print the line."""
    chosen = _bench.options(__doc__ or "")
    rounds, calls = (3, 20_000) if chosen.short else (9, 200_000)
    instruments = Instruments(load_calendar())
    rows = Rows(instruments)
    dicts = snapshots(random.Random(1), 64)
    for values in dicts:
        rows.append_dict(instruments, values)
    shown = [text_times(values) for values in dicts]
    pairs = [(i, i + 1) for i in range(len(dicts) - 1)]

    for i, j in pairs:  # the two must say the same before either is timed
        ours, theirs = (
            orjson.loads(patch_message(rows, i, rows, j)),
            orjson.loads(in_python(shown[i], shown[j])),
        )
        assert ours == theirs, (ours, theirs)

    core: list[float] = []
    control: list[float] = []
    for _ in range(rounds):
        core.append(core_us(rows, pairs, calls))
        control.append(control_us_of(shown, pairs, calls // 4))
    ours_us, control_us = _bench.spread(core), _bench.spread(control)
    _bench.report(
        "diff",
        value_us=ours_us,
        calls=calls,
        fields=f"{len(CHANGED)} of {len(FIELDS)} changed",
        bytes=len(patch_message(rows, 0, rows, 1)),
        control="dict comparison in Python and orjson, same values",
        control_us=control_us,
        ratio_to_control=round(control_us["median"] / ours_us["median"], 2),
        target_us=TARGET_US,
        met=ours_us["median"] <= TARGET_US,
        note="core function called from Python in a loop, loop included; no socket",
    )


def snapshots(chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Return snapshots with all values present, each differing from the one before in CHANGED only."""
    now: dict[str, Any] = {"instrument_id": "SHFE.au2512"}
    for name in FIELDS:
        now[name] = chance.randrange(1, 500) if name in COUNT_FIELDS else round(chance.uniform(700, 900), 2)
    now |= {"datetime": 1_748_914_200_000_000_000, "volume": 120_000, "open_interest": 180_000.0}
    found = []
    for _ in range(count):
        now = dict(now)
        for name in CHANGED:
            now[name] += chance.choice((1, 2, 3)) if name in COUNT_FIELDS or name == "open_interest" else 0.02
            if name not in COUNT_FIELDS:
                now[name] = round(now[name], 2)
        now["datetime"] += 500_000_000
        found.append(now)
    return found


def text_times(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values as a dict-based feed would hold them: times as text already."""
    seconds = values["datetime"] / 1e9 + 8 * 3600
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
    return values | {"datetime": f"{stamp}.{values['datetime'] % 10**9 // 1000:06d}"}


def in_python(before: dict[str, Any], after: dict[str, Any]) -> bytes:
    """Return the frame of what changed, as straightforward Python does it."""
    change = {key: value for key, value in after.items() if before[key] != value}
    change["instrument_id"] = name = after["instrument_id"]
    return orjson.dumps({"aid": "rtn_data", "data": [{"quotes": {name: change}}]})


def core_us(rows: Rows, pairs: list[tuple[int, int]], calls: int) -> float:
    """Return microseconds per call of the core's function."""
    work = list(itertools.islice(itertools.cycle(pairs), calls))
    start = time.perf_counter()
    for i, j in work:
        patch_message(rows, i, rows, j)
    return (time.perf_counter() - start) / calls * 1e6


def control_us_of(shown: list[dict[str, Any]], pairs: list[tuple[int, int]], calls: int) -> float:
    """Return microseconds per call of the control."""
    work = [(shown[i], shown[j]) for i, j in itertools.islice(itertools.cycle(pairs), calls)]
    start = time.perf_counter()
    for before, after in work:
        in_python(before, after)
    return (time.perf_counter() - start) / calls * 1e6


if __name__ == "__main__":
    main()
