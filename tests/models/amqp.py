"""AMQP 0-9-1 frame by frame with pamqp: what `link/amqp_reader` must find in the same bytes."""

from __future__ import annotations

from typing import Any

import pamqp.frame
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from qautlra.link.amqp_reader import Taken


def frames(data: bytes) -> list[tuple[int, Any, bytes]]:
    """Return channel, frame and bytes of every whole frame."""
    found = []
    while data:
        used, channel, frame = pamqp.frame.unmarshal(data)
        found.append((channel, frame, data[:used]))
        data = data[used:]
    return found


def read(data: bytes, deliveries: int, answers: int) -> tuple[list[Taken], bytes, int]:
    """Return the messages of one channel, the frames nobody takes, and the answers of the other."""
    taken: list[Taken] = []
    others, answers_count, body = b"", 0, b""
    method: Any = None
    header: Any = None
    for channel, frame, raw in frames(data):
        if channel == answers and isinstance(frame, commands.Basic.QosOk):
            answers_count += 1
        elif channel == deliveries and isinstance(frame, commands.Basic.Deliver):
            method = frame
        elif channel == deliveries and isinstance(frame, ContentHeader):
            header, body = frame, b""
        elif channel == deliveries and isinstance(frame, ContentBody):
            body += frame.value
        else:
            others += raw
        if header is not None and len(body) == header.body_size:
            name = header.properties.message_id or ""
            taken.append(
                Taken(method.consumer_tag.encode(), method.delivery_tag, method.redelivered, name, body)
            )
            header = None
    return taken, others, answers_count


def delivery(
    body: bytes, *, channel: int = 2, tag: int = 1, consumer: str = "q", redelivered: bool = False,
    frame_bytes: int = 131_072, **properties: Any,
) -> bytes:  # fmt: skip
    """Return a message as a broker sends it."""
    method = commands.Basic.Deliver(consumer, tag, redelivered, "QAORDER_ROUTER", "acc001")
    header = ContentHeader(body_size=len(body), properties=commands.Basic.Properties(**properties))
    room = frame_bytes - 8
    parts = [ContentBody(body[at : at + room]) for at in range(0, len(body), room)]
    return b"".join(pamqp.frame.marshal(frame, channel) for frame in (method, header, *parts))
