"""The trading engine's own TOML (qatrader-rs), both of its forms, turned into settings of our tree.

The documented form has tables account, websocket and mq; the running program's `boot.toml` has one, common.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from qautlra.base.errors import ConfigError
from qautlra.base.secret import is_placeholder
from qautlra.config.compat import Reading

TRADER: Final = "trader"
TABLES: Final = frozenset({"common", "account", "websocket", "mq"})
_MARKS: Final = frozenset({"wsuri", "eventmq_ip", "database_ip", "taskid", "account", "ping_gap"})
_KEYS: Final = {
    "common.log_level": "log.level",
    "account.account_cookie": "trade.trader.account",
    "account.password": "trade.trader.password",
    "account.broker_id": "trade.trader.bid",
    "websocket.market_ws": "source.upstream.url",
    "mq.uri": "link.amqp.url",
    "mq.exchange": "trade.amqp.exchange",
    "mq.model": "trade.amqp.model",
    "mq.routing_key": "trade.amqp.routing_key",
    "common.account": "trade.trader.account",
    "common.password": "trade.trader.password",
    "common.broker": "trade.trader.bid",
    "common.eventmq_ip": "link.amqp.url",
    "common.database_ip": "link.mongo.url",
    "common.portfolio": "trade.documents.portfolio",
    "common.ping_gap": "trade.trader.ping_gap_s",
    "common.taskid": "trade.trader.taskid",
    "common.bank_password": "trade.trader.bank_password",
    "common.capital_password": "trade.trader.capital_password",
    "common.appid": "trade.trader.app_id",
    "account.appid": "trade.trader.app_id",
    "account.auth_code": "trade.trader.auth_code",
}
_SERVERS: Final = ("account.td_server", "common.wsuri")
_QUIET: Final = frozenset({"common.version"})
FLAGS: Final = (
    "account",
    "password",
    "wsuri",
    "broker",
    "eventmq_ip",
    "database_ip",
    "ping_gap",
    "taskid",
    "portfolio",
    "bank_password",
    "capital_password",
    "appid",
    "log_level",
)
"""The program's command line: the keys of its own form."""


def is_trader(data: Mapping[str, Any]) -> bool:
    """Tell whether `data` is a configuration of the trading engine."""
    account = data.get("account")
    if isinstance(account, Mapping) and ("mq" in data or any(f"account.{name}" in _KEYS for name in account)):
        return True
    common = data.get("common")
    return isinstance(common, Mapping) and bool(_MARKS & set(common)) and set(data) <= TABLES


def read_trader(data: Mapping[str, Any], origin: str) -> Reading:
    """Return what the file says; ConfigError for a broker this build cannot reach."""
    reading = Reading()
    for table, values in data.items():
        if not isinstance(values, Mapping):
            reading.warnings.append(f"{origin}: {table} is not a known setting and is ignored")
            continue
        for name, value in values.items():
            _take(reading, f"{table}.{name}", value, f"{origin}: {table}.{name}")
    return reading


def read_flags(flags: Mapping[str, str]) -> Reading:
    """Return what the program's own flags say."""
    reading = Reading()
    for name, value in flags.items():
        _take(reading, f"common.{name}", value, f"flag --{name}")
    return reading


def _take(reading: Reading, key: str, value: Any, origin: str) -> None:
    if key in _SERVERS:
        _server(reading, value, origin)
    elif key in _KEYS:
        if value == "" and _KEYS[key] not in ("trade.amqp.routing_key",):
            return
        if key.endswith("ping_gap") and isinstance(value, str) and value.isdigit():
            value = int(value)
        reading.set(_KEYS[key], value, origin)
    elif key not in _QUIET:
        reading.warnings.append(f"{origin} is not a known setting and is ignored")


def _server(reading: Reading, value: Any, origin: str) -> None:
    """`ws://` is a DIFF gateway, `tcp://` a CTP front; nothing, or an example's blank, the paper broker."""
    text = value if isinstance(value, str) else str(value)
    if not text:
        return
    if "YOUR_" in text or is_placeholder(text):
        reading.warnings.append(
            f"{origin}: {text!r} is an example's placeholder; the paper broker trades instead"
        )
        return
    scheme = urlsplit(text).scheme
    broker = {"ws": "diff", "wss": "diff", "tcp": "ctp"}.get(scheme)
    if broker is not None:
        reading.set("trade.trader.broker", broker, origin)
        reading.set("trade.trader.url", text, origin)
        return
    raise ConfigError(
        "not the URL of a broker",
        key="td_server",
        value=text,
        origin=origin,
        expected="ws://host:port of a DIFF gateway, tcp://host:port of a CTP front, or nothing: paper",
    )
