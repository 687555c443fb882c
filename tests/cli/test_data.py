"""`qautlra data` on a data directory of its own, and through a server that holds it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from qautlra.cli.main import cli, run
from tests.conftest import PRODUCT

HEAD = "TradingDay,InstrumentID,UpdateTime,UpdateMillisec,ActionDay,LastPrice,Volume,Turnover,OpenInterest"
ROWS = 300


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("QAUTLRA__", "QADB_", "QAMDGATEWAY_", "P_", "RUST_LOG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("QAUTLRA__STORE__DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ticks(tmp_path: Path) -> Path:
    path = tmp_path / "ticks.csv"
    lines = [
        f"20210104,IF2101,09:{30 + n // 60:02d}:{n % 60:02d},500,20210104,"
        f"{5230 + n % 7 * 0.2:.1f},{n},{n}000.0,9000.0"
        for n in range(ROWS)
    ]
    path.write_text("\n".join([HEAD, *lines]) + "\n")
    return path


def call(*arguments: str) -> int:
    return run(cli, ["data", *arguments], "qautlra")


def read(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", ["query", "export --out x.csv"])
def test_reading_a_mistyped_directory_is_an_error_and_makes_none(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*command.split(), "--data-dir", str(tmp_path / "dtaa")) == 1
    assert "dtaa: there is no store here" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_import_export_and_import_again(
    ticks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("import", str(ticks), "--json") == 0
    report = read(capsys)
    assert (report["new_rows"], report["known_rows"], report["bad_rows"]) == (ROWS, 0, 0)
    assert call("import", str(ticks), "--json") == 0
    report = read(capsys)
    assert (report["new_rows"], report["known_rows"]) == (0, ROWS)

    for name, reader in (("day.parquet", pq.read_table), ("day.csv", csv.read_csv)):
        assert call("export", "--out", name, "--json") == 0
        assert read(capsys) == {"path": name, "rows": ROWS}
        table = reader(tmp_path / name)
        assert table.num_rows == ROWS
        assert table.column("volume").to_pylist() == list(range(ROWS))
        # what was exported, imported into another place, is the same
        monkeypatch.setenv("QAUTLRA__STORE__DATA_DIR", str(tmp_path / f"other-{name}"))
        assert call("import", name, "--json") == 0
        assert read(capsys)["new_rows"] == ROWS
        assert call("query", "--start", "2021-01-04", "--end", "2021-01-05", "--json") == 0
        copied = read(capsys)
        monkeypatch.setenv("QAUTLRA__STORE__DATA_DIR", str(tmp_path / "data"))
        assert call("query", "--start", "2021-01-04", "--end", "2021-01-05", "--json") == 0
        original = read(capsys)
        ours = {"recv_time", "source"}
        assert [{k: v for k, v in row.items() if k not in ours} for row in copied] == [
            {k: v for k, v in row.items() if k not in ours} for row in original
        ]


def test_query_in_every_form(ticks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("import", str(ticks)) == 0
    capsys.readouterr()
    asked = (
        "query",
        "--start",
        "2021-01-04",
        "--end",
        "2021-01-05",
        "--fields",
        "datetime,volume",
        "--limit",
        "2",
    )
    assert call(*asked, "--json") == 0
    assert [row["volume"] for row in read(capsys)] == [0, 1]
    assert call(*asked, "--order", "desc", "--format", "ndjson") == 0
    assert [json.loads(line)["volume"] for line in capsys.readouterr().out.splitlines()] == [
        ROWS - 1,
        ROWS - 2,
    ]
    assert call(*asked, "--format", "csv") == 0
    assert capsys.readouterr().out.splitlines()[0] == '"datetime","volume"'
    assert call(*asked, "--format", "table", "--filter", "volume = 1") == 0
    assert "volume" in capsys.readouterr().out
    assert call("query", "--start", "yesterdayish") == 1
    assert "yesterdayish" in capsys.readouterr().err
    assert call("query", "--stream", "nosuch", "--json") == 1
    assert "nosuch" in read(capsys)["error"]


def test_damage_is_told_and_what_was_readable_is_kept(
    ticks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("import", "absent.csv") == 1
    assert "absent.csv" in capsys.readouterr().err
    bad = tmp_path / "other.csv"
    bad.write_text("a,b\n1,2\n")
    assert call("import", str(bad), str(ticks)) == 1
    out = capsys.readouterr()
    assert "InstrumentID" in out.err
    assert f"{ROWS} new" in out.out
    assert call("export", "--out", "x.unknown") == 1
    assert ".parquet" in capsys.readouterr().err


@pytest.fixture
def server(tmp_path: Path, ticks: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "qautlra", "serve", "--mode", "all", "--port", str(port), "--json",
        "--source", "replay", "--replay", str(ticks), "--speed", "max",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": PRODUCT}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    assert process.stdout is not None
    facts = json.loads(process.stdout.readline())
    assert facts["ports"] == [port]
    assert facts["data_dir"] == str(tmp_path / "data")
    yield port
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.slow
def test_through_the_server_that_holds_the_directory(
    server: int, ticks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("--set", f"net.listen=127.0.0.1:{server}")
    asked = ("query", "--start", "2021-01-04", "--end", "2021-01-05", "--json")
    rows: list[Any] = []
    for _ in range(100):
        assert call(*asked, *here) == 0
        rows = read(capsys)
        if len(rows) == ROWS:
            break
    assert len(rows) == ROWS
    assert call("export", "--out", "day.parquet", "--port", str(server)) == 0
    assert pq.read_table(tmp_path / "day.parquet").num_rows == ROWS
    capsys.readouterr()
    assert call("import", str(ticks), *here) == 1
    assert f"port {server}" in capsys.readouterr().err
    assert call(*asked, "--set", "net.listen=127.0.0.1:1") == 1
    assert "held by another process" in capsys.readouterr().out
    assert call("query", "--port", str(server), "--filter", "((", "--json") == 1
    assert "400" in read(capsys)["error"]
