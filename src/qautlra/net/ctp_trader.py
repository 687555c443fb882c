"""A trader Api object of a CTP program: authenticate, log in, confirm, order, cancel, ask. No socket here.

Requests are answered in their order; while a password is checked, a statement read or a long answer sent, the
later ones wait. What is long is sent for SLICE_S at a time, as its reader takes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from qautlra.auth.audit import Act
from qautlra.auth.rights import Principal, Right
from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import AuthError, InputError, LimitError, StorageError, UnavailableError
from qautlra.model import codes as house_codes
from qautlra.model.order import Answer, CancelOrder, InsertOrder
from qautlra.net import audited
from qautlra.net.ctp_answers import Answers
from qautlra.net.ctp_flow import Flow
from qautlra.wire import ctp_codes as codes
from qautlra.wire.ctp_frames import Frame, Hello, Kind, frame
from qautlra.wire.ctp_orders import (
    BY_EXCHANGE,
    Key,
    RefusedError,
    action_key,
    read_order,
    write_action,
    write_refused,
)
from qautlra.wire.ctp_queries import confirmation
from qautlra.wire.ctp_records import Record, layout

if TYPE_CHECKING:
    from qautlra.net.ctp_desk import Desk

WAITING_COUNT: Final = 1000
FRONT_ID: Final = 1
SLICE_S: Final = 0.002


_sessions: WeakSet[TraderSession] = WeakSet()
metrics.bound(
    "net_ctp_waiting", lambda: max((one.waiting_count for one in _sessions), default=0), WAITING_COUNT,
    when_full="disconnect",
)  # fmt: skip


class TraderSession:
    """Owner: its connection."""

    def __init__(self, desk: Desk, send: Callable[[bytes], None], hello: Hello) -> None:
        self._desk = desk
        self._send = send
        self._hello = hello
        self._authenticated = False
        self._principal: Principal | None = None
        self._session = 0
        self._flows: dict[str, Flow] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_sending = False  # the task has done its work, and sends what came of it
        self._following: dict[str, asyncio.Task[None]] = {}  # by account: its day is being sent
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._waiting: deque[Frame] = deque()
        self._answers = Answers(desk)
        _sessions.add(self)

    @property
    def waiting_count(self) -> int:
        """Requests that came before the one before them was answered."""
        return len(self._waiting)

    def hold(self, held: bool) -> None:
        """Let what is long wait while the other side does not read.

        Orders and trades are never dropped: what a session does not read of them ends it (GIVE_UP_BYTES).
        """
        if held:
            self._may_write.clear()
        else:
            self._may_write.set()

    def close(self) -> None:
        """Log out."""
        if self._task is not None:
            self._task.cancel()
        self._leave()

    def _leave(self) -> None:
        for account_id in list(self._flows):
            self._unfollow(account_id)
        self._desk.unwatch(self)
        if self._principal is not None:
            self._desk.leave(self._principal)
            self._principal = None

    def renew(self) -> None:
        """Take the user as they are now: an ended login ends here, a lost account is not told of any more."""
        if self._principal is None or (self._task is not None and not self._is_sending):
            return  # it may be changing the password
        principal = self._desk.now(self._principal)
        if principal is None:
            self._leave()
            return
        self._principal = principal
        for account_id in [name for name in self._flows if not principal.may(Right.VIEW, name)]:
            self._unfollow(account_id)

    # --- requests ---

    def on_frame(self, got: Frame) -> None:
        """Answer one request, or keep it until the one before it is answered; ValueError when it is none."""
        if self._task is not None:
            if len(self._waiting) >= WAITING_COUNT:
                raise ValueError("too many requests before an answer")
            self._waiting.append(got)
            return
        self._handle(got)

    def _handle(self, got: Frame) -> None:
        if got.kind == Kind.HEARTBEAT:
            return
        if got.kind == Kind.AUTHENTICATE:
            self._authenticate(got)
        elif got.kind == Kind.LOGIN:
            self._begin(self._log_in(got))
        elif got.kind == Kind.LOGOUT:
            got.asked()
            self._leave()
            self._answer(got, got.record)
        elif self._principal is None:
            self._fail(got.request, codes.NOT_LOGGED_IN)
        elif got.kind == Kind.PASSWORD:
            self._begin(self._change_password(got))
        elif got.kind == Kind.CONFIRM:
            self._confirm(got)
        elif got.kind == Kind.INSERT:
            self._insert(got)
        elif got.kind == Kind.ACTION:
            self._act(got)
        else:
            self._query(got)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._next)

    async def _room(self) -> None:
        """Let others go, and wait while the other side does not read."""
        await asyncio.sleep(0)
        await self._may_write.wait()

    def _next(self, done: asyncio.Task[None]) -> None:
        self._task = None
        self._is_sending = False
        if done.cancelled():
            return
        done.result()
        while self._waiting and self._task is None:
            self._handle(self._waiting.popleft())

    def _answer(self, got: Frame, record: bytes, error: int = 0, text: str = "") -> None:
        words = text or (codes.text(error) if error else "")
        self._send(frame(got.kind, record, request=got.request, error=error, text=words, answer=True))

    def _fail(self, request: int, error: int) -> None:
        """Answer with OnRspError."""
        self._send(frame(Kind.ERROR, request=request, error=error, text=codes.text(error), answer=True))

    # --- who ---

    def _authenticate(self, got: Frame) -> None:
        asked = got.asked()
        reply = layout("RspAuthenticate").pack(
            {name: asked.text(name) for name in ("BrokerID", "UserID", "UserProductInfo", "AppID")}
            | {"AppType": "1"}
        )
        right = self._desk.accepts_program(asked.text("AppID"), asked.text("AuthCode"))
        right = right and asked.text("BrokerID") == self._desk.settings.broker_id
        self._authenticated = right
        self._answer(got, reply, 0 if right else codes.AUTH_FAILED)

    async def _log_in(self, got: Frame) -> None:
        asked = got.asked()
        broker, user_id = asked.text("BrokerID"), asked.text("UserID")
        try:
            error = await self._enter(broker, user_id, asked.text("Password"))
        except UnavailableError:
            error = 7
        reply = self._desk.login()
        if error:
            self._answer(got, layout("RspUserLogin").pack({"BrokerID": broker, "UserID": user_id}), error)
            return
        record = reply.numbered(FRONT_ID, self._session).record(broker, user_id)
        self._answer(got, record)
        self._desk.watch(self, self._send)
        for account_id in self._accounts():
            self._flow(account_id)
        if self._following:
            self._is_sending = True
            await asyncio.wait(self._following.values())

    async def _enter(self, broker: str, user_id: str, password: str) -> int:
        """Check who logs in; return an error number or 0."""
        desk = self._desk
        if not self._authenticated:
            return codes.NOT_AUTHENTICATED
        if broker != desk.settings.broker_id:
            return codes.BAD_LOGIN
        try:
            user = await desk.auth.sign_in(user_id, password, "ctp_front")
        except LimitError:
            return codes.LOGIN_FORBIDDEN
        except AuthError:
            return codes.BAD_LOGIN
        self._leave()
        principal = user.principal()
        session = desk.enter(principal)
        if session is None:
            return codes.TOO_MANY_SESSIONS
        self._principal, self._session = principal, session
        await desk.trade.durable(desk.trade.head_lsn)  # what is replayed must be
        desk.record(Act.LOGIN, principal, session=session)
        return 0

    def _accounts(self) -> list[str]:
        """Return the accounts this session hears of, the user's own first."""
        assert self._principal is not None
        may = [a for a in self._principal.accounts if self._desk.trade.has(a)]
        return sorted(may, key=lambda a: (a != self._principal.user_id if self._principal else True, a))

    def _account(self, asked: Record, right: Right) -> str | None:
        """Return the account a request is about, None when this user may not do this to it."""
        self.renew()
        if self._principal is None:
            return None
        named = asked.text("InvestorID")
        account_id = named or next(iter(self._accounts()), "")
        allowed = self._principal.may(right, account_id)
        return account_id if allowed and self._desk.trade.has(account_id) else None

    async def _change_password(self, got: Frame) -> None:
        asked = got.asked()
        auth, principal = self._desk.auth, self._principal
        assert principal is not None
        error = 0
        try:
            old, new = asked.text("OldPassword"), asked.text("NewPassword")
            await auth.change_password(principal.user_id, old, new, "ctp_front")
            self._principal = auth.users.find(principal.user_id).principal()  # this login stands
        except (AuthError, LimitError):
            error = codes.BAD_LOGIN
        except InputError:
            error = 131
        self._answer(got, got.record, error)

    def _confirm(self, got: Frame) -> None:
        asked = got.asked()
        account_id = self._account(asked, Right.TRADE)
        if account_id is None:
            self._answer(got, got.record, codes.NO_PRIVILEGE)
            return
        date, clock = self._desk.confirm(account_id)
        self._answer(got, confirmation(account_id, asked.text("BrokerID"), date, clock))

    # --- orders ---

    def _insert(self, got: Frame) -> None:
        asked = got.asked()
        account_id = self._account(asked, Right.TRADE)
        if account_id is None:
            self._refuse_order(got, None, codes.NO_PRIVILEGE)
            return
        key = Key(FRONT_ID, self._session, asked.text("OrderRef"))
        try:
            order = self._read(asked, account_id, key)
        except RefusedError as refused:
            self._refuse_order(got, account_id, refused.code)
            return
        if asked.text("CombOffsetFlag")[:1] == "4":
            self._flow(account_id).flags[order.order_id] = "4"
        try:
            answer = self._desk.trade.insert(order)
        except UnavailableError:
            self._refuse_order(got, account_id, 7)
            return
        self._log(Act.ORDER_SUBMIT, account_id, answer, order)
        if not answer.ok:
            self._refused(got, account_id, order, answer)

    def _read(self, asked: Record, account_id: str, key: Key) -> InsertOrder:
        desk = self._desk
        assert self._principal is not None
        if desk.confirmed(account_id) is None:
            raise RefusedError(codes.NOT_CONFIRMED)
        try:
            desk.auth.orders.take(self._principal.user_id)
        except LimitError:
            raise RefusedError(116) from None
        symbol = desk.listing.symbol(asked.text("InstrumentID"), asked.text("ExchangeID"))
        if symbol is None:
            raise RefusedError(codes.INSTRUMENT_NOT_FOUND)
        return read_order(asked, account_id, symbol, key)

    def _refused(self, got: Frame, account_id: str, order: InsertOrder, answer: Answer) -> None:
        known = house_codes.describe(answer.code)
        if known.name not in BY_EXCHANGE:
            self._refuse_order(got, account_id, known.ctp or codes.BAD_FIELD, answer.text)
        elif answer.number is None:  # one with a number comes with the flow
            record = write_refused(
                order,
                broker=self._desk.settings.broker_id,
                trading_day=self._desk.trade.trading_day,
                text=answer.text,
                now_ns=self._desk.now_ns(),
            )
            self._flow(account_id).push([(Kind.RTN_ORDER, record)])

    def _refuse_order(self, got: Frame, account_id: str | None, error: int, text: str = "") -> None:
        words = codes.text(error) if error in codes.known() else f"CTP:{text}"
        self._answer(got, got.record, error, words)
        told = frame(Kind.ERR_INSERT, got.record, error=error, text=words, answer=True)
        if account_id is not None and account_id in self._flows:
            self._flows[account_id].tell(told)
        else:
            self._send(told)

    def _act(self, got: Frame) -> None:
        asked = got.asked()
        account_id = self._account(asked, Right.CANCEL)
        if account_id is None:
            self._refuse_action(got, asked, codes.NO_PRIVILEGE)
            return
        if asked.text("ActionFlag") != "0":
            self._refuse_action(got, asked, codes.BAD_ACTION)
            return
        key = action_key(asked)
        sys_id = asked.text("OrderSysID")
        order_id = self._flow(account_id).named(asked.text("ExchangeID"), sys_id) if sys_id else key.order_id
        found = self._desk.trade.find(account_id, order_id) if order_id else None
        if found is None:
            self._refuse_action(got, asked, codes.ORDER_NOT_FOUND)
            return
        if not found.is_alive:
            self._refuse_action(got, asked, codes.ORDER_DONE)
            return
        answer = self._desk.trade.cancel(CancelOrder(account_id=account_id, order_id=order_id))
        self._log(Act.ORDER_CANCEL, account_id, answer)
        if not answer.ok:
            self._refuse_action(got, asked, house_codes.describe(answer.code).ctp or codes.BAD_ACTION)

    def _refuse_action(self, got: Frame, asked: Record, error: int) -> None:
        text = codes.text(error)
        self._answer(got, got.record, error)
        self._send(frame(Kind.ERR_ACTION, write_action(asked, text), error=error, text=text, answer=True))

    def _flow(self, account_id: str) -> Flow:
        """Return the flow of an account, followed from now on (an administrator's orders on another's)."""
        flow = self._flows.get(account_id)
        if flow is None:
            flow = self._flows[account_id] = self._desk.flow(account_id)
            said = self._hello
            following = flow.follow(self, self._send, said.private_mode, said.private_seen, self._room)
            task = self._following[account_id] = asyncio.get_running_loop().create_task(following)
            task.add_done_callback(lambda done: self._followed(account_id, done))
        return flow

    def _followed(self, account_id: str, done: asyncio.Task[None]) -> None:
        if self._following.get(account_id) is done:
            del self._following[account_id]
        if not done.cancelled():
            done.result()

    def _unfollow(self, account_id: str) -> None:
        task = self._following.pop(account_id, None)
        if task is not None:
            task.cancel()
        self._desk.unfollow(self._flows.pop(account_id), self)

    def _log(self, act: Act, account_id: str, answer: Answer, order: InsertOrder | None = None) -> None:
        assert self._principal is not None
        detail = audited.of_order(order, answer) if order else audited.of_change(answer.order_id, answer)
        result = audited.result_of(answer)
        self._desk.record(act, self._principal, account_id=account_id, result=result, **detail)

    # --- queries ---

    def _query(self, got: Frame) -> None:
        if got.kind != Kind.QRY_SETTLEMENT and not self._answers.knows(got.kind):
            self._fail(got.request, codes.UNSUPPORTED)
            return
        asked = got.asked()
        account_id = self._account(asked, Right.VIEW) if "InvestorID" in asked.layout.offsets else ""
        if account_id is None:
            self._fail(got.request, codes.NO_PRIVILEGE)
            return
        if got.kind == Kind.QRY_SETTLEMENT:
            self._begin(self._settlement(got, account_id))
            return
        try:
            flow = self._flow(account_id) if account_id else None
            many = self._answers.long(got.kind, asked, account_id, flow)
            if many is not None:
                self._begin(self._reply_long(got, many, account_id))
                return
            rows = self._answers.rows(got.kind, asked, account_id, flow)
        except UnavailableError:
            self._fail(got.request, codes.NOT_READY)
            return
        self._reply(got, rows)

    async def _reply_long(self, got: Frame, rows: Iterator[bytes], account_id: str) -> None:
        self._is_sending = True
        before = b""
        until_s = monotonic_s() + SLICE_S
        try:
            for row in rows:
                if before:
                    self._send(frame(got.kind, before, request=got.request, answer=True, last=False))
                before = row
                if monotonic_s() >= until_s:
                    await self._room()
                    who = self._principal
                    if who is None or (account_id and not who.may(Right.VIEW, account_id)):
                        self._fail(got.request, codes.NO_PRIVILEGE)
                        return
                    until_s = monotonic_s() + SLICE_S
        except UnavailableError:
            self._fail(got.request, codes.NOT_READY)
            return
        self._send(frame(got.kind, before, request=got.request, answer=True))

    async def _settlement(self, got: Frame, account_id: str) -> None:
        try:
            rows = await self._answers.statement(got.asked(), account_id)
        except InputError:
            self._fail(got.request, codes.BAD_FIELD)
        except (UnavailableError, StorageError):
            self._fail(got.request, codes.NOT_READY)
        else:
            self._reply(got, rows)

    def _reply(self, got: Frame, rows: list[bytes]) -> None:
        for number, row in enumerate(rows, 1):
            self._send(frame(got.kind, row, request=got.request, answer=True, last=number == len(rows)))
        if not rows:
            self._send(frame(got.kind, request=got.request, answer=True))
