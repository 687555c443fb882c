"""Results of the order path for the broker: each trade once, orders and accounts as they stand when sent.

Trades wait in order and are never dropped: when too many wait, the door stops acknowledging, so no more
orders come. Orders and accounts conflate: what is sent is the latest.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from qautlra.base.clock import monotonic_s
from qautlra.base.errors import LinkError, StorageError
from qautlra.link.bus import Bus, Message
from qautlra.model.holding import flat
from qautlra.model.order import Change, Order, Trade
from qautlra.wire import orders_out
from qautlra.wire.trade_rows import statuses

BATCH_COUNT = 512
EVENTS_COUNT = 4096
ASKED_COUNT = 1000
"""Most orders or trades of an answer, the newest."""


class Accounts(Protocol):
    """What is asked of the trading service to tell of it."""

    @property
    def head_lsn(self) -> int: ...
    @property
    def trading_day(self) -> int: ...
    def trading_day_of(self, account_id: str) -> int: ...
    def accounts(self) -> list[str]: ...
    def is_outside(self, account_id: str) -> bool: ...
    def funds(self, account_id: str) -> Mapping[str, Any]: ...
    def positions(self, account_id: str) -> Sequence[Mapping[str, Any]]: ...
    def orders(self, account_id: str) -> list[Order]: ...
    def trades(self, account_id: str) -> list[Trade]: ...
    def order_numbers(self, account_id: str, statuses: int) -> list[int]: ...
    def trade_numbers(self, account_id: str) -> list[int]: ...
    def order(self, number: int) -> Order: ...
    def trade(self, number: int) -> Trade: ...
    async def durable(self, lsn: int) -> None: ...


class Cursor:
    """Up to which trade of which day the broker has been told; outlives a kill. A torn write reads as none.

    Two slots written in turn: the newer whole one counts.
    """

    SLOT_BYTES = 64

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._turn = 0

    def open(self) -> tuple[int, int] | None:
        """Return (day, next trade), None when nothing was kept."""
        self.close()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            data = os.pread(self._fd, 2 * self.SLOT_BYTES, 0)
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}") from None
        found: list[tuple[int, int, int]] = []
        for start in (0, self.SLOT_BYTES):
            text, _, check = data[start : start + self.SLOT_BYTES].rstrip().rpartition(b" ")
            with suppress(ValueError):
                if int(check, 16) == zlib.crc32(text):
                    turn, day, number = text.split()
                    found.append((int(turn), int(day), int(number)))
        if not found:
            return None
        self._turn, *rest = max(found)
        return rest[0], rest[1]

    def put(self, day: int, number: int) -> None:
        """Keep it: survives a kill of the process, not of the machine (then trades are told again)."""
        self._turn += 1
        words = b"%d %d %d" % (self._turn, day, number)
        slot = (words + b" %08x" % zlib.crc32(words)).ljust(self.SLOT_BYTES)
        try:
            os.pwrite(self._fd, slot, (self._turn % 2) * self.SLOT_BYTES)
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}") from None

    def close(self) -> None:
        """Let the file go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Results:
    """Collects what changed of the accounts it is for, and publishes it. Owner: the loop thread."""

    def __init__(
        self,
        *,
        trade: Accounts,
        bus: Bus,
        cursor: Cursor,
        now_ns: Callable[[], int],
        transactions: str,
        accounts: str,
        account_interval_s: float,
        outbox_count: int,
        wanted: Callable[[str], bool],
    ) -> None:
        self._trade = trade
        self._bus = bus
        self._cursor = cursor
        self._now_ns = now_ns
        self._transactions = transactions
        self._exchange = accounts
        self._interval_s = account_interval_s
        self._outbox_count = outbox_count
        self._wanted = wanted
        self._trades: deque[tuple[int, Trade]] = deque()
        self._orders: dict[tuple[int, int], Order] = {}
        self._events: deque[tuple[str, dict[str, Any]]] = deque()
        self._dirty: dict[str, set[str]] = {}
        self._asked: dict[str, set[str]] = {}
        self._seq: dict[str, int] = {}
        self._next = 0
        self._day = 0
        self._under_way_count = 0
        self._begun = (0, 0)
        "Day and number below which trades were read at the start: changes may name them again."
        self._begun_lsn = 0
        self._retold: list[str] = []
        "Accounts whose orders are still to be told again after a restart."
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._telling: asyncio.Task[None] | None = None
        "Accounts written and not confirmed yet: what changes meanwhile does not wait for that."
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._told = asyncio.Event()
        self.trades_count = 0
        self.dropped_events_count = 0
        self.retries_count = 0

    @property
    def events_count(self) -> int:
        """Refusals and answers not yet told."""
        return len(self._events)

    @property
    def waiting_count(self) -> int:
        """Trades not yet told, those under way included."""
        return len(self._trades) + self._under_way_count

    @property
    def has_room(self) -> bool:
        """Whether more orders may be taken."""
        return self.waiting_count < self._outbox_count

    async def room(self) -> None:
        """Return when more orders may be taken."""
        while not self.has_room:
            self._room.clear()
            await self._room.wait()

    async def settled(self, wait_s: float) -> None:
        """Return when trades under way are confirmed, or after `wait_s`: then they are told again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while self._under_way_count:
                    self._told.clear()
                    await self._told.wait()

    def begin(self) -> int:
        """Take up where a run before ended; return the trading day it ended in, 0 when there was none.

        Trades of the day it did not tell are told now, and every order as it stands: which of their reports
        were on the way is not known. Trades of an older day are not: that day is settled.
        """
        kept = self._cursor.open()
        self._trades.clear()
        self._orders.clear()
        self._retold = []
        day = self._trade.trading_day
        names = [name for name in self._trade.accounts() if self._wanted(name)]
        trades = sorted(
            (t for name in names if not self._trade.is_outside(name) for t in self._trade.trades(name)),
            key=lambda t: t.number,
        )
        if kept is None:
            self._next = trades[-1].number + 1 if trades else 0
        else:
            self._next = kept[1] if kept[0] == day else 0
            self._trades.extend((day, trade) for trade in trades if trade.number >= self._next)
            self._retold = list(names)
        self._begun = (day, trades[-1].number + 1 if trades else 0)
        self._begun_lsn = self._trade.head_lsn
        self._day = kept[0] if kept is not None else 0
        if self._day == 0:
            self._kept(day, self._next)
        self._dirty = {name: set() for name in names}
        self._wake.set()
        return kept[0] if kept is not None else 0

    def acknowledged(self) -> None:
        """A delivery of today was acknowledged: from now on it is today that a run after this one doubts."""
        day = self._trade.trading_day
        if day != self._day and not self.waiting_count:
            self._kept(day, 0)

    def _kept(self, day: int, number: int) -> None:
        self._day = day
        self._cursor.put(day, number)

    def end(self) -> None:
        """Let the cursor go."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._cursor.close()

    # --- what changed ---

    def prepare(self, change: Change) -> tuple[int, list[Order], list[Trade]] | None:
        """Read what the change names while its numbers mean what they say."""
        if not self._wanted(change.account_id):
            return None
        trade = self._trade
        return (
            trade.trading_day_of(change.account_id),
            [trade.order(number) for number in change.orders],
            [trade.trade(number) for number in change.trades],
        )

    def take(self, change: Change, prepared: Any) -> None:
        """Put the change, durable now, among what is to be told."""
        if prepared is None:
            return
        day, orders, trades = prepared
        # Brokers outside tell their day again after a start: the same trades have the same message ids.
        self._trades.extend(
            (day, trade)
            for trade in trades
            if self._trade.is_outside(trade.account_id) or (day, trade.number) >= self._begun
        )
        for order in orders:
            self._orders[(day, order.number)] = order
        self._dirty.setdefault(change.account_id, set()).update(change.symbols)
        self._wake.set()

    def tell_all(self, account_id: str, part: str) -> None:
        """Tell the whole of an account: its money and positions, and with them its `orders` or `trades`."""
        self._asked.setdefault(account_id, set()).add(part)
        self._wake.set()

    def event(self, account_id: str, data: dict[str, Any]) -> None:
        """Tell of a refusal or an answer; the oldest go when too many wait."""
        self._events.append((account_id, data))
        if len(self._events) > EVENTS_COUNT:
            self._events.popleft()
            self.dropped_events_count += 1
        self._wake.set()

    # --- telling ---

    async def run(self) -> None:
        """Publish until cancelled. What may not have arrived is sent again, in the same order."""
        try:
            await self._tell_all()
        finally:
            if self._telling is not None:
                self._telling.cancel()
                self._telling = None

    async def _tell_all(self) -> None:
        await self._trade.durable(self._begun_lsn)
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._retold and not self._orders:
                name = self._retold.pop()
                day, again = self._trade.trading_day_of(name), self._trade.orders(name)
                await self._trade.durable(self._trade.head_lsn)
                self._orders = {(day, order.number): order for order in again} | self._orders
            if self._trades or self._orders or self._events:
                await self._tell_changes()
            if self._telling is not None:
                pass  # looked at again when they are confirmed
            elif self._asked or (self._dirty and monotonic_s() >= self._due_s):
                await self._tell_accounts()
            elif self._dirty and self._timer is None:
                self._timer = asyncio.get_running_loop().call_at(
                    asyncio.get_running_loop().time() + self._due_s - monotonic_s(), self._due
                )
            if self._trades or self._orders or self._events or self._retold:
                self._wake.set()

    def _due(self) -> None:
        self._timer = None
        self._due_s = 0.0  # timers of the loop are of milliseconds, and this one may be early
        self._wake.set()

    async def _tell_changes(self) -> None:
        """Orders as they stand, trades in their order, refusals: durable when they were put here."""
        trades = [self._trades.popleft() for _ in range(min(BATCH_COUNT, len(self._trades)))]
        trades.sort(key=lambda item: (item[0], item[1].number))
        orders = {key: self._orders.pop(key) for key in list(self._orders)[:BATCH_COUNT]}
        events = [self._events.popleft() for _ in range(min(BATCH_COUNT, len(self._events)))]
        self._under_way_count = len(trades)
        try:
            await self._bus.publish(self._changes(orders.values(), trades, events))
        except (LinkError, asyncio.CancelledError) as error:
            self._trades.extendleft(reversed(trades))
            self._orders = orders | self._orders
            self._events.extendleft(reversed(events))
            self._again(error)
            return
        finally:
            self._under_way_count = 0
            self._told.set()
        if trades:
            self.trades_count += len(trades)
            ours = [item for item in trades if not self._trade.is_outside(item[1].account_id)]
            if ours:
                self._kept(ours[-1][0], ours[-1][1].number + 1)
        if self.has_room:
            self._room.set()

    async def _tell_accounts(self) -> None:
        """Money and positions as they are now, which must be durable before anybody is told.

        Returns when they are written.
        """
        dirty, self._dirty = self._dirty, {}
        asked, self._asked = self._asked, {}
        self._due_s = monotonic_s() + self._interval_s
        messages = self._accounts_now(dirty, asked)
        await self._trade.durable(self._trade.head_lsn)
        self._telling = asyncio.create_task(self._confirmed(messages, dirty, asked))
        await asyncio.sleep(0)  # it has its place before whatever is published now

    async def _confirmed(
        self, messages: list[Message], dirty: dict[str, set[str]], asked: dict[str, set[str]]
    ) -> None:
        """Publish what was read of accounts; what may not have arrived is read and told again."""
        try:
            await self._bus.publish(messages)
        except (LinkError, asyncio.CancelledError) as error:
            for account_id, symbols in dirty.items():
                self._dirty.setdefault(account_id, set()).update(symbols)
            for account_id, parts in asked.items():
                self._asked.setdefault(account_id, set()).update(parts)
            self._again(error)
        finally:
            self._telling = None
            self._wake.set()

    def _again(self, error: BaseException) -> None:
        self.retries_count += 1
        self._wake.set()
        if isinstance(error, asyncio.CancelledError):
            raise error

    def _changes(
        self,
        orders: Iterable[Order],
        trades: Iterable[tuple[int, Trade]],
        events: Iterable[tuple[str, dict[str, Any]]],
    ) -> list[Message]:
        now_ns, exchange, number = self._now_ns(), self._exchange, self._number
        found: list[Message] = []
        for order in orders:
            name = order.account_id
            found.append(Message(exchange, f"{name}.order", orders_out.order(number(name), now_ns, order)))
        for day, trade in trades:
            name = trade.account_id
            # The same when it is told again; numbers of brokers outside are this process's only.
            mark = f"{name}-{trade.trade_id}" if self._trade.is_outside(name) else trade.number
            message_id = f"{day}-{mark}"
            found.append(Message(self._transactions, name, orders_out.bare_trade(trade), message_id))
            body = orders_out.trade(number(name), now_ns, trade)
            found.append(Message(exchange, f"{name}.trade", body, message_id))
        for name, data in events:
            found.append(
                Message(exchange, f"{name}.event", orders_out.event(name, number(name), now_ns, data))
            )
        return found

    def _accounts_now(self, dirty: Mapping[str, set[str]], asked: Mapping[str, set[str]]) -> list[Message]:
        now_ns, exchange, number, trade = self._now_ns(), self._exchange, self._number, self._trade
        found: list[Message] = []
        for name in {**dirty, **asked}:
            body = orders_out.account(name, number(name), now_ns, trade.funds(name))
            found.append(Message(exchange, f"{name}.account", body))
            parts, symbols = asked.get(name, ()), dirty.get(name, ())
            if symbols or parts:
                rows = {row["symbol"]: row for row in trade.positions(name)}
                # What a settlement has taken away is flat: who keeps what was told would keep its lots.
                for symbol in {**rows, **dict.fromkeys(symbols)} if parts else symbols:
                    body = orders_out.position(name, number(name), now_ns, rows.get(symbol) or flat(symbol))
                    found.append(Message(exchange, f"{name}.position", body))
            if "orders" in parts:
                for at in trade.order_numbers(name, statuses(""))[-ASKED_COUNT:]:
                    body = orders_out.order(number(name), now_ns, trade.order(at))
                    found.append(Message(exchange, f"{name}.order", body))
            if "trades" in parts:
                for at in trade.trade_numbers(name)[-ASKED_COUNT:]:
                    body = orders_out.trade(number(name), now_ns, trade.trade(at))
                    found.append(Message(exchange, f"{name}.trade", body))
        return found

    def _number(self, account_id: str) -> int:
        number = self._seq[account_id] = self._seq.get(account_id, 0) + 1
        return number
