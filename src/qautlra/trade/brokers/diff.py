"""Trading at a DIFF gateway (`td_server = "ws://..."`) in the words of the trading service, for one account.

The gateway is the ledger: an order is durable when the gateway shows it, and its table of ids (one per
account and day) is what a redelivered order meets. No order waits for a link that is down: it is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from qautlra.base.errors import LinkError, UnavailableError
from qautlra.base.log import get_logger
from qautlra.base.service import Service
from qautlra.link.trade_client import TradeClient, TradeClientOptions
from qautlra.model import codes
from qautlra.model.order import AmendOrder, Answer, CancelOrder, Change, InsertOrder, Order, Trade
from qautlra.wire import trade_client as wire

CONFIRM_S: Final = 10.0
_log = get_logger("trade")
Callback = Callable[[Change, Any], None]


class _Subscriber:
    def __init__(self, callback: Callback, prepare: Callable[[Change], Any] | None) -> None:
        self.callback, self.prepare = callback, prepare


class DiffBroker(Service):
    """One account at one gateway. Bounds: the gateway's own orders of the day."""

    name = "trade"

    def __init__(
        self, options: TradeClientOptions, *, bank_password: str = "", capital_password: str = ""
    ) -> None:
        super().__init__()
        self.account = options.user
        self.bid = options.bid
        self.day_ended: list[Callable[[Any], None]] = []
        "Never called: the gateway settles, and its next login shows the day after."
        self._client = TradeClient(options, self._on_packet, self._on_lost)
        self._bank_password, self._capital_password = bank_password, capital_password
        self._subscribers: list[_Subscriber] = []
        self._orders: list[Order] = []
        self._trades: list[Trade] = []
        self._numbers: dict[str, int] = {}
        self._trade_numbers: dict[str, int] = {}
        self._sent: dict[str, asyncio.Future[None]] = {}
        self._waits: dict[int, asyncio.Future[None]] = {}
        self._lsn = 0
        self._day = 0

    # --- life ---

    async def start(self) -> None:
        """Connect in the background."""
        self.spawn(self._client.run(), "link")

    def health(self) -> dict[str, Any]:
        """Return whether the gateway is there."""
        client = self._client
        found = {
            "state": "running" if client.is_synced else client.state,
            "gateway": client.shown_url,
            "broker": self.bid,
            "connects": client.connects_count,
            "orders": len(self._orders),
        }
        return found | ({"error": client.error} if client.error else {})

    # --- commands ---

    def insert(self, order: InsertOrder) -> Answer:
        """Send an order; it is durable when the gateway shows it."""
        if order.account_id != self.account:
            return _answer(codes.NO_ACCOUNT, order.order_id)
        number = self._numbers.get(order.order_id)
        if number is not None or order.order_id in self._sent:
            return _answer(codes.DUPLICATE, order.order_id, number)
        if order.volume <= 0:
            return _answer(codes.BAD_VOLUME, order.order_id)
        refused = self._try_send(wire.insert(order), order.order_id)
        if refused is not None:
            return refused
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._sent[order.order_id] = future
        self._lsn += 1
        self._waits[self._lsn] = future
        return Answer(code=0, order_id=order.order_id, lsn=self._lsn)

    def cancel(self, order: CancelOrder) -> Answer:
        """Ask for an order's withdrawal; 3001 when the gateway shows no such order."""
        if order.order_id not in self._numbers:
            return _answer(codes.NO_ORDER, order.order_id)
        refused = self._try_send(wire.cancel(order), order.order_id)
        return refused if refused is not None else Answer(code=0, order_id=order.order_id)

    def amend(self, order: AmendOrder) -> Answer:
        """Refuse: the protocol has no such request, and a withdrawal with a new order is two orders."""
        return Answer(
            code=codes.BAD_PARAMETERS, order_id=order.order_id, text="该交易通道不支持改单，请撤单后重报"
        )

    def transfer(self, account_id: str, amount: float, *, bank_id: str = "") -> Answer:
        """Ask for a transfer; the gateway tells what became of it."""
        frame = wire.transfer(account_id, amount, bank_id, self._bank_password, self._capital_password)
        refused = self._try_send(frame, "")
        return refused if refused is not None else Answer(code=0)

    def _try_send(self, frame: str, order_id: str) -> Answer | None:
        try:
            self._client.send(frame)
        except LinkError as error:
            code = codes.describe(codes.UNAVAILABLE)
            return Answer(code=code.number, order_id=order_id, text=f"{code.text}（{error.message}）")
        return None

    async def durable(self, lsn: int) -> None:
        """Return when the gateway shows every order up to `lsn`; UnavailableError when that is unknown."""
        waits = [future for number, future in self._waits.items() if number <= lsn]
        try:
            async with asyncio.timeout(CONFIRM_S):
                for future in waits:
                    await asyncio.shield(future)
        except TimeoutError:
            raise UnavailableError("the gateway has not shown an order it was sent") from None
        for number in [number for number in self._waits if number <= lsn]:
            del self._waits[number]

    # --- reads ---

    @property
    def head_lsn(self) -> int:
        """What is shown is the gateway's own, so it is durable already."""
        return 0

    @property
    def trading_day(self) -> int:
        """The gateway's trading day, 0 before the first login."""
        return self._day

    def accounts(self) -> list[str]:
        """Return the one account."""
        return [self.account]

    def has(self, account_id: str) -> bool:
        """Tell whether it is the one account."""
        return account_id == self.account

    def broker_of(self, account_id: str) -> str:
        """Return the broker's name at the gateway."""
        if account_id != self.account:
            raise KeyError(account_id)
        return self.bid

    def funds(self, _account_id: str) -> dict[str, Any]:
        """Return the money the gateway shows."""
        return self._client.tree.funds()

    def positions(self, _account_id: str) -> list[dict[str, Any]]:
        """Return the positions the gateway shows."""
        return self._client.tree.positions()

    def orders(self, _account_id: str) -> list[Order]:
        """Return the orders of the day in the order the gateway showed them."""
        return list(self._orders)

    def trades(self, _account_id: str) -> list[Trade]:
        """Return the trades of the day in the order the gateway showed them."""
        return list(self._trades)

    def order(self, number: int) -> Order:
        """Return an order by number; ValueError when there is none."""
        if not 0 <= number < len(self._orders):
            raise ValueError(f"no order {number}")
        return self._orders[number]

    def trade(self, number: int) -> Trade:
        """Return a trade by number; ValueError when there is none."""
        if not 0 <= number < len(self._trades):
            raise ValueError(f"no trade {number}")
        return self._trades[number]

    def find(self, _account_id: str, order_id: str) -> Order | None:
        """Return an order by its id."""
        number = self._numbers.get(order_id)
        return None if number is None else self._orders[number]

    def subscribe(
        self,
        account_id: str | None,
        callback: Callback,
        prepare: Callable[[Change], Any] | None = None,
    ) -> Callable[[], None]:
        """Hear of the account's changes; return what ends it."""
        if account_id is not None and account_id != self.account:
            return lambda: None
        subscriber = _Subscriber(callback, prepare)
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber) if subscriber in self._subscribers else None

    # --- what the gateway tells ---

    def _on_packet(self, touched: dict[str, set[str]], notices: list[wire.Notice]) -> None:
        for notice in notices:
            if notice.level != "INFO":
                _log.warning("gateway_says", code=notice.code, text=notice.text[:200])
        tree = self._client.tree
        if not touched or not tree.is_whole:
            return
        day = (
            int(tree.trading_day.replace("-", "") or 0) if tree.trading_day.replace("-", "").isdigit() else 0
        )
        new_day = day != self._day
        if new_day:
            self._day = day
            for kept in (self._orders, self._trades, self._numbers, self._trade_numbers):
                kept.clear()
        # The first packets of a login may come before the account is whole: then everything is new.
        everything = tree.is_whole and (new_day or not self._numbers)
        orders = self._take_orders(tree.keys("orders") if everything else touched.get("orders", ()))
        trades = self._take_trades(tree.keys("trades") if everything else touched.get("trades", ()))
        symbols = frozenset(
            key.replace("_", ".", 1) if "." not in key else key for key in touched.get("positions", ())
        )
        self._tell(
            Change(
                account_id=self.account,
                orders=tuple(orders),
                trades=tuple(trades),
                symbols=symbols,
                day=new_day,
            )
        )

    def _take_orders(self, keys: Iterable[str]) -> list[int]:
        found = []
        for key in sorted(keys):
            shown = self._client.tree.order(key)
            if shown is None:
                continue
            number = self._numbers.get(shown.order_id, len(self._orders))
            order = wire.order_of(number, self.account, shown)
            if order is None:
                continue
            if number == len(self._orders):
                self._orders.append(order)
                self._numbers[order.order_id] = number
            elif self._orders[number] == order:
                continue
            else:
                self._orders[number] = order
            found.append(number)
            future = self._sent.pop(order.order_id, None)
            if future is not None and not future.done():
                future.set_result(None)
        return found

    def _take_trades(self, keys: Iterable[str]) -> list[int]:
        found = []
        for key in sorted(keys):
            shown = self._client.tree.trade(key)
            if shown is None or (shown.trade_id or key) in self._trade_numbers:
                continue
            number = len(self._trades)
            trade = wire.trade_of(number, self.account, key, shown)
            if trade is not None:
                self._trades.append(trade)
                self._trade_numbers[trade.trade_id] = number
                found.append(number)
        return found

    def _on_lost(self) -> None:
        """What was sent and not shown is unknown: whoever waits is told so, and the next login tells."""
        sent, self._sent = self._sent, {}
        for future in sent.values():
            if not future.done():
                future.set_exception(UnavailableError("the gateway was lost before it showed the order"))

    def _tell(self, change: Change) -> None:
        for subscriber in list(self._subscribers):
            prepared = subscriber.prepare(change) if subscriber.prepare is not None else None
            subscriber.callback(change, prepared)


def _answer(number: int, order_id: str = "", order: int | None = None) -> Answer:
    return Answer(code=number, order_id=order_id, number=order, text=codes.describe(number).text)
