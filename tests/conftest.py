"""Shared fixtures: the reference data beside the checkout, hypothesis profiles, and tests that run alone."""

import contextlib
import gc
import os
import signal
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import aiohttp.web_app
import pytest
import structlog
from hypothesis import HealthCheck, settings

import qautlra
from tests.turns import turn

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "short", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = str(Path(qautlra.__file__).parents[1])  # PYTHONPATH of child processes: the product under test


# Folders whose files take longest: each test a process or a browser. One begun last would be waited for.
LONG = ("benchmarks", "contract", "e2e", "fault", "ctp", "store", "cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long first, files of tests that run alone last; the order inside a file stays."""

    def place(item: pytest.Item) -> tuple[bool, int]:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        alone = item.get_closest_marker("alone") is not None
        if alone and any(mark.name == "alone" for mark in item.own_markers):
            raise pytest.UsageError(f"{item.nodeid}: `alone` is for whole files, which come last")
        return alone, LONG.index(folder) if folder in LONG else len(LONG)

    items.sort(key=place)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """With `-n`: a test marked `alone` waits until none runs and lets none begin, outside its timeout."""
    # Not of the environment: a pytest that a test starts has that too, and would wait for that test's end.
    run = getattr(item.config, "workerinput", {}).get("testrunuid")
    if run is None:
        return (yield)
    alone = item.get_closest_marker("alone") is not None
    with turn(run, alone=alone):
        if not alone:
            return (yield)
        tell_beside(signal.SIGSTOP)
        try:
            return (yield)
        finally:
            tell_beside(signal.SIGCONT)


def tell_beside(number: int) -> bool:
    """Send a signal to the process group that .ci/run has working beside the tests, if one does."""
    group = os.environ.get("QAUTLRA_BESIDE")
    if group is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(group), number)
            return True
    return False


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """The summary comes last: what works beside the tests ends before it, and has shown what it said."""
    is_inner = hasattr(session.config, "workerinput") or "PYTEST_XDIST_WORKER" in os.environ  # in a test, too
    if not is_inner:
        while tell_beside(signal.SIGCONT):
            time.sleep(0.2)


@pytest.fixture(autouse=True)
def let_go_of_servers() -> Iterator[None]:
    """Forget a test's servers: aiohttp keeps applications, and with them exchanges and stores."""
    yield
    for made in vars(aiohttp.web_app).values():
        if hasattr(made, "cache_clear"):
            made.cache_clear()


@pytest.fixture(autouse=True, scope="module")
def collect_garbage() -> Iterator[None]:
    """Free a file's servers: what they hold is not memory that Python counts."""
    yield
    gc.collect()


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
