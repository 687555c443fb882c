"""What a start does not do: import what its mode has no use for, read certificates, look for garbage."""

from __future__ import annotations

import gc
import json
import ssl
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import qautlra
from qautlra.cli.main import main
from qautlra.source import polling

SERVE = """
import json, sys
import qautlra.cli.serve as serve

def ready(app, *_):
    import aiohttp.connector
    trusted = aiohttp.connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509_ca"]
    print(json.dumps({"modules": list(sys.modules), "trusted": trusted}), flush=True)
    app.supervisor.request_stop()

serve._announce = ready
from qautlra.cli.main import cli, run
options = ["--port", "0", "--json", "--set", "trade.ctp_front.listen=127.0.0.1:0"]
sys.exit(run(cli, ["serve", "--data-dir", sys.argv[1], *options, *sys.argv[2:]], "qautlra"))
"""
NEVER = {"rich", "cryptography", "pandas", "websockets", "aiormq", "pymongo", "aiokafka", "deltalake"}
STORE = {"duckdb", "pyarrow.compute", "pyarrow.parquet", "qautlra.store.service", "qautlra.feed.mains"}
USERS = {"jwt", "argon2", "qautlra.auth.service", "qautlra.net.admin_socket"}
TRADE = {"qautlra.trade.service", "qautlra.app.documents", "qautlra.net.trade_amqp", "qautlra.trade.keeper"}
FEED = {"qautlra.app.feeding", "qautlra.feed.lines", "qautlra.net.ctp_front"}


def started(directory: Path, *options: str) -> dict[str, Any]:
    """Return what a ready server has imported, and how many authorities its HTTP client trusts."""
    command = [sys.executable, "-c", SERVE, str(directory), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "spared"),
    [
        (("--mode", "all", "--set", "source.sim.history_bars=0"), set()),
        (("--mode", "md"), STORE | USERS | TRADE),
        (("--mode", "md", "--set", "trade.ctp_front.enabled=false"), STORE | USERS | TRADE),
        (("--mode", "trade"), STORE),
        (("--mode", "db"), TRADE | FEED),
        (("--mode", "web"), STORE | USERS | TRADE | FEED | {"qautlra.source.sim"}),
    ],
    ids=["all", "md", "md without a front", "trade", "db", "web"],
)
def test_imports_what_its_mode_needs(tmp_path: Path, options: tuple[str, ...], spared: set[str]) -> None:
    found = started(tmp_path, *options)
    assert (NEVER | spared).intersection(found["modules"]) == set()
    assert found["trusted"] == 0


def test_sites_are_trusted_as_the_system_trusts_them() -> None:
    assert polling._trusted().cert_store_stats() == ssl.create_default_context().cert_store_stats()
    assert polling._trusted().verify_mode is ssl.CERT_REQUIRED and polling._trusted().check_hostname


def test_nothing_is_looked_through_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["qautlra", "--version"])
    gc.unfreeze()
    try:
        with pytest.raises(SystemExit) as ended:
            main()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
    assert ended.value.code == 0


def test_the_version_is_the_project_s() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert qautlra.__version__ == project["version"]
