"""The DIFF trade protocol's objects, notices and packets: what a client is told (contract 1 and 2.3)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import orjson

from qautlra.model.order import InsertOrder, Order, Trade
from qautlra.wire import qifi_account


def refused_object(order: InsertOrder, user_id: str, text: str, now_ns: int) -> dict[str, Any]:
    """Return the object of an order the exchange kept no record of: finished at once, nothing traded."""
    exchange_id, _, instrument_id = order.symbol.partition(".")
    whole = math.isfinite(order.volume) and abs(order.volume) < 1 << 53
    volume = int(order.volume) if whole else 0
    return {
        "seqno": 0,
        "user_id": user_id,
        "order_id": order.order_id,
        "exchange_id": exchange_id,
        "instrument_id": instrument_id,
        "direction": order.direction.name,
        "offset": order.offset.name,
        "volume_orign": volume,
        "price_type": order.price_type.name,
        "limit_price": order.limit_price or 0.0,
        "time_condition": order.time_condition.name,
        "volume_condition": order.volume_condition.name,
        "insert_date_time": now_ns,
        "exchange_order_id": "",
        "status": "FINISHED",
        "volume_left": volume,
        "last_msg": text,
    }


def order_object(order: Order) -> bytes:
    """Return an order of a broker outside, as the core writes its own (contract 1.4)."""
    return msgspec.json.encode(qifi_account.order_of(order))


def trade_object(trade: Trade) -> bytes:
    """Return a trade of a broker outside (contract 1.5)."""
    return msgspec.json.encode(qifi_account.trade_of(trade))


def account_object(account_id: str, funds: Mapping[str, Any]) -> bytes:
    """Return the money of an account outside (contract 1.2)."""
    return _without_nan(qifi_account.funds_of(account_id, funds))


def position_object(account_id: str, row: Mapping[str, Any]) -> bytes:
    """Return a position of an account outside (contract 1.3)."""
    return _without_nan(qifi_account.position_of(account_id, row))


def _without_nan(found: msgspec.Struct) -> bytes:
    """DIFF says "-" for a number that there is not: null would take the key away."""
    values = msgspec.structs.asdict(found)
    return orjson.dumps({name: "-" if value != value else value for name, value in values.items()})


def transfer_object(amount: float, code: int, text: str, time_ns: int) -> dict[str, Any]:
    """Return the object of a transfer (contract 1.6)."""
    return {"datetime": time_ns, "currency": "CNY", "amount": amount, "error_id": code, "error_msg": text}


ALERT_CODES: Final[Mapping[str, int]] = {
    "level_escalation": 601,
    "near_liquidation": 602,
    "liquidation_triggered": 603,
    "margin_insufficient": 604,
    "negative_available": 605,
    "daily_loss": 606,
    "many_cancels": 609,
}
"""Codes of notices about risk: ours, the protocol has none."""

DIFFERENCE_CODE: Final = 607
"""Of a notice that our ledger and the broker's figures differ."""

EXPIRY_CODE: Final = 608
"""Of a notice that a contract has ended and what became of what was held of it."""
_CAUSES: Final[Mapping[str, str]] = {"delivery": "到期交割", "exercise": "到期行权", "lapse": "到期作废"}


def expiry_text(trade: Trade) -> str:
    """Return what an account is told of a trade that a contract's end brought."""
    cause = _CAUSES[trade.cause]
    return f"{cause},合约:{trade.symbol},手数:{trade.volume},价格:{trade.price:g}"


# --- packets ---

SIM_BANK: Final = {
    "SIM": {"id": "SIM", "name": "模拟银行", "bank_account": "", "fetch_amount": 0.0, "qry_count": 0}
}


def brokers(names: list[str]) -> bytes:
    """Return the greeting."""
    return orjson.dumps({"aid": "rtn_brokers", "brokers": names})


def notice(key: str, code: int, text: str, level: str = "INFO", kind: str = "MESSAGE") -> bytes:
    """Return one patch with a notice. `key` is ours: letters and digits."""
    return b'{"notify":{"%b":%b}}' % (key.encode(), _notice_body(code, text, level, kind))


def settlement_notice(key: str, text: str) -> bytes:
    """Return one patch with a daily statement; `key` is ours."""
    body = {"type": "SETTLEMENT", "level": "INFO", "code": 325, "session_id": 0, "content": text}
    return orjson.dumps({"notify": {key: body}})


@lru_cache(maxsize=1024)
def _notice_body(code: int, text: str, level: str, kind: str) -> bytes:
    body = {"type": kind, "level": level, "code": code, "session_id": 0, "content": text}
    return orjson.dumps(body)


def session_patch(user_id: str, trading_day: int) -> bytes:
    """Return the patch that says a login succeeded."""
    session = {"user_id": user_id, "trading_day": str(trading_day)}
    return orjson.dumps({"trade": {user_id: {"session": session}}})


def settlement_info(trading_day: int | str, user_id: str, text: str) -> bytes:
    """Return the answer to `qry_settlement_info`."""
    day = int(trading_day) if str(trading_day).isdigit() else 0
    return orjson.dumps(
        {
            "aid": "qry_settlement_info",
            "trading_day": day,
            "user_name": user_id,
            "settlement_info": text,
        }
    )


PONG: Final = b'{"aid":"pong"}'


def rtn_data(patches: list[bytes]) -> bytes:
    """Return a data packet of ready patches."""
    return b'{"aid":"rtn_data","data":[' + b",".join(patches) + b"]}"


def rtn_data_pieces(patches: Iterable[bytes], last: Sequence[bytes]) -> list[bytes]:
    """Return one in pieces: of ready patches, and behind them of one that comes in pieces."""
    return [b'{"aid":"rtn_data","data":[', *(part for one in patches for part in (one, b",")), *last, b"]}"]


class _Parts(msgspec.Struct):
    """A patch the core has written, taken apart by key."""

    accounts: dict[str, msgspec.Raw] = {}
    positions: dict[str, msgspec.Raw] = {}
    orders: dict[str, msgspec.Raw] = {}
    trades: dict[str, msgspec.Raw] = {}


_parts: Final[msgspec.json.Decoder[_Parts]] = msgspec.json.Decoder(_Parts)


class Patch:
    """What changed of an account, as ready JSON by key; a later patch of the same key takes its place.

    `user_id` is the key of the tree. A client that does not ask for a while costs what merging keeps: at most
    one object per order, trade and position of the day. `written` is what the core wrote in one piece; it is
    taken apart when something comes to it. A whole tree has its objects in `large` pieces, which are not:
    what comes later is a patch of its own `behind` it.
    """

    __slots__ = (
        "account",
        "banks",
        "behind",
        "large",
        "orders",
        "positions",
        "trades",
        "transfers",
        "user_id",
        "whole",
        "written",
    )

    def __init__(self, user_id: str, written: bytes = b"") -> None:
        self.user_id = user_id
        self.written = written
        self.account = b""
        self.orders: dict[str, bytes] = {}
        self.trades: dict[str, bytes] = {}
        self.positions: dict[str, bytes] = {}
        self.transfers: dict[str, bytes] = {}
        self.banks = b""
        self.large: dict[str, list[bytes]] = {}
        "Members of positions, orders and trades, many in a piece."
        self.behind: Patch | None = None
        self.whole = False
        "Whether this is the whole tree, everything empty included."

    def merge(self, later: Patch) -> None:
        """Take a later patch over this one."""
        if later.large:
            self._let_go()
            self.behind = later.copy()
        elif self.behind is not None:
            self.behind.merge(later)
        elif self.large:
            self.behind = later.copy()
        else:
            self._take(later)

    @property
    def has_whole(self) -> bool:
        """Whether a whole tree is in it, or behind it."""
        return self.whole or (self.behind is not None and self.behind.has_whole)

    def _let_go(self) -> None:
        """Keep nothing that a whole tree has, too: it takes the place of the large pieces of an older one."""
        behind, self.behind, self.large = self.behind, None, {}
        if behind is not None:
            behind._let_go()
            self._take(behind)

    def _take(self, later: Patch) -> None:
        self._take_apart()
        later._take_apart()
        self.whole = self.whole or later.whole
        if later.account:
            self.account = later.account
        if later.banks:
            self.banks = later.banks
        for mine, its in zip(self._objects(), later._objects(), strict=True):
            mine.update(its)

    def _take_apart(self) -> None:
        if self.written:
            parts = _parts.decode(b"{" + self.written + b"}")
            self.written = b""
            self.account = bytes(parts.accounts["CNY"])
            for mine, its in (
                (self.positions, parts.positions),
                (self.orders, parts.orders),
                (self.trades, parts.trades),
            ):
                mine.update((key, bytes(value)) for key, value in its.items())

    def _objects(self) -> tuple[dict[str, bytes], ...]:
        return self.orders, self.trades, self.positions, self.transfers

    def copy(self) -> Patch:
        """Return a patch of the same content that merging leaves apart from this one."""
        found = Patch(self.user_id)
        found.whole = self.whole
        found._take(self)
        found.large = self.large
        found.behind = None if self.behind is None else self.behind.copy()
        return found

    def render(self, trading_day: int = 0) -> bytes:
        """Return the JSON of the patch; of one with another behind it both, a comma between."""
        return b"".join(self.pieces(trading_day))

    def pieces(self, trading_day: int = 0) -> list[bytes]:
        """Return the same in pieces: large ones are as they were."""
        parts: list[tuple[bytes, ...]] = [(self.written,)] if self.written else []
        if self.whole:
            head = b'"user_id":%b,"trading_day":"%d","trade_more_data":false'
            parts.append((head % (orjson.dumps(self.user_id), trading_day),))
        if self.account:
            parts.append((b'"accounts":{"CNY":', self.account, b"}"))
        for name, objects in (
            ("positions", self.positions),
            ("orders", self.orders),
            ("trades", self.trades),
            ("transfers", self.transfers),
        ):
            large = self.large.get(name, ())
            if objects or large or self.whole:
                found = [piece for piece in (*large, _members(objects)) if piece]
                commas = [b","] * (2 * len(found) - 1)
                commas[::2] = found
                parts.append((b'"%b":{' % name.encode(), *commas, b"}"))
        if self.banks:
            parts.append((b'"banks":', self.banks))
        made = [b'{"trade":{', orjson.dumps(self.user_id), b":{"]
        for number, part in enumerate(parts):
            made += (b",", *part) if number else part
        made.append(b"}}}")
        return made if self.behind is None else [*made, b",", *self.behind.pieces(trading_day)]


def _members(objects: Mapping[str, bytes]) -> bytes:
    return b",".join([_name(key) + b":" + value for key, value in objects.items()])


def _name(key: str) -> bytes:
    plain = key.replace("_", "").replace(".", "").replace("|", "")
    return b'"%b"' % key.encode() if plain.isalnum() else orjson.dumps(key)
