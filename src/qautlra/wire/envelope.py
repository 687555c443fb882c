"""The trading doors' one envelope: `{"success", "data", "error": {"code", "name", "message"}}`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import msgspec
import orjson
from msgspec import UNSET, Struct, UnsetType

from qautlra.base.errors import InputError, QautlraError
from qautlra.base.loop import batched
from qautlra.wire.trade_errors import BAD_PARAMETERS, TABLE, number_of

T = TypeVar("T")
SLICE_COUNT: Final = 200
_HIDDEN = frozenset({"number", "zh"})


class Rows(list[T]):
    """Rows that were made for one reply, which gives them up as it writes them: many that are freed at one
    moment hold the loop for ten milliseconds.
    """


class Named(dict[str, T]):
    """The same, by name."""


class Envelope(Struct, Generic[T], frozen=True):
    """A reply with data."""

    success: bool
    data: T
    error: None = None


class Fault(Struct, frozen=True):
    """What went wrong: the number and name of the error table, a sentence, facts for machines."""

    code: int
    name: str
    message: str
    details: dict[str, Any] | UnsetType = UNSET


class Refusal(Struct, frozen=True, kw_only=True):
    """A reply without data."""

    success: bool = False
    data: None = None
    error: Fault


def ok(data: Any) -> bytes:
    """Return the envelope of `data`; numbers that are not finite become null."""
    return b"".join(ok_in_pieces(data))


def ok_in_pieces(data: Any) -> Iterator[bytes]:
    """Yield the same a piece at a time, of no more than SLICE_COUNT rows of what is long in `data`."""
    yield b'{"success":true,"data":'
    yield from _pieces(data)
    yield b',"error":null}'


def _pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, list | tuple) and len(value) > SLICE_COUNT:
        for first in range(0, len(value), SLICE_COUNT):
            rows = value[first : first + SLICE_COUNT]
            if isinstance(value, Rows):
                value[first : first + SLICE_COUNT] = [None] * len(rows)
            yield (b"," if first else b"[") + _json(rows)[1:-1]
        yield b"]"
    elif isinstance(value, Named) and len(value) > SLICE_COUNT:
        head = b"{"
        for names in batched(list(value), SLICE_COUNT):
            yield head + _json({name: value.pop(name) for name in names})[1:-1]
            head = b","
        yield b"}"
    elif isinstance(value, dict) and len(value) > SLICE_COUNT:
        items = iter(value.items())
        head = b"{"
        while part := dict(islice(items, SLICE_COUNT)):
            yield head + _json(part)[1:-1]
            head = b","
        yield b"}"
    elif isinstance(value, dict) and any(
        isinstance(one, list | tuple | dict) and len(one) > SLICE_COUNT for one in value.values()
    ):
        head = b"{"
        for name, one in value.items():
            yield head + _json(name) + b":"
            yield from _pieces(one)
            head = b","
        yield b"}"
    else:
        yield _json(value)


def _json(value: Any) -> bytes:
    return orjson.dumps(msgspec.to_builtins(value, enc_hook=str))


def refusal(error: QautlraError, *, chinese: bool) -> bytes:
    """Return the envelope of an error of ours."""
    number = number_of(error)
    row = TABLE[number]
    details = {key: value for key, value in error.details.items() if key not in _HIDDEN}
    said = error.details.get("zh", row.zh) if chinese else error.message
    return msgspec.json.encode(Refusal(error=Fault(number, row.name, said, details or UNSET)), enc_hook=str)


def bare_refusal(number: int, *, chinese: bool) -> bytes:
    """Return the envelope of an error number."""
    row = TABLE[number]
    return msgspec.json.encode(Refusal(error=Fault(number, row.name, row.zh if chinese else row.en)))


def decode(kind: type[T], body: bytes) -> T:
    """Return a request's body as `kind`; InputError (1008) when it is not one."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError(f"the body is not understood: {error}", number=BAD_PARAMETERS) from None
