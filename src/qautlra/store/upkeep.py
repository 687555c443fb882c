"""A data directory looked at from outside: checked from end to end, copied as a whole. Blocking; no lock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from qautlra._core import journal
from qautlra._core.journal import JournalError
from qautlra._core.market import Calendar
from qautlra.base.errors import InputError, StorageError
from qautlra.store import kafka_notes
from qautlra.store.catalogue import MANIFEST, DataFile, State, checksum, write_durably
from qautlra.store.compaction import IDENTITY
from qautlra.store.names import TABLES
from qautlra.store.schema import INSTRUMENT, MARKET_DATA, STREAMS, TIME, TRADING_DATE
from qautlra.store.tables.definition import DEFINITIONS, read_definition
from qautlra.store.tables.filing import ASIDE
from qautlra.store.tables.keys import KEYS
from qautlra.store.whole import begin_copy, check_whole, end_copy

GAP_S = 300
GAPS_KEPT_COUNT = 100
COPY_TRIES_COUNT = 5

Told = Callable[[int], None]


class Gap(Struct, frozen=True):
    """A stretch inside trading sections without a row of an instrument that had rows that day."""

    instrument_id: str
    trading_date: str
    longest_s: float
    count: int


class Verdict(Struct):
    """What a check found. `errors` empty: everything that is listed is there, whole and once."""

    files: int = 0
    rows: int = 0
    log_records: int = 0
    errors: list[str] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)
    gaps: list[Gap] = msgspec.field(default_factory=list)
    gap_count: int = 0


def verify(
    data_dir: Path, calendar: Calendar, gap_s: float = GAP_S, told: Told = lambda _rows: None
) -> Verdict:
    """Read every record and every page and compare counts, order, identities; look for gaps in ticks."""
    verdict = Verdict()
    try:
        check_whole(data_dir)
    except StorageError as error:
        verdict.errors.append(str(error))
        return verdict
    if not (data_dir / "log").is_dir():
        raise InputError(f"{data_dir}: there is no store here")
    for place in (data_dir, data_dir / TABLES):
        first_lsn = _verify_log(place / "log", verdict) if (place / "log").is_dir() else 0
        known = _verify_definitions(place / DEFINITIONS, verdict)
        verdict.notes += [f"{path} was set aside" for path in sorted(place.glob(f"{ASIDE}/*.arrow"))]
        state = _state(place, verdict)
        if state is None:
            continue
        if first_lsn == 0 or first_lsn > state.watermark_lsn + 1:
            verdict.errors.append(
                f"{place / 'log'}: the segment of record {state.watermark_lsn + 1} is missing"
            )
        for name in sorted({file.stream for file in state.files} - known - {*STREAMS}):
            verdict.errors.append(
                f"{place / DEFINITIONS}: no definition of {name}, whose files nobody can ask for"
            )
        listed = {file.path for file in state.files}
        for path in sorted(place.glob("stream=*/date=*/**/*.parquet")):
            if str(path.relative_to(place)) not in listed:
                verdict.notes.append(f"{path} is not in the manifest; a start deletes it")
        for (stream, day), files in _partitions(state).items():
            tables = [table for file in files if (table := _verify_file(place, file, verdict)) is not None]
            told(verdict.rows)
            if stream in STREAMS[MARKET_DATA].parts and tables:
                _verify_identities(stream, day, tables, verdict)
                _find_gaps(day, tables, calendar, gap_s, verdict)
    return verdict


def _verify_log(directory: Path, verdict: Verdict) -> int:
    """Read every record; return which the oldest segment begins with, 0 without any."""
    first_lsn = min((int(path.stem) for path in directory.glob("*.qlog") if path.stem.isdigit()), default=0)
    try:
        found = journal.verify(directory)
    except JournalError as error:
        verdict.errors.append(f"{directory}: {error}")
        return first_lsn
    verdict.log_records += found.records
    for damage in found.damage:
        text = f"{damage.path} at byte {damage.offset}: {damage.reason}"
        (verdict.notes if damage.torn_tail else verdict.errors).append(text)
    return first_lsn


def _verify_definitions(directory: Path, verdict: Verdict) -> set[str]:
    """Read every definition of a user's stream; return the streams that have one, damaged or not."""
    paths = sorted(directory.glob("*.json"))
    for path in paths:
        try:
            read_definition(path)
        except StorageError as error:
            verdict.errors.append(str(error))
    return {path.stem for path in paths}


def _state(place: Path, verdict: Verdict) -> State | None:
    try:
        return msgspec.json.decode((place / MANIFEST).read_bytes(), type=State)
    except FileNotFoundError:
        if any(place.glob("stream=*/date=*/**/*.parquet")):
            verdict.errors.append(f"{place / MANIFEST} is missing; a start makes it again from the files")
    except (OSError, msgspec.DecodeError) as error:
        verdict.errors.append(f"{place / MANIFEST}: {error}")
    return None


def _partitions(state: State) -> dict[tuple[str, date], list[DataFile]]:
    found: dict[tuple[str, date], list[DataFile]] = {}
    for file in sorted(state.files, key=lambda one: (one.stream, one.day, one.path)):
        found.setdefault((file.stream, file.day), []).append(file)
    return found


def _verify_file(place: Path, file: DataFile, verdict: Verdict) -> pa.Table | None:
    """Read all of a file, its pages against their checksums; return what identifies its rows."""
    path = place / file.path
    try:
        if file.crc32 and checksum(path) != file.crc32:
            verdict.errors.append(f"{path}: the bytes are not those that were written (CRC-32)")
            return None
        table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        verdict.errors.append(f"{path}: {error}")
        return None
    verdict.files += 1
    verdict.rows += table.num_rows
    if table.num_rows != file.rows or path.stat().st_size != file.bytes:
        verdict.errors.append(
            f"{path}: {table.num_rows} rows in {path.stat().st_size} bytes, "
            f"the manifest says {file.rows} in {file.bytes}"
        )
    names = [name for name in (*IDENTITY, TRADING_DATE) if name in table.column_names]
    return table.select(names)


def _verify_identities(stream: str, day: date, tables: list[pa.Table], verdict: Verdict) -> None:
    table = pa.concat_tables(tables)
    distinct = table.group_by(list(IDENTITY)).aggregate([]).num_rows
    if distinct != table.num_rows:
        verdict.errors.append(f"{stream} {day}: {table.num_rows - distinct} rows are there twice")


def _find_gaps(day: date, tables: list[pa.Table], calendar: Calendar, gap_s: float, verdict: Verdict) -> None:
    table = pa.concat_tables(tables).sort_by([(INSTRUMENT, "ascending"), (TIME, "ascending")])
    symbols = table.column(INSTRUMENT).combine_chunks()
    times = table.column(TIME).cast(pa.int64()).to_numpy()
    codes = pc.dictionary_encode(symbols)
    starts = np.flatnonzero(np.diff(codes.indices.to_numpy(), prepend=-1))
    names = [symbols[int(at)].as_py() for at in starts]
    number = day.year * 10_000 + day.month * 100 + day.day
    for name, mine in zip(names, np.split(times, starts[1:]), strict=True):
        longest, count = 0.0, 0
        for open_ns, close_ns in calendar.section_bounds(name, number):
            low, high = open_ns // 1_000, close_ns // 1_000
            inside = mine[(mine >= low) & (mine <= high)]
            steps = np.diff(np.concatenate(([low], inside, [high]))) / 1e6
            count += int((steps > gap_s).sum())
            longest = max(longest, float(steps.max()))
        if count:
            verdict.gap_count += count
            if len(verdict.gaps) < GAPS_KEPT_COUNT:
                verdict.gaps.append(Gap(name, str(day), longest, count))


def copy_store(source: Path, target: Path, told: Told = lambda _bytes: None) -> int:
    """Copy a store as it is at one moment into an empty directory, also while it is written; return bytes.

    StorageError when it changes too fast, or is itself a copy that was cut short; InputError when the target
    is not empty, or lies inside the store, which takes files there for its own. The copy counts when this
    returns; until then it has a note that it is none.
    """
    check_whole(source)
    if not (source / "log").is_dir():
        raise InputError(f"{source}: there is no store here")
    if target.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{target} lies inside {source}")
    if target.exists() and any(target.iterdir()):
        check_whole(target)
        raise InputError(f"{target} is not empty")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    begin_copy(target)
    _copy_notes(source, target)  # before the rows they speak of: what they say is stored then is
    copied = 0
    for place in ("", TABLES):
        if (source / place / "log").is_dir():
            copied += _copy_place(source / place, target / place, lambda done, base=copied: told(base + done))  # type: ignore[misc]
    end_copy(target)
    return copied


def _copy_notes(source: Path, target: Path) -> None:
    """Copy how far Kafka's topics are read, as another store's."""
    if (source / kafka_notes.NAME).exists():
        kafka_notes.write(target, kafka_notes.Notes.load(source).copied().encoded())


def _copy_place(source: Path, target: Path, told: Told) -> int:
    for _attempt in range(COPY_TRIES_COUNT):
        try:
            return _copy_once(source, target, told)
        except FileNotFoundError:
            continue  # compacted, merged or deleted meanwhile: begin with the manifest that says so
    raise StorageError(f"{source} changes faster than it can be copied; try again")


def _copy_once(source: Path, target: Path, told: Told) -> int:
    try:
        raw = (source / MANIFEST).read_bytes()
        state = msgspec.json.decode(raw, type=State)
    except FileNotFoundError:
        raw, state = b"", State()
    copied = 0
    for relative in _wanted(source, raw, state):
        path = target / relative
        if path.exists() and path.suffix == ".parquet":
            continue  # from an attempt before: files do not change
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / relative, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        copied += path.stat().st_size
        told(copied)
    for path in target.glob("log/*.qlog"):
        if int(path.stem) <= state.watermark_lsn:
            path.unlink()
    if raw:
        write_durably(target / MANIFEST, raw)
    return copied


def _wanted(source: Path, raw: bytes, state: State) -> Iterator[Path]:
    """Yield what the state is made of; FileNotFoundError when another has taken its place meanwhile."""
    segments = [path for path in sorted(source.glob("log/*.qlog")) if int(path.stem) > state.watermark_lsn]
    if (source / MANIFEST).exists() and (source / MANIFEST).read_bytes() != raw:
        raise FileNotFoundError
    for path in segments:
        yield path.relative_to(source)
    for pattern in (f"{DEFINITIONS}/*.json", f"{ASIDE}/*.arrow"):
        for path in sorted(source.glob(pattern)):
            yield path.relative_to(source)
    if (source / KEYS).exists():
        yield Path(KEYS)
    if state.latest:
        yield Path(state.latest)
    for file in state.files:
        yield Path(file.path)
