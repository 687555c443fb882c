"""Messages of Kafka topics into streams: each once, however often either side is killed.

An offset is committed when its rows are durable, and noted beside them: the later of both is where reading
begins again, so a group the broker has forgotten is none that is new. A row carries topic, partition and
offset, so what was stored after that is known at the next start and left out; rows of the market's streams
are known by (instrument, time, sequence). What cannot be stored goes, as it came, to dead letters.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
import pyarrow as pa

from qautlra.base import log, metrics
from qautlra.base.clock import monotonic_s, wall_ns
from qautlra.base.errors import (
    ConfigError,
    InputError,
    LimitError,
    LinkError,
    NotFoundError,
    StorageError,
    UnavailableError,
)
from qautlra.base.service import Service
from qautlra.link.kafka import Message, Place, RangeError
from qautlra.model.query import QueryFormat, QueryRequest
from qautlra.model.streams import StreamOptions
from qautlra.store.aggregates import BAR_1D
from qautlra.store.kafka_commits import Commits
from qautlra.store.kafka_notes import Mark, Notes, write
from qautlra.store.schema import STREAMS
from qautlra.store.tables.definition import ARRIVAL, check_table_name
from qautlra.wire.ingest import decode_events

WAIT_MS = 500
FIND_S = 5.0
RETRY_MIN_S = 0.2
RETRY_MAX_S = 20.0
NOTE_S = 1.0
LETTER_BYTES = 4 << 20
KEY_BYTES = 1 << 16
_DEAD_COLUMNS = (("error", "utf8"), ("key", "utf8"), ("value", "utf8"), ("encoding", "utf8"))
_LONG_AGO, _FAR_AHEAD = "1700-01-01", "2260-01-01"
_log = log.get_logger("kafka")


class Reader(Protocol):
    """The broker, as `link.kafka.KafkaReader`."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def found(self) -> list[Place]: ...
    async def committed(self, place: Place) -> int | None: ...
    async def first(self, place: Place) -> int: ...
    async def kept_from(self, places: Sequence[Place]) -> dict[Place, int]: ...
    async def message(self, place: Place, offset: int) -> Message | None: ...
    def read_from(self, starts: Mapping[Place, int]) -> None: ...
    async def messages(self, most: int, wait_ms: int) -> dict[Place, list[Message]]: ...
    async def commit(self, offsets: Mapping[Place, int]) -> None: ...
    def lag(self) -> dict[Place, int]: ...


class Door(Protocol):
    """The store's taking in."""

    async def ingest(
        self, name: str, events: Sequence[Any], extra: Mapping[str, Any], *, create: bool
    ) -> int:
        """Store events durably; return how many."""

    async def create(self, name: str, options: StreamOptions) -> None: ...
    async def settle(self) -> None: ...
    def names(self) -> list[str]: ...
    def schema(self, name: str) -> list[dict[str, Any]]: ...


class Questions(Protocol):
    """The store's answering."""

    async def run(self, request: QueryRequest) -> Any: ...


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """`stream`: where all topics go, empty: each to the stream of its own name. Bounds are per batch."""

    group: str = ""
    stream: str = ""
    dead_letters: str = "kafka_dead"
    batch_messages: int = 1_000


def check_names(topics: Sequence[str], settings: KafkaSettings) -> None:
    """ConfigError unless every topic has a stream to go to, and dead letters have one of their own."""
    streams = {}
    for topic in topics:
        key = "link.kafka.stream" if settings.stream else "link.kafka.topics"
        stream = streams[topic] = settings.stream or _stream_of(topic)
        if stream.lower() not in STREAMS:
            _check_stream(stream, key, settings.stream or topic)
    name = settings.dead_letters
    if name.lower() in {stream.lower() for stream in (*streams.values(), *STREAMS)}:
        raise ConfigError(
            "messages go there themselves",
            key="link.kafka.dead_letters",
            value=name,
            expected="a stream of its own",
        )
    _check_stream(name, "link.kafka.dead_letters", name)


def _check_stream(stream: str, key: str, given: str) -> None:
    try:
        check_table_name(stream)
    except InputError as error:
        raise ConfigError(str(error), key=key, value=given) from None
    if stream.lower() == BAR_1D:
        raise ConfigError("the stream is made of others", key=key, value=given)


def _place(key: str) -> tuple[Place, str]:
    """Return of what partition and group a note is; no group and no topic has a slash in it."""
    group, topic, partition = key.split("/")
    return Place(topic, int(partition)), group


def _stream_of(topic: str) -> str:
    return topic.replace(".", "_")


@dataclass(slots=True)
class _Unit:
    """A message with the events of it that are not stored yet."""

    message: Message
    events: list[Any]


class KafkaIngest(Service):
    """Reads while it runs. Broker or store away: it tries again, later and later, from the last commit."""

    name = "kafka"

    def __init__(
        self,
        reader: Callable[[str], Reader],
        door: Door,
        questions: Questions,
        data_dir: Path,
        settings: KafkaSettings,
    ) -> None:
        super().__init__()
        self._make_reader = reader
        self._door = door
        self._questions = questions
        self._directory = data_dir
        self._settings = settings
        self._notes = Notes(id="")
        self._writing: asyncio.Future[None] | None = None
        self._written = b""
        self._write_due_s = 0.0
        self._reader: Reader | None = None
        self._commits: Commits | None = None
        self._astray: set[Place] = set()
        "Partitions whose committed offset says nothing: they do not have it, or another store is that far."
        self._stored: dict[Place, Counter[int]] = {}
        self._dead: dict[Place, Counter[int]] = {}
        self.messages = 0
        self.rows = 0
        self.repeats = 0
        self.dead_letters = 0
        self.commits = 0
        self.error = "connecting"

    async def start(self) -> None:
        """Begin to connect; a broker that is away is waited for."""
        self._notes = notes = await asyncio.to_thread(Notes.load, self._directory)
        if notes.is_copy:
            self._astray = {place for place, key in map(_place, notes.stored) if key == self._group}
        self._watch()
        self.spawn(self._keep_reading(), "read")

    async def stop(self, grace_s: float) -> None:
        """End; what was not committed is read again at the next start, and known."""
        await self.cancel_tasks(grace_s)
        metrics.unwatch("qautlra_kafka_")
        await self._close()
        if self._notes.id:
            await self._write_notes()

    def health(self) -> dict[str, Any]:
        """Return counts, how far behind the reading is, and what holds it up."""
        lag = {} if self._reader is None else self._reader.lag()
        facts: dict[str, Any] = {
            "group": self._group,
            "connected": not self.error,
            "messages": self.messages,
            "rows": self.rows,
            "dead_letters": self.dead_letters,
            # Not known before each partition has answered once.
            "lag_messages": sum(lag.values()) if lag and len(lag) == len(self._stored) else None,
        }
        return facts | ({"error": self.error} if self.error else {})

    @property
    def _group(self) -> str:
        return self._settings.group or self._notes.group

    async def _keep_reading(self) -> None:
        wait_s = RETRY_MIN_S
        while True:
            began_s = monotonic_s()
            try:
                await self._read()
            except RangeError as error:
                self._astray.update(error.places)
                self.error = str(error)
                _log.warning("kafka_begins_again", error=self.error)
            except (LinkError, StorageError, UnavailableError, LimitError) as error:
                if str(error) != self.error:
                    _log.warning("kafka_held_up", error=str(error))
                self.error = str(error)
            finally:
                await self._close()
            if monotonic_s() - began_s > RETRY_MAX_S:
                wait_s = RETRY_MIN_S
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_MAX_S)

    async def _close(self) -> None:
        reader, self._reader = self._reader, None
        commits, self._commits = self._commits, None
        try:
            if commits is not None:
                await commits.close()
        finally:
            if reader is not None:
                await reader.close()

    async def _read(self) -> None:
        """Read until something fails; every partition begins behind what is stored of it."""
        self._stored.clear()
        self._dead.clear()
        reader = self._reader = self._make_reader(self._group)
        commits = self._commits = Commits(reader.commit, self._count_commit)
        await reader.open()
        looked_s = float("-inf")
        while True:
            if monotonic_s() - looked_s > FIND_S:
                looked_s = monotonic_s()
                if found := await reader.found():
                    await commits.settle()  # what is read is not the reader's while it looks at a message
                await self._begin(reader, found)
                self.error = ""
            for place, messages in (await reader.messages(self._settings.batch_messages, WAIT_MS)).items():
                await self._take(place, messages)
                key = self._key(place)
                is_first = key not in self._notes.stored
                self._notes.stored[key] = Mark.of(messages[-1])
                if is_first:  # from then on no offset is committed without a mark, be it an older one
                    await self._write_notes()
                commits.add(place, messages[-1].offset + 1)
            commits.check()
            if monotonic_s() >= self._write_due_s:
                await self._write_notes()

    def _count_commit(self) -> None:
        self.commits += 1

    async def _begin(self, reader: Reader, places: list[Place]) -> None:
        starts: dict[Place, int] = {}
        new: dict[Place, int] = {}
        kept_from = await reader.kept_from(places) if places else {}
        for place in places:
            key = self._key(place)
            at = await self._behind(reader, place, kept_from[place])
            if at is None:
                # Nothing stored before now is of this reading: the topic, or the group, is new.
                self._notes.since_us[key] = wall_ns() // 1_000
                self._notes.stored.pop(key, None)
                await self._write_notes()
                at = new[place] = await reader.first(place)
            since_us = self._notes.since_us.get(key, 0)
            self._stored[place] = await self._offsets(self._stream(place), place, at, since_us)
            self._dead[place] = await self._offsets(self._settings.dead_letters, place, at, since_us)
            starts[place] = at
            if place in self._astray:
                new[place] = at
        if starts:
            reader.read_from(starts)
            if new:
                await reader.commit(new)
            self._astray.difference_update(starts)
            self._notes.is_copy = self._notes.is_copy and bool(self._astray)
            _log.info("kafka_reads", places=[f"{p.topic}/{p.partition}@{at}" for p, at in starts.items()])

    async def _behind(self, reader: Reader, place: Place, first: int) -> int | None:
        """Return the offset behind what is known to be stored, None when nothing is of this log.

        A topic made anew, or a broker that has lost all it had, begins at 0 again with other messages: a log
        that ends before the mark, or has another message there, is not the one that was read.
        """
        mark = self._notes.stored.get(self._key(place))
        committed = None if place in self._astray else await reader.committed(place)
        if committed is not None and (mark is None or committed > mark.offset):
            return max(committed, first)
        if mark is None:
            return None
        if mark.offset >= first:
            found = await reader.message(place, mark.offset)
            if found is None or (found.offset == mark.offset and Mark.of(found) != mark):
                return None
        return max(mark.offset + 1, first)

    async def _write_notes(self) -> None:
        """Write the notes if they have changed. One write ends before another begins, cancelled or not."""
        if self._writing is not None:
            await asyncio.wait((self._writing,))
        content = self._notes.encoded()
        if content != self._written:
            self._writing = asyncio.ensure_future(asyncio.to_thread(write, self._directory, content))
            await asyncio.shield(self._writing)
            self._written = content
        self._write_due_s = monotonic_s() + NOTE_S

    def _key(self, place: Place) -> str:
        return f"{self._group}/{place.topic}/{place.partition}"

    def _stream(self, place: Place) -> str:
        return self._settings.stream or _stream_of(place.topic)

    async def _offsets(self, stream: str, place: Place, at: int, since_us: int) -> Counter[int]:
        """Return how many rows are stored of each message from `at` on."""
        if stream.lower() in STREAMS or stream.lower() not in {name.lower() for name in self._door.names()}:
            return Counter()
        await self._door.settle()
        if "p_kafka_offset" not in {column["name"] for column in self._door.schema(stream)}:
            return Counter()
        request = QueryRequest(
            stream=stream,
            start_time=_LONG_AGO,
            end_time=_FAR_AHEAD,
            columns=("p_kafka_offset",),
            filter=f"p_kafka_topic = '{place.topic}' AND p_kafka_partition = {place.partition} "
            f"AND p_kafka_offset >= {at} AND {ARRIVAL} >= {since_us}",
            format=QueryFormat.NDJSON,
        )
        result = await self._questions.run(request)
        found: Counter[int] = Counter()
        rest = b""
        async for piece in result.chunks:
            *lines, rest = (rest + piece).split(b"\n")
            found.update(int(orjson.loads(line)["p_kafka_offset"]) for line in lines if line)
        return found

    # Taking

    async def _take(self, place: Place, messages: list[Message]) -> None:
        """Store messages of one partition; on return all of them are durable, as rows or as dead letters."""
        units: list[_Unit] = []
        bad: list[tuple[Message, str]] = []
        stored, dead = self._stored[place], self._dead[place]
        for message in messages:
            if dead.pop(message.offset, 0):
                self.repeats += 1
                continue
            known = stored.pop(message.offset, 0)
            try:
                events = _events(message)
            except InputError as error:
                bad.append((message, str(error)))
                continue
            self.repeats += bool(known)
            if events[known:]:
                units.append(_Unit(message, events[known:]))
        bad += await self._store(place, units)
        if bad:
            await self._bury(place, sorted(bad, key=lambda one: one[0].offset))
        self.messages += len(messages)

    async def _store(self, place: Place, units: list[_Unit]) -> list[tuple[Message, str]]:
        """Store units; return those the stream refuses, found by halving, with the reasons."""
        if not units:
            return []
        events = [event for unit in units for event in unit.events]
        offsets = [unit.message.offset for unit in units for _ in unit.events]
        try:
            extra = _origin(place, offsets) | {"p_format": "json", "p_user_agent": "kafka"}
            self.rows += await self._door.ingest(self._stream(place), events, extra, create=True)
        except InputError as error:
            if isinstance(error, LimitError) and error.status != 413:
                raise  # it may be taken later
            if isinstance(error, NotFoundError) or len(units) == 1:
                return [(unit.message, str(error)) for unit in units]
            half = len(units) // 2
            return await self._store(place, units[:half]) + await self._store(place, units[half:])
        return []

    async def _bury(self, place: Place, bad: list[tuple[Message, str]]) -> None:
        name = self._settings.dead_letters
        letters = [_letter(message, error) for message, error in bad]
        try:
            if name.lower() not in {one.lower() for one in self._door.names()}:
                await self._door.create(name, StreamOptions(fields=_DEAD_COLUMNS))
            await self._door.ingest(name, letters, _origin(place, [m.offset for m, _ in bad]), create=False)
        except InputError as error:  # neither lost nor passed over: the reading waits here
            raise StorageError(f"link.kafka.dead_letters = {name!r}: {error}") from None
        self.dead_letters += len(bad)
        _log.warning(
            "kafka_dead_letters", topic=place.topic, count=len(bad), offset=bad[0][0].offset, error=bad[0][1]
        )

    def _watch(self) -> None:
        for name, text, read in (
            ("messages", "Messages taken", lambda: self.messages),
            ("rows", "Rows stored of them", lambda: self.rows),
            ("repeats", "Messages met again and left out", lambda: self.repeats),
            ("dead_letters", "Messages that could not be stored", lambda: self.dead_letters),
            ("commits", "Offsets committed", lambda: self.commits),
        ):
            metrics.watch(f"qautlra_kafka_{name}_total", text, read, kind="counter")
        metrics.watch("qautlra_kafka_connected", "1 while topics are read", lambda: float(not self.error))
        metrics.watch(
            "qautlra_kafka_lag_count",
            "Messages not read yet",
            lambda: {} if self._reader is None else {(p.topic, str(p.partition)): float(n)
                                                     for p, n in self._reader.lag().items()},
            labels=["topic", "partition"],
        )  # fmt: skip


def _events(message: Message) -> list[Any]:
    """Return the events of a message: an object, or an array of objects; InputError otherwise."""
    if message.value is None:
        return []  # a tombstone says that a key is gone: nothing to store
    events, _ = decode_events(message.value, "application/json")
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise InputError("not a JSON object or an array of objects", key="value")
    return events


def _origin(place: Place, offsets: list[int]) -> dict[str, Any]:
    count = len(offsets)
    return {
        "p_kafka_topic": pa.array([place.topic] * count, pa.string()),
        "p_kafka_partition": pa.array([place.partition] * count, pa.int64()),
        "p_kafka_offset": pa.array(offsets, pa.int64()),
    }


def _letter(message: Message, error: str) -> dict[str, Any]:
    value, key = message.value or b"", (message.key or b"")[:KEY_BYTES]
    if len(value) > LETTER_BYTES:
        error = f"{error[:512]} (here are the first {LETTER_BYTES} of its {len(value)} bytes)"
        value = value[:LETTER_BYTES]
    try:
        text, encoding = value.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(value).decode(), "base64"
    shown = None if message.key is None else key.decode("utf-8", "backslashreplace")
    return {"error": error[:1024], "key": shown, "value": text, "encoding": encoding}
