"""bench: helper. How late sleeps of 2 ms end on an event loop: the server's, or one that does nothing else.

`_lagging.py FILE serve …` is `qautlra serve …` with such a sleeper in the place of its own watch,
`_lagging.py FILE` the sleeper alone on uvloop; either ends by SIGTERM and then writes what it saw.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _bench

SLEEP_S = 0.002


async def sleeper(seen: array[float]) -> None:
    """Sleep for ever; add to `seen` when each sleep ended (monotonic seconds), how late and how much CPU time
    the loop's thread took meanwhile (ms).
    """
    while True:
        began_s, used_s = time.perf_counter(), time.thread_time()
        await asyncio.sleep(SLEEP_S)
        late_s = time.perf_counter() - began_s - SLEEP_S
        seen.extend((time.monotonic(), late_s * 1e3, (time.thread_time() - used_s) * 1e3))


def lags(path: Path, begin_s: float, end_s: float) -> dict[str, Any]:
    """Return quantiles of the lags in ms that a process wrote, of a time in monotonic seconds."""
    mine = [late for moment, late, _ in _seen(path) if begin_s <= moment < end_s]
    found = {f"p{share:g}": round(_bench.quantile(mine, share / 100), 3) for share in (50, 90, 99)}
    return found | {"max": round(max(mine), 3), "n": len(mine)}


def worst(path: Path, spans: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Return of each span of monotonic seconds the longest lag, and the most CPU time one took, in ms."""
    found = dict.fromkeys(spans, (0.0, 0.0))
    for moment, late, used in _seen(path):
        for name, (begin_s, end_s) in spans.items():
            if begin_s <= moment - late / 1e3 < end_s:
                found[name] = max(late, found[name][0]), max(used, found[name][1])
    return {name: (round(late, 1), round(used, 1)) for name, (late, used) in found.items()}


def _seen(path: Path) -> Iterator[tuple[float, float, float]]:
    seen = array("d", path.read_bytes())
    return zip(seen[::3], seen[1::3], seen[2::3], strict=True)


def main() -> None:
    """Be the server or the control."""
    path, arguments = Path(sys.argv[1]), sys.argv[2:]
    seen = array("d")
    try:
        if arguments:
            _serve(arguments, seen)
        else:
            import uvloop

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_alone(seen))
    finally:
        path.write_bytes(seen.tobytes())


def _serve(arguments: list[str], seen: array[float]) -> None:
    _bench.import_product()
    from qautlra.cli.main import main
    from qautlra.net.lag import LoopLag

    async def run(_watch: LoopLag) -> None:
        await sleeper(seen)

    LoopLag.run = run
    sys.argv = ["qautlra", *arguments]
    main()


async def _alone(seen: array[float]) -> None:
    sleeping = asyncio.ensure_future(sleeper(seen))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, sleeping.cancel)
    await asyncio.wait([sleeping])


if __name__ == "__main__":
    main()
