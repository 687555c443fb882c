"""One row of the route table: what is served, and what its documentation says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from qautlra.auth.rights import Right
from qautlra.base.errors import InputError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OneOf(tuple[str, ...]):
    """A parameter of the query string that takes one of these words, in either case."""

    __slots__ = ()

    def __str__(self) -> str:
        return ", ".join(self)


Parameters = Mapping[str, str | OneOf]


def check_query(request: web.Request, known: Parameters) -> None:
    """Raise InputError (1008) for a parameter the door does not have, one sent twice, a word not taken.

    What is empty counts as left out.
    """
    if not request.query_string:
        return
    for name in dict.fromkeys(request.query):
        if name not in known:
            told = f"expected one of {', '.join(known)}" if known else "this door takes none"
            raise InputError(f"{name[:64]}: no such parameter; {told}", number=1008)
        value, *more = request.query.getall(name)
        if more:
            raise InputError(f"{name}: given more than once", number=1008)
        words = known[name]
        if value and isinstance(words, OneOf) and value.lower() not in map(str.lower, words):
            raise InputError(f"{name}: expected one of {words}", number=1008)


@dataclass(frozen=True)
class Route:
    """A door. `body` and `reply` are types msgspec can describe; `parameters` are of the query string.

    A text there says what a parameter is for; OneOf names its words.

    `right` is what the guard asks for before the handler runs; rights for one account are asked for by the
    handler. `envelope` marks the trading doors, whose replies and errors have the trading contract's form.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str = "operations"
    body: Any = None
    reply: Any = None
    reply_type: str = "application/json"
    parameters: Parameters = field(default_factory=dict)
    statuses: Mapping[int, str] = field(default_factory=dict)
    hidden: bool = False
    right: Right = Right.MARKET
    envelope: bool = False


def checked(route: Route) -> Route:
    """Return a route that refuses what its query string does not have before its handler runs."""

    async def handler(request: web.Request) -> web.StreamResponse:
        check_query(request, route.parameters)
        return await route.handler(request)

    return replace(route, handler=handler)
