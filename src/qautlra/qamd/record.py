"""What QAMD's four types share: reading and writing of values, dicts and JSON."""

from __future__ import annotations

import datetime as dt
import math
import reprlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Self

import msgspec

from qautlra.qamd.enums import InstrumentType

MISSING_VALUE = "-"
OptionalF64 = float | str | None  # a number, any string (by convention "-"), or null

_BEIJING = dt.timezone(dt.timedelta(hours=8))
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Record(msgspec.Struct, kw_only=True):
    """What the four types share: dicts, JSON, and the order of their columns."""

    # Optional numbers whose key stands on the wire even without a value.
    KEPT: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Built from JSON-like values; unknown keys are ignored, ValueError names a key that is wrong."""
        out: dict[str, Any] = {}
        for name, shape, required in columns(cls):
            if name in values:
                try:
                    out[name] = _READ[shape](values[name])
                except (ValueError, TypeError, OverflowError, msgspec.ValidationError) as error:
                    shown = reprlib.repr(values[name])
                    raise ValueError(f"{cls.__name__}.{name}: {shown} is not {shape}") from error
            elif required:
                raise ValueError(f"{cls.__name__}: the key {name!r} is missing")
        return cls(**out)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parsed from one JSON object; ValueError says what is wrong."""
        try:
            values = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{cls.__name__}: not JSON: {error}") from error
        if not isinstance(values, dict):
            raise ValueError(f"{cls.__name__}: expected a JSON object")
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values in QAMD's spelling; optional values that are missing are left out."""
        out: dict[str, Any] = {}
        for name, _, _ in columns(type(self)):
            value = getattr(self, name)
            if value is not None or name in self.KEPT:
                out[name] = _written(value)
        return out

    def to_json(self) -> str:
        """One JSON object; numbers read back bit-equal."""
        return msgspec.json.encode(self.to_dict()).decode()


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _price(value: Any) -> float:
    return math.nan if value is None or value == MISSING_VALUE else _number(value)


def _maybe_price(value: Any) -> float | None:
    price = _price(value)
    return price if math.isfinite(price) else None


def _optional_f64(value: Any) -> OptionalF64:
    return value if value is None or isinstance(value, str) else _number(value)


def _maybe_count(value: Any) -> int | None:
    if value is None or value == MISSING_VALUE:
        return None
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(value)


def _count(value: Any) -> int:
    return _maybe_count(value) or 0


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _moment(value: Any) -> dt.datetime:
    """RFC 3339 text, Beijing wall time without a zone, or Unix nanoseconds -> UTC."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _EPOCH + dt.timedelta(microseconds=value // 1000)
    if isinstance(value, str):
        value = msgspec.convert(value, dt.datetime)
    if not isinstance(value, dt.datetime):
        raise TypeError
    return (value if value.tzinfo else value.replace(tzinfo=_BEIJING)).astimezone(dt.UTC)


def _maybe_date(value: Any) -> dt.date | None:
    return None if value is None else _date(value)


def _date(value: Any) -> dt.date:
    if isinstance(value, dt.datetime):
        return value.date()
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)


_SHAPES: dict[Any, str] = {
    str: "text",
    float: "a number",
    int: "a whole number",
    float | None: "a number or null",
    int | None: "a whole number or null",
    OptionalF64: "a number, text or null",
    dt.datetime: "a time",
    dt.date: "a date",
    dt.date | None: "a date or null",
    InstrumentType: "an instrument type",
}
_READ: dict[str, Any] = {
    "text": _text,
    "a number": _price,
    "a whole number": _count,
    "a number or null": _maybe_price,
    "a whole number or null": _maybe_count,
    "a number, text or null": _optional_f64,
    "a time": _moment,
    "a date": _date,
    "a date or null": _maybe_date,
    "an instrument type": InstrumentType,
}


@lru_cache(maxsize=16)
def columns(cls: type[Record]) -> tuple[tuple[str, str, bool], ...]:
    """(name, shape, required) of every field, in order."""
    return tuple((f.name, _SHAPES[f.type], f.required) for f in msgspec.structs.fields(cls))


def _written(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dt.datetime):
        moment = _moment(value)
        digits = "milliseconds" if moment.microsecond % 1000 == 0 else "microseconds"
        return moment.isoformat(timespec=digits if moment.microsecond else "seconds").replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    return value
