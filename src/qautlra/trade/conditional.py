"""Conditional orders: what waits for a price, a time or an opening, and the orders it then releases.

A change of state is a note in the journal before it takes effect, and the ids of released orders derive from
the conditional order's: a kill neither loses one nor enters one twice. What a broker outside makes of a
released order is written to it as well.
"""

from __future__ import annotations

import asyncio
import builtins
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.log import get_logger
from qautlra.model import codes
from qautlra.model.condition import (
    TEXTS,
    Condition,
    Conditional,
    ConditionAnswer,
    Kind,
    Outcome,
    Release,
    State,
    Validity,
)
from qautlra.model.order import CancelOrder, Change, Offset
from qautlra.trade import condition_checks as checks
from qautlra.trade.brokers.base import NEVER_IN, UNKNOWN
from qautlra.trade.notes import Note, to_bytes
from qautlra.trade.releasing import PREFIX, fixed_price_of, releases
from qautlra.trade.watching import Key, Watch
from qautlra.wire import trade_rows as rows

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra._core.tape import Tape
    from qautlra.trade.house import House

FINISHED_MAX: Final = 1000
"Of an account; those that ended first are forgotten."
LOGIN_S: Final = 60.0
"After a start what is released waits at most so long for the first login at a broker outside."
ENDS_COUNT: Final = 32
LOOKS_COUNT: Final = 512
"With a new day so many end, or are looked at, in one turn of the loop: a millisecond or two."
TOUCHED_TEXT: Final = "已触发"
_FAR_NS: Final = 1 << 62
_log = get_logger("trade")


class ConditionNote(Note, frozen=True, kw_only=True, tag="condition"):
    """A conditional order as it is from here on."""

    order: Conditional


class _Counts:
    """Of one account: who waits, who is over and done with, and how many were sent on the newest day."""

    def __init__(self) -> None:
        self.waiting: dict[str, None] = {}
        self.over: dict[str, None] = {}
        self.day = self.day_count = 0

    def put(self, order: Conditional, *, is_new: bool) -> None:
        """Count an order as it is now."""
        if is_new and order.trading_day != self.day:
            self.day, self.day_count = order.trading_day, 0
        self.day_count += is_new
        self.waiting.pop(order.order_id, None)
        self.over.pop(order.order_id, None)
        if order.is_waiting:
            self.waiting[order.order_id] = None
        elif not order.is_releasing:
            self.over[order.order_id] = None


class Conditions:
    """All conditional orders. One thread; bounds: `trade.conditions.*` and FINISHED_MAX, per account."""

    def __init__(self, trade: House, tape: Tape, instruments: Instruments) -> None:
        self._trade = trade
        self._watch = Watch(tape, instruments)
        self._of: dict[str, dict[str, Conditional]] = {}
        self._counts: dict[str, _Counts] = {}
        self._timed: dict[Key, None] = {}
        self._next_ns = _FAR_NS
        self._old: deque[Key] = deque()  # to be looked at whether they still wait on this day
        self._releasing: dict[Key, bool] = {}  # whether it may wait for what a start brings
        self._began_s = monotonic_s()
        self._ends = metrics.counter(
            "qautlra_trade_conditions_ended_count", "Conditional orders by how they ended", ["state"]
        )
        metrics.watch(
            "qautlra_trade_conditions_waiting_count",
            "Conditional orders that wait",
            lambda: self._watch.count,
        )
        trade.notes.register(ConditionNote, self._restore, self._kept)
        trade.on_tick.append(self.on_tick)
        trade.on_turn.append(self.on_turn)
        trade.router.subscribe(None, self._follow)

    def _kept(self) -> list[ConditionNote]:
        return [ConditionNote(order=order) for account in self._of.values() for order in account.values()]

    def _restore(self, notes: list[ConditionNote]) -> None:
        self._watch.clear()
        self._began_s = monotonic_s()
        for table in (self._of, self._counts, self._timed, self._releasing):
            table.clear()
        for note in notes:
            self._put(note.order)
        for account in self._of.values():
            for order in account.values():
                self._index(order)
                if order.is_releasing:
                    self._releasing[order.account_id, order.order_id] = True
        self.new_day()  # a kill may have been quicker than the ends of the day before

    # --- requests ---

    def insert(self, order: Conditional) -> ConditionAnswer:
        """Begin to wait; the state, the day and the times of `order` are set here."""
        trade = self._trade
        trade.keep_day()
        now_ns = trade.clock.now_ns()
        order = msgspec.structs.replace(
            order,
            state=State.LIVE,
            trading_day=trade.trading_day,
            insert_ns=now_ns,
            end_ns=0,
            end_day=0,
            armed=(),
            releases=(),
            text="",
        )
        refused = self._refusal(order, now_ns)
        if refused is not None:
            return self._refuse(refused)
        code = self._never_taken(order)
        if code:
            return self._refuse(Outcome.BAD_ORDER_PRICE, code)
        return self._change(order, Outcome.INSERTED)

    def cancel(self, account_id: str, order_id: str) -> ConditionAnswer:
        """Wait no more."""
        order = self.get(account_id, order_id)
        if order is None:
            return self._refuse(Outcome.CANCEL_UNKNOWN)
        refused = checks.NO_CANCEL.get(order.state)
        if refused is not None:
            return self._refuse(refused)
        return self._change(self._ended(order, State.CANCEL, "已撤单"), Outcome.CANCELLED)

    def pause(self, account_id: str, order_id: str) -> ConditionAnswer:
        """Look no more until it is resumed."""
        order = self.get(account_id, order_id)
        if order is None:
            return self._refuse(Outcome.PAUSE_UNKNOWN)
        refused = checks.NO_PAUSE.get(order.state)
        if refused is not None:
            return self._refuse(refused)
        return self._change(msgspec.structs.replace(order, state=State.SUSPEND), Outcome.PAUSED)

    def resume(self, account_id: str, order_id: str) -> ConditionAnswer:
        """Look again; what holds meanwhile is met at the next tick."""
        order = self.get(account_id, order_id)
        if order is None:
            return self._refuse(Outcome.RESUME_UNKNOWN)
        if order.state is not State.SUSPEND:
            return self._refuse(Outcome.RESUME_NOT_PAUSED)
        return self._change(msgspec.structs.replace(order, state=State.LIVE), Outcome.RESUMED)

    # --- reads ---

    def get(self, account_id: str, order_id: str) -> Conditional | None:
        """Return a conditional order, None when there is none."""
        return self._of.get(account_id, {}).get(order_id)

    def list(self, account_id: str) -> list[Conditional]:
        """Return the account's conditional orders, oldest first, finished ones included."""
        return list(self._of.get(account_id, {}).values())

    def history(self, account_id: str, day: int) -> builtins.list[Conditional]:
        """Return those that were sent or ended on a trading day (YYYYMMDD) and wait no more."""
        return [o for o in self.list(account_id) if not o.is_waiting and day in (o.trading_day, o.end_day)]

    def statistics(self, account_id: str) -> dict[str, int]:
        """Return how many of the account's are in each state, and how many were sent today."""
        orders = self.list(account_id)
        counts = Counter(order.state.value for order in orders)
        today = self._trade.trading_day
        return {
            "total": len(orders),
            **{state.value: counts[state.value] for state in State},
            "failed": sum(any(r.code for r in order.releases) for order in orders),
            "today": sum(order.trading_day == today for order in orders),
        }

    # --- the market ---

    def on_tick(self) -> None:
        """Look at what the newest batch says of the instruments that are waited for."""
        if self._releasing:
            self._go_on()
        if self._watch.is_idle:
            return
        for symbol in self._watch.moved():
            self._look(symbol)
        if self._trade.clock.now_ns() >= self._next_ns:
            self.on_turn()

    def on_turn(self) -> None:
        """Look at what waits for a time or an opening; once a second, and when a time has come."""
        if self._releasing:
            self._go_on()
        now_ns = self._trade.clock.now_ns()
        for key in list(self._timed):
            order = self._of[key[0]][key[1]]
            if order.until_ns and now_ns >= order.until_ns:
                self._change(self._ended(order, State.DISCARD, "已过有效期"))
            elif order.state is State.LIVE and checks.waits_for_time(order):
                self._look_at(order)
        times = (
            moment
            for account_id, order_id in self._timed
            for moment in checks.moments(self._of[account_id][order_id])
            if moment > now_ns
        )
        self._next_ns = min(times, default=_FAR_NS)

    def _look(self, symbol: str) -> None:
        is_open = self._trade.is_open(symbol)
        for account_id, order_id in self._watch.due(symbol, is_open=is_open):
            order = self._of[account_id][order_id]
            if order.state is State.LIVE:
                self._look_at(order)
        self._watch.looked(symbol, is_open=is_open)

    def _look_at(self, order: Conditional) -> None:
        if self._old and self._end_if_old(order):
            return
        armed = checks.armed(order, self._watch.prices)
        if armed != order.armed:
            order = msgspec.structs.replace(order, armed=armed)
            if not self._change(order).ok:
                return
        holds = all if order.every else any
        if holds(self._holds(order, number) for number in range(len(order.conditions))):
            self._touch(order)

    def _holds(self, order: Conditional, number: int) -> bool:
        condition = order.conditions[number]
        now_ns = self._trade.clock.now_ns()
        if condition.kind is Kind.TIME:
            return now_ns >= condition.time_ns
        if condition.kind is Kind.MARKET_OPEN:
            return self._trade.is_open(condition.symbol)
        return (
            (condition.kind is not Kind.BREAK_EVEN or number in order.armed)
            and self._is_at(condition)
            and self._trade.is_open(condition.symbol)
        )

    def _is_at(self, condition: Condition) -> bool:
        price = self._watch.prices.get(condition.symbol)
        return price is not None and checks.is_at(condition, price)

    # --- releasing ---

    def _touch(self, order: Conditional) -> None:
        made = releases(order, self._watch.snapshot, lambda symbol: self._position(order.account_id, symbol))
        text = TOUCHED_TEXT if made else f"{TOUCHED_TEXT},无持仓可平"
        touched = msgspec.structs.replace(self._ended(order, State.TOUCHED, text), releases=made)
        if self._change(touched).ok and made:
            _log.info("condition_touched", account_id=order.account_id, order_id=order.order_id)
            self._release(touched, again=self._is_starting)

    def _release(self, order: Conditional, *, again: bool) -> None:
        """Enter what is not entered yet; what was entered before a kill is met by its id."""
        if order.cancel_closing and order.releases[0].code is None:
            self._cancel_closing(order)
        made = list(order.releases)
        for number, release in enumerate(made):
            if release.code is None:
                code = self._enter(release, again=again)
                if code is not None:
                    made[number] = msgspec.structs.replace(release, code=code)
        if tuple(made) != order.releases:
            order = self._said(msgspec.structs.replace(order, releases=tuple(made)))
            self._change(order)
        key = (order.account_id, order.order_id)
        if order.is_releasing:
            self._releasing[key] = again
        else:
            self._releasing.pop(key, None)

    def _enter(self, release: Release, *, again: bool) -> int | None:
        """Return the code of the entered order; None when it must be tried again."""
        trade, order = self._trade, release.order
        for order_id in release.after:
            closing = trade.find(order.account_id, order_id)
            if closing is not None and closing.is_alive:
                return None
            if closing is None or closing.volume_left:
                return codes.NOT_REVERSED
        answer = trade.insert(order)
        if answer.code == codes.NOT_JOURNALED or (again and answer.code == codes.NO_INSTRUMENT):
            return None  # after a start its first price may not be there yet
        if again and answer.code == codes.UNAVAILABLE and self._is_starting:
            seat = trade.router.seat(order.account_id)
            if seat is not None and seat.code == NEVER_IN:
                return None  # its broker's first login is under way
        if answer.code == codes.DUPLICATE and again:
            before = trade.find(order.account_id, order.order_id)
            return 0 if before is None else before.code
        return answer.code

    @property
    def _is_starting(self) -> bool:
        return monotonic_s() < self._began_s + LOGIN_S

    def _said(self, order: Conditional) -> Conditional:
        """Return it with a text that says what became of its orders, as far as that is known."""
        refused = unknown = ""
        for release in order.releases:
            if release.code is None:
                continue
            found = self._trade.find(order.account_id, release.order.order_id)
            if release.code and not refused:
                told = found.message if found is not None and found.code == release.code else ""
                refused = told or codes.describe(release.code).text
            elif found is not None and found.is_alive and found.message == UNKNOWN:
                unknown = UNKNOWN
        what = f",委托未成功:{refused}" if refused else f",{unknown}" if unknown else ""
        return msgspec.structs.replace(order, text=f"{TOUCHED_TEXT}{what}")

    def _follow(self, change: Change, _prepared: object) -> None:
        """Take what a broker outside says of released orders; one it never got may yet turn up there."""
        for number in change.orders if self._trade.is_running else ():
            found = self._trade.order(number)
            if not found.order_id.startswith(PREFIX):
                continue
            order = self.get(change.account_id, found.order_id[len(PREFIX) :].rpartition(".")[0])
            if order is None or order.state is not State.TOUCHED:
                continue
            judged = self._said(
                msgspec.structs.replace(
                    order,
                    releases=tuple(
                        msgspec.structs.replace(one, code=found.code)
                        if one.order.order_id == found.order_id and one.code not in (None, codes.DUPLICATE)
                        else one
                        for one in order.releases
                    ),
                )
            )
            if judged != order:
                self._change(judged)

    def _go_on(self) -> None:
        for key, again in list(self._releasing.items()):
            order = self._of[key[0]][key[1]]
            if order.end_day == self._trade.trading_day:
                self._release(order, again=again)
            else:
                self._give_up(order)

    def _give_up(self, order: Conditional) -> None:
        """The day it was touched in is over: what was not entered then is not entered."""
        late = [
            one if one.code is not None else msgspec.structs.replace(one, code=codes.NOT_TRADING)
            for one in order.releases
        ]
        self._change(self._said(msgspec.structs.replace(order, releases=tuple(late))))
        self._releasing.pop((order.account_id, order.order_id), None)

    def _cancel_closing(self, order: Conditional) -> None:
        symbols = {leg.symbol for leg in order.legs}
        for number in self._trade.order_numbers(order.account_id, rows.ALIVE):
            one = self._trade.order(number)
            if one.offset is Offset.OPEN or one.symbol not in symbols:
                continue
            if not one.order_id.startswith(f"{PREFIX}{order.order_id}."):
                self._trade.cancel(CancelOrder(account_id=order.account_id, order_id=one.order_id))

    # --- days ---

    def new_day(self) -> None:
        """A trading day has begun: what was to wait no longer than the one before ends, a few at a time.

        Until then it is not met either: `_look_at` ends it.
        """
        self._old = deque((name, order_id) for name, account in self._of.items() for order_id in account)
        self._end_old()

    def _end_old(self) -> None:
        left = ENDS_COUNT
        for _ in range(min(len(self._old), LOOKS_COUNT)):
            account_id, order_id = self._old.popleft()
            order = self.get(account_id, order_id)
            if order is not None:
                left -= self._end_if_old(order)
            if not left:
                break
        if self._old:
            asyncio.get_running_loop().call_soon(self._end_old)

    def _end_if_old(self, order: Conditional) -> bool:
        """End an order that is not to wait any more on this trading day; tell whether it was one."""
        trade = self._trade
        if not trade.is_running:
            return False
        day = trade.trading_day
        if order.is_releasing and order.end_day != day:
            self._give_up(order)
            return True
        if not order.is_waiting or order.trading_day == day:
            return False
        last = {Validity.GFD: order.trading_day, Validity.GTD: order.last_day}.get(order.validity)
        if last is not None and last < day:
            text = "已过有效期"
        elif any(trade.engine.has_ended(leg.symbol, day) for leg in order.legs):
            text = "合约已到期"
        else:
            return False
        ended = self._ended(order, State.DISCARD, text)
        self._change(msgspec.structs.replace(ended, end_day=trade.day_before or last or order.trading_day))
        return True

    # --- keeping ---

    def _refusal(self, order: Conditional, now_ns: int) -> Outcome | None:
        trade, settings = self._trade, self._trade.settings
        if not trade.has(order.account_id):
            return Outcome.WRONG_USER
        known = self._of.get(order.account_id, {})
        if order.order_id in known:
            return Outcome.DUPLICATE
        counts = self._counts.get(order.account_id, _Counts())
        if counts.day == order.trading_day and counts.day_count >= settings.conditions.day_max:
            return Outcome.TOO_MANY_TODAY
        if len(counts.waiting) >= settings.conditions.valid_max:
            return Outcome.TOO_MANY
        refused = checks.refusal(order, trade.knows, now_ns)
        if refused is not None:
            return refused
        for condition in order.conditions:
            self._watch.read(condition.symbol)
        met = [
            condition.kind is not Kind.BREAK_EVEN
            and (
                self._is_at(condition)
                if condition.kind in (Kind.PRICE, Kind.PRICE_RANGE)
                else self._holds(order, number)
            )
            for number, condition in enumerate(order.conditions)
        ]
        if order.every and len(met) > 1:
            return Outcome.ALL_MET if all(met) else None
        late = any(m and c.kind is Kind.TIME for m, c in zip(met, order.conditions, strict=True))
        return Outcome.TIME_PAST if late else Outcome.ALREADY_MET if any(met) else None

    def _never_taken(self, order: Conditional) -> int:
        """Return the code of an order price that is refused as long as this may wait, 0 without one.

        The day's limits are those of its day: what waits longer is held against the tick only.
        """
        engine = self._trade.engine
        if engine.outside(order.account_id) is not None:
            return 0
        ends = {Validity.GFD: order.trading_day, Validity.GTD: order.last_day}.get(order.validity)
        if order.until_ns and self._trade.day_of(order.until_ns) <= order.trading_day:
            ends = order.trading_day
        for leg in order.legs:
            price, number = fixed_price_of(order, leg), engine.instrument(leg.symbol)
            if price is None or number is None:
                continue
            code = engine.check_price(number, price)
            if code == codes.BAD_TICK:
                return code
            if code and ends == order.trading_day and engine.is_limited(number):
                return code
        return 0

    def _ended(self, order: Conditional, state: State, text: str) -> Conditional:
        trade = self._trade
        return msgspec.structs.replace(
            order, state=state, end_ns=trade.clock.now_ns(), end_day=trade.trading_day, text=text
        )

    def _refuse(self, outcome: Outcome, code: int = 0) -> ConditionAnswer:
        return ConditionAnswer(outcome=outcome, code=code or checks.HOUSE_CODES[outcome], text=TEXTS[outcome])

    def _change(self, order: Conditional, outcome: Outcome = Outcome.INSERTED) -> ConditionAnswer:
        """Write the new value down, then let it hold; refused, nothing has changed."""
        code, lsn = self._trade.note(to_bytes(ConditionNote(order=order)))
        if code:
            return ConditionAnswer(outcome=Outcome.STOPPED, code=code, text=TEXTS[Outcome.STOPPED])
        before = self.get(order.account_id, order.order_id)
        self._put(order)
        self._index(order)
        if not order.is_waiting and (before is None or before.is_waiting):
            self._ends.labels(order.state.value).inc()
        self._trade.condition_changed(order.account_id, order.order_id)
        return ConditionAnswer(outcome=outcome, text=TEXTS[outcome], lsn=lsn, order=order)

    def _put(self, order: Conditional) -> None:
        account = self._of.setdefault(order.account_id, {})
        counts = self._counts.setdefault(order.account_id, _Counts())
        counts.put(order, is_new=order.order_id not in account)
        account[order.order_id] = order
        while len(account) > FINISHED_MAX and counts.over:
            oldest = next(iter(counts.over))
            del account[oldest], counts.over[oldest]

    def _index(self, order: Conditional) -> None:
        """Watch what a living one waits for, and nothing for one that does not."""
        key = (order.account_id, order.order_id)
        self._watch.index(order)
        if order.is_waiting and checks.is_timed(order):
            self._timed[key] = None
            self._next_ns = min([self._next_ns, *checks.moments(order)])
        else:
            self._timed.pop(key, None)

    def _position(self, account_id: str, symbol: str) -> dict[str, Any] | None:
        return self._trade.position(account_id, symbol)
