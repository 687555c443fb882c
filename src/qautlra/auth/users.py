"""Users, their accounts and login sessions: held in memory, written through to `users.db`.

Blocking where it writes; one writer at a time (`service` uses one thread, the command line is one). Readers
see whole tables that are replaced, never changed.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qautlra.auth.database import Database
from qautlra.auth.rights import Access, Principal, Role
from qautlra.base import clock
from qautlra.base.errors import InputError, LimitError, NotFoundError

USERS_COUNT: Final = 20_000
ACCOUNTS_PER_USER_COUNT: Final = 256
SESSIONS_PER_USER_COUNT: Final = 32
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\-]{0,63}")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")
_BROKER: Final = re.compile(r"[A-Za-z0-9_\-]{1,64}")


@dataclass(frozen=True, slots=True)
class User:
    """One user. `generation` moves on when tokens of before must die."""

    user_id: str
    password_hash: str
    roles: Role
    disabled: bool
    generation: int
    created_ns: int
    accounts: Mapping[str, Access] = field(default_factory=dict)

    def principal(self, session: str = "") -> Principal:
        """Return this user as someone recognised."""
        return Principal(self.user_id, self.roles, self.accounts, session, self.generation)


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account as users know it: with which broker, and whether the wish for it was granted."""

    account_id: str
    broker: str
    cash: float
    opened: bool


@dataclass(frozen=True, slots=True)
class Session:
    """One login that can be refreshed until it expires."""

    session: str
    user_id: str
    token_hash: bytes
    expires_ns: int


class Users:
    """The tables of one data directory."""

    def __init__(self, directory: Path) -> None:
        self._database = Database(directory)
        self._users: Mapping[str, User] = {}
        self._accounts: Mapping[str, AccountEntry] = {}
        self._sessions: dict[str, Session] = {}
        self._owners: Mapping[str, str] = {}
        self._load()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # --- reading: memory only ---

    def get(self, user_id: str) -> User | None:
        """Return the user of this name, in any case of letters."""
        return self._users.get(user_id.lower())

    def find(self, user_id: str) -> User:
        """Return the user; NotFoundError when there is none."""
        user = self.get(user_id)
        if user is None:
            raise NotFoundError(f"no user {user_id[:64]!r}")
        return user

    def all(self) -> list[User]:
        """Return every user, by name."""
        return sorted(self._users.values(), key=lambda user: user.user_id.lower())

    def account(self, account_id: str) -> AccountEntry | None:
        """Return what is known of an account."""
        return self._accounts.get(account_id)

    def accounts(self) -> list[AccountEntry]:
        """Return every account, by name."""
        return [self._accounts[name] for name in sorted(self._accounts)]

    def wishes(self) -> list[AccountEntry]:
        """Return the accounts asked for that no engine has opened yet."""
        return [entry for entry in self.accounts() if not entry.opened]

    def owner_of(self, account_id: str) -> str | None:
        """Return a user who owns an account, None when nobody does."""
        return self._owners.get(account_id)

    def session(self, session: str) -> Session | None:
        """Return a login session that has not ended."""
        found = self._sessions.get(session)
        return found if found is not None and found.expires_ns > clock.wall_ns() else None

    def counts(self) -> dict[str, int]:
        """Return how many users, accounts and sessions there are."""
        return {"users": len(self._users), "accounts": len(self._accounts), "sessions": len(self._sessions)}

    # --- writing ---

    def add(self, user_id: str, password_hash: str, roles: Role) -> User:
        """Add a user; InputError when the name is taken or not one."""
        if not _USER.fullmatch(user_id):
            raise InputError(
                "a user's name has 1 to 64 letters, digits and any of _ . @ -; not . @ or - first"
            )
        if len(self._users) >= USERS_COUNT:
            raise LimitError(f"no more than {USERS_COUNT} users", status=409)
        try:
            self._write(
                (
                    "INSERT INTO users (user_id, password_hash, roles, created_ns) VALUES (?, ?, ?, ?)",
                    (user_id, password_hash, int(roles), clock.wall_ns()),
                )
            )
        except sqlite3.IntegrityError:
            raise InputError(f"there is a user {user_id!r} already", status=409) from None
        return self.find(user_id)

    def set_password(
        self, user_id: str, password_hash: str, *, sign_out: bool = True, instead_of: str | None = None
    ) -> bool:
        """Set the password; `sign_out` ends every session and token of the user.

        False, and nothing is set, when the hash is not `instead_of`: it was changed since that was read.
        """
        user = self.find(user_id)
        changed, *_ = self._write(
            (
                "UPDATE users SET password_hash = ?, generation = generation + ? "
                "WHERE user_id = ? AND password_hash = ifnull(?, password_hash)",
                (password_hash, int(sign_out), user.user_id, instead_of),
            ),
            (
                "DELETE FROM sessions WHERE user_id = ? AND ? AND EXISTS "
                "(SELECT 1 FROM users WHERE user_id = sessions.user_id AND password_hash = ?)",
                (user.user_id, int(sign_out), password_hash),
            ),
        )
        return changed == 1

    def set_roles(self, user_id: str, roles: Role) -> User:
        """Set the roles, which hold from the next request on."""
        user = self.find(user_id)
        if not roles or int(roles) & ~sum(Role):
            raise InputError(f"{int(roles)} is no set of roles")
        self._write(("UPDATE users SET roles = ? WHERE user_id = ?", (int(roles), user.user_id)))
        return self.find(user_id)

    def set_disabled(self, user_id: str, disabled: bool) -> User:
        """Let a user in no more, or again; disabling ends every session and token at once."""
        user = self.find(user_id)
        self._write(
            (
                "UPDATE users SET disabled = ?, generation = generation + ? WHERE user_id = ?",
                (int(disabled), int(disabled), user.user_id),
            ),
            ("DELETE FROM sessions WHERE user_id = ?", (user.user_id,)),
        )
        return self.find(user_id)

    def grant(
        self,
        user_id: str,
        account_id: str,
        access: Access = Access.OWN,
        *,
        broker: str | None = None,
        cash: float = 0.0,
    ) -> AccountEntry:
        """Give a user an account. With `broker` a new one is wished for; without, it must be known."""
        user = self.find(user_id)
        known = self._accounts.get(account_id)
        if not _ACCOUNT.fullmatch(account_id):
            raise InputError("an account's name has 1 to 64 letters, digits and any of _ . -")
        if account_id not in user.accounts and len(user.accounts) >= ACCOUNTS_PER_USER_COUNT:
            raise LimitError(f"no more than {ACCOUNTS_PER_USER_COUNT} accounts of one user", status=409)
        if known is None and broker is None:
            raise NotFoundError(f"no account {account_id!r}")
        if known is not None and broker is not None and known.broker != broker:
            raise InputError(f"account {account_id} is with broker {known.broker}", status=409)
        statements: list[tuple[str, tuple[object, ...]]] = []
        if known is None and broker is not None:
            if not _BROKER.fullmatch(broker):
                raise InputError("a broker's name has 1 to 64 letters, digits and any of _ -")
            if not 0 <= cash <= 1e12:
                raise InputError("cash is a number from 0 to 1e12")
            if abs(cash - round(cash, 2)) >= 5e-7:
                raise InputError("cash: expected whole cents")
            statements.append(
                (
                    "INSERT INTO accounts (account_id, broker, cash, created_ns) VALUES (?, ?, ?, ?)",
                    (account_id, broker, float(cash), clock.wall_ns()),
                )
            )
        statements.append(
            (
                "INSERT INTO grants (user_id, account_id, access) VALUES (?, ?, ?) "
                "ON CONFLICT (user_id, account_id) DO UPDATE SET access = excluded.access",
                (user.user_id, account_id, access.value),
            )
        )
        self._write(*statements)
        return self._accounts[account_id]

    def revoke(self, user_id: str, account_id: str) -> None:
        """Take an account from a user."""
        user = self.find(user_id)
        self._write(("DELETE FROM grants WHERE user_id = ? AND account_id = ?", (user.user_id, account_id)))

    def mark_opened(self, account_id: str) -> None:
        """Remember that the engine has opened the account with its cash."""
        self._write(("UPDATE accounts SET opened = 1 WHERE account_id = ?", (account_id,)))

    def put_session(self, session: Session, generation: int) -> bool:
        """Keep a new session; the oldest of a user with too many ends.

        False when the password it was begun with is the user's no more, or the user is disabled meanwhile.
        """
        mine = sorted(
            (s for s in self._sessions.values() if s.user_id == session.user_id), key=lambda s: s.expires_ns
        )
        over = [s.session for s in mine][: max(0, len(mine) + 1 - SESSIONS_PER_USER_COUNT)]
        kept, *_ = self._database.write(
            (
                "INSERT INTO sessions (session, user_id, token_hash, expires_ns) SELECT ?, user_id, ?, ? "
                "FROM users WHERE user_id = ? AND generation = ? AND NOT disabled",
                (session.session, session.token_hash, session.expires_ns, session.user_id, generation),
            ),
            *(("DELETE FROM sessions WHERE session = ?", (name,)) for name in over),
        )
        for name in over:
            self._sessions.pop(name, None)
        if kept:
            self._sessions[session.session] = session
        return kept == 1

    def rotate_session(self, session: Session, old_hash: bytes) -> bool:
        """Put a session's new token in the place of its old one; False when that was used already."""
        (changed,) = self._database.write(
            (
                "UPDATE sessions SET token_hash = ?, expires_ns = ? WHERE session = ? AND token_hash = ?",
                (session.token_hash, session.expires_ns, session.session, old_hash),
            )
        )
        if changed:
            self._sessions[session.session] = session
        return changed == 1

    def end_session(self, session: str) -> None:
        """End a login: its tokens die at once."""
        self._sessions.pop(session, None)
        self._database.write(("DELETE FROM sessions WHERE session = ?", (session,)))

    # --- the file ---

    def refresh(self) -> bool:
        """Read again when another process has written; tell whether anything was read."""
        if self._database.version() == self._version:
            return False
        self._load()
        return True

    def purge(self) -> None:
        """Delete sessions that have expired."""
        now_ns = clock.wall_ns()
        if any(session.expires_ns <= now_ns for session in self._sessions.values()):
            self._write(("DELETE FROM sessions WHERE expires_ns <= ?", (now_ns,)))

    def _write(self, *statements: tuple[str, tuple[object, ...]]) -> list[int]:
        changed = self._database.write(*statements)
        self._load()
        return changed

    def _load(self) -> None:
        database = self._database
        self._version = database.version()
        grants: dict[str, dict[str, Access]] = {}
        for user_id, account_id, access in database.rows("grants"):
            grants.setdefault(user_id.lower(), {})[account_id] = Access(access)
        self._accounts = {
            account_id: AccountEntry(account_id, broker, cash, bool(opened))
            for account_id, broker, cash, opened in database.rows("accounts")
        }
        self._owners = {
            account_id: user_id
            for user_id, account_id, access in reversed(database.rows("grants"))
            if access == Access.OWN
        }
        self._sessions = {row[0]: Session(*row) for row in database.rows("sessions")}
        self._users = {
            user_id.lower(): User(
                user_id, hashed, Role(roles), bool(disabled), generation, created_ns,
                grants.get(user_id.lower(), {}),
            )
            for user_id, hashed, roles, disabled, generation, created_ns in database.rows("users")
        }  # fmt: skip
