"""A QIFI document in parts: orders and trades are rendered when they change, and joined when it is written.

An account of a busy day has 2,000 of them, and rendering all took the loop for milliseconds twice a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec
import orjson

from qautlra.model import qifi
from qautlra.wire.qifi import item_json, to_json

T = TypeVar("T", qifi.Order, qifi.Trade)


class Part(NamedTuple, Generic[T]):
    """An order or a trade, its id, and both as a member of a JSON object."""

    key: str
    item: T
    member: bytes


def part(key: str, item: T) -> Part[T]:
    """Return a part; what is no number (NaN, infinity) is 0 in its JSON."""
    return Part(key, item, orjson.dumps(key) + b":" + item_json(item))


class Parts(NamedTuple):
    """A document: `head` is all but its orders and trades."""

    head: qifi.Qifi
    orders: Sequence[Part[qifi.Order]]
    trades: Sequence[Part[qifi.Trade]]

    def to_json(self) -> bytes:
        """Return the document as JSON, as `wire.qifi.to_json` would."""
        whole = to_json(self.head)  # no string of JSON has these quotes in it, and no other object is empty
        whole = whole.replace(b'"trades":{}', b'"trades":' + _object(self.trades), 1)
        return whole.replace(b'"orders":{}', b'"orders":' + _object(self.orders), 1)

    def document(self) -> qifi.Qifi:
        """Return the document whole."""
        return msgspec.structs.replace(
            self.head,
            orders={part.key: part.item for part in self.orders},
            trades={part.key: part.item for part in self.trades},
        )


def _object(parts: Sequence[Part[T]]) -> bytes:
    return b"{" + b",".join([part.member for part in parts]) + b"}"
