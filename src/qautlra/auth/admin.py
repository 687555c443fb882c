"""What the owner of the machine asks for: one command, one answer.

The admin socket comes here, and the command line where no server runs.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from qautlra.auth.audit import Act
from qautlra.auth.rights import Role, role_names, roles_of
from qautlra.auth.service import AuthService
from qautlra.auth.users import User
from qautlra.base.errors import InputError

BY: Final = "(this machine)"


class Hello(Struct, frozen=True, tag="hello"):
    """Who is there?"""


class Add(Struct, frozen=True, tag="user.add"):
    """Add a user, with an account when one is named; without a password, give a known user the account."""

    name: str
    password: str = ""
    roles: list[str] = []
    account: str = ""
    broker: str = "paper"
    cash: float = 0.0


class List(Struct, frozen=True, tag="user.list"):
    """List users and accounts."""


class Disable(Struct, frozen=True, tag="user.disable"):
    """Let a user in no more, or again."""

    name: str
    disabled: bool = True


class Passwd(Struct, frozen=True, tag="user.passwd"):
    """Set a password."""

    name: str
    password: str


class SetRoles(Struct, frozen=True, tag="user.roles"):
    """Set a user's roles."""

    name: str
    roles: list[str]


Command = Hello | Add | List | Disable | Passwd | SetRoles
_decoder: Final = msgspec.json.Decoder(Command)


def decode(line: bytes) -> Command:
    """Return the command of a line; InputError when it is none."""
    try:
        command: Command = _decoder.decode(line)
        return command
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError(f"not an admin command: {error}") from None


async def perform(auth: AuthService, command: Command) -> dict[str, Any]:
    """Do it and return the answer."""
    if isinstance(command, Hello):
        return {"data_dir": str(auth.directory)}
    if isinstance(command, List):
        return {"users": [_shown(auth, user) for user in auth.users.all()]}
    if isinstance(command, Add):
        user = await _add(auth, command)
    elif isinstance(command, Disable):
        user = await auth.write(auth.users.set_disabled, command.name, command.disabled)
    elif isinstance(command, SetRoles):
        user = await auth.write(auth.users.set_roles, command.name, roles_of(command.roles))
    else:
        await auth.set_password(command.name, command.password)
        user = auth.users.find(command.name)
    act = Act.PASSWORD_CHANGE if isinstance(command, Passwd) else Act.USER_CHANGE
    what = type(command).__name__.lower()
    auth.audit.record(act, BY, what=what, user=user.user_id, roles=int(user.roles), disabled=user.disabled)
    return {"user": _shown(auth, user)}


async def _add(auth: AuthService, command: Add) -> User:
    if command.password or auth.users.get(command.name) is None:
        roles = roles_of(command.roles) if command.roles else Role.TRADER
        await auth.add_user(command.name, command.password, roles)
    elif not command.account:
        raise InputError(f"there is a user {command.name!r} already", status=409)
    if command.account:
        await auth.give_account(command.name, command.account, broker=command.broker, cash=command.cash)
        auth.audit.record(
            Act.ACCOUNT_OPEN, BY, account_id=command.account, broker=command.broker, cash=command.cash
        )
    return auth.users.find(command.name)


def _shown(auth: AuthService, user: User) -> dict[str, Any]:
    accounts = []
    for account_id, access in sorted(user.accounts.items()):
        entry = auth.users.account(account_id)
        accounts.append(
            {
                "account": account_id,
                "access": access.value,
                "broker": entry.broker if entry else "",
                "opened": entry.opened if entry else False,
            }
        )
    return {
        "name": user.user_id,
        "roles": role_names(user.roles),
        "disabled": user.disabled,
        "accounts": accounts,
    }
