"""The cold tier as open tables beside the store: one Delta table a stream, on a disk or in object storage.

A trading date is written whole, in one commit that takes the place of what the table had of it, whenever its
files changed; so a date is there as it was at one moment, each row once, however often this is cut short.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from qautlra.base import log, metrics
from qautlra.base.errors import ConfigError
from qautlra.base.secret import Secret
from qautlra.base.service import Service
from qautlra.store.catalogue import DataFile, State, write_durably
from qautlra.store.schema import BAR_1M, BAR_SCHEMA, ROW_SCHEMA, TRADING_DATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOTES = "lake.json"
RETRY_S = 10.0
_log = log.get_logger("store")


class LakeService(Service):
    """Writes what changed every `interval_s`. Storage that is away is tried again; nothing else waits."""

    name = "lake"

    def __init__(
        self,
        state: Callable[[], State | None],
        data_dir: Path,
        url: str,
        interval_s: float,
        options: dict[str, Secret],
    ) -> None:
        super().__init__()
        try:
            import deltalake  # noqa: F401
        except ImportError:
            raise ConfigError(
                "open tables need deltalake",
                key="store.lake.url",
                value=url,
                expected='pip install "qautlra[lake]"',
            ) from None
        self._state = state
        self._data_dir = data_dir
        self._url = url.rstrip("/")
        self._interval_s = interval_s
        self._options = options
        self._written: dict[str, int] = {}
        self.commits = 0
        self.rows = 0
        self.error = ""

    async def start(self) -> None:
        """Remember what is written, and begin."""
        path = self._data_dir / NOTES
        try:
            self._written = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.DecodeError):
            self._written = {}  # everything is written again, in place of itself
        metrics.watch("qautlra_lake_commits_total", "Dates written", lambda: self.commits, kind="counter")
        metrics.watch("qautlra_lake_rows_total", "Rows written", lambda: self.rows, kind="counter")
        self.spawn(self._keep_writing(), "write")

    async def stop(self, grace_s: float) -> None:
        """End; a commit is there or it is not."""
        metrics.unwatch("qautlra_lake_")
        await self.cancel_tasks(grace_s)

    def health(self) -> dict[str, Any]:
        """Return where the tables are and what holds them up."""
        facts: dict[str, Any] = {"url": self._url, "commits": self.commits, "rows": self.rows}
        return facts | ({"error": self.error} if self.error else {})

    async def _keep_writing(self) -> None:
        while True:
            wait_s = self._interval_s
            state = self._state()
            if state is not None:
                try:
                    await self._write_new(state)
                    self.error = ""
                except Exception as error:  # the client's errors have no common root
                    text = f"{type(error).__name__}: {error}"[:500]
                    if text != self.error:
                        _log.error("lake_held_up", error=text)
                    self.error, wait_s = text, min(RETRY_S, self._interval_s)
            await asyncio.sleep(wait_s)

    async def _write_new(self, state: State) -> None:
        for (stream, day), files in grouped(state).items():
            key = f"{self._url}/{stream}/{day}"
            mark = crc32("\n".join(sorted(file.path for file in files)).encode())
            if self._written.get(key) == mark:
                continue
            rows = await asyncio.to_thread(self._write, stream, day, files)
            self.commits += 1
            self.rows += rows
            self._written[key] = mark
            content = msgspec.json.encode(self._written)
            await asyncio.to_thread(write_durably, self._data_dir / NOTES, content)

    def _write(self, stream: str, day: str, files: list[DataFile]) -> int:
        """Put the rows of a date in the place of what the table has of it. Blocking."""
        from deltalake import write_deltalake

        schema = BAR_SCHEMA if stream == BAR_1M else ROW_SCHEMA
        paths = [self._data_dir / file.path for file in files]
        write_deltalake(
            f"{self._url}/{stream}",
            pa.RecordBatchReader.from_batches(schema, _batches(paths, schema)),
            mode="overwrite",
            predicate=f"{TRADING_DATE} = '{day}'",
            partition_by=[TRADING_DATE],
            storage_options={name: value.reveal() for name, value in self._options.items()} or None,
        )
        return sum(file.rows for file in files)


def grouped(state: State) -> dict[tuple[str, str], list[DataFile]]:
    """Return the files of each stream and trading date, oldest first."""
    found: dict[tuple[str, str], list[DataFile]] = {}
    for file in sorted(state.files, key=lambda one: (one.day, one.stream, one.path)):
        found.setdefault((file.stream, file.day.isoformat()), []).append(file)
    return found


def _batches(paths: list[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(65_536, columns=schema.names):
            yield pa.RecordBatch.from_arrays(
                [batch.column(field.name).cast(field.type) for field in schema], schema=schema
            )
