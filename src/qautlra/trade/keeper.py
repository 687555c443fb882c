"""Writes account documents behind the journal: the latest of each account, as often as the place takes them.

A cursor that coalesces: while a write is under way an account is dirty once, however often it changes. What
is written is durable in the journal first, so no document is ever ahead of the truth.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import LinkError, StorageError, UnavailableError
from qautlra.base.log import Seldom, get_logger
from qautlra.base.loop import SLICE_COUNT as ITEMS_COUNT
from qautlra.base.loop import batched
from qautlra.base.service import Service
from qautlra.model import qifi
from qautlra.model.order import Change, Order, Trade
from qautlra.model.qifi import Qifi
from qautlra.trade.papers import POSITION_COUNT, POSITIONS_COUNT, DayMaker
from qautlra.trade.recent import SLICE_COUNT, Reads, Recent
from qautlra.trade.repository import AccountRepository
from qautlra.wire import qifi_account
from qautlra.wire.qifi_parts import Parts

if TYPE_CHECKING:
    from qautlra.trade.days import AccountDay
    from qautlra.trade.statements import Settlement
    from qautlra.trade.transfers import Transfer

DAYS_KEPT_COUNT = 4096
DAY_ORDERS_COUNT = 10_000
SHARE_OF_LOOP = 0.05
RETRY_MIN_S, RETRY_MAX_S = 0.2, 20.0
TRIM_EVERY_S = 3600.0
_DAY_NS = 86_400 * 1_000_000_000
_log = get_logger("trade")


class Accounts(Reads, Protocol):
    """What is asked of the trading service."""

    day_makers: list[Callable[[Any, Any], DayMaker]]

    @property
    def head_lsn(self) -> int: ...
    @property
    def trading_day(self) -> int: ...
    def accounts(self) -> list[str]: ...
    def broker_of(self, account_id: str) -> str: ...
    def status_of(self, account_id: str) -> int: ...
    def trading_day_of(self, account_id: str) -> int: ...
    def funds(self, account_id: str) -> Mapping[str, Any]: ...
    def positions(self, account_id: str) -> Sequence[Mapping[str, Any]]: ...
    def order_numbers(self, account_id: str, statuses: int) -> list[int]: ...
    def trade_numbers(self, account_id: str) -> list[int]: ...
    def transfers(self, account_id: str) -> Sequence[qifi_account.Moved]: ...
    def order(self, number: int) -> Order: ...
    def trade(self, number: int) -> Trade: ...
    def subscribe(
        self, account_id: str | None, callback: Callable[[Change, Any], None]
    ) -> Callable[[], None]: ...
    async def durable(self, lsn: int) -> None: ...


class Keeper(Service):
    """Keeps the documents of every account in `repository`.

    Bounds: `orders_count` newest finished orders, trades and transfers in a document; `DAYS_KEPT_COUNT`
    documents of ended days in memory (then the oldest is dropped and counted: the journal still has it); one
    point of equity per account and `equity_interval_s`; a twentieth of the loop's time.
    """

    name = "trade.documents"

    def __init__(
        self,
        *,
        trade: Accounts,
        repository: AccountRepository,
        now_ns: Callable[[], int],
        settings: qifi_account.Settings | None = None,
        interval_s: float = 0.5,
        equity_interval_s: float = 60.0,
        equity_days: int = 30,
        orders_count: int = 1000,
    ) -> None:
        super().__init__()
        self._trade = trade
        self._repository = repository
        self._now_ns = now_ns
        self.about = settings or qifi_account.Settings()
        self._interval_s = interval_s
        self._equity_interval_s = equity_interval_s
        self._equity_days = equity_days
        self._orders_count = orders_count
        self._recent: dict[str, Recent] = {}
        self._dirty: dict[str, None] = {}
        self._days: deque[tuple[Qifi, int]] = deque()
        self._wake = asyncio.Event()
        self._equity_at: dict[str, float] = {}
        self._unsubscribe: Callable[[], None] = lambda: None
        self._seldom = Seldom()
        self._newer: dict[str, int] = {}
        self._spent_s = 0.0
        self._error = ""
        self.saved_count = 0
        self.dropped_days_count = 0
        self._trimmed_s = -TRIM_EVERY_S
        metrics.bound("trade_ended_days", lambda: len(self._days), DAYS_KEPT_COUNT, when_full="drop")
        metrics.watch("qautlra_trade_documents_dirty_count", "Accounts to write", lambda: len(self._dirty))
        metrics.watch(
            "qautlra_trade_documents_saved_total",
            "Documents written",
            lambda: self.saved_count,
            kind="counter",
        )
        metrics.watch(
            "qautlra_trade_documents_dropped_days_total",
            "Documents of ended days given up",
            lambda: self.dropped_days_count,
            kind="counter",
        )

    @property
    def repository(self) -> AccountRepository:
        """Where the documents are, for those who read them."""
        return self._repository

    async def start(self) -> None:
        """Begin; every account is written once. A place that is away is waited for: trading goes on."""
        self._trade.day_makers.append(self._maker)
        self._recent.clear()
        self._unsubscribe = self._trade.subscribe(None, self._on_change)
        for account_id in self._trade.accounts():
            self._mark(account_id)
        self.spawn(self.run(), "write")

    async def stop(self, grace_s: float) -> None:
        """Write what is dirty if there is time, then let go."""
        self._unsubscribe()
        with suppress(ValueError):
            self._trade.day_makers.remove(self._maker)
        await self.cancel_tasks(grace_s / 2)
        with suppress(LinkError, StorageError, UnavailableError, TimeoutError, KeyError):
            async with asyncio.timeout(grace_s / 2):
                await self._write_days()
                await self._write_dirty()
        await self._repository.close()

    def health(self) -> dict[str, Any]:
        """Return where documents go and how far behind they are."""
        found: dict[str, Any] = {
            "place": self._repository.shown_place,
            "saved": self.saved_count,
            "waiting": len(self._dirty) + len(self._days),
        }
        if self._error:
            found["error"] = self._error
        elif self._newer:
            name, seq = next(iter(self._newer.items()))
            found["error"] = (
                f"{len(self._newer)} documents there are of a later journal than this one ({name}: record "
                f"{seq}) and are left alone: another engine writes them, or this data directory is older"
            )
        return found

    async def run(self) -> None:
        """Write what changed, at most once per account and interval; come back when the place does."""
        wait_s = RETRY_MIN_S
        while True:
            try:
                await self._repository.open()
                self._error, wait_s = "", RETRY_MIN_S
                self._wake.set()
                await self._write_on()
            except (LinkError, StorageError) as error:
                if not error.retryable:
                    raise
                if self._seldom.due("away"):
                    _log.warning("documents_away", place=self._repository.shown_place, error=str(error))
                self._error = str(error)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)

    async def _write_on(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._spent_s = 0.0
            await self._write_days()
            await self._write_dirty()
            await self._trim()
            await asyncio.sleep(max(self._interval_s, self._spent_s / SHARE_OF_LOOP))

    def _on_change(self, change: Change, _prepared: Any) -> None:
        if change.day:
            self._recent.pop(change.account_id, None)
        elif change.account_id in self._recent:
            self._recent[change.account_id].note(change)
        self._mark(change.account_id)

    def _mark(self, account_id: str) -> None:
        self._dirty[account_id] = None
        self._wake.set()

    def _maker(self, settlement: Settlement, transfers: Mapping[str, list[Transfer]]) -> DayMaker:
        return _DayDocuments(self, settlement, transfers, self._trade.head_lsn)

    def take_day(self, document: Qifi, seq: int) -> None:
        """Keep a document of an ended day."""
        self._days.append((document, seq))
        if len(self._days) > DAYS_KEPT_COUNT:
            self._days.popleft()
            self.dropped_days_count += 1
        self._wake.set()

    async def _write_days(self) -> None:
        while self._days:
            document, seq = self._days[0]
            await self._trade.durable(seq)
            await self._repository.save_day(document, seq)
            if self._days and self._days[0][0] is document:
                self._days.popleft()

    async def _write_dirty(self) -> None:
        for account_id in list(self._dirty):
            del self._dirty[account_id]
            try:
                await self._write(account_id)
            except BaseException:
                self._dirty[account_id] = None
                self._wake.set()
                raise

    async def _write(self, account_id: str) -> None:
        self._spent_s += await self._recent_of(account_id).catch_up(self._trade)
        began_s = monotonic_s()
        document, seq = self.document(account_id), self._trade.head_lsn
        self._spent_s += monotonic_s() - began_s
        await self._trade.durable(seq)
        if await self._repository.save(document, seq):
            self.saved_count += 1
            self._newer.pop(account_id, None)
        else:
            self._newer[account_id] = await self._repository.seq(account_id)
            if self._seldom.due(account_id):
                _log.error("newer_document", account_id=account_id, seq=seq, there=self._newer[account_id])
            return
        now_s = monotonic_s()
        if now_s - self._equity_at.get(account_id, -self._equity_interval_s) >= self._equity_interval_s:
            self._equity_at[account_id] = now_s
            await self._repository.add_equity(account_id, document.head.accounts, document.head.updatetime)

    def document(self, account_id: str) -> Parts:
        """Return the account's document as of now, with its newest orders and trades."""
        trade, recent = self._trade, self._recent_of(account_id)
        recent.read(trade, SLICE_COUNT)
        orders, trades = recent.orders(), recent.trades()
        transfers = qifi_account.transfers_of(trade.transfers(account_id)[-self._orders_count :])
        newest = slice(-qifi_account.EVENTS_COUNT, None)
        head = qifi_account.assemble(
            account_id,
            funds=trade.funds(account_id),
            positions=qifi_account.positions_of(account_id, trade.positions(account_id)),
            orders={},
            trades={},
            transfers=transfers,
            event=qifi_account.events_of(
                [part.item for part in orders[newest]], [part.item for part in trades[newest]], transfers
            ),
            trading_day=trade.trading_day_of(account_id),
            now_ns=self._now_ns(),
            settings=self._settings(account_id),
            status=trade.status_of(account_id),
        )
        return Parts(head, orders, trades)

    def _settings(self, account_id: str) -> qifi_account.Settings:
        """Return what a document says of its maker; the broker's name is the account's own."""
        broker, about = self._trade.broker_of(account_id), self.about
        named = broker == about.broker_name or about.broker_name != qifi_account.Settings().broker_name
        return about if named else msgspec.structs.replace(about, broker_name=broker)

    def _recent_of(self, account_id: str) -> Recent:
        recent = self._recent.get(account_id)
        if recent is None or recent.trading_day != self._trade.trading_day:  # numbers begin again with a day
            recent = self._recent[account_id] = Recent(self._trade, account_id, self._orders_count)
        return recent

    async def _trim(self) -> None:
        if monotonic_s() - self._trimmed_s >= TRIM_EVERY_S:
            self._trimmed_s = monotonic_s()
            before = qifi_account.stamp(max(0, self._now_ns() - self._equity_days * _DAY_NS))
            await self._repository.trim_equity(before)


class _DayDocuments(DayMaker):
    """Makes every account's document of an ended day."""

    def __init__(
        self, keeper: Keeper, settlement: Settlement, transfers: Mapping[str, list[Transfer]], seq: int
    ) -> None:
        self._keeper = keeper
        self._settlement = settlement
        self._transfers = transfers
        self._seq = seq
        self._made: list[Qifi] = []

    def add(self, one: AccountDay) -> Iterator[int]:
        """Make an account's."""
        positions: dict[str, qifi.Position] = {}
        orders: dict[str, qifi.Order] = {}
        trades: dict[str, qifi.Trade] = {}
        for rows in batched(one.positions, POSITIONS_COUNT):
            positions |= qifi_account.positions_of(one.account_id, rows)
            yield POSITION_COUNT * len(rows)
        for some in batched(one.orders[-DAY_ORDERS_COUNT:], ITEMS_COUNT):
            orders |= {order.order_id: qifi_account.order_of(order) for order in some}
            yield len(some)
        for bought in batched(one.trades[-DAY_ORDERS_COUNT:], ITEMS_COUNT):
            trades |= {trade.trade_id: qifi_account.trade_of(trade) for trade in bought}
            yield len(bought)
        transfers = qifi_account.transfers_of(self._transfers.get(one.account_id, [])[-DAY_ORDERS_COUNT:])
        events = qifi_account.events_of(list(orders.values()), list(trades.values()), transfers)
        document = qifi_account.assemble(
            one.account_id,
            funds=one.funds,
            positions=positions,
            orders=orders,
            trades=trades,
            transfers=transfers,
            event=events,
            trading_day=self._settlement.trading_day,
            now_ns=self._settlement.market_ns,
            settings=self._keeper.about,
        )
        self._made.append(document)

    def done(self) -> None:
        """Have them written."""
        for document in self._made:
            self._keeper.take_day(document, self._seq)
