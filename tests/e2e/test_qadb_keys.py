"""Keys of the specification's QADB configuration, changed one at a time: what is seen outside changes."""

import base64
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from websockets.sync.client import connect

from tests.e2e.conftest import Serve, Server, free_port

BASIC = {"Authorization": "Basic " + base64.b64encode(b"keeper:Check-pass-1").decode()}
ENV = {"QAUTLRA__AUTH__USERNAME": "keeper", "QAUTLRA__AUTH__PASSWORD": "Check-pass-1"}


def base(data: Path) -> dict[str, Any]:
    return {
        "data_directory": str(data),
        "websocket": {"enabled": True, "host": "127.0.0.1", "port": free_port(), "path": "/ws/db"},
        "http_api": {"enabled": True, "host": "127.0.0.1", "port": free_port()},
        "kafka": {"enabled": False, "brokers": ["localhost:9092"], "topics": ["market_data"]},
        "schema_management": {"auto_detect": True, "schema_cache_size": 100},
        "storage": {"partition_by": "date", "compression": "zstd", "retention_days": 0},
    }


def put(server: Server, stream: str, events: Any) -> int:
    body = json.dumps(events).encode()
    return server.request("POST", "/api/v1/ingest", body, X_P_Stream=stream, **BASIC)[0]


def codec(data: Path) -> str:
    (path, *_) = data.rglob("*.parquet")
    return str(pq.read_metadata(path).row_group(0).column(0).compression)


def filed(server: Server, data: Path) -> bool:
    """Old rows put into the store, and whether they are still there when they are in files."""
    row = {"instrument_id": "au2512", "datetime": "2025-06-03T09:30:00+08:00", "last_price": 1.0, "volume": 1}
    rows = [row | {"datetime": f"2025-06-03T09:{n // 60 + 30}:{n % 60:02d}+08:00"} for n in range(600)]
    assert put(server, "futures_market", rows) == 200
    new = [row | {"datetime": int(time.time() * 1e6) + n, "volume": n} for n in range(600)]
    assert put(server, "futures_market", new) == 200
    deadline = time.monotonic() + 60
    while not list(data.rglob("*.parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # what is to go has all the time a slow machine needs; what is to stay is looked at for some seconds
    files = data.parent.glob(f"qadb-{data.name.removeprefix('data-')}.json")
    goes = any(json.loads(file.read_text())["storage"]["retention_days"] for file in files)
    deadline = time.monotonic() + (60 if goes else 2.5)
    asked = {"stream": "futures_market", "start_time": "2025-06-03", "end_time": "2025-06-04"}
    while found := server.query(**asked):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return bool(found)


def metric(server: Server, name: str) -> float:
    text = server.request("GET", "/metrics")[1].decode()
    return float(next(line.split()[-1] for line in text.splitlines() if line.startswith(name + " ")))


def cached(server: Server) -> float:
    for n in range(4):
        assert put(server, f"s{n}", {"a": 1}) == 200
    return metric(server, "qautlra_store_schemas_cached_count")


Look = Callable[[Server, Path], Any]


def opens(server: Server, path: str) -> bool:
    with contextlib.suppress(Exception), connect(f"ws://127.0.0.1:{server.port}{path}"):
        return True
    return False


CASES: dict[str, tuple[Any, Look, Any, Any]] = {
    "websocket.path": ("/mine", lambda s, d: opens(s, "/mine"), False, True),
    "schema_management.auto_detect": (False, lambda s, d: put(s, "app", {"a": 1}), 200, 404),
    "schema_management.schema_cache_size": (2, lambda s, d: cached(s), 4.0, 2.0),
    "storage.retention_days": (30, lambda s, d: filed(s, d), True, False),
    "storage.compression": ("snappy", lambda s, d: (filed(s, d), codec(d))[1], "ZSTD", "SNAPPY"),
}
"""Key: another value, what is looked at, what is seen before and after. Directory and ports: tests/config."""


@pytest.mark.slow
@pytest.mark.parametrize("key", CASES)
def test_a_changed_key_is_seen(serve: Serve, tmp_path: Path, key: str) -> None:
    value, look, before, after = CASES[key]
    for changed in (False, True):
        data = tmp_path / f"data-{changed}"
        config = base(data)
        if changed:
            section, name = key.split(".")
            config[section][name] = value
        file = tmp_path / f"qadb-{changed}.json"
        file.write_text(json.dumps(config))
        server = serve(
            "--config", str(file), "--set", "store.segment_bytes=64KiB", mode="db",
            env=ENV, data=data,
        )  # fmt: skip
        assert look(server, data) == (after if changed else before), (key, changed)
        server.stop()
