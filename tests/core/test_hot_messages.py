"""Rows of the hot tier as Arrow messages, against its scan: the same values, every row once."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from qautlra._core.store import ROW_COLUMNS, HotMessages
from qautlra.store.schema import ROW_SCHEMA, narrowed
from tests.core.test_hot import STEP_NS, Log, alike_rows, row
from tests.models.market import MORNING_NS, SYMBOLS

START_NS, STOP_NS = MORNING_NS, MORNING_NS + 1_000 * STEP_NS
ALL = 2**62


def taken(messages: HotMessages, schema: pa.Schema, count: int, most: int = ALL) -> list[pa.RecordBatch]:
    batches = []
    while found := messages.take(count, most):
        batch = pa.ipc.read_record_batch(pa.py_buffer(found[0]), schema)
        batch.validate(full=True)
        assert batch.num_rows == found[1] <= most
        batches.append(batch)
    return batches


def test_they_say_what_a_scan_of_each_instrument_says(tmp_path: Path) -> None:
    for seed in range(6):
        rng = random.Random(seed)
        log = Log(tmp_path / str(seed))
        log.ticks.append_rows(log.market.rows(*alike_rows(rng, 600)))
        for _ in range(12):
            names = rng.choice([ROW_COLUMNS, tuple(rng.sample(ROW_COLUMNS, rng.randrange(1, 9)))])
            numbers = rng.choice([[0, 1, 2, 3], [3, 1], [2], []])
            start = START_NS + rng.choice([0, 17 * STEP_NS])
            stop = rng.choice([STOP_NS, START_NS + 90 * STEP_NS])
            schema = narrowed(ROW_SCHEMA, names)
            messages = HotMessages(log.hot, numbers, start, stop, names)
            found = pa.Table.from_batches(taken(messages, schema, rng.choice([1, 7, 100, ALL])), schema)
            each = [log.hot.scan([number], start, stop, fields=names) for number in numbers]
            wanted = [pa.Table.from_batches([one]).cast(schema) for one in each]
            assert found.equals(pa.concat_tables(wanted) if wanted else schema.empty_table()), seed
            assert messages.left[0] == []


def test_a_column_without_values_holds_no_old_memory(log: Log) -> None:
    log.ticks.append_rows(log.market.rows(row(0, volume=7), row(1), row(2, volume=9)))
    old = [b"\xff" * 4_096 for _ in range(100)]
    del old
    message, _ = HotMessages(log.hot, [0], START_NS, STOP_NS, ["volume", "amount"]).take(10, 10) or (b"", 0)
    batch = pa.ipc.read_record_batch(pa.py_buffer(message), narrowed(ROW_SCHEMA, ("volume", "amount")))
    assert [bytes(column.buffers()[1]) for column in batch.columns] == [
        (7).to_bytes(8, "little") + bytes(8) + (9).to_bytes(8, "little"),
        bytes(24),
    ]


def test_no_more_rows_than_asked_for(log: Log) -> None:
    log.ticks.append_rows(log.market.rows(*(row(i, symbol) for symbol in SYMBOLS for i in range(10))))
    for count, most in ((100, 13), (3, 13), (5, 1)):
        found = HotMessages(log.hot, range(4), START_NS, STOP_NS).take(count, most)
        assert found is not None
        assert found[1] == min(count, most)
    assert HotMessages(log.hot, range(4), START_NS, STOP_NS).take(10, 0) is None
    with pytest.raises(ValueError, match="no column"):
        HotMessages(log.hot, [0], 0, 1, ["nothing"])


def test_a_moment_is_in_one_message(log: Log) -> None:
    rows: list[dict[str, Any]] = [row(i // 5, seq=i % 5) for i in range(20)]
    log.ticks.append_rows(log.market.rows(*rows))
    batches = taken(HotMessages(log.hot, [0], START_NS, STOP_NS), ROW_SCHEMA, 3)
    assert [batch.num_rows for batch in batches] == [5, 5, 5, 5]


def test_rows_may_come_and_go_between_two(log: Log) -> None:
    log.ticks.append_rows(log.market.rows(*(row(i, symbol) for symbol in SYMBOLS for i in range(10))))
    messages = HotMessages(log.hot, range(4), START_NS, STOP_NS, ["datetime"])
    assert (messages.take(14, ALL) or (b"", 0))[1] == 14
    assert messages.left == ([1, 2, 3], MORNING_NS + 4 * STEP_NS)
    log.ticks.append_rows(
        log.market.rows(row(2, SYMBOLS[1], seq=5), row(20, SYMBOLS[1]))
    )  # given, and to come
    log.hot.note_cold(1, MORNING_NS + 3 * STEP_NS)  # files have those that were given
    log.hot.note_cold(3, MORNING_NS)  # and one that was not
    assert (messages.take(100, ALL) or (b"", 0))[1] == 7 + 10
    assert messages.take(100, ALL) is None
    assert messages.left == ([3], MORNING_NS)


def test_nothing_is_given_from_the_moment_files_have_more(log: Log) -> None:
    log.ticks.append_rows(log.market.rows(*(row(i) for i in range(10))))
    messages = HotMessages(log.hot, [0], START_NS, STOP_NS)
    assert (messages.take(4, ALL) or (b"", 0))[1] == 4
    log.hot.note_cold(0, MORNING_NS + 4 * STEP_NS)
    assert messages.take(4, ALL) is None
    assert messages.left == ([0], MORNING_NS + 4 * STEP_NS)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")
