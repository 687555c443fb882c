"""The specification's own command lines as thin names for modes: `qamdgateway`, `qadb-rs`, `qatrader-rs`."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from typing import Any, Final

import click

from qautlra.app.places import data_directory
from qautlra.base.errors import ConfigError
from qautlra.cli.language import Command, t
from qautlra.cli.main import run
from qautlra.config.compat_trader import FLAGS as TRADER_FLAGS
from qautlra.config.compat_trader import read_flags
from qautlra.config.listen import Endpoint
from qautlra.config.load import Loaded, load

DB_PORT: Final = 8017
GUIDE_PORT: Final = 18000

_DB_MODES: Final = {"all": "db", "ingest": "ingest", "query": "query"}
_STORES: Final = ("local-store", "s3-store", "blob-store")
_S3: Final = ("P_S3_URL", "P_S3_REGION", "P_S3_BUCKET")
_DB_FLAGS: Final = {
    "--address": "P_ADDR",
    "--data-dir": "P_DATA_DIR",
    "--staging-dir": "P_STAGING_DIR",
    "--username": "P_USERNAME",
    "--password": "P_PASSWORD",
    "--grpc-port": "P_GRPC_PORT",
    "--flight-port": "P_FLIGHT_PORT",
    "--max-disk-usage": "P_MAX_DISK_USAGE_PERCENT",
    "--row-group-size": "P_PARQUET_ROW_GROUP_SIZE",
    "--execution-batch-size": "P_EXECUTION_BATCH_SIZE",
    "--compression-algo": "P_PARQUET_COMPRESSION_ALGO",
    "--livetail-capacity": "P_LIVETAIL_CAPACITY",
    "--query-mempool-size": "P_QUERY_MEMORY_LIMIT",
    "--tls-cert-path": "P_TLS_CERT_PATH",
    "--tls-key-path": "P_TLS_KEY_PATH",
    "--trusted-ca-certs-path": "P_TRUSTED_CA_CERTS_DIR",
    "--kafka-brokers": "P_KAFKA_BOOTSTRAP_SERVERS",
    "--kafka-topics": "P_KAFKA_CONSUMER_TOPICS",
    "--kafka-group-id": "P_KAFKA_CONSUMER_GROUP_ID",
    "--kafka-auto-offset-reset": "P_KAFKA_CONSUMER_AUTO_OFFSET_RESET",
    "--endpoint-url": "P_S3_URL",
    "--bucket-name": "P_S3_BUCKET",
    "--region": "P_S3_REGION",
    "--access-key-id": "P_S3_ACCESS_KEY",
    "--secret-key": "P_S3_SECRET_KEY",
    "--websocket-address": "QADB_WEBSOCKET_ADDRESS",
    "--websocket-port": "QADB_WEBSOCKET_PORT",
    "--websocket-path": "QADB_WEBSOCKET_PATH",
    "--websocket-stream": "QADB_WEBSOCKET_STREAM",
    "--ws-client-host": "QADB_WS_CLIENT_HOST",
    "--ws-client-port": "QADB_WS_CLIENT_PORT",
    "--ws-client-path": "QADB_WS_CLIENT_PATH",
    "--ws-client-stream": "QADB_WS_CLIENT_STREAM",
    "--ws-client-instruments": "QADB_WS_CLIENT_INSTRUMENTS",
    "--ws-client-username": "QADB_WS_CLIENT_USERNAME",
    "--ws-client-password": "QADB_WS_CLIENT_PASSWORD",
}
_DB_SWITCHES: Final = {
    "--websocket-enabled": "QADB_WEBSOCKET_ENABLED",
    "--ws-client-enabled": "QADB_WS_CLIENT_ENABLED",
}


def gateway() -> None:
    """Entry point `qamdgateway`: `qautlra serve --mode md`."""
    from qautlra.cli.serve import serve

    arguments = sys.argv[1:]
    if not any(argument == "--mode" or argument.startswith("--mode=") for argument in arguments):
        arguments = ["--mode", "md", *arguments]
    sys.exit(run(serve, arguments, "qamdgateway"))


def _add_flags(function: Any) -> Any:
    for flag, variable in reversed(_DB_FLAGS.items()):
        function = click.option(variable.lower(), flag, metavar="X", help=variable)(function)
    for flag, variable in reversed(_DB_SWITCHES.items()):
        function = click.option(variable.lower(), flag, is_flag=True, help=variable)(function)
    return function


class _Strict(Command):
    """Says of an unknown flag what the original says."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, with the original's words for an unknown flag."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(f"unexpected argument '{error.option_name}' found", ctx) from None


@click.command(
    cls=_Strict,
    help=t(
        "The store by its original command line; same as `qautlra serve --mode db|ingest|query`.",
        "按原命令行运行存储；等同于 qautlra serve --mode db|ingest|query。",
    ),
)
@click.argument("store", required=False, type=click.Choice(_STORES))
@click.option("--mode", type=click.Choice(list(_DB_MODES)), help="P_MODE")
@_add_flags
def database(store: str | None, mode: str | None, **given: Any) -> int:
    """Turn flags into the variables they stand for, which the configuration reads; flags win over them."""
    from qautlra.cli.serve import run as serve

    if store == "blob-store":
        raise click.UsageError("blob-store is not part of this build; use local-store or s3-store")
    env = dict(os.environ)
    for variable, value in given.items():
        if value is True:
            env[variable.upper()] = "true"
        elif value not in (None, False):
            env[variable.upper()] = value
    if store == "s3-store":
        if missing := [name for name in _S3 if not env.get(name)]:
            raise click.UsageError(f"s3-store: {', '.join(missing)} must be given")
    else:
        for name in [name for name in env if name.startswith("P_S3_")]:
            del env[name]
    chosen = mode or env.pop("P_MODE", "all")
    flags = {"mode": ([_DB_MODES.get(chosen, chosen)], "--mode")}
    loaded = load(env=env, flags=flags)
    loaded.endpoints = database_endpoints(loaded)
    return serve(loaded, as_json=False)


def database_endpoints(loaded: Loaded) -> list[Endpoint]:
    """Return where the store's own command listens: beside a gateway, whose port must not be its first."""
    if loaded.origin("net.listen") != "default":
        return loaded.endpoints
    chosen = [e for e in loaded.endpoints if e.origin != "default"]
    defaults = [e._replace(required=False) for e in loaded.endpoints if e.origin == "default"]
    guide = Endpoint("127.0.0.1", GUIDE_PORT, False, "the original guide")
    return [*sorted(defaults, key=lambda e: e.port != DB_PORT), *chosen, guide]


def _add_trader_flags(function: Any) -> Any:
    for name in reversed(TRADER_FLAGS):
        function = click.option(name, f"--{name}", metavar="X", help=f"[common] {name}")(function)
    return function


@click.command(
    cls=_Strict,
    help=t(
        "The trading engine by its original command line: the orders of one account from RabbitMQ, beside a "
        "market feed in another process. Configuration: the original TOML, in either form.",
        "按原命令行运行交易引擎：在行情进程之外，从 RabbitMQ 接收一个账户的报单。配置为原 TOML 的任一形式。",
    ),
)
@click.option("config", "-c", "--config", metavar="FILE", help="TOML")
@click.option("--port", type=int, metavar="PORT", help=t("Listen on this port.", "监听这个端口。"))
@_add_trader_flags
@click.pass_context
def trading_engine(ctx: click.Context, /, config: str | None, port: int | None, **given: str | None) -> int:
    """Turn file and flags into the configuration of mode trade for one account; flags win over the file."""
    from qautlra.cli.serve import run as serve

    named = {name: value for name, value in given.items() if value is not None}
    if config is None and not named:
        click.echo(ctx.get_help())
        return 0
    loaded = load_trader([config] if config else [], named, port)
    return serve(loaded, as_json=False)


def load_trader(files: list[str], named: dict[str, str], port: int | None = None) -> Loaded:
    """Return the trading engine's configuration: its account has a data directory and a port of its own."""
    flags: dict[str, Any] = {"mode": (["trade"], "qatrader-rs")}
    if port is not None:
        flags["net.listen.port"] = (port, "--port")
    readings = [read_flags(named)]
    loaded = load(files=files, flags=flags, readings=readings, discover=False)
    account = loaded.config.trade.trader.account
    if not account:
        raise ConfigError(
            "no account to trade for", key="account.account_cookie", expected="the name of an account"
        )
    if loaded.origin("store.data_dir") == "default":
        place = data_directory("") / "traders" / path_name(account)
        flags["store.data_dir"] = (str(place), "the account's own")
    flags["trade.amqp.accounts"] = ([account], "account.account_cookie")
    loaded = load(files=files, flags=flags, readings=readings, discover=False)
    if loaded.origin("net.listen") == "default":
        loaded.endpoints = [Endpoint("127.0.0.1", 0, True, "qatrader-rs")]
    return loaded


def path_name(account: str) -> str:
    """Return a directory name for an account: its own where it is plainly one, else a hash of it."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,63}", account):
        return account
    return hashlib.blake2s(account.encode(), digest_size=16).hexdigest()


def trader() -> None:
    """Entry point `qatrader-rs`."""
    sys.exit(run(trading_engine, sys.argv[1:], "qatrader-rs"))


def store() -> None:
    """Entry point `qadb-rs` and `qadb`."""
    sys.exit(run(database, sys.argv[1:], os.path.basename(sys.argv[0]) or "qadb"))
