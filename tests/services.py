"""Outside systems tests may use: found on loopback, or their tests are skipped, visibly, or fail in CI."""

import os
import socket
from typing import Final

import pytest

RABBIT_URL: Final = os.environ.get("QAUTLRA_TEST_AMQP", "amqp://guest:guest@127.0.0.1:5672/")


def require(what: str, port: int, host: str = "127.0.0.1") -> None:
    """Go on when something listens there."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return
    except OSError as error:
        text = f"{what} is not running on {host}:{port} ({error})"
    if os.environ.get("QAUTLRA_REQUIRE_SERVICES") == "1":
        pytest.fail(text)
    pytest.skip(text)


@pytest.fixture
def rabbit_url() -> str:
    """URL of the broker of the tests."""
    require("RabbitMQ", 5672)
    return RABBIT_URL
