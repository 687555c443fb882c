"""Outside systems and programs tests may use: found, or their tests are skipped, visibly, or fail in CI."""

import importlib
import os
import shutil
import socket
from typing import Any, Final, NoReturn

import pytest

RABBIT_URL: Final = os.environ.get("QAUTLRA_TEST_AMQP", "amqp://guest:guest@127.0.0.1:5672/")


def missing(what: str) -> NoReturn:
    """Skip the test because something it needs is not here; fail it where everything must be."""
    if os.environ.get("QAUTLRA_REQUIRE_SERVICES") == "1":
        pytest.fail(f"missing: {what}")
    pytest.skip(f"missing: {what}")


def require(what: str, port: int, host: str = "127.0.0.1") -> None:
    """Go on when something listens there."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return
    except OSError as error:
        missing(f"{what} on {host}:{port} ({error})")


def program(*names: str) -> str:
    """Return the path of the first of these programs that is installed."""
    for name in names:
        if found := shutil.which(name):
            return found
    missing(f"the program {' or '.join(names)}")


def module(name: str, package: str) -> Any:
    """Return an importable module; `package` is what a person installs to have it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing(f"the package {package} ({error})")


@pytest.fixture
def rabbit_url() -> str:
    """URL of the broker of the tests."""
    require("RabbitMQ", 5672)
    return RABBIT_URL
