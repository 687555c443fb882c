"""The RabbitMQ door of the order path: messages to commands, acknowledged when the journal has them.

Per account a durable queue of ours, bound to the exchanges orders come by. A delivery is executed at once and
acknowledged after its record is durable; what a crash leaves unacknowledged comes again and is met by the
exchange's table of ids, so it is never executed twice. An order that leaves the house is acknowledged when it
is noted here or its broker has shown it; while that broker is away its own queue waits, and no other.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from qautlra.auth.audit import Act
from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import QautlraError, UnavailableError
from qautlra.base.log import Seldom, get_logger
from qautlra.base.service import Service
from qautlra.link.bus import Bus, Delivery, Exchange, ExchangeKind, Queue
from qautlra.model.command import Ask, Command, Notice, Question, Transfer
from qautlra.model.order import AmendOrder, Answer, CancelOrder, Change, InsertOrder
from qautlra.net import amqp_out, audited
from qautlra.net.amqp_ids import OrderIds
from qautlra.net.amqp_letters import Letters
from qautlra.net.amqp_lines import RETRY_S, Entry, Line
from qautlra.wire.orders import BAD_PARAMETERS, BadOrder, decode
from qautlra.wire.trade_errors import INTERNAL, TABLE

ROUTER = "QAORDER_ROUTER"
NAME_BYTES = 200
ASKED_COUNT = 4096
RETRY_MAX_S = 1.0
ACK_EVERY_S = 0.002
STATEMENTS_COUNT = 1024
SHOWN_COUNT = 10
NO_INSTRUMENT = 1007
DUPLICATE = 3002
NO_BROKER = 5002
Record = Callable[..., None]
_log = get_logger("net")


class _NotYet(Exception):
    """The process is not ready, or the order's instrument not seen yet; it is tried again."""


class _Away(_NotYet):
    """Whether the order's broker has it already is not known while that is away; it is asked again."""


class Trading(amqp_out.Accounts, Protocol):
    """What is asked of the trading service."""

    def insert(self, order: InsertOrder) -> Answer: ...
    def cancel(self, order: CancelOrder) -> Answer: ...
    def amend(self, order: AmendOrder) -> Answer: ...
    def transfer(self, account_id: str, amount: float, *, bank_id: str) -> Answer: ...
    def find(self, account_id: str, order_id: str) -> Any: ...
    def knows(self, symbol: str) -> bool: ...
    def is_outside(self, account_id: str) -> bool: ...
    def takes_orders(self, account_id: str) -> bool: ...
    def is_shown(self, account_id: str, order_id: str) -> bool: ...
    async def statement(self, account_id: str, trading_day: int = 0) -> str: ...
    def subscribe(
        self,
        account_id: str | None,
        callback: Callable[[Change, Any], None],
        prepare: Callable[[Change], Any] | None = None,
    ) -> Callable[[], None]: ...


class AmqpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Names and bounds of the door."""

    exchange: str = ROUTER
    model: ExchangeKind = "direct"
    routing_key: str = ""
    "Of the configured exchange; empty is the account's name, and nothing for a fanout."
    accounts: tuple[str, ...] = ()
    "Whose orders are taken; empty is everybody's."
    transactions_exchange: str = "QATRANSACTION"
    account_exchange: str = "QAACCOUNT"
    account_interval_ms: int = 100
    outbox_count: int = 65_536
    instrument_wait_s: float = 5.0
    "How long an account's orders wait for the first quote of an instrument; for several at the same time."


class TradeAmqp(Service):
    """The door. Bounds: the bus's prefetch of each queue comes in, `outbox_count` trades wait to go out."""

    name = "trade.amqp"

    def __init__(
        self,
        *,
        trade: Trading,
        bus: Bus,
        cursor: amqp_out.Cursor,
        resolve: Callable[[str], str | None],
        now_ns: Callable[[], int],
        settings: AmqpSettings | None = None,
        want: Callable[[str], None] = lambda _symbol: None,
        is_ready: Callable[[], bool] = lambda: True,
        record: Record | None = None,
    ) -> None:
        super().__init__()
        self._trade = trade
        self._bus = bus
        self._resolve = resolve
        self._settings = settings = settings or AmqpSettings()
        self._is_own_key = settings.model != "fanout" and not settings.routing_key
        "Whether a message comes by one account's queue only, so that the queue says whose it is."
        self._results = amqp_out.Results(
            trade=trade,
            bus=bus,
            cursor=cursor,
            now_ns=now_ns,
            transactions=settings.transactions_exchange,
            accounts=settings.account_exchange,
            account_interval_s=settings.account_interval_ms / 1000,
            outbox_count=settings.outbox_count,
            wanted=self._is_ours,
        )
        self._lines: dict[str, Line] = {}  # by account
        self._queues: dict[str, Line] = {}
        self._want = want
        self._is_ready = is_ready
        self._record = record
        self._done: list[Entry] = []
        "Executed or refused, and nothing but the journal to wait for."
        self._asked: OrderedDict[str, float] = OrderedDict()
        self._letters = Letters(bus, self._is_done)
        self._statements: dict[tuple[str, int], None] = {}
        "Asked for and not told yet, by account and day."
        self._statement_asked = asyncio.Event()
        self._wake = asyncio.Event()
        self._ids = OrderIds(trade.find)
        self._epoch = 0
        self._active_day = 0
        "Of the newest delivery, of the run before where there was none in this one."
        self._doubted_day = 0
        "In which what comes again on this connection may have been executed."
        self._unsubscribe: Callable[[], None] = lambda: None
        self._seldom = Seldom()
        self.unacked_count = 0
        self.orders_count = 0
        self.seen_before_count = 0
        self.ignored_count = 0
        self.statements_dropped_count = 0
        self.dead_count = 0
        self._declare()
        self._measure()

    def _declare(self) -> None:
        settings = self._settings
        exchanges = {ROUTER: Exchange(ROUTER)}
        if settings.exchange != ROUTER:
            exchanges[settings.exchange] = Exchange(settings.exchange, settings.model)
        elif settings.model != "direct":
            exchanges[ROUTER] = Exchange(ROUTER, settings.model)
        out = (Exchange(settings.transactions_exchange), Exchange(settings.account_exchange, "topic"))
        self._bus.declare(*exchanges.values(), *out)

    def _measure(self) -> None:
        def watch(name: str, text: str, read: Callable[[TradeAmqp], float], kind: str = "gauge") -> None:
            metrics.watch(f"qautlra_net_amqp_{name}", text, lambda: read(self), kind=kind)

        watch("unacked_count", "Deliveries not acknowledged yet", lambda s: s.unacked_count)
        watch("outbox_trades_count", "Trades not yet told", lambda s: s._results.waiting_count)
        metrics.bound(
            "net_amqp_outbox", lambda: self._results.waiting_count, self._settings.outbox_count,
            unit="rows", when_full="block",
        )  # fmt: skip
        metrics.bound(
            "net_amqp_waiting", lambda: max((one.waiting_count for one in self._lines.values()), default=0),
            self._bus.prefetch_count, when_full="block",
        )  # fmt: skip
        metrics.bound(
            "net_amqp_events", lambda: self._results.events_count, amqp_out.EVENTS_COUNT, when_full="drop"
        )
        metrics.bound(
            "net_amqp_statements", lambda: len(self._statements), STATEMENTS_COUNT, when_full="drop"
        )
        watch(
            "held_bytes", "Bodies of messages that wait for an instrument, a broker or the dead queue",
            lambda s: s._letters.held_bytes + sum(line.held_bytes for line in s._lines.values()),
        )  # fmt: skip
        watch("orders_total", "Orders taken", lambda s: s.orders_count, "counter")
        watch("seen_before_total", "Redelivered orders met again", lambda s: s.seen_before_count, "counter")
        watch(
            "statements_dropped_total",
            "Statements asked for faster than they could be told",
            lambda s: s.statements_dropped_count,
            "counter",
        )
        watch("ignored_total", "Messages for other accounts", lambda s: s.ignored_count, "counter")
        watch("dead_total", "Messages nobody can read", lambda s: s.dead_count, "counter")
        watch("dead_waiting_count", "Of those, not kept yet", lambda s: s._letters.waiting_count)
        watch(
            "dead_refused_total", "Attempts to keep one that the broker refused",
            lambda s: s._letters.refused_count, "counter",
        )  # fmt: skip
        watch("trades_total", "Trades told", lambda s: s._results.trades_count, "counter")
        watch("connected_count", "1 while the broker is there", lambda s: s._bus.is_connected)
        watch("blocked_count", "1 while the broker takes no messages", lambda s: s._bus.is_blocked)
        watch(
            "refused_count", "Exchanges and queues the broker does not let us have",
            lambda s: s._bus.refused_count,
        )  # fmt: skip

    # --- life ---

    async def start(self) -> None:
        """Take up where the run before ended, and connect in the background."""
        self._forget(0)
        self._active_day = self._results.begin()
        self._unsubscribe = self._trade.subscribe(None, self._on_change, self._results.prepare)
        for account_id in self._trade.accounts():
            self._own(account_id)
        self.spawn(self._bus.run(), "bus")
        self.spawn(self._acknowledge(), "acknowledge")
        self.spawn(self._letters.run(), "letters")
        self.spawn(self._results.run(), "results")
        self.spawn(self._tell_statements(), "statements")

    async def stop(self, grace_s: float) -> None:
        """Let go: what is not acknowledged comes again."""
        self._unsubscribe()
        if self._bus.is_connected:
            await self._results.settled(grace_s / 2)
        await self.cancel_tasks(grace_s)
        self._results.end()
        self._forget(0)
        self._lines.clear()
        self._queues.clear()

    def health(self) -> dict[str, Any]:
        """Return the broker's state and what waits."""
        waiting = {one.account_id: one.waiting_count for one in self._lines.values() if one.waiting_count}
        found = self._bus.health()
        if self._letters.error:
            found["error"] = "; ".join(filter(None, (found.get("error"), self._letters.error)))
        return found | {
            "accounts": len(self._queues),
            "exchange": f"{self._settings.exchange} ({self._settings.model})",
            "unacked": self.unacked_count,
            "waiting": sum(waiting.values()),
            "waiting_accounts": sorted(waiting, key=waiting.__getitem__, reverse=True)[:SHOWN_COUNT],
            "trades_waiting": self._results.waiting_count,
            "dead": self.dead_count,
            "dead_waiting": self._letters.waiting_count,
        }

    # --- in ---

    def _is_ours(self, account_id: str) -> bool:
        wanted = self._settings.accounts
        return (not wanted or account_id in wanted) and len(account_id.encode()) <= NAME_BYTES

    def _own(self, account_id: str) -> None:
        """Serve the account's queue."""
        if account_id in self._lines or not self._is_ours(account_id):
            return
        settings = self._settings
        name = f"qautlra.orders.{account_id}"
        self._lines[account_id] = self._queues[name] = Line(account_id)
        key = settings.routing_key or ("" if settings.model == "fanout" else account_id)
        bindings = dict.fromkeys(((ROUTER, account_id), (settings.exchange, key)))
        self._bus.serve(Queue(name, tuple(bindings)), self._on_delivery)

    def _on_change(self, change: Change, prepared: Any) -> None:
        self._own(change.account_id)
        line = self._lines.get(change.account_id)
        if line is not None and line.unshown:
            self._settle(line)
        if self._is_ours(change.account_id):
            for refused in change.refused:
                self._refuse(change.account_id, refused)
            for said in change.said:
                self._refuse(change.account_id, Answer(code=said.code, text=said.text))
        self._results.take(change, prepared)

    def _forget(self, epoch: int) -> None:
        """Another connection: what was not acknowledged comes again by it."""
        self._epoch = epoch
        self._done.clear()
        self._letters.forget()
        self.unacked_count = 0
        for line in self._lines.values():
            line.forget()

    def _on_delivery(self, delivery: Delivery) -> None:
        if delivery.epoch != self._epoch:
            self._forget(delivery.epoch)
            self._doubted_day = self._active_day
        self.unacked_count += 1
        try:
            self._active_day = self._trade.trading_day
        except UnavailableError as error:
            self.fail(error)  # comes again on the next connection
            return
        line, entry = self._queues[delivery.queue], Entry(delivery)
        if line.is_away:
            self._look(line)
        # What comes for the first time does not wait for a broker that is away: it is refused.
        passes = line.is_away and not delivery.redelivered
        if (line.held and not passes) or not self._process(line, entry):
            if line.held:
                self._expect(delivery, line.account_id)
            line.held.append(entry)
            self._look_later(line)

    def _look(self, line: Line) -> None:
        """Take up what waits of a queue, in the order it came."""
        self._settle(line)
        while line.held and self._process(line, line.held[0]):
            line.held.popleft()
        line.is_away = line.is_away and bool(line.held)
        if not line.waiting_count:
            line.wait_s = RETRY_S

    def _settle(self, line: Line) -> None:
        """Let go what a broker has shown, and what is of a day that is over: no later day tells of it."""
        day, unshown = self._trade.trading_day, []
        for entry in line.unshown:
            if entry.day != day or self._trade.is_shown(line.account_id, entry.order_id):
                self._finish(entry)
            else:
                unshown.append(entry)
        line.unshown = unshown

    def _look_later(self, line: Line) -> None:
        """Look again, ever later while it is a broker that is waited for."""
        if line.timer is None:
            for_market = bool(line.held) and not line.is_away
            line.wait_s = RETRY_S if for_market else min(2 * line.wait_s, RETRY_MAX_S)
            line.timer = asyncio.get_running_loop().call_later(line.wait_s, self._retry, line)

    def _retry(self, line: Line) -> None:
        line.timer = None
        self._look(line)
        if line.waiting_count:
            self._look_later(line)

    def _finish(self, entry: Entry) -> None:
        if entry.unreadable:
            self._letters.put(entry, entry.unreadable)
        else:
            self._is_done(entry)

    def _is_done(self, entry: Entry) -> None:
        self._done.append(entry)
        self._wake.set()

    def _process(self, line: Line, entry: Entry) -> bool:
        """Execute or refuse a delivery; False when it must wait for that."""
        delivery = entry.delivery
        try:
            if not self._is_ready():
                raise _NotYet
            entry.lsn = self._take(entry, line.account_id)
        except _NotYet as error:
            line.is_away = isinstance(error, _Away)
            return False
        except BadOrder as error:
            if error.account_id in ("", line.account_id):
                self._bury(entry, error, line.account_id)
            else:
                self.ignored_count += 1
        except UnavailableError as error:
            self.fail(error)  # comes again on the next connection
            return True
        except Exception:  # a fault of ours: a person finds the message, and its queue goes on
            if times := self._seldom.due(("fault", delivery.queue)):
                _log.exception("order_failed", account_id=line.account_id, times=times)
            fault = BadOrder(
                INTERNAL, TABLE[INTERNAL].zh, account_id=line.account_id, order_id=entry.order_id
            )
            self._bury(entry, fault, line.account_id)
        if entry.day is not None and not self._trade.is_shown(line.account_id, entry.order_id):
            line.unshown.append(entry)
            self._look_later(line)
        else:
            self._finish(entry)
        return True

    def _take(self, entry: Entry, account_id: str) -> int:
        delivery = entry.delivery
        command = self._decoded(delivery, account_id)
        if command.account_id != account_id:
            self.ignored_count += 1
            return 0
        if isinstance(command, InsertOrder):
            return self._insert(command, entry)
        if isinstance(command, Question):
            self._answer(command)
            return 0
        if isinstance(command, Notice):
            return 0
        if isinstance(command, Transfer) and delivery.redelivered:
            self._refuse(account_id, Answer(code=BAD_PARAMETERS, text="转账消息重复投递，未再次执行"))
            return 0
        answer = self._execute(command)
        if not answer.ok:
            self._refuse(account_id, answer)
        return answer.lsn

    def _decoded(self, delivery: Delivery, account_id: str) -> Command:
        return decode(delivery.body, self._resolve, account_id if self._is_own_key else "")

    def _execute(self, command: Command) -> Answer:
        if isinstance(command, CancelOrder):
            answer = self._trade.cancel(command)
            self._note(
                Act.ORDER_CANCEL, command.account_id, answer, audited.of_change(command.order_id, answer)
            )
        elif isinstance(command, AmendOrder):
            answer = self._trade.amend(command)
            detail = audited.of_change(command.order_id, answer, price=command.price, volume=command.volume)
            self._note(Act.ORDER_AMEND, command.account_id, answer, detail)
        else:
            assert isinstance(command, Transfer)
            answer = self._trade.transfer(command.account_id, command.amount, bank_id=command.bank_id)
            detail = {"amount": command.amount, "bank_id": command.bank_id}
            self._note(Act.TRANSFER, command.account_id, answer, detail)
        return answer

    def _note(self, act: Act, account_id: str, answer: Answer, detail: dict[str, Any]) -> None:
        """Write a command into the audit log; who sent it, only RabbitMQ knows."""
        if self._record is not None:
            result = audited.result_of(answer)
            self._record(act, "", result=result, account_id=account_id, address="rabbitmq", **detail)

    def _insert(self, order: InsertOrder, entry: Entry) -> int:
        account_id, delivery = order.account_id, entry.delivery
        if delivery.redelivered and self._doubted_day not in (0, self._trade.trading_day):
            # It may have been executed in a day whose ids are gone: refused rather than executed twice.
            text = "换日后重复投递的报单，未执行"
            self._refuse(account_id, Answer(code=BAD_PARAMETERS, order_id=order.order_id, text=text))
            return 0
        is_outside = self._trade.is_outside(account_id)
        if is_outside and delivery.redelivered and not self._trade.takes_orders(account_id):
            raise _Away
        if not order.order_id:
            if not entry.order_id:
                entry.order_id, is_again = self._ids.name(delivery, account_id, self._trade.trading_day)
                if is_again:
                    self._met_again(msgspec.structs.replace(order, order_id=entry.order_id))
                    entry.day = self._trade.trading_day if is_outside and entry.order_id else None
                    return 0
            order = msgspec.structs.replace(order, order_id=entry.order_id)
        answer = self._trade.insert(order)
        if answer.code == NO_INSTRUMENT and self._may_come(order.symbol):
            raise _NotYet
        if answer.code == NO_BROKER and delivery.redelivered:
            raise _Away
        self.orders_count += 1
        is_again = answer.code == DUPLICATE and delivery.redelivered
        if is_again:
            self._met_again(order)
        else:
            self._note(Act.ORDER_SUBMIT, account_id, answer, audited.of_order(order, answer))
        if not answer.ok and not is_again:
            self._refuse(account_id, answer)
        elif is_outside:
            entry.order_id, entry.day = order.order_id, self._trade.trading_day
        return 0 if is_outside else answer.lsn

    def _met_again(self, order: InsertOrder) -> None:
        """Count an order that was executed before; a kill may have taken its line of the audit log."""
        self.seen_before_count += 1
        detail = audited.of_order(order, Answer(code=0)) | {"again": True}
        self._note(Act.ORDER_SUBMIT, order.account_id, Answer(code=0), detail)

    def _expect(self, delivery: Delivery, account_id: str) -> None:
        """Ask for the instrument of an order behind one that waits: their waits run at the same time."""
        with suppress(Exception):  # it is judged when it has its turn
            command = self._decoded(delivery, account_id)
            if isinstance(command, InsertOrder) and not self._trade.knows(command.symbol):
                self._may_come(command.symbol)

    def _may_come(self, symbol: str) -> bool:
        """Ask for the instrument; tell whether there is time left for its first quote."""
        now_s = monotonic_s()
        until_s = self._asked.get(symbol)
        if until_s is None:
            until_s = self._asked[symbol] = now_s + self._settings.instrument_wait_s
            if len(self._asked) > ASKED_COUNT:
                self._asked.popitem(last=False)
            self._want(symbol)
        return now_s < until_s

    def _answer(self, question: Question) -> None:
        ask, account_id = question.ask, question.account_id
        if ask is Ask.SETTLEMENT:
            self._statements[(account_id, question.day)] = None
            if len(self._statements) > STATEMENTS_COUNT:
                del self._statements[next(iter(self._statements))]
                self.statements_dropped_count += 1
            self._statement_asked.set()
        elif ask is Ask.BANK:
            self._results.event(account_id, {"code": 0, "ask": str(ask), "text": "", "trading_day": 0})
        else:
            self._results.tell_all(account_id, str(ask))

    async def _tell_statements(self) -> None:
        """Tell statements that were asked for, one after another; orders do not wait for them."""
        while True:
            await self._statement_asked.wait()
            self._statement_asked.clear()
            while self._statements:
                account_id, day = next(iter(self._statements))
                del self._statements[(account_id, day)]
                code, text = 0, ""
                try:
                    text = await self._trade.statement(account_id, day)
                except QautlraError as error:
                    code, text = INTERNAL, f"查询结算单失败,{error.message}"
                data = {"code": code, "ask": str(Ask.SETTLEMENT), "text": text, "trading_day": day}
                self._results.event(account_id, data)

    def _refuse(self, account_id: str, answer: Answer) -> None:
        data = {"code": answer.code, "text": answer.text, "order_id": answer.order_id}
        self._results.event(account_id, data)

    def _bury(self, entry: Entry, error: BadOrder, account_id: str) -> None:
        """Keep what cannot be read where a person finds it; tell the account if it is known, and go on."""
        delivery = entry.delivery
        self.dead_count += 1
        if times := self._seldom.due(delivery.queue):
            _log.warning("order_unreadable", account_id=account_id, reason=error.message[:200], times=times)
        entry.unreadable = error.message
        if error.account_id or self._is_own_key:
            self._refuse(account_id, Answer(code=error.number, order_id=error.order_id, text=error.message))

    async def _acknowledge(self) -> None:
        """Acknowledge what is durable, whole groups at a time."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(ACK_EVERY_S)  # reports go first; and nobody but the broker waits for it
            self._wake.clear()
            done, self._done = self._done, []
            if not done:
                continue
            await self._trade.durable(max(entry.lsn for entry in done))
            await self._results.room()
            await self._bus.ack([entry.delivery for entry in done])
            self._results.acknowledged()
            if done[-1].delivery.epoch == self._epoch:
                self.unacked_count -= len(done)
