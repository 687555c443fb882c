"""The doors of logins and users (`/api/auth/...`), in the trading envelope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web

from qautlra.auth.audit import Act
from qautlra.auth.rights import Access, Principal, Right, Role, rights_of, role_names, role_of, roles_of
from qautlra.auth.users import User
from qautlra.base.errors import AuthError, InputError, UnavailableError
from qautlra.net.auth import address_of, principal
from qautlra.net.deps import Deps
from qautlra.net.http import json_body, raw_json
from qautlra.net.route import Route, check_query
from qautlra.wire import envelope, users
from qautlra.wire.envelope import Envelope

if TYPE_CHECKING:
    from qautlra.auth.service import AuthService, Login

    Door = Callable[[AuthService, web.Request], Awaitable[Any]]

T = TypeVar("T")


async def body_of(request: web.Request, kind: type[T]) -> T:
    """Return the request's JSON body as `kind`; InputError when it is not one."""
    return envelope.decode(kind, await json_body(request))


class AuthHttp:
    """Handlers of `/api/auth`."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        """Return the route table's rows."""
        row, user, many = self._row, users.UserReply, users.UserList
        manage, base = Right.MANAGE_USERS, "/api/auth"
        return [
            row("POST", f"{base}/login", login, "Log in", users.LoginRequest, users.LoginReply, Right.PUBLIC),
            row(
                "POST", f"{base}/refresh", refresh, "Change a refresh token into new tokens",
                users.RefreshRequest, users.LoginReply, Right.PUBLIC,
            ),
            row(
                "POST", f"{base}/register", register, "Register, where auth.allow_register is on",
                users.RegisterRequest, user, Right.PUBLIC,
            ),
            row("POST", f"{base}/logout", logout, "End this login", None, users.Done, Right.USER),
            row(
                "POST", f"{base}/password", change_password, "Change one's password",
                users.PasswordRequest, users.Done, Right.USER,
            ),
            row("GET", f"{base}/me", me, "Who am I", None, user, Right.USER),
            row("GET", base + "/user/{user_id}", one, "A user: oneself, or any", None, user, Right.USER),
            row("GET", f"{base}/users", all_users, "Every user", None, many, manage),
            row("POST", f"{base}/users", create, "Add a user", users.CreateUserRequest, user, manage),
            row("POST", f"{base}/user/roles", set_roles, "Set roles", users.RolesRequest, user, manage),
            row("POST", f"{base}/user/role/add", add_role, "Add a role", users.RoleRequest, user, manage),
            row(
                "POST", f"{base}/user/grant", grant, "Give or take an account",
                users.GrantRequest, user, manage,
            ),
            row(
                "POST", base + "/user/{user_id}/make-admin", make_admin, "Make an administrator",
                None, user, manage,
            ),
            row(
                "POST", base + "/user/{user_id}/disable", partial(set_disabled, True), "Let in no more",
                None, user, manage,
            ),
            row(
                "POST", base + "/user/{user_id}/enable", partial(set_disabled, False), "Let in again",
                None, user, manage,
            ),
            row(
                "POST", base + "/user/{user_id}/password", reset_password, "Set a user's password",
                users.ResetRequest, users.Done, manage,
            ),
        ]  # fmt: skip

    def _row(
        self, method: str, path: str, door: Door, summary: str, body: Any, reply: Any, right: Right
    ) -> Route:
        async def handler(request: web.Request) -> web.Response:
            auth = self._deps.auth
            if auth is None:
                raise UnavailableError("this process has no users")
            check_query(request, {})
            return raw_json(envelope.ok(await door(auth, request)))

        return Route(
            method, path, handler, summary, "users", body, Envelope[reply],
            statuses={400: "bad parameters", 401: "not logged in", 403: "not permitted", 429: "too often"},
            right=right, envelope=True,
        )  # fmt: skip


def _login_reply(login: Login) -> users.LoginReply:
    shown = user_reply(login.user)
    return users.LoginReply(
        user_id=shown.user_id,
        username=shown.username,
        token=login.access_token,
        refresh_token=login.refresh_token,
        token_type="Bearer",
        expires_in=login.expires_in_s,
        roles=shown.roles,
        role_mask=shown.role_mask,
        permissions=shown.permissions,
        accounts=shown.accounts,
    )


def user_reply(user: User) -> users.UserReply:
    """Return a user as doors show one."""
    return users.UserReply(
        user_id=user.user_id,
        username=user.user_id,
        roles=role_names(user.roles),
        role_mask=int(user.roles),
        permissions=sorted(right.value for right in rights_of(user.roles)),
        accounts={name: access.value for name, access in user.accounts.items()},
        disabled=user.disabled,
        created_at=user.created_ns // 1_000_000,
    )


def _roles(given: list[str] | int) -> Role:
    if isinstance(given, list):
        return roles_of(given)
    if given <= 0 or given & ~sum(Role):
        raise InputError(f"{given} is no set of roles")
    return Role(given)


def _write_down(auth: AuthService, request: web.Request, who: Principal, what: str, **detail: Any) -> None:
    auth.audit.record(Act.USER_CHANGE, who.user_id, address=address_of(request), what=what, **detail)


async def login(auth: AuthService, request: web.Request) -> users.LoginReply:
    """Check a password and begin a login."""
    asked = await body_of(request, users.LoginRequest)
    return _login_reply(await auth.login(asked.username, asked.password, address_of(request)))


async def refresh(auth: AuthService, request: web.Request) -> users.LoginReply:
    """Go on with a login."""
    asked = await body_of(request, users.RefreshRequest)
    return _login_reply(await auth.refresh(asked.refresh_token, address_of(request)))


async def register(auth: AuthService, request: web.Request) -> users.UserReply:
    """Add a trader without accounts, where that is allowed."""
    if not auth.options.allow_register:
        raise AuthError("users are added by an administrator (auth.allow_register is off)", status=403)
    auth.reads.take(f"register {address_of(request)}", auth.reads.burst / 10)
    asked = await body_of(request, users.RegisterRequest)
    user = await auth.add_user(asked.username, asked.password, Role.TRADER)
    auth.audit.record(Act.USER_CHANGE, user.user_id, address=address_of(request), what="register")
    return user_reply(user)


async def logout(auth: AuthService, request: web.Request) -> users.Done:
    """End the login of the token."""
    await auth.logout(principal(request), address_of(request))
    return users.Done("logged out")


async def change_password(auth: AuthService, request: web.Request) -> users.Done:
    """Change one's own password."""
    asked = await body_of(request, users.PasswordRequest)
    user_id, address = principal(request).user_id, address_of(request)
    await auth.change_password(user_id, asked.old_password, asked.new_password, address)
    return users.Done("password changed; log in again")


async def me(auth: AuthService, request: web.Request) -> users.UserReply:
    """Tell who the token speaks for."""
    return user_reply(auth.users.find(principal(request).user_id))


async def one(auth: AuthService, request: web.Request) -> users.UserReply:
    """Show a user to himself or to an administrator."""
    who, asked = principal(request), request.match_info["user_id"]
    if asked.lower() != who.user_id.lower():
        who.require(Right.MANAGE_USERS)
    return user_reply(auth.users.find(asked))


async def all_users(auth: AuthService, _request: web.Request) -> users.UserList:
    """List users."""
    found = [user_reply(user) for user in auth.users.all()]
    return users.UserList(found, len(found))


async def create(auth: AuthService, request: web.Request) -> users.UserReply:
    """Add a user."""
    asked = await body_of(request, users.CreateUserRequest)
    user = await auth.add_user(asked.username, asked.password, _roles(asked.roles))
    _write_down(auth, request, principal(request), "add", user=user.user_id, roles=int(user.roles))
    return user_reply(user)


async def set_roles(auth: AuthService, request: web.Request) -> users.UserReply:
    """Set a user's roles."""
    asked = await body_of(request, users.RolesRequest)
    return await _new_roles(auth, request, asked.user_id, _roles(asked.roles))


async def add_role(auth: AuthService, request: web.Request) -> users.UserReply:
    """Give a user one more role."""
    asked = await body_of(request, users.RoleRequest)
    roles = auth.users.find(asked.user_id).roles | role_of(asked.role)
    return await _new_roles(auth, request, asked.user_id, roles)


async def make_admin(auth: AuthService, request: web.Request) -> users.UserReply:
    """Give a user every right."""
    user = auth.users.find(request.match_info["user_id"])
    return await _new_roles(auth, request, user.user_id, user.roles | Role.ADMIN)


async def _new_roles(auth: AuthService, request: web.Request, user_id: str, roles: Role) -> users.UserReply:
    user = await auth.write(auth.users.set_roles, user_id, roles)
    _write_down(auth, request, principal(request), "roles", user=user.user_id, roles=int(user.roles))
    return user_reply(user)


async def grant(auth: AuthService, request: web.Request) -> users.UserReply:
    """Give an account that exists, or take it."""
    asked = await body_of(request, users.GrantRequest)
    if asked.access == "none":
        await auth.write(auth.users.revoke, asked.user_id, asked.account_id)
    elif asked.access in ("own", "view"):
        await auth.give_account(asked.user_id, asked.account_id, Access(asked.access))
    else:
        raise InputError("access: expected own, view or none")
    _write_down(
        auth, request, principal(request), "grant",
        user=asked.user_id, account=asked.account_id, access=asked.access,
    )  # fmt: skip
    return user_reply(auth.users.find(asked.user_id))


async def set_disabled(disabled: bool, auth: AuthService, request: web.Request) -> users.UserReply:
    """Let a user in no more, or again."""
    who, user_id = principal(request), request.match_info["user_id"]
    if disabled and user_id.lower() == who.user_id.lower():
        raise InputError("nobody disables himself", status=409)
    user = await auth.write(auth.users.set_disabled, user_id, disabled)
    _write_down(auth, request, who, "disable" if disabled else "enable", user=user.user_id)
    return user_reply(user)


async def reset_password(auth: AuthService, request: web.Request) -> users.Done:
    """Set another user's password."""
    user_id = request.match_info["user_id"]
    asked = await body_of(request, users.ResetRequest)
    await auth.set_password(user_id, asked.new_password)
    auth.audit.record(
        Act.PASSWORD_CHANGE, principal(request).user_id, address=address_of(request), user=user_id
    )
    return users.Done(f"the password of {user_id} is set; their logins have ended")
