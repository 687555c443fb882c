"""The parsers that are Python, under bytes made by mutating seeds: nothing is raised or left odd.

`python -m tests.fuzz.python_targets SECONDS [NAME...]` runs each target for so long; `make fuzz` does.
A finding is printed with the seed of its round and ends the run.
"""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from qautlra._core.quotes_diff import QuoteMerger
from qautlra.link.amqp_reader import BODY_BYTES, JunkError, Reader
from qautlra.net.ws_codec import (
    MAX_FRAGMENTS_COUNT,
    FrameReader,
    Op,
    WsViolation,
    close_code,
    negotiate,
    text_of,
)
from qautlra.wire import diff_client, ins_query
from qautlra.wire.market import decode
from tests.feed.rig import Rig
from tests.fuzz.python_seeds import AMQP_STREAMS, FEED_FRAMES, MESSAGES, OFFERS, QUERIES, WS_STREAMS
from tests.models.market import MORNING_NS, Market

MESSAGE_BYTES = 4096
PIECES = [
    b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"-1", b"1e309", b"9223372036854775808", b"\\ud800",
    b"\xff", b"\x00", b"aid", b"ins_list", b"\x81", b"\x88", b"\x89", b"\x80", b"\x7e", b"\x7f", b"\xc1",
    b"true", b"&", b"@",
]  # fmt: skip


def mutated(seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """Return a seed with a few bytes flipped, cut, repeated, or crossed with another seed."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randrange(5)):
        at = chance.randrange(len(data) + 1)
        move = chance.randrange(7)
        if move == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif move == 1 and at < len(data):
            data[at] = chance.randrange(256)
        elif move == 2:
            del data[at:]
        elif move == 3:
            del data[at : at + chance.randrange(1, 9)]
        elif move == 4:
            data[at:at] = chance.choice(PIECES)
        elif move == 5:
            data[at:at] = data[at : at + chance.randrange(64)]
        else:
            other = chance.choice(seeds)
            data[at:] = other[chance.randrange(len(other) + 1) :]
    return bytes(data[:65_536])


class WsFrames:
    """A client's bytes, cut anywhere: messages come out bounded, or one violation with a close code."""

    seeds = WS_STREAMS

    def run(self, data: bytes, chance: random.Random) -> None:
        reader = FrameReader(MESSAGE_BYTES, deflate=chance.random() < 0.5)
        whole = FrameReader(MESSAGE_BYTES, deflate=reader._deflate)
        found: list[tuple[Op, bytes]] = []
        at = 0
        while at < len(data):
            step = chance.choice((1, 2, 7, 100, 10_000))
            found += reader.feed(data[at : at + step])
            at += step
        assert found == whole.feed(data)  # how bytes are cut changes nothing
        code = reader.violation.code if reader.violation else None
        assert code == (whole.violation.code if whole.violation else None)
        assert code in (None, 1002, 1007, 1008, 1009)
        assert len(reader._buffer) <= MESSAGE_BYTES + 14 and len(reader._parts) <= MAX_FRAGMENTS_COUNT
        for op, payload in found:
            assert len(payload) <= (125 if op >= Op.CLOSE else MESSAGE_BYTES)
            try:
                close_code(payload) if op is Op.CLOSE else text_of(payload)
            except WsViolation as violation:
                assert violation.code in (1002, 1007)


class WsOffers:
    """The header that offers compression."""

    seeds = OFFERS

    def run(self, data: bytes, _chance: random.Random) -> None:
        agreed = negotiate(data.decode("latin-1"))
        assert agreed is None or (9 <= agreed[0].window_bits <= 15 and agreed[1].isascii())


class ClientMessages:
    """Any text to a live session: it is answered or told, every frame stays JSON, others are not harmed."""

    seeds = MESSAGES

    def __init__(self) -> None:
        self._rig = Rig(max_symbols=20)
        self._other = self._rig.peer()
        self._other.aid("IF2101")
        self._step = 0

    def run(self, data: bytes, chance: random.Random) -> None:
        text = data.decode("utf-8", "replace")
        decode(text)
        self._step += 1
        peer = self._rig.peer(stamp=chance.random() < 0.1)
        for one in (text, mutated(self.seeds, chance).decode("utf-8", "replace"), '{"aid":"peek_message"}'):
            peer.say(one)
            peer.client.bucket.charge(-1000.0)  # floods are another test's
        self._rig.tick((0, {"volume": self._step}), (1, {}))
        self._rig.loop.advance(0.15)
        assert peer.client.closing is False and len(peer.client.session.wanted) <= 20
        peer.read()
        peer.leave()
        self._other.say('{"aid":"ping"}')
        self._other.read()
        assert self._other.tree["quotes"]["IF2101"]["volume"] == self._step
        assert self._rig.feed.clients_count == 1 and self._rig.hub.clients == 1


class InsQueries:
    """The text of an instrument query and its variables."""

    seeds = QUERIES

    def run(self, data: bytes, chance: random.Random) -> None:
        text, _, variables = data.decode("utf-8", "replace").partition("\0")
        asked, problem = ins_query.parse(text, variables.encode())
        assert (asked is None) == bool(problem) or asked is not None


class UpstreamFrames:
    """What another feed sends: its frames are read or refused, its quotes become rows or are counted."""

    seeds = FEED_FRAMES

    def __init__(self) -> None:
        self._market = Market()
        self._merger = QuoteMerger(self._market.instruments, max_instruments=8)
        self._rounds = 0

    def run(self, data: bytes, _chance: random.Random) -> None:
        self._rounds += 1
        if self._rounds % 1000 == 0:
            self.__init__()  # type: ignore[misc]
        try:
            frame = diff_client.read(data)
        except ValueError:
            return
        if isinstance(frame, diff_client.Patches):
            rows = self._merger.rows(frame.quotes, MORNING_NS)
            for row in rows.to_dicts():
                assert row["last_price"] is None or abs(row["last_price"]) < 1e15
            assert len(self._merger) <= 8


class AmqpFrames:
    """A broker's bytes, cut anywhere: the same messages and frames of others come out, or junk is told."""

    seeds = AMQP_STREAMS

    def run(self, data: bytes, chance: random.Random) -> None:
        steps = [chance.choice((1, 2, 7, 100, 10_000)) for _ in range(len(data) + 1)]
        cut, whole = self._read(data, iter(steps)), self._read(data, iter((len(data),)))
        assert (cut is None) == (whole is None)
        if cut is None or whole is None:
            return
        assert cut == whole  # how bytes are cut changes nothing
        taken, others, _ = whole
        assert sum(len(one.body) for one in taken) + len(others) <= len(data)
        for one in taken:
            assert len(one.body) <= BODY_BYTES and one.tag < 1 << 64

    def _read(self, data: bytes, steps: Iterator[int]) -> tuple[list[Any], bytes, int] | None:
        reader = Reader()
        reader.deliveries, reader.answers, reader.frame_bytes = 2, 1, MESSAGE_BYTES
        taken: list[Any] = []
        others, at = b"", 0
        try:
            while at < len(data):
                step = next(steps)
                more = reader.feed(data[at : at + step])
                taken += more[0]
                others += more[1]
                at += step
                assert len(reader._kept) <= MESSAGE_BYTES and len(reader._body) <= BODY_BYTES
        except JunkError:
            return None
        return taken, others, reader.answers_count


TARGETS: dict[str, Callable[[], Any]] = {
    "ws_frames": WsFrames,
    "ws_offers": WsOffers,
    "client_messages": ClientMessages,
    "ins_queries": InsQueries,
    "upstream_frames": UpstreamFrames,
    "amqp_frames": AmqpFrames,
}


def fuzz(name: str, seconds: float, first: int = 0) -> int:
    """Run one target; return the number of rounds. A finding is raised with its round and bytes."""
    target = TARGETS[name]()
    for seed in target.seeds:
        target.run(seed, random.Random(0))
    end = time.monotonic() + seconds
    number = first
    while time.monotonic() < end:
        chance = random.Random(f"{name} {number}")
        data = mutated(target.seeds, chance)
        try:
            target.run(data, chance)
        except Exception as error:
            raise AssertionError(f"{name}, round {number}, {data!r}: {error!r}") from error
        number += 1
    return number - first


def main() -> int:
    """Run the targets named, or all, for the seconds given; with --list only print their names."""
    if sys.argv[1:] == ["--list"]:
        print("\n".join(TARGETS))
        return 0
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    for name in sys.argv[2:] or TARGETS:
        try:
            rounds = fuzz(name, seconds, random.SystemRandom().randrange(1 << 40))
        except AssertionError:
            traceback.print_exc()
            return 1
        print(f"== {name} for {seconds:g} s: no finding; {rounds} inputs", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
