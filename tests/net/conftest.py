"""Fixtures of the doors' tests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.net.front import Front


@pytest.fixture
def make_front() -> Iterator[Callable[..., Front]]:
    fronts: list[Front] = []

    def make(**options: Any) -> Front:
        fronts.append(Front(**options))
        return fronts[-1]

    yield make
    for front in fronts:
        front.stop()


@pytest.fixture
def front(make_front: Callable[..., Front]) -> Front:
    return make_front()
