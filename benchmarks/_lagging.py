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
from pathlib import Path
from typing import Any

import _bench

SLEEP_S = 0.002


async def sleeper(seen: array[float]) -> None:
    """Sleep for ever; add to `seen` when each sleep ended (monotonic seconds) and how late (ms)."""
    while True:
        began_s = time.perf_counter()
        await asyncio.sleep(SLEEP_S)
        late_s = time.perf_counter() - began_s - SLEEP_S
        seen.extend((time.monotonic(), late_s * 1e3))


def lags(path: Path, begin_s: float, end_s: float) -> dict[str, Any]:
    """Return quantiles of the lags in ms that a process wrote, of a time in monotonic seconds."""
    seen = array("d", path.read_bytes())
    mine = [late for moment, late in zip(seen[::2], seen[1::2], strict=True) if begin_s <= moment < end_s]
    found = {f"p{share:g}": round(_bench.quantile(mine, share / 100), 3) for share in (50, 90, 99)}
    return found | {"max": round(max(mine), 3), "n": len(mine)}


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
