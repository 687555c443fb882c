"""The desk beside the engine: orders of ended days, money moved, equity, what operators set.

Starts before the trade service and hears of it by hooks: nothing of a day that ends may be missed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from qautlra.base import metrics
from qautlra.base.errors import QautlraError, UnavailableError
from qautlra.base.log import get_logger
from qautlra.base.loop import SLICE_COUNT, batched, used_up
from qautlra.base.service import Service
from qautlra.trade import board, listing
from qautlra.trade.board import Board
from qautlra.trade.papers import DayMaker
from qautlra.trade.records import Records, row_of

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra._core.tape import Tape
    from qautlra.trade.days import AccountDay
    from qautlra.trade.service import TradeService
    from qautlra.trade.transfers import Moved

OPENING: Final = "opening"
EQUITY_S: Final = 60.0
EQUITY_COUNT: Final = 1_440
MONEY_COUNT: Final = 10_000
"""Movements of money that wait for their record; the next start adds one beyond them to the records."""
T = TypeVar("T")
_log = get_logger("trade")


class Desk(Service):
    """What doors ask for besides orders. Bounds: those of `records`; EQUITY_COUNT points an account;
    MONEY_COUNT movements that wait.
    """

    name = "desk"

    def __init__(self, trade: TradeService, directory: Path, tape: Tape, instruments: Instruments) -> None:
        super().__init__()
        self.trade = trade
        self.tape = tape
        self.instruments = instruments
        self.equity: defaultdict[str, deque[tuple[int, float, float, float]]] = defaultdict(
            lambda: deque(maxlen=EQUITY_COUNT)
        )
        "By account: (market ns, balance, available, margin), once a minute; gone with the process."
        self.board = Board(self)
        self._directory = directory
        self._records: Records | None = None
        self._money: deque[tuple[Moved, asyncio.Future[None]]] = deque()
        metrics.bound("trade_money", lambda: len(self._money), MONEY_COUNT, when_full="drop")
        trade.day_makers.append(lambda settlement, _moved: _DayOrders(self, settlement.trading_day))
        trade.bank.moved.append(self._on_money)
        trade.started.append(self._complete_money)

    # --- life ---

    async def start(self) -> None:
        """Open the records and take over what operators left."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="records")
        self._records = await self._in_thread(lambda: Records(self._directory))
        records = self.records
        self.board.load(*[await self.ask(records.kept, kind) for kind in board.KINDS])
        self.spawn(self.run(), "equity")

    async def run(self) -> None:
        """Note every account's equity once a minute."""
        while True:
            await asyncio.sleep(EQUITY_S)
            try:
                self.note_equity()
            except QautlraError:
                continue  # trading is not running

    async def stop(self, grace_s: float) -> None:
        """Write what waits and close."""
        if self._money:
            await asyncio.wait({self._money[-1][1]}, timeout=grace_s)
        await self.cancel_tasks(grace_s)
        while self._money:
            self._money.popleft()[1].cancel()
        records, self._records = self._records, None
        if records is not None:
            await self._in_thread(records.close)
            self._writer.shutdown()

    @property
    def records(self) -> Records:
        """The records; UnavailableError while the service does not run."""
        if self._records is None:
            raise UnavailableError("the records are not open; try again in a moment")
        return self._records

    async def ask(self, call: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run a call of `records` off the loop."""
        return await self._in_thread(partial(call, *arguments, **named))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)

    async def note_opening(self, account_id: str, cash: float) -> None:
        """Note the deposit of `cash` CNY an account was opened with, as a movement of its money."""
        now_ns, day = self.trade.clock.now_ns(), self.trade.trading_day
        body = _money(account_id, cash, cash, day, method=OPENING)
        await self.ask(self.records.add, "money", now_ns, body, account_id)

    def _on_money(self, moved: Moved) -> None:
        if len(self._money) >= MONEY_COUNT:
            _log.error("money_not_kept", account_id=moved.transfer.account_id, reason="too many wait")
            return
        self._money.append((moved, asyncio.get_running_loop().create_future()))
        if len(self._money) == 1:
            self.spawn(self._keep_money(), "money")

    async def _keep_money(self) -> None:
        """Keep movements of money in their order, each once it cannot be lost."""
        while self._money:
            moved, kept = self._money[0]
            try:
                await self.trade.durable(moved.lsn)
                transfer = moved.transfer
                body = _money(
                    transfer.account_id,
                    transfer.amount,
                    moved.balance,
                    transfer.trading_day,
                    method=moved.method,
                    remark=moved.remark,
                    bank_account=moved.bank_account,
                    by=moved.by,
                    transfer_id=transfer.seq,
                )
                await self.ask(self.records.add, "money", transfer.time_ns, body, transfer.account_id)
                kept.set_result(None)
            except QautlraError as error:
                _log.error("money_not_kept", account_id=moved.transfer.account_id, reason=error.message)
                kept.set_exception(error)
                kept.exception()  # whoever waits is told; perhaps nobody does
            finally:
                kept.cancel()
                self._money.popleft()

    async def _complete_money(self) -> None:
        """Keep what moved today by the journal and, for a kill or a full disk, is not among the records."""
        if not self.trade.trading_day or self._records is None:
            return
        for account_id in self.trade.accounts():
            done = [one for one in self.trade.transfers(account_id) if not one.code]
            if not done or self.trade.is_outside(account_id):
                continue
            rows = await self.ask(self._records.money_of_day, account_id, str(self.trade.trading_day))
            known = {row.get("transfer_id") for row in rows if row["method"] != OPENING}
            for one in done if None not in known else ():  # else: of a build that did not note which
                if one.seq not in known:
                    body = _money(
                        account_id, one.amount, None, one.trading_day, method="bank", transfer_id=one.seq
                    )
                    await self.ask(self._records.add, "money", one.time_ns, body, account_id)

    async def money_kept(self) -> None:
        """Return when all money moved so far is among the records; raise what kept the newest out."""
        if self._money:
            await asyncio.shield(self._money[-1][1])

    # --- prices ---

    def last(self, symbol: str) -> float | None:
        """Return the last price of an instrument, None when none is known."""
        snapshot = self.snapshot(symbol)
        value = snapshot.get("last_price") if snapshot else None
        return float(value) if isinstance(value, int | float) else None

    def snapshot(self, symbol: str) -> dict[str, Any] | None:
        """Return the newest snapshot of an instrument."""
        line = self.instruments.find(symbol)
        return self.tape.last(line) if line >= 0 else None

    def multiple(self, symbol: str) -> float:
        """Return how much of the underlying one lot is."""
        return self.board.terms(symbol)[1]

    def is_share(self, symbol: str) -> bool:
        """Tell whether an instrument is bought and sold, not opened and closed."""
        line = self.instruments.find(symbol)
        if line < 0 or symbol in self.board.own:
            return False
        return self.instruments.info(line)["kind"] in listing.SHARES

    # --- equity ---

    def note_equity(self) -> None:
        """Note every account's equity now."""
        now_ns = self.trade.clock.now_ns()
        for account_id in self.trade.accounts():
            funds = self.trade.funds(account_id)
            self.equity[account_id].append((now_ns, funds["balance"], funds["available"], funds["margin"]))


class _DayOrders(DayMaker):
    """Keeps an ended day's orders."""

    def __init__(self, desk: Desk, trading_day: int) -> None:
        self._desk = desk
        self._trading_day = trading_day
        self._rows: list[tuple[str, int, str]] = []

    def add(self, one: AccountDay) -> Iterator[int]:
        """Make an account's rows."""
        for orders in batched(one.orders, SLICE_COUNT):
            self._rows += map(row_of, orders)
            yield len(orders)

    def write(self) -> None:
        """Keep them."""
        self._desk.records.put_orders(self._trading_day, used_up(self._rows))


def _money(
    account_id: str,
    amount: float,
    balance: float | None,
    day: int,
    *,
    method: str,
    remark: str = "",
    bank_account: str = "",
    by: str = "",
    transfer_id: int = 0,
) -> dict[str, Any]:
    """Return a movement of money as it is kept; `transfer_id` counts those of the account and day."""
    return {
        "account_id": account_id,
        "type": "deposit" if amount > 0 else "withdraw",
        "amount": abs(amount),
        "balance_after": balance,
        "trading_day": str(day or ""),
        "method": method,
        "remark": remark,
        "bank_account": bank_account,
        "by": by,
        "transfer_id": transfer_id,
    }
