"""The orders and trades of one account at a CTP front, as a brain: records in, what changed out.

Each order has two names at the front: (front, session, reference) before the exchange answers, then the
exchange's number; both lead here. The private flow is told again after every login, so everything is taken
once by its key. An order that was sent and not shown is unknown, and never sent again; one that a login does
not show either has never arrived.
"""

from __future__ import annotations

from math import inf

import msgspec

from qautlra.model import codes
from qautlra.model.order import InsertOrder, Order
from qautlra.trade.brokers.base import UNKNOWN, DayBook, pending
from qautlra.trade.brokers.shadow import Difference
from qautlra.wire import ctp_broker as wire
from qautlra.wire.ctp_orders import Key
from qautlra.wire.ctp_records import Record


class CtpBook(DayBook):
    """Owner: the broker. Bound: the account's orders and trades of one trading day."""

    def __init__(self, account_id: str) -> None:
        super().__init__()
        self.account_id = account_id
        self._keys: dict[Key, int] = {}
        self._key_of: dict[int, Key] = {}
        self._sys_ids: dict[tuple[str, str], int] = {}
        self._traded: set[tuple[str, str, str]] = set()
        self._orphans: list[Record] = []  # trades whose order has not been told yet
        self._silent: dict[int, float] = {}  # nothing heard yet: monotonic second it went out, inf before
        self.highest_ref = 0

    def clear(self) -> None:
        """Begin a trading day."""
        self.__init__(self.account_id)  # type: ignore[misc]

    def key(self, number: int) -> Key | None:
        """Return how the front names an order; None for one it has never shown under a name of ours."""
        return self._key_of.get(number)

    def named(self, key: Key) -> int | None:
        """Return the number of the order that the front knows by this name."""
        return self._keys.get(key)

    @property
    def unknown_count(self) -> int:
        """How many orders were sent and never shown."""
        return len(self._silent)

    @property
    def silent(self) -> frozenset[int]:
        """The orders that were sent and never shown."""
        return frozenset(self._silent)

    def is_shown(self, number: int) -> bool:
        """Tell whether the front has said anything of the order."""
        return number not in self._silent

    # --- what we do ---

    def sent(self, order: InsertOrder, key: Key, now_ns: int) -> int:
        """Note an order before it is sent; return its number."""
        number = len(self.orders)
        self.orders.append(pending(order, number, now_ns))
        self._name(number, order.order_id, key)
        self._silent[number] = inf
        return number

    def went(self, number: int, now_s: float) -> None:
        """It has left at this monotonic second."""
        self._silent[number] = now_s

    def not_sent(self, number: int, code: int) -> None:
        """The library did not take it: it is refused, and nobody will ever hear of it."""
        self._silent.pop(number, None)
        text = codes.describe(code).text
        self._put(number, is_alive=False, code=code, message=text)

    # --- what the front says ---

    def on_order(self, record: Record, now_ns: int) -> list[int]:
        """Take an Order record; return the numbers of orders that changed."""
        key = wire.key(record)
        exchange, sys_id = record.text("ExchangeID"), record.text("OrderSysID")
        number = self._keys.get(key)
        if number is None and sys_id:
            number = self._sys_ids.get((exchange, sys_id))
        if number is None:  # of another program, or of this one before a restart without its notes
            number = len(self.orders)
            self._name(number, key.order_id, key)
        if sys_id:
            self._sys_ids[exchange, sys_id] = number
        order_id = self.orders[number].order_id if number < len(self.orders) else key.order_id
        shown = wire.order_of(
            record, number=number, account_id=self.account_id, order_id=order_id, now_ns=now_ns
        )
        if number == len(self.orders):
            self.orders.append(shown)
        else:
            before = self.orders[number]
            self._silent.pop(number, None)
            if _is_older(shown, before):
                return []
            if msgspec.structs.replace(shown, update_ns=before.update_ns) == before:
                return []
            self.orders[number] = shown
        return [number]

    def on_trade(self, record: Record) -> list[int]:
        """Take a Trade record; return the numbers of new trades."""
        key = (record.text("ExchangeID"), record.text("TradeID"), record.text("Direction"))
        if key in self._traded:
            return []
        number = self._sys_ids.get((key[0], record.text("OrderSysID")))
        if number is None:
            self._orphans.append(record)
            return []
        self._traded.add(key)
        trade = wire.trade_of(record, self.orders[number], number=len(self.trades))
        self.trades.append(trade)
        return [trade.number]

    def adopt(self) -> list[int]:
        """Try the trades again that came before their orders; return the numbers of new ones."""
        waiting, self._orphans = self._orphans, []
        return [number for record in waiting for number in self.on_trade(record)]

    def on_refused(self, key: Key, code: int, text: str) -> list[int]:
        """An order was refused before the exchange saw it; return its number when it is ours."""
        number = self._keys.get(key)
        if number is None or not self.orders[number].is_alive:
            return []
        self._silent.pop(number, None)
        self._put(number, is_alive=False, code=code, message=text)
        return [number]

    # --- what was sent and never shown ---

    def overdue(self, since_s: float) -> set[int]:
        """Return the orders that went out before this second and are neither shown nor called unknown."""
        return {
            number
            for number, at_s in self._silent.items()
            if at_s <= since_s and self.orders[number].message != UNKNOWN
        }

    def unknown(self, number: int) -> Difference:
        """No query shows an order that was sent: it stays so until one does, and is never sent again."""
        self._put(number, message=UNKNOWN)
        order_id = self.orders[number].order_id
        return Difference("unknown", order_id, "sent, and not in the broker's orders")

    # --- after a login ---

    def reconcile(self, shown: set[Key]) -> list[Difference]:
        """Compare with the keys of the order query; what was sent and is not there is said to be unknown."""
        found = []
        for number in sorted(self._silent):
            if self._key_of[number] not in shown and self.orders[number].message != UNKNOWN:
                found.append(self.unknown(number))
        for number, key in self._key_of.items():
            order = self.orders[number]
            if order.exchange_order_id and key not in shown:
                found.append(Difference("missing", order.order_id, "told before, not in the broker's orders"))
        traded: dict[str, int] = {}
        for trade in self.trades:
            traded[trade.order_id] = traded.get(trade.order_id, 0) + trade.volume
        for order in self.orders:
            volume = traded.get(order.order_id, 0)
            if order.exchange_order_id and volume != order.volume - order.volume_left:
                detail = f"order says {order.volume - order.volume_left} traded, trades say {volume}"
                found.append(Difference("volume", order.order_id, detail))
        return found

    def _name(self, number: int, order_id: str, key: Key) -> None:
        self._numbers[order_id] = number
        self._keys[key] = number
        self._key_of[number] = key
        if key.ref.isdigit():
            self.highest_ref = max(self.highest_ref, int(key.ref))

    def _put(self, number: int, **changes: object) -> None:
        self.orders[number] = msgspec.structs.replace(self.orders[number], **changes)


def _is_older(shown: Order, before: Order) -> bool:
    """Tell whether a record told again is a state the order has left."""
    if not before.exchange_order_id:
        return False
    if not shown.exchange_order_id:
        return True
    return shown.volume_left > before.volume_left or (not before.is_alive and shown.is_alive)
