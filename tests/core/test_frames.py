"""Text frames read natively against a reader of few lines: random frames, cuts, damage, exact buffers.

`make asan` runs this too: what is read or written past a buffer is seen there.
"""

from __future__ import annotations

import random

from qautlra._core.frames import take_texts


def naive(data: bytes, max_bytes: int) -> tuple[list[bytes], int]:
    found: list[bytes] = []
    at = 0
    while len(data) - at >= 6 and data[at] == 0x81 and data[at + 1] & 0x80:
        size, head = data[at + 1] & 0x7F, at + 2
        if size == 127 or (size == 126 and len(data) - at < 8):
            break
        if size == 126:
            size, head = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        mask, body = data[head : head + 4], data[head + 4 : head + 4 + size]
        if size > max_bytes or len(body) < size:
            break
        found.append(bytes(byte ^ mask[i % 4] for i, byte in enumerate(body)))
        at = head + 4 + size
    return found, at


def a_frame(rng: random.Random) -> bytes:
    size = rng.choice((0, 1, 3, 7, 8, 9, 125, 126, 127, 300, 5000))
    body = rng.randbytes(size)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return bytes([0x81]) + length + rng.randbytes(4) + body


def test_frames_whole_cut_and_damaged() -> None:
    rng = random.Random(6455)
    taken = 0
    for _ in range(3000):
        data = bytearray(b"".join(a_frame(rng) for _ in range(rng.randint(0, 6))))
        if data and rng.random() < 0.4:
            data[rng.randrange(min(len(data), 40))] = rng.choice((0, 0x7F, 0x80, 0x81, 0xFE, 0xFF))
        if rng.random() < 0.5:
            del data[rng.randint(0, len(data)) :]
        bound = rng.choice((0, 8, 126, 4096, 1 << 16))
        found = take_texts(bytes(data), bound)
        assert found == naive(bytes(data), bound)
        taken += len(found[0])
    assert taken > 3000
