"""What a test needs and is not here: skipped for a person, failed where everything must be."""

import importlib
from collections.abc import Callable

import pytest

from tests import services

SWITCH = "QAUTLRA_REQUIRE_SERVICES"
LOOKS: list[Callable[[], object]] = [
    lambda: services.missing("a thing"),
    lambda: services.require("a thing", 1),
    lambda: services.program("no-such-thing"),
    lambda: services.module("no_such_thing", "no-such-thing"),
]


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_not_here_skips_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, look: Callable[[], object]
) -> None:
    monkeypatch.setenv(SWITCH, "1")
    with pytest.raises(pytest.fail.Exception, match="thing"):
        look()
    monkeypatch.delenv(SWITCH)
    with pytest.raises(pytest.skip.Exception, match="thing"):
        look()


def test_what_is_here_is_found() -> None:
    assert services.program("no-such-thing", "sh").endswith("/sh")
    assert services.module("importlib", "importlib") is importlib
