"""permessage-deflate of what is pushed: compressed once for everyone who got the same before, not per client.

A compressor refers to what it compressed last, so a client can follow it only when it was sent all of that.
Clients in step share one; a message that refers to nothing brings anyone into step with a new one.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

CONTEXTS_COUNT = 64
"""Compressors that live at once (about 270 KB each); clients beyond them get messages that stand alone."""
PRIVATE_BYTES = 4096
LEVEL = 3
_TAIL_BYTES = 4  # 00 00 ff ff, which the other side puts back


class Terms(NamedTuple):
    """What was agreed with one client: the window, and whether messages may refer to earlier ones."""

    window_bits: int
    takeover: bool


class Context:
    """One compressor and how many messages it has made."""

    __slots__ = ("_compressor", "made", "spent")

    def __init__(self, window_bits: int) -> None:
        self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -window_bits)
        self.made = 0
        self.spent = False  # somebody could not follow: begin anew with everyone

    def compress(self, frames: bytes) -> bytes:
        """Return these text frames with their payloads compressed."""
        self.made += 1
        out = []
        at = 0
        while at < len(frames):
            at, size = _payload(frames, at)
            body = self._compressor.compress(frames[at : at + size])
            body = (body + self._compressor.flush(zlib.Z_SYNC_FLUSH))[:-_TAIL_BYTES]
            out.append(_header(len(body)) + body)
            at += size
        return b"".join(out)


class Follower:
    """One client: which compressor it is in step with, and since which of its messages."""

    __slots__ = ("context", "made", "terms")

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.context: Context | None = None
        self.made = 0


class _Made:
    """One content of the current flush as it was compressed."""

    __slots__ = ("alone", "alone_context", "before", "context", "frames", "shared")

    def __init__(self, frames: bytes) -> None:
        self.frames = frames  # held: its address is the key
        self.context: Context | None = None
        self.before = 0
        self.shared = b""
        self.alone = b""
        self.alone_context: Context | None = None


class Deflater:
    """Compresses for all clients. Between two `begin` the same bytes object is compressed once."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], _Made] = {}
        self._contexts: dict[int, int] = {}  # identity of a context -> its followers
        self.compressed_count = 0
        self.shared_count = 0

    @property
    def contexts_count(self) -> int:
        """Compressors alive."""
        return len(self._contexts)

    def begin(self) -> None:
        """Forget the former flush."""
        self._made.clear()

    def forget(self, follower: Follower) -> None:
        """The client is gone."""
        self._move(follower, None)

    def pushed(self, follower: Follower, frames: bytes) -> bytes:
        """Return what this client is sent for frames that other clients may be sent too."""
        bits, takeover = follower.terms
        made = self._made.get((id(frames), bits))
        if made is None:
            made = self._made[id(frames), bits] = _Made(frames)
            context = follower.context
            if context is not None and context.made == follower.made and not context.spent:
                made.context, made.before = context, context.made
                made.shared = context.compress(frames)
                self.compressed_count += 1
        else:
            self.shared_count += 1
        if made.context is not None and follower.context is made.context and follower.made == made.before:
            follower.made = made.context.made
            return made.shared
        return self._alone(follower, made, bits, takeover)

    def private(self, follower: Follower, frames: bytes) -> bytes:
        """Return what this client is sent for frames nobody else gets: compressed when it is worth it."""
        if len(frames) < PRIVATE_BYTES:
            return frames
        self._move(follower, None)  # its window now ends with what no compressor has seen
        self.compressed_count += 1
        return Context(follower.terms.window_bits).compress(frames)

    def _alone(self, follower: Follower, made: _Made, bits: int, takeover: bool) -> bytes:
        """Return a message that refers to nothing; who gets it is in step from here on."""
        if not made.alone:
            made.alone_context = Context(bits)
            made.alone = made.alone_context.compress(made.frames)
            self.compressed_count += 1
            if made.context is not None:  # the same content twice: bring all of them together next time
                made.context.spent = made.alone_context.spent = True
        if takeover:
            self._move(follower, made.alone_context)
        return made.alone

    def _move(self, follower: Follower, context: Context | None) -> None:
        if follower.context is not None:
            key = id(follower.context)
            self._contexts[key] -= 1
            if not self._contexts[key]:
                del self._contexts[key]
            follower.context = None
        if context is None or (id(context) not in self._contexts and len(self._contexts) >= CONTEXTS_COUNT):
            return
        self._contexts[id(context)] = self._contexts.get(id(context), 0) + 1
        follower.context, follower.made = context, context.made


def _payload(frames: bytes, at: int) -> tuple[int, int]:
    """Return where the payload of the frame at `at` begins and how long it is; server frames have no mask."""
    length = frames[at + 1]
    if length < 126:
        return at + 2, length
    size_bytes = 2 if length == 126 else 8
    start = at + 2 + size_bytes
    return start, int.from_bytes(frames[at + 2 : start], "big")


def _header(size: int) -> bytes:
    """Return the header of a compressed text frame."""
    if size < 126:
        return bytes((0xC1, size))
    if size < 65_536:
        return b"\xc1\x7e" + size.to_bytes(2, "big")
    return b"\xc1\x7f" + size.to_bytes(8, "big")
