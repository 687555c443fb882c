"""The doors of continuous aggregates: `/api/v1/aggregate`."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from qautlra.auth.rights import Right
from qautlra.base.errors import NotFoundError
from qautlra.net.deps import Deps
from qautlra.net.http import json_reply, whole_body
from qautlra.net.route import Route, checked
from qautlra.wire.aggregates import decode_aggregate, encode_aggregate

_STATUSES = {
    400: "what is wrong with it",
    401: "log in first",
    403: "the login may not, or this mode takes nothing in",
    404: "no such stream",
    409: "the name is taken",
    503: "not ready, or no store in this mode",
}


class AggregateHttp:
    """Handlers: make, list, show, refresh and drop streams that are made of others."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        """Return the route table's rows."""
        one = "/api/v1/aggregate/{stream}"

        def route(method: str, path: str, handler: Any, summary: str, right: Right, **more: Any) -> Route:
            return checked(
                Route(method, path, handler, summary, "store", statuses=_STATUSES, right=right, **more)
            )

        return [
            route("GET", "/api/v1/aggregate", self.all, "List aggregates", Right.MARKET, reply=Any),
            route("GET", one, self.one, "How an aggregate is made", Right.MARKET, reply=Any),
            route("PUT", one, self.create, "Make an aggregate", Right.INGEST, body=Any),
            route("POST", f"{one}/refresh", self.refresh, "Refresh it now", Right.INGEST, reply=Any),
            route("DELETE", one, self.drop, "Delete an aggregate and its rows", Right.DELETE_DATA),
        ]

    async def all(self, _request: web.Request) -> web.Response:
        """List the aggregates."""
        return json_reply([encode_aggregate(*item) for item in self._deps.stored().derived().items()])

    async def one(self, request: web.Request) -> web.Response:
        """Say how one is made."""
        name = request.match_info["stream"]
        found = self._deps.stored().derived().get(name)
        if found is None:
            raise NotFoundError(f"there is no aggregate {name[:80]!r}", key="stream")
        return json_reply(encode_aggregate(name, found))

    async def create(self, request: web.Request) -> web.Response:
        """Make one; its rows come by themselves."""
        await self._deps.taking_in().derive(
            request.match_info["stream"], decode_aggregate(await whole_body(request))
        )
        return web.Response(status=200)

    async def refresh(self, request: web.Request) -> web.Response:
        """Make its rows up to now."""
        return json_reply({"rows": await self._deps.taking_in().refresh(request.match_info["stream"])})

    async def drop(self, request: web.Request) -> web.Response:
        """Delete one."""
        name = request.match_info["stream"]
        if name not in self._deps.stored().derived():
            raise NotFoundError(f"there is no aggregate {name[:80]!r}", key="stream")
        await self._deps.taking_in().drop(name)
        return web.Response(status=200)
