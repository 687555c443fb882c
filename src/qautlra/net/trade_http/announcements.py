"""Announcements: what everybody is told."""

from __future__ import annotations

from typing import Any

from qautlra.auth.audit import Act
from qautlra.auth.rights import Right
from qautlra.base.clock import wall_ns
from qautlra.base.errors import LimitError
from qautlra.net.audit_http import whole
from qautlra.net.trade_http.base import Call, Door
from qautlra.wire import office_replies as replies
from qautlra.wire import trade_rest as wire
from qautlra.wire.trade_errors import refused

KEPT_COUNT = 10_000


async def listing(call: Call) -> list[dict[str, Any]]:
    """Show the newest first."""
    count = call.number("limit", 100, 1, 1_000)
    before = call.number("before", 1 << 62)
    found = await call.desk.ask(call.desk.records.listed, "announcements", before=before, count=count)
    return [_shown(row) for row in found]


async def create(call: Call) -> dict[str, Any]:
    """Announce something."""
    asked = await call.body(wire.AnnouncementRequest)
    records = call.desk.records
    if await call.desk.ask(records.count, "announcements") >= KEPT_COUNT:
        raise LimitError(f"no more than {KEPT_COUNT} announcements: delete old ones", status=409)
    body = {
        "title": asked.title,
        "content": asked.content,
        "announcement_type": asked.announcement_type,
        "priority": asked.priority,
        "created_by": call.who.user_id,
    }
    now_ns = wall_ns()
    number = await call.desk.ask(records.add, "announcements", now_ns, body)
    call.record(Act.SETTINGS_CHANGE, what="announcement", id=number, title=asked.title)
    return _shown({"id": number, "ts_ns": now_ns} | body)


async def one(call: Call) -> dict[str, Any]:
    """Show one."""
    number = whole(call.part("id"), "id", 1, 1 << 62)
    found = await call.desk.ask(call.desk.records.one, "announcements", number)
    if found is None:
        raise refused(9404, "no such announcement")
    return _shown(found)


async def delete(call: Call) -> dict[str, Any]:
    """Take one back."""
    number = whole(call.part("id"), "id", 1, 1 << 62)
    if not await call.desk.ask(call.desk.records.delete_announcement, number):
        raise refused(9404, "no such announcement")
    call.record(Act.SETTINGS_CHANGE, what="announcement deleted", id=number)
    return {"id": number, "deleted": True}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "ts_ns"} | {
        "created_at": row["ts_ns"] // 1_000_000
    }


DOORS = (
    Door(
        "GET", "/api/announcements", listing, "Announcements", Right.USER, reply=list[replies.Announcement],
        parameters={"limit": "up to 1000 (100)", "before": "ids below this one"},
    ),
    Door(
        "POST", "/api/announcements", create, "Announce something", Right.ANNOUNCE, wire.AnnouncementRequest,
        reply=replies.Announcement,
    ),
    Door("GET", "/api/announcements/{id}", one, "An announcement", Right.USER, reply=replies.Announcement),
    Door(
        "DELETE", "/api/announcements/{id}", delete, "Take one back", Right.ANNOUNCE,
        reply=replies.AnnouncementGone,
    ),
)  # fmt: skip
