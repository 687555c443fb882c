"""Everybody's statements in turn: nobody waits behind all of another's, and what waits has an end."""

import asyncio
import random
from pathlib import Path

import pytest

from qautlra.base.errors import LimitError
from qautlra.model.query import SqlRequest
from qautlra.store.turns import Turns
from tests.store.world import World, run, world


class Crowd:
    """Statements that end when they are told to."""

    def __init__(self, slots: int, each: int = 16, every: int = 64) -> None:
        self.turns = Turns(slots, each, every)
        self.running: list[str] = []
        self.begun: list[str] = []
        self.refused: dict[str, int] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *names: str) -> None:
        """`a1` is a statement of `a`."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks[name] = asyncio.ensure_future(self._one(name))
            await asyncio.sleep(0)
        await self.quiet()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.quiet()

    async def leave(self, name: str) -> None:
        self._tasks[name].cancel()
        await self.quiet()

    async def quiet(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    async def _one(self, name: str) -> None:
        try:
            await self.turns.take(name[0])
        except LimitError as error:
            self.refused[name] = error.status
            return
        self.running.append(name)
        self.begun.append(name)
        try:
            await self._ends[name].wait()
        finally:
            self.running.remove(name)
            self.turns.give(name[0])


def test_the_one_who_waited_longest_for_a_turn_is_next() -> None:
    async def story() -> None:
        crowd = Crowd(1)
        await crowd.ask("a1", "a2", "a3", "a4", "b1", "c1", "c2")
        while crowd.running:
            await crowd.end(crowd.running[0])
        assert crowd.begun == ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]

    run(story())


def test_two_who_ask_by_turns_do_not_starve_a_third() -> None:
    async def story() -> None:
        crowd = Crowd(1)
        await crowd.ask("b0", "c0", "a0", "a1")
        for n in range(1, 6):
            for name in "bc":
                await crowd.ask(f"{name}{n}")
                await crowd.end(crowd.running[0])
        assert crowd.begun.index("a1") < crowd.begun.index("b3")

    run(story())


def test_of_several_slots_one_is_left_to_others() -> None:
    async def story() -> None:
        crowd = Crowd(3)
        await crowd.ask("a1", "a2", "a3")
        assert crowd.running == ["a1", "a2"]
        await crowd.ask("b1")
        assert crowd.running == ["a1", "a2", "b1"] and crowd.turns.waiting == 1
        await crowd.end("b1")
        assert crowd.running == ["a1", "a2"]
        await crowd.end("a1")
        assert crowd.running == ["a2", "a3"]

    run(story())


def test_what_waits_is_bounded_by_asker_and_in_all() -> None:
    async def story() -> None:
        crowd = Crowd(1, each=3, every=6)
        await crowd.ask("a0", "a1", "a2", "a3", "a4")
        assert crowd.refused == {"a4": 429}
        await crowd.ask("b1", "b2", "b3", "c1")
        assert crowd.refused == {"a4": 429, "a3": 503}, "the one with most gives way"
        await crowd.ask("d1")
        assert list(crowd.refused) == ["a4", "a3", "b3"]
        await crowd.ask("a5")
        assert crowd.refused["a5"] == 503, "one who has as much as anybody gets no more"
        assert crowd.turns.waiting == 6 and crowd.turns.askers == 4 and crowd.turns.refused == 4

    run(story())


def test_who_leaves_holds_nothing() -> None:
    async def story() -> None:
        rng = random.Random(5)
        crowd = Crowd(2)
        asked = []
        for n in range(300):
            name = f"{rng.choice('abc')}{n}"
            asked.append(name)
            await crowd.ask(name)
            for one in rng.sample(asked, min(len(asked), 2)):
                if rng.random() < 0.5:
                    await crowd.leave(one)
                elif one in crowd.running:
                    await crowd.end(one)
            assert crowd.turns.running == len(crowd.running) <= 2
        for one in asked:
            crowd._ends[one].set()
        while crowd.turns.running:
            await crowd.quiet()
        assert (crowd.turns.waiting, crowd.turns.askers) == (0, 0)

    run(story())


@pytest.mark.slow
def test_one_users_long_statements_do_not_keep_another_waiting(tmp_path: Path) -> None:
    endless = "SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)"

    async def ask(w: World, text: str, who: str, ended: list[str]) -> None:
        try:
            await w.store.query.run(SqlRequest(sql=text, start_time=0, end_time="now", who=who))
        except LimitError:
            pass
        ended.append(who)

    async def story() -> None:
        ended: list[str] = []
        async with world(tmp_path, query_timeout_s=0.5) as w:
            greedy = [asyncio.ensure_future(ask(w, endless, "greedy", ended)) for _ in range(8)]
            await asyncio.sleep(0)
            await asyncio.gather(*greedy, ask(w, "SELECT 1 AS one", "other", ended))
        assert ended.index("other") <= 1 and len(ended) == 9

    run(story())
