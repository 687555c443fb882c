"""Reading topics where nothing can be relied on but the store: groups forgotten, logs made anew, refusals."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from qautlra.base.errors import ConfigError, InputError, LinkError, StorageError
from qautlra.link.kafka import Message, Place, RangeError
from qautlra.model.streams import StreamOptions
from qautlra.store import kafka
from qautlra.store.kafka import KafkaIngest, KafkaSettings, check_names
from qautlra.store.kafka_notes import Mark, Notes, write

APP = Place("app", 0)


class Broker:
    """A broker with one partition: its messages from `first` on, and what the group has committed."""

    def __init__(self) -> None:
        self.first = 0
        self.log: list[Message] = []
        self.committed: int | None = None
        self.is_cut_before_commit = False
        self.commits: list[int] = []
        "Offsets as they came, answered or not."
        self.answers = asyncio.Event()
        self.answers.set()

    @property
    def end(self) -> int:
        return self.first + len(self.log)

    def send(self, *numbers: int) -> None:
        for n in numbers:
            self.log.append(Message(self.end, None, b'{"n": %d}' % n, 1_000 + n))

    def send_bytes(self, value: bytes) -> None:
        self.log.append(Message(self.end, None, value, 0))

    def forget_before(self, offset: int) -> None:
        self.log, self.first = self.log[offset - self.first :], offset

    def anew(self, *numbers: int) -> None:
        self.log, self.first, self.committed = [], 0, None
        self.send(*numbers)


class Reader:
    """One connection to it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._at: int | None = None

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def found(self) -> list[Place]:
        return [APP] if self._at is None else []

    async def committed(self, _place: Place) -> int | None:
        return self._broker.committed

    async def first(self, _place: Place) -> int:
        return self._broker.first

    async def kept_from(self, places: Sequence[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, self._broker.first)

    async def message(self, _place: Place, offset: int) -> Message | None:
        return self._broker.log[offset - self._broker.first] if offset < self._broker.end else None

    def read_from(self, starts: Mapping[Place, int]) -> None:
        self._at = starts[APP]

    async def messages(self, most: int, _wait_ms: int) -> dict[Place, list[Message]]:
        assert self._at is not None
        if self._at < self._broker.first or self._at > self._broker.end:
            raise RangeError([APP])
        found = self._broker.log[self._at - self._broker.first :][:most]
        if not found:
            await asyncio.sleep(0.001)
            return {}
        self._at += len(found)
        return {APP: found}

    async def commit(self, offsets: Mapping[Place, int]) -> None:
        if self._broker.is_cut_before_commit:
            raise LinkError("the broker is away")
        self._broker.commits.append(offsets[APP])
        await self._broker.answers.wait()
        self._broker.committed = offsets[APP]

    def lag(self) -> dict[Place, int]:
        return {}


class Store:
    """Both doors of a store, in memory. `refuses` raises what a stream has against events."""

    def __init__(self) -> None:
        self.streams: dict[str, list[dict[str, Any]]] = {}
        self.refuses: Callable[[str], None] = lambda _stream: None

    async def ingest(
        self, name: str, events: Sequence[Any], extra: Mapping[str, Any], *, create: bool
    ) -> int:
        self.refuses(name)
        offsets = extra["p_kafka_offset"].to_pylist()
        rows = [event | {"p_kafka_offset": at} for event, at in zip(events, offsets, strict=True)]
        self.streams.setdefault(name, []).extend(rows)
        return len(rows)

    async def create(self, name: str, _options: StreamOptions) -> None:
        self.streams[name] = []

    async def settle(self) -> None: ...
    def names(self) -> list[str]:
        return list(self.streams)

    def schema(self, _name: str) -> list[dict[str, Any]]:
        return [{"name": "p_kafka_offset"}]

    async def run(self, request: Any) -> Any:
        least = int(request.filter.split("p_kafka_offset >= ")[1].split()[0])
        lines = [
            orjson.dumps({"p_kafka_offset": row["p_kafka_offset"]}) + b"\n"
            for row in self.streams[request.stream]
            if row["p_kafka_offset"] >= least
        ]

        class Result:
            @property
            async def chunks(self) -> Any:
                for line in lines:
                    yield line

        return Result()

    def numbers(self) -> list[int]:
        return [row["n"] for row in self.streams.get("app", [])]


class World:
    """A directory, a store and a broker over several runs of the service."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.broker = Broker()
        self.store = Store()
        self.make_reader = lambda: Reader(self.broker)
        self.service = self._service()

    def _service(self) -> KafkaIngest:
        return KafkaIngest(
            lambda _group: self.make_reader(), self.store, self.store, self.directory,
            KafkaSettings(group="g", batch_messages=3),
        )  # fmt: skip

    async def until(self, check: Callable[[KafkaIngest], bool], *, kill: bool = False) -> None:
        """Run the service until `check`, then stop it, or leave it as a kill would."""
        self.service = service = self._service()
        await service.start()
        async with asyncio.timeout(20):
            while not check(service):  # noqa: ASYNC110 - changed by the service
                await asyncio.sleep(0.001)
        if kill:
            await service.cancel_tasks(5)
        else:
            await service.stop(5)

    async def until_stored(self, count: int, *, kill: bool = False) -> None:
        await self.until(lambda _service: len(self.store.numbers()) >= count, kill=kill)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(kafka, "RETRY_MIN_S", 0.001)
    return World(tmp_path)


def test_a_group_the_broker_has_forgotten_is_not_read_again(world: World) -> None:
    async def work() -> None:
        world.broker.send(*range(7))
        await world.until(lambda _s: world.broker.committed == 7)
        world.broker.committed = None
        world.broker.send(7, 8)
        await world.until_stored(9)
        assert world.store.numbers() == list(range(9))
        # no rows to know them by: retention has taken them, the note has not gone
        world.broker.committed = None
        world.store.streams["app"].clear()
        world.broker.send(9)
        await world.until_stored(1)
        assert world.store.numbers() == [9]

    asyncio.run(work())


def test_what_was_stored_after_the_last_note_is_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        monkeypatch.setattr(kafka, "NOTE_S", 3600.0)
        world.broker.send(*range(3))
        await world.until(lambda _s: world.broker.committed == 3, kill=True)
        world.broker.is_cut_before_commit = True
        world.broker.send(*range(3, 9))
        await world.until_stored(9, kill=True)
        world.broker.is_cut_before_commit = False
        world.broker.committed = None
        world.broker.send(9)
        await world.until(lambda _s: world.broker.committed == 10)
        assert world.store.numbers() == list(range(10))

    asyncio.run(work())


def test_a_copy_of_a_store_reads_what_only_the_other_has(world: World) -> None:
    """A backup that is put back is behind what the group has committed since."""

    async def work() -> None:
        world.broker.send(*range(5))
        await world.until(lambda _s: world.broker.committed == 5)
        kept = list(world.store.streams["app"])
        notes = Notes.load(world.directory).copied()
        world.broker.send(*range(5, 9))
        await world.until(lambda _s: world.broker.committed == 9)
        world.store.streams["app"] = kept
        write(world.directory, notes.encoded())
        await world.until_stored(9)
        assert world.store.numbers() == list(range(9))
        # from then on the group's offsets count again
        world.broker.send(9, 10)
        world.broker.committed = 10
        await world.until(lambda _s: world.broker.committed == 11)
        assert world.store.numbers() == [*range(9), 10]
        assert not Notes.load(world.directory).is_copy

    asyncio.run(work())


def test_a_copys_own_group_is_its_own() -> None:
    notes = Notes(id="one", since_us={"qautlra-one/a.b/0": 5}, stored={"g/t/12": Mark(3, 4, 5)})
    copy = notes.copied()
    assert copy.is_copy and copy.id != "one" and copy.stored == notes.stored
    assert copy.since_us == {f"qautlra-{copy.id}/a.b/0": 5}


def test_another_log_of_the_same_name_is_read_whole(world: World) -> None:
    async def work() -> None:
        world.broker.send(*range(5))
        await world.until(lambda _s: world.broker.committed == 5)
        for numbers in (range(10, 13), range(20, 28), range(30, 35)):  # shorter, longer, as long
            world.store.streams["app"].clear()
            world.broker.anew(*numbers)
            await world.until(lambda _s, end=world.broker.end: world.broker.committed == end)
            assert world.store.numbers() == list(numbers)
        # and a group's offset behind the end of a log is of another one
        world.store.streams["app"].clear()
        world.broker.anew(50, 51)
        world.broker.committed = 9
        await world.until(lambda _s: world.broker.committed == 2)
        assert world.store.numbers() == [50, 51]

    asyncio.run(work())


def test_messages_the_broker_has_dropped_are_passed_over_and_no_others(world: World) -> None:
    async def work() -> None:
        world.broker.send(*range(4))
        await world.until(lambda _s: world.broker.committed == 4)
        for committed in (4, None, 2):
            world.store.streams["app"].clear()
            world.broker.send(*range(4))
            world.broker.forget_before(world.broker.end - 3)
            world.broker.committed = committed
            await world.until(lambda _s: world.broker.committed == world.broker.end)
            assert world.store.numbers() == [1, 2, 3]

    asyncio.run(work())


def test_a_commit_that_is_not_answered_holds_no_reading_up(world: World) -> None:
    async def work() -> None:
        world.broker.send(*range(3))
        await world.until(lambda _s: world.broker.committed == 3)
        world.broker.answers.clear()
        world.broker.send(*range(3, 30))
        await world.until_stored(30, kill=True)
        assert world.broker.committed == 3  # what was under way ended with the kill
        world.broker.answers.set()
        await world.until(lambda _s: world.broker.committed == 30)
        assert world.store.numbers() == list(range(30))

    asyncio.run(work())


def test_what_is_committed_is_stored_and_noted(world: World) -> None:
    """Whatever waits while a commit is under way: never an offset whose rows may be lost yet."""
    ingest = world.store.ingest

    async def slowly(name: str, events: Sequence[Any], extra: Mapping[str, Any], *, create: bool) -> int:
        await asyncio.sleep(0.002)  # commits go on meanwhile
        return await ingest(name, events, extra, create=create)

    class Slow(Reader):
        async def commit(self, offsets: Mapping[Place, int]) -> None:
            assert offsets[APP] <= len(world.store.numbers()), "told before it is durable"
            assert offsets[APP] == 0 or Notes.load(world.directory).stored, "no mark yet"
            await asyncio.sleep(0.005)
            await super().commit(offsets)

    async def work() -> None:
        world.store.ingest = slowly  # type: ignore[method-assign]
        world.broker.send(*range(60))
        world.make_reader = lambda: Slow(world.broker)
        await world.until(lambda _s: world.broker.committed == 60)
        assert world.store.numbers() == list(range(60))
        assert world.broker.commits == sorted(set(world.broker.commits))
        assert len(world.broker.commits) < 20, "what waits is one offset"
        assert world.service.commits == len(world.broker.commits) - 1  # the first is where it begins

    asyncio.run(work())


def test_a_commit_the_broker_refuses_is_made_again(world: World) -> None:
    async def work() -> None:
        world.broker.send(*range(3))
        await world.until(lambda _s: world.broker.committed == 3)
        world.broker.is_cut_before_commit = True
        world.broker.send(3)  # one batch: no other commit tells of it
        await world.until(lambda s: "broker is away" in s.error)
        world.broker.send(*range(4, 30))
        await world.until(lambda s: "broker is away" in s.error)
        world.broker.is_cut_before_commit = False
        await world.until(lambda _s: world.broker.committed == 30)
        assert world.store.numbers() == list(range(30))

    asyncio.run(work())


def test_dead_letters_that_are_refused_hold_the_reading(world: World) -> None:
    async def work() -> None:
        def refuse(stream: str) -> None:
            if stream == "kafka_dead":
                raise InputError("it has other columns")

        world.broker.send(1)
        world.broker.send_bytes(b"{torn")
        world.broker.send(2)
        world.store.refuses = refuse
        await world.until(lambda s: "other columns" in s.error)
        assert world.service.failed.done() is False and world.broker.committed == 0
        world.store.refuses = lambda _stream: None
        await world.until(lambda _s: world.broker.committed == 3)
        assert world.store.numbers() == [1, 2]
        assert [row["value"] for row in world.store.streams["kafka_dead"]] == ["{torn"]

    asyncio.run(work())


def test_a_message_too_large_for_any_stream_is_a_letter_of_its_beginning(world: World) -> None:
    async def work() -> None:
        def refuse(stream: str) -> None:
            if stream == "app":
                raise InputError("an event is too large", status=413)

        world.store.refuses = refuse
        world.broker.send_bytes(b'{"s": "' + b"x" * 9_000_000 + b'"}')
        await world.until(lambda _s: world.broker.committed == 1)
        (letter,) = world.store.streams["kafka_dead"]
        assert len(letter["value"]) == 4 << 20 and letter["value"].startswith('{"s": "xx')
        assert "too large" in letter["error"] and "of its 9000009 bytes" in letter["error"]

    asyncio.run(work())


def test_notes_that_cannot_be_written_hold_the_reading(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        def full(_directory: Path, _content: bytes) -> None:
            raise StorageError("no space left")

        with monkeypatch.context() as patch:
            patch.setattr(kafka, "write", full)
            world.broker.send(1, 2)
            await world.until(lambda s: "no space" in s.error, kill=True)
        await world.until(lambda _s: world.broker.committed == 2)
        assert world.store.numbers() == [1, 2]

    asyncio.run(work())


@pytest.mark.parametrize(
    ("topics", "given", "key"),
    [
        (["x" * 100], {}, "link.kafka.topics"),
        (["-x"], {}, "link.kafka.topics"),
        (["good", "select"], {}, "link.kafka.topics"),
        (["bar.1d"], {}, "link.kafka.topics"),
        (["t"], {"stream": "BAR_1D"}, "link.kafka.stream"),
        (["t"], {"stream": "from"}, "link.kafka.stream"),
        (["t"], {"dead_letters": "futures_market"}, "link.kafka.dead_letters"),
        (["t"], {"dead_letters": "bar_1d"}, "link.kafka.dead_letters"),
        (["t"], {"dead_letters": "-dead"}, "link.kafka.dead_letters"),
        (["a.T"], {"dead_letters": "a_t"}, "link.kafka.dead_letters"),
    ],
)
def test_names_that_cannot_be_used_are_said_at_the_start(
    topics: list[str], given: dict[str, str], key: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        check_names(topics, KafkaSettings(**given))  # type: ignore[arg-type]
    assert raised.value.key == key
    check_names(["market_data", "a.b", "x" * 64], KafkaSettings())
