"""When accounts are told of by RabbitMQ."""

import asyncio
from pathlib import Path

import uvloop

from tests.net.test_trade_amqp import Desk

LOOKS_COUNT = 150
INTERVALS_COUNT = 30


def test_accounts_are_told_once_an_interval_and_nothing_turns_meanwhile(tmp_path: Path) -> None:
    """uvloop's timers are of milliseconds and early: what looks at a clock again turns until it is time."""

    class Wake(asyncio.Event):
        seen = 0

        def clear(self) -> None:
            Wake.seen += 1
            super().clear()

    async def work() -> None:
        desk = Desk("memory", tmp_path)
        async with asyncio.timeout(20), desk:
            results = desk.door._results
            await asyncio.sleep(0.1)
            told = len(desk.told)
            results._wake.set()
            results._wake, before = Wake(), results._wake
            before.set()
            for _ in range(LOOKS_COUNT):
                results._dirty.setdefault(desk.account, set())
                results._wake.set()
                await asyncio.sleep(0.02 * INTERVALS_COUNT / LOOKS_COUNT)
            accounts = sum(topic == "account" for topic, _ in desk.told[told:])
            assert INTERVALS_COUNT / 3 <= accounts <= INTERVALS_COUNT + 10
            assert Wake.seen < LOOKS_COUNT + 4 * accounts, (Wake.seen, accounts)

    uvloop.run(work())
