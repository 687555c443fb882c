"""Messages of the store's socket: `{"type": …, "stream": …, "data": …}` in, the same shape out."""

from __future__ import annotations

from typing import Any, Literal

import orjson
from msgspec import Struct

from qautlra.base.errors import InputError, QautlraError

Kind = Literal["subscribe", "unsubscribe", "query", "ingest", "ping"]
KINDS = ("subscribe", "unsubscribe", "query", "ingest", "ping")
INSTRUMENTS_COUNT = 5_000
_SUBSCRIBE_KEYS = {"type", "stream", "data", "id", "request_id"}


class DbMessage(Struct, frozen=True, kw_only=True):
    """One message. `instruments`: None for all; `body` is what a query or an ingest is about."""

    kind: Kind
    stream: str = ""
    instruments: tuple[str, ...] | None = None
    body: Any = None
    request_id: str | int | None = None


def decode_message(text: str, default_stream: str = "") -> DbMessage:
    """Return a client's message; InputError says what is wrong; `default_stream` when it names none."""
    try:
        raw = orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise InputError(f"Invalid message format: {error}") from None
    if not isinstance(raw, dict) or raw.get("type") not in KINDS:
        raise InputError(f"Unknown message type; expected one of {', '.join(KINDS)}")
    if default_stream and raw["type"] != "ping" and not raw.get("stream"):
        raw = {**raw, "stream": default_stream}
    stream = raw.get("stream", "")
    request_id = raw.get("id", raw.get("request_id"))
    if not isinstance(stream, str) or not isinstance(request_id, str | int | None):
        raise InputError("stream and id are texts", key="stream")
    kind, data = raw["type"], raw.get("data")
    if kind == "ingest":
        return DbMessage(kind=kind, stream=stream, body=data, request_id=request_id)
    if kind == "subscribe":
        _check_subscribe(raw, data)
    instruments = data.get("instruments") if isinstance(data, dict) else None
    if instruments is not None and (
        not isinstance(instruments, list)
        or len(instruments) > INSTRUMENTS_COUNT
        or not all(isinstance(name, str) for name in instruments)
    ):
        raise InputError("data.instruments: expected a list of names", key="instruments")
    names = tuple(instruments) if instruments else None
    body = None
    if kind == "query":
        # What a query may say besides: in `data`, or beside it.
        rest = {**raw, **(data if isinstance(data, dict) else {})}
        for key in ("type", "data", "id", "request_id", "instruments"):
            rest.pop(key, None)
        if names is not None:
            rest["filter"] = _with_instruments(rest.get("filter"), names)
        body = rest
    return DbMessage(kind=kind, stream=stream, instruments=names, body=body, request_id=request_id)


def _check_subscribe(raw: dict[str, Any], data: Any) -> None:
    """InputError for what a subscription does not have: whoever asks for it would be told other rows."""
    if not isinstance(data, dict | None):
        raise InputError("data: expected an object with instruments", key="data")
    for key in [*(raw.keys() - _SUBSCRIBE_KEYS), *((data or {}).keys() - {"instruments"})]:
        raise InputError(f"{key[:64]}: a subscription has stream and data.instruments only", key=key[:64])


def _with_instruments(given: Any, names: tuple[str, ...]) -> str:
    """Return a filter that also confines the instruments; quotes cannot be part of a name."""
    quoted = []
    for name in names:
        if not name or not name.isprintable() or any(mark in name for mark in "'\"\\"):
            raise InputError(f"{name[:64]!r} is no instrument", key="instruments")
        quoted.append(f"'{name}'")
    confined = f"instrument IN ({', '.join(quoted)})"
    return f"({given}) AND {confined}" if given else confined


def answer(kind: str, request_id: str | int | None = None, **facts: Any) -> bytes:
    """Return a message to the client."""
    head: dict[str, Any] = {"type": kind}
    if request_id is not None:
        head["id"] = request_id
    return orjson.dumps(head | facts, default=str)


def rows_message(
    kind: str, stream: str, rows: bytes, request_id: str | int | None = None, **facts: Any
) -> bytes:
    """Return a message with ready rows (a JSON array)."""
    head = answer(kind, request_id, stream=stream, **facts)
    return head[:-1] + b',"data":' + rows + b"}"


def error_message(error: QautlraError, request_id: str | int | None = None) -> bytes:
    """Return what went wrong."""
    return answer("error", request_id, message=error.message, code=error.code, status=error.status)
