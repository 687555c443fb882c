"""Every key of the specification's gateway configuration, changed one at a time: what is seen changes."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from qautlra.config.load import load
from tests.e2e.conftest import Server, free_port

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "examples"
pytestmark = pytest.mark.slow


def base() -> dict[str, Any]:
    broker = {
        "name": "one", "front_addr": "tcp://127.0.0.1:1", "td_addr": "", "user_id": "u1", "password": "p1",
        "broker_id": "9999", "app_id": "a1", "auth_code": "c1", "source_type": "",
    }  # fmt: skip
    return {
        "brokers": {"one": broker, "two": broker | {"name": "two"}},
        "default_broker": "one",
        "websocket": {"host": "127.0.0.1", "port": free_port(), "path": "/ws/market"},
        "rest_api": {
            "host": "127.0.0.1", "port": free_port(),
            "cors": {"allow_all": False, "allowed_origins": [], "allow_credentials": False},
        },
        "subscription": {"default_instruments": [], "auto_subscribe_patterns": []},
        "incremental_updates": {"enabled": True, "batch_interval_ms": 100, "batch_size_threshold": 50},
        "log_level": "info",
    }  # fmt: skip


def put(config: dict[str, Any], path: str, value: Any) -> None:
    *above, name = path.split(".")
    for key in above:
        config = config[key]
    config[name] = value


def flat(config: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name


class Gateway(Server):
    """A server started from a file of the specification's, at the ports it names."""

    config: dict[str, Any]


@contextlib.contextmanager
def gateway(directory: Path, config: dict[str, Any], mode: str, *more: str) -> Iterator[Gateway]:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "config.json"
    file.write_text(json.dumps(config))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("QAUTLRA__", "QADB_", "P_"))}
    environment |= {"QAUTLRA__STORE__DATA_DIR": str(directory / "data"), "XDG_RUNTIME_DIR": str(directory)}
    environment |= {"QAUTLRA__AUTH__USERNAME": "keeper", "QAUTLRA__AUTH__PASSWORD": "Check-pass-1"}
    if "data_directory" in config:
        del environment["QAUTLRA__STORE__DATA_DIR"]
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "qautlra", "serve", "--mode", mode, "--config", str(file), *more],
            stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=directory,
        )  # fmt: skip
    server = Gateway(process, 0, log, environment)
    server.config = config
    try:
        deadline = time.monotonic() + 40
        while "is ready" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.05)
        doors = [
            line for line in log.read_text().splitlines() if "/api/v1/query" in line or "http://" in line
        ]
        server.port = int(doors[0].partition("http://")[2].partition("/")[0].rpartition(":")[2])
        yield server
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def reached(host: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/health", timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


def at_other(door: str) -> Callable[[Gateway], bool]:
    return lambda server: reached("127.0.0.2", server.config[door]["port"])


def at_port(key: str) -> Callable[[Gateway], bool]:
    return lambda _server: reached("127.0.0.1", CASES[key][0])


def cors(server: Server, name: str) -> str:
    request = urllib.request.Request(f"{server.base}/api/status", headers={"Origin": "http://x.example"})
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=10) as reply:
        return str(reply.headers.get(name, ""))
    return ""


def opens(server: Server, path: str) -> bool:
    with contextlib.suppress(Exception), connect(f"ws://127.0.0.1:{server.port}{path}"):
        return True
    return False


def wanted(server: Server) -> int:
    time.sleep(2.5)
    listed = server.get_json("/api/subscriptions")
    return len(json.dumps(listed).split('"')) // 2 if isinstance(listed, list) else len(
        next(value for value in listed.values() if isinstance(value, list))
    )  # fmt: skip


def frames(server: Server, seconds: float) -> list[dict[str, Any]]:
    found = []
    with connect(f"ws://127.0.0.1:{server.port}/ws/market?flow=push") as socket:
        socket.send(json.dumps({"aid": "subscribe_quote", "ins_list": "SHFE.au2512"}))
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                frame = json.loads(socket.recv(left))
                quotes = [part["quotes"] for part in frame.get("data", ()) if "quotes" in part]
                found += [quote["SHFE.au2512"] for quote in quotes if "SHFE.au2512" in quote]
    return found


def later_is_whole(server: Server) -> bool:
    later = frames(server, 3.0)[1:]
    return bool(later) and all("pre_close" in quote for quote in later)


def effective_broker(server: Gateway) -> str:
    return load(files=[str(server.log.with_name("config.json"))]).config.source.ctp.default_broker


EFFECTIVE = {
    "name": "other", "front_addr": "tcp://127.0.0.1:2", "td_addr": "tcp://127.0.0.1:3", "user_id": "u2",
    "password": "p2", "broker_id": "8888", "app_id": "a2", "auth_code": "c2", "source_type": "sina",
}  # fmt: skip
SIM = ("source.kinds=sim", "source.sim.trading_day=2025-06-03", "source.sim.history_bars=0")
ORIGINS = {"rest_api.cors.allowed_origins": ["http://x.example"]}

Case = tuple[Any, Callable[[Any], Any], Any, Any, dict[str, Any]]
CASES: dict[str, Case] = {
    "default_broker": ("two", effective_broker, "one", "two", {}),
    "websocket.host": ("127.0.0.2", at_other("websocket"), False, True, {}),
    "websocket.port": (free_port(), at_port("websocket.port"), False, True, {}),
    "websocket.path": ("/mine", lambda s: opens(s, "/mine"), False, True, {}),
    "rest_api.host": ("127.0.0.2", at_other("rest_api"), False, True, {}),
    "rest_api.port": (free_port(), at_port("rest_api.port"), False, True, {}),
    "rest_api.cors.allow_all": (
        True, lambda s: bool(cors(s, "Access-Control-Allow-Origin")), False, True, {},
    ),
    "rest_api.cors.allowed_origins": (
        ["http://x.example"], lambda s: cors(s, "Access-Control-Allow-Origin"), "", "http://x.example", {},
    ),
    "rest_api.cors.allow_credentials": (
        True, lambda s: cors(s, "Access-Control-Allow-Credentials"), "", "true", ORIGINS,
    ),
    "subscription.default_instruments": (["au2512"], wanted, 0, 1, {}),
    "subscription.auto_subscribe_patterns": (
        ["SHFE.au25*", "IF2506"], lambda s: wanted(s) > 1, False, True, {},
    ),
    "incremental_updates.enabled": (False, later_is_whole, False, True, {}),
    "incremental_updates.batch_interval_ms": (60_000, lambda s: len(frames(s, 3.0)) > 2, True, False, {}),
    "incremental_updates.batch_size_threshold": (
        1, lambda s: len(frames(s, 3.0)) > 2, False, True, {"incremental_updates.batch_interval_ms": 60_000},
    ),
    "log_level": ("error", lambda s: '"level": "info"' in s.log.read_text(), True, False, {}),
}  # fmt: skip
"""Key: another value, what is looked at, what is seen before and after, what else the file says."""


def test_no_key_is_left_out() -> None:
    specified: set[str] = set()
    for name in ("config.json", "config_ctp.json", "config_qq.json", "config_sina.json"):
        for key in flat(json.loads((EXAMPLES / name).read_text())):
            parts = key.split(".")
            specified.add(".".join(["brokers", "one", *parts[2:]]) if parts[0] == "brokers" else key)
    covered = set(CASES) | {f"brokers.one.{name}" for name in EFFECTIVE}
    assert specified <= covered, specified - covered
    assert set(flat(base())) <= covered | {f"brokers.two.{name}" for name in EFFECTIVE}


@pytest.mark.parametrize("key", CASES)
def test_a_changed_key_is_seen(tmp_path: Path, key: str) -> None:
    value, look, before, after, also = CASES[key]
    seen = []
    for changed in (False, True):
        config = base()
        for name, other in also.items():
            put(config, name, other)
        if changed:
            put(config, key, value)
        mode = "all" if key == "log_level" else "md"
        with gateway(
            tmp_path / str(changed), config, mode, *(word for one in SIM for word in ("--set", one))
        ) as server:
            seen.append(look(server))
    assert seen == [before, after]


@pytest.mark.parametrize("name", EFFECTIVE)
def test_a_brokers_keys_reach_the_source(tmp_path: Path, name: str) -> None:
    """Their effect at a front is in test_ctp_source; here, that each is read, and by its own name."""
    for changed in (False, True):
        config = base()
        before = config["brokers"]["one"][name]
        if changed:
            put(config, f"brokers.one.{name}", EFFECTIVE[name])
        file = tmp_path / "config.json"
        file.write_text(json.dumps(config))
        found = getattr(load(files=[str(file)]).config.source.ctp.brokers["one"], name)
        found = found.reveal() if hasattr(found, "reveal") else found
        assert found == (EFFECTIVE[name] if changed else before)
