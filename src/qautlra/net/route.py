"""One row of the route table: what is served, and what its documentation says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from qautlra.auth.rights import Right

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """A door. `body` and `reply` are types msgspec can describe; `parameters` are of the query string.

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
    parameters: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[int, str] = field(default_factory=dict)
    hidden: bool = False
    right: Right = Right.MARKET
    envelope: bool = False
