"""Query bodies: the specification's own, what is refused by name, and the form of the answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra.base.errors import InputError
from qautlra.model.query import CountsRequest, QueryFormat, QueryRequest, SqlRequest, Verb
from qautlra.wire.query import accepted, decode_counts, decode_query

# As the specification's curl line arrives: the shell has eaten the quotes of the filter.
SEED = b"""{
    "stream": "futures_market",
    "start_time": "1h-ago",
    "end_time": "now",
    "limit": 1000,
    "filter": "instrument=au2512"
  }"""


def test_the_specification_body() -> None:
    assert decode_query(SEED) == QueryRequest(
        stream="futures_market", start_time="1h-ago", end_time="now", limit=1000, filter="instrument=au2512"
    )


def test_the_query_string_says_the_same() -> None:
    parameters = [
        ("stream", "futures_market"),
        ("start_time", "1h-ago"),
        ("end_time", "now"),
        ("limit", "1000"),
        ("filter", "instrument=au2512"),
    ]
    assert decode_query(b"", parameters) == decode_query(SEED)
    assert decode_query(b'{"stream": "futures_market", "filter": "instrument=au2512"}', parameters[1:4]) == (
        decode_query(SEED)
    )


def test_fields_is_a_form_or_a_projection() -> None:
    body = b'{"stream": "s", "fields": ["datetime", "last_price"]}'
    assert decode_query(body).columns == ("datetime", "last_price")
    both = decode_query(body, [("fields", "true")])
    assert (both.columns, both.format) == (("datetime", "last_price"), QueryFormat.RECORDS)
    assert decode_query(b'{"stream": "s", "fields": true}').format is QueryFormat.RECORDS
    assert decode_query(b'{"stream": "s", "fields": false}').format is QueryFormat.ARRAY
    assert decode_query(b'{"stream": "s", "fields": []}').columns is None
    assert decode_query(b"", [("stream", "s"), ("fields", "datetime, volume")]).columns == (
        "datetime",
        "volume",
    )
    assert decode_query(b'{"stream": "s"}', [("streaming", "true")]).format is QueryFormat.NDJSON
    assert decode_query(b'{"stream": "s"}', [("format", "csv")]).format is QueryFormat.CSV


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", QueryFormat.ARRAY),
        ("*/*", QueryFormat.ARRAY),
        ("text/html,application/xhtml+xml,*/*;q=0.8", QueryFormat.ARRAY),
        ("text/csv", QueryFormat.CSV),
        ("application/vnd.apache.arrow.stream", QueryFormat.ARROW),
        ("application/json;q=0.5, text/csv", QueryFormat.CSV),
        ("Application/X-NDJSON", QueryFormat.NDJSON),
        ("text/csv;q=oops", QueryFormat.ARRAY),
        ("image/png", QueryFormat.ARRAY),
    ],
)
def test_accept(accept: str, form: QueryFormat) -> None:
    assert accepted(accept) is form


@pytest.mark.parametrize(
    ("body", "parameters", "key", "words"),
    [
        (b"", [], "stream", "is missing"),
        (b'{"stream": ""}', [], "stream", "is missing"),
        (b'{"stream": 5}', [], "stream", "expected a text, got a number"),
        (b'{"stream": "s", "limits": 5}', [], "limits", "did you mean limit?"),
        (b'{"stream": "s", "zzz": 5}', [], "zzz", "the keys are stream"),
        (b'{"stream": "s", "limit": "5"}', [], "limit", "expected a whole number, got a text"),
        (b'{"stream": "s", "limit": true}', [], "limit", "got a boolean"),
        (b'{"stream": "s", "limit": 1.5}', [], "limit", "expected a whole number, got a number"),
        (b'{"stream": "s", "limit": -1}', [], "limit", "expected 0 or more"),
        (b'{"stream": "s", "order": "up"}', [], "order", "expected asc, desc or any"),
        (b'{"stream": "s", "filter": {}}', [], "filter", "expected a text, got an object"),
        (b'{"stream": "s", "start_time": []}', [], "start_time", "got an array"),
        (b'{"stream": "s", "fields": "datetime"}', [], "fields", "a list of column names"),
        (b'{"stream": "s", "fields": [1]}', [], "fields", "a list of column names"),
        (b'{"stream": "s", "start_time": 1, "startTime": 2}', [], "startTime", "given twice"),
        (b'{"query": 5, "startTime": "10m"}', [], "query", "expected a SELECT, got a number"),
        (b'{"query": "select 1", "stream": "s"}', [], "stream", "is not a key of a query"),
        (b'{"query": "select 1", "sendNull": 1}', [], "sendNull", "expected true or false"),
        (
            b'{"stream": "s", "sample_by": "5m", "latest_on": true}',
            [],
            "latest_on",
            "together with sample_by",
        ),
        (b'{"stream": "s", "sample_by": 5}', [], "sample_by", "expected a text, got a number"),
        (b'{"stream": "s", "fill": "prev"}', [], "fill", "belongs to sample_by"),
        (b'{"stream": "s", "sample_by": ""}', [], "sample_by", "is empty; give a period"),
        (b"", [("stream", "s"), ("sample_by", "")], "sample_by", "is empty; give a period"),
        (b'{"stream": "s", "rolling_mean": " "}', [], "rolling_mean", "is empty; give a period"),
        (b'{"stream": "s", "asof": ""}', [], "asof", "is empty; name a stream"),
        (b'{"stream": "s", "latest_on": ""}', [], "latest_on", "expected true, or instrument"),
        (b'{"stream": "s", "sample_by": 0}', [], "sample_by", "expected a text, got a number"),
        (b'{"stream": "s", "sample_by": "5m", "fill": ""}', [], "fill", "expected none, null or prev"),
        (b'{"stream": "s", "sample_by": "5m", "fill": "x"}', [], "fill", "expected none, null or prev"),
        (b'{"stream": "s"}', [("stream", "s")], "stream", "in the body and in the query string"),
        (b"", [("stream", "s"), ("stream", "t")], "stream", "twice in the query string"),
        (b"", [("stream", "s"), ("limit", "many")], "limit", "expected a whole number"),
        (b"", [("stream", "s"), ("streaming", "maybe")], "streaming", "expected true or false"),
        (b"", [("stream", "s"), ("format", "xml")], "format", "expected one of json"),
        (b"", [("sream", "s")], "sream", "did you mean stream?"),
    ],
)
def test_the_error_names_the_key(
    body: bytes, parameters: list[tuple[str, str]], key: str, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        decode_query(body, parameters)
    assert caught.value.details["key"] == key
    assert words in caught.value.message


def test_a_verb_that_is_null_or_false_is_not_asked_for() -> None:
    body = b'{"stream": "s", "sample_by": null, "latest_on": false, "asof": null, "fill": null}'
    assert decode_query(body) == QueryRequest(stream="s")


def test_sql_and_verbs() -> None:
    body = b'{"query":"select 1","startTime":"10m","endTime":"now","sendNull":false}'
    asked = decode_query(body, [("fields", "true")])
    assert asked == SqlRequest(
        sql="select 1", start_time="10m", end_time="now", send_null=False, format=QueryFormat.RECORDS
    )
    assert decode_query(b'{"stream":"s","sample_by":"5m","fill":"prev"}') == QueryRequest(
        stream="s", verb=Verb(name="sample_by", period="5m", fill="prev")
    )
    assert decode_query(b"", [("stream", "s"), ("latest_on", "true")]) == QueryRequest(
        stream="s", start_time=0, verb=Verb(name="latest_on")
    )


def test_counts() -> None:
    body = b'{"stream":"s","startTime":"1h","endTime":"now","numBins":4}'
    assert decode_counts(body) == CountsRequest(stream="s", start_time="1h", end_time="now", bins=4)
    for wrong in (b"{}", b'{"stream":5}', b'{"stream":"s","numBins":"4"}', b'{"stream":"s","x":1}'):
        with pytest.raises(InputError):
            decode_counts(wrong)


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b"null", b"\xff", b"[" * 10_000, b'{"a":' * 2_000])
def test_what_is_not_an_object(body: bytes) -> None:
    with pytest.raises(InputError, match="the body is"):
        decode_query(body)


@given(st.binary(max_size=80))
def test_any_body_is_a_request_or_a_clear_error(body: bytes) -> None:
    try:
        decode_query(body)
    except InputError as error:
        assert error.message
