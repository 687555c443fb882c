"""What a directory's writer says of the market's present, and who reads it."""

import asyncio
from pathlib import Path

import pytest

from qautlra.base.clock import VirtualClock, WallClock, wall_ns
from qautlra.store import moment
from qautlra.store.moment import FILE, ToldClock, tell


def test_it_is_the_writers_where_that_is_not_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moment, "TELL_S", 0.001)
    told = ToldClock(tmp_path)

    async def story() -> None:
        clock = VirtualClock("replay", 5)
        telling = asyncio.ensure_future(tell(tmp_path, clock))
        for now_ns in (5, 10**18, 10**18 + 1):
            clock.advance_to(now_ns)
            await asyncio.sleep(0.05)
            assert (told.name, told.now_ns()) == ("replay", now_ns)
        telling.cancel()
        await asyncio.wait([telling])
        assert told.now_ns() == 10**18 + 1, "it stays where it was when the writer ended"
        await tell(tmp_path, WallClock())
        assert not (tmp_path / FILE).exists()

    asyncio.run(story())


@pytest.mark.parametrize("text", [None, b"", b"sim", b"sim x", b"sim 1 2", b"\xff 1"])
def test_without_a_word_it_is_the_machines(tmp_path: Path, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / FILE).write_bytes(text)
    before_ns = wall_ns()
    told = ToldClock(tmp_path)
    assert before_ns <= told.now_ns() <= wall_ns()
    assert told.name == "wall"


def test_what_cannot_be_written_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "TELL_S", 0.001)
    place = tmp_path / "full"

    async def story() -> None:
        telling = asyncio.ensure_future(tell(place, VirtualClock("sim", 7)))
        await asyncio.sleep(0.05)
        assert not telling.done()
        place.mkdir()  # there is room again
        await asyncio.sleep(0.05)
        assert ToldClock(place).now_ns() == 7
        telling.cancel()
        await asyncio.wait([telling])

    asyncio.run(story())
