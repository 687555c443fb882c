"""Turns of tests that run in several processes: one that is to be alone gets in, and is alone."""

import queue
import threading
import uuid

import pytest

from tests.conftest import pytest_collection_modifyitems
from tests.turns import turn


def test_one_that_waits_to_be_alone_comes_before_all_who_come_later() -> None:
    run = uuid.uuid4().hex
    inside: queue.Queue[str] = queue.Queue()
    go = {name: threading.Event() for name in ("first", "alone", "later")}

    def hold(name: str) -> None:
        with turn(run, alone=name == "alone"):
            inside.put(name)
            assert go[name].wait(30)

    threads = {name: threading.Thread(target=hold, args=(name,), daemon=True) for name in go}
    threads["first"].start()
    assert inside.get(timeout=30) == "first"
    threads["alone"].start()
    threads["alone"].join(0.2)  # it waits by now
    threads["later"].start()
    threads["later"].join(0.2)
    assert inside.empty()
    go["first"].set()
    assert inside.get(timeout=30) == "alone"
    threads["later"].join(0.2)
    assert inside.empty()
    go["alone"].set()
    assert inside.get(timeout=30) == "later"
    go["later"].set()
    for thread in threads.values():
        thread.join(30)
        assert not thread.is_alive()


def test_others_run_side_by_side() -> None:
    run = uuid.uuid4().hex
    with turn(run, alone=False), turn(run, alone=False):
        pass


@pytest.mark.parametrize("whole", [True, False])
def test_files_are_alone_and_come_last_or_are_not(request: pytest.FixtureRequest, whole: bool) -> None:
    """One test of a file would have all others wait in the middle of the run."""
    items = []
    for number in range(3):
        module = pytest.Module.from_parent(request.session, path=request.path.with_name(f"test_{number}.py"))
        item = pytest.Function.from_parent(module, name="test_it", callobj=test_others_run_side_by_side)
        if number == 1:
            (module if whole else item).add_marker("alone")
        items.append(item)
    if whole:
        pytest_collection_modifyitems(items)
        assert [item.path.stem for item in items] == ["test_0", "test_2", "test_1"]
    else:
        with pytest.raises(pytest.UsageError, match="whole files"):
            pytest_collection_modifyitems(items)
