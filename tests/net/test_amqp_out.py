"""When accounts are told of by RabbitMQ."""

import asyncio
from pathlib import Path

import uvloop

from tests.link.test_bus import until
from tests.net.test_trade_amqp import CU, Desk

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


def test_the_end_of_a_contract_is_told_and_leaves_a_flat_position(tmp_path: Path) -> None:
    async def work() -> None:
        desk = Desk("memory", tmp_path)
        desk.rig.last_days[CU] = 20210802
        async with asyncio.timeout(20), desk:
            await desk.send(desk.order("a", volume=2))
            await until(lambda: "a" in desk.orders())
            desk.rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
            await until(lambda: held(desk) == 2)
            desk.rig.tick(CU, 75_150, settlement=75_100)
            desk.rig.at("2021-08-02 20:56:00")
            desk.rig.trade.follow_day()
            await until(lambda: held(desk) == 0)
            end = desk.trades[-1]
            assert (end["order_id"], end["offset"], end["volume"], end["price"]) == (
                "expiry.SHFE.cu2109.1", "CLOSETODAY", 2, 75_100,
            )  # fmt: skip
            told = [body["data"] for topic, body in desk.told if topic == "order"]
            assert told[-1]["last_msg"] == "到期交割：按结算价了结"

    def held(desk: Desk) -> float:
        """Lots by the newest message of the position."""
        found = [body["data"]["volume_long"] for topic, body in desk.told if topic == "position"]
        return found[-1] if found else -1

    uvloop.run(work())
