"""What Arrow Flight's threads share: the way to the loop, who may call and how many, how errors are told."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import pyarrow as pa
import pyarrow.flight as fl

from qautlra.auth.rights import Principal, Right
from qautlra.base.errors import AuthError, InputError, LimitError, NotFoundError, QautlraError
from qautlra.base.log import get_logger
from qautlra.net.deps import Deps
from qautlra.net.flight_login import Logins
from qautlra.net.origin import is_loopback_name

CALLS_COUNT: Final = 32
POLL_S: Final = 0.05
_T = TypeVar("_T")
_P = ParamSpec("_P")
_log = get_logger("net")


class Desk:
    """What the server's threads share: the loop, who is calling, how many may. Any thread."""

    def __init__(self, deps: Deps, loop: asyncio.AbstractEventLoop) -> None:
        self.deps = deps
        self.loop = loop
        self._lock = threading.Lock()
        self.logins = Logins(deps.auth) if deps.auth is not None else None
        self.running = 0
        self.rows_out = 0
        self.rows_in = 0
        self.closing = False

    def enter(self) -> None:
        """Count a call in; FlightUnavailableError when too many run."""
        with self._lock:
            if self.running >= CALLS_COUNT or self.closing:
                raise fl.FlightUnavailableError(f"{self.running} calls run already; try again")
            self.running += 1

    def leave(self) -> None:
        """Count a call out."""
        with self._lock:
            self.running -= 1

    def ask(self, work: Coroutine[Any, Any, _T], context: fl.ServerCallContext | None = None) -> _T:
        """Return what `work` gives on the loop; with a context it is cancelled when the caller leaves."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        while True:
            try:
                return future.result(POLL_S)
            except TimeoutError:
                if future.done():
                    raise
                if context is not None:
                    try:
                        self.check(context)
                    except fl.FlightError:
                        future.cancel()
                        raise
            except QautlraError as error:
                raise translated(error) from None

    def have(self, part: Callable[[], _T]) -> _T:
        """Return a part of the process, or raise what a caller is told of one this mode does not have."""
        try:
            return part()
        except QautlraError as error:
            raise translated(error) from None

    def check(self, context: fl.ServerCallContext) -> None:
        """Raise when nobody waits for the answer of a call, or nobody will give it."""
        if context.is_cancelled():
            raise fl.FlightCancelledError("the caller has left")
        if self.closing:
            raise fl.FlightUnavailableError("the server is closing")

    def admit(self, context: fl.ServerCallContext, right: Right) -> Principal | None:
        """Let a call in, or raise what its caller is told; return who calls, None where nobody is asked."""
        middleware = context.get_middleware("login")
        return self.ask(self._admit(middleware.given, peer_host(context.peer()), right))

    def still(self, who: Principal | None, right: Right) -> None:
        """Raise AuthError when who was admitted may not go on. The loop's thread only."""
        if who is not None and self.deps.auth is not None:
            self.deps.auth.now(who).require(right)

    async def _admit(self, given: str, host: str, right: Right) -> Principal | None:
        auth = self.deps.auth
        inside = is_loopback_name(host)
        if not inside and auth is not None:
            auth.reads.take(f"from {host}")
        if right is Right.MARKET and inside and not self.deps.require_login:
            return None
        if auth is None or self.logins is None:
            raise AuthError("this needs a login, and this process has no users", status=403)
        who = await self.logins.recognise(given, host)
        auth.reads.take(who.user_id)
        who.require(right)
        return who


class _Untraced(Exception):
    """Tells its message alone: Arrow adds to others where in the server they were raised.

    It asks the traceback module for the text, which stops here, and then names the type instead.
    """

    @property
    def __cause__(self) -> BaseException | None:  # type: ignore[override]
        raise AttributeError("told without its origin")


class InvalidArgument(_Untraced, pa.ArrowInvalid):  # type: ignore[misc]
    """What is asked cannot be answered."""


class NotFound(_Untraced, pa.ArrowKeyError):  # type: ignore[misc]
    """There is nothing of that name."""


def told(error: Exception) -> Exception:
    """Return an error as whoever called is told it; what nobody foresaw is logged, and only that is told."""
    if isinstance(error, (fl.FlightError, _Untraced)):
        return error
    if isinstance(error, QautlraError):
        return translated(error)
    if isinstance(error, pa.ArrowKeyError):
        return NotFound(str(error))
    if isinstance(error, pa.ArrowInvalid):
        return InvalidArgument(str(error))
    _log.error("flight_failed", error=str(error), exc_info=error)
    unforeseen: Exception = fl.FlightServerError("Internal error; the server's log has the details")
    return unforeseen


def telling(call: Callable[_P, _T]) -> Callable[_P, _T]:
    """Make what a call raises what its caller is told."""

    @wraps(call)
    def wrapped(*given: _P.args, **named: _P.kwargs) -> _T:
        try:
            return call(*given, **named)
        except StopIteration:
            raise
        except Exception as error:
            raise told(error) from None

    return wrapped


def peer_host(peer: str) -> str:
    """Return the address of `ipv4:127.0.0.1:5000` or `ipv6:[::1]:5000`, decoded."""
    text = peer.replace("%5B", "[").replace("%5D", "]").partition(":")[2]
    return text.rpartition(":")[0].strip("[]")


def cut(port: int) -> None:
    """Break the connections that came to a port of ours: a call that waits for its caller ends no other way.

    Safe while others open and close files.
    """
    for name in os.listdir("/dev/fd"):
        with suppress(OSError, ValueError):
            fd = os.dup(int(name))
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.close(fd)
                continue
            with socket.socket(fileno=fd) as found:
                inet = found.family in (socket.AF_INET, socket.AF_INET6)
                if inet and found.getsockname()[1] == port:
                    found.shutdown(socket.SHUT_RDWR)


def translated(error: QautlraError) -> Exception:
    """Return an error as Flight tells it."""
    kind: type[Exception] = fl.FlightServerError
    if isinstance(error, AuthError):
        kind = fl.FlightUnauthenticatedError if error.status == 401 else fl.FlightUnauthorizedError
    elif isinstance(error, NotFoundError):
        kind = NotFound
    elif isinstance(error, LimitError) and error.status not in (400, 413):  # those no waiting helps
        kind = fl.FlightTimedOutError if error.status == 504 else fl.FlightUnavailableError
    elif isinstance(error, InputError):
        kind = InvalidArgument
    elif error.status == 503:
        kind = fl.FlightUnavailableError
    return kind(error.message)
