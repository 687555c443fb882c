"""The doors of the audit log."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from aiohttp import web

from qautlra.auth.audit import PAGE_COUNT, Act, AuditLog, Result
from qautlra.auth.chain import Entry
from qautlra.auth.rights import Right
from qautlra.base.errors import InputError, NotFoundError, UnavailableError
from qautlra.net.deps import Deps
from qautlra.net.http import raw_json
from qautlra.net.route import Handler, OneOf, Parameters, Route, checked
from qautlra.wire import envelope, users
from qautlra.wire.envelope import Envelope

_PARAMETERS: Final[Parameters] = {
    "type": OneOf(Act),
    "result": OneOf(Result),
    "user_id": "who did it",
    "account_id": "on which account",
    "before": "ids below this one",
    "limit": f"at most so many (100, up to {PAGE_COUNT})",
}
_NONE: Final[Parameters] = {}


class AuditHttp:
    """Handlers of `/api/audit`."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        """Return the route table's rows."""

        def row(
            path: str, handler: Handler, summary: str, reply: Any, parameters: Parameters = _NONE
        ) -> Route:
            return checked(Route(
                "GET", path, handler, summary, "audit", reply=Envelope[reply], parameters=parameters,
                statuses={400: "bad parameters", 401: "not logged in", 403: "not permitted"},
                right=Right.VIEW_AUDIT, envelope=True,
            ))  # fmt: skip

        return [
            row("/api/audit/logs", self.listing, "Newest entries", users.AuditPage, parameters=_PARAMETERS),
            row("/api/audit/logs/{id}", self.one, "One entry", users.AuditEntry),
            row("/api/audit/verify", self.verify, "Check the chain of entries", users.AuditVerdict),
        ]

    def _audit(self) -> AuditLog:
        if self._deps.auth is None:
            raise UnavailableError("this process has no users")
        return self._deps.auth.audit

    async def listing(self, request: web.Request) -> web.Response:
        """Answer a page of entries."""
        query = request.query
        equal = {name: query.get(name, "") for name in ("user_id", "account_id")}
        equal |= {name: query.get(name, "").upper() for name in ("type", "result")}
        count = whole(query.get("limit", "100"), "limit", 1, PAGE_COUNT)
        before = whole(query["before"], "before", 1, 1 << 62) if "before" in query else None
        found = await asyncio.to_thread(self._audit().read, before_seq=before, count=count, **equal)
        more = found[-1].seq if len(found) == count else None
        return raw_json(envelope.ok(users.AuditPage([_shown(entry) for entry in found], more)))

    async def one(self, request: web.Request) -> web.Response:
        """Answer one entry."""
        seq = whole(request.match_info["id"], "id", 1, 1 << 62)
        entry = await asyncio.to_thread(self._audit().find, seq)
        if entry is None:
            raise NotFoundError(f"no audit entry {seq}")
        return raw_json(envelope.ok(_shown(entry)))

    async def verify(self, _request: web.Request) -> web.Response:
        """Check the whole chain."""
        verdict = await asyncio.to_thread(self._audit().verify)
        reply = users.AuditVerdict(
            not verdict.reason, verdict.entries, verdict.first_seq, verdict.last_seq, verdict.reason
        )
        return raw_json(envelope.ok(reply))


def whole(text: str, name: str, low: int, high: int) -> int:
    """Return a whole number of a query string; InputError when it is none between `low` and `high`."""
    if text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high:
        return int(text)
    raise InputError(f"{name}: expected a whole number from {low} to {high}")


def _shown(entry: Entry) -> users.AuditEntry:
    return users.AuditEntry(
        id=entry.seq,
        timestamp=entry.ts_ns // 1_000_000,
        type=entry.type,
        result=entry.result,
        user_id=entry.user_id,
        account_id=entry.account_id,
        address=entry.address,
        detail=orjson.loads(entry.detail),
    )
