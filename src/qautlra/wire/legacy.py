"""The three older dialects of the market socket: the gateway's own (`type`), CORE (`op`), QO (`action`).

Typed decoding of what clients send and the replies in the exact words of those servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from msgspec import Struct
from msgspec.json import Decoder

# --- the gateway's own: {"type": T, "payload": {...}} ---


class Names(Struct, frozen=True, gc=False):
    """Payload of subscribe and unsubscribe."""

    instruments: list[str]


class Subscribe(Struct, frozen=True, gc=False):
    """Add to the session's set."""

    payload: Names


class Unsubscribe(Struct, frozen=True, gc=False):
    """Take out of the session's set."""

    payload: Names


class Subscriptions(Struct, frozen=True, gc=False):
    """List the session's set."""


class Auth(Struct, frozen=True, gc=False):
    """A login; market data needs none here."""


class Ping(Struct, frozen=True, gc=False):
    """An application's own heartbeat."""


TYPE_DECODERS: Mapping[str, Decoder[Any]] = {
    "subscribe": Decoder(Subscribe),
    "unsubscribe": Decoder(Unsubscribe),
    "subscriptions": Decoder(Subscriptions),
    "auth": Decoder(Auth),
    "ping": Decoder(Ping),
}

PONG = b'{"type":"pong"}'
NO_INSTRUMENTS = "No instruments specified"
UNKNOWN_TYPE = "Unknown message type"
NO_AUTHENTICATION = "Authentication not implemented"


def system(message: str) -> bytes:
    """Return a message of the server itself."""
    return orjson.dumps({"type": "system", "payload": {"message": message}})


def greeting(session_id: str) -> bytes:
    """Return the gateway's first message."""
    return system(f"Connected to QAMD Gateway WebSocket. Session ID: {session_id}")


def subscribed(count: int) -> bytes:
    """Acknowledge `count` names taken in."""
    return system(f"Subscribed to {count} instruments")


def unsubscribed(count: int) -> bytes:
    """Acknowledge `count` names taken out."""
    return system(f"Unsubscribed from {count} instruments")


def subscriptions(names: list[str]) -> bytes:
    """Return the session's set, as the client spelled it."""
    return orjson.dumps({"type": "subscriptions", "payload": {"instruments": names}})


def error(message: str) -> bytes:
    """Return the gateway's error message."""
    return orjson.dumps({"type": "error", "payload": {"message": message}})


# --- CORE: {"op": O, "symbols": [...]} -> {"data": ..., "topic": T, "code": C} ---


class CoreSubscribe(Struct, frozen=True, gc=False):
    """Add to the session's set."""

    symbols: list[str]


class CoreUnsubscribe(Struct, frozen=True, gc=False):
    """Take out of the session's set."""

    symbols: list[str]


OP_DECODERS: Mapping[str, Decoder[Any]] = {
    "subscribe": Decoder(CoreSubscribe),
    "unsubscribe": Decoder(CoreUnsubscribe),
}

CORE_SUBSCRIBED = b'{"data":"Subscribed","topic":"subscribe","code":200}'
CORE_UNSUBSCRIBED = b'{"data":"Unsubscribed","topic":"unsubscribe","code":200}'
CORE_UNKNOWN = "Unknown operation"
CORE_NO_SYMBOLS = "No symbols specified"


def core_error(message: str) -> bytes:
    """Return CORE's error message, code 400."""
    return orjson.dumps({"data": message, "topic": "error", "code": 400})


# --- QO: {"action": A, ...} ---


class QoSubscribe(Struct, frozen=True, gc=False):
    """Add to the session's set."""

    instruments: list[str]


class QoUnsubscribe(Struct, frozen=True, gc=False):
    """Take out of the session's set."""

    instruments: list[str]


class QoListInstruments(Struct, frozen=True, gc=False):
    """List every instrument the server knows."""


class QoSearchInstruments(Struct, frozen=True, gc=False):
    """List the instruments whose name holds `pattern`, letters of either case."""

    pattern: str


ACTION_DECODERS: Mapping[str, Decoder[Any]] = {
    "subscribe": Decoder(QoSubscribe),
    "unsubscribe": Decoder(QoUnsubscribe),
    "list_instruments": Decoder(QoListInstruments),
    "search_instruments": Decoder(QoSearchInstruments),
}
QO_FIELDS: Mapping[str, str] = {
    "subscribe": "instruments",
    "unsubscribe": "instruments",
    "search_instruments": "pattern",
}

QO_SUBSCRIBE_QUOTE = b'{"aid":"subscribe_quote","status":"ok"}'


def qo_welcome(session_id: str, connected: bool, now_ms: int) -> bytes:
    """Return QO's first message."""
    return orjson.dumps(
        {
            "type": "welcome",
            "message": "Connected to QuantAxis MarketData Server",
            "session_id": session_id,
            "ctp_connected": connected,
            "timestamp": now_ms,
        }
    )


def qo_subscribed(count: int) -> bytes:
    """Acknowledge a subscription; `count` is the size of the session's set."""
    return orjson.dumps({"type": "subscribe_response", "status": "success", "subscribed_count": count})


def qo_unsubscribed(count: int) -> bytes:
    """Acknowledge an unsubscription; `count` is the size of the session's set."""
    return orjson.dumps({"type": "unsubscribe_response", "status": "success", "subscribed_count": count})


def qo_instruments(names: list[str]) -> bytes:
    """Return every instrument."""
    return orjson.dumps({"type": "instrument_list", "instruments": names, "count": len(names)})


def qo_found(pattern: str, names: list[str]) -> bytes:
    """Return what a search found."""
    return orjson.dumps(
        {"type": "search_result", "pattern": pattern, "instruments": names, "count": len(names)}
    )


def qo_error(message: str, now_ms: int) -> bytes:
    """Return QO's error message."""
    return orjson.dumps({"type": "error", "message": message, "timestamp": now_ms})
