"""The unmodified TqSdk against `qautlra serve`: prices that are not there, series over a restart, a backtest.

`test_acceptance` runs the acceptance check of the reference data, all of its capabilities.
"""

import csv
import subprocess
from pathlib import Path

import pytest

from tests.contract.conftest import TqClient
from tests.e2e.conftest import Serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NONE = "1.7976931348623157e+308"  # how CTP writes no value
HEAD = """
    TradingDay InstrumentID ExchangeID LastPrice PreSettlementPrice PreClosePrice PreOpenInterest OpenPrice
    HighestPrice LowestPrice Volume Turnover OpenInterest ClosePrice SettlementPrice UpperLimitPrice
    LowerLimitPrice UpdateTime UpdateMillisec BidPrice1 BidVolume1 AskPrice1 AskVolume1 AveragePrice ActionDay
""".split()  # noqa: SIM905


def row(code: str, exchange: str, at: float, last: str, volume: int, **book: str) -> list[str]:
    known = last != NONE
    values = {
        "TradingDay": "20210104",
        "ActionDay": "20210104",
        "InstrumentID": code,
        "ExchangeID": exchange,
        "LastPrice": last,
        "PreSettlementPrice": "5216.2",
        "PreClosePrice": "5227.0",
        "PreOpenInterest": "90826",
        "OpenPrice": last,
        "HighestPrice": last,
        "LowestPrice": last,
        "Volume": str(volume),
        "Turnover": str(volume * 5000 * 300),
        "OpenInterest": "90000",
        "ClosePrice": NONE,
        "SettlementPrice": NONE,
        "UpperLimitPrice": "5737.8",
        "LowerLimitPrice": "4694.6",
        "UpdateTime": f"09:30:{int(at):02d}",
        "UpdateMillisec": str(int(at * 1000) % 1000),
        "BidPrice1": NONE,
        "BidVolume1": "0",
        "AskPrice1": NONE,
        "AskVolume1": "0",
        "AveragePrice": "1569000.0" if known else NONE,
    } | book
    return [values[name] for name in HEAD]


def write_limits(path: Path) -> None:
    """Twelve seconds of trading, six of limit-up, six of limit-down; beside it a contract without a trade."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEAD)
        for step in range(48):
            at, volume = step / 2, 100 + step
            if step < 24:
                book = {"BidPrice1": "5230.0", "BidVolume1": "3", "AskPrice1": "5230.4", "AskVolume1": "2"}
                out.writerow(row("IF2101", "CFFEX", at, "5230.0", volume, **book))
            elif step < 36:
                book = {"BidPrice1": "5737.8", "BidVolume1": "900"}
                out.writerow(row("IF2101", "CFFEX", at, "5737.8", volume, **book))
            else:
                book = {"AskPrice1": "4694.6", "AskVolume1": "700"}
                out.writerow(row("IF2101", "CFFEX", at, "4694.6", volume if step < 47 else 900, **book))
            if step % 4 == 0:
                out.writerow(row("rb2105", "SHFE", at, NONE, 0))


def test_prices_that_are_not_there_are_nan(serve: Serve, tq: TqClient, tmp_path: Path) -> None:
    write_limits(tmp_path / "limits.csv")
    server = serve("--source", "replay", "--replay", str(tmp_path / "limits.csv"), "--speed", "1")
    seen = tq("limits", server.ws)

    books = [
        (q["last_price"], q["ask_price1"], q["ask_volume1"], q["bid_price1"], q["bid_volume1"])
        for q in seen["quotes"]
    ]
    assert books == [
        (5230.0, 5230.4, 2, 5230.0, 3),
        (5737.8, None, 0, 5737.8, 900),
        (4694.6, 4694.6, 700, None, 0),
    ]
    assert seen["last_tick"] == {
        "last_price": 4694.6,
        "ask_price1": 4694.6,
        "ask_volume1": 700,
        "bid_price1": None,
    }
    assert seen["last_bar"]["close"] == 4694.6
    still = seen["still"]
    assert still.pop("datetime").startswith("2021-01-04 09:30:")
    for name in ("last_price", "ask_price1", "bid_price1", "open", "highest", "average"):
        assert still[name] is None, name
    assert (still["ask_volume1"], still["bid_volume1"], still["pre_settlement"]) == (0, 0, 5216.2)
    assert seen["still_bars"] == [None] * 10
    assert seen["still_tick"] == {"last_price": None, "ask_price1": None, "bid_price1": None}


def test_rows_keep_their_ids_over_a_restart(serve: Serve, tq: TqClient, tmp_path: Path) -> None:
    first = serve(data=tmp_path / "data")
    before = tq("series", first.ws)
    first.stop()
    after = tq("series", serve(data=tmp_path / "data").ws)
    for period, rows in before.items():
        assert len(rows) == 20, period
        assert [r[0] for r in rows] == list(range(rows[0][0], rows[0][0] + 20))
        later = {r[0]: r for r in after[period]}
        assert max(later) >= rows[-1][0]
        assert [later[r[0]] for r in rows[:-1] if r[0] in later] == [r for r in rows[:-1] if r[0] in later]


def test_main_contract_and_index_of_a_product(serve: Serve, tq: TqClient) -> None:
    seen = tq("continuous", serve().ws)
    assert seen["listed"] == [seen["underlying"]] == [seen["most_open_interest"]]
    assert seen["class"] == ["CONT", "INDEX"]
    assert seen["ticks"] == [0.2, 0.2]
    for name in ("same", "index_between", "index_moves", "bar_close", "index_bar", "past"):
        assert seen[name] is True, (name, seen)


def test_options_by_what_they_are_on(serve: Serve, tq: TqClient, tmp_path: Path) -> None:
    codes = ["IO2101-C-5200", "IO2101-P-5200", "IO2103-C-5400"]
    with (tmp_path / "options.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEAD)
        for step in range(80):
            for code in ("IF2101", *codes):
                out.writerow(row(code, "CFFEX", step / 2, "5230.0", 100 + step))
    server = serve("--source", "replay", "--replay", str(tmp_path / "options.csv"), "--speed", "1")
    full = [f"CFFEX.{code}" for code in codes]
    assert tq("options", server.ws) == {
        "all": full,
        "calls": [full[0], full[2]],
        "march": [full[2]],
        "at_5200": full[:2],
        "none": [],
    }


def test_backtest_reads_the_past(serve: Serve, tq: TqClient) -> None:
    seen = tq("backtest", serve().ws)
    assert seen["ordered"]
    assert seen["bars"] >= 345


@pytest.mark.shared
def test_acceptance(serve: Serve, tqsdk_python: str, shared: Path, tmp_path: Path) -> None:
    check = shared / "checks" / "tq" / "tq_md_check.py"
    done = subprocess.run(
        [tqsdk_python, str(check), "--md-url", serve().ws],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=tmp_path,
    )
    assert "15 passed, 0 failed, 0 skipped" in done.stdout, done.stdout[-3000:]


@pytest.mark.shared
def test_acceptance_on_a_recorded_day(
    serve: Serve, tqsdk_python: str, shared: Path, real_day: Path, tmp_path: Path
) -> None:
    server = serve("--source", "replay", "--replay", str(real_day), "--speed", "10")
    check = shared / "checks" / "tq" / "tq_md_check.py"
    what = ["--symbol", "CFFEX.IF2101", "--others", "", "--skip", "multi"]
    done = subprocess.run(
        [tqsdk_python, str(check), "--md-url", server.ws, *what],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=tmp_path,
    )
    assert "14 passed, 0 failed, 1 skipped" in done.stdout, done.stdout[-3000:]


@pytest.mark.shared
def test_acceptance_of_trading(serve: Serve, tqsdk_python: str, shared: Path, tmp_path: Path) -> None:
    server = serve()
    password = "Check-pass-1"
    server.add_user("check", password, "--account", "check", "--broker", "paper", "--cash", "10000000")
    check = shared / "checks" / "tq" / "tq_trade_check.py"
    who = ["--bid", "paper", "--user", "check", "--password", password]
    urls = ["--td-url", f"ws://127.0.0.1:{server.port}/ws/trade", "--md-url", server.ws]
    done = subprocess.run(
        [tqsdk_python, str(check), *urls, *who],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=tmp_path,
    )
    assert "17 passed, 0 failed, 0 skipped" in done.stdout, done.stdout[-3000:]


def test_trading_goes_on_over_the_end_of_a_day(serve: Serve, tq: TqClient) -> None:
    server = serve()
    server.add_user("check", "Check-pass-1", "--account", "check", "--broker", "paper", "--cash", "1000000")
    server.add_user("root", "Root-pass-1", "--role", "admin")
    assert tq("days", server.ws) == {
        "opened": "0 全部成交",
        "before": {"pos_long_today": 1},
        "after": {"pos_long_his": 1, "pos_long_today": 0, "volume_long": 1},
        "settled": True,
        "refused": "1 平今手数超过今仓持仓量",
        "closed": "0 全部成交",
        "adds_up": True,
    }
