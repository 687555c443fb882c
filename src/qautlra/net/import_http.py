"""The doors of whole files: `PUT /api/v1/import/{id}`, and how far each is."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from qautlra.auth.rights import Right
from qautlra.base.errors import InputError
from qautlra.net.deps import Deps
from qautlra.net.http import body_pieces, json_reply
from qautlra.net.route import OneOf, Parameters, Route, checked

PIECE_BYTES = 1 << 18
# `more=true`: these are not its last bytes.
_PARAMETERS: Parameters = {
    "stream": "where the rows go",
    "format": "parquet, arrow, csv, csv.gz or ndjson",
    "at": "how many bytes of the file were received before; 0 when left out",
    "more": OneOf(("true", "false", "1", "0")),
}
_STATUSES = {
    400: "what is wrong with it",
    401: "log in first",
    403: "the login may not, or this mode takes nothing in",
    404: "no such import",
    409: "it has another number of bytes, or is not received any more",
    413: "larger than store.import_bytes",
    503: "not ready, or no store in this mode",
    507: "the disk is too full",
}


class ImportHttp:
    """Handlers: send a file, see how far it is, stop it."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        """Return the route table's rows."""
        one = "/api/v1/import/{id}"

        def route(method: str, path: str, handler: Any, summary: str, **more: Any) -> Route:
            return checked(
                Route(method, path, handler, summary, "store", statuses=_STATUSES, right=Right.INGEST, **more)
            )

        return [
            route("GET", "/api/v1/import", self.all, "List imports", reply=Any),
            route("GET", one, self.one, "How far an import is", reply=Any),
            route("PUT", one, self.receive, "Import a file", reply=Any, parameters=_PARAMETERS),
            route("DELETE", one, self.forget, "Stop an import; stored rows stay"),
        ]

    async def all(self, _request: web.Request) -> web.Response:
        """List the imports."""
        return json_reply([msgspec.to_builtins(note) for note in self._deps.importing().all()])

    async def one(self, request: web.Request) -> web.Response:
        """Say how far one is."""
        return json_reply(msgspec.to_builtins(self._deps.importing().get(request.match_info["id"])))

    async def receive(self, request: web.Request) -> web.Response:
        """Take bytes of a file; answers 202 when it has all of them."""
        asked = request.query
        at = asked.get("at", "0")
        if not (at.isascii() and at.isdigit() and len(at) < 18):
            raise InputError("at: expected a number of bytes", key="at")
        if "stream" not in asked or "format" not in asked:
            missing = "stream" if "stream" not in asked else "format"
            raise InputError(f"{missing}: is missing", key=missing)
        more = asked.get("more", "false").lower() in ("true", "1")
        note = await self._deps.importing().receive(
            request.match_info["id"],
            asked["stream"],
            asked["format"],
            int(at),
            body_pieces(request, PIECE_BYTES),
            more=more,
        )
        return json_reply(msgspec.to_builtins(note), status=200 if more else 202)

    async def forget(self, request: web.Request) -> web.Response:
        """Stop one and forget it."""
        await self._deps.importing().forget(request.match_info["id"])
        return web.Response(status=200)
