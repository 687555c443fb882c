"""Bodies of the login and user doors, and of the audit log."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Given = Annotated[str, Meta(max_length=256)]


class LoginRequest(Struct, frozen=True):
    """Who, and the password."""

    username: Name
    password: Given


class RefreshRequest(Struct, frozen=True):
    """The refresh token of the last login or refresh; each is good once."""

    refresh_token: Annotated[str, Meta(max_length=512)]


class RegisterRequest(Struct, frozen=True):
    """A new user without any account."""

    username: Name
    password: Given


class LoginReply(Struct, frozen=True):
    """Tokens: `token` goes into `Authorization: Bearer`, for `expires_in` seconds."""

    user_id: str
    username: str
    token: str
    refresh_token: str
    token_type: str
    expires_in: int
    roles: list[str]
    role_mask: int
    permissions: list[str]
    accounts: dict[str, str]


class UserReply(Struct, frozen=True):
    """A user; `accounts` maps each account granted to `own` or `view`."""

    user_id: str
    username: str
    roles: list[str]
    role_mask: int
    permissions: list[str]
    accounts: dict[str, str]
    disabled: bool
    created_at: int


class UserList(Struct, frozen=True):
    """Every user."""

    users: list[UserReply]
    total: int


class RolesRequest(Struct, frozen=True):
    """Roles by name, or together as a bit mask."""

    user_id: Name
    roles: list[str] | int


class RoleRequest(Struct, frozen=True):
    """One more role."""

    user_id: Name
    role: str


class CreateUserRequest(Struct, frozen=True):
    """A user made by an administrator."""

    username: Name
    password: Given
    roles: list[str] | int = 1


class PasswordRequest(Struct, frozen=True):
    """A changed password; it ends the user's other logins too."""

    old_password: Given
    new_password: Given


class ResetRequest(Struct, frozen=True):
    """A password set by an administrator."""

    new_password: Given


class GrantRequest(Struct, frozen=True):
    """An account given to a user (`own` or `view`), or taken (`none`)."""

    user_id: Name
    account_id: Name
    access: str = "own"


class Done(Struct, frozen=True):
    """It was done."""

    message: str


class AuditEntry(Struct, frozen=True):
    """One entry of the audit log; `timestamp` in ms, `detail` as the act has it."""

    id: int
    timestamp: int
    type: str
    result: str
    user_id: str
    account_id: str
    address: str
    detail: dict[str, Any]


class AuditPage(Struct, frozen=True):
    """Entries, newest first; `next_before` asks for older ones, absent at the end."""

    logs: list[AuditEntry]
    next_before: int | None


class AuditVerdict(Struct, frozen=True):
    """Whether the chain of entries holds, and if not, where it breaks."""

    intact: bool
    entries: int
    first_id: int
    last_id: int
    reason: str
