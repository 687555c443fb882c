"""Two servers, one CTP between them: the second takes its market from the first one's simulated front."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from qautlra.link.ctp_library import simulated_library
from tests.e2e.conftest import Serve, Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
FRONT = ("--set", "trade.ctp_front.listen=127.0.0.1:0", "--set", "source.sim.history_bars=0")


def front_of(server: Server) -> str:
    services = server.get_json("/healthz")["services"]
    front: str = next(one["front"] for one in services if one["name"] == "ctp_front")
    return front


def ctp_server(serve: Serve, tmp_path: Path, front: str, *more: str, **words: Any) -> Server:
    config = tmp_path / "config_ctp.json"  # the specification's own shape
    broker = {"front_addr": front, "user_id": "feed01", "password": "any-of-them", "broker_id": "9999"}
    config.write_text(
        json.dumps({"brokers": {"sim": broker}, "default_broker": "sim", "rest_api": {"port": 1}})
    )
    env = {"QAUTLRA__CTP__MD_LIB": str(simulated_library()), "QAUTLRA__CTP__ABI": "6.7.13"}
    return serve("--config", str(config), *more, env=env, data=tmp_path / "second", mode="md", **words)


def source_of(server: Server) -> dict[str, Any]:
    services = server.get_json("/healthz")["services"]
    found: dict[str, Any] = next(one for one in services if one["name"] == "source.ctp")
    return found


def wait(server: Server, right: Any, timeout_s: float = 20.0) -> dict[str, Any]:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        health = source_of(server)
        if right(health):
            return health
        time.sleep(0.1)
    raise AssertionError(health)


def test_the_specifications_file_drives_the_source_and_a_cut_is_healed(serve: Serve, tmp_path: Path) -> None:
    first = serve(*FRONT, "--set", "trade.ctp_front.silence_ms=2000")
    front = front_of(first)
    second = ctp_server(serve, tmp_path, front, "--set", "source.ctp.instruments=rb2701,NOSUCH99")
    health = wait(second, lambda h: h["rows"] > 20)
    assert (health["login"], health["release"], health["state"]) == ("logged_in", "6.7.13", "logged_in")
    assert health["not_published"] == 0
    status = second.get_json("/api/status")
    assert "any-of-them" not in json.dumps([status, second.get_json("/healthz")])
    assert "any-of-them" not in second.log.read_text()
    subscribed = json.dumps({"instruments": ["au2702"]}).encode()
    assert second.request("POST", "/api/subscribe", subscribed, Content_Type="application/json")[0] == 200
    wait(second, lambda h: h["subscribed"] == 2)

    port = int(front.rpartition(":")[2])
    first.kill()
    wait(second, lambda h: not h["connected"])
    serve("--set", f"trade.ctp_front.listen=127.0.0.1:{port}")
    rows = source_of(second)["rows"]
    health = wait(second, lambda h: h["login"] == "logged_in" and h["rows"] > rows + 20)
    assert health["subscribed"] == 2


def test_a_trader_for_one_account_at_the_front_is_synced(serve: Serve, tmp_path: Path) -> None:
    first = serve(*FRONT)
    account = ("--account", "acc001", "--broker", "paper", "--cash", "5000000")
    first.add_user("acc001", "a-Passw0rd-of-tests", *account)
    config = tmp_path / "trader.toml"  # the specification's own shape
    config.write_text(
        "[account]\naccount_cookie = 'acc001'\npassword = 'a-Passw0rd-of-tests'\nbroker_id = '9999'\n"
        f"appid = 'client_program_1'\nauth_code = '0000000000000000'\ntd_server = '{front_of(first)}'\n"
        "[mq]\nuri = ''\n"
    )
    env = {"QAUTLRA__CTP__TD_LIB": str(simulated_library()), "QAUTLRA__CTP__ABI": "6.7.11"}
    second = serve("--config", str(config), env=env, data=tmp_path / "second", mode="trade", wait=False)

    def state() -> str:
        try:
            services = second.get_json("/healthz")["services"]
        except OSError:
            return ""
        return next((one["state"] for one in services if one["name"] == "trade"), "")

    until = time.monotonic() + 30
    while state() != "synced":
        assert time.monotonic() < until and second.process.poll() is None, second.log.read_text()[-2000:]
        time.sleep(0.1)
    assert "a-Passw0rd-of-tests" not in second.log.read_text()


def test_without_a_library_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    sets = ["source.ctp.brokers.x.front_addr=tcp://127.0.0.1:1", "source.ctp.default_broker=x"]
    words = [word for one in [*sets, f"ctp.md_lib={tmp_path / 'none.so'}"] for word in ("--set", one)]
    done = subprocess.run(
        [sys.executable, "-m", "qautlra", "serve", "--mode", "md", "--source", "ctp", "--port", "0", *words],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (1, 2)
    assert "no such CTP library" in done.stderr and "none.so" in done.stderr
