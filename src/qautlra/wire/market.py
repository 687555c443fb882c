"""One text message of the market socket to one typed command, whatever its dialect.

The dialect is chosen per message by the key it carries: `aid`, else `type`, else `op`, else `action`.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.json import Decoder

from qautlra.wire import diff, legacy


class Dialect(Enum):
    """In whose words a message is written, and so answered."""

    DIFF = "aid"
    GATEWAY = "type"
    CORE = "op"
    QO = "action"


class BadMessage(Struct, frozen=True, gc=False):
    """A message that is not understood; `text` says why in the words of its dialect (None: it has none)."""

    dialect: Dialect | None
    text: str


class _Head(Struct, gc=False):
    aid: str | None = None
    type: str | None = None
    op: str | None = None
    action: str | None = None


_HEAD = Decoder(_Head)
_PEEK = diff.PeekMessage()
_ERRORS = (msgspec.DecodeError, RecursionError, UnicodeError)


def decode(text: str) -> tuple[Dialect | None, Any]:
    """Return the dialect and the command (a struct of `diff` or `legacy`, or BadMessage); never raises."""
    try:
        head = _HEAD.decode(text)
    except _ERRORS as error:
        return None, BadMessage(None, f"Invalid message format: {error}")
    if head.aid is not None:
        return Dialect.DIFF, _diff(head.aid, text)
    if head.type is not None:
        return Dialect.GATEWAY, _gateway(head.type, text)
    if head.op is not None:
        return Dialect.CORE, _core(head.op, text)
    if head.action is not None:
        return Dialect.QO, _qo(head.action, text)
    return None, BadMessage(None, "Invalid message format: no `aid`, `type`, `op` or `action`")


def _diff(name: str, text: str) -> Any:
    if name == "peek_message":
        return _PEEK
    decoder = diff.DECODERS.get(name)
    if decoder is None:
        return BadMessage(Dialect.DIFF, f"{legacy.UNKNOWN_TYPE}: {name[:64]}")
    try:
        return decoder.decode(text)
    except _ERRORS as error:
        return BadMessage(Dialect.DIFF, f"Invalid message format: {error}")


def _gateway(name: str, text: str) -> Any:
    decoder = legacy.TYPE_DECODERS.get(name)
    if decoder is None:
        return BadMessage(Dialect.GATEWAY, legacy.UNKNOWN_TYPE)
    try:
        return decoder.decode(text)
    except _ERRORS as error:
        return BadMessage(Dialect.GATEWAY, f"Invalid message format: {error}")


def _core(name: str, text: str) -> Any:
    decoder = legacy.OP_DECODERS.get(name)
    if decoder is None:
        return BadMessage(Dialect.CORE, legacy.CORE_UNKNOWN)
    try:
        return decoder.decode(text)
    except _ERRORS as error:
        return BadMessage(Dialect.CORE, f"Invalid message format: {error}")


def _qo(name: str, text: str) -> Any:
    decoder = legacy.ACTION_DECODERS.get(name)
    if decoder is None:
        return BadMessage(Dialect.QO, f"Unknown action: {name[:64]}")
    try:
        return decoder.decode(text)
    except _ERRORS:
        return BadMessage(Dialect.QO, f"Missing or invalid '{legacy.QO_FIELDS.get(name, name)}' field")
