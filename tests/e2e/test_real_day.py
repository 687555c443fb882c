"""A real trading day goes in, and comes out of the feed, the store and the query API."""

from pathlib import Path

import pandas as pd
import pytest

from tests.e2e.clients import DiffClient, LegacyClient, assert_quote_is, beijing, csv_rows
from tests.e2e.conftest import Serve

pytestmark = pytest.mark.shared
DAY = {"stream": "futures_market", "start_time": "2021-01-04", "end_time": "2021-01-05"}


def test_clients_end_with_the_last_row(serve: Serve, real_day: Path) -> None:
    rows = csv_rows(real_day)
    last = beijing(rows[-1])
    server = serve(
        "--source", "replay", "--replay", str(real_day), "--speed", "max",
        "--set", "source.replay.wait_clients=3",
    )  # fmt: skip

    def finished(key: str):  # type: ignore[no-untyped-def]
        return lambda tree: tree.get("quotes", {}).get(key, {}).get("datetime") == last

    pull = DiffClient(server.ws, "CFFEX.IF2101", finished("CFFEX.IF2101"))
    push = DiffClient(server.ws, "IF2101", finished("IF2101"), peek=False)
    legacy = LegacyClient(server.ws, ["IF2101"], finished("IF2101"))
    clients = [pull, push, legacy]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
        assert client.error is None, client.error
        assert not client.is_alive()
    assert_quote_is(pull.tree["quotes"]["CFFEX.IF2101"], rows[-1])
    assert_quote_is(push.tree["quotes"]["IF2101"], rows[-1])
    assert_quote_is(legacy.tree["quotes"]["IF2101"], rows[-1])
    full = legacy.market_data["IF2101"]
    assert full["last_price"] == 5260.0
    assert full["close"] is None
    assert full["datetime"].startswith("2021-01-04T07:35:19.4")
    assert pull.tree["ins_list"] == "CFFEX.IF2101"
    for client in (pull, push):
        assert len(client.sizes) > 3
        patches = client.sizes[1:]
        assert sum(patches) / len(patches) < 0.30 * client.sizes[0], client.sizes[:3]


def minute_bars(paths: list[Path]) -> pd.DataFrame:
    """One-minute bars of CFFEX IF from the raw file, by pandas alone."""
    frame = pd.concat([pd.read_csv(p, dtype={"ActionDay": str, "TradingDay": str}) for p in paths])
    stamp = pd.to_datetime(frame["ActionDay"] + " " + frame["UpdateTime"]) + pd.to_timedelta(
        frame["UpdateMillisec"], unit="ms"
    )
    frame = frame.assign(stamp=stamp, day=frame["TradingDay"])
    bars = []
    for _, day in frame.groupby("day", sort=True):
        date = day["stamp"].iloc[0].normalize()
        label = day["stamp"].dt.floor("min")
        first = date + pd.Timedelta(hours=9, minutes=30)
        label = label.where(day["stamp"] >= first, first)  # the auction belongs to the first bar
        for end in ("11:30:00", "15:00:00"):
            close = date + pd.Timedelta(end)
            late = (day["stamp"] >= close) & (day["stamp"] < close + pd.Timedelta(seconds=1))
            label = label.where(~late, close - pd.Timedelta(minutes=1))
        clock = (label - date).dt.total_seconds()
        inside = ((clock >= 34200) & (clock < 41400)) | ((clock >= 46800) & (clock < 54000))
        part = day[inside].assign(label=label[inside])
        grouped = part.groupby("label").agg(
            open=("LastPrice", "first"),
            high=("LastPrice", "max"),
            low=("LastPrice", "min"),
            close=("LastPrice", "last"),
            total=("Volume", "last"),
            close_oi=("OpenInterest", "last"),
        )
        grouped["volume"] = grouped["total"].diff().fillna(grouped["total"])
        bars.append(grouped)
    return pd.concat(bars)


def assert_bars_agree(got: list[dict[str, object]], paths: list[Path]) -> None:
    want = minute_bars(paths)
    frame = pd.DataFrame(got)
    frame.index = pd.to_datetime(frame["datetime"]).dt.tz_convert("Asia/Shanghai").dt.tz_localize(None)
    assert list(frame.index) == list(want.index)
    for column in ("open", "high", "low", "close", "volume", "close_oi"):
        assert (frame[column].astype(float).to_numpy() == want[column].astype(float).to_numpy()).all(), column


def test_two_days_are_queryable_row_for_row(serve: Serve, real_days: list[Path], tmp_path: Path) -> None:
    files = [part for path in real_days for part in ("--replay", str(path))]
    server = serve("--source", "replay", *files, "--speed", "max")
    server.wait_source("finished")
    rows = server.query(**DAY, limit=100_000)
    raw = csv_rows(real_days[0])
    assert len(rows) == len(raw) == 27_955
    for got, want in zip(rows[::97], raw[::97], strict=True):
        assert got["instrument_id"] == "CFFEX.IF2101"
        assert got["trading_date"] == "2021-01-04"
        assert (got["last_price"], got["volume"], got["amount"]) == (
            float(want["LastPrice"]), int(want["Volume"]), float(want["Turnover"]),
        )  # fmt: skip
    assert rows == sorted(rows, key=lambda r: (r["datetime"], r["instrument_id"], r["seq"]))
    both = server.query(
        stream="futures_market", start_time="2021-01-04", end_time="2021-01-06", limit=100_000
    )
    assert len(both) == 56_209
    bars = server.query(
        stream="bar_1m",
        start_time="2021-01-04",
        end_time="2021-01-06",
        limit=10_000,
        filter="instrument=IF2101",
    )
    assert_bars_agree(bars, real_days)
    filtered = server.query(**DAY, limit=100_000, filter="instrument=IF2101 AND last_price > 5290")
    assert len(filtered) == sum(float(r["LastPrice"]) > 5290 for r in raw)
    assert server.stop() == 0
    # a restart on the same data answers the same, and replays nothing twice
    again = serve("--source", "replay", *files, "--speed", "max")
    again.wait_source("finished")
    assert (
        again.query(stream="futures_market", start_time="2021-01-04", end_time="2021-01-06", limit=100_000)
        == both
    )
