"""Shared fixtures: the reference data beside the checkout, hypothesis profiles, and tests that run alone."""

import fcntl
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

import qautlra

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "short", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = str(Path(qautlra.__file__).parents[1])  # PYTHONPATH of child processes: the product under test


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """With `-n`: a test marked `alone` waits until none runs and lets none begin, outside its timeout."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        return (yield)
    with open(Path(tempfile.gettempdir(), f"qautlra-{run}.lock"), "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        return (yield)


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    """Undo what a command under test made of the log: its stream ends with it."""
    yield
    structlog.reset_defaults()


def shared_dir() -> Path | None:
    """The folder of reference data and load generators, or None when it is not there."""
    path = Path(os.environ.get("QAUTLRA_SHARED", ROOT.parent / "shared"))
    return path if (path / "data").is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    path = shared_dir()
    if path is None:
        pytest.skip("the reference data is not beside this checkout (QAUTLRA_SHARED)")
    return path


@pytest.fixture(scope="session")
def real_day(shared: Path) -> Path:
    """CTP ticks of CFFEX IF2101, 2021-01-04: 27,955 rows."""
    return shared / "data" / "IF2101_20210104.csv.gz"


@pytest.fixture(scope="session")
def real_days(shared: Path) -> list[Path]:
    """The two real trading days: 56,209 rows together."""
    return [shared / "data" / f"IF2101_2021010{n}.csv.gz" for n in (4, 5)]
