"""What the hub writes by itself: straight to the kernel, in order, and nothing twice."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from qautlra._core.feed import Outlet
from tests.core.test_hub import Feed
from tests.models.wire import messages


@contextmanager
def pair(buffer_bytes: int = 0) -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    if buffer_bytes:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
    ours.setblocking(False)
    theirs.setblocking(False)
    try:
        yield ours, theirs
    finally:
        ours.close()
        theirs.close()


def read(end: socket.socket) -> bytes:
    data = b""
    try:
        while chunk := end.recv(1 << 20):
            data += chunk
    except BlockingIOError:
        pass
    return data


def test_an_outlet_begins_behind_its_transport_and_falls_behind_when_the_kernel_is_full() -> None:
    with pair(4096) as (ours, theirs):
        outlet = Outlet(ours.fileno())
        assert outlet.behind and outlet.send(b"x") == 0
        outlet.caught_up()
        data = bytes(1 << 20)
        taken = outlet.send(data)
        assert 0 < taken < len(data) and outlet.behind
        assert outlet.send(b"more") == 0  # it would overtake what was not taken
        assert len(read(theirs)) == taken
        outlet.caught_up()
        outlet.leave()
        assert outlet.send(b"x") == 0 and not outlet.open
        assert read(theirs) == b""


def test_a_broken_connection_takes_nothing_and_raises_nothing() -> None:
    with pair() as (ours, theirs):
        outlet = Outlet(ours.fileno())
        outlet.caught_up()
        theirs.close()
        assert outlet.send(b"x") == 0 and outlet.behind


def test_send_writes_frames_and_gives_back_what_has_to_queue() -> None:
    feed = Feed()
    with pair() as (ours, theirs):
        direct, queued, none = (feed.client((0, "IF2101")) for _ in range(3))
        for client in (direct, queued):
            outlet = Outlet(ours.fileno())
            if client == direct:
                outlet.caught_up()
            feed.hub.connect(client, outlet)
        idle = feed.client((1, "au2112"))
        feed.tick(volume=1)
        answered: list[int] = []
        left = feed.hub.send([direct, queued, none, idle, 12345], 1, answered)
        assert answered == [direct, queued, none]
        assert sorted(client for client, _ in left) == [queued, none]
        assert read(theirs) == left[0][1] == left[1][1]
        assert messages(left[0][1])[0]["data"][0]["quotes"]["IF2101"]["volume"] == 1
        assert feed.hub.sent_frames == 1 and feed.hub.sent_bytes == len(left[0][1])
        assert feed.hub.send([direct, queued, none]) == [] and not feed.hub.unfinished


def test_what_a_full_kernel_leaves_and_what_follows_make_the_whole_stream() -> None:
    feed = Feed(max_frame_bytes=1 << 20)
    with pair(4096) as (ours, theirs):
        client = feed.client((0, "IF2101"))
        outlet = Outlet(ours.fileno())
        outlet.caught_up()
        feed.hub.connect(client, outlet)
        twin = feed.client((0, "IF2101"))
        expected = stream = b""
        for step in range(200):
            feed.tick(volume=step, bid_price1=float(step))
            expected += feed.hub.frame(twin)
            rest = feed.hub.send([client])
            if rest:
                stream += read(theirs) + rest[0][1]  # the transport would write it once there is room
                outlet.caught_up()
        stream += read(theirs)
        assert stream == expected
        assert 0 < feed.hub.sent_bytes < len(expected)


def test_a_closed_client_is_not_written_to_under_a_new_handle() -> None:
    feed = Feed()
    with pair() as (ours, theirs):
        client = feed.client((0, "IF2101"))
        outlet = Outlet(ours.fileno())
        outlet.caught_up()
        feed.hub.connect(client, outlet)
        feed.hub.close(client)
        fresh = feed.client((0, "IF2101"))  # takes the same place
        feed.tick(volume=1)
        assert [handle for handle, _ in feed.hub.send([fresh])] == [fresh]
        assert read(theirs) == b""


def test_more_than_a_frame_holds_is_told() -> None:
    feed = Feed(max_frame_bytes=1500)
    client = feed.client((0, "a"), (1, "b"), (2, "c"))
    for instrument in range(3):
        feed.tick(instrument, volume=1)
    seen: list[str] = []
    for last in (False, False, True):
        [(_, frames)] = feed.hub.send([client])
        seen += json.loads(frames[4:])["data"][0]["quotes"]
        assert feed.hub.unfinished is not last
    assert seen == ["a", "b", "c"]
