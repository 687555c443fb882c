"""Account to broker: whose orders leave the house, by which broker, and what comes back of them.

Accounts without a seat here trade on the built-in exchange. One with a seat has its broker's orders, trades,
positions and money; the house's own exchange knows it by name, without money, for what operators set (states,
locks) and for alerts. Orders and trades from outside have numbers of their own, from OUTSIDE on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from qautlra._core import risk
from qautlra.base import metrics
from qautlra.base.clock import new_random
from qautlra.base.errors import ConfigError, InputError, QautlraError
from qautlra.base.log import get_logger
from qautlra.base.service import Service
from qautlra.base.supervisor import Backoff
from qautlra.model import codes
from qautlra.model.order import (
    OUTSIDE,
    AmendOrder,
    Answer,
    CancelOrder,
    Change,
    InsertOrder,
    Offset,
    Order,
    Trade,
)
from qautlra.trade.brokers.base import AccountBroker, NoBroker, answer
from qautlra.trade.brokers.shadow import WAITING_COUNT
from qautlra.trade.telling import Callback, Prepare, Teller

if TYPE_CHECKING:
    from qautlra.base.clock import Clock
    from qautlra.trade.brokers.gate import OutsideGate
    from qautlra.trade.engine import Engine

SEATS_COUNT: Final = 1000
SPAN: Final = 1 << 20
"""Most orders, and most trades, of one account and day."""
LSN_BITS: Final = 40
RETRY_MIN_S, RETRY_MAX_S = 0.2, 30.0
STOP_S: Final = 2.0
ERROR_CHARS: Final = 500
SHOWN_COUNT: Final = 10
LOST: Final = 500
_log = get_logger("trade")


class Sites(Protocol):
    """The brokers of the configuration."""

    @property
    def names(self) -> list[str]: ...
    def make(self, name: str, account: str) -> AccountBroker: ...


class Host(Protocol):
    """The service whose accounts these are; see TradeService."""

    clock: Clock

    @property
    def engine(self) -> Engine: ...
    @property
    def trading_day(self) -> int: ...
    def brokers(self) -> list[str]: ...


class Seat:
    """One account's place at its broker, its numbers made the house's."""

    def __init__(self, slot: int, broker: AccountBroker) -> None:
        self.broker = broker
        self.account = broker.account
        self.error = ""
        "Why the broker does not run; empty while it does."
        self._first = OUTSIDE + slot * SPAN
        self._mark = (slot + 1) << LSN_BITS

    @property
    def is_synced(self) -> bool:
        """Whether the broker takes orders of the account now."""
        return not self.error and self.broker.is_synced

    @property
    def state(self) -> str:
        """The broker's state, `failed` while it does not run."""
        return "failed" if self.error else self.broker.state

    @property
    def code(self) -> int:
        """QIFI's `status` of the account."""
        return LOST if self.error else self.broker.status_of(self.account)

    def out(self, found: Answer) -> Answer:
        """Return the broker's answer with the house's numbers."""
        number = None if found.number is None else self._first + found.number
        lsn = self._mark | found.lsn if found.lsn else 0
        return msgspec.structs.replace(found, number=number, lsn=lsn)

    def order(self, number: int) -> Order:
        """Return an order by the house's number."""
        order: Order = self._named(self.broker.order(number - self._first))
        return order

    def trade(self, number: int) -> Trade:
        """Return a trade by the house's number."""
        trade: Trade = self._named(self.broker.trade(number - self._first))
        return trade

    def orders(self) -> list[Order]:
        """Return the orders of the day."""
        return [self._named(order) for order in self.broker.orders(self.account)]

    def trades(self) -> list[Trade]:
        """Return the trades of the day."""
        return [self._named(trade) for trade in self.broker.trades(self.account)]

    def find(self, order_id: str) -> Order | None:
        """Return an order by its id."""
        found = self.broker.find(self.account, order_id)
        return None if found is None else self._named(found)

    def change(self, change: Change) -> Change:
        """Return a change with the house's numbers; it is newer than any record of the journal."""
        return msgspec.structs.replace(
            change,
            orders=tuple(self._first + number for number in change.orders),
            trades=tuple(self._first + number for number in change.trades),
            reckoned=tuple(self._first + number for number in change.reckoned),
            refused=tuple(self.out(found) for found in change.refused),
            lsn=self._mark,
        )

    def _named(self, one: Any) -> Any:
        return msgspec.structs.replace(one, number=self._first + one.number)

    def status(self) -> dict[str, Any]:
        """Return how the account stands with its broker."""
        broker = self.broker
        found = {"account": self.account, "broker": broker.bid, "state": self.state} | {
            name: value for name, value in broker.health().items() if name not in ("state", "broker")
        }
        return found | ({"error": self.error} if self.error else {})


class Router(Service):
    """Owns the brokers of accounts: starts them, and again when one fails. Bound: SEATS_COUNT accounts."""

    name = "brokers"

    def __init__(self, trade: Host) -> None:
        super().__init__()
        self.sites: Sites | None = None
        "Set by who composes the process; without it every account is on the built-in exchange."
        self.gate: OutsideGate | None = None
        "What the house itself refuses before a broker is asked."
        self._trade = trade
        self._seats: dict[str, Seat] = {}
        self._slots: list[Seat] = []
        self._teller = Teller()
        self._running = False
        metrics.watch(
            "qautlra_trade_broker_synced",
            "1 while an account's broker takes its orders",
            lambda: {(s.account, s.broker.bid): float(s.is_synced) for s in self._seats.values()},
            labels=["account", "broker"],
        )
        metrics.bound(
            "trade_shadow", lambda: max((s.broker.waiting_count for s in self._seats.values()), default=0),
            WAITING_COUNT, when_full="refuse",
        )  # fmt: skip

    # --- life ---

    async def start(self) -> None:
        """Log every account in, each in its own time."""
        self._running = True
        for seat in self._seats.values():
            self.spawn(self._keep(seat), seat.account)

    async def stop(self, grace_s: float) -> None:
        """Log off."""
        self._running = False
        await self.cancel_tasks(grace_s)

    async def _keep(self, seat: Seat) -> None:
        """Run an account's broker; one that fails, in whatever way, is started again, later each time."""
        backoff = Backoff(RETRY_MIN_S, RETRY_MAX_S, new_random())
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            try:
                error = await self._run(seat)
                seat.error = f"{type(error).__name__}: {error}"[:ERROR_CHARS]
            finally:
                await self._stop(seat)
            wait_s = backoff.next_s(loop.time() - began_s)
            _log.error(
                "broker_failed",
                account_id=seat.account,
                error=seat.error,
                retry_s=round(wait_s, 2),
                exc_info=None if isinstance(error, QautlraError) else error,
            )
            await asyncio.sleep(wait_s)

    async def _run(self, seat: Seat) -> BaseException:
        """Start an account's broker; return what it failed of."""
        seat.broker.renew()
        try:
            await seat.broker.start()
            seat.error = ""
            return await asyncio.shield(seat.broker.failed)
        except Exception as error:
            return error

    async def _stop(self, seat: Seat) -> None:
        """Stop an account's broker; one that cannot even do that has its work ended, and is left."""
        try:
            await seat.broker.stop(STOP_S)
        except Exception as error:
            _log.error("broker_not_stopped", account_id=seat.account, error=str(error), exc_info=error)
            await seat.broker.cancel_tasks(STOP_S)

    def health(self) -> dict[str, Any]:
        """Return every broker's state; one that takes no orders of an account is named as what is wrong."""
        found: dict[str, Any] = {"brokers": self.states()}
        away = [one for one in found["brokers"] if one["synced"] < one["accounts"]]
        if away:
            found["error"] = "; ".join(self._away(one["name"]) for one in away)
        return found

    def _away(self, name: str) -> str:
        """Say which accounts a broker takes no orders of, by what keeps it from that."""
        found: dict[str, list[str]] = {}
        for seat in self._seats.values():
            if seat.broker.bid == name and not seat.is_synced:
                found.setdefault(seat.state, []).append(seat.account)
        shown = [f"{state} ({_listed(accounts)})" for state, accounts in sorted(found.items())]
        return f"{name}: {', '.join(shown)}"

    def states(self) -> list[dict[str, Any]]:
        """Return every broker with how many accounts it has, and how many of them it takes orders of."""
        names = dict.fromkeys([*self.names, *(seat.broker.bid for seat in self._seats.values())])
        found = []
        for name in names:
            seats = [seat for seat in self._seats.values() if seat.broker.bid == name]
            states = sorted({seat.state for seat in seats})
            synced = sum(seat.is_synced for seat in seats)
            shown = {"name": name, "accounts": len(seats), "synced": synced, "states": states}
            found.append(shown | {"differences": sum(seat.broker.differences_count for seat in seats)})
        return found

    # --- who trades where ---

    @property
    def names(self) -> list[str]:
        """The brokers outside that accounts may be bound to."""
        return self.sites.names if self.sites is not None else []

    @property
    def accounts(self) -> list[str]:
        """The accounts that trade outside."""
        return list(self._seats)

    def seat(self, account_id: str) -> Seat | None:
        """Return an account's seat; None for one of the built-in exchange."""
        return self._seats.get(account_id)

    def may_bind(self, account_id: str, broker: str) -> AccountBroker | None:
        """Return the broker object an account would have, None where it has it; InputError when it cannot."""
        known = self._seats.get(account_id)
        if known is not None and known.broker.bid == broker and not isinstance(known.broker, NoBroker):
            return None
        if known is not None:
            raise InputError(f"{account_id} trades with {known.broker.bid} already", status=409)
        if len(self._seats) >= SEATS_COUNT:
            raise InputError(f"no more than {SEATS_COUNT} accounts trade outside", status=409)
        if self.sites is None or broker not in self.names:
            raise InputError(f"there is no broker {broker[:64]!r}", brokers=self._trade.brokers())
        try:
            return self.sites.make(broker, account_id)
        except ConfigError as error:
            raise InputError(f"{account_id} cannot trade with {broker}: {error}") from None

    def bind(self, account_id: str, broker: str) -> None:
        """Have an account trade with a broker from now on; InputError when that cannot be."""
        made = self.may_bind(account_id, broker)
        if made is not None:
            self._sit(made)

    def bind_nowhere(self, account_id: str, broker: str, why: str) -> None:
        """An account's broker cannot be made any more: its orders are refused, none goes elsewhere."""
        if account_id not in self._seats:
            self._sit(NoBroker(account_id, broker, why))

    def _sit(self, broker: AccountBroker) -> None:
        seat = self._seats[broker.account] = Seat(len(self._slots), broker)
        self._slots.append(seat)
        broker.subscribe(broker.account, lambda change, _: self._told(seat, change))
        if self._running:
            self.spawn(self._keep(seat), broker.account)

    def of_number(self, number: int) -> Seat:
        """Return whose order or trade a number is; ValueError when it is nobody's."""
        slot = (number - OUTSIDE) // SPAN
        if not 0 <= slot < len(self._slots):
            raise ValueError(f"no number {number} today")
        return self._slots[slot]

    # --- commands ---

    def insert(self, seat: Seat, order: InsertOrder) -> Answer:
        """Send an order by the account's broker, unless the house refuses it.

        One whose id was used before is asked of nobody but the broker's table of ids.
        """
        if seat.broker.book.number(order.order_id) is None:
            refused = self._refused(seat, order)
            if refused is not None:
                return refused
        return seat.out(seat.broker.insert(order))

    def _refused(self, seat: Seat, order: InsertOrder) -> Answer | None:
        """Return why the house does not let an order out: room first, then states, locks and the gate."""
        if len(seat.broker.book.orders) >= SPAN:
            return answer(codes.FULL, order.order_id)
        if seat.broker.waiting_count >= WAITING_COUNT:
            return answer(codes.FULL, order.order_id, why="等待核对的回报过多")
        code = self._refusal(seat, order)
        return answer(code, order.order_id) if code else None

    def _refusal(self, seat: Seat, order: InsertOrder) -> int:
        engine = self._trade.engine
        number = engine.number(order.account_id)
        if number is None:
            return codes.NO_ACCOUNT
        gate = engine.exchange.gate
        states = {gate.state, gate.account_state(number)}
        if risk.HALTED in states:
            return codes.HALTED
        if risk.REDUCING in states and order.offset is Offset.OPEN:
            return codes.REDUCING
        if engine.exchange.account(number).locks & 1:
            return codes.FROZEN
        if not seat.is_synced:
            return codes.UNAVAILABLE
        return self.gate.refusal(order, self._trade.clock.now_ns()) if self.gate is not None else 0

    def new_day(self) -> None:
        """The house's trading day has changed: what the gate counts begins again."""
        if self.gate is None:
            return
        self.gate.new_day()
        for seat in self._slots:
            if seat.broker.trading_day == self._trade.trading_day:
                self.gate.follow(seat.account, seat.broker.book.orders, seat.broker.book.trades)

    def cancel(self, seat: Seat, order: CancelOrder, *, force: bool = False) -> Answer:
        """Ask the account's broker for an order's withdrawal; the gate may refuse it, unless by `force`."""
        book, gate = seat.broker.book, self.gate
        number = book.number(order.order_id)
        if number is None:
            return seat.out(seat.broker.cancel(order))
        if not seat.is_synced:
            return answer(codes.UNAVAILABLE, order.order_id)
        shown = book.orders[number]
        if gate is not None and not force:
            code = gate.refusal_of_cancel(shown, self._trade.clock.now_ns())
            if code:
                return answer(code, order.order_id)
        found = seat.broker.cancel(order)
        if gate is not None and found.ok:
            gate.asked_to_cancel(shown)
        return seat.out(found)

    def amend(self, seat: Seat, order: AmendOrder) -> Answer:
        """Ask the account's broker to change an order."""
        return seat.out(seat.broker.amend(order))

    def cancel_all(self, account_id: str | None = None) -> int:
        """Ask for the withdrawal of everything alive of an account, of all without one; 0 or a code."""
        code = 0
        for seat in self._seats.values():
            if account_id in (None, seat.account):
                for order in seat.broker.orders(seat.account):
                    if order.is_alive:
                        cancel = CancelOrder(account_id=seat.account, order_id=order.order_id)
                        code = self.cancel(seat, cancel, force=True).code or code
        return code

    def orders(self) -> list[Order]:
        """Return the day's orders of every account outside, oldest first."""
        found = [order for seat in self._seats.values() for order in seat.orders()]
        return sorted(found, key=lambda order: order.insert_ns)

    def trades(self) -> list[Trade]:
        """Return the day's trades of every account outside, oldest first."""
        found = [trade for seat in self._seats.values() for trade in seat.trades()]
        return sorted(found, key=lambda trade: trade.trade_ns)

    async def durable(self, lsn: int) -> None:
        """Return when a broker has shown the order of an answer's `lsn`; UnavailableError when not known."""
        slot = (lsn >> LSN_BITS) - 1
        if 0 <= slot < len(self._slots):
            await self._slots[slot].broker.durable(lsn & ((1 << LSN_BITS) - 1))

    def subscribe(
        self, account_id: str | None, callback: Callback, prepare: Prepare | None = None
    ) -> Callable[[], None]:
        """Hear of what brokers tell of an account, of all without one; what they show is durable."""
        return self._teller.subscribe(account_id, callback, prepare)

    def _told(self, seat: Seat, change: Change) -> None:
        if self.gate is not None:
            book = seat.broker.book
            if change.day:
                self.gate.begin(seat.account)
                self.gate.follow(seat.account, book.orders, book.trades)
            orders, trades = change.orders, change.trades
            self.gate.follow(seat.account, (book.orders[n] for n in orders), (book.trades[n] for n in trades))
        self._teller.collect([seat.change(change)], 0)
        self._teller.release(0)


def _listed(accounts: list[str]) -> str:
    more = len(accounts) - SHOWN_COUNT
    return ", ".join(accounts[:SHOWN_COUNT]) + (f" and {more} more" if more > 0 else "")
