"""DIFF as its client sees it: the frames we send to another feed, and what its frames say.

Tolerant: gateways put frames of other dialects on the same socket; whatever is no data is `Other`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

PEEK: Final = '{"aid":"peek_message"}'
_LIST_REPLIES: Final = frozenset({"rsp_peek_message", "peek_message"})


class Patches(NamedTuple):
    """An `rtn_data`: the quote patches in order (a patch is an object, or None, which deletes all)."""

    quotes: list[Any]


class SubscriptionList(NamedTuple):
    """The answer to a peek of a server that pushes: our list, no data."""


class Complaint(NamedTuple):
    """What the server wants a person to read."""

    text: str


class Other(NamedTuple):
    """A frame that says nothing to a client of quotes."""


Frame = Patches | SubscriptionList | Complaint | Other


def subscribe(names: Iterable[str]) -> str:
    """Return the frame that replaces the set of quotes; no name unsubscribes all."""
    return orjson.dumps({"aid": "subscribe_quote", "ins_list": ",".join(names)}).decode()


def read(message: str | bytes) -> Frame:
    """Return what a server's frame says; ValueError when it is not a JSON object."""
    try:
        frame = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(frame, dict):
        raise ValueError("not a JSON object")
    kind = frame.get("aid")
    if kind == "rtn_data":
        parts = frame.get("data")
        if isinstance(parts, dict):
            parts = [parts]
        if not isinstance(parts, list):
            return Patches([])
        return Patches([part["quotes"] for part in parts if isinstance(part, dict) and "quotes" in part])
    if isinstance(kind, str):
        return SubscriptionList() if kind in _LIST_REPLIES else Other()
    if frame.get("type") == "error":
        payload = frame.get("payload")
        text = payload.get("message") if isinstance(payload, dict) else frame.get("message")
        return Complaint(text if isinstance(text, str) else "")
    return Other()
