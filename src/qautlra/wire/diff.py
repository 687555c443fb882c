"""DIFF frames (the `aid` dialect): typed decoding of what clients send, and `rtn_data` but for its quotes.

Quotes themselves are encoded by the core; here are the root keys that travel beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from msgspec import Raw, Struct, field
from msgspec.json import Decoder

NOTIFY_BAD_FRAME = 400
NOTIFY_UNKNOWN_INSTRUMENT = 404
NOTIFY_WAITING = 202
NOTIFY_LIMIT = 429
NOTIFY_NOT_SERVED = 501


class SubscribeQuote(Struct, frozen=True, gc=False):
    """Replace the session's set by the comma-separated `text`; an empty one unsubscribes all."""

    text: str | None = field(name="ins_list", default=None)


class UnsubscribeQuote(Struct, frozen=True, gc=False):
    """Take the comma-separated `text` out of the session's set."""

    text: str | None = field(name="ins_list", default=None)


class PeekMessage(Struct, frozen=True, gc=False):
    """One credit: answer with everything unsent, now or when there is something."""


class Ping(Struct, frozen=True, gc=False):
    """An application's own heartbeat."""


class SetChart(Struct, frozen=True, gc=False):
    """Ask for a series of bars (`duration` ns) or ticks (0); an empty `text` frees the chart.

    The newest `view_width` rows, or those from row `left_id` on, or such that `focus_position` rows come
    before the first one that is not earlier than `focus_ns`.
    """

    chart_id: str
    text: str = field(name="ins_list", default="")
    duration: int = 0
    view_width: int = 0
    left_id: int | None = field(name="left_kline_id", default=None)
    focus_ns: int | None = field(name="focus_datetime", default=None)
    focus_position: int = 0


class InsQuery(Struct, frozen=True, gc=False):
    """Ask for instrument metadata; an empty query releases the former answer."""

    query_id: str
    query: str = ""
    variables: Raw = field(default_factory=lambda: Raw(b"{}"))


class SubscribeTradingStatus(Struct, frozen=True, gc=False):
    """Ask for the trading status of the comma-separated `text`."""

    text: str | None = field(name="ins_list", default=None)


DECODERS: Mapping[str, Decoder[Any]] = {
    "subscribe_quote": Decoder(SubscribeQuote),
    "unsubscribe_quote": Decoder(UnsubscribeQuote),
    "peek_message": Decoder(PeekMessage),
    "ping": Decoder(Ping),
    "set_chart": Decoder(SetChart),
    "ins_query": Decoder(InsQuery),
    "subscribe_trading_status": Decoder(SubscribeTradingStatus),
}

PONG = b'{"aid":"pong"}'


def split(text: str | None) -> list[str]:
    """Return the names of a comma-separated list in order, each once; spaces inside a name belong to it."""
    return list(dict.fromkeys(name for part in (text or "").split(",") if (name := part.strip())))


def subscribed(text: str) -> bytes:
    """Return the acknowledgement of a subscription: the list exactly as it was sent."""
    return orjson.dumps({"aid": "rsp_subscribe_quote", "ins_list": text})


def subscription_list(names: list[str]) -> bytes:
    """Return the answer to a peek of a session that is pushed to: its list."""
    return orjson.dumps({"aid": "rsp_peek_message", "ins_list": ",".join(names)})


def ready(row: dict[str, Any]) -> orjson.Fragment:
    """Return a row of an answer as it is written, so that many need not be at once."""
    return orjson.Fragment(orjson.dumps(row))


class Root:
    """What must travel in the root of the session's next `rtn_data`. Bounded: the oldest notice gives way."""

    __slots__ = ("_charts", "_klines", "_list", "_more_data", "_notices", "_status", "_symbols")
    MAX_PARTS_COUNT = 64

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._list: str | None = None
        self._more_data = False
        self._notices: dict[str, Any] = {}
        self._symbols: dict[str, bytes] = {}
        self._status: dict[str, Any] = {}
        self._charts: dict[str, Any] = {}
        self._klines: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return bool(
            self._list is not None
            or self._more_data
            or self._notices
            or self._symbols
            or self._status
            or self._charts
        )

    def echo(self, text: str) -> None:
        """Echo the live subscription text, byte for byte."""
        self._list = text

    def history_complete(self, text: str) -> None:
        """Say that nothing more of the start state follows, as the first answer must."""
        self._more_data = True
        if self._list is None:
            self._list = text

    def notice(self, key: str, level: str, code: int, content: str) -> None:
        """Tell the person behind the client something, once."""
        if len(self._notices) >= self.MAX_PARTS_COUNT:
            self._notices.pop(next(iter(self._notices)))
        self._notices[key] = {"type": "MESSAGE", "level": level, "code": code, "content": content}

    def instruments(self, query: InsQuery, rows: list[Any], error: str) -> bool:
        """Answer an instrument query, or release the former answer; False when too many answers wait."""
        if len(self._symbols) >= self.MAX_PARTS_COUNT and query.query_id not in self._symbols:
            return False
        if not query.query:
            self._symbols[query.query_id] = b"null"
            return True
        self._symbols[query.query_id] = (
            b'{"query_id":%b,"query":%b,"variables":%b,"error":%b,"result":{"multi_symbol_info":%b}}'
            % (
                orjson.dumps(query.query_id),
                orjson.dumps(query.query),
                bytes(query.variables) or b"{}",
                orjson.dumps([{"message": error}] if error else []),
                orjson.dumps(rows),
            )
        )
        return True

    def empty_chart(self, chart: SetChart, request: str) -> bool:
        """Answer a chart with an empty series, or free it; False when too many answers wait."""
        if len(self._charts) >= self.MAX_PARTS_COUNT and chart.chart_id not in self._charts:
            return False
        names = split(chart.text)
        if not names:
            self._charts[chart.chart_id] = None
            return True
        for name in names:
            series = {"last_id": -1, "data": {}}
            if chart.duration:
                self._klines.setdefault("klines", {}).setdefault(name, {})[str(chart.duration)] = series
            else:
                self._klines.setdefault("ticks", {})[name] = series
        self._charts[chart.chart_id] = {
            "state": _state(chart, request),
            "left_id": -1,
            "right_id": -1,
            "more_data": False,
            "ready": True,
        }
        return True

    def trading_status(self, states: Mapping[str, str]) -> None:
        """Say which instruments trade now (`CONTINOUS`, as the field spells it) and which do not."""
        for name, state in states.items():
            self._status[name] = {"symbol": name, "trade_status": state}

    def take(self, more: Mapping[str, Any] | None = None) -> bytes:
        """Return the JSON object, with the keys of `more` in it, and forget it; empty: there is nothing."""
        if not self and not more:
            return b""
        root: dict[str, Any] = {}
        if self._list is not None:
            root["ins_list"] = self._list
        if self._notices:
            root["notify"] = self._notices
        if self._status:
            root["trading_status"] = self._status
        root.update(self._klines)
        if self._charts:
            root["charts"] = self._charts
        if self._symbols:
            body = b",".join(orjson.dumps(key) + b":" + value for key, value in self._symbols.items())
            root["symbols"] = orjson.Fragment(b"{" + body + b"}")
        if self._more_data or self._charts:
            root["mdhis_more_data"] = False
        for key, value in (more or {}).items():
            root[key] = root[key] | value if isinstance(root.get(key), dict) else value
        data = orjson.dumps(root)
        self._clear()
        return data


def request_of(text: str) -> dict[str, Any]:
    """Return a request as it is echoed."""
    request: dict[str, Any] = orjson.loads(text)
    return request


def return_data(root: bytes) -> bytes:
    """Return an `rtn_data` message that holds only this root object."""
    return b'{"aid":"rtn_data","data":[' + root + b"]}"


def _state(chart: SetChart, request: str) -> dict[str, Any]:
    """Return the request as its chart's state; what a number beyond any double leaves of it."""
    try:
        return request_of(request)
    except orjson.JSONDecodeError:
        return {"aid": "set_chart", "chart_id": chart.chart_id}
