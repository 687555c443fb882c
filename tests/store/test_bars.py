"""One-minute bars of the real days against pandas, wherever the rows lie and wherever the range begins."""

from pathlib import Path
from typing import Any

import pytest

from qautlra._core.market import CtpNormaliser
from qautlra.source.files import TickFile
from tests.store.world import World, run, world

pytestmark = pytest.mark.shared


async def load(w: World, paths: list[Path]) -> None:
    for path in paths:
        normaliser = CtpNormaliser(w.instruments, w.instruments.calendar)
        for batch in TickFile(path).batches():
            rows, _ = normaliser.rows(batch, trust_action_day=True, now_ns=0)
            at = 0
            while at < len(rows):
                at = w.tape.publish(rows, at)
                w.store.drain()


def by_pandas(path: Path) -> list[tuple[Any, ...]]:
    """Bars computed from the CSV, importing nothing of ours."""
    import pandas as pd

    ticks = pd.read_csv(path, dtype={"ActionDay": str})
    stamp = pd.to_datetime(
        ticks["ActionDay"]
        + " "
        + ticks["UpdateTime"]
        + "."
        + ticks["UpdateMillisec"].astype(str).str.zfill(3)
    )
    day = stamp.iloc[0].normalize()
    label = stamp.dt.floor("min")
    for opened, closed in (("09:30", "11:30"), ("13:00", "15:00")):
        start, end = day + pd.Timedelta(opened + ":00"), day + pd.Timedelta(closed + ":00")
        if opened == "09:30":
            label = label.where(stamp >= start, start)
        label = label.where(
            ~((stamp >= end) & (stamp < end + pd.Timedelta("1s"))), end - pd.Timedelta("1min")
        )
    inside = pd.Series(False, index=ticks.index)
    for opened, closed in (("09:30", "11:30"), ("13:00", "15:00")):
        inside |= (label >= day + pd.Timedelta(opened + ":00")) & (label < day + pd.Timedelta(closed + ":00"))
    ticks, label = ticks[inside], label[inside]
    grouped = ticks.groupby(label)
    bars = grouped["LastPrice"].agg(["first", "max", "min", "last"])
    bars["volume"] = grouped["Volume"].last().diff().fillna(grouped["Volume"].last()).astype(int)
    bars["oi"] = grouped["OpenInterest"].last()
    utc = bars.index - pd.Timedelta("8h")
    return [
        (moment.strftime("%Y-%m-%dT%H:%M:00.000000Z"), *row)
        for moment, row in zip(utc, bars.itertuples(index=False, name=None), strict=True)
    ]


def shown(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("datetime", "open", "high", "low", "close", "volume", "close_oi")
    return [tuple(row[name] for name in names) for row in rows]


def test_bars_agree_with_pandas(real_days: list[Path], tmp_path: Path) -> None:
    expected = [bar for path in real_days for bar in by_pandas(path)]
    assert len(expected) == 480

    async def story() -> None:
        async with world(tmp_path, hot_bytes=64 << 20) as w:
            await load(w, real_days[:1])
            hot = await w.query("bar_1m", end_time="2021-01-08")
            assert shown(hot) == expected[:240]
            assert {row["trading_date"] for row in hot} == {"2021-01-04"}
            await w.store.compact()
            assert w.store._open is not None
            w.store._open.hot.evict_through(2**62)
            await load(w, real_days[1:])
            both = await w.query("bar_1m", end_time="2021-01-08")
            assert shown(both) == expected
            # a range that begins in the middle of a day has the same bars as the whole
            middle = await w.query("bar_1m", start_time="2021-01-04 13:07", end_time="2021-01-05 09:33")
            assert middle == [
                row for row in both if "2021-01-04T05:07" <= row["datetime"] < "2021-01-05T01:33"
            ]
            assert len(middle) == 113 + 3
            newest = await w.query("bar_1m", end_time="2021-01-08", limit=5, descending=True)
            assert newest == both[:-6:-1]
            # and all of it agrees with the bars the tape kept
            kept = w.tape.bars(w.instruments.find("CFFEX.IF2101")).to_pydict()
            assert kept["volume"] == [row["volume"] for row in both]
            assert kept["close"] == [row["close"] for row in both]

    run(story())
