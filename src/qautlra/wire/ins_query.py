"""Instrument queries: the filters of a `multi_symbol_info` request, without a GraphQL engine.

Only the arguments are read; which fields the text asks for does not matter, as whole rows are answered.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

_CALL = re.compile(r"\b(?:multi_symbol_info|symbol_info)\s*(\()?")
_DERIVATIVES = re.compile(r"\bderivatives\b")
_ARGUMENT = re.compile(
    r"""[\s,]*([A-Za-z_]\w*)\s*:\s*(?: \$(\w+) | \[([^\]]*)\] | "((?:[^"\\]|\\.)*)" | ([\w.+\-]+) )""",
    re.VERBOSE,
)
# A text without its end goes to the end of all: that is read once, not again behind each of its quotes.
_ITEM = re.compile(r'"((?:[^"\\]|\\(?s:.)?)*+)"?|([^\s,"]+)')
_TRUTH = {"true": True, "false": False}
NAMES_COUNT = 20_000


class Asked(Struct, frozen=True, kw_only=True):
    """Which instruments are asked for; None does not matter."""

    instrument_ids: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    exchange_ids: tuple[str, ...] | None = None
    product_ids: tuple[str, ...] | None = None
    expired: bool | None = None
    has_night: bool | None = None
    has_derivatives: bool | None = None
    options: bool = False
    "The rows of options on an instrument are asked for with it."


_LISTS = {
    "instrument_id": "instrument_ids",
    "class": "classes",
    "exchange_id": "exchange_ids",
    "product_id": "product_ids",
}
_FLAGS = ("expired", "has_night", "has_derivatives")


def parse(query: str, variables: bytes) -> tuple[Asked | None, str]:
    """Return what a query asks for, or None and why it cannot be understood."""
    call = _CALL.search(query)
    if call is None:
        return None, "Only multi_symbol_info and symbol_info are answered"
    try:
        given = msgspec.json.decode(variables or b"{}", type=dict[str, Any] | None) or {}
    except msgspec.MsgspecError:
        return None, "variables: expected an object"
    found: dict[str, Any] = {}
    at = call.end()
    while call.group(1):
        argument = _ARGUMENT.match(query, at)
        if argument is None:
            break
        at = argument.end()
        name, variable, items, text, word = argument.groups()
        if variable is not None:
            value = given.get(variable)
        elif items is not None:
            value = [
                _unescaped(quoted) if quoted or not bare else bare for quoted, bare in _ITEM.findall(items)
            ]
        else:
            value = _unescaped(text) if text is not None else word
        _put(found, name, value)
    for name in found:
        if isinstance(found[name], tuple) and len(found[name]) > NAMES_COUNT:
            return None, f"{name}: more than {NAMES_COUNT} values"
    return Asked(**found, options=_DERIVATIVES.search(query, call.end()) is not None), ""


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    if value is None or value == "null":
        return
    if name in _LISTS:
        items = value if isinstance(value, list) else [value]
        found[_LISTS[name]] = tuple(str(item) for item in items)
    elif name in _FLAGS:
        truth = value if isinstance(value, bool) else _TRUTH.get(str(value))
        if truth is not None:
            found[name] = truth


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
