"""The front door by TLS with a certificate made here: pages, sockets, another's feed, renewal, errors."""

import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.e2e.conftest import Serve, Server, free_port
from tests.e2e.test_ingest import ENV
from tests.e2e.test_kafka import until
from tests.services import program

DAY = ("--set", "source.sim.trading_day=2025-06-03", "--set", "source.sim.history_bars=0")


def certificate(directory: Path, name: str = "a", *more: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    openssl = program("openssl")
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
         "-keyout", str(key), "-out", str(cert), *more],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def tls(cert: Path, key: Path) -> list[str]:
    return ["--set", f"net.tls_cert={cert}", "--set", f"net.tls_key={key}"]


def get(server: Server, path: str, cert: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(cert))
    with urllib.request.urlopen(
        f"https://127.0.0.1:{server.port}{path}", timeout=10, context=context
    ) as reply:
        body: bytes = reply.read()
        return body


def ready(server: Server, cert: Path) -> bool:
    assert server.process.poll() is None, server.log.read_text()
    try:
        return bool(get(server, "/readyz", cert))
    except OSError:
        return False


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_every_door_speaks_tls(serve: Serve, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    server = serve(*DAY, *tls(cert, key), env=ENV, wait=False)
    until(lambda: ready(server, cert))
    assert f"https://127.0.0.1:{server.port}/" in server.log.read_text()
    assert b"<html" in get(server, "/", cert).lower()
    until(lambda: json.loads(get(server, "/api/v1/query?stream=futures_market&limit=3", cert)) != [])
    context = ssl.create_default_context(cafile=str(cert))
    with connect(f"wss://127.0.0.1:{server.port}/ws/market", ssl=context) as socket:
        socket.send(json.dumps({"aid": "subscribe_quote", "ins_list": "SHFE.au2512"}))
        socket.send(json.dumps({"aid": "peek_message"}))
        until(lambda: "SHFE.au2512" in (frame := str(socket.recv(10))) and "rtn_data" in frame)
    # who speaks plain HTTP, or an old TLS, gets nothing, and the server lives
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=5)
    old = ssl.create_default_context(cafile=str(cert))
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):
        urllib.request.urlopen(f"https://127.0.0.1:{server.port}/", timeout=5, context=old)
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"https://127.0.0.1:{server.port}/", timeout=5)
    # the command line of the same configuration
    command = [sys.executable, "-m", "qautlra", "data", "query", "--port", str(server.port), "--limit", "1",
               "--start", "2025-01-01", "--end", "2026-01-01", *tls(cert, key), "--json"]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=os.environ | server.environment
    )
    assert done.returncode == 0 and len(json.loads(done.stdout)) == 1, done.stderr
    # a renewed certificate is used without a restart
    other, other_key = certificate(tmp_path, "b")
    shutil.copy(other_key, key)
    shutil.copy(other, cert)
    until(lambda: ready(server, other))
    assert b"ok" in get(server, "/healthz", other)


def test_another_process_feeds_by_tls(serve: Serve, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    feed = serve(*DAY, *tls(cert, key), mode="md", wait=False)
    until(lambda: ready(feed, cert))
    env = {
        "P_TRUSTED_CA_CERTS_DIR": str(cert),
        "QAUTLRA__SOURCE__UPSTREAM__URL": f"wss://127.0.0.1:{feed.port}/ws/market",
        "QADB_WS_CLIENT_INSTRUMENTS": "SHFE.au2512",
    }
    store = serve(mode="db", env=env, data=tmp_path / "other")
    until(lambda: store.query(stream="futures_market", start_time="2025-01-01", end_time="2026-01-01") != [])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"net.tls_cert": "a.pem"}, "net.tls_key"),
        ({"net.tls_key": "a.key"}, "net.tls_cert"),
        ({"net.tls_cert": "nope.pem", "net.tls_key": "a.key"}, "nope.pem"),
        ({"net.tls_cert": "a.pem", "net.tls_key": "b.key"}, "cannot be used"),
        ({"net.tls_cert": "a.key", "net.tls_key": "a.key"}, "cannot be used"),
        ({"net.tls_cert": "a.pem", "net.tls_key": "locked.key"}, "cannot be used"),
    ],
)
def test_what_cannot_be_used_is_said(serve: Serve, tmp_path: Path, given: dict[str, str], words: str) -> None:
    certificate(tmp_path)
    certificate(tmp_path, "b")
    subprocess.run(
        ["openssl", "ec", "-in", str(tmp_path / "a.key"), "-aes128", "-passout", "pass:secret", "-out",
         str(tmp_path / "locked.key")],
        check=True, capture_output=True,
    )  # fmt: skip
    sets = [part for key, name in given.items() for part in ("--set", f"{key}={tmp_path / name}")]
    server = serve(*sets, mode="web", wait=False, port=free_port())
    assert server.process.wait(20) in (1, 2)
    text = server.log.read_text()
    assert words in text and "Traceback" not in text and "secret" not in text
