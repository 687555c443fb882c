"""RESUME over Api objects: the drop-in library keeps in its flow directory how far a program has seen."""

import asyncio
from pathlib import Path

import pytest

from qautlra._core.ctp import FRONT_CONNECTED, Client, Library
from qautlra.link.ctp_library import simulated_library
from qautlra.wire.ctp_frames import RESTART, RESUME, Kind
from qautlra.wire.ctp_records import layout
from tests.ctp.test_trader import PASSWORD, Venue


class Run:
    """One run of a trader program: an Api object, a login, and the private flow it is told."""

    def __init__(self, venue: Venue, flow: Path, mode: int) -> None:
        assert venue.service.address is not None
        front = f"tcp://127.0.0.1:{venue.service.address[1]}"
        library = Library(str(simulated_library()), False)
        self.client = Client(library, flow=f"{flow}/", fronts=[front], private_mode=mode)
        self.events: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self.client.fd, self._read)
        self.client.start()

    def _read(self) -> None:
        for kind, _, _, _, error, _, record in self.client.take()[1]:
            assert kind == FRONT_CONNECTED or error == 0
            self.events.put_nowait((kind, record))

    async def _next(self, kind: int) -> None:
        async with asyncio.timeout(5):
            while (await self.events.get())[0] != kind:
                pass

    async def log_in(self) -> None:
        await self._next(FRONT_CONNECTED)
        who = {"BrokerID": "9999", "UserID": "one", "InvestorID": "one", "Password": PASSWORD}
        who |= {"AppID": "app", "AuthCode": "0" * 16}
        for kind, name in ((Kind.AUTHENTICATE, "ReqAuthenticate"), (Kind.LOGIN, "ReqUserLogin")):
            fields = {key: who[key] for key in who if key in layout(name).offsets}
            assert self.client.request(kind, layout(name).pack(fields), int(kind)) == 0
            await self._next(kind)

    async def told(self) -> list[str]:
        """References of the orders of the flow, until it is quiet."""
        found = []
        while True:
            try:
                async with asyncio.timeout(0.3):
                    kind, record = await self.events.get()
            except TimeoutError:
                return found
            if kind == Kind.RTN_ORDER:
                found.append(layout("Order").read(record).text("OrderRef"))

    def end(self) -> None:
        asyncio.get_running_loop().remove_reader(self.client.fd)
        self.client.close()


@pytest.fixture(autouse=True)
def release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAUTLRA__CTP__ABI", "6.7.11")


def test_a_program_that_comes_back_is_told_what_it_missed(tmp_path: Path) -> None:
    async def once(venue: Venue, flow: Path, mode: int) -> list[str]:
        run = Run(venue, flow, mode)
        try:
            await run.log_in()
            return await run.told()
        finally:
            run.end()

    async def story() -> None:
        async with Venue(tmp_path / "venue") as venue:
            venue.rig.send("a", "SHFE.cu2109", "BUY", "OPEN", 1, 74000, account="one")
            assert await once(venue, tmp_path / "mine", RESUME) == ["1", "1"]  # a new directory: the day
            assert await once(venue, tmp_path / "mine", RESUME) == []
            venue.rig.send("b", "SHFE.cu2109", "BUY", "OPEN", 1, 74000, account="one")
            assert await once(venue, tmp_path / "mine", RESUME) == ["2", "2"]  # while it was away
            assert await once(venue, tmp_path / "mine", RESTART) == ["1", "1", "2", "2"]
            assert await once(venue, tmp_path / "other", RESUME) == ["1", "1", "2", "2"]
            (tmp_path / "mine" / "Private.con").write_bytes(b"anything else" * 3)
            assert await once(venue, tmp_path / "mine", RESUME) == ["1", "1", "2", "2"]  # reads as none
            assert await once(venue, tmp_path / "nowhere", RESUME) == ["1", "1", "2", "2"]  # is not made

    for place in ("venue", "mine", "other"):
        (tmp_path / place).mkdir()
    asyncio.run(story())
