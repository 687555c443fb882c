"""permessage-deflate over real TCP: off unless the settings ask for it, then shared, and always readable."""

import json
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import ClientConnection, connect

from qautlra.net.ws_codec import FrameReader, Op, negotiate
from tests.models.wire import merge
from tests.net.front import Front

MakeFront = Callable[..., Front]


def extensions(ws: ClientConnection) -> str:
    assert ws.response is not None
    return ws.response.headers.get("Sec-WebSocket-Extensions", "")


def follow(ws: ClientConnection, tree: dict[str, Any], volume: int) -> None:
    while tree.get("quotes", {}).get("IF2101", {}).get("volume") != volume:
        for part in json.loads(ws.recv(timeout=5)).get("data", []):
            merge(tree, part)


def test_off_by_default(front: Front) -> None:
    with connect(front.url) as ws:  # the library offers it
        assert extensions(ws) == ""


def test_clients_of_every_offer_and_late_ones_read_the_same(make_front: MakeFront) -> None:
    front = make_front(feed={"deflate": True, "batch_interval_ms": 5})
    front.tick(0, volume=0)
    offers = [
        {},
        {"server_no_context_takeover": True},
        {"server_max_window_bits": 10},
        {"server_max_window_bits": 10, "client_max_window_bits": 12},
    ]
    trees: list[dict[str, Any]] = []
    with ExitStack() as stack:
        sockets: list[ClientConnection] = []
        for volume in range(1, 41):
            if volume % 10 == 1:  # four early, four late, ...
                for offer in offers:
                    factory = ClientPerMessageDeflateFactory(**offer)  # type: ignore[arg-type]
                    ws = stack.enter_context(connect(front.url, compression=None, extensions=[factory]))
                    assert extensions(ws).startswith("permessage-deflate; client_no_context_takeover")
                    ws.send('{"aid":"subscribe_quote","ins_list":"IF2101"}')
                    sockets.append(ws)
                    trees.append({})
            front.tick(0, volume=volume)
            for ws, tree in zip(sockets, trees, strict=True):
                follow(ws, tree, volume)
        assert trees == [trees[0]] * len(trees)
        assert front.feed.deflater.contexts_count == 2  # one for each window size
        assert front.feed.deflater.shared_count > front.feed.deflater.compressed_count


def test_a_compressed_bomb_is_a_message_too_big(make_front: MakeFront) -> None:
    front = make_front(feed={"deflate": True})
    with connect(front.url) as ws, pytest.raises(ConnectionClosed) as closed:
        ws.send('{"aid":"' + "x" * 1_000_000 + '"}')  # 1 kB on the wire
        while True:
            ws.recv(timeout=5)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("", None),
        ("x-webkit-deflate-frame", None),
        ("permessage-deflate; unknown", None),
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits=x", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
        ("permessage-deflate", "permessage-deflate; client_no_context_takeover"),
        (
            'x, permessage-deflate; server_max_window_bits=8,permessage-deflate;server_max_window_bits="9"',
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=9",
        ),
        (
            "permessage-deflate; client_max_window_bits=10; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
        ),
    ],
)
def test_offers(offer: str, answer: str | None) -> None:
    agreed = negotiate(offer)
    assert (agreed[1] if agreed else None) == answer


def compressed(text: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def masked(first: int, payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload


def test_a_reader_takes_compressed_messages_only_when_agreed_and_only_where_they_may_be() -> None:
    body = compressed(b'{"aid":"peek_message"}')
    reader = FrameReader(65_536, deflate=True)
    assert reader.feed(masked(0xC1, body)) == [(Op.TEXT, b'{"aid":"peek_message"}')]
    fragments = masked(0x41, body[:5]) + masked(0x89, b"hi") + masked(0x80, body[5:]) + masked(0x81, b"plain")
    assert reader.feed(fragments) == [
        (Op.PING, b"hi"),
        (Op.TEXT, b'{"aid":"peek_message"}'),
        (Op.TEXT, b"plain"),
    ]
    for bad in (masked(0x41, body) + masked(0xC0, b""), masked(0xC9, b""), masked(0xA1, body)):
        reader = FrameReader(65_536, deflate=True)
        reader.feed(bad)
        assert reader.violation is not None and reader.violation.code == 1002
    reader = FrameReader(65_536)
    reader.feed(masked(0xC1, body))
    assert reader.violation is not None and reader.violation.code == 1002
    reader = FrameReader(65_536, deflate=True)
    reader.feed(masked(0xC1, b"\xff\xff\xff"))
    assert reader.violation is not None and reader.violation.code == 1007
