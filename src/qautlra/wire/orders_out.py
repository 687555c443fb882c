"""What the order exchange's door tells: an envelope per topic, and the bare trade older programs read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from qautlra.model import order as words
from qautlra.wire.qifi_account import funds_of, order_of, position_of, trade_of

TOPICS: Final = ("order", "trade", "position", "account", "event")


class _Envelope(msgspec.Struct, gc=False):
    """`seq` counts the account's messages of this process, `ts` is market time in Unix ns."""

    topic: str
    account_cookie: str
    seq: int
    ts: int
    data: Any


_encode = msgspec.json.Encoder().encode


def order(seq: int, ts_ns: int, item: words.Order) -> bytes:
    """Return the message of an order as it stands."""
    return _encode(_Envelope("order", item.account_id, seq, ts_ns, order_of(item)))


def trade(seq: int, ts_ns: int, item: words.Trade) -> bytes:
    """Return the message of a trade."""
    return _encode(_Envelope("trade", item.account_id, seq, ts_ns, trade_of(item)))


def bare_trade(item: words.Trade) -> bytes:
    """Return the trade alone, a QIFI object."""
    return _encode(trade_of(item))


def account(account_id: str, seq: int, ts_ns: int, funds: Mapping[str, Any]) -> bytes:
    """Return the message of an account's money."""
    return _encode(_Envelope("account", account_id, seq, ts_ns, funds_of(account_id, funds)))


def position(account_id: str, seq: int, ts_ns: int, row: Mapping[str, Any]) -> bytes:
    """Return the message of a position."""
    return _encode(_Envelope("position", account_id, seq, ts_ns, position_of(account_id, row)))


def event(account_id: str, seq: int, ts_ns: int, data: Mapping[str, Any]) -> bytes:
    """Return the message of what else there is to tell: `code`, `text`, `order_id`."""
    return _encode(_Envelope("event", account_id, seq, ts_ns, data))
