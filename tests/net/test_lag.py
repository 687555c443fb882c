"""The watch over the event loop's lag."""

import asyncio

import pytest

from qautlra.net import lag


def test_it_tells_less_than_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((10.0, 10.1007, 20.0, 20.1002, 30.0, 30.0999))
    seen: list[float] = []
    watch = lag.LoopLag()

    async def sleep(delay_s: float) -> None:
        assert delay_s == lag.PERIOD_S
        seen.append(watch.last_s)

    async def story() -> None:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await watch.run()

    monkeypatch.setattr(lag, "monotonic_s", times.__next__)
    monkeypatch.setattr(lag.asyncio, "sleep", sleep)
    asyncio.run(story())
    assert seen == pytest.approx([0.0, 0.0007, 0.0002])
    assert watch.last_s == 0.0  # a sleep that ended early is not late
    assert watch.health()["worst_lag_s"] == pytest.approx(0.0007)
