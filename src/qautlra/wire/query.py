"""The bodies and query strings of `/api/v1/query`, decoded to a `QueryRequest`.

Nothing here knows the streams, their columns or the grammars of times and filters.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, NoReturn

import msgspec

from qautlra.base.errors import InputError
from qautlra.model.query import QueryFormat, QueryRequest

KEYS = ("stream", "start_time", "end_time", "limit", "filter", "order", "fields")
LIMIT_COUNT = 2**62

_ALIASES = {"startTime": "start_time", "endTime": "end_time"}
_FORMATS = {
    "json": QueryFormat.ARRAY,
    "records": QueryFormat.RECORDS,
    "ndjson": QueryFormat.NDJSON,
    "csv": QueryFormat.CSV,
    "arrow": QueryFormat.ARROW,
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
}
_TRUE = {"true": True, "1": True, "yes": True, "": True, "false": False, "0": False, "no": False}


def decode_query(
    body: bytes, parameters: Iterable[tuple[str, str]] = (), accept: str = "*/*"
) -> QueryRequest:
    """Return the request in `body` (a JSON object, or empty) and the query string's `parameters`.

    `?fields=true`, `?streaming=true` and `?format=` choose the form of the answer, else `accept` does. Raises
    InputError naming the key that is unknown, mistyped, given twice or missing.
    """
    values = _from_body(body)
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
        elif key not in KEYS:
            _refuse_unknown(name, (*KEYS, "streaming", "format"))
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
    return _request(values, form)


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
    if not body.strip():
        return {}
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"the body is not JSON: {error}") from None
    if not isinstance(decoded, dict):
        raise InputError(f"the body is {_kind(decoded)}, expected an object with stream, start_time, ...")
    if "query" in decoded:
        _refuse("query", "SQL is not answered here; name a stream, and what to keep of it in filter")
    values: dict[str, Any] = {}
    for name, value in decoded.items():
        key = _ALIASES.get(name, name)
        if key not in KEYS:
            _refuse_unknown(name, KEYS)
        if key in values:
            _refuse(name, "is given twice")
        values[key] = value
    return values


def _request(values: dict[str, Any], form: QueryFormat) -> QueryRequest:
    for key in ("stream", "filter", "order"):
        if values.get(key) is not None and not isinstance(values[key], str):
            _refuse_type(key, "a text", values[key])
    for key in ("start_time", "end_time"):
        value = values.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int, float))):
            _refuse_type(key, "a time (a text or a number)", value)
    if not values.get("stream"):
        _refuse("stream", "is missing")
    limit = values.get("limit")
    if limit is not None:
        if isinstance(limit, bool) or not isinstance(limit, int):
            _refuse_type("limit", "a whole number", limit)
        if not 0 <= limit <= LIMIT_COUNT:
            _refuse("limit", f"expected 0 or more, got {limit}")
    order = (values.get("order") or "asc").lower()
    if order not in ("asc", "desc"):
        _refuse("order", f"expected asc or desc, got {order[:64]!r}")
    columns = values.get("fields")
    if columns is not None and not (
        isinstance(columns, list) and all(isinstance(name, str) for name in columns)
    ):
        _refuse_type("fields", "a list of column names, or true", columns)
    return QueryRequest(
        stream=values["stream"],
        start_time=values.get("start_time"),
        end_time=values.get("end_time"),
        limit=limit,
        filter=values.get("filter") or "",
        descending=order == "desc",
        columns=tuple(columns) if columns else None,
        format=form,
    )


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
