"""The trading service: the engine with its journal, and who is told what when it is durable.

Commands are answered at once and take effect at once; nothing of them may be shown to anybody before
`durable(answer.lsn)`. Changes are collected once per group commit and handed to subscribers when it is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qautlra._core import book, orders
from qautlra._core import journal as journals
from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import InvariantError, QautlraError, StorageError, UnavailableError
from qautlra.base.limits import JOURNAL_BUFFER_BYTES
from qautlra.base.log import get_logger
from qautlra.model.order import AmendOrder, Answer, CancelOrder, InsertOrder
from qautlra.trade.accounts import Accounts
from qautlra.trade.checkpoints import Checkpoints
from qautlra.trade.conditional import Conditions
from qautlra.trade.days import DayEnd, Days
from qautlra.trade.engine import Calendar, Engine
from qautlra.trade.liquidation import Liquidator
from qautlra.trade.monitor import Monitor
from qautlra.trade.notes import Notes
from qautlra.trade.papers import DayMaker
from qautlra.trade.recovery import Recovery, recover
from qautlra.trade.router import LSN_BITS, Router
from qautlra.trade.settling import Settling
from qautlra.trade.statements import Settlement
from qautlra.trade.telling import Callback, Prepare
from qautlra.trade.transfers import Transfer, Transfers
from qautlra.trade.turn import Turn

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra._core.tape import Tape
    from qautlra.base.clock import Clock
    from qautlra.config.tree import Trade as Settings
    from qautlra.model.order import Change

TURN_S: Final = 1.0
FEED_LOST_S: Final = 10.0
FEED_LOST: Final = "no source is connected: paper orders are refused"
CLOSE_S: Final = 10.0
_log = get_logger("trade")


class TradeService(Accounts):
    """What every door of the order path talks to. `last_day(symbol)` is a contract's last trading day
    (YYYYMMDD), 0 where it is not known. Bounds: orders of the day (`trade.orders_max`), the
    journal's buffer (then commands are refused with 5004); changes conflate while a commit is under way.
    """

    name = "trade"

    def __init__(
        self,
        *,
        settings: Settings,
        data_dir: Path,
        tape: Tape,
        instruments: Instruments,
        calendar: Calendar,
        clock: Clock,
        last_day: Callable[[str], int] = lambda _symbol: 0,
    ) -> None:
        super().__init__()
        self._last_day = last_day
        self.settings = settings
        self.clock = clock
        self.day_ended: list[Callable[[DayEnd], None]] = []
        "Called when a day is over, before it is settled."
        self.day_makers: list[Callable[[Settlement, Mapping[str, list[Transfer]]], DayMaker]] = []
        "Called for each settled day; what they make its papers of."
        self.started: list[Callable[[], Awaitable[None]]] = []
        "Awaited at the end of every start."
        self.day_before = 0
        "The trading day that ended while this process ran; 0 for none."
        self.stopped: set[str] = set()
        "Instruments an operator keeps closed; full names."
        self.on_tick: list[Callable[[], None]] = []
        "Called after the engine has taken a batch of the market: conditional orders, monitors."
        self.is_fed: Callable[[], bool] = lambda: True
        "Whether any source of the market is connected; set by who composes the process."
        self.on_turn: list[Callable[[], None]] = []
        "Called once a second."
        self.bank = Transfers()
        self.notes = Notes()
        "Records of ours in the journal, handed out after each replay."
        self._directory = data_dir / "trade" / "journal"
        self._checkpoints = Checkpoints(data_dir / "trade" / "checkpoints.json", settings.journal_days)
        self._tape = tape
        self._instruments = instruments
        self._calendar = calendar
        self._engine: Engine | None = None
        self._journal: journals.Journal | None = None
        self._turn = Turn(
            self._complete,
            mark_s=settings.mark_interval_ms / 1000,
            is_synced=settings.durability == "power",
        )
        self._phasing: asyncio.Handle | None = None
        self._recovery: Recovery | None = None
        self._unfed_s: float | None = None  # monotonic second since which no source is connected
        self._unsettled = False  # the day could not be settled; tried again with the next turn
        self.router = Router(self)
        self._new_conditions: dict[str, dict[str, None]] = {}
        self.notes.register(Transfer, lambda notes: self.bank.restore(notes, self.trading_day))
        self.settling = Settling(self, data_dir / "trade" / "statements.db")
        self.conditions = Conditions(self, tape, instruments)
        self.monitor = Monitor(self)
        self.liquidator = Liquidator(self, self.monitor)
        self._measure()

    def _measure(self) -> None:
        def watch(name: str, text: str, read: Callable[[TradeService], float]) -> None:
            metrics.watch(f"qautlra_trade_{name}", text, lambda: read(self))

        watch("orders_count", "Orders of the day", lambda s: s.engine.exchange.orders)
        watch("live_orders_count", "Orders alive", lambda s: s.engine.exchange.accounts_live_orders)
        watch(
            "pending_changes_count",
            "Changes that wait for the journal",
            lambda s: s._turn.teller.pending_count,
        )
        watch("journal_lsn", "Newest record", lambda s: s.engine.exchange.head_lsn)
        watch("journal_buffered_bytes", "Records not yet written", lambda s: s._stat("buffered_bytes"))
        metrics.bound(
            "trade_journal", lambda: self._stat("buffered_bytes"), JOURNAL_BUFFER_BYTES,
            unit="bytes", when_full="refuse",
        )  # fmt: skip
        metrics.bound(
            "trade_orders", lambda: self.engine.exchange.orders, self.settings.orders_max, when_full="refuse"
        )
        watch("journal_refused_count", "Records the journal had no room for", lambda s: s._stat("refused"))

    def _stat(self, name: str) -> int:
        return self._journal.stats[name] if self._journal is not None else 0

    # --- life ---

    async def start(self) -> None:
        """Open the journal and replay it: start and recovery are the same."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.settling.statements.open)
        recovered = await loop.run_in_executor(
            None, recover, self._directory, self.settings, self._checkpoints
        )
        self._journal = journal = recovered.journal
        self._engine = Engine(
            recovered.exchange,
            tape=self._tape,
            instruments=self._instruments,
            calendar=self._calendar,
            now_ns=self.clock.now_ns,
            stopped=self.stopped,
            self_trade=self.settings.limits.self_trade,
            last_day=self._last_day,
        )
        self._engine.outside = self.router.seat
        self._turn.begin(self._engine, journal)
        self.settling.days = Days(
            self._engine,
            self._calendar,
            self._tape,
            self._instruments,
            self.clock,
            delivery_fee_ratio=self.settings.delivery_fee_ratio,
        )
        self.notes.restore(recovered.notes)
        ended = recovered.exchange.take_ended()
        await loop.run_in_executor(None, self.settling.resume, ended, self.bank.take_earlier())
        self._recovery = recovered._replace(notes=[])
        self._turn.listen()
        self._engine.touch_all(day=True)
        self._unsettled = False
        self.follow_day()
        self.spawn(self.run(), "turn")
        for hook in self.started:
            await hook()

    def _checkpoint(self) -> None:
        """Let the next start begin with this day: before its first order, while the state is small."""
        engine, journal = self.engine, self._journal
        if journal is None:
            return
        journal.roll()
        first, day = engine.exchange.head_lsn + 1, engine.exchange.trading_day
        code, _, lsn = engine.exchange.checkpoint()
        for payload in self.notes.kept() if not code else ():
            if not code:
                code, lsn = self.note(payload)
        if code:
            _log.warning("no_checkpoint", trading_day=day, code=code)
        else:
            self.spawn(self._checkpoints.count(journal, partial(self._kept, lsn), day, first), "checkpoint")

    async def _kept(self, lsn: int) -> None:
        """Return when a record is durable and no replay need begin before it for the papers of a day."""
        await self.durable(lsn)
        await self.settling.papers.kept()

    async def run(self) -> None:
        """Once a second: the trading day, the phases, the journal's health."""
        while True:
            await asyncio.sleep(TURN_S)
            self._unsettled = False
            self.follow_day()
            self.settling.papers.turn()
            engine = self.engine
            engine.follow_phases(self.clock.now_ns())
            self._watch_phases(engine)
            self._follow_feed(engine)
            for hook in self.on_turn:
                hook()
            self.wake()
            if self._journal is not None and self._journal.failed:
                raise StorageError(f"the trading journal failed: {self._journal.error}")
            if engine.exchange.broken:
                raise InvariantError("an account would not take a fill or a settlement of its own orders")

    def _watch_phases(self, engine: Engine) -> None:
        """Have what is left of a change of phases follow with the next turns of the loop, then the market."""
        if engine.is_phase_due and self._phasing is None:
            self._phasing = asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._phasing = None
        self.on_batch()

    def _follow_feed(self, engine: Engine) -> None:
        """Have the exchange take no orders without a feed; with one, from the turn after its return on."""
        was_fed = self._unfed_s is None
        if not self.is_fed():
            now_s = monotonic_s()
            if self._unfed_s is None:
                self._unfed_s = now_s
            if not engine.is_blind and now_s - self._unfed_s >= FEED_LOST_S:
                _log.warning("feed_lost", orders="refused")
                engine.follow_feed(is_lost=True)
            return
        self._unfed_s = None
        if engine.is_blind and was_fed:  # the newest snapshots have come
            _log.info("feed_is_back")
            engine.follow_feed(is_lost=False)

    async def stop(self, grace_s: float) -> None:
        """Tell what is durable, close the journal; commands are refused from now on."""
        await self.cancel_tasks(grace_s)
        try:
            self.settling.papers.finish()
        except QautlraError as error:  # the next start makes them
            _log.error("day_not_kept", trading_day=self.settling.papers.day, reason=error.message)
        self.settling.papers.forget()
        self._engine = None
        self.settling.days = None
        journal, self._journal = self._journal, None
        if self._phasing is not None:
            self._phasing.cancel()
            self._phasing = None
        self._turn.finish()
        if journal is not None:
            loop = asyncio.get_running_loop()
            closed = await loop.run_in_executor(None, journal.close, CLOSE_S)
            self._turn.teller.release(journal.durable_lsn)
            if not closed:
                _log.error("journal_not_closed", error=journal.error)
        self.settling.statements.close()
        self._turn.teller.end()

    def health(self) -> dict[str, Any]:
        """Return day, accounts, orders and the journal's state."""
        engine = self._engine
        if engine is None or self._journal is None:
            return {}
        return {
            "trading_day": engine.exchange.trading_day or None,
            "accounts": len(engine.accounts()),
            "live_orders": engine.exchange.accounts_live_orders,
            "durability": self.settings.durability,
            "lsn": self._journal.head_lsn,
            "replayed": self._recovery.records if self._recovery else 0,
            "recovered_hash": self._recovery.state_hash if self._recovery else "",
            "error": self._journal.error
            or self.settling.papers.error
            or (FEED_LOST if engine.is_blind else ""),
        }

    # --- what the doors use ---

    @property
    def engine(self) -> Engine:
        """The engine; UnavailableError while the service is not running."""
        if self._engine is None:
            raise UnavailableError("Trading is not running; try again in a moment")
        return self._engine

    @property
    def is_running(self) -> bool:
        """Whether there is an engine to ask."""
        return self._engine is not None

    @property
    def trading_day(self) -> int:
        """The day that is traded, YYYYMMDD; 0 before the market clock has a time."""
        return self.engine.exchange.trading_day

    def accounts(self) -> list[str]:
        """Return the names of all accounts, oldest first."""
        return self.engine.accounts()

    def has(self, account_id: str) -> bool:
        """Tell whether there is such an account."""
        return self.engine.has(account_id)

    def open_account(self, account_id: str, cash: float = 0.0) -> Answer:
        """Open an account with a first deposit of `cash` CNY."""
        return self._woken(self.engine.open_account(account_id, cash))

    def insert(self, order: InsertOrder) -> Answer:
        """Enter an order."""
        self.keep_day()
        return super().insert(order)

    def cancel(self, order: CancelOrder, *, force: bool = False) -> Answer:
        """Withdraw what is left of an order."""
        self.keep_day()
        return super().cancel(order, force=force)

    def amend(self, order: AmendOrder) -> Answer:
        """Set price and volume of a living order."""
        self.keep_day()
        return super().amend(order)

    @property
    def head_lsn(self) -> int:
        """The newest record: what is read now is durable when this is."""
        return self.engine.exchange.head_lsn

    def note(self, payload: bytes) -> tuple[int, int]:
        """Put a note into the journal; return (0 or a code, its record)."""
        code, _, lsn = self.engine.exchange.note(payload)
        return code, lsn

    def condition_changed(self, account_id: str, order_id: str) -> None:
        """Have the account's subscribers hear of a conditional order."""
        self._new_conditions.setdefault(account_id, {})[order_id] = None
        self.engine.touch(account_id)
        self.wake()

    def knows(self, symbol: str) -> bool:
        """Tell whether there is an instrument of that full name."""
        return self.engine.canonical(symbol) == symbol

    def day_of(self, ts_ns: int) -> int:
        """Return the trading day (YYYYMMDD) of a moment."""
        return self._calendar.trading_day(ts_ns)

    def is_open(self, symbol: str) -> bool:
        """Tell whether an instrument is traded continuously now."""
        return self.engine.phases.at(symbol, self.clock.now_ns()).phase == book.CONTINUOUS

    def phase(self, symbol: str) -> tuple[int, bool]:
        """Return the phase of the book the hours say, and whether nothing has been open yet on this day."""
        found = self.engine.phases.at(symbol, self.clock.now_ns())
        return found.phase, found.since_ns == 0

    def subscribe(
        self, account_id: str | None, callback: Callback, prepare: Prepare | None = None
    ) -> Callable[[], None]:
        """Hear of an account's changes (of all accounts' without one); return what ends it.

        `prepare(change)` runs when the change is collected and may render what the accounts hold then;
        `callback(change, prepared)` runs when all of that is durable, in order.
        """
        ends = [one.subscribe(account_id, callback, prepare) for one in (self._turn.teller, self.router)]

        def end() -> None:
            for one in ends:
                one()

        return end

    async def durable(self, lsn: int) -> None:
        """Return when record `lsn` is durable; UnavailableError when the service stops before."""
        journal = self._journal
        if journal is None:
            raise UnavailableError("Trading is not running; try again in a moment")
        if lsn >> LSN_BITS:
            return await self.router.durable(lsn)
        if not lsn or journal.durable_lsn >= lsn:
            return
        await self._turn.teller.wait(lsn)

    # --- the market ---

    def on_batch(self) -> None:
        """Take what the tape got: called by the pump after each batch."""
        engine = self._engine
        if engine is None:
            return
        if not engine.phased:  # the market clock has a time now: the day begins before an order comes
            self.follow_day()
        if not self.keep_day():
            return
        engine.on_market()
        self._watch_phases(engine)
        for hook in self.on_tick:
            hook()
        self._turn.follow()

    def keep_day(self) -> bool:
        """Settle the day the market clock has left, before anything of the next one is looked at.

        False while it cannot be settled: nothing trades until the next turn has tried again.
        """
        engine = self.engine
        if engine.is_day_over(engine.now_ns()) and not self._unsettled:
            try:
                self.follow_day()
            except StorageError as error:
                self._unsettled = True
                _log.error("day_not_settled", trading_day=self.trading_day, reason=str(error))
        return not self._unsettled

    def follow_day(self) -> None:
        """Settle and begin the next trading day when the market clock has reached it."""
        self.settling.follow()

    def begin_day(self, day_before: int) -> None:
        """The next day has begun in the engine: brokers outside and conditional orders follow."""
        self.router.new_day()
        self.day_before = day_before
        self.conditions.new_day()

    def forget_day(self) -> None:
        """The day is settled: what was of it only is gone."""
        self.bank.clear()
        self._checkpoint()
        self.wake()

    async def statement(self, account_id: str, trading_day: int = 0) -> str:
        """Return the text of a day's statement, of the newest without a day; empty when there is none."""
        return await self.settling.text(account_id, trading_day)

    # --- telling ---

    def _woken(self, answer: Answer) -> Answer:
        self._turn.wake()
        return answer

    def wake(self) -> None:
        """Collect changes at the end of this turn of the loop."""
        self._turn.wake()

    def tell(self, *, moved: bool = True) -> None:
        """Collect changes now, once in a turn of the loop; without `moved`, prices wait for their time."""
        self._turn.tell(moved=moved)

    def collect(self) -> None:
        """Collect what has changed so far, though a commit may be under way: its numbers end with the day."""
        self._turn.collect()

    def enter_alone(self, lane: orders.Lane, serial: int) -> orders.Entered | None:
        """Do what a lane has read; None, and nothing done, unless all before it is told, prices apart."""
        engine = self._engine
        if engine is None or lane.exchange is not engine.exchange or not self._turn.may_tell_alone(engine):
            return None
        return engine.enter(lane, serial)

    def _complete(self, engine: Engine, changes: list[Change]) -> int:
        for change in changes if self._engine is not None else ():
            self.monitor.review(change.account_id)
        lsn = engine.exchange.head_lsn
        for at, change in enumerate(changes):
            transfers = self.bank.take_untold(change.account_id)
            conditions = self._new_conditions.pop(change.account_id, ())
            alerts = self.monitor.take(change.account_id)
            if lsn != change.lsn or transfers or conditions or alerts:
                changes[at] = msgspec.structs.replace(
                    change, lsn=lsn, transfers=transfers, conditions=tuple(conditions), alerts=alerts
                )
        return lsn
