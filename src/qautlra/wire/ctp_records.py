"""CTP's records as bytes: packing and reading them by the field table in `ctp_abi.toml`.

Records here have the newest release's layout, of which every older release's is the beginning. Texts are
GB 18030 and end at the first NUL; prices without a value are DBL_MAX on the wire and NaN here.
"""

from __future__ import annotations

import struct
import sys
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from qautlra._core.quotes import decode_gb18030

DBL_MAX: Final = sys.float_info.max
_ABSURD: Final = 1e300
_PACKAGE = Path(__file__).resolve().parent.parent


class Layout:
    """One record: where each field lies and of what kind it is (`s` text, `c` one character, `i h d`)."""

    __slots__ = ("_blank", "_struct", "name", "offsets", "places", "size", "sizes")

    def __init__(self, name: str, fields: str, sizes: list[int]) -> None:
        self.name = name
        self.sizes = sizes
        self.offsets: dict[str, tuple[int, str, int]] = {}
        self.places: dict[str, int] = {}
        "Places of fields among the values of a record."
        self._blank: list[Any] = []
        at = 0
        widest = 1
        form = "<"
        for word in fields.split():
            field, kind = word.split(":")
            size, align = _FORMS[kind] if kind in _FORMS else (int(kind), 1)
            begin = -(-at // align) * align
            self.offsets[field] = (begin, kind if kind in _FORMS else "s", size)
            self.places[field] = len(self._blank)
            self._blank.append(0 if kind in "hid" else b"")
            form += "x" * (begin - at) + (kind if kind in "hid" else f"{size}s")
            at = begin + size
            widest = max(widest, align)
        self.size = -(-at // widest) * widest
        self._struct = struct.Struct(form + "x" * (self.size - at))
        if self.size != sizes[-1]:
            raise ValueError(f"{name} is {self.size} bytes by its fields, {sizes[-1]} by the table")

    def pack(self, values: Mapping[str, Any]) -> bytes:
        """Return the record; fields not named are zero. KeyError for a field it does not have."""
        out = self._blank.copy()
        for field, value in values.items():
            _at, kind, size = self.offsets[field]
            if kind == "s":
                text = value if isinstance(value, bytes) else encode_text(value, size - 1)
                value = text if len(text) < size else text[: size - 1]
            elif kind == "c":
                value = value.encode("ascii")  # of more than one the first
            elif kind == "d" and value != value:
                value = DBL_MAX
            out[self.places[field]] = value
        return self._struct.pack(*out)

    def read(self, record: bytes) -> Record:
        """Return the record for reading; behind the end of a shorter one are zeros."""
        return Record(self, record if len(record) >= self.size else record.ljust(self.size, b"\0"))


class Record:
    """A received record. Reading a field is an item access: `record["OrderRef"]`."""

    __slots__ = ("layout", "raw")

    def __init__(self, layout: Layout, raw: bytes) -> None:
        self.layout = layout
        self.raw = raw

    def text(self, field: str) -> str:
        """Return a text or character field, stripped of padding."""
        at, _kind, size = self.layout.offsets[field]
        raw = self.raw[at : at + size].split(b"\0", 1)[0].strip(b" ")
        return raw.decode("ascii") if raw.isascii() else decode_gb18030(raw)

    def whole(self, field: str) -> int:
        """Return an integer field."""
        at, kind, _size = self.layout.offsets[field]
        value: int = struct.unpack_from("<" + kind, self.raw, at)[0]
        return value

    def price(self, field: str) -> float:
        """Return a number; NaN where CTP writes "no value"."""
        value: float = _READ_D(self.raw, self.layout.offsets[field][0])[0]
        return value if abs(value) < _ABSURD else float("nan")

    def raw_text(self, field: str) -> bytes:
        """Return a text field as it came, up to the first NUL: keys keep their padding."""
        at, _kind, size = self.layout.offsets[field]
        return self.raw[at : at + size].split(b"\0", 1)[0]

    def __getitem__(self, field: str) -> Any:
        kind = self.layout.offsets[field][1]
        if kind == "d":
            return self.price(field)
        return self.text(field) if kind in "sc" else self.whole(field)

    def to_dict(self) -> dict[str, Any]:
        """Return every field, for people and tests."""
        return {field: self[field] for field in self.layout.offsets}


_FORMS: Final = {"c": (1, 1), "h": (2, 2), "i": (4, 4), "d": (8, 8)}
_READ_D = struct.Struct("<d").unpack_from


def encode_text(text: str, most_bytes: int) -> bytes:
    """Return GB 18030 bytes, cut between characters so that they fit."""
    if text.isascii():
        return text.encode("ascii")[:most_bytes]
    raw = text.encode("gb18030", "replace")
    while len(raw) > most_bytes:
        text = text[:-1]
        raw = text.encode("gb18030", "replace")
    return raw


@lru_cache(maxsize=1)
def facts() -> dict[str, Any]:
    """Return the table of the CTP interface, of the installed package or the checkout."""
    places = [_PACKAGE / "data" / "ctp_abi.toml", _PACKAGE.parents[1] / "ctp" / "abi" / "facts.toml"]
    for place in places:
        if place.is_file():
            return tomllib.loads(place.read_text(encoding="utf-8"))
    raise FileNotFoundError(f"ctp_abi.toml is in none of: {', '.join(map(str, places))}")


@lru_cache(maxsize=128)
def layout(name: str) -> Layout:
    """Return the layout of a record by its name without CThostFtdc and Field."""
    record = facts()["records"][name]
    return Layout(name, record["fields"], record["sizes"])
