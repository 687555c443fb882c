"""The trading side of the simulated front: what its sessions share - users, flows, confirmations, numbers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from qautlra.base import metrics
from qautlra.base.clock import wall_ns
from qautlra.base.errors import AuthError
from qautlra.net.ctp_flow import Engine, Flow
from qautlra.wire.ctp_frames import Kind, frame
from qautlra.wire.ctp_status import write_status

if TYPE_CHECKING:
    from qautlra.auth.audit import Act
    from qautlra.auth.rights import Principal
    from qautlra.auth.service import AuthService
    from qautlra.config.tree import CtpFront
    from qautlra.model.order import Answer, CancelOrder, InsertOrder
    from qautlra.wire.ctp_login import LoginReply

AUTH_CODE_CHARS: Final = 16
IDLE_FLOWS_COUNT: Final = 16
LOOK_COUNT: Final = 128
"Instruments whose records are made in one turn of the loop, a millisecond's or two."


class Settling(Protocol):
    """`trade.settling.Settling` as far as the front needs it."""

    async def text_of(self, account_id: str, trading_day: int = 0) -> tuple[int, str]: ...


class Trading(Engine, Protocol):
    """`trade.service.TradeService` as far as the front needs it."""

    @property
    def head_lsn(self) -> int: ...
    @property
    def settling(self) -> Settling: ...
    @property
    def is_running(self) -> bool: ...
    def has(self, account_id: str) -> bool: ...
    def phase(self, symbol: str) -> tuple[int, bool]: ...
    def insert(self, order: InsertOrder) -> Answer: ...
    def cancel(self, order: CancelOrder) -> Answer: ...
    def funds(self, account_id: str) -> dict[str, float]: ...
    def positions(self, account_id: str) -> list[dict[str, Any]]: ...
    async def durable(self, lsn: int) -> None: ...


class Listing(Protocol):
    """What the front can say of instruments; `app/ctp_front` fills it from the tables."""

    def symbol(self, code: str, exchange: str) -> str | None: ...
    def info(self, symbol: str) -> Mapping[str, Any]: ...
    @property
    def made(self) -> Sequence[tuple[Mapping[str, Any], bytes]]: ...
    def look(self, count: int) -> bool: ...
    def instruments(self) -> Iterator[tuple[Mapping[str, Any], bytes]]: ...
    def depth(self, code: str, request: int) -> bytes | None: ...


class Session(Protocol):
    """Who is told what trades now: TraderSession."""

    def renew(self) -> None:
        """Look once more whether the login still stands."""


class Desk:
    """Owner: the front. Flows are kept while anyone listens, and IDLE_FLOWS_COUNT more for programs that come
    back and RESUME; confirmations until the trading day ends."""

    def __init__(
        self,
        *,
        settings: CtpFront,
        trade: Trading,
        auth: AuthService,
        listing: Listing,
        login: Callable[[], LoginReply],
        now_ns: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.trade = trade
        self.auth = auth
        self.listing = listing
        self._login = login
        self.now_ns = now_ns
        self._flows: dict[str, Flow] = {}
        self._confirmed: dict[str, tuple[int, str, str]] = {}
        self._last_session = self._last_flow = 0
        self._products: dict[str, str] = {}  # product -> a contract of it
        self._listed = 0
        self._looking: asyncio.Handle | None = None
        self._states: dict[str, tuple[int, bool]] = {}
        self._watchers: dict[Session, Callable[[bytes], None]] = {}
        self._by_user: Counter[str] = Counter()
        metrics.watch(
            "qautlra_net_ctp_flow_frames_count",
            "Frames of the day kept of an account that CTP programs follow",
            lambda: {(name,): float(flow.kept_count) for name, flow in self._flows.items()},
            labels=["account"],
        )

    def login(self) -> LoginReply:
        """Return the reply to a login; its day is the one that is traded: an operator may settle early."""
        reply = self._login()
        return replace(reply, trading_day=self.trade.trading_day or reply.trading_day)

    def health(self) -> dict[str, Any]:
        """Return what the front knows of its users."""
        return {"logged_in": sum(self._by_user.values()), "accounts_followed": len(self._flows)}

    def accepts_program(self, app_id: str, auth_code: str) -> bool:
        """Tell whether a program may log in: as configured, else any whose code looks like one."""
        wanted = self.settings
        if wanted.app_id and app_id != wanted.app_id:
            return False
        if wanted.auth_code:
            return wanted.auth_code.reveal() == auth_code
        return len(auth_code) == AUTH_CODE_CHARS

    def enter(self, principal: Principal) -> int | None:
        """Return a session number for a user who logs in, None when they have too many."""
        user = principal.user_id.lower()
        if self._by_user[user] >= self.settings.sessions_per_user:
            return None
        self._by_user[user] += 1
        # References are told apart by session for a whole day, also over restarts of this process.
        self._last_session = max(self._last_session + 1, wall_ns() // 1_000_000_000 & 0x3FFFFFFF)
        return self._last_session

    def leave(self, principal: Principal) -> None:
        """Give a session's place back."""
        user = principal.user_id.lower()
        self._by_user[user] -= 1
        if self._by_user[user] <= 0:
            del self._by_user[user]

    def now(self, principal: Principal) -> Principal | None:
        """Return who logged in as they are now; None when that login has ended."""
        try:
            return self.auth.now(principal)
        except AuthError:
            return None

    # --- which products trade now ---

    def watch(self, session: Session, send: Callable[[bytes], None]) -> None:
        """Tell a session the status of every product now, and what changes from now on."""
        self.turn()
        self._watchers[session] = send
        for product in self._states:
            send(self._status(product))

    def unwatch(self, session: Session) -> None:
        """End that."""
        self._watchers.pop(session, None)

    def turn(self) -> None:
        """Tell what has changed, and nobody who may not know it any more; once a second."""
        for session in list(self._watchers):
            session.renew()
        if not self.trade.is_running:
            return
        if self.listing.look(LOOK_COUNT) and self._looking is None:
            self._looking = asyncio.get_running_loop().call_soon(self._look_on)
        rows = self.listing.made
        for info, _ in rows[self._listed :]:
            if info["kind"] == "FUTURE":
                self._products.setdefault(f"{info['exchange_id']}.{info['product_id']}", info["symbol"])
        self._listed = len(rows)
        for product, symbol in self._products.items():
            state = self.trade.phase(symbol)
            if state != self._states.get(product):
                self._states[product] = state
                for send in list(self._watchers.values()):
                    send(self._status(product))

    def _look_on(self) -> None:
        self._looking = None
        self.turn()

    def _status(self, product: str) -> bytes:
        phase, before = self._states[product]
        record = write_status(product, phase, before=before, clock=self._login().clock)
        return frame(Kind.INSTRUMENT_STATUS, record)

    # --- what sessions share ---

    def flow(self, account_id: str) -> Flow:
        """Return the private flow of an account, made now when nobody has followed it yet."""
        flow = self._flows.get(account_id)
        if flow is None:
            self._last_flow = max(self._last_flow + 1, wall_ns() // 1_000_000_000)
            broker = self.settings.broker_id
            flow = self._flows[account_id] = Flow(self.trade, account_id, broker, self._last_flow)
        return flow

    def unfollow(self, flow: Flow, session: object) -> None:
        """End a session's part in a flow."""
        flow.detach(session)
        if flow.sessions_count:
            return
        self._flows[flow.account_id] = self._flows.pop(flow.account_id)  # the newest of the idle ones
        idle = [one for one in self._flows.values() if not one.sessions_count]
        for one in idle[:-IDLE_FLOWS_COUNT]:
            one.close()
            del self._flows[one.account_id]

    def confirm(self, account_id: str) -> tuple[str, str]:
        """Note that the settlement was confirmed today; return date and clock of it."""
        reply = self.login()
        found = (self.trade.trading_day, str(reply.trading_day), reply.clock)
        self._confirmed[account_id] = found
        return found[1:]

    def confirmed(self, account_id: str) -> tuple[str, str] | None:
        """Return date and clock of today's confirmation, None without one."""
        found = self._confirmed.get(account_id)
        return found[1:] if found is not None and found[0] == self.trade.trading_day else None

    def record(self, act: Act, principal: Principal, **detail: Any) -> None:
        """Write one line of the audit log."""
        self.auth.audit.record(act, principal.user_id, address="ctp_front", **detail)
