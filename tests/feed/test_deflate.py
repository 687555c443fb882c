"""One compressor for many: in whatever order clients come, stall and leave, each reads what it was sent."""

import random
import zlib

import pytest

from qautlra._core.feed import text_frame
from qautlra.feed import deflate
from qautlra.feed.deflate import Deflater, Follower, Terms
from tests.models.wire import split_frames

TERMS = Terms(15, True)


class Reader:
    """A client: a window of its own, kept over messages, or none."""

    def __init__(self, terms: Terms = TERMS) -> None:
        self.follower = Follower(terms)
        self._window = zlib.decompressobj(-terms.window_bits)

    def read(self, data: bytes) -> list[bytes]:
        out = []
        at = 0
        while at < len(data):
            first, length = data[at], data[at + 1]
            at += 2
            if length >= 126:
                size = 2 if length == 126 else 8
                length = int.from_bytes(data[at : at + size], "big")
                at += size
            payload = data[at : at + length]
            at += length
            if first == 0xC1:
                if not self.follower.terms.takeover:
                    self._window = zlib.decompressobj(-self.follower.terms.window_bits)
                payload = self._window.decompress(payload + b"\0\0\xff\xff")
            else:
                assert first == 0x81
            out.append(payload)
        return out


def payload(step: int) -> bytes:
    return f'{{"aid":"rtn_data","data":[{{"quotes":{{"SHFE.au2512":{{"last_price":{step}}}}}}}]}}'.encode()


def frame(step: int) -> bytes:
    return text_frame(payload(step))


def test_identical_clients_share_one_compression_and_the_earlier_messages() -> None:
    deflater = Deflater()
    readers = [Reader() for _ in range(50)]
    sizes = []
    for step in range(20):
        deflater.begin()
        frames = frame(step)
        sent = [deflater.pushed(reader.follower, frames) for reader in readers]
        sizes.append(len(sent[0]))
        assert len({id(one) for one in sent}) == 1
        assert [reader.read(one) for reader, one in zip(readers, sent, strict=True)] == [[payload(step)]] * 50
    assert deflater.compressed_count == 20 and deflater.shared_count == 49 * 20
    assert deflater.contexts_count == 1
    assert sizes[-1] < sizes[0] / 3  # it refers to what was sent before
    for reader in readers:
        deflater.forget(reader.follower)
    assert deflater.contexts_count == 0


def test_who_comes_late_is_in_step_after_two_messages() -> None:
    deflater = Deflater()
    first, late = Reader(), Reader()
    counts = []
    for step in range(6):
        deflater.begin()
        frames = frame(step)
        before = deflater.compressed_count
        for reader in [first] if step < 3 else [first, late]:
            assert reader.read(deflater.pushed(reader.follower, frames)) == [payload(step)]
        counts.append(deflater.compressed_count - before)
    assert counts == [1, 1, 1, 2, 1, 1]
    assert deflater.contexts_count == 1


def test_contexts_are_bounded_and_the_others_get_messages_that_stand_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deflate, "CONTEXTS_COUNT", 3)
    deflater = Deflater()
    readers = [Reader() for _ in range(10)]
    for step in range(4):
        for number, reader in enumerate(readers):
            deflater.begin()
            assert reader.read(deflater.pushed(reader.follower, frame(step * 10 + number))) == [
                payload(step * 10 + number)
            ]
    assert deflater.contexts_count == 3


def test_several_frames_of_every_length_form_go_in_one_write() -> None:
    deflater = Deflater()
    reader = Reader()
    noise = random.Random(5)
    payloads = [noise.randbytes(size) for size in (0, 10, 200, 70_000)]
    frames = b"".join(text_frame(one) for one in payloads)
    assert reader.read(deflater.pushed(reader.follower, frames)) == payloads
    assert [len(one) for one in split_frames(frames)] == [len(one) for one in payloads]


def test_small_private_frames_go_as_they_are() -> None:
    deflater = Deflater()
    reader = Reader()
    assert deflater.private(reader.follower, frame(1)) == frame(1)
    big = text_frame(b"[" + b"1,2,3," * 5000 + b"4]")
    sent = deflater.private(reader.follower, big)
    assert len(sent) < len(big) / 20
    assert text_frame(reader.read(sent)[0]) == big


@pytest.mark.parametrize("seed", range(20))
def test_any_story_is_read_by_everyone(seed: int) -> None:
    chance = random.Random(seed)
    deflater = Deflater()
    terms = [Terms(15, True), Terms(9, True), Terms(15, False)]
    readers: list[Reader] = []
    for step in range(200):
        move = chance.random()
        if move < 0.1 or not readers:
            readers.append(Reader(chance.choice(terms)))
        elif move < 0.15:
            deflater.forget(readers.pop(chance.randrange(len(readers))).follower)
        elif move < 0.25:
            reader = chance.choice(readers)
            size = chance.choice([10, 10_000])
            text = bytes(chance.choices(b"abcdef", k=size))
            assert reader.read(deflater.private(reader.follower, text_frame(text))) == [text]
        else:
            deflater.begin()
            contents = [(frame(step), payload(step)), (frame(-step), payload(-step))]
            for reader in readers:
                if chance.random() < 0.9:  # the others are slow, or have no peek open
                    frames, expected = contents[chance.random() < 0.2]
                    assert reader.read(deflater.pushed(reader.follower, frames)) == [expected]
    for reader in readers:
        deflater.forget(reader.follower)
    assert deflater.contexts_count == 0
