"""Bodies, headers and socket messages of the store's doors: what they mean, and what is refused."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra.base.errors import InputError
from qautlra.model.cells import Cells
from qautlra.wire import ingest
from qautlra.wire.arrow_size import unpacked_bytes
from qautlra.wire.db_socket import decode_message
from qautlra.wire.ingest import days, decode_events, decode_options, decode_retention, extra_columns

ARROW = "application/vnd.apache.arrow.stream"
FORMS = ("application/json", "application/x-ndjson", "text/csv", ARROW, "application/vnd.apache.arrow.file")


def test_forms() -> None:
    assert decode_events(b'{"a": 1}', "application/json") == ([{"a": 1}], "json")
    assert decode_events(b'[{"a": 1}, {"a": 2}]', "")[0] == [{"a": 1}, {"a": 2}]
    assert decode_events(b'{"a": 1}\n\n{"a": 2}', "application/x-ndjson")[0] == [{"a": 1}, {"a": 2}]
    assert decode_events(b"a,b\n1,x\n,y\n", "text/csv")[0] == [{"a": "1", "b": "x"}, {"a": None, "b": "y"}]
    with pytest.raises(InputError) as refused:
        decode_events(b"<a/>", "application/xml")
    assert refused.value.status == 415


def test_cells_keep_their_text() -> None:
    events, _ = decode_events('\ufeffa,b\n007,1e3\n\n"1\n2",\n3\n'.encode(), "text/csv")
    assert type(events) is Cells
    assert events == [{"a": "007", "b": "1e3"}, {"a": "1\n2", "b": None}, {"a": "3"}]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"a,b\n1,2\n3,4,5\n6,7\n", "line 3 has more cells"),
        (b'a,b\n"x\ny",2\n3,4,5\n', "line 4 has more cells"),
        (b'a\n1\n"x"y\n', "line 3 is not CSV"),
        (b"a,a\n1,2\n", "twice"),
        (b"a\n\xff\n", "not CSV"),
    ],
)
def test_a_csv_that_is_none_says_where(body: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what):
        decode_events(body, "text/csv")


def filed(table: pa.Table, packing: str | None = "zstd") -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=packing)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def packed(*batches: pa.Table, packing: str | None = "zstd") -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=packing)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_table(batch)
    return bytes(sink.getvalue())


def test_a_few_packed_bytes_do_not_become_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    many = packed(pa.table({"n": pa.nulls(2_000_000)}))
    assert len(many) < 1_000
    with pytest.raises(InputError, match="more than 1000000 events") as refused:
        decode_events(many, ARROW)
    assert refused.value.status == 413
    monkeypatch.setattr(ingest, "UNPACKED_BYTES", 1_500_000)
    zeros = pa.table({"n": pa.array([0] * 100_000, pa.int64())})
    assert decode_events(packed(zeros), ARROW)[0].num_rows == 100_000
    words = pa.table({"s": pa.array(["x" * 100] * 20_000).dictionary_encode()})
    assert decode_events(packed(words), ARROW)[0].num_rows == 20_000
    large = pa.table({"s": pa.DictionaryArray.from_arrays([0], ["x" * 2_000_000])})
    whole = filed(pa.concat_tables([zeros, zeros]))
    hidden = whole[:8] + b"\xff\xff\xff\xff\0\0\0\0" + whole[16:]  # read in order it ends where it begins
    assert pa.ipc.open_file(hidden).read_all().num_rows == 2 * zeros.num_rows
    for body in (packed(zeros, zeros), packed(large), whole, hidden):
        before = pa.total_allocated_bytes()
        with pytest.raises(InputError, match="unpacked") as refused:
            decode_events(body, ARROW)
        assert refused.value.status == 413 and pa.total_allocated_bytes() - before < 100_000


@pytest.mark.parametrize("packing", [None, "zstd", "lz4"])
def test_the_size_unpacked_is_told_before(packing: str | None) -> None:
    table = pa.table({"n": [1, None, 3], "s": ["a", "b" * 5_000, None], "l": [[1], [], None]})
    for body in (packed(table, table, packing=packing), filed(table, packing=packing)):
        read = decode_events(body, ARROW)[0]
        told = sum(unpacked_bytes(body))
        assert read.nbytes <= told < read.nbytes + 64 * 20 and told > 5_000
    for size in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\x40\0\0\0"):
        with pytest.raises((pa.ArrowInvalid, OSError)):
            sum(unpacked_bytes(b"ARROW1\0\0" + b"\xff" * 100 + size + b"ARROW1"))
    for short in (b"ARROW1\0\0", b"ARROW1\0\0ARROW1", b"\xff" * 3):
        with pytest.raises((pa.ArrowInvalid, OSError)):
            sum(unpacked_bytes(short))


def test_headers() -> None:
    found = extra_columns({"X-P-Meta-Host": "h", "x-p-tag-my-env": "e", "X-P-Stream": "s", "X-P-Tag-": "no"})
    assert found == {"host": "h", "my_env": "e"}
    options = decode_options(
        {"X-P-Time-Partition": "t", "X-P-Time-Partition-Limit": "30d", "X-P-Custom-Partition": "a, b"}, b""
    )
    assert (options.time_partition, options.time_limit_days, options.custom_partition) == (
        "t",
        30,
        ("a", "b"),
    )
    for headers in (
        {"X-P-Static-Schema-Flag": "maybe"},
        {"X-P-Custom-Partition": "a,b,c,d"},
        {"X-P-Custom-Partition": "a,a"},
        {"X-P-Time-Partition-Limit": "30"},
    ):
        with pytest.raises(InputError):
            decode_options(headers, b"")
    with pytest.raises(InputError, match="fields"):
        decode_options({}, b'{"fields": [1]}')


@pytest.mark.parametrize("text", ["", "d", "0d", "-1d", "30", "30h", "36501d", "١d", "1.5d"])
def test_days_that_are_none(text: str) -> None:
    with pytest.raises(InputError):
        days(text, "duration")


def test_retention() -> None:
    assert decode_retention(b'[{"action": "delete", "duration": "30d"}]') == (30, "")
    told = b'[{"description": "old", "action": "delete", "duration": "9d"}]'
    assert decode_retention(told) == (9, "old")
    for body in (
        b"[]",
        b"{}",
        b"[1]",
        b'[{"action": "keep", "duration": "3d"}]',
        b"{",
        told.replace(b'"old"', b"5"),
    ):
        with pytest.raises(InputError):
            decode_retention(body)


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("application/json", b'[{"a":1},{"a":2},{"a":3}]'),
        ("application/x-ndjson", b'{"a":1}\n{"a":2}\n\n{"a":3}\n'),
        ("application/x-ndjson", b'{"a":1}\r\n{"a":2}\r\n{"a":3}\r\n'),
        ("application/x-ndjson", b'{"a":1}\r{"a":2}\r{"a":3}\r'),
        ("application/x-ndjson", b'{"a":1}\n{"a":2}\r{"a":3}'),
        ("text/csv", b"a\n1\n2\n\n3\n"),
    ],
)
def test_events_at_once_are_bounded_in_every_form(
    monkeypatch: pytest.MonkeyPatch, form: str, body: bytes
) -> None:
    """A body of 10 MiB of the shortest lines would be gigabytes of events."""
    monkeypatch.setattr(ingest, "EVENTS_COUNT", 4)
    assert len(decode_events(body, form)[0]) == 3
    monkeypatch.setattr(ingest, "EVENTS_COUNT", 2)
    with pytest.raises(InputError, match="more than 2 events at once") as caught:
        decode_events(body, form)
    assert caught.value.status == 413


@given(st.binary(max_size=200), st.sampled_from(FORMS))
def test_any_body_is_events_or_a_clear_error(body: bytes, form: str) -> None:
    try:
        events, _ = decode_events(body, form)
    except InputError as error:
        assert error.message
    else:
        assert isinstance(events, list | pa.Table)


@given(st.integers(0, 400), st.integers(0, 255))
def test_arrow_with_a_byte_changed(at: int, value: int) -> None:
    sink = pa.BufferOutputStream()
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body = bytearray(sink.getvalue())
    body[at % len(body)] = value
    try:
        events, _ = decode_events(bytes(body), ARROW)
    except InputError as error:
        assert error.message
    else:
        assert isinstance(events, pa.Table)
        events.validate(full=True)
        events.to_pylist()


@pytest.mark.parametrize("column", [pa.array([1]), pa.array([{"name": 1}]), pa.array([[{"name": 1}]])])
def test_arrow_whose_name_is_not_utf8_is_refused(column: pa.Array) -> None:
    sink = pa.BufferOutputStream()
    table = pa.table({"name": column})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    head, name, rest = sink.getvalue().to_pybytes().rpartition(b"name\0")
    assert name
    with pytest.raises(InputError, match="a name is not UTF-8"):
        decode_events(head + b"\x80ame\0" + rest, ARROW)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_message = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["subscribe", "unsubscribe", "query", "ingest", "ping", "x"]) | _json,
        "stream": st.just("s") | _json,
        "id": _json,
        "data": st.fixed_dictionaries({}, optional={"instruments": st.lists(st.text(max_size=4)) | _json})
        | _json,
    },
)


@given(_message)
def test_any_message_is_one_or_a_clear_error(message: Any) -> None:
    try:
        found = decode_message(json.dumps(message))
    except InputError as error:
        assert error.message
        return
    if found.kind == "query" and found.instruments:
        text = found.body["filter"]
        assert text.count("'") == 2 * len(found.instruments)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b'[{"a": 1.5, "b": "\\u00e9"}, 2, [], null, 12345678901234567890]', "application/json"),
        (b'{"a": [1, {"b": 2}]}', "application/json"),
        (b"[]", ""),
        (b'[{"a": 1}, {"a": }]', "application/json"),
        (b'[{"a": 1}', "application/json"),
        (b'[{"a": NaN}]', "application/json"),
        (b'[{"a": "\xff"}]', "application/json"),
        (b'{"a": 1}\n\n{"a": 2}', "application/x-ndjson"),
        (b'{"a": 1}\n{"a"', "application/x-ndjson"),
        (b"a,b\n1,x\n", "text/csv"),
    ],
)
def test_events_read_beside_a_loop_are_the_same(body: bytes, form: str) -> None:
    def read(beside_loop: bool) -> Any:
        try:
            return decode_events(body, form, beside_loop=beside_loop)
        except InputError as error:
            return "refused", error.details

    assert read(beside_loop=True) == read(beside_loop=False)
