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

from qautlra.config.compat import _ENV_KEYS
from qautlra.config.load import load
from tests.e2e.conftest import Serve, Server, free_port
from tests.e2e.test_gateway_keys import EXAMPLES, flat, gateway, reached
from tests.e2e.test_gateway_keys import put as change
from tests.kafka_broker import Broker, broker

__all__ = ["broker"]
pytestmark = pytest.mark.slow

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


def at_other(door: str) -> Look:
    return lambda server, _data: reached("127.0.0.2", server.config[door]["port"])  # type: ignore[attr-defined]


def at_port(key: str) -> Look:
    return lambda _server, _data: reached("127.0.0.1", CASES[key][0])


def own_port(door: str) -> Look:
    return lambda server, _data: reached("127.0.0.1", server.config[door]["port"])  # type: ignore[attr-defined]


def divided(server: Server, data: Path) -> bool:
    filed(server, data)
    return bool(list(data.rglob("instrument=SHFE.au2512")))


def heard(stream: str) -> Look:
    """Whether messages of a topic become rows, within some seconds."""

    def look(server: Server, _data: Path) -> bool:
        deadline = time.monotonic() + 8
        body = json.dumps({"stream": stream, "start_time": "1d"}).encode()
        while time.monotonic() < deadline:
            status, answer, _ = server.request("POST", "/api/v1/query", body)
            if status == 200 and json.loads(answer):
                return True
            time.sleep(0.1)
        return False

    return look


LIVE, ON = "a broker that is there", {"kafka.enabled": True}
KAFKA_ONE = {"kafka.topics": ["one"]}
CASES: dict[str, tuple[Any, Look, Any, Any, dict[str, Any]]] = {
    "data_directory": ("elsewhere", lambda s, d: (d / "elsewhere" / "LOCK").exists(), False, True, {}),
    "websocket.enabled": (False, own_port("websocket"), True, False, {}),
    "websocket.host": ("127.0.0.2", at_other("websocket"), False, True, {}),
    "websocket.port": (free_port(), at_port("websocket.port"), False, True, {}),
    "websocket.path": ("/mine", lambda s, d: opens(s, "/mine"), False, True, {}),
    "http_api.enabled": (False, own_port("http_api"), True, False, {}),
    "http_api.host": ("127.0.0.2", at_other("http_api"), False, True, {}),
    "http_api.port": (free_port(), at_port("http_api.port"), False, True, {}),
    "kafka.enabled": (True, heard("one"), False, True, KAFKA_ONE | {"kafka.brokers": [LIVE]}),
    "kafka.brokers": ([LIVE], heard("one"), False, True, KAFKA_ONE | ON),
    "kafka.topics": (["two"], heard("two"), False, True, KAFKA_ONE | ON | {"kafka.brokers": [LIVE]}),
    "schema_management.auto_detect": (False, lambda s, d: put(s, "app", {"a": 1}), 200, 404, {}),
    "schema_management.schema_cache_size": (2, lambda s, d: cached(s) == 2.0, False, True, {}),
    "storage.partition_by": ("instrument", divided, False, True, {}),
    "storage.retention_days": (30, filed, True, False, {}),
    "storage.compression": ("snappy", lambda s, d: (filed(s, d), codec(d))[1], "ZSTD", "SNAPPY", {}),
}
"""Key: another value, what is looked at, what is seen before and after, what else the file says."""


def test_no_key_is_left_out() -> None:
    specified = json.loads((EXAMPLES / "qadb.json").read_text())
    assert set(flat(specified)) == set(CASES)


@pytest.mark.parametrize("key", CASES)
def test_a_changed_key_is_seen(tmp_path: Path, key: str, request: pytest.FixtureRequest) -> None:
    value, look, before, after, also = CASES[key]
    address = ""
    if key.startswith("kafka."):
        broker: Broker = request.getfixturevalue("broker")
        for topic in ("one", "two"):
            broker.make(topic)
            broker.send(topic, [b'{"n": 1}'])
        address = broker.address
    seen = []
    for changed in (False, True):
        data = tmp_path / f"data-{changed}"
        config = base(data)
        for name, other in (also | ({key: value} if changed else {})).items():
            other = [address] if other == [LIVE] else str(data / other) if name == "data_directory" else other
            change(config, name, other)
        more = ("--set", "store.segment_bytes=64KiB")
        with gateway(tmp_path / str(changed), config, "db", *more) as server:
            seen.append(look(server, data))
    assert seen == [before, after]


def test_no_variable_is_left_out() -> None:
    """Each variable of the guide and of the specification is a setting, or is said not to be used."""
    for name in sorted(set(VARIABLES) | set(UNUSED)):
        loaded = load(env={name: VARIABLES.get(name, ("1", "", None))[0], "QADB_WEBSOCKET_ENABLED": "true"})
        said = any(name in warning and "not used" in warning for warning in loaded.warnings)
        assert said == (name in UNUSED), (name, loaded.warnings)
        if name in VARIABLES:
            _, key, expected = VARIABLES[name]
            found = loaded.values[key]
            found = found.reveal() if hasattr(found, "reveal") else found
            assert expected in found if key == "net.listen" else found == expected, (name, found)
    assert set(_ENV_KEYS) <= set(VARIABLES) | {"P_FS_DIR", "P_MODE"}


UNUSED = ("P_STAGING_DIR", "P_GRPC_PORT")
VARIABLES: dict[str, tuple[str, str, Any]] = {
    "P_S3_URL": ("http://h:9000", "store.lake.endpoint", "http://h:9000"),
    "P_S3_BUCKET": ("b", "store.lake.url", "s3://b"),
    "P_S3_REGION": ("r", "store.lake.region", "r"),
    "P_S3_ACCESS_KEY": ("k", "store.lake.access_key_id", "k"),
    "P_S3_SECRET_KEY": ("s", "store.lake.secret_access_key", "s"),
    "P_ADDR": ("127.0.0.1:7001", "net.listen", "127.0.0.1:7001"),
    "P_DATA_DIR": ("/d1", "store.data_dir", "/d1"),
    "QADB_DATA_DIR": ("/d2", "store.data_dir", "/d2"),
    "P_USERNAME": ("someone", "auth.username", "someone"),
    "P_PASSWORD": ("Some-pass-1", "auth.password", "Some-pass-1"),
    "P_FLIGHT_PORT": ("18002", "net.flight_listen", "127.0.0.1:18002"),
    "P_MAX_DISK_USAGE_PERCENT": ("71.5", "store.max_disk_percent", 71.5),
    "P_PARQUET_ROW_GROUP_SIZE": ("2048", "store.row_group_rows", 2048),
    "P_EXECUTION_BATCH_SIZE": ("123", "net.flight_batch_rows", 123),
    "P_PARQUET_COMPRESSION_ALGO": ("lz4_raw", "store.compression", "lz4"),
    "P_LIVETAIL_CAPACITY": ("77", "store.tail_rows", 77),
    "P_QUERY_MEMORY_LIMIT": ("2", "store.query_memory_bytes", 2 << 30),
    "P_TLS_CERT_PATH": ("/c", "net.tls_cert", "/c"),
    "P_TLS_KEY_PATH": ("/k", "net.tls_key", "/k"),
    "P_TRUSTED_CA_CERTS_DIR": ("/ca", "source.upstream.ca_path", "/ca"),
    "P_KAFKA_BOOTSTRAP_SERVERS": ("h:1,h:2", "link.kafka.brokers", ["h:1", "h:2"]),
    "P_KAFKA_CONSUMER_TOPICS": ("a,b", "link.kafka.topics", ["a", "b"]),
    "P_KAFKA_CONSUMER_GROUP_ID": ("g", "link.kafka.group_id", "g"),
    "P_KAFKA_CONSUMER_AUTO_OFFSET_RESET": ("latest", "link.kafka.offset_reset", "latest"),
    "QADB_WEBSOCKET_PORT": ("7002", "net.listen", "127.0.0.1:7002"),
    "QADB_WEBSOCKET_ADDRESS": ("127.0.0.3", "net.listen", "127.0.0.3:18003"),
    "QADB_WEBSOCKET_PATH": ("/p", "net.db_path", "/p"),
    "QADB_WEBSOCKET_STREAM": ("s", "net.db_stream", "s"),
    "QADB_WS_CLIENT_ENABLED": ("true", "source.upstream.enabled", True),
    "QADB_WS_CLIENT_HOST": ("h", "source.upstream.host", "h"),
    "QADB_WS_CLIENT_PORT": ("7003", "source.upstream.port", 7003),
    "QADB_WS_CLIENT_PATH": ("/q", "source.upstream.path", "/q"),
    "QADB_WS_CLIENT_STREAM": ("stock_market", "source.upstream.stream", "stock_market"),
    "QADB_WS_CLIENT_INSTRUMENTS": ("a,b", "source.upstream.instruments", ["a", "b"]),
    "QADB_WS_CLIENT_USERNAME": ("u", "source.upstream.username", "u"),
    "QADB_WS_CLIENT_PASSWORD": ("p", "source.upstream.password", "p"),
    "RUST_LOG": ("error", "log.level", "error"),
}  # fmt: skip
"""Variable: a value, the setting it is, what that is then."""


def logged_in(server: Server, _data: Path) -> int:
    basic = base64.b64encode(b"someone:Some-pass-1").decode()
    body, headers = b'{"a": 1}', {"X_P_Stream": "app", "Authorization": f"Basic {basic}"}
    return server.request("POST", "/api/v1/ingest", body, **headers)[0]


def follows(server: Server, _data: Path) -> str:
    with connect(f"ws://127.0.0.1:{server.port}/ws/db") as socket:
        socket.send(json.dumps({"type": "subscribe"}))
        found: str = json.loads(socket.recv(10)).get("stream", "")
        return found


SEEN: dict[str, tuple[dict[str, str], Look, Any, Any]] = {
    "P_USERNAME, P_PASSWORD": ({"P_USERNAME": "someone", "P_PASSWORD": "Some-pass-1"}, logged_in, 401, 200),
    "P_MAX_DISK_USAGE_PERCENT": (
        {"P_MAX_DISK_USAGE_PERCENT": "0.001"}, lambda s, d: put(s, "app", {"a": 1}), 200, 507,
    ),
    "P_PARQUET_COMPRESSION_ALGO": (
        {"P_PARQUET_COMPRESSION_ALGO": "gzip"}, lambda s, d: (filed(s, d), codec(d))[1], "ZSTD", "GZIP",
    ),
    "QADB_WEBSOCKET_PATH": ({"QADB_WEBSOCKET_PATH": "/mine"}, lambda s, d: opens(s, "/mine"), False, True),
    "QADB_WEBSOCKET_STREAM": ({"QADB_WEBSOCKET_STREAM": "futures_market"}, follows, "", "futures_market"),
}  # fmt: skip
"""What is seen of variables outside; those of Kafka, TLS, Flight and the feed are in the tests of these."""


@pytest.mark.parametrize("names", SEEN)
def test_a_variable_is_seen(serve: Serve, tmp_path: Path, names: str) -> None:
    env, look, before, after = SEEN[names]
    seen = []
    for changed in (False, True):
        data = tmp_path / f"data-{changed}"
        given = ENV | (env if changed else {})
        if changed and "P_USERNAME" in env:
            given = env
        server = serve("--set", "store.segment_bytes=64KiB", mode="db", env=given, data=data)
        seen.append(look(server, data))
        server.stop()
    assert seen == [before, after]
