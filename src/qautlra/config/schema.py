"""The tree as a flat list of keys: finding one, checking a value, describing it, building a `Config`.

`*` stands for a name the user chooses (`source.ctp.brokers.*.front_addr`).
"""

from __future__ import annotations

import difflib
import re
import typing
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from qautlra.base.errors import ConfigError
from qautlra.base.secret import Secret
from qautlra.config.tree import Config

_SIZE = re.compile(r"^\s*(\d+)\s*([KMGT])i?B?\s*$", re.IGNORECASE)
_SIZE_SHIFT = {"K": 10, "M": 20, "G": 30, "T": 40}
_SHAPES: Final = {
    r"^(\d{4}-\d{2}-\d{2})?$": "a day like 2025-06-03",
    r"^(max|\d+(\.\d+)?)$": "max, or how many times as fast",
    r"^/": "a path like /ws/market",
    r"^/[A-Za-z0-9_\-./]*$": "a path like /ws/market",
    r"^https?://\S+$": "an address like https://host",
    r"^[A-Za-z][A-Za-z0-9_]{0,37}$": "the name of a database like QAREALTIME",
    r"^[A-Za-z0-9_.:\-]{1,127}$": "the name of an exchange like QAORDER_ROUTER",
    r"^[A-Za-z0-9._\-]{1,249}$": "the name of a topic like market_data",
    r"^[A-Za-z0-9._\-]{0,249}$": "the name of a group like qautlra",
    r"^[A-Za-z0-9_\-]{0,64}$": "the name of a stream like market_data",
    r"^[A-Za-z0-9_\-]{1,64}$": "the name of a stream like kafka_dead",
}
"""How texts of a pattern are described."""
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

LATER_PREFIXES = (
    "realtime.",
    "strategy.",
    "fund.",
    "link.redis.",
)
"""Sections promised to users that other builds have; here a setting under them is noted and left alone."""


class Leaf(NamedTuple):
    """One key: its type with range, and the value it has when nobody sets it."""

    key: str
    type: Any
    default: Any


@cache
def leaves() -> dict[str, Leaf]:
    """Return every key of the tree in the order of the tree."""
    found: dict[str, Leaf] = {}
    _collect(Config, "", found)
    return found


@cache
def _hints(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return typing.get_type_hints(struct, include_extras=True)


def _collect(struct: type[msgspec.Struct], prefix: str, found: dict[str, Leaf]) -> None:
    hints = _hints(struct)
    for item in msgspec.structs.fields(struct):
        key = prefix + item.name
        hint = hints[item.name]
        child = _struct_of(hint)
        named = _named_struct_of(hint)
        if child is not None:
            _collect(child, key + ".", found)
        elif named is not None:
            _collect(named, key + ".*.", found)
        else:
            default = item.default
            if default is msgspec.NODEFAULT:
                default = item.default_factory()
            found[key] = Leaf(key, hint, default)


def _struct_of(hint: Any) -> type[msgspec.Struct] | None:
    return hint if isinstance(hint, type) and issubclass(hint, msgspec.Struct) else None


def _named_struct_of(hint: Any) -> type[msgspec.Struct] | None:
    if typing.get_origin(hint) is dict:
        return _struct_of(typing.get_args(hint)[1])
    return None


def find(key: str) -> Leaf | None:
    """Return the leaf of `key`, also where a part of it is a name of the user's."""
    known = leaves()
    if key in known:
        return known[key]
    parts = key.split(".")
    for place in range(1, len(parts) - 1):
        pattern = ".".join([*parts[:place], "*", *parts[place + 1 :]])
        if pattern in known:
            return known[pattern]
    return None


def nearest(key: str) -> str:
    """Return the known key most like `key`, or an empty text."""
    known = list(leaves())
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return close[0]
    tail = key.rsplit(".", 1)[-1]
    by_tail = {known_key.rsplit(".", 1)[-1]: known_key for known_key in known}
    close = difflib.get_close_matches(tail, list(by_tail), n=1, cutoff=0.75)
    return by_tail[close[0]] if close else ""


def is_later(key: str) -> bool:
    """Tell whether `key` belongs to a room this build does not have."""
    return key.startswith(LATER_PREFIXES)


def unknown(key: str, value: Any, origin: str) -> ConfigError:
    """Return the error for a key that does not exist, with the nearest that does."""
    hint = nearest(key)
    return ConfigError(
        "there is no such setting" + (f"; did you mean {hint}?" if hint else ""),
        key=key,
        value=shown(value),
        origin=origin,
    )


def check(leaf: Leaf, key: str, value: Any, origin: str, *, text: bool) -> Any:
    """Return `value` as the leaf's type, or raise a ConfigError that says what was expected.

    `text=True` for values that arrive as text (environment, flags): numbers and comma lists are read.
    """
    raw = value
    if isinstance(value, str):
        value = _from_text(leaf, key, value) if text else _from_size(key, value)
    try:
        return msgspec.convert(value, leaf.type, strict=not text, dec_hook=_secret)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        hidden = Secret("x") if leaf.type is Secret else raw
        reason = str(error).removesuffix(" - at `$`")
        raise ConfigError(
            "does not have the form of its kind" if "matching regex" in reason else reason,
            key=key,
            value=shown(hidden),
            origin=origin,
            expected=describe(leaf.type),
        ) from None


def _secret(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError("a text is needed")


def _from_size(key: str, value: str) -> Any:
    size = _SIZE.match(value) if key.endswith("_bytes") else None
    return int(size[1]) << _SIZE_SHIFT[size[2].upper()] if size else value


def _from_text(leaf: Leaf, key: str, value: str) -> Any:
    info = inspect.type_info(leaf.type)
    if isinstance(info, inspect.ListType):
        if value.lstrip().startswith("["):
            try:
                return msgspec.json.decode(value.encode())
            except msgspec.DecodeError:
                return value
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(info, inspect.UnionType) and "," in value:
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(info, inspect.BoolType):
        lowered = value.strip().lower()
        return True if lowered in _TRUE else False if lowered in _FALSE else value
    return _from_size(key, value)


def shown(value: Any) -> Any:
    """Return `value` fit to be shown: secrets masked, long texts cut."""
    if isinstance(value, Secret):
        return str(value)
    if isinstance(value, str) and len(value) > 200:
        return value[:200] + "…"
    return value


def describe(hint: Any) -> str:
    """Return in words what values `hint` takes."""
    return _describe(inspect.type_info(hint))


def _describe(info: Any) -> str:
    if isinstance(info, inspect.BoolType):
        return "true or false"
    if isinstance(info, inspect.IntType | inspect.FloatType):
        word = "a whole number" if isinstance(info, inspect.IntType) else "a number"
        low = (
            f" from {info.ge}" if info.ge is not None else f" above {info.gt}" if info.gt is not None else ""
        )
        return word + low + (f" to {info.le}" if info.le is not None else "")
    if isinstance(info, inspect.UnionType):
        return ", or ".join(_describe(kind) for kind in info.types)
    if isinstance(info, inspect.LiteralType):
        return "one of " + ", ".join(str(value) for value in info.values)
    if isinstance(info, inspect.ListType):
        most = f" of at most {info.max_length}" if info.max_length else ""
        return f"a list{most}, each {_describe(info.item_type)}"
    if isinstance(info, inspect.StrType) and info.pattern:
        return _SHAPES.get(info.pattern, f"a text like {info.pattern}")
    return "a text"


def build(flat: dict[str, Any]) -> Config:
    """Return the tree made of checked values; keys that are absent take their defaults."""
    return typing.cast(Config, _build(Config, "", flat))


def _build(struct: type[msgspec.Struct], prefix: str, flat: dict[str, Any]) -> msgspec.Struct:
    hints = _hints(struct)
    values: dict[str, Any] = {}
    for item in msgspec.structs.fields(struct):
        key = prefix + item.name
        child = _struct_of(hints[item.name])
        named = _named_struct_of(hints[item.name])
        if child is not None:
            values[item.name] = _build(child, key + ".", flat)
        elif named is not None:
            start = key + "."
            names = dict.fromkeys(
                name[len(start) :].rsplit(".", 1)[0] for name in flat if name.startswith(start)
            )
            values[item.name] = {name: _build(named, f"{start}{name}.", flat) for name in names}
        elif key in flat:
            values[item.name] = flat[key]
    return struct(**values)
