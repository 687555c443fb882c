"""Two CTP programs and a DIFF client trade with each other: every door shows the same trades and money."""

import asyncio
import base64
import csv
import json
from pathlib import Path
from typing import Any

import pytest
import websockets

from qautlra.wire.ctp_frames import RESTART, TRADER, Kind, hello
from tests.contract.test_tqsdk import HEAD, row
from tests.ctp.front import Program
from tests.ctp.test_trader import OPEN, Trader
from tests.e2e.conftest import Serve, Server

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(120)]

PASSWORD = "a-Passw0rd-of-tests"
USERS = ("ctp1", "ctp2", "diff")


def write_market(path: Path) -> None:
    """One contract whose bid and ask are two points apart for a minute."""
    book = {"BidPrice1": "5230.0", "BidVolume1": "9", "AskPrice1": "5232.0", "AskVolume1": "9"}
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEAD)
        for step in range(119):
            out.writerow(row("IF2101", "CFFEX", step / 2, "5231.0", 100 + step, **book))


async def ctp(server: Server, user: str) -> Trader:
    services = server.get_json("/healthz")["services"]
    front = next(one["front"] for one in services if one["name"] == "ctp_front")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(front.rpartition(":")[2]))
    writer.write(hello(TRADER, "6.7.11", RESTART))
    one = Trader(Program(reader, writer))
    assert await one.authenticate(user) == 0
    assert await one.log_in(user, PASSWORD) == 0
    assert await one.confirm(user) == 0
    return one


class Diff:
    """A trade socket and what it has merged."""

    def __init__(self, socket: Any, user: str) -> None:
        self._socket, self.user, self.tree = socket, user, {}

    async def log_in(self) -> None:
        await self.say(aid="req_login", bid="paper", user_name=self.user, password=PASSWORD)
        await self.until(lambda: "CNY" in self.tree.get("accounts", {}))

    async def say(self, **words: Any) -> None:
        await self._socket.send(json.dumps(words))

    async def until(self, right: Any) -> None:
        async with asyncio.timeout(20):
            while not right():
                await self.say(aid="peek_message")
                for patch in json.loads(await self._socket.recv()).get("data", []):
                    merge(self.tree, patch.get("trade", {}).get(self.user, {}))

    @property
    def trades(self) -> list[tuple[str, float, int]]:
        found = [(t["exchange_trade_id"], t["price"], t["volume"]) for t in self.tree["trades"].values()]
        return sorted(found)


def merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for name, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value


def rest(server: Server, user: str) -> dict[str, Any]:
    words = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    status, body, _ = server.request("GET", f"/api/account/{user}", Authorization=f"Basic {words}")
    assert status == 200, body[:300]
    found: dict[str, Any] = json.loads(body)
    shown: dict[str, Any] = found.get("data", found)
    return shown


def test_the_same_trades_and_money_at_every_door(serve: Serve, tmp_path: Path) -> None:
    write_market(tmp_path / "wide.csv")
    server = serve(
        "--replay", str(tmp_path / "wide.csv"), "--set", "trade.ctp_front.listen=127.0.0.1:0", "--speed", "1"
    )
    for user in USERS:
        server.add_user(user, PASSWORD, "--account", user, "--broker", "paper", "--cash", "5000000")

    async def story() -> None:
        instrument = {"InstrumentID": "IF2101", "ExchangeID": "CFFEX"}
        first, second = await ctp(server, "ctp1"), await ctp(server, "ctp2")
        url = f"ws://127.0.0.1:{server.port}/ws/trade"
        async with websockets.connect(url) as one, websockets.connect(url) as other:
            third, watcher = Diff(one, "diff"), Diff(other, "ctp1")
            await third.log_in()
            await watcher.log_in()
            first.insert("1", "0", OPEN, 2, 5231.0, InvestorID="ctp1", **instrument)
            await first.status("1", "3")
            second.insert("1", "1", OPEN, 1, 5231.0, InvestorID="ctp2", **instrument)
            mine, theirs = await first.trade(), await second.trade()
            assert (mine["TradeID"], mine["Price"], mine["Volume"]) == (theirs["TradeID"], 5231.0, 1)
            order = {"exchange_id": "CFFEX", "instrument_id": "IF2101", "direction": "SELL", "offset": "OPEN"}
            order |= {"volume": 1, "price_type": "LIMIT", "limit_price": 5231.0}
            order |= {"volume_condition": "ANY", "time_condition": "GFD"}
            await third.say(aid="insert_order", user_id="diff", order_id="d1", **order)
            last = await first.trade()
            await third.until(lambda: third.tree.get("trades"))
            assert third.trades == [(last["TradeID"], 5231.0, 1)]
            expected = sorted((trade["TradeID"], 5231.0, 1) for trade in (mine, last))
            await watcher.until(lambda: len(watcher.tree.get("trades", {})) == 2)
            assert watcher.trades == expected
            rows = await first.rows(Kind.QRY_TRADE, InvestorID="ctp1")
            assert sorted((r["TradeID"], r["Price"], r["Volume"]) for r in rows) == expected
            document = rest(server, "ctp1")
            shown = document["trades"].values()
            assert sorted((t["exchange_trade_id"], t["price"], t["volume"]) for t in shown) == expected
            (order_of,) = document["orders"].values()
            assert (order_of["order_id"], order_of["volume_left"]) == (f"ctp.1.{first.session}.1", 0)
            (money,) = await first.rows(Kind.QRY_ACCOUNT, InvestorID="ctp1")
            names = {"balance": "Balance", "available": "Available", "margin": "CurrMargin"}
            for name, ctp_name in (names | {"commission": "Commission"}).items():
                await watcher.until(
                    lambda name=name, value=money[ctp_name]: (
                        abs(watcher.tree["accounts"]["CNY"][name] - value) < 1e-6
                    )
                )
                assert document["accounts"][name] == pytest.approx(money[ctp_name]), name

    asyncio.run(story())
