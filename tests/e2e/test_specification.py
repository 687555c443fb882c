"""The specification's own samples, byte for byte: its subscribe frame, curl line and configuration files."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.e2e.conftest import Serve, free_port
from tests.services import program

# What JSON.stringify makes of the specification's object.
SUBSCRIBE = '{"aid":"subscribe_quote","ins_list":"au2512,rb2512,IF2506"}'
DAY = ("--set", "source.sim.trading_day=2025-06-03", "--set", "source.sim.history_bars=0")


def blocks(shared: Path, language: str) -> list[str]:
    text = (shared / "specification.zh.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def first_quotes(url: str, frame: str = SUBSCRIBE, wanted: int = 3) -> dict[str, dict[str, object]]:
    quotes: dict[str, dict[str, object]] = {}
    deadline = time.monotonic() + 20
    with connect(url) as ws:
        ws.send(frame)
        while len(quotes) < wanted and time.monotonic() < deadline:
            message = json.loads(ws.recv(timeout=20))
            for part in message.get("data", []) if message.get("aid") == "rtn_data" else []:
                for key, value in part.get("quotes", {}).items():
                    quotes.setdefault(key, {}).update(value)
    return quotes


def test_subscribe_frame_gives_data(serve: Serve) -> None:
    server = serve(*DAY)
    quotes = first_quotes(server.ws)
    assert set(quotes) == {"au2512", "rb2512", "IF2506"}
    assert all(isinstance(q["last_price"], float) and q["last_price"] > 0 for q in quotes.values())


def at_sample_port(serve: Serve) -> None:
    """Start a server at port 8080, which the sample names; it is ready when it says so itself.

    Servers of other tests take that port beside their own while it is free, and answer there for a while.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        server = serve(*DAY, "--set", "net.listen=127.0.0.1:8080", port=8080, wait=False)
        while server.process.poll() is None and time.monotonic() < deadline:
            if "is ready" in server.log.read_text():
                return
            time.sleep(0.05)
        assert "cannot listen" in server.log.read_text(), server.log.read_text()[-3000:]
    pytest.skip("port 8080, which the sample names, is taken on this machine")


def test_curl_line_gives_data(serve: Serve, shared: Path) -> None:
    program("curl")
    (line,) = [b for b in blocks(shared, "bash") if "curl -X GET" in b]
    at_sample_port(serve)
    deadline = time.monotonic() + 20
    rows: list[dict[str, object]] = []
    while not rows and time.monotonic() < deadline:
        run = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30)
        assert run.returncode == 0, run.stderr
        rows = json.loads(run.stdout)
        time.sleep(0.1)
    assert rows
    assert len(rows) <= 1000
    assert {row["instrument_id"] for row in rows} == {"SHFE.au2512"}


@pytest.mark.parametrize("how", ["flag", "environment", "whole", "directory"])
def test_gateway_file_gives_data(serve: Serve, shared: Path, tmp_path: Path, how: str) -> None:
    (text,) = [b for b in blocks(shared, "json") if '"front_addr"' in b]
    path = tmp_path / ("config.json" if how == "directory" else "config_ctp.json")
    arguments: tuple[str, ...] = DAY
    env: dict[str, str] = {}
    if how == "whole":
        env["QAMDGATEWAY_CONFIG"] = text
    else:
        path.write_text(text, encoding="utf-8")
    if how == "flag":
        arguments = (*DAY, "--config", str(path))
    elif how == "environment":
        env["QAMDGATEWAY_CONFIG_PATH"] = str(path)
    server = serve(*arguments, env=env)
    assert set(first_quotes(server.ws)) == {"au2512", "rb2512", "IF2506"}
    # a placeholder broker cannot be logged in to: what is served instead must be said, not hidden
    status = server.get_json("/api/status")
    assert "sim" in json.dumps(status["sources"])


def test_store_file_and_variables_give_data(serve: Serve, shared: Path, tmp_path: Path) -> None:
    (text,) = [b for b in blocks(shared, "json") if '"data_directory"' in b]
    path = tmp_path / "qadb.json"
    path.write_text(text, encoding="utf-8")
    port = free_port()
    (exports,) = [b for b in blocks(shared, "bash") if "QADB_WS_CLIENT_ENABLED" in b]
    env = dict(re.findall(r"export (\w+)=(\S+)", exports))
    assert env["QADB_WS_CLIENT_INSTRUMENTS"] == "au2512,rb2512,IF2506"
    env["QADB_WS_CLIENT_PORT"] = str(port)  # the feed is this same process, listening where the test says
    server = serve(*DAY, "--config", str(path), env=env, port=port)
    deadline = time.monotonic() + 20
    rows: list[dict[str, object]] = []
    while not rows and time.monotonic() < deadline:
        rows = server.query(stream="futures_market", start_time="1h-ago", end_time="now", limit=10)
        time.sleep(0.1)
    assert rows
