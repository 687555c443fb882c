"""Configuration to the taking in of Kafka topics."""

from __future__ import annotations

from qautlra.config.tree import Kafka
from qautlra.link.kafka import KafkaOptions, KafkaReader, check_installed
from qautlra.store.kafka import KafkaIngest, KafkaSettings
from qautlra.store.service import StoreService


def ingest(settings: Kafka, store: StoreService) -> KafkaIngest:
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
