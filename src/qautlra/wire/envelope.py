"""The trading doors' one envelope: `{"success", "data", "error": {"code", "name", "message"}}`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec
import orjson
from msgspec import UNSET, Struct, UnsetType

from qautlra.base.errors import InputError, QautlraError
from qautlra.wire.trade_errors import BAD_PARAMETERS, TABLE, number_of

T = TypeVar("T")
_HIDDEN = frozenset({"number", "zh"})


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
    return orjson.dumps({"success": True, "data": msgspec.to_builtins(data, enc_hook=str), "error": None})


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
