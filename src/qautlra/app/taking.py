"""Configuration to what takes rows in beside the doors: Kafka topics, uploaded files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qautlra.app.offline import recorded
from qautlra.config.tree import Kafka, Store
from qautlra.link.kafka import KafkaOptions, KafkaReader, check_installed
from qautlra.store.bulk import Imports
from qautlra.store.kafka import KafkaIngest, KafkaSettings
from qautlra.store.service import StoreService

if TYPE_CHECKING:
    from qautlra._core.market import Calendar, Instruments


def kafka(settings: Kafka, store: StoreService) -> KafkaIngest:
    """Return the service that puts the topics into the store; ConfigError without the client."""
    check_installed()

    def reader(group: str) -> KafkaReader:
        return KafkaReader(
            KafkaOptions(tuple(settings.brokers), tuple(settings.topics), group, settings.offset_reset)
        )

    return KafkaIngest(
        reader,
        store.ingest,
        store.query,
        store.data_dir,
        KafkaSettings(
            group=settings.group_id,
            stream=settings.stream,
            dead_letters=settings.dead_letters,
            batch_messages=settings.batch_messages,
        ),
    )


def imports(settings: Store, store: StoreService, instruments: Instruments, calendar: Calendar) -> Imports:
    """Return the service that imports uploaded files."""
    return Imports(
        store.ingest,
        store.query,
        store.data_dir / "imports",
        recorded,
        instruments,
        calendar,
        settings.import_bytes,
    )
