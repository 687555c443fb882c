"""A live market beside a log that takes nothing: clients go on, the store counts what it could not keep."""

import asyncio
from pathlib import Path

import pytest

from qautlra.source.base import Pump
from qautlra.store.service import StoreService
from tests.store.world import OPENING, S, World, run, tick, world

AU = "SHFE.au2102"
COUNT = 40_000


@pytest.mark.parametrize("is_live", [True, False])
def test_a_live_market_does_not_wait_for_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_live: bool
) -> None:
    async def story() -> None:
        async with world(tmp_path, hot_bytes=1 << 20, segment_bytes=1 << 20) as w:
            held = "drop" if is_live else "wait"
            pump = Pump(w.tape, [w.store.drain], when_held=held, shed=w.store.shed)  # type: ignore[arg-type]
            with monkeypatch.context() as patched:

                async def nothing(*_arguments: object) -> bool:
                    await asyncio.sleep(0)
                    return False

                patched.setattr(
                    StoreService, "_compact_next", nothing
                )  # memory fills and nothing may leave it
                publishing = asyncio.ensure_future(pump.publish(rows(w, 0)))
                if is_live:
                    async with asyncio.timeout(60):
                        assert await publishing == COUNT
                    identity = w.tape.last_identity(w.instruments.intern(AU))
                    assert identity == (OPENING + (COUNT - 1) * S // 10, 0), (
                        "whoever follows the tape has it all"
                    )
                    facts = w.store.health()
                    assert facts["rows_shed"] > 0 and facts["blocked"]
                    assert w.store._open is not None
                    waiting = w.store._open.log.waiting
                    assert facts["rows_shed"] + facts["rows_logged"] + waiting == COUNT
                    assert pump.dropped == 0
                else:
                    await asyncio.sleep(0.5)
                    assert not publishing.done()
            async with asyncio.timeout(60):
                await publishing
                if is_live:
                    await w.store.compact()
                    logged = w.store.health()["rows_logged"]
                    assert await pump.publish(rows(w, COUNT)) == COUNT
                    await w.store.compact()
            facts = w.store.health()
            if is_live:
                assert facts["rows_logged"] > logged, "it goes on by itself"
            else:
                assert facts["rows_logged"] == COUNT and "rows_shed" not in facts

    run(story())


def rows(w: World, first: int) -> object:
    return w.rows(tick(AU, OPENING + (first + n) * S // 10, volume=n + 1) for n in range(COUNT))
