"""The DIFF trade protocol as its client sees it: what a gateway is asked, the account its packets build."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from qautlra.base.errors import InputError
from qautlra.model import codes, qifi
from qautlra.model import order as words
from qautlra.wire.qifi import from_dict

PEEK: Final = '{"aid":"peek_message"}'
CONFIRM: Final = '{"aid":"confirm_settlement"}'
LOGIN_FAILED: Final = "登录失败"
_PASSING_WORDS: Final = ("频繁", "上限", "不可用", "稍后", "初始化", "繁忙", "超时")
_PASSING_CODES: Final = frozenset({7, 60, 90, 154})
"CTP's: not initialised yet, too many sessions, not ready, busy."
DEPTH_COUNT: Final = 12
_OF_DAY: Final = ("orders", "trades", "transfers")
_TIMES: Final = {"orders": "insert_date_time", "trades": "trade_date_time"}


def login(bid: str, user: str, password: str, app_id: str = "") -> str:
    """Return the login."""
    frame = {"aid": "req_login", "bid": bid, "user_name": user, "password": password}
    if app_id:
        frame["client_app_id"] = app_id
    return orjson.dumps(frame).decode()


def insert(order: words.InsertOrder, user: str) -> str:
    """Return the order as a gateway is handed it from its user."""
    exchange_id, _, instrument_id = order.symbol.partition(".")
    frame: dict[str, Any] = {
        "aid": "insert_order",
        "user_id": user,
        "order_id": order.order_id,
        "exchange_id": exchange_id,
        "instrument_id": instrument_id,
        "direction": order.direction.name,
        "offset": order.offset.name,
        "volume": int(order.volume),
        "price_type": order.price_type.name,
        "volume_condition": order.volume_condition.name,
        "time_condition": order.time_condition.name,
    }
    if order.limit_price is not None:
        frame["limit_price"] = order.limit_price
    return orjson.dumps(frame).decode()


def cancel(order: words.CancelOrder, user: str) -> str:
    """Return the withdrawal of an order."""
    frame = {"aid": "cancel_order", "user_id": user, "order_id": order.order_id}
    return orjson.dumps(frame).decode()


def transfer(account: str, amount: float, bank_id: str, bank_password: str, capital_password: str) -> str:
    """Return a transfer with a bank."""
    frame = {
        "aid": "req_transfer",
        "bank_id": bank_id,
        "future_account": account,
        "future_password": capital_password,
        "bank_password": bank_password,
        "currency": "CNY",
        "amount": amount,
    }
    return orjson.dumps(frame).decode()


def login_refusal(notices: Iterable[words.Said]) -> tuple[str, bool] | None:
    """Return why a gateway refuses a login, and whether that passes by itself; None when it does not refuse.

    What does not say that it passes is taken for a wrong password: tried again, it would lock the account.
    """
    for said in notices:
        if LOGIN_FAILED in said.text:
            passes = said.code in _PASSING_CODES or any(word in said.text for word in _PASSING_WORDS)
            return said.text[:200], passes
    return None


class Tree:
    """The account as merged from packets; `read` returns what a packet changed. Owner: the loop thread."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.trading_day = ""
        self.is_whole = False
        self._values: dict[str, Any] = {}

    def clear(self) -> None:
        """Forget everything: a new login sends it all again."""
        self.trading_day, self.is_whole = "", False
        self._values = {}

    def read(self, message: str | bytes) -> tuple[dict[str, set[str]], list[words.Said]]:
        """Merge a packet; return the keys it touched by part, and the notices. ValueError when it is none."""
        try:
            frame = orjson.loads(message)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(frame, dict):
            raise ValueError("not a JSON object")
        mine: list[dict[str, Any]] = []
        notices: list[words.Said] = []
        parts = frame.get("data") if frame.get("aid") == "rtn_data" else None
        for part in parts if isinstance(parts, list) else []:
            if not isinstance(part, dict):
                continue
            for item in _values_of(part.get("notify")):
                if isinstance(item, dict):
                    text, level = str(item.get("content", "")), str(item.get("level", "INFO"))
                    code = item.get("code")
                    notices.append(words.Said(code if isinstance(code, int) else 0, text, level))
            trade = part.get("trade")
            patch = trade.get(self.user) if isinstance(trade, dict) else None
            if isinstance(patch, dict):
                mine.append(patch)
        touched: dict[str, set[str]] = {}
        for patch in mine:
            self._begin(patch)
        for patch in mine:
            self._touch(patch, touched)
        return touched, notices

    def _begin(self, mine: dict[str, Any]) -> None:
        """Take the trading day; with another one the day before is over, deleted by the gateway or not."""
        session = mine.get("session")
        day = session.get("trading_day") if isinstance(session, dict) else mine.get("trading_day")
        if not isinstance(day, str | int) or not str(day) or str(day) == self.trading_day:
            return
        if self.trading_day:
            for name in _OF_DAY:
                self._values.pop(name, None)
        self.trading_day = str(day)

    def _touch(self, mine: dict[str, Any], touched: dict[str, set[str]]) -> None:
        for name in ("accounts", "positions", "orders", "trades", "transfers"):
            changes = mine.get(name)
            if isinstance(changes, dict):
                touched.setdefault(name, set()).update(changes)
        _merge(self._values, mine)
        if isinstance(self._values.get("accounts"), dict) and not self._values.get("trade_more_data"):
            self.is_whole = True

    def funds(self) -> dict[str, Any]:
        """Return the money of the account as a gateway names it, numbers it does not have left out."""
        accounts = self._values.get("accounts")
        found = accounts.get("CNY") if isinstance(accounts, dict) else None
        funds = {key: value for key, value in (found or {}).items() if _is_number(value)}
        if not funds:
            return {}
        balance, margin = funds.get("balance", 0.0), funds.get("margin", 0.0)
        funds["leverage"] = margin / balance if balance else 0.0
        funds["withdraw_quota"] = funds.get("WithdrawQuota", funds.get("available", 0.0))
        return funds

    def positions(self) -> list[dict[str, Any]]:
        """Return the positions with `symbol`, numbers a gateway does not have left out."""
        found = []
        for key, row in _items(self._values.get("positions")):
            numbers = {name: value for name, value in row.items() if _is_number(value)}
            found.append(numbers | {"symbol": key.replace("_", ".", 1) if "." not in key else key})
        return found

    def keys(self, part: str, among: Iterable[str] | None = None) -> list[str]:
        """Return the keys of a part (all of them without `among`), oldest first where it has times."""
        rows = self._values.get(part)
        rows = rows if isinstance(rows, dict) else {}
        found = _items(rows if among is None else {key: rows.get(key) for key in among})
        time = _TIMES.get(part, "")
        found.sort(key=lambda one: (_whole(one[1].get(time)), _whole(one[1].get("seqno")), one[0]))
        return [key for key, _ in found]

    def order(self, key: str) -> qifi.Order | None:
        """Return an order as a document has it, None when it is not readable."""
        document = self._document("orders", key)
        return document.orders.get(key) if document is not None else None

    def trade(self, key: str) -> qifi.Trade | None:
        """Return a trade as a document has it, None when it is not readable."""
        document = self._document("trades", key)
        return document.trades.get(key) if document is not None else None

    def transfers(self) -> dict[str, qifi.Transfer]:
        """Return the transfers that are readable."""
        found = {key: self._document("transfers", key) for key in self.keys("transfers")}
        return {key: one.transfers[key] for key, one in found.items() if one is not None}

    def _document(self, part: str, key: str) -> qifi.Qifi | None:
        rows = self._values.get(part)
        row = rows.get(key) if isinstance(rows, dict) else None
        if not isinstance(row, dict):
            return None
        try:
            return from_dict({"account_cookie": self.user, part: {key: row}})
        except InputError:
            return None


def order_of(number: int, account: str, found: qifi.Order) -> words.Order | None:
    """Return an order of the house's words, None when a word of it is unknown.

    One that ended whole and without the exchange's number was refused; a gateway does not say by which code.
    """
    is_alive, left = found.status == "ALIVE", int(found.volume_left)
    is_refused = not is_alive and not found.exchange_order_id and left == int(found.volume_orign)
    code = codes.REFUSED_THERE if is_refused else 0
    try:
        return words.Order(
            number=number,
            account_id=account,
            order_id=found.order_id,
            exchange_order_id=found.exchange_order_id,
            symbol=f"{found.exchange_id}.{found.instrument_id}",
            direction=words.Direction[found.direction],
            offset=words.Offset[found.offset],
            price_type=words.PriceType[found.price_type or "LIMIT"],
            time_condition=words.TimeCondition[found.time_condition or "GFD"],
            volume_condition=words.VolumeCondition[found.volume_condition or "ANY"],
            limit_price=found.limit_price or None,
            volume=int(found.volume_orign),
            volume_left=left,
            is_alive=is_alive,
            code=code,
            message=found.last_msg or (codes.describe(code).text if code else ""),
            insert_ns=found.insert_date_time,
            update_ns=found.insert_date_time,
        )
    except KeyError:
        return None


def trade_of(number: int, account: str, key: str, found: qifi.Trade) -> words.Trade | None:
    """Return a trade of the house's words, None when a word of it is unknown."""
    try:
        return words.Trade(
            number=number,
            seq=found.seqno,
            account_id=account,
            trade_id=found.trade_id or key,
            exchange_trade_id=found.exchange_trade_id,
            order_id=found.order_id,
            symbol=f"{found.exchange_id}.{found.instrument_id}",
            direction=words.Direction[found.direction],
            offset=words.Offset[found.offset],
            volume=int(found.volume),
            price=found.price,
            commission=found.commission,
            close_profit=0.0,
            trade_ns=found.trade_date_time,
        )
    except KeyError:
        return None


def _merge(target: dict[str, Any], patch: Mapping[str, Any], depth: int = 0) -> None:
    """RFC 7386, to a bounded depth."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and depth < DEPTH_COUNT:
            own = target.get(key)
            if not isinstance(own, dict):
                own = target[key] = {}
            _merge(own, value, depth + 1)
        else:
            target[key] = value


def _values_of(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else []


def _items(value: Any) -> list[tuple[str, dict[str, Any]]]:
    if not isinstance(value, dict):
        return []
    return [(key, row) for key, row in value.items() if isinstance(row, dict)]


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
