"""Trading at a DIFF gateway (`td_server = "ws://..."`) in the words of the trading service, for one account.

The gateway is the ledger: an order is durable when the gateway shows it, and its table of ids (one per
account and day) is what a redelivered order meets. No order waits for a link that is down: it is refused.
What a login of the same day does not show, and the gateway not CONFIRM_S later either, is not alive there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from qautlra.base.clock import wall_ns
from qautlra.base.errors import LinkError
from qautlra.base.log import get_logger
from qautlra.link.trade_client import TradeClient, TradeClientOptions
from qautlra.model import codes
from qautlra.model.holding import NO_FUNDS, flat, with_gone
from qautlra.model.order import Answer, CancelOrder, Change, InsertOrder, Said
from qautlra.trade.brokers.base import CONFIRM_S, UNKNOWN, AccountBroker, DayBook, answer, pending
from qautlra.trade.transfers import Transfer
from qautlra.wire import trade_client as wire

GONE: Final = "重新登录后柜台的全部委托中已没有该委托"
_log = get_logger("trade")


class DiffBroker(AccountBroker):
    """One account at one gateway. Bounds: the gateway's own orders of the day.

    `account` is the house's name of it where that is not the user's at the gateway; `name` the broker's.
    """

    def __init__(
        self,
        options: TradeClientOptions,
        *,
        account: str = "",
        name: str = "",
        bank_password: str = "",
        capital_password: str = "",
    ) -> None:
        super().__init__(account or options.user, name or options.bid)
        self.book = DayBook()
        self._user = options.user
        self._client = TradeClient(options, self._on_packet, self._on_lost)
        self._bank_password, self._capital_password = bank_password, capital_password
        self._trade_numbers: dict[str, int] = {}
        self._connects_count = 0
        self._seen: set[str] = set()
        "Orders of the day that the gateway has shown."
        self._verdict: asyncio.TimerHandle | None = None
        self._funds: dict[str, Any] = dict(NO_FUNDS)
        self._positions: list[dict[str, Any]] = []
        self._transfers: list[Transfer] = []

    @property
    def is_synced(self) -> bool:
        """Whether the whole account is here and orders can be sent."""
        return self._client.is_synced

    @property
    def state(self) -> str:
        """`synced`, `refused`, or how far the link is."""
        return "synced" if self._client.is_synced else self._client.state

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
            "orders": len(self.book.orders),
        }
        return found | ({"error": client.error} if client.error else {})

    # --- commands ---

    def insert(self, order: InsertOrder) -> Answer:
        """Send an order; it is durable when the gateway shows it."""
        if order.account_id != self.account:
            return answer(codes.NO_ACCOUNT, order.order_id)
        number = self.book.number(order.order_id)
        if number is not None:
            return answer(codes.DUPLICATE, order.order_id, number)
        if order.volume <= 0:
            return answer(codes.BAD_VOLUME, order.order_id)
        refused = self._try_send(wire.insert(order, self._user), order.order_id)
        if refused is not None:
            return refused
        number = len(self.book.orders)
        self.book.put(pending(order, number, wall_ns()))
        lsn = self._await_shown(order.order_id)
        asyncio.get_running_loop().call_later(CONFIRM_S, self._overdue, order.order_id, lsn)
        self._tell(Change(account_id=self.account, orders=(number,)))
        return Answer(code=0, order_id=order.order_id, number=number, lsn=lsn)

    def cancel(self, order: CancelOrder) -> Answer:
        """Ask for an order's withdrawal, also of one on its way: it arrives behind it; 3001 for no order."""
        if self.book.number(order.order_id) is None:
            return answer(codes.NO_ORDER, order.order_id)
        refused = self._try_send(wire.cancel(order, self._user), order.order_id)
        return refused if refused is not None else Answer(code=0, order_id=order.order_id)

    def transfer(self, _account_id: str, amount: float, *, bank_id: str = "") -> Answer:
        """Ask for a transfer; the gateway tells what became of it."""
        frame = wire.transfer(self._user, amount, bank_id, self._bank_password, self._capital_password)
        refused = self._try_send(frame, "")
        return refused if refused is not None else Answer(code=0)

    def _try_send(self, frame: str, order_id: str) -> Answer | None:
        try:
            self._client.send(frame)
        except LinkError as error:
            return answer(codes.UNAVAILABLE, order_id, why=error.message)
        return None

    # --- reads ---

    def transfers(self, _account_id: str) -> list[Transfer]:
        """Return the day's transfers the gateway shows, oldest first."""
        return self._transfers

    def funds(self, _account_id: str) -> dict[str, Any]:
        """Return the money the gateway shows, the last it showed while it is away."""
        return self._funds

    def positions(self, _account_id: str) -> list[dict[str, Any]]:
        """Return the positions the gateway shows, the last it showed while it is away."""
        return self._positions

    # --- what the gateway tells ---

    def _on_packet(self, touched: dict[str, set[str]], notices: list[Said]) -> None:
        warned = tuple(notice for notice in notices if notice.level != "INFO")
        for notice in warned:
            _log.warning("gateway_says", account_id=self.account, code=notice.code, text=notice.text[:200])
        if warned:
            self._tell(Change(account_id=self.account, said=warned))
        tree = self._client.tree
        if not touched or not tree.is_whole:
            return
        day = (
            int(tree.trading_day.replace("-", "") or 0) if tree.trading_day.replace("-", "").isdigit() else 0
        )
        new_day = day != self._day
        if new_day:
            self._day = day
            self.book = DayBook()
            self._seen.clear()
            self._trade_numbers.clear()
            self._not_known(self._sent)
        # The first packets of a login may come before the account is whole: then everything is new.
        everything = new_day or self._connects_count != self._client.connects_count
        self._connects_count = self._client.connects_count
        self._funds = {**NO_FUNDS, **tree.funds()}
        shown = [flat(row["symbol"]) | row for row in tree.positions()]
        self._positions, gone = with_gone(shown, self._positions)
        if everything or "transfers" in touched:
            self._transfers = self._shown_transfers()
        parts = ("orders", "trades")
        changed = [tree.keys(part, None if everything else touched.get(part, ())) for part in parts]
        orders = self._take_orders(changed[0])
        if everything:
            self._judge_later(set(changed[0]))
        trades, reckoned = self._take_trades(changed[1])
        symbols = frozenset(
            key.replace("_", ".", 1) if "." not in key else key for key in touched.get("positions", ())
        )
        self._tell(
            Change(
                account_id=self.account,
                orders=tuple(orders),
                trades=tuple(trades),
                reckoned=tuple(reckoned),
                symbols=symbols | gone,
                day=new_day,
            )
        )

    def _shown_transfers(self) -> list[Transfer]:
        found = sorted(self._client.tree.transfers().values(), key=lambda one: one.datetime)
        return [
            Transfer(
                account_id=self.account, trading_day=self._day, seq=seq, amount=one.amount, bank_id="",
                code=one.error_id, text=one.error_msg, time_ns=one.datetime,
            )
            for seq, one in enumerate(found, 1)
        ]  # fmt: skip

    def _on_lost(self) -> None:
        """The link is gone: what was sent and not shown is unknown until a login shows it, if one does."""
        self._judge_no_more()
        lost = [number for name in self._sent if (number := self.book.number(name)) is not None]
        for number in lost:
            self.book.put(msgspec.structs.replace(self.book.orders[number], message=UNKNOWN))
        self._not_known(self._sent)
        if lost:
            self._tell(Change(account_id=self.account, orders=tuple(lost)))

    def _overdue(self, order_id: str, lsn: int) -> None:
        """The link stands, and the gateway shows nothing of an order: whatever it says later still counts."""
        number = self.book.number(order_id)
        if self._sent.get(order_id) != lsn or number is None:
            return
        self.book.put(msgspec.structs.replace(self.book.orders[number], message=UNKNOWN))
        self._not_known((order_id,))
        self._tell(Change(account_id=self.account, orders=(number,)))

    def _judge_later(self, keys: set[str]) -> None:
        """A login has shown everything: what it does not show gets CONFIRM_S to come after all."""
        self._judge_no_more()
        tree = self._client.tree
        there = {shown.order_id for key in keys if (shown := tree.order(key)) is not None}
        missing = [
            order.number for order in self.book.orders if order.is_alive and order.order_id not in there
        ]
        if missing:
            loop = asyncio.get_running_loop()
            self._verdict = loop.call_later(CONFIRM_S, self._judge, missing)

    def _judge_no_more(self) -> None:
        if self._verdict is not None:
            self._verdict.cancel()
            self._verdict = None

    def _judge(self, numbers: list[int]) -> None:
        """End the orders that are not alive at the gateway; one that comes even later counts as it comes."""
        self._verdict = None
        tree = self._client.tree
        there = {shown.order_id for key in tree.keys("orders") if (shown := tree.order(key)) is not None}
        ended = []
        for number in numbers:
            order = self.book.orders[number]
            if not order.is_alive or order.order_id in there:
                continue
            code = 0 if order.order_id in self._seen else codes.NEVER_ARRIVED
            text = codes.describe(code).text if code else GONE
            self.book.put(
                msgspec.structs.replace(order, is_alive=False, code=code, message=text, update_ns=wall_ns())
            )
            _log.warning("order_not_there", account_id=self.account, order_id=order.order_id, code=code)
            ended.append(number)
        if ended:
            self._tell(Change(account_id=self.account, orders=tuple(ended)))

    def _take_orders(self, keys: Iterable[str]) -> list[int]:
        book, found = self.book, []
        for key in keys:
            shown = self._client.tree.order(key)
            if shown is None:
                continue
            known = book.number(shown.order_id)
            number = len(book.orders) if known is None else known
            order = wire.order_of(number, self.account, shown)
            if order is None:
                continue
            self._seen.add(order.order_id)
            if known is not None:
                before = book.orders[known]
                if msgspec.structs.replace(order, update_ns=before.update_ns) == before:
                    continue
                order = msgspec.structs.replace(order, update_ns=wall_ns())
            book.put(order)
            found.append(number)
            self._shown(order.order_id)
        return found

    def _take_trades(self, keys: Iterable[str]) -> tuple[list[int], list[int]]:
        """Return the numbers of new trades, and of known ones that are shown otherwise: by their fee."""
        new, reckoned = [], []
        for key in keys:
            shown = self._client.tree.trade(key)
            if shown is None:
                continue
            number = self._trade_numbers.get(shown.trade_id or key, len(self.book.trades))
            trade = wire.trade_of(number, self.account, key, shown)
            if trade is None:
                continue
            if number == len(self.book.trades):
                self.book.trades.append(trade)
                self._trade_numbers[trade.trade_id] = number
                new.append(number)
            elif trade != self.book.trades[number]:
                self.book.trades[number] = trade
                reckoned.append(number)
        return new, reckoned
