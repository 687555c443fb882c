"""One account's changes as DIFF, made once however many sessions watch: patches and notices."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import orjson

from qautlra._core import orders
from qautlra.base import metrics
from qautlra.base.clock import monotonic_s, new_token
from qautlra.base.errors import LimitError
from qautlra.base.limits import CLIENTS_COUNT, SESSIONS_PER_ACCOUNT_COUNT
from qautlra.base.loop import batched
from qautlra.model import codes
from qautlra.wire import conditions as conditions_wire
from qautlra.wire import trade as wire

if TYPE_CHECKING:
    from qautlra._core.exchange import Exchange
    from qautlra.model.condition import Conditional
    from qautlra.model.order import Change, Order, Trade
    from qautlra.trade.service import TradeService
    from qautlra.trade.transfers import Transfer

TREE_PAUSE: Final = 20
CONDITIONS_COUNT: Final = 100
"Conditional orders in one packet of a login: a millisecond's."
PIECE_COUNT: Final = 1000
"""Orders or trades the core writes at once: some tenths of a millisecond."""
_WRITERS: Final[Mapping[str, Callable[[Exchange, list[int]], bytes]]] = {
    "orders": orders.encode_orders,
    "trades": orders.encode_trades,
}


class News(NamedTuple):
    """What one change comes to for every session of the account: durable when sessions get it."""

    lsn: int
    patch: wire.Patch
    notices: list[bytes]
    new_day: bool
    packets: tuple[bytes, ...] = ()
    "Packets of their own, beside the data."


class _Tree:
    """Orders and trades of an account of the core in pieces of PIECE_COUNT, as the whole tree has them."""

    def __init__(self, core: tuple[Exchange, int]) -> None:
        self._exchange, self._account = core
        self._numbers = self._now()
        self._made: dict[str, list[bytes]] = {name: [] for name in _WRITERS}
        self._stale: dict[str, set[int]] = {name: set() for name in _WRITERS}

    def _now(self) -> dict[str, list[int]]:
        exchange, account = self._exchange, self._account
        return {"orders": exchange.orders_of(account), "trades": exchange.trades_of(account)}

    def note(self, change: Change) -> None:
        """Remember what is to be written anew."""
        self._stale["orders"].update(change.orders)
        self._stale["trades"].update(change.trades, change.reckoned)

    def grow(self) -> bool:
        """Write one more piece; False when there is none."""
        for name, made in self._made.items():
            first = len(made) * PIECE_COUNT
            if numbers := self._numbers[name][first : first + PIECE_COUNT]:
                made.append(_WRITERS[name](self._exchange, numbers))
                return True
        return False

    def pieces(self) -> dict[str, list[bytes]]:
        """Return all pieces as of now."""
        while self.grow():
            pass
        for name, numbers in self._now().items():
            made, known = self._made[name], self._numbers[name]
            stale = {bisect_left(numbers, number) // PIECE_COUNT for number in self._stale[name]}
            stale.update(range(len(known) // PIECE_COUNT, -(-len(numbers) // PIECE_COUNT)))
            for index in sorted(stale if len(numbers) > len(known) or self._stale[name] else ()):
                first = index * PIECE_COUNT
                made[index : index + 1] = [
                    _WRITERS[name](self._exchange, numbers[first : first + PIECE_COUNT])
                ]
        return self._made


class Channel:
    """Renders the changes of one account under one user name, for as long as sessions watch it."""

    def __init__(self, trade: TradeService, account_id: str, user_id: str, *, always_whole: bool) -> None:
        self._trade = trade
        self._account_id = account_id
        self._user_id = user_id
        self._always_whole = always_whole
        self._told: dict[int, bool]  # orders of the day sessions were told of: whether they live
        self._serial = 0
        self._prefix = new_token(6)
        self._sinks: dict[int, Callable[[News], None]] = {}
        self._lane: orders.Lane | None = None
        self._refused: dict[str, int] = {}  # conditional orders whose refusal was told today: its code
        self._is_told = False
        "Whether the only session was told already of what is being prepared."
        self._trees: list[_Tree] = []
        self._end = trade.subscribe(account_id, self._deliver, self._prepare)
        core = self._core()
        if core is not None:
            self._told = orders.lives(*core)
        else:
            shown = [order for order in trade.orders(account_id) if not _is_on_its_way(order)]
            self._told = {order.number: order.is_alive for order in shown}

    def attach(self, key: int, sink: Callable[[News], None]) -> None:
        """Have a session hear of changes from now on."""
        self._sinks[key] = sink

    @property
    def account_id(self) -> str:
        """Whose changes they are."""
        return self._account_id

    def detach(self, key: int) -> bool:
        """Let a session go; True when it was the last: then the channel has ended."""
        self._sinks.pop(key, None)
        if self._sinks:
            return False
        self._end()
        return True

    def lane(self) -> orders.Lane | None:
        """Return what takes an order from its message to the packet; None unless that is for one session."""
        if len(self._sinks) != 1 or self._always_whole or not self._trade.is_running:
            return None
        core = self._core()
        if core is None:
            return None
        if self._lane is None or self._lane.exchange is not core[0]:
            self._lane = orders.Lane(*core, self._user_id, self._prefix)
        return self._lane

    def enter(self, lane: orders.Lane) -> orders.Entered | None:
        """Do what the lane has read; None, and nothing done, where it cannot be told by itself."""
        return self._trade.enter_alone(lane, self._serial)

    def told(self, entered: orders.Entered) -> None:
        """The session has the packet: have everybody else hear of what is in it."""
        assert entered.number is not None
        self._serial = entered.serial
        self._told[entered.number] = entered.alive
        self._is_told = True
        try:
            self._trade.wake()
            self._trade.tell(moved=False)
        finally:
            self._is_told = False

    def whole(self) -> wire.Patch:
        """Return the whole tree as it stands."""
        core = self._core()
        if core is not None:
            return self._planted(_Tree(core), core)
        trade, account_id = self._trade, self._account_id
        patch = self._bare()
        for order in trade.orders(account_id):
            patch.orders[order.order_id] = self._order(order.number)
        for one in trade.trades(account_id):
            patch.trades[one.trade_id] = self._trade_object(one)
        for position in trade.positions(account_id):
            self._position(patch, position["symbol"])
        return patch

    async def grown(self) -> wire.Patch:
        """Return the whole tree, made a piece at a time: others have the loop between.

        Pieces with what changes meanwhile are made again, so it is of one moment, the last.
        """
        while (core := self._core()) is not None:
            tree, day = _Tree(core), self._trade.trading_day
            self._trees.append(tree)
            try:
                is_same = True
                while is_same and tree.grow():
                    await asyncio.sleep(0)
                    is_same = self._core() == core and self._trade.trading_day == day
                if is_same:
                    self._trade.collect()  # what has changed and was told to nobody yet
                    return self._planted(tree, core)
            finally:
                self._trees.remove(tree)
        return self.whole()

    def _planted(self, tree: _Tree, core: tuple[Exchange, int]) -> wire.Patch:
        patch = self._bare()
        patch.large = {"positions": [orders.encode_positions(*core)], **tree.pieces()}
        return patch

    def _bare(self) -> wire.Patch:
        """Return the whole tree without positions, orders and trades."""
        patch = wire.Patch(self._user_id)
        patch.whole = True
        patch.account = self._money()
        patch.banks = orjson.dumps(wire.SIM_BANK)
        for transfer in self._trade.transfers(self._account_id):
            patch.transfers[str(transfer.seq)] = _transfer(transfer)
        return patch

    def notice(self, code: int, text: str, level: str = "INFO", kind: str = "MESSAGE") -> bytes:
        """Return a notice under a key of its own."""
        self._serial += 1
        return wire.notice(f"{self._prefix}{self._serial}", code, text, level, kind)

    def _prepare(self, change: Change) -> News | None:
        for tree in self._trees:
            tree.note(change)
        if self._is_told:
            if not (change.alerts or change.conditions or change.transfers or change.day):
                return None
            change = msgspec.structs.replace(change, orders=(), trades=())
        notices: list[bytes] = []
        core = self._core()
        if change.day:  # yesterday's orders stay in clients' trees: TqSdk fails when a trade is deleted
            self._told.clear()
            self._refused.clear()
        trades = [self._trade.trade(number) for number in change.trades]
        by_end = {one.order_id for one in trades if one.cause}  # nobody sent those
        for number in change.orders:
            if core is None:
                self._tell_outside(self._trade.order(number), notices)
            else:
                order_id, alive, left, code = self._brief(core, number)
                if order_id in by_end:
                    self._told[number] = False
                else:
                    self._tell_order(number, alive, left, code, notices)
        for one in trades:
            if one.cause:
                notices.append(self.notice(wire.EXPIRY_CODE, wire.expiry_text(one)))
            else:
                notices.append(self.notice(406, f"成交通知,合约:{one.symbol},手数:{one.volume}"))
        patch = self._changed(change, core)
        for alert in change.alerts:
            level = "ERROR" if alert["kind"] == "liquidation_triggered" else "WARNING"
            notices.append(self.notice(wire.ALERT_CODES[alert["kind"]], f"风险提示,{alert['text']}", level))
        for refused in change.refused:
            known = codes.describe(refused.code)
            text = refused.text or known.text
            notices.append(self.notice(known.diff or known.ctp, f"撤单失败,{text}", "WARNING"))
        for said in change.said:
            notices.append(self.notice(said.code, f"柜台提示,{said.text}", said.level))
        for text in change.differences:
            notices.append(self.notice(wire.DIFFERENCE_CODE, f"账户核对差异,{text}", "WARNING"))
        packets: tuple[bytes, ...] = ()
        if change.conditions:
            changed = [
                self._trade.conditions.get(self._account_id, order_id) for order_id in change.conditions
            ]
            found = [order for order in changed if order is not None]
            packets = (self._conditions(found),)
            for order in found:
                self._tell_condition(order, notices)
        return News(change.lsn, patch, notices, change.day, packets)

    def _changed(self, change: Change, core: tuple[Exchange, int] | None) -> wire.Patch:
        """Return what a change leaves otherwise in the tree."""
        trade = self._trade
        numbers = (*change.trades, *change.reckoned)
        is_whole = change.day or self._always_whole
        if core is not None and not is_whole:
            known = trade.engine.instrument
            instruments = [number for symbol in change.symbols if (number := known(symbol)) is not None]
            written = orders.encode_change(*core, instruments, change.orders, numbers)
            patch = wire.Patch(self._user_id, written)
        else:
            patch = self.whole() if is_whole else wire.Patch(self._user_id)
            for number in change.orders:
                patch.orders[self._brief(core, number)[0]] = self._order(number)
            for number in numbers:
                one = trade.trade(number)
                patch.trades[one.trade_id] = self._trade_object(one)
            if not is_whole:
                for symbol in change.symbols:
                    self._position(patch, symbol)
                patch.account = self._money()
        if change.transfers and not is_whole:
            for transfer in trade.transfers(self._account_id, since=change.transfers):
                patch.transfers[str(transfer.seq)] = _transfer(transfer)
        return patch

    async def conditions(self) -> AsyncIterator[bytes]:
        """Yield packets of all conditional orders, CONDITIONS_COUNT in one, each when it is durable.

        One that changes meanwhile is left out: its change is told by itself, perhaps before its packet.
        """
        trade, known = self._trade, self._trade.conditions
        for some in batched(known.list(self._account_id), CONDITIONS_COUNT):
            await asyncio.sleep(0)
            await trade.durable(trade.head_lsn)
            same = [one for one in some if known.get(self._account_id, one.order_id) is one]
            if same:
                yield self._conditions(same)

    def _conditions(self, orders: list[Conditional]) -> bytes:
        return conditions_wire.packet(self._user_id, self._trade.trading_day, orders)

    # --- objects: the core's own writing where the account is the core's ---

    def _core(self) -> tuple[Exchange, int] | None:
        """Return the exchange and its number of the account; None for an account of a broker outside."""
        if self._trade.router.seat(self._account_id) is not None:
            return None
        engine = self._trade.engine
        number = engine.number(self._account_id)
        assert number is not None
        return engine.exchange, number

    def _money(self) -> bytes:
        core = self._core()
        if core is None:
            return wire.account_object(self._account_id, self._trade.funds(self._account_id))
        return orders.encode_account(*core, with_quota=True)

    def _brief(self, core: tuple[Exchange, int] | None, number: int) -> tuple[str, bool, int, int]:
        """Return an order's id, life, lots left and code."""
        if core is not None:
            return orders.brief(core[0], number)
        order = self._trade.order(number)
        return order.order_id, order.is_alive, order.volume_left, order.code

    def _order(self, number: int) -> bytes:
        core = self._core()
        if core is None:
            return wire.order_object(self._trade.order(number))
        return orders.encode_order(core[0], number)

    def _trade_object(self, trade: Trade) -> bytes:
        core = self._core()
        return wire.trade_object(trade) if core is None else orders.encode_trade(core[0], trade.number)

    def _position(self, patch: wire.Patch, symbol: str) -> None:
        core, body = self._core(), None
        if core is None:
            row = self._trade.position(self._account_id, symbol)
            body = None if row is None else wire.position_object(self._account_id, row)
        elif (instrument := self._trade.engine.instrument(symbol)) is not None:
            body = orders.encode_position(*core, instrument)
        if body is not None:
            patch.positions[symbol] = body

    def _tell_order(self, number: int, alive: bool, left: int, code: int, notices: list[bytes]) -> None:
        lived = self._told.get(number)
        self._told[number] = alive
        if lived is None:
            if code:
                known = codes.describe(code)
                text = self._trade.order(number).message if code in codes.CLOSING else known.text
                notices.append(self.notice(known.diff or known.ctp, f"下单失败,{text}", "WARNING"))
                return
            notices.append(self.notice(417, "下单成功"))
        if lived is not False and not alive and left:
            notices.append(self.notice(419, "撤单成功"))

    def _tell_outside(self, order: Order, notices: list[bytes]) -> None:
        """Tell of an order at a broker outside what that has said of it: nothing while it is on its way."""
        if _is_on_its_way(order):
            return
        if not order.code:
            if order.is_alive and self._told.get(order.number) is False:
                del self._told[order.number]  # it was thought lost, and lives
            self._tell_order(order.number, order.is_alive, order.volume_left, 0, notices)
            return
        lived = self._told.get(order.number)
        self._told[order.number] = False
        if lived is not False:
            known = codes.describe(order.code)
            text = order.message or known.text
            notices.append(self.notice(known.diff or known.ctp, f"下单失败,{text}", "WARNING"))

    def _tell_condition(self, order: Conditional, notices: list[bytes]) -> None:
        """Say once what keeps a released order from the market: of some there is no order to show it."""
        code = next((release.code for release in order.releases if release.code), 0)
        if code and self._refused.get(order.order_id) != code:
            self._refused[order.order_id] = code
            known = codes.describe(code)
            text = f"条件单提示,{order.order_id},{order.text}"
            notices.append(self.notice(known.diff or known.ctp, text, "WARNING"))

    def _deliver(self, _change: Change, news: News | None) -> None:
        if news is None:
            return
        for sink in list(self._sinks.values()):
            sink(news)


class Channels:
    """The channels of a process by account and user name: sessions of the same login share one."""

    def __init__(self, trade: TradeService) -> None:
        self._trade = trade
        self._open: dict[tuple[str, str, bool], Channel] = {}
        self.clients_count = 0
        "Connections, logged in or not."
        metrics.bound("net_trade_clients", lambda: self.clients_count, CLIENTS_COUNT, when_full="refuse")
        metrics.watch("qautlra_net_trade_clients_count", "Trade sockets", lambda: self.clients_count)
        self._sessions: Counter[str] = Counter()
        metrics.bound(
            "net_trade_sessions_per_account",
            lambda: max(self._sessions.values(), default=0),
            SESSIONS_PER_ACCOUNT_COUNT,
            when_full="refuse",
        )
        self._turns: dict[str, asyncio.Lock] = {}
        self._busy_until_s: dict[str, float] = {}
        self.confirmed: dict[str, int] = {}
        "By account: the trading day in which the statement before it was confirmed."

    def enter(
        self, account_id: str, user_id: str, key: int, sink: Callable[[News], None], *, always_whole: bool
    ) -> Channel:
        """Return the channel of an account, `sink` attached; LimitError when too many watch it."""
        if self._sessions[account_id] >= SESSIONS_PER_ACCOUNT_COUNT:
            text = f"no more than {SESSIONS_PER_ACCOUNT_COUNT} sessions of one account"
            raise LimitError(text, zh="该账户登录数已达上限")
        name = (account_id, user_id, always_whole)
        channel = self._open.get(name)
        if channel is None:
            channel = self._open[name] = Channel(self._trade, account_id, user_id, always_whole=always_whole)
        channel.attach(key, sink)
        self._sessions[account_id] += 1
        return channel

    @asynccontextmanager
    async def turn(self, account_id: str) -> AsyncIterator[None]:
        """Wait until a whole tree of the account may be made: all of them take 1 / TREE_PAUSE of the loop."""
        async with self._turns.setdefault(account_id, asyncio.Lock()):
            await asyncio.sleep(max(0.0, self._busy_until_s.get(account_id, 0.0) - monotonic_s()))
            began_s = monotonic_s()
            yield
            now_s = monotonic_s()
            self._busy_until_s[account_id] = now_s + (now_s - began_s) * TREE_PAUSE

    def leave(self, channel: Channel, key: int) -> None:
        """Let go; the last one ends the channel."""
        self._sessions[channel.account_id] -= 1
        if not self._sessions[channel.account_id]:
            del self._sessions[channel.account_id]
        if channel.detach(key):
            self._open = {name: other for name, other in self._open.items() if other is not channel}


def _is_on_its_way(order: Order) -> bool:
    return order.is_alive and not order.exchange_order_id


def _transfer(transfer: Transfer) -> bytes:
    return orjson.dumps(wire.transfer_object(transfer.amount, transfer.code, transfer.text, transfer.time_ns))
