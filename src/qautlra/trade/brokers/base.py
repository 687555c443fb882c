"""One account at one broker outside: what every such broker is to the doors, whatever protocol it speaks.

The broker is the ledger: what it shows is durable, and its table of ids (one per account and trading day) is
what a redelivered order meets. No order waits for a link that is down: it is refused.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sized
from typing import Any, ClassVar, Final

from qautlra.base.errors import UnavailableError
from qautlra.base.service import Service
from qautlra.model import codes
from qautlra.model.holding import NO_FUNDS
from qautlra.model.order import (
    AmendOrder,
    Answer,
    CancelOrder,
    Change,
    InsertOrder,
    Order,
    Trade,
    order_from,
)
from qautlra.trade.papers import DayMaker
from qautlra.trade.transfers import Transfer
from qautlra.wire import trade_rows as rows

CONFIRM_S: Final = 10.0
WAITS_COUNT: Final = 65_536
NEVER_IN: Final = 100
UNKNOWN: Final = "状态未知：已报送但柜台没有回报，不会重发"
Callback = Callable[[Change, Any], None]
Prepare = Callable[[Change], Any]


class DayBook:
    """Orders and trades of one trading day, in the order they were shown. Bound: the broker's own."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.trades: list[Trade] = []
        self._numbers: dict[str, int] = {}

    def number(self, order_id: str) -> int | None:
        """Return an order's number of the day."""
        return self._numbers.get(order_id)

    def put(self, order: Order) -> None:
        """Set an order of its own number, the newest or one that is known."""
        if order.number == len(self.orders):
            self.orders.append(order)
            self._numbers[order.order_id] = order.number
        else:
            self.orders[order.number] = order


class AccountBroker(Service):
    """The trading service's words for one account. Subclasses have `book`, and what is abstract here."""

    name = "trade"
    book: DayBook
    is_noted: ClassVar[bool] = False
    "Whether an order is written down here before it is sent, and so is found again after a restart."

    def __init__(self, account: str, bid: str) -> None:
        super().__init__()
        self.account = account
        "The account's name in the house."
        self.bid = bid
        "The broker's name."
        self.day_makers: list[Callable[[Any, Any], DayMaker]] = []
        "Never called: the broker settles, and its next login shows the day after."
        self._day = 0
        self._subscribers: list[tuple[Callback, Prepare | None]] = []
        self._waits: dict[int, asyncio.Future[None]] = {}
        self._sent: dict[str, int] = {}  # orders on their way: the number that is waited for
        self._lsn = 0

    # --- what each protocol does in its own way ---

    @property
    @abstractmethod
    def is_synced(self) -> bool:
        """Whether orders are taken now."""

    @property
    @abstractmethod
    def state(self) -> str:
        """`synced`, `refused` (a person must act), or how far the login is."""

    @abstractmethod
    def insert(self, order: InsertOrder) -> Answer:
        """Send an order; it is durable when the broker shows it."""

    @abstractmethod
    def cancel(self, order: CancelOrder) -> Answer:
        """Ask for an order's withdrawal."""

    def amend(self, order: AmendOrder) -> Answer:
        """Refuse: no such protocol has it, and a withdrawal with a new order is two orders."""
        text = "该交易通道不支持改单，请撤单后重报"
        return Answer(code=codes.NOT_AT_BROKER, order_id=order.order_id, text=text)

    def transfer(self, _account_id: str, _amount: float, *, bank_id: str = "") -> Answer:
        """Refuse: bank transfers are made with the broker's own programs."""
        return Answer(code=codes.NOT_AT_BROKER, text="该交易通道不支持银期转账")

    def transfers(self, _account_id: str) -> list[Transfer]:
        """Return the day's transfers the broker shows, oldest first."""
        return []

    async def statement(self, _account_id: str, _trading_day: int = 0) -> str:
        """Return nothing: the broker settles, and the house keeps no statement of it."""
        return ""

    def funds(self, _account_id: str) -> dict[str, Any]:
        """Return the money the broker shows, the last it showed while it is away."""
        return dict(NO_FUNDS)

    def positions(self, _account_id: str) -> list[dict[str, Any]]:
        """Return the positions the broker shows, the last it showed while it is away."""
        return []

    def status_of(self, _account_id: str) -> int:
        """Return QIFI's `status`: 200 synced, 600 the login is refused, 100 never in yet, 500 lost."""
        if self.is_synced:
            return 200
        return 600 if self.state == "refused" else 500 if self._day else NEVER_IN

    @property
    def differences_count(self) -> int:
        """How often the broker showed something otherwise than we have it, since the start."""
        return 0

    @property
    def waiting_count(self) -> int:
        """How many orders and trades wait to be booked by our own reckoning, where there is one."""
        return 0

    def reckoning(self) -> dict[str, Any]:
        """Return our own figures beside the broker's, where there are any."""
        return {}

    # --- orders on their way ---

    def _await_shown(self, order_id: str) -> int:
        """Return the number by which `durable` knows an order that has been sent."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._lsn += 1
        self._waits[self._lsn] = future
        self._sent[order_id] = self._lsn
        if len(self._waits) > WAITS_COUNT:
            self._waits.pop(next(iter(self._waits))).cancel()
        return self._lsn

    def _shown(self, order_id: str) -> None:
        future = self._waits.pop(self._sent.pop(order_id, 0), None)
        if future is not None and not future.done():
            future.set_result(None)

    def _not_known(self, order_ids: Iterable[str]) -> None:
        """What was sent and not shown is unknown: whoever waits is told so, and the next login tells."""
        for order_id in list(order_ids):
            future = self._waits.get(self._sent.pop(order_id, 0))
            if future is not None and not future.done():
                future.set_exception(_not_shown())

    async def durable(self, lsn: int) -> None:
        """Return when the order of an answer's `lsn` is shown; UnavailableError when that is not known."""
        future = self._waits.get(lsn)
        if future is None:
            return
        try:
            async with asyncio.timeout(CONFIRM_S):
                await asyncio.shield(future)
        except TimeoutError:
            raise _not_shown() from None
        finally:
            if future.done():
                self._waits.pop(lsn, None)

    def is_outside(self, account_id: str) -> bool:
        """Tell whether an account trades with a broker outside: the one account does."""
        return account_id == self.account

    def knows(self, _symbol: str) -> bool:
        """Tell whether there is an instrument of that full name: yes, the broker judges that."""
        return True

    def takes_orders(self, _account_id: str) -> bool:
        """Tell whether orders are taken now."""
        return self.is_synced

    def is_shown(self, _account_id: str, order_id: str) -> bool:
        """Tell whether what became of an order that was sent is known, and is so after a restart.

        It is noted here, or the broker has shown it, or a login since has not.
        """
        return self.is_noted or (self.is_synced and order_id not in self._sent)

    # --- reads ---

    @property
    def head_lsn(self) -> int:
        """What is shown is the broker's own, so it is durable already."""
        return 0

    @property
    def trading_day(self) -> int:
        """The broker's trading day, 0 before the first login."""
        return self._day

    def trading_day_of(self, _account_id: str) -> int:
        """Return the broker's trading day."""
        return self._day

    def accounts(self) -> list[str]:
        """Return the one account."""
        return [self.account]

    def has(self, account_id: str) -> bool:
        """Tell whether it is the one account."""
        return account_id == self.account

    def broker_of(self, account_id: str) -> str:
        """Return the broker's name."""
        if account_id != self.account:
            raise KeyError(account_id)
        return self.bid

    def orders(self, _account_id: str) -> list[Order]:
        """Return the orders of the day in the order the broker showed them."""
        return list(self.book.orders)

    def trades(self, _account_id: str) -> list[Trade]:
        """Return the trades of the day in the order the broker showed them."""
        return list(self.book.trades)

    def order_numbers(self, account_id: str, statuses: int) -> list[int]:
        """Return the numbers of the account's orders of the day, oldest first: of states given as bits."""
        return [o.number for o in self.orders(account_id) if rows.statuses(rows.status_of(o)) & statuses]

    def trade_numbers(self, account_id: str) -> list[int]:
        """Return the numbers of the account's trades of the day, oldest first."""
        return [trade.number for trade in self.trades(account_id)]

    def order(self, number: int) -> Order:
        """Return an order by number; ValueError when there is none."""
        _check(number, self.book.orders)
        return self.book.orders[number]

    def trade(self, number: int) -> Trade:
        """Return a trade by number; ValueError when there is none."""
        _check(number, self.book.trades)
        return self.book.trades[number]

    def find(self, _account_id: str, order_id: str) -> Order | None:
        """Return an order by its id."""
        number = self.book.number(order_id)
        return None if number is None else self.book.orders[number]

    def subscribe(
        self, account_id: str | None, callback: Callback, prepare: Prepare | None = None
    ) -> Callable[[], None]:
        """Hear of the account's changes; return what ends it."""
        if account_id is not None and account_id != self.account:
            return lambda: None
        entry = (callback, prepare)
        self._subscribers.append(entry)
        return lambda: self._subscribers.remove(entry) if entry in self._subscribers else None

    def _tell(self, change: Change) -> None:
        for callback, prepare in list(self._subscribers):
            callback(change, prepare(change) if prepare is not None else None)


class NoBroker(AccountBroker):
    """Stands for a broker that the configuration does not have any more: nothing is sent anywhere."""

    def __init__(self, account: str, bid: str, why: str) -> None:
        super().__init__(account, bid)
        self.book = DayBook()
        self._why = why

    @property
    def is_synced(self) -> bool:
        """Never."""
        return False

    @property
    def state(self) -> str:
        """`refused`: a person must act."""
        return "refused"

    def health(self) -> dict[str, Any]:
        """Return what is missing."""
        return {"error": self._why}

    def insert(self, order: InsertOrder) -> Answer:
        """Refuse."""
        return answer(codes.UNAVAILABLE, order.order_id)

    def cancel(self, order: CancelOrder) -> Answer:
        """Refuse: there is no order."""
        return answer(codes.NO_ORDER, order.order_id)


def answer(number: int, order_id: str = "", order: int | None = None, why: str = "") -> Answer:
    """Return a refusal by its code."""
    text = codes.describe(number).text + (f"（{why}）" if why else "")
    return Answer(code=number, order_id=order_id, number=order, text=text)


def _not_shown() -> UnavailableError:
    return UnavailableError("the broker has not shown the order it was sent", zh=UNKNOWN)


def _check(number: int, found: Sized) -> None:
    if not 0 <= number < len(found):
        raise ValueError(f"no number {number} today")


def pending(order: InsertOrder, number: int, now_ns: int) -> Order:
    """Return an order of which the broker has said nothing yet."""
    return order_from(order, number=number, now_ns=now_ns, message="已报送，等待柜台回报")
