"""Topics of a Kafka broker as one reader: offsets in our hands, nothing committed unasked.

Partitions are assigned, not shared out by the group: one store reads all of them, and a start after a kill
waits for no session to expire. The group's name is only where offsets are committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from qautlra.base.errors import ConfigError, LinkError

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.admin import AIOKafkaAdminClient

PARTITION_BYTES = 1 << 20
FETCH_BYTES = 16 << 20
OPEN_TIMEOUT_MS = 10_000
LOOK_MS = 500

_T = TypeVar("_T")


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Message(NamedTuple):
    """One record as the broker has it; `time_ms` is Unix milliseconds of its producer or broker."""

    offset: int
    key: bytes | None
    value: bytes | None
    time_ms: int


class RangeError(LinkError):
    """A partition has no such offset (any more), or is gone: begin it again."""

    def __init__(
        self, places: Iterable[Place], what: str = "is at an offset the broker does not have"
    ) -> None:
        self.places = list(places)
        names = ", ".join(f"{place.topic}/{place.partition}" for place in self.places)
        super().__init__(f"Kafka: {names} {what}")


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """Where the broker is and what is read of it. `reset`: where a partition begins that has no offset."""

    brokers: tuple[str, ...]
    topics: tuple[str, ...]
    group: str
    reset: Literal["earliest", "latest"] = "earliest"


def check_installed() -> None:
    """ConfigError when the client is not installed."""
    try:
        import aiokafka  # noqa: F401
    except ImportError:
        raise ConfigError(
            "Kafka needs aiokafka",
            key="link.kafka.enabled",
            value=True,
            expected='pip install "qautlra[kafka]", or false',
        ) from None


class KafkaReader:
    """Reads some topics. Every error of the client is a LinkError; after one, close and open again."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._positions: dict[Place, int] = {}
        self._missing: set[str] = set()
        "Topics that were not there when they were looked for last."

    async def open(self) -> None:
        """Connect."""
        from aiokafka import AIOKafkaConsumer
        from aiokafka.admin import AIOKafkaAdminClient

        servers = list(self._options.brokers)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=servers,
            group_id=self._options.group,
            client_id="qautlra",
            enable_auto_commit=False,
            auto_offset_reset="none",  # an offset out of range is an error
            isolation_level="read_committed",
            max_partition_fetch_bytes=PARTITION_BYTES,
            fetch_max_bytes=FETCH_BYTES,
            request_timeout_ms=OPEN_TIMEOUT_MS,
        )
        self._admin = AIOKafkaAdminClient(
            bootstrap_servers=servers, client_id="qautlra", request_timeout_ms=OPEN_TIMEOUT_MS
        )
        await _told(self._consumer.start())
        await _told(self._admin.start())

    async def close(self) -> None:
        """Let the connections go."""
        consumer, admin = self._consumer, self._admin
        self._consumer = self._admin = None
        self._positions.clear()
        with suppress(Exception):
            if consumer is not None:
                await consumer.stop()
        with suppress(Exception):
            if admin is not None:
                await admin.close()

    async def found(self) -> list[Place]:
        """Return the partitions of the topics that are not read yet; a topic that is not there has none.

        RangeError when one that is read is not there twice: another that comes under its name begins anew.
        """
        assert self._admin is not None
        # Of all topics: a broker may make the one it is asked for by name.
        every = await _told(self._admin.describe_topics())
        described = [topic for topic in every if topic["topic"] in self._options.topics]
        missing = set(self._options.topics) - {one["topic"] for one in described if not one["error_code"]}
        gone = [place for place in self._positions if place.topic in missing & self._missing]
        self._missing = missing
        if gone:
            raise RangeError(gone, "is gone")
        places = [
            Place(topic["topic"], partition["partition"])
            for topic in described
            if not topic["error_code"]
            for partition in topic["partitions"]
        ]
        return sorted(place for place in places if place not in self._positions)

    async def committed(self, place: Place) -> int | None:
        """Return the offset the group has committed, None when it has none."""
        from aiokafka import TopicPartition

        found: int | None = await _told(self._reading().committed(TopicPartition(*place)))
        return found

    async def first(self, place: Place) -> int:
        """Return the offset reading begins at without a committed one."""
        from aiokafka import TopicPartition

        partition = TopicPartition(*place)
        reading = self._reading()
        ask = reading.beginning_offsets if self._options.reset == "earliest" else reading.end_offsets
        offsets: dict[Any, int] = await _told(ask([partition]))
        return offsets[partition]

    async def kept_from(self, places: Sequence[Place]) -> dict[Place, int]:
        """Return the first offset the broker has of each partition."""
        from aiokafka import TopicPartition

        partitions = {place: TopicPartition(*place) for place in places}
        offsets: dict[Any, int] = await _told(self._reading().beginning_offsets(list(partitions.values())))
        return {place: offsets[partition] for place, partition in partitions.items()}

    async def message(self, place: Place, offset: int) -> Message | None:
        """Return the first message at or after `offset`, None when the partition ends before it.

        What was being read is read again by `read_from`.
        """
        from aiokafka import TopicPartition

        partition, reading = TopicPartition(*place), self._reading()
        reading.assign([partition])
        reading.seek(partition, offset)
        for _ in range(OPEN_TIMEOUT_MS // LOOK_MS):
            try:
                found = await _told(reading.getmany(partition, timeout_ms=LOOK_MS, max_records=1))
            except RangeError:
                return None
            if found:
                return _message(found[partition][0])
            end = reading.highwater(partition)
            if end is not None and end <= offset:
                return None
        raise LinkError(f"Kafka: no message of {place.topic}/{place.partition} came from {offset} on")

    def read_from(self, starts: Mapping[Place, int]) -> None:
        """Read these partitions too, from these offsets."""
        from aiokafka import TopicPartition

        self._positions |= starts
        reading = self._reading()
        reading.assign([TopicPartition(*place) for place in self._positions])
        for place, offset in self._positions.items():
            reading.seek(TopicPartition(*place), offset)

    async def messages(self, most: int, wait_ms: int) -> dict[Place, list[Message]]:
        """Return up to `most` messages by partition, in order; none when none came within `wait_ms`.

        RangeError: nothing is passed over unseen.
        """
        if not self._positions:  # the client would wait for ever
            await asyncio.sleep(wait_ms / 1_000)
            return {}
        batches = await _told(self._reading().getmany(timeout_ms=wait_ms, max_records=most))
        found = {}
        for partition, records in batches.items():
            place = Place(partition.topic, partition.partition)
            found[place] = [_message(record) for record in records]
            self._positions[place] = records[-1].offset + 1
        return found

    async def commit(self, offsets: Mapping[Place, int]) -> None:
        """Tell the broker that everything before these offsets is done with."""
        from aiokafka import TopicPartition

        await _told(self._reading().commit({TopicPartition(*place): at for place, at in offsets.items()}))

    def lag(self) -> dict[Place, int]:
        """Return how many messages each partition has that were not read, as far as it is known."""
        from aiokafka import TopicPartition

        consumer = self._consumer
        if consumer is None:
            return {}
        ends = {place: consumer.highwater(TopicPartition(*place)) for place in self._positions}
        return {p: max(end - self._positions[p], 0) for p, end in ends.items() if end is not None}

    @property
    def places(self) -> Iterable[Place]:
        """The partitions being read."""
        return self._positions.keys()

    def _reading(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise LinkError("the Kafka reader is not open")
        return self._consumer


def _message(record: Any) -> Message:
    return Message(record.offset, record.key, record.value, record.timestamp)


async def _told(work: Awaitable[_T]) -> _T:
    from aiokafka.errors import KafkaError, OffsetOutOfRangeError

    try:
        return await work
    except OffsetOutOfRangeError as error:
        raise RangeError(Place(*partition) for partition in error.args[0]) from None
    except (KafkaError, OSError, TimeoutError, AssertionError) as error:
        raise LinkError(f"Kafka: {type(error).__name__}: {error}"[:500]) from None
