"""The service of the auth room: logins, tokens, Basic credentials, changes of users, limits, the audit log.

Recognising someone reads memory only; hashing runs in its own threads, `users.db` is written from one thread.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from qautlra.auth import secret, tokens
from qautlra.auth.audit import Act, AuditLog, Result
from qautlra.auth.limits import Buckets, LoginThrottle
from qautlra.auth.passwords import Hasher, check_rules, is_outdated
from qautlra.auth.rights import Access, Principal, Role
from qautlra.auth.tokens import Claims, Tokens
from qautlra.auth.users import USERS_COUNT, AccountEntry, Session, User, Users
from qautlra.base import clock, metrics
from qautlra.base.errors import AuthError, InputError, LimitError, QautlraError, UnavailableError
from qautlra.base.log import get_logger
from qautlra.base.secret import Secret, is_known_example
from qautlra.base.service import Service

POLL_S: Final = 1.0
PURGE_S: Final = 60.0
BASIC_KEPT_COUNT: Final = 4_096
BASIC_KEPT_S: Final = 60.0
PASSWORD_CHARS_MAX: Final = 256
_log = get_logger("auth")
T = TypeVar("T")
OpenAccount = Callable[[AccountEntry], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthOptions:
    """Settings of the room; see the `auth` and `net` sections of the configuration."""

    allow_register: bool = False
    access_token_s: float = 900.0
    refresh_token_s: float = 86_400.0
    login_attempts_per_min: int = 5
    audit_rows: int = 1_000_000
    orders_per_s: float = 100.0
    orders_burst: float = 200.0
    reads_per_s: float = 200.0
    reads_burst: float = 400.0
    username: str = ""
    password: Secret = field(default_factory=Secret)


@dataclass(frozen=True, slots=True)
class Login:
    """What a successful login or refresh gives."""

    user: User
    principal: Principal
    access_token: str
    refresh_token: str
    expires_in_s: int


class AuthService(Service):
    """Users of one data directory."""

    name = "auth"

    def __init__(self, directory: Path, options: AuthOptions | None = None) -> None:
        super().__init__()
        self.directory = directory
        self.options = options or AuthOptions()
        self.open_account: OpenAccount | None = None
        "Opens a wished-for account at once; set by `app/compose` where an engine runs."
        self.may_open: Callable[[str, str, float], None] = lambda _account_id, _broker, _cash: None
        "Raises InputError before an account (name, broker, cash) is wished for that cannot be opened."
        self._opening = asyncio.Lock()
        self._vain: set[str] = set()  # accounts whose wish could not be fulfilled, and that this was said
        self._audit: AuditLog | None = None
        o = self.options
        self.orders = Buckets("orders", o.orders_per_s, o.orders_burst)
        self.reads = Buckets("reads", o.reads_per_s, o.reads_burst)
        self._throttle = LoginThrottle(o.login_attempts_per_min)
        self._basic: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._basic_key = clock.new_token(32).encode()
        self._logins = metrics.counter("qautlra_auth_logins", "Logins tried", ["result"])

    # --- life ---

    async def start(self) -> None:
        """Open the files and begin to watch them."""
        self._hasher = Hasher()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="auth")
        self.users, self.tokens, self._audit = await self._on_writer(self._open)
        metrics.watch("qautlra_auth_users_count", "Users", lambda: self.users.counts()["users"])
        metrics.watch("qautlra_auth_sessions_count", "Logins", lambda: self.users.counts()["sessions"])
        metrics.bound("auth_users", lambda: self.users.counts()["users"], USERS_COUNT, when_full="refuse")
        self.spawn(self._watch(), "watch")

    async def stop(self, grace_s: float) -> None:
        """Write what waits and close."""
        await self.cancel_tasks(grace_s)
        audit, self._audit = self._audit, None
        if audit is None:
            return
        await self._on_writer(audit.close)
        await self._on_writer(self.users.close)
        self._writer.shutdown()
        self._hasher.close()

    @property
    def is_running(self) -> bool:
        """Whether users can be asked for, and the audit log takes entries."""
        return self._audit is not None

    @property
    def audit(self) -> AuditLog:
        """The audit log; UnavailableError while the service does not run."""
        if self._audit is None:
            raise UnavailableError("users are being read; try again")
        return self._audit

    def health(self) -> dict[str, Any]:
        """Return how many users and logins there are."""
        return self.users.counts() if hasattr(self, "users") else {}

    def _open(self) -> tuple[Users, Tokens, AuditLog]:
        users = Users(self.directory)
        key = secret.load(self.directory)
        audit = AuditLog(self.directory, key.key("audit log"), rows_max=self.options.audit_rows)
        return users, Tokens(key, self.options.access_token_s), audit

    async def _watch(self) -> None:
        due_s = clock.monotonic_s()
        while True:
            await asyncio.sleep(POLL_S)
            await self._on_writer(self.users.refresh)
            await self._open_wishes()
            if clock.monotonic_s() >= due_s:
                due_s = clock.monotonic_s() + PURGE_S
                await self._on_writer(self.users.purge)

    async def _open_wishes(self) -> None:
        """Open what another process wished for while we run: a command line before our admin socket."""
        if self.open_account is None:
            return
        wishes = self.users.wishes()
        self._vain &= {entry.account_id for entry in wishes}
        for entry in wishes:
            try:
                await self.open_wish(entry)
            except QautlraError as error:
                if entry.account_id not in self._vain:
                    _log.warning("account_not_opened", account_id=entry.account_id, reason=error.message)
                self._vain.add(entry.account_id)

    async def write(self, call: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run a writing call of `users` on the room's one thread."""
        return await self._on_writer(lambda: call(*arguments, **named))

    async def _on_writer(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)

    # --- recognising ---

    def recognise(self, token: str) -> Principal:
        """Return who an access token speaks for; AuthError 401 when it no longer does."""
        if self._audit is None:
            raise UnavailableError("users are being read; try again")
        claims = self.tokens.read(token)
        return self._entered(self._alive(claims.user_id, claims.generation), claims.session)

    def now(self, who: Principal) -> Principal:
        """Return who was recognised before as they are now; AuthError 401 when that login has ended."""
        if who.user_id == self.options.username:
            return who  # of the configuration: as long as the process
        user = self._alive(who.user_id, who.generation)
        return self._entered(user, who.session) if who.session else user.principal()

    def _entered(self, user: User, name: str) -> Principal:
        session = self.users.session(name)
        if session is None or session.user_id.lower() != user.user_id.lower():
            raise AuthError("the login of this token has ended; log in again")
        return user.principal(name)

    def _alive(self, user_id: str, generation: int) -> User:
        user = self.users.get(user_id)
        if user is None or user.disabled or user.generation != generation:
            raise AuthError("the token is no longer valid; log in again")
        return user

    async def check_password(self, user_id: str, password: str, address: str) -> User:
        """Return the user whose password this is; AuthError 401, or LimitError after too many failures."""
        audit = self.audit
        self._throttle.check(user_id, address)
        user = self.users.get(user_id)
        usable = user if user is not None and not user.disabled else None
        known = len(password) <= PASSWORD_CHARS_MAX and await self._hasher.verify(
            usable.password_hash if usable else None, password
        )
        if not known or usable is None or is_known_example("", password):
            self._throttle.failed(user_id, address)
            self._logins.labels("failed").inc()
            audit.record(Act.LOGIN, user.user_id if user else user_id, result=Result.FAILED, address=address)
            raise AuthError("wrong user or password")
        self._throttle.succeeded(user_id, address)
        self._logins.labels("ok").inc()
        return await self._renewed(usable, password) if is_outdated(usable.password_hash) else usable

    async def _renewed(self, user: User, password: str) -> User:
        """Hash a right password with today's parameters, unless it was changed meanwhile or many wait."""
        with suppress(LimitError):
            renewed = await self._hasher.hash(password)
            if await self.write(
                self.users.set_password, user.user_id, renewed, sign_out=False, instead_of=user.password_hash
            ):
                return replace(user, password_hash=renewed)
        return user

    async def sign_in(self, user_id: str, password: str, address: str) -> User:
        """Check a password and write the login down: for doors whose connection is the session."""
        user = await self.check_password(user_id, password, address)
        self.audit.record(Act.LOGIN, user.user_id, address=address)
        return user

    async def recognise_basic(self, user_id: str, password: str, address: str) -> Principal:
        """Return who HTTP Basic credentials stand for; a right answer is remembered for BASIC_KEPT_S."""
        o = self.options
        if o.username and o.password and user_id == o.username:
            if o.password == Secret(password) and not is_known_example(user_id, password):
                return Principal(o.username, Role.DATA | Role.ANALYST)
            self._throttle.check(user_id, address)
            self._throttle.failed(user_id, address)
            raise AuthError("wrong user or password")
        text = f"{len(user_id)}:{user_id}{password}".encode("utf-8", "surrogatepass")
        key = hmac.new(self._basic_key, text, hashlib.sha256).digest()
        found = self._basic.get(key)
        if found is not None:
            who, until_s = found
            if clock.monotonic_s() < until_s:
                with suppress(AuthError):
                    return self.now(who)
            del self._basic[key]
        user = await self.sign_in(user_id, password, address)
        who = user.principal()
        self._basic[key] = (who, clock.monotonic_s() + BASIC_KEPT_S)
        if len(self._basic) > BASIC_KEPT_COUNT:
            self._basic.popitem(last=False)
        return who

    # --- logins ---

    async def login(self, user_id: str, password: str, address: str = "") -> Login:
        """Begin a login session."""
        user = await self.sign_in(user_id, password, address)
        session, login = self._new_login(user, clock.new_token(12))
        if not await self.write(self.users.put_session, session, user.generation):
            raise AuthError("wrong user or password")  # since it was checked
        return login

    async def refresh(self, refresh_token: str, address: str = "") -> Login:
        """Change a refresh token into new ones. One used twice was stolen: its session ends."""
        name = tokens.session_of(refresh_token)
        session = self.users.session(name)
        user = self.users.get(session.user_id) if session is not None else None
        if session is None or user is None or user.disabled:
            raise AuthError("the login has ended; log in again")
        fresh, login = self._new_login(user, name)
        old_hash = tokens.refresh_hash(refresh_token)
        if await self.write(self.users.rotate_session, fresh, old_hash):
            return login
        await self.write(self.users.end_session, name)
        self.audit.record(
            Act.LOGIN, user.user_id, result=Result.BLOCKED, address=address, why="refresh token used twice"
        )
        raise AuthError("the refresh token was used before; log in again")

    async def logout(self, principal: Principal, address: str = "") -> None:
        """End the login session of a token."""
        await self.write(self.users.end_session, principal.session)
        self.audit.record(Act.LOGOUT, principal.user_id, address=address)

    def _new_login(self, user: User, name: str) -> tuple[Session, Login]:
        refresh, hashed = tokens.new_refresh(name)
        expires_ns = clock.wall_ns() + int(self.options.refresh_token_s * 1e9)
        access = self.tokens.issue(Claims(user.user_id, name, user.generation))
        return (
            Session(name, user.user_id, hashed, expires_ns),
            Login(user, user.principal(name), access, refresh, int(self.tokens.life_s)),
        )

    # --- changes ---

    async def add_user(self, user_id: str, password: str, roles: Role) -> User:
        """Add a user; InputError when name or password will not do."""
        check_rules(user_id, password)
        if user_id.lower() == self.options.username.lower():
            raise InputError(f"{user_id} is the user of the configuration (auth.username)", status=409)
        return await self.write(self.users.add, user_id, await self._hasher.hash(password), roles)

    async def set_password(self, user_id: str, password: str) -> None:
        """Set a password and end the user's logins."""
        user = self.users.find(user_id)
        check_rules(user.user_id, password)
        await self.write(self.users.set_password, user_id, await self._hasher.hash(password))

    async def change_password(self, user_id: str, old: str, new: str, address: str) -> None:
        """Set one's own password; AuthError 403 when `old` is not it, or not any more when `new` is set."""
        try:
            user = await self.check_password(user_id, old, address)
            check_rules(user.user_id, new)
            hashed, before = await self._hasher.hash(new), user.password_hash
            if not await self.write(self.users.set_password, user_id, hashed, instead_of=before):
                raise AuthError("changed since it was checked")
        except AuthError:
            self.audit.record(Act.PASSWORD_CHANGE, user_id, result=Result.FAILED, address=address)
            raise AuthError("the old password is wrong", status=403, zh="原密码错误") from None
        self.audit.record(Act.PASSWORD_CHANGE, user_id, address=address)

    async def give_account(
        self,
        user_id: str,
        account_id: str,
        access: Access = Access.OWN,
        *,
        broker: str | None = None,
        cash: float = 0.0,
    ) -> AccountEntry:
        """Grant an account; with a broker a new one is wished for, and opened where an engine runs."""
        if broker is not None:
            self.may_open(account_id, broker, cash)
        entry = await self.write(self.users.grant, user_id, account_id, access, broker=broker, cash=cash)
        return await self.open_wish(entry)

    async def open_wish(self, entry: AccountEntry) -> AccountEntry:
        """Have a wished-for account opened, where an engine runs; an account is never opened twice."""
        if entry.opened or self.open_account is None:
            return entry
        async with self._opening:
            entry = self.users.account(entry.account_id) or entry
            if not entry.opened:
                await self.open_account(entry)
                await self.write(self.users.mark_opened, entry.account_id)
        return self.users.account(entry.account_id) or entry
