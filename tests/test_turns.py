"""Turns of tests that run in several processes: one that is to be alone gets in, and is alone."""

import queue
import threading
import uuid

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
