"""One connection's conversation on the DIFF trade socket: requests in order; no socket in here.

Nothing is said of a command before its record is durable, and nothing to a user who may not look any
more. What is to be said waits in `trade_packets`; a session that has not logged in keeps MAX_HELD_BYTES
of requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import orjson

from qautlra.auth.audit import Act, AuditLog
from qautlra.auth.rights import Right
from qautlra.base import metrics
from qautlra.base.clock import monotonic_s, new_uuid
from qautlra.base.errors import AuthError, InputError, LimitError, QautlraError
from qautlra.base.log import get_logger
from qautlra.model import codes
from qautlra.model.order import Answer, InsertOrder
from qautlra.net import audited, trade_conditions
from qautlra.net.trade_login import Standing, account_of, standing_of
from qautlra.net.trade_packets import Out, Packets
from qautlra.wire import trade as wire
from qautlra.wire import trade_requests as asks
from qautlra.wire.conditions import day_of
from qautlra.wire.trade_errors import said

if TYPE_CHECKING:
    from qautlra._core.orders import Entered
    from qautlra.auth.service import AuthService
    from qautlra.model.condition import ConditionAnswer
    from qautlra.net.trade_channel import Channel, Channels, News
    from qautlra.trade.service import TradeService

MAX_HELD_REQUESTS: Final = 64
MAX_HELD_BYTES: Final = 64 << 10
ASKING_COUNT: Final = 8
"Statements one session asks for at a time."
_REFRESHING: Final = (asks.QueryAccount, asks.QueryTransfers, asks.QueryBanks, asks.QueryBankCapital)
_DONE: Final = Answer(code=0)
_log = get_logger("net")


_sessions: WeakSet[TradeSession] = WeakSet()
metrics.bound(
    "net_trade_held", lambda: max((one.held_bytes for one in _sessions), default=0), MAX_HELD_BYTES,
    unit="bytes", when_full="disconnect",
)  # fmt: skip


class TradeSession:
    """The state machine of one connection."""

    def __init__(
        self,
        trade: TradeService,
        auth: AuthService,
        channels: Channels,
        out: Out,
        *,
        address: str,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        push: bool = False,
        always_whole: bool = False,
    ) -> None:
        self._trade = trade
        self._auth = auth
        _sessions.add(self)
        self._channels = channels
        self._out = out
        self._address = address
        self._spawn = spawn
        self._always_whole = always_whole
        self._key = id(self)
        self._standing: Standing | None = None
        self._account_id = ""
        self._user_id = ""
        self._bid = ""
        self._channel: Channel | None = None
        self._held: deque[tuple[asks.Request, int]] = deque()
        self.held_bytes: int = 0
        "What waits for a login, as it came."
        self._packets = Packets(out, lambda: trade.trading_day_of(self._account_id), push=push)
        self._seen_lsn = 0
        self._allowed: dict[Right, float] = {}
        self._renewing = False
        self._entries = audited.Entries(address)
        self._refresh_due = False
        self._asking_count = 0

    # --- in ---

    @property
    def is_known(self) -> bool:
        """Whether somebody has logged in here, or is doing so."""
        return self._channel is not None or self._packets.is_quiet

    def opened(self) -> None:
        """Greet."""
        self._out.send(wire.brokers(self._trade.brokers()))

    def receive(self, text: str) -> None:
        """Take one message."""
        try:
            request = asks.decode(text)
            if request is not None:
                self._take(request, len(text))
        except QautlraError as error:
            self._packets.tell(getattr(error, "details", {}).get("code", 15), said(error), "WARNING")

    def receive_alone(self, message: bytes) -> bool:
        """Take the message if it is an order or a cancel as most are and nothing else is to be told.

        One native call makes the answer of it. False: nothing was done, it is for `receive`.
        """
        if self._channel is None or not self._packets.may_go_at_once:
            return False
        lane = self._channel.lane()
        kind = lane.read(message) if lane is not None else 0
        if lane is None or not kind:
            return False
        if not self._auth.is_running or not self._may(Right.TRADE if kind == 1 else Right.CANCEL):
            return False
        log, entered = self._auth.audit, self._channel.enter(lane)
        if entered is None:
            return False
        if entered.packet:
            self._packets.send_at_once(entered.packet)
            self._channel.told(entered)
            if kind == 1:
                words = lane.order()
                self._record(log, Act.ORDER_SUBMIT, _DONE, lambda: audited.of_words(*words))
            else:
                order_id = lane.order_id
                self._record(log, Act.ORDER_CANCEL, _DONE, lambda: audited.of_change(order_id, _DONE))
        else:
            self._trade.wake()
            self._entered(log, asks.decode(message), entered)
        return True

    def paused(self) -> None:
        """All that came is taken: what it came to is told now, not at the end of the loop's turn."""
        self._trade.tell()

    def _take(self, request: asks.Request, size: int) -> None:
        if isinstance(request, asks.Peek):
            self._packets.asked = True
            self._packets.soon()
        elif isinstance(request, asks.Ping):
            if not self._out.is_full:
                self._out.send(wire.PONG)
        elif isinstance(request, asks.Login):
            if self._packets.is_quiet:
                self._hold(request, size)
            else:
                self._packets.is_quiet = True
                self._spawn(self._login(request))
        elif self._channel is None or self._packets.is_quiet:
            self._hold(request, size)
        else:
            self._handle(request)

    def _hold(self, request: asks.Request, size: int) -> None:
        if len(self._held) >= MAX_HELD_REQUESTS or self.held_bytes + size > MAX_HELD_BYTES:
            raise LimitError(f"more than {MAX_HELD_REQUESTS} requests before the login is done")
        self._held.append((request, size))
        self.held_bytes += size

    def detached(self) -> None:
        """The connection is gone."""
        self._packets.end()
        if self._channel is not None:
            self._channels.leave(self._channel, self._key)
            self._channel = None

    # --- login ---

    async def _login(self, request: asks.Login) -> None:
        try:
            if self._channel is not None and request.user_name == self._user_id:
                self._packets.tell(400, "重复登录", "WARNING")
            else:
                await self._enter(request)
        except QautlraError as error:
            self._packets.tell(403, f"用户登录失败,{said(error)}", "WARNING")
        finally:
            self._packets.is_quiet = False
            self._packets.flush()
        while self._held and not self._packets.is_quiet and self._channel is not None:
            held, size = self._held.popleft()
            self.held_bytes -= size
            try:
                self._take(held, size)
            except QautlraError as error:
                self._packets.tell(15, said(error), "WARNING")

    async def _enter(self, request: asks.Login) -> None:
        brokers = self._trade.brokers()
        if request.bid not in brokers:
            self._out.close(1008, "unknown bid")
            return
        standing = await standing_of(self._auth, request, self._address)
        account_id = account_of(self._trade, standing.principal, request)
        async with self._channels.turn(account_id):
            channel = self._begin(standing, account_id, request)
            whole = await channel.grown()
            if self._channel is not channel:
                return
            # The tree may hold what is not durable yet: it is shown when it is.
            self._seen_lsn = self._trade.head_lsn
            self._packets.begin(whole)
            conditions = channel.conditions()
        await self._trade.durable(self._seen_lsn)
        async for packet in conditions:
            if self._channel is not channel:
                return
            self._out.send(packet)
        self._spawn(self._show_statement())

    def _begin(self, standing: Standing, account_id: str, request: asks.Login) -> Channel:
        """Be that user's from now on; return the account's channel."""
        self.detached()
        self._standing = standing
        self._allowed.clear()
        self._account_id = account_id
        self._user_id = request.user_name
        self._bid = request.bid
        self._packets.forget()
        self._channel = self._channels.enter(
            account_id, self._user_id, self._key, self._on_news, always_whole=self._always_whole
        )
        self._packets.tell(401, "登录成功")
        self._packets.note(wire.session_patch(self._user_id, self._trade.trading_day_of(account_id)))
        self._packets.push_notices()
        return self._channel

    # --- requests ---

    def _handle(self, request: asks.Request) -> None:
        if not self._is_welcome():
            return
        if isinstance(request, asks.Insert):
            self._insert(request)
        elif isinstance(request, asks.Cancel):
            self._cancel(request)
        elif isinstance(request, asks.Transfer):
            self._transfer(request)
        elif isinstance(request, asks.QuerySettlement):
            self._ask_for_settlement(request)
        elif isinstance(request, asks.ConfirmSettlement):
            self._channels.confirmed[self._account_id] = self._trade.trading_day
        elif isinstance(request, trade_conditions.REQUESTS):
            self._condition(request)
        elif isinstance(request, asks.ChangePassword):
            self._spawn(self._change_password(request))
        elif isinstance(request, asks.ChangeFundPassword):
            self._packets.tell(362, "不能修改资金密码,本账户没有资金密码", "WARNING")
        elif isinstance(request, _REFRESHING):
            self._refresh()

    def _insert(self, request: asks.Insert) -> None:
        order_id = request.order_id or f"OTG.{new_uuid()}"
        order = asks.insert_of(request, self._account_id, order_id)
        if not self._is_mine(request.user_id):
            self._packets.tell(408, "下单指令中的用户名错误,不能下单", "WARNING")
            return
        self._require(Right.TRADE)
        log = self._auth.audit
        self._inserted(log, order, self._trade.insert(order))

    def _inserted(self, log: AuditLog, order: InsertOrder, answer: Answer) -> None:
        self._record(log, Act.ORDER_SUBMIT, answer, lambda: audited.of_order(order, answer))
        if answer.ok:
            return
        if answer.number is not None and answer.code != codes.DUPLICATE:
            return  # recorded as refused: the change tells
        self._after(answer.lsn, lambda: self._refused(order, answer.code))

    def _entered(self, log: AuditLog, request: asks.Request | None, entered: Entered) -> None:
        """An order or a cancel was done by itself, and is not told yet: the rest of what is done with one."""
        answer = Answer(code=entered.code, number=entered.number, lsn=entered.lsn)
        if isinstance(request, asks.Insert):
            self._inserted(log, asks.insert_of(request, self._account_id, request.order_id), answer)
        elif isinstance(request, asks.Cancel):
            self._withdrawn(log, request.order_id, answer)

    def _refused(self, order: InsertOrder, code: int) -> None:
        """What left no record is told to its sender only."""
        known = codes.describe(code)
        self._packets.tell(known.diff or known.ctp, f"下单失败,{known.text}", "WARNING")
        if code == codes.DUPLICATE:
            return
        body = wire.refused_object(order, self._user_id, known.text, self._trade.clock.now_ns())
        patch = wire.Patch(self._user_id)
        patch.orders[order.order_id] = orjson.dumps(body)
        self._packets.add(patch)

    def _cancel(self, request: asks.Cancel) -> None:
        if not self._is_mine(request.user_id):
            self._packets.tell(418, "撤单指令中的用户名错误,不能撤单", "WARNING")
            return
        self._require(Right.CANCEL)
        log = self._auth.audit
        self._withdrawn(log, request.order_id, self._trade.cancel(asks.cancel_of(request, self._account_id)))

    def _withdrawn(self, log: AuditLog, order_id: str, answer: Answer) -> None:
        self._record(log, Act.ORDER_CANCEL, answer, lambda: audited.of_change(order_id, answer))
        if not answer.ok:
            known = codes.describe(answer.code)
            code, text = known.diff or known.ctp, f"撤单失败,{known.text}"
            self._after(answer.lsn, lambda: self._packets.tell(code, text, "WARNING"))

    def _transfer(self, request: asks.Transfer) -> None:
        self._require(Right.TRANSFER)
        if request.currency not in ("CNY", ""):
            raise InputError("currency: only CNY")
        log, bank_id = self._auth.audit, request.bank_id or "SIM"
        assert self._standing is not None
        by = self._standing.principal.user_id
        answer = self._trade.transfer(self._account_id, request.amount, bank_id=bank_id, by=by)
        detail = {"amount": request.amount, "bank_id": bank_id}
        self._record(log, Act.TRANSFER, answer, lambda: detail)
        text = "转账成功" if answer.ok else answer.text
        code = 421 if answer.ok else 422
        self._after(answer.lsn, lambda: self._packets.tell(code, text, "INFO" if answer.ok else "WARNING"))

    def _condition(self, request: trade_conditions.Request) -> None:
        self._require(trade_conditions.right_of(request))
        log = self._auth.audit
        answer = trade_conditions.take(self._trade, request, self._account_id, self._is_mine)
        if isinstance(answer, bytes):
            packet = answer
            self._after(self._trade.head_lsn, lambda: self._answer(packet))
            return
        entry = trade_conditions.entry_of(request, answer)
        if entry is not None:
            self._record(log, entry[0], answer, lambda: {"conditional": entry[1]})
        level = "INFO" if answer.ok else "WARNING"
        self._after(answer.lsn, lambda: self._packets.tell(answer.outcome, answer.text, level))

    def _record(
        self, log: AuditLog, act: Act, answer: Answer | ConditionAnswer, detail: Callable[[], dict[str, Any]]
    ) -> None:
        """Have written down what the user did; the log was asked for before: without it nothing is done."""
        assert self._standing is not None
        self._entries.add(log, act, self._standing.principal.user_id, self._account_id, answer, detail)

    def _answer(self, packet: bytes) -> None:
        """Answer a question, unless the client reads none of the answers."""
        if self._out.is_full:
            self._packets.tell(335, "查询失败,客户端接收过慢", "WARNING")
        else:
            self._out.send(packet)

    def _ask_for_settlement(self, request: asks.QuerySettlement) -> None:
        if self._asking_count >= ASKING_COUNT:
            self._packets.tell(335, "查询结算单失败,请求过于频繁", "WARNING")
            return
        self._asking_count += 1
        self._spawn(self._query_settlement(request))

    async def _query_settlement(self, request: asks.QuerySettlement) -> None:
        day, user_id = day_of(request.trading_day), self._user_id
        known = day or str(request.trading_day) in ("0", "")
        try:
            text = await self._trade.statement(self._account_id, day) if known else ""
        except QautlraError as error:
            self._packets.tell(335, f"查询结算单失败,{said(error)}", "WARNING")
            return
        finally:
            self._asking_count -= 1
        self._answer(wire.settlement_info(request.trading_day, user_id, text))

    async def _show_statement(self) -> None:
        """Tell the statement of the last day, until it is confirmed. Orders do not wait for it."""
        account_id = self._account_id
        if self._channels.confirmed.get(account_id) == self._trade.trading_day:
            return
        try:
            text = await self._trade.statement(account_id)
        except QautlraError as error:
            _log.warning("no_statement", account_id=account_id, error=error.message)
            return
        if text and account_id == self._account_id:
            self._packets.note(wire.settlement_notice(self._packets.new_key(), text))
            self._packets.soon()

    async def _change_password(self, request: asks.ChangePassword) -> None:
        assert self._standing is not None
        name = self._standing.principal.user_id
        self._renewing = True  # who changes the password himself stays
        try:
            await self._auth.change_password(name, request.old_password, request.new_password, self._address)
            self._standing = self._standing.renewed(self._auth)
        except QautlraError as error:
            self._packets.tell(351, f"修改密码失败,{said(error)}", "WARNING")
        else:
            self._packets.tell(326, "修改密码成功")
        finally:
            self._renewing = False

    def _is_mine(self, user_id: str) -> bool:
        return user_id == self._user_id or user_id.startswith(f"{self._user_id}.")

    def _require(self, right: Right) -> None:
        """Raise unless the user holds `right` for the account; an answer of yes holds for a second."""
        now_s = monotonic_s()
        if now_s < self._allowed.get(right, 0.0):
            return
        assert self._standing is not None
        self._standing.principal_now(self._auth).require(right, self._account_id)
        self._allowed[right] = now_s + 1.0

    def _may(self, right: Right) -> bool:
        """Tell whether the user holds `right`, and may look at the account."""
        try:
            self._require(right)
            self._require(Right.VIEW)
        except QautlraError:
            return False
        return True

    def _is_welcome(self) -> bool:
        """Tell whether the user may still look at the account; one who may not is put out."""
        if self._renewing:
            return True
        try:
            self._require(Right.VIEW)
        except AuthError as error:
            self.detached()
            self._packets.forget()
            self._out.close(1008, error.message)
            return False
        return True

    # --- out ---

    def _after(self, lsn: int, call: Callable[[], None]) -> None:
        """Call when a record is durable, unless another user has taken the connection meanwhile."""
        channel = self._channel

        async def wait() -> None:
            await self._trade.durable(lsn)
            if self._channel is channel:
                call()

        self._spawn(wait())

    def _on_news(self, news: News) -> None:
        if news.lsn <= self._seen_lsn and not news.new_day:
            return  # in the tree of the login already
        if not self._is_welcome():
            return
        for notice in news.notices:
            self._packets.note(notice)
        for packet in news.packets:
            self._out.send(packet)
        if news.new_day:
            self._packets.new_day()
            self._spawn(self._show_statement())
        self._packets.merge(news.patch)

    def _refresh(self) -> None:
        """Send the whole tree again, once for all who ask before it is durable."""
        if self._channel is not None and not self._refresh_due:
            self._refresh_due = True
            self._spawn(self._make_refreshed(self._channel))

    async def _make_refreshed(self, channel: Channel) -> None:
        async with self._channels.turn(self._account_id):
            self._refresh_due = False
            if channel is not self._channel or self._packets.is_refreshing or not self._is_welcome():
                return
            whole = await channel.grown()
            if channel is self._channel:
                self._packets.refresh(whole)
                self._after(self._trade.head_lsn, self._packets.show_refreshed)
