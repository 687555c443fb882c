"""The bodies and query strings of `/api/v1/query` and `/api/v1/counts`, decoded to requests of `model.query`.

Nothing here knows the streams, their columns or the grammars of times and filters.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NoReturn

import msgspec

from qautlra.base.errors import InputError
from qautlra.model.query import CountsRequest, QueryFormat, QueryRequest, SqlRequest, Verb

VERBS = ("sample_by", "latest_on", "rolling_mean", "asof")
VERB_KEYS = (*VERBS, "fill")
KEYS = ("stream", "start_time", "end_time", "limit", "filter", "order", "fields", *VERB_KEYS)
SQL_KEYS = ("query", "start_time", "end_time", "send_null")
COUNTS_KEYS = ("stream", "start_time", "end_time", "num_bins")
LIMIT_COUNT = 2**62

_ALIASES = {
    "startTime": "start_time", "endTime": "end_time", "sendNull": "send_null", "numBins": "num_bins",
    "sampleBy": "sample_by", "latestOn": "latest_on", "rollingMean": "rolling_mean", "asOf": "asof",
}  # fmt: skip
_FORMATS = {
    "json": QueryFormat.ARRAY,
    "records": QueryFormat.RECORDS,
    "ndjson": QueryFormat.NDJSON,
    "csv": QueryFormat.CSV,
    "arrow": QueryFormat.ARROW,
    "parquet": QueryFormat.PARQUET,
}
_CONTENT_TYPES = {
    "application/json": QueryFormat.ARRAY,
    "*/*": QueryFormat.ARRAY,
    "application/*": QueryFormat.ARRAY,
    "application/x-ndjson": QueryFormat.NDJSON,
    "application/ndjson": QueryFormat.NDJSON,
    "application/jsonl": QueryFormat.NDJSON,
    "text/csv": QueryFormat.CSV,
    "application/vnd.apache.arrow.stream": QueryFormat.ARROW,
    "application/vnd.apache.parquet": QueryFormat.PARQUET,
}
_TRUE = {"true": True, "1": True, "yes": True, "": True, "false": False, "0": False, "no": False}


def decode_query(
    body: bytes, parameters: Iterable[tuple[str, str]] = (), accept: str = "*/*"
) -> QueryRequest | SqlRequest:
    """Return the request in `body` (a JSON object, or empty) and the query string's `parameters`.

    A body with the key `query` is SQL.

    `?fields=true`, `?streaming=true` and `?format=` choose the form of the answer, else `accept` does. Raises
    InputError naming the key that is unknown, mistyped, given twice or missing.
    """
    values = _from_body(body)
    known = SQL_KEYS if "query" in values else KEYS
    form: QueryFormat | None = None
    with_fields = streaming = False
    seen: set[str] = set()
    for name, text in parameters:
        key = _ALIASES.get(name, name)
        if key in seen:
            _refuse(name, "is given twice in the query string")
        seen.add(key)
        if key == "streaming":
            streaming = _boolean(name, text)
        elif key == "format":
            if text not in _FORMATS:
                _refuse(name, f"expected one of {', '.join(_FORMATS)}, got {text[:64]!r}")
            form = _FORMATS[text]
        elif key == "fields" and text.lower() in _TRUE:
            with_fields = _boolean(name, text)
        elif key not in known or key == "query":
            _refuse_unknown(name, (*known, "streaming", "format"))
        elif key in values:
            _refuse(name, "is given in the body and in the query string")
        else:
            values[key] = _from_text(key, text)
    if isinstance(values.get("fields"), bool):
        with_fields = values.pop("fields") or with_fields
    if form is None:
        form = QueryFormat.NDJSON if streaming else accepted(accept)
    if with_fields and form is QueryFormat.ARRAY:
        form = QueryFormat.RECORDS
    return _sql(values, form) if "query" in values else _request(values, form)


def decode_counts(body: bytes) -> CountsRequest:
    """Return the request in the body of `/api/v1/counts`; InputError as `decode_query`."""
    values = _object(body, COUNTS_KEYS)
    if not isinstance(values.get("stream"), str):
        _refuse("stream", "is missing" if values.get("stream") is None else "expected a text")
    for key in ("start_time", "end_time"):
        _check_time(key, values.get(key))
    bins = values.get("num_bins", 10)
    if isinstance(bins, bool) or not isinstance(bins, int):
        _refuse_type("numBins", "a whole number", bins)
    return CountsRequest(
        stream=values["stream"],
        start_time=values.get("start_time"),
        end_time=values.get("end_time"),
        bins=bins,
    )


@lru_cache(64)
def accepted(accept: str) -> QueryFormat:
    """Return the first of our forms among what an Accept header ranks highest; JSON when there is none."""
    best, best_quality = QueryFormat.ARRAY, 0.0
    for part in accept.split(",")[:32]:
        name, *options = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for option in options:
            if option.startswith("q="):
                try:
                    quality = float(option[2:])
                except ValueError:
                    quality = 0.0
        if name in _CONTENT_TYPES and quality > best_quality:
            best, best_quality = _CONTENT_TYPES[name], quality
    return best


def _from_body(body: bytes) -> dict[str, Any]:
    decoded = _decoded(body)
    return _known(decoded, SQL_KEYS if "query" in decoded else KEYS)


def _object(body: bytes, known: tuple[str, ...]) -> dict[str, Any]:
    return _known(_decoded(body), known)


def _decoded(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"the body is not JSON: {error}") from None
    if not isinstance(decoded, dict):
        raise InputError(f"the body is {_kind(decoded)}, expected an object with stream, start_time, ...")
    return decoded


def _known(decoded: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in decoded.items():
        key = _ALIASES.get(name, name)
        if key not in known:
            _refuse_unknown(name, known)
        if key in values:
            _refuse(name, "is given twice")
        values[key] = value
    return values


def _sql(values: dict[str, Any], form: QueryFormat) -> SqlRequest:
    if not isinstance(values["query"], str) or not values["query"].strip():
        _refuse_type("query", "a SELECT", values["query"])
    send_null = values.get("send_null", True)
    if not isinstance(send_null, bool):
        _refuse_type("sendNull", "true or false", send_null)
    for key in ("start_time", "end_time"):
        _check_time(key, values.get(key))
    return SqlRequest(
        sql=values["query"],
        start_time=values.get("start_time"),
        end_time=values.get("end_time"),
        send_null=send_null,
        format=form,
    )


def _verb(values: dict[str, Any]) -> Verb | None:
    """Return what is to be made of the rows; InputError when it is two things at once."""
    named = [key for key in VERBS if values.get(key) is not None and values[key] is not False]
    if len(named) > 1:
        _refuse(named[1], f"cannot be asked together with {named[0]}")
    fill = "none" if values.get("fill") is None else values["fill"]
    if fill not in ("none", "null", "prev"):
        _refuse("fill", f"expected none, null or prev, got {str(fill)[:64]!r}")
    if values.get("fill") is not None and named != ["sample_by"]:
        _refuse("fill", "belongs to sample_by")
    if not named:
        return None
    key = named[0]
    value = values[key]
    if key == "latest_on":
        if value is not True and value not in ("instrument", "instrument_id", "true"):
            _refuse(key, "expected true, or instrument")
        return Verb(name="latest_on")
    if not isinstance(value, str):
        _refuse_type(key, "a text", value)
    if not value.strip():
        _refuse(key, "is empty; " + ("name a stream" if key == "asof" else "give a period like 5m"))
    if key == "asof":
        return Verb(name="asof", other=value)
    return Verb(name=key, period=value, fill=fill)  # type: ignore[arg-type]


def _check_time(key: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int, float))):
        _refuse_type(key, "a time (a text or a number)", value)


def _request(values: dict[str, Any], form: QueryFormat) -> QueryRequest:
    for key in ("stream", "filter", "order"):
        if values.get(key) is not None and not isinstance(values[key], str):
            _refuse_type(key, "a text", values[key])
    for key in ("start_time", "end_time"):
        _check_time(key, values.get(key))
    verb = _verb(values)
    if not values.get("stream"):
        _refuse("stream", "is missing")
    limit = values.get("limit")
    if limit is not None:
        if isinstance(limit, bool) or not isinstance(limit, int):
            _refuse_type("limit", "a whole number", limit)
        if not 0 <= limit <= LIMIT_COUNT:
            _refuse("limit", f"expected 0 or more, got {limit}")
    order = (values.get("order") or "asc").lower()
    if order not in ("asc", "desc", "any"):
        _refuse("order", f"expected asc, desc or any, got {order[:64]!r}")
    columns = values.get("fields")
    if columns is not None and not (
        isinstance(columns, list) and all(isinstance(name, str) for name in columns)
    ):
        _refuse_type("fields", "a list of column names, or true", columns)
    return QueryRequest(
        stream=values["stream"],
        start_time=_start(values, verb),
        end_time=values.get("end_time"),
        limit=limit,
        filter=values.get("filter") or "",
        descending=order == "desc",
        unordered=order == "any",
        columns=tuple(columns) if columns else None,
        verb=verb,
        format=form,
    )


def _start(values: dict[str, Any], verb: Verb | None) -> Any:
    """The newest row may be old: without a start, `latest_on` looks everywhere."""
    start = values.get("start_time")
    return 0 if start is None and verb is not None and verb.name == "latest_on" else start


def _from_text(key: str, text: str) -> Any:
    if key == "limit":
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            _refuse(key, f"expected a whole number, got {text[:64]!r}")
        return int(text)
    if key == "fields":
        return [name.strip() for name in text.split(",")]
    return text


def _boolean(key: str, text: str) -> bool:
    if text.lower() not in _TRUE:
        _refuse(key, f"expected true or false, got {text[:64]!r}")
    return _TRUE[text.lower()]


def _kind(value: Any) -> str:
    for kind, word in ((bool, "a boolean"), ((int, float), "a number"), (str, "a text"), (list, "an array")):
        if isinstance(value, kind):
            return word
    return "null" if value is None else "an object"


def _refuse_type(key: str, expected: str, value: Any) -> NoReturn:
    _refuse(key, f"expected {expected}, got {_kind(value)}")


def _refuse_unknown(key: str, known: tuple[str, ...]) -> NoReturn:
    close = difflib.get_close_matches(key, known, 1)
    hint = f"; did you mean {close[0]}?" if close else f"; the keys are {', '.join(known)}"
    _refuse(key[:64], f"is not a key of a query{hint}")


def _refuse(key: str, why: str) -> NoReturn:
    raise InputError(f"{key}: {why}", key=key)
