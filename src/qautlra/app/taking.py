"""Configuration to what takes rows in and out beside the doors: Kafka topics, uploaded files, open tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qautlra.app.offline import recorded
from qautlra.base.secret import Secret
from qautlra.config.tree import Kafka, Lake, Store
from qautlra.link.kafka import KafkaOptions, KafkaReader, check_installed
from qautlra.store.bulk import Imports
from qautlra.store.kafka import KafkaIngest, KafkaSettings, check_names
from qautlra.store.lake import LakeService
from qautlra.store.service import StoreService

if TYPE_CHECKING:
    from qautlra._core.market import Calendar, Instruments


def kafka(settings: Kafka, store: StoreService) -> KafkaIngest:
    """Return the service that puts the topics into the store; ConfigError for names that cannot be used."""
    check_installed()
    given = KafkaSettings(
        group=settings.group_id,
        stream=settings.stream,
        dead_letters=settings.dead_letters,
        batch_messages=settings.batch_messages,
    )
    check_names(settings.topics, given)

    def reader(group: str) -> KafkaReader:
        return KafkaReader(
            KafkaOptions(tuple(settings.brokers), tuple(settings.topics), group, settings.offset_reset)
        )

    return KafkaIngest(reader, store.ingest, store.query, store.data_dir, given)


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


def lake(settings: Lake, store: StoreService) -> LakeService:
    """Return the service that writes the files as Delta tables; ConfigError without the client."""
    options = {
        "AWS_ENDPOINT_URL": Secret(settings.endpoint),
        "AWS_REGION": Secret(settings.region),
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.secret_access_key,
        "AWS_ALLOW_HTTP": Secret("true" if settings.endpoint.startswith("http:") else ""),
    }
    given = {name: value for name, value in options.items() if value.reveal()}
    return LakeService(
        store.parts,
        store.data_dir,
        settings.url,
        settings.interval_s,
        given,
        take_over=settings.take_over,
        retention_days=settings.retention_days,
    )
