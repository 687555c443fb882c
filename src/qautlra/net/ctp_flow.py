"""The private flow of one account on the simulated front: numbered orders and trades, told and told again.

Made from the engine's orders and trades of the day when its first session logs in, so that a restart of the
server loses nothing; RESTART plays it whole, RESUME what a session has not seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Protocol

from qautlra.base.clock import monotonic_s
from qautlra.base.loop import give_way
from qautlra.model import codes
from qautlra.model.order import Change, Order, Trade
from qautlra.wire.ctp_frames import FROM_NUMBER, QUICK, RESTART, RESUME, Kind, frame
from qautlra.wire.ctp_orders import is_own_refusal, write_order, write_trade, write_unwithdrawn
from qautlra.wire.ctp_records import layout
from qautlra.wire.trade_rows import statuses

FLOW_FRAMES_COUNT: Final = 50_000
PIECE_COUNT: Final = 256
"Frames that are sent at a time, a millisecond's."
SLICE_S: Final = 0.002
PLACE_BITS: Final = 20
MARK: Final = (1 << 28) - 1
Pushed = list[tuple[int, bytes]]


class Engine(Protocol):
    """What a flow asks of trading."""

    @property
    def trading_day(self) -> int: ...
    def orders(self, account_id: str) -> list[Order]: ...
    def trades(self, account_id: str) -> list[Trade]: ...
    def order_numbers(self, account_id: str, statuses: int) -> list[int]: ...
    def trade_numbers(self, account_id: str) -> list[int]: ...
    def order(self, number: int) -> Order: ...
    def trade(self, number: int) -> Trade: ...
    def find(self, account_id: str, order_id: str) -> Order | None: ...
    def subscribe(
        self,
        account_id: str | None,
        callback: Callable[[Change, Pushed], None],
        prepare: Callable[[Change], Pushed] | None = None,
    ) -> Callable[[], None]: ...


class Flow:
    """Owner: the desk. FLOW_FRAMES_COUNT frames, or twice what the day's orders and trades need: beyond it an
    order's history becomes its state.

    A number is the flow's own mark and the frame's place in it: one of another flow (before a restart, of
    another day) means nothing here, and who resumes with it is told everything.
    """

    def __init__(self, trade: Engine, account_id: str, broker: str, mark: int) -> None:
        self._trade = trade
        self._broker = broker
        self._frames: list[bytes] = []
        self._most = FLOW_FRAMES_COUNT
        self._mark = mark & MARK
        self._before = 0  # numbers up to this one are not kept any more
        self._known: set[int] = set()  # orders told
        self._untold: dict[
            int, dict[int, Trade]
        ] = {}  # orders of the day so far that are not in it yet: their trades
        self._is_whole = asyncio.Event()
        self._making: asyncio.Task[None] | None = None
        self._coming: set[object] = set()  # sessions that are being sent the day so far
        self._traded: set[int] = set()
        self._sessions: dict[object, Callable[[bytes], None]] = {}
        self.account_id = account_id
        self.flags: dict[str, str] = {}
        "Offset flags as they were sent, where the house's word for it has two."
        self._by_sys_id: dict[tuple[str, str], str] = {}
        "Names of orders by exchange and the number it gave: exchanges number each for themselves."
        self._make_day()
        self._end = trade.subscribe(account_id, self._tell, self._prepare)

    def close(self) -> None:
        """Hear no more."""
        self._stop_making()
        self._end()

    @property
    def number(self) -> int:
        """Place of the newest frame, counted from 1."""
        return self._before + len(self._frames)

    @property
    def kept_count(self) -> int:
        """How many frames of the day are kept."""
        return len(self._frames)

    @property
    def sessions_count(self) -> int:
        """How many sessions listen."""
        return len(self._sessions) + len(self._coming)

    async def follow(
        self,
        session: object,
        send: Callable[[bytes], None],
        mode: int,
        seen: int,
        room: Callable[[], Awaitable[None]],
    ) -> None:
        """Send what the mode asks for of the day so far, then what is new; between pieces await `room`."""
        self._coming.add(session)
        try:
            await self._send_day(send, mode, seen, room)
        finally:
            self._coming.discard(session)
        if mode in (RESTART, RESUME, QUICK, FROM_NUMBER):
            self._sessions[session] = send

    async def _send_day(
        self, send: Callable[[bytes], None], mode: int, seen: int, room: Callable[[], Awaitable[None]]
    ) -> None:
        await self._is_whole.wait()
        place = seen & ((1 << PLACE_BITS) - 1)
        if mode == RESTART or seen >> PLACE_BITS != self._mark or place > self.number:
            place = 0
        mark = self._mark
        while mode in (RESTART, RESUME, FROM_NUMBER):
            if mark != self._mark:  # another day has begun meanwhile
                mark, place = self._mark, 0
            first = max(place - self._before, 0)
            piece = self._frames[first : first + PIECE_COUNT]
            if not piece:
                break
            for one in piece:
                send(one)
            place = self._before + first + len(piece)
            await room()
            await self._is_whole.wait()

    def named(self, exchange: str, sys_id: str) -> str:
        """Return an order's name by the exchange's number, any exchange's where none is named; or ""."""
        if exchange:
            return self._by_sys_id.get((exchange, sys_id), "")
        return next((name for (_, known), name in self._by_sys_id.items() if known == sys_id), "")

    def detach(self, session: object) -> None:
        """Forget a session."""
        self._sessions.pop(session, None)
        self._coming.discard(session)

    def tell(self, made: bytes) -> None:
        """Send a frame that is not part of the numbered flow to every session."""
        for send in list(self._sessions.values()):
            send(made)

    def push(self, pushed: Sequence[tuple[int, bytes]]) -> None:
        """Add to the flow and send to every session."""
        first = len(self._frames)
        self._keep(pushed)
        for at in range(first, len(self._frames)):
            self.tell(self._frames[at])
        if len(self._frames) > self._most and self._making is None:
            self._before = self.number
            self._frames = []
            self._known.clear()
            self._make_day()

    def _keep(self, pushed: Sequence[tuple[int, bytes]]) -> None:
        for kind, record in pushed:
            place = (self.number + 1) & ((1 << PLACE_BITS) - 1)
            self._frames.append(frame(kind, record, number=self._mark << PLACE_BITS | place))

    def _make_day(self) -> None:
        """Begin to put the day so far into the flow; UnavailableError when trading does not run."""
        trade, account_id = self._trade, self.account_id
        self._stop_making()
        self._untold = {number: {} for number in trade.order_numbers(account_id, statuses(""))}
        work = self._day(trade.trade_numbers(account_id))
        until_s = monotonic_s() + SLICE_S
        for _ in work:
            if monotonic_s() >= until_s:
                self._is_whole.clear()
                self._making = asyncio.get_running_loop().create_task(self._make_rest(work))
                return
        self._day_is_made()

    async def _make_rest(self, work: Iterator[None]) -> None:
        await give_way()
        until_s = monotonic_s() + SLICE_S
        for _ in work:
            if monotonic_s() >= until_s:
                await give_way()
                until_s = monotonic_s() + SLICE_S
        self._day_is_made()

    def _day_is_made(self) -> None:
        self._most = max(FLOW_FRAMES_COUNT, 2 * len(self._frames))
        self._making = None
        self._is_whole.set()

    def _stop_making(self) -> None:
        if self._making is not None:
            self._making.cancel()
            self._making = None
        self._untold = {}

    def _day(self, trades: Sequence[int]) -> Iterator[None]:
        """Put the day so far into the flow, each trade behind its order, step by step.

        What comes between two steps of an order that is not told yet is told with it.
        """
        day = self._trade.trading_day
        for number in trades:
            if self._trade.trading_day != day:
                return
            self._lay_by(self._trade.trade(number))
            yield
        for number in list(self._untold):  # the first of a dict is looked for behind all that have gone
            if self._trade.trading_day != day:
                return
            order = self._trade.order(number)
            mine = self._untold.pop(number)
            if not is_own_refusal(order):
                made = self._order(order)
                for trade in mine.values():
                    self._traded.add(trade.number)
                    made.append((Kind.RTN_TRADE, self._trade_record(trade, order)))
                self._keep(made)
            yield

    def _lay_by(self, trade: Trade) -> bool:
        """Keep a trade for when its order is told; False where it has been."""
        order = self._trade.find(self.account_id, trade.order_id)
        mine = self._untold.get(order.number) if order is not None else None
        if mine is None:
            return False
        mine[trade.number] = trade
        return True

    def _prepare(self, change: Change) -> Pushed:
        if change.day:
            self._begin_day()
        made: Pushed = []
        told: set[int] = set()
        events = change.events or (*change.orders, *(-1 - number for number in change.trades))
        for event in events:
            if event >= 0:
                if (
                    event not in told and event not in self._untold
                ):  # as it is now: what it was in between nobody asks for
                    told.add(event)
                    order = self._trade.order(event)
                    made += self._order(order) if not is_own_refusal(order) else []
            elif (number := -1 - event) not in self._traded:
                self._traded.add(number)
                trade = self._trade.trade(number)
                if self._untold and self._lay_by(trade):
                    continue
                found = self._trade.find(self.account_id, trade.order_id)
                if found is not None:
                    if found.number not in told:
                        told.add(found.number)
                        made += self._order(found)
                    made.append((Kind.RTN_TRADE, self._trade_record(trade, found)))
        return made

    def _tell(self, change: Change, pushed: Pushed) -> None:
        if pushed:
            self.push(pushed)
        for refused in change.refused:
            order = self._trade.find(self.account_id, refused.order_id)
            if order is not None:
                error = codes.describe(refused.code).ctp
                record = write_unwithdrawn(order, broker=self._broker, text=refused.text)
                self.tell(frame(Kind.ERR_ACTION, record, error=error, text=refused.text, answer=True))

    def _begin_day(self) -> None:
        self._stop_making()
        self._is_whole.set()
        self._frames = []
        self._most = FLOW_FRAMES_COUNT
        self._before = 0
        self._mark = (self._mark + 1) & MARK
        self._known.clear()
        self._traded.clear()
        self.flags.clear()
        self._by_sys_id.clear()

    def _order(self, order: Order) -> Pushed:
        if order.exchange_order_id:
            self._by_sys_id[order.symbol.partition(".")[0], order.exchange_order_id] = order.order_id
        states = [False]
        if order.number not in self._known:
            self._known.add(order.number)
            if order.exchange_order_id or not order.is_alive:  # else it is in its first state still
                states = [True, False]
        return [(Kind.RTN_ORDER, self.order_record(order, accepted=accepted)) for accepted in states]

    def order_record(self, order: Order, *, accepted: bool = False) -> bytes:
        """Return the Order record as this front says it."""
        return write_order(
            order,
            broker=self._broker,
            trading_day=self._trade.trading_day,
            flags=self.flags.get(order.order_id, ""),
            accepted=accepted,
            into=layout("Order"),
        )

    def _trade_record(self, trade: Trade, order: Order) -> bytes:
        return write_trade(
            trade,
            order,
            broker=self._broker,
            trading_day=self._trade.trading_day,
            flag=self.flags.get(order.order_id, ""),
        )

    def trade_record(self, trade: Trade) -> bytes:
        """Return the Trade record as this front says it; b"" of a trade whose order is gone with its day."""
        order = self._trade.find(self.account_id, trade.order_id)
        return b"" if order is None else self._trade_record(trade, order)
