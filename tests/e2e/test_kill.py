"""kill -9 at random moments of a replay, resumed each time: no row lost, none twice."""

import random
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.test_real_day import assert_bars_agree

pytestmark = [pytest.mark.shared, pytest.mark.slow]
KILLS = 25
IN_HAND = 1024  # of a recording: see Durability in docs/store.md


@pytest.mark.timeout(300)
def test_no_row_is_lost_or_doubled_by_kills(serve: Serve, real_days: list[Path], tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    files = [part for path in real_days for part in ("--replay", str(path))]
    data = tmp_path / "kept"
    # about 56,000 rows in 4.5 h of trading a day: a speed that takes some seconds, so that kills fall inside
    arguments = ["--source", "replay", *files, "--speed", "4000", "--set", "store.segment_bytes=1048576"]
    progress = []
    for _ in range(KILLS):
        server = serve(*arguments, data=data)
        time.sleep(rng.uniform(0.0, 0.6))
        progress.append(
            len(
                server.query(
                    stream="futures_market",
                    start_time="2021-01-04",
                    end_time="2021-01-06",
                    limit=100_000,
                    fields=["datetime"],
                )
            )
        )
        server.kill()
    # A row is answered as soon as it is in memory: the kill may take what the log had in hand.
    assert all(later >= earlier - IN_HAND for earlier, later in pairwise(progress)), progress
    server = serve("--source", "replay", *files, "--speed", "max", data=data)
    server.wait_source("finished")
    for day, count in (("2021-01-04", 27_955), ("2021-01-05", 28_254)):
        rows = server.query(
            stream="futures_market", start_time=day, end_time=f"{day} 23:59:59", limit=100_000,
            fields=["datetime", "instrument_id", "seq", "volume"],
        )  # fmt: skip
        assert len(rows) == count
        assert len({(r["datetime"], r["instrument_id"], r["seq"]) for r in rows}) == count
    bars = server.query(stream="bar_1m", start_time="2021-01-04", end_time="2021-01-06", limit=10_000)
    assert_bars_agree(bars, real_days)
    # the kills really fell inside the replay, not before or after it
    assert any(0 < n < 56_209 for n in progress), progress
