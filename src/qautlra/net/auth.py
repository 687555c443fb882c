"""The guard of the doors: who is calling, what the route asks for, how often they may.

On loopback market reads, subscriptions and queries are open; beyond it everything but the login and the
page's own files needs a login.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web

from qautlra.auth.rights import ACCOUNT_RIGHTS, Principal, Right
from qautlra.base.errors import AuthError, LimitError, QautlraError
from qautlra.base.log import Seldom, get_logger
from qautlra.net.origin import is_loopback_name, is_ours
from qautlra.wire import envelope
from qautlra.wire.trade_errors import INTERNAL, TABLE

if TYPE_CHECKING:
    from qautlra.auth.service import AuthService
    from qautlra.net.deps import Deps
    from qautlra.net.route import Handler, Route

_WHO: Final = web.RequestKey("principal", Principal)
_ORDER_RIGHTS: Final = frozenset({Right.TRADE, Right.CANCEL})
_SERVER_RIGHTS: Final = frozenset(Right) - ACCOUNT_RIGHTS - {Right.PUBLIC, Right.MARKET, Right.USER}
_log = get_logger("net")
_seldom = Seldom()


def recognised(request: web.Request) -> Principal | None:
    """Return who the guard recognised; None where it asked nobody."""
    found: Principal | None = request.get(_WHO)
    return found


def principal(request: web.Request) -> Principal:
    """Return who is calling a guarded route."""
    found = recognised(request)
    if found is None:
        raise AuthError("log in first")
    return found


def asker(deps: Deps, request: web.Request) -> str:
    """Return who takes a turn by a request, also where no login was asked for: a user, or an address."""
    found = recognised(request)
    if found is not None:
        return found.user_id
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if deps.auth is not None and scheme.lower() == "bearer":
        with suppress(QautlraError):
            return deps.auth.recognise(given.strip()).user_id
    return f"from {address_of(request)}"


def address_of(request: web.Request) -> str:
    """Return the caller's address, for limits and the audit log."""
    return request.remote or ""


def is_inside(request: web.Request) -> bool:
    """Tell whether the call came over loopback: both ends of the connection are this machine's own."""
    transport = request.transport
    if transport is None:
        return False
    ends = (transport.get_extra_info("peername"), transport.get_extra_info("sockname"))
    return all(isinstance(end, tuple) and is_loopback_name(str(end[0])) for end in ends)


def wants_chinese(request: web.Request) -> bool:
    """Tell whether the caller reads Chinese."""
    return request.headers.get("Accept-Language", "").lower().startswith("zh")


class Guard:
    """Stands before every route of the table."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def wrap(self, route: Route) -> Handler:
        """Return the route's handler behind the guard, with errors in the route's own form."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            await self.admit(route, request)
            return await route.handler(request)

        return _enveloped(guarded) if route.envelope else guarded

    async def admit(self, route: Route, request: web.Request) -> None:
        """Let the caller in, or raise AuthError or LimitError; credentials nobody asked for are not read."""
        inside = is_inside(request)
        address = address_of(request)
        if not inside and self._deps.auth is not None:
            self._deps.auth.reads.take(f"from {address}")
        open_here = inside and not self._deps.require_login and route.right is Right.MARKET
        open_here = open_here and is_ours(request.headers.get("Host", ""), self._deps)
        if route.right is Right.PUBLIC or open_here:
            return
        auth = self._deps.auth
        if auth is None:
            raise AuthError("this needs a login, and this process has no users", status=403)
        who = await identify(auth, request)
        request[_WHO] = who
        if route.right in _ORDER_RIGHTS:
            auth.orders.take(who.user_id)
        else:
            auth.reads.take(who.user_id)
        if route.right in ACCOUNT_RIGHTS | _SERVER_RIGHTS:
            who.require(route.right)


async def identify(auth: AuthService, request: web.Request) -> Principal:
    """Return who the request's credentials stand for: Bearer, Basic, or `?token=` on a socket's address."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    given = given.strip()
    if scheme.lower() == "bearer" and given:
        return auth.recognise(given)
    if scheme.lower() == "basic" and given:
        try:
            user_id, colon, password = base64.b64decode(given, validate=True).decode().partition(":")
        except ValueError:  # no base64, no UTF-8, no ASCII
            raise AuthError("the Basic credentials are not readable") from None
        if not colon:
            raise AuthError("the Basic credentials are not readable")
        return await auth.recognise_basic(user_id, password, address_of(request))
    if "token" in request.query and request.headers.get("Upgrade", "").lower() == "websocket":
        return auth.recognise(request.query["token"])
    raise AuthError("log in first: POST /api/auth/login, then Authorization: Bearer TOKEN")


def _enveloped(handler: Handler) -> Handler:
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except QautlraError as error:
            if error.status >= 500 and error.code in ("error", "invariant"):
                raise
            body = envelope.refusal(error, chinese=wants_chinese(request))
            response = web.Response(body=body, status=error.status, content_type="application/json")
            _say_more(response, error)
            return response
        except web.HTTPRequestEntityTooLarge:
            return _bare(request, 9413)
        except (web.HTTPException, ConnectionError, TimeoutError):
            raise
        except Exception as error:
            if count := _seldom.due((request.path, type(error))):
                _log.error("request_failed", path=request.path, error=str(error), count=count, exc_info=error)
            return _bare(request, INTERNAL)

    return answered


def _bare(request: web.Request, number: int) -> web.Response:
    body = envelope.bare_refusal(number, chinese=wants_chinese(request))
    return web.Response(body=body, status=TABLE[number].status, content_type="application/json")


def _say_more(response: web.Response, error: QautlraError) -> None:
    if "retry_after_s" in error.details:
        response.headers["Retry-After"] = str(error.details["retry_after_s"])
    if isinstance(error, AuthError) and error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="qautlra"'
    if isinstance(error, LimitError):
        response.headers.setdefault("Retry-After", "1")
