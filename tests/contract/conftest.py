"""Where the real TqSdk runs (this interpreter or QAUTLRA_TQSDK_PYTHON) and what it logs in to."""

import base64
import datetime as dt
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.conftest import serve
from tests.services import missing, program

__all__ = ["serve"]

CLIENT = Path(__file__).with_name("tq_client.py")


REFUSES: Final = ("1850", "1930")
"""From 19:00 to 19:30 in Beijing TqSdk ends at a lost connection for good; ten minutes for a test."""
ELSEWHEN: Final = """#!/bin/sh
now=$(TZ=CST-8 date +%H%M)
if [ "$now" -ge {0} ] && [ "$now" -le {1} ]; then exec faketime -f +45m "{2}" "$@"; fi
exec "{2}" "$@"
"""


@pytest.fixture(scope="session")
def tqsdk_interpreter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What runs TqSdk's interpreter, on a clock of its own while TqSdk would not connect again."""
    python = os.environ.get("QAUTLRA_TQSDK_PYTHON", sys.executable)
    found = subprocess.run(
        [python, "-c", "import importlib.util as u; print(u.find_spec('tqsdk') is not None)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if found.stdout.strip() != "True":
        missing("TqSdk (pip install tqsdk, or QAUTLRA_TQSDK_PYTHON)")
    script = tmp_path_factory.mktemp("tqsdk") / "python"
    script.write_text(ELSEWHEN.format(*REFUSES, python))
    script.chmod(0o700)
    return str(script)


@pytest.fixture
def tqsdk_python(tqsdk_interpreter: str) -> str:
    """The interpreter that has TqSdk; without one the test is skipped, or fails where CI must have it."""
    beijing = dt.datetime.now(dt.timezone(dt.timedelta(hours=8)))
    if REFUSES[0] <= beijing.strftime("%H%M") <= REFUSES[1]:
        program("faketime")
    return tqsdk_interpreter


@pytest.fixture(scope="session")
def account_service() -> Iterator[str]:
    """A loopback stand-in for the account service TqSdk logs in to before it opens its sockets."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            holidays = ["2010-01-01", f"{time.gmtime().tm_year + 1}-01-01"]
            self._answer(holidays if self.path.endswith("holiday.json") else {})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            claims = {
                "sub": "tester",
                "exp": int(time.time()) + 3600,
                "grants": {
                    "features": ["futr", "lmt_idx", "sec"],
                    "accounts": ["check", "gw1", "ct1", "ct2"],
                },
            }
            token = ".".join((part({"alg": "HS256", "typ": "JWT"}), part(claims), part("unsigned")))
            self._answer({"access_token": token, "refresh_token": token})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


TqClient = Callable[..., dict[str, Any]]


@pytest.fixture
def tq(tqsdk_python: str, account_service: str, tmp_path: Path) -> TqClient:
    """Run one scene of `tq_client.py` with the unmodified TqSdk; return what it saw."""

    def run(scene: str, url: str, *more: str, timeout_s: float = 90.0) -> dict[str, Any]:
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        environment |= {
            "TQ_AUTH_URL": account_service,
            "TQ_CHINESE_HOLIDAY_URL": f"{account_service}/chinese_holiday.json",
            "TQ_CONT_TABLE_URL": f"{account_service}/continuous_table.json",
            "HTTPS_PROXY": "http://127.0.0.1:9",  # refuses at once what TqSdk would ask the world for
            "NO_PROXY": "127.0.0.1",
            "HOME": str(tmp_path),
        }
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            [tqsdk_python, str(CLIENT), scene, url, *more],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        seen: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return seen

    return run
