"""Rights, the roles that give them, and the principal: someone recognised, with their accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from functools import cache
from typing import Final

from qautlra.base.errors import AuthError, InputError


class Right(StrEnum):
    """What a door asks for. Those in ACCOUNT_RIGHTS are held for accounts, the others for the server."""

    PUBLIC = "public"  # no login, wherever the caller is
    MARKET = "market"  # market data and queries: open on loopback, any login beyond it
    USER = "user"  # any login
    VIEW = "view"
    TRADE = "trade"
    CANCEL = "cancel"
    TRANSFER = "transfer"
    OPEN_ACCOUNT = "open_account"
    VIEW_ALL = "view_all"
    MOVE_MONEY = "move_money"
    FREEZE = "freeze"
    VIEW_RISK = "view_risk"
    MANAGE_RISK = "manage_risk"
    SETTLE = "settle"
    MANAGE_INSTRUMENTS = "manage_instruments"
    ANNOUNCE = "announce"
    MONITOR = "monitor"
    INGEST = "ingest"
    DELETE_DATA = "delete_data"
    VIEW_AUDIT = "view_audit"
    MANAGE_USERS = "manage_users"


ACCOUNT_RIGHTS: Final = frozenset({Right.VIEW, Right.TRADE, Right.CANCEL, Right.TRANSFER})
"""Held for the accounts granted to a user; VIEW_ALL extends VIEW to every account."""


class Role(IntFlag):
    """Roles as the trading contract numbers them; DATA is ours: it may write the store."""

    TRADER = 1
    ANALYST = 2
    READ_ONLY = 4
    RISK_MANAGER = 8
    SETTLEMENT = 16
    ADMIN = 128
    DATA = 256


_GIVES: Final[Mapping[Role, frozenset[Right]]] = {
    Role.TRADER: ACCOUNT_RIGHTS | {Right.OPEN_ACCOUNT},
    Role.ANALYST: frozenset({Right.VIEW, Right.MONITOR}),
    Role.READ_ONLY: frozenset({Right.VIEW}),
    Role.RISK_MANAGER: frozenset(
        {Right.VIEW, Right.VIEW_ALL, Right.CANCEL, Right.FREEZE, Right.VIEW_RISK, Right.MANAGE_RISK}
        | {Right.MONITOR}
    ),
    Role.SETTLEMENT: frozenset({Right.VIEW, Right.VIEW_ALL, Right.SETTLE, Right.MONITOR}),
    Role.ADMIN: frozenset(Right),
    Role.DATA: frozenset({Right.INGEST, Right.DELETE_DATA, Right.MONITOR}),
}
_EVERYONE: Final = frozenset({Right.PUBLIC, Right.MARKET, Right.USER})
_ON_EVERY_ACCOUNT: Final[Mapping[Right, frozenset[Role]]] = {
    Right.VIEW: frozenset({Role.RISK_MANAGER, Role.SETTLEMENT, Role.ADMIN}),
    Right.CANCEL: frozenset({Role.RISK_MANAGER, Role.ADMIN}),
    Right.TRADE: frozenset({Role.ADMIN}),
    Right.TRANSFER: frozenset({Role.ADMIN}),
}


class Access(StrEnum):
    """How a user holds an account: as its owner, or only to look at."""

    OWN = "own"
    VIEW = "view"


def role_of(text: str) -> Role:
    """Return the role of a name (`trader`, `RiskManager`, `risk_manager`); InputError when there is none."""
    plain = text.strip().replace("_", "").replace("-", "").lower()
    for role in Role:
        if (role.name or "").replace("_", "").lower() == plain:
            return role
    raise InputError(f"no role {text[:64]!r}", roles=[role_name(role) for role in Role])


def roles_of(texts: Iterable[str]) -> Role:
    """Return the roles of these names together."""
    found = Role(0)
    for text in texts:
        found |= role_of(text)
    return found


def role_name(role: Role) -> str:
    """Return the name of one role."""
    return (role.name or "").lower()


def role_names(roles: Role) -> list[str]:
    """Return the names of the roles that are set."""
    return [role_name(role) for role in Role if role in roles]


@cache
def rights_of(roles: Role) -> frozenset[Right]:
    """Return what these roles give."""
    return _EVERYONE.union(*(_GIVES[role] for role in Role if role in roles))


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone recognised. `session` names the login a token belongs to, empty for one-off credentials.

    `generation` is the user's of then; `AuthService.now` says who they are since.
    """

    user_id: str
    roles: Role
    accounts: Mapping[str, Access] = field(default_factory=dict)
    session: str = ""
    generation: int = 0

    def may(self, right: Right, account_id: str | None = None) -> bool:
        """Tell whether this user holds `right`, for `account_id` when one is named."""
        if right not in rights_of(self.roles):
            return False
        if account_id is None or right not in ACCOUNT_RIGHTS:
            return True
        if any(role in self.roles for role in _ON_EVERY_ACCOUNT[right]):
            return True
        held = self.accounts.get(account_id)
        return held is Access.OWN or (held is Access.VIEW and right is Right.VIEW)

    def require(self, right: Right, account_id: str | None = None) -> None:
        """Raise AuthError 403 unless `may`; an account that does not exist is answered the same."""
        if self.may(right, account_id):
            return
        what = f"{right.value} on account {account_id[:64]}" if account_id is not None else right.value
        raise AuthError(f"{self.user_id} may not {what}", status=403, right=right.value)
