"""The specification's own shapes: the gateway's JSON, QADB's JSON, and the variables `QADB_*` and `P_*`.

Each is turned into settings of our tree; what has no place there is a warning, never an error.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

from qautlra.base.errors import ConfigError
from qautlra.base.secret import is_known_example
from qautlra.config.tree import Config

GATEWAY: Final = "gateway"
QADB: Final = "qadb"
TREE: Final = "tree"

QUERY_SAMPLE_PORT: Final = 8080
"""The port of the specification's query sample; served beside the ports a compatibility file names."""

_GATEWAY_MARKS = frozenset({"brokers", "default_broker", "rest_api", "subscription", "incremental_updates"})
_QADB_MARKS = frozenset({"data_directory", "http_api", "schema_management"})
_OTHER_SHAPES = (
    ({"connections", "load_balance_strategy"}, "a multi-front configuration of qaopenmdgateway"),
)
_PLACEHOLDER_PATH = re.compile(r"^/path/to(/|$)")

_GATEWAY_KEYS: Final = {
    "default_broker": "source.ctp.default_broker",
    "websocket.path": "net.market_path",
    "rest_api.cors.allow_all": "net.cors.allow_all",
    "rest_api.cors.allowed_origins": "net.cors.allowed_origins",
    "rest_api.cors.allow_credentials": "net.cors.allow_credentials",
    "subscription.default_instruments": "feed.default_instruments",
    "subscription.auto_subscribe_patterns": "feed.auto_subscribe_patterns",
    "incremental_updates.enabled": "feed.incremental.enabled",
    "incremental_updates.batch_interval_ms": "feed.batch_interval_ms",
    "incremental_updates.batch_size_threshold": "feed.batch_size_threshold",
    "log_level": "log.level",
    "websocket.market_ws": "source.upstream.url",
}
_BROKER_FIELDS: Final = (
    "name",
    "front_addr",
    "td_addr",
    "user_id",
    "password",
    "broker_id",
    "app_id",
    "auth_code",
    "source_type",
)
_QADB_KEYS: Final = {
    "data_directory": "store.data_dir",
    "kafka.enabled": "link.kafka.enabled",
    "kafka.brokers": "link.kafka.brokers",
    "kafka.topics": "link.kafka.topics",
    "schema_management.auto_detect": "store.schema.auto_detect",
    "schema_management.schema_cache_size": "store.schema.cache_size",
    "storage.partition_by": "store.partition_by",
    "storage.compression": "store.compression",
    "storage.retention_days": "store.retention_days",
    "websocket.market_ws": "source.upstream.url",
    "websocket.path": "net.db_path",
}
_QADB_QUIET = frozenset({"websocket.enabled", "http_api.enabled"})
_ENV_KEYS: Final = {
    "P_FS_DIR": "store.data_dir",
    "P_DATA_DIR": "store.data_dir",
    "QADB_DATA_DIR": "store.data_dir",
    "P_MODE": "mode",
    "P_S3_URL": "store.lake.endpoint",
    "P_S3_REGION": "store.lake.region",
    "P_S3_ACCESS_KEY": "store.lake.access_key_id",
    "P_S3_SECRET_KEY": "store.lake.secret_access_key",
    "P_EXECUTION_BATCH_SIZE": "net.flight_batch_rows",
    "P_LIVETAIL_CAPACITY": "store.tail_rows",
    "P_TLS_CERT_PATH": "net.tls_cert",
    "P_TLS_KEY_PATH": "net.tls_key",
    "P_TRUSTED_CA_CERTS_DIR": "source.upstream.ca_path",
    "P_USERNAME": "auth.username",
    "P_PASSWORD": "auth.password",
    "P_PARQUET_ROW_GROUP_SIZE": "store.row_group_rows",
    "P_PARQUET_COMPRESSION_ALGO": "store.compression",
    "P_MAX_DISK_USAGE_PERCENT": "store.max_disk_percent",
    "P_KAFKA_BOOTSTRAP_SERVERS": "link.kafka.brokers",
    "P_KAFKA_CONSUMER_TOPICS": "link.kafka.topics",
    "P_KAFKA_CONSUMER_GROUP_ID": "link.kafka.group_id",
    "P_KAFKA_CONSUMER_AUTO_OFFSET_RESET": "link.kafka.offset_reset",
    "QADB_WEBSOCKET_PATH": "net.db_path",
    "QADB_WEBSOCKET_STREAM": "net.db_stream",
    "QADB_WS_CLIENT_ENABLED": "source.upstream.enabled",
    "QADB_WS_CLIENT_HOST": "source.upstream.host",
    "QADB_WS_CLIENT_PORT": "source.upstream.port",
    "QADB_WS_CLIENT_PATH": "source.upstream.path",
    "QADB_WS_CLIENT_STREAM": "source.upstream.stream",
    "QADB_WS_CLIENT_INSTRUMENTS": "source.upstream.instruments",
    "QADB_WS_CLIENT_USERNAME": "source.upstream.username",
    "QADB_WS_CLIENT_PASSWORD": "source.upstream.password",
}
_ENV_WEBSOCKET = frozenset(
    {
        "QADB_WEBSOCKET_ENABLED",
        "QADB_WEBSOCKET_ADDRESS",
        "QADB_WEBSOCKET_PORT",
    }
)
_ENV_READ_APART = frozenset({"P_QUERY_MEMORY_LIMIT", "P_FLIGHT_PORT", "P_S3_BUCKET", "P_ADDR"})
_ENV_WITHOUT_PLACE: Final = {
    "P_STAGING_DIR": "rows wait in the log under the data directory",
    "P_GRPC_PORT": "there is no gRPC door besides Flight",
}
_LEVELS: Final = {"trace": "debug", "warn": "warning", "off": "critical", "fatal": "critical"}


class Reading:
    """What a foreign shape says in our words: settings as {key: (value, origin)}, addresses, warnings.

    Addresses in `listen` take the place of the defaults, those in `also` come on top of whatever is in force.
    """

    def __init__(self) -> None:
        self.settings: dict[str, tuple[Any, str]] = {}
        self.listen: list[tuple[str, int, str]] = []
        self.also: list[tuple[str, int, str]] = []
        self.warnings: list[str] = []

    def set(self, key: str, value: Any, origin: str) -> None:
        """Note a setting, with the foreign spellings of its value put into ours."""
        if key == "store.data_dir" and isinstance(value, str) and _PLACEHOLDER_PATH.match(value):
            self.warnings.append(f"{origin}: {value!r} is an example's placeholder; the default is used")
            return
        if isinstance(value, str):
            if key == "log.level":
                value = _LEVELS.get(value.lower(), value.lower())
            elif key == "store.compression":
                value = {"lz4_raw": "lz4"}.get(value.lower(), value.lower())
        if key == "store.partition_by" and isinstance(value, str) and "," in value:
            value = [part.strip() for part in value.split(",")]
        if key == "store.retention_days" and value is None:
            value = 0
        self.settings[key] = (value, origin)

    def add_address(self, host: Any, port: Any, origin: str, *, also: bool = False) -> None:
        """Note an address to listen on."""
        if not isinstance(host, str) or isinstance(port, bool) or not isinstance(port, int):
            raise ConfigError(
                "the address is not readable",
                key=origin,
                value=f"{host}:{port}",
                expected="a host as text and a port as a whole number from 0 to 65535",
            )
        (self.also if also else self.listen).append((host, port, origin))


def detect(data: Mapping[str, Any]) -> str | None:
    """Return which shape `data` has (GATEWAY, QADB, TREE), or None when it is none of them."""
    keys = set(data)
    if keys & _QADB_MARKS and not keys & {"brokers", "rest_api"}:
        return QADB
    if keys & _GATEWAY_MARKS:
        return GATEWAY
    if keys & {"websocket", "storage", "kafka"}:
        return QADB
    if keys & set(Config.__struct_fields__):
        return TREE
    return None


def other_shape(data: Mapping[str, Any]) -> str:
    """Return the name of a known shape this build has no use for, or an empty text."""
    return next((name for marks, name in _OTHER_SHAPES if marks <= set(data)), "")


def read_gateway(data: Mapping[str, Any], origin: str) -> Reading:
    """Return what a gateway JSON says; an unknown `default_broker` is a ConfigError."""
    reading = Reading()
    rest = dict(data)
    brokers = rest.pop("brokers", {})
    if not isinstance(brokers, Mapping):
        raise ConfigError(
            "brokers are named entries", key="brokers", origin=origin, expected='{"name": {"front_addr": …}}'
        )
    for name, broker in brokers.items():
        if not isinstance(broker, Mapping) or "." in name:
            raise ConfigError(
                "a broker is an entry of named texts",
                key=f"brokers.{name}",
                origin=origin,
                expected='a name without dots and {"name", "front_addr", "user_id", …}',
            )
        for item, value in broker.items():
            if item in _BROKER_FIELDS:
                reading.set(
                    f"source.ctp.brokers.{name}.{item}", value or "", f"{origin}: brokers.{name}.{item}"
                )
            else:
                _unknown(reading, f"brokers.{name}.{item}", origin, _BROKER_FIELDS)
    chosen = rest.get("default_broker")
    if chosen is None and brokers:
        rest["default_broker"] = next(iter(brokers))
        reading.warnings.append(
            f"{origin}: no default_broker; the first, {rest['default_broker']!r}, is used"
        )
    elif chosen is not None and chosen not in brokers:
        raise ConfigError(
            f"Broker config not found: {chosen}",
            key="default_broker",
            value=chosen,
            origin=origin,
            expected="one of " + ", ".join(brokers) if brokers else "a name of brokers",
        )
    for door in ("websocket", "rest_api"):
        _take_address(reading, rest, door, origin)
    _map(reading, rest, origin, _GATEWAY_KEYS, frozenset())
    return reading


def read_qadb(data: Mapping[str, Any], origin: str) -> Reading:
    """Return what a QADB JSON says."""
    reading = Reading()
    rest = dict(data)
    for door in ("http_api", "websocket"):
        _take_address(reading, rest, door, origin)
    _map(reading, rest, origin, _QADB_KEYS, _QADB_QUIET)
    return reading


def read_environment(env: Mapping[str, str]) -> Reading:
    """Return what `QADB_*`, `P_*` and `RUST_LOG` say.

    An unknown `QADB_` name is a warning, and so is an unknown `P_` one beside others that are known: alone it
    may be another program's.
    """
    reading = Reading()
    known = {*_ENV_KEYS, *_ENV_WEBSOCKET, *_ENV_WITHOUT_PLACE, *_ENV_READ_APART}
    prefixes = ("QADB_", "P_") if any(name.startswith("P_") and name in known for name in env) else ("QADB_",)
    for name, key in _ENV_KEYS.items():
        if name in env:
            reading.set(key, env[name], f"environment {name}")
    for name in sorted(env):
        if name in _ENV_WITHOUT_PLACE:
            reading.warnings.append(f"environment {name} is not used: {_ENV_WITHOUT_PLACE[name]}")
        elif name.startswith(prefixes) and name not in known:
            _unknown(reading, name, "environment", known)
    if "P_QUERY_MEMORY_LIMIT" in env:
        origin = "environment P_QUERY_MEMORY_LIMIT"
        try:
            size_bytes = int(float(env["P_QUERY_MEMORY_LIMIT"]) * (1 << 30))
        except (ValueError, OverflowError):
            raise ConfigError(
                "not a number",
                key="store.query_memory_bytes",
                value=env["P_QUERY_MEMORY_LIMIT"],
                origin=origin,
                expected="a number of GiB",
            ) from None
        reading.set("store.query_memory_bytes", size_bytes, origin)
    if "P_KAFKA_BOOTSTRAP_SERVERS" in env:
        reading.set("link.kafka.enabled", True, "environment P_KAFKA_BOOTSTRAP_SERVERS")
    if "P_FLIGHT_PORT" in env:
        text = f"127.0.0.1:{env['P_FLIGHT_PORT']}"
        reading.set("net.flight_listen", text, "environment P_FLIGHT_PORT")
    if bucket := env.get("P_S3_BUCKET"):
        reading.set("store.lake.url", f"s3://{bucket}", "environment P_S3_BUCKET")
    if "P_ADDR" in env:
        _env_address(reading, env["P_ADDR"], "environment P_ADDR")
    if env.get("QADB_WEBSOCKET_ENABLED", "").lower() in ("1", "true", "yes", "on"):
        host = env.get("QADB_WEBSOCKET_ADDRESS", "0.0.0.0")
        port = env.get("QADB_WEBSOCKET_PORT", "18003")
        _env_address(reading, f"{host}:{port}", "environment QADB_WEBSOCKET_PORT", also=True)
    level = _bare_level(env.get("RUST_LOG", ""))
    if level:
        reading.set("log.level", level, "environment RUST_LOG")
    user, password = env.get("P_USERNAME", ""), env.get("P_PASSWORD", "")
    if (user or password) and is_known_example(user, password):
        reading.warnings.append(
            "environment P_USERNAME/P_PASSWORD: a published example is no secret and never accepted"
        )
        reading.settings.pop("auth.password", None)
    return reading


def _env_address(reading: Reading, text: str, origin: str, *, also: bool = False) -> None:
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(
            "the address is not readable", key="net.listen", value=text, origin=origin, expected="host:port"
        )
    reading.add_address(host or "127.0.0.1", int(port), origin, also=also)


def _bare_level(text: str) -> str:
    for part in text.split(","):
        if part.strip().lower() in ("trace", "debug", "info", "warn", "warning", "error", "off"):
            return part.strip().lower()
    return ""


def _take_address(reading: Reading, data: dict[str, Any], door: str, origin: str) -> None:
    section = data.get(door)
    if not isinstance(section, Mapping):
        return
    section = dict(section)
    host = section.pop("host", "127.0.0.1")
    if "port" in section:
        port = section.pop("port")
        if section.get("enabled", True) is not False:
            reading.add_address(host, port, f"{origin}: {door}.port")
    data[door] = section


def _map(
    reading: Reading, data: Mapping[str, Any], origin: str, keys: Mapping[str, str], quiet: frozenset[str]
) -> None:
    for path, value in _flat(data, ""):
        if path in keys:
            reading.set(keys[path], value, f"{origin}: {path}")
        elif path not in quiet:
            _unknown(reading, path, origin, [*keys, *quiet])


def _unknown(reading: Reading, name: str, origin: str, known: Any) -> None:
    close = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    reading.warnings.append(f"{origin}: {name} is not a known setting and is ignored{hint}")


def _flat(data: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in data.items():
        if isinstance(value, Mapping):
            found.extend(_flat(value, f"{prefix}{name}."))
        else:
            found.append((f"{prefix}{name}", value))
    return found
