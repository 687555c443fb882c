"""The Python fuzz targets for a moment each; `make fuzz` runs them as long as the others."""

import pytest

from tests.fuzz.python_targets import TARGETS, fuzz


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name: str) -> None:
    assert fuzz(name, 0.7) > 20
