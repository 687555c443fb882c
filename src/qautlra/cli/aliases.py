"""The specification's own command lines as thin names for modes: `qamdgateway`, `qadb-rs` and `qadb`."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import click

from qautlra.cli.language import Command, t
from qautlra.cli.main import run
from qautlra.config.listen import Endpoint
from qautlra.config.load import Loaded, load

DB_PORT: Final = 8017
GUIDE_PORT: Final = 18000

_DB_MODES: Final = {"all": "db", "ingest": "ingest", "query": "query"}
_STORES: Final = ("local-store", "s3-store", "blob-store")
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

    if store not in (None, "local-store"):
        raise click.UsageError(f"{store} is not part of this build; use local-store")
    env = dict(os.environ)
    for variable, value in given.items():
        if value is True:
            env[variable.upper()] = "true"
        elif value not in (None, False):
            env[variable.upper()] = value
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


def store() -> None:
    """Entry point `qadb-rs` and `qadb`."""
    sys.exit(run(database, sys.argv[1:], os.path.basename(sys.argv[0]) or "qadb"))
