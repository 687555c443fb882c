"""Two openctp_ctp programs and a TqSdk user trade with each other: CTP, DIFF, REST and the page say the same.

Nothing of the clients is ours but the lines that tell them what to do; tests/e2e/test_ctp_doors.py plays the
story with raw frames, where no client is installed.
"""

import base64
import csv
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.contract.conftest import TqClient
from tests.contract.test_ctp import PASSWORD, under_exec
from tests.contract.test_tqsdk import HEAD, row
from tests.e2e.browser import Visit, chromium, visit
from tests.e2e.conftest import Serve, Server
from tests.e2e.test_ctp_doors import merge

__all__ = ["chromium", "visit"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PROGRAM = Path(__file__).with_name("openctp_program.py")
CTP_NAMES = {
    "balance": "Balance",
    "available": "Available",
    "margin": "CurrMargin",
    "commission": "Commission",
}
WAIT_S = 30.0


class Program:
    """A CTP program under `qautlra ctp-sim exec`: lines to it, lines from it."""

    def __init__(self, server: Server, user: str, code: str = "IF2101", exchange: str = "CFFEX") -> None:
        words = under_exec(server, sys.executable, PROGRAM, user, PASSWORD, code, exchange)
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=server.environment
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def say(self, *words: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def hear(self, what: str, right: Callable[[Any], bool] = lambda _facts: True) -> Any:
        """Return the next thing of a kind that is right; a refusal fails."""
        until = time.monotonic() + WAIT_S
        while True:
            said, facts = json.loads(self._lines.get(timeout=max(until - time.monotonic(), 0.01)))
            assert said != "refused", facts
            if said == what and right(facts):
                return facts

    def ask(self, what: str) -> list[dict[str, Any]]:
        self.say("query", what)
        rows: list[dict[str, Any]] = self.hear(what)
        return rows

    def end(self) -> None:
        self.say("end")
        assert self._process.wait(10) == 0


def diff(server: Server, user: str, trades: int) -> dict[str, Any]:
    """Return what the trade socket tells a user's own program, when it has so many trades."""
    tree: dict[str, Any] = {}
    with connect(f"ws://127.0.0.1:{server.port}/ws/trade") as socket:
        words = {"aid": "req_login", "bid": "paper", "user_name": user, "password": PASSWORD}
        socket.send(json.dumps(words))
        while len(tree.get("trades", {})) < trades or "CNY" not in tree.get("accounts", {}):
            socket.send('{"aid":"peek_message"}')
            for patch in json.loads(socket.recv(timeout=WAIT_S)).get("data", []):
                merge(tree, patch.get("trade", {}).get(user, {}))
    return tree


def rest(server: Server, user: str) -> dict[str, Any]:
    words = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    status, body, _ = server.request("GET", f"/api/account/{user}", Authorization=f"Basic {words}")
    assert status == 200, body[:300]
    found: dict[str, Any] = json.loads(body)
    shown: dict[str, Any] = found.get("data", found)
    return shown


def write_market(path: Path) -> None:
    """Five minutes of one contract whose bid and ask are two points apart and do not move."""
    book = {"BidPrice1": "5230.0", "BidVolume1": "9", "AskPrice1": "5232.0", "AskVolume1": "9"}
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEAD)
        for step in range(600):
            clock = {"UpdateTime": f"09:{30 + step // 120}:{step // 2 % 60:02d}"}
            out.writerow(row("IF2101", "CFFEX", step / 2, "5231.0", 100 + step, **book, **clock))


@pytest.fixture
def server(serve: Serve, tmp_path: Path) -> Iterator[Server]:
    write_market(tmp_path / "wide.csv")
    words = ("--replay", str(tmp_path / "wide.csv"), "--speed", "1")
    found = serve(*words, "--set", "trade.ctp_front.listen=127.0.0.1:0")
    for user in ("ctp1", "ctp2", "check"):
        found.add_user(user, PASSWORD, "--account", user, "--broker", "paper", "--cash", "5000000")
    yield found


def seen_on_the_page(
    visit: Callable[..., Visit], server: Server, user: str
) -> tuple[list[str], list[str], str]:
    """Return the rows of orders and trades, and the balance, as a browser shows them to a user."""
    person = visit(server.base)
    person.go("login?next=/orders")
    person.see("name").fill(user)
    person.see("password").fill(PASSWORD)
    person.see("enter").click()
    person.page.wait_for_url("**/#/orders")
    found = []
    for tab, table in (("", "orders"), ("tab-trades", "trades")):
        if tab:
            person.see(tab).click()
        lines = person.page.locator(f'[data-test="{table}"] tbody tr')
        lines.first.wait_for()
        found.append(lines.all_inner_texts())
    person.go("account")
    return found[0], found[1], person.see("qifi-balance").inner_text()


def test_the_same_ids_and_money_at_every_door(
    server: Server, tq: TqClient, visit: Callable[..., Visit]
) -> None:
    first, second = Program(server, "ctp1"), Program(server, "ctp2")
    for program in (first, second):
        assert program.hear("ready") == 0
    first.say("order", "1", "0", 5231.0, 2)
    first.hear("order", lambda order: order["OrderStatus"] == "3")
    second.say("order", "1", "1", 5231.0, 1)
    mine, theirs = first.hear("trade"), second.hear("trade")
    assert (mine["TradeID"], mine["Price"], mine["Volume"]) == (theirs["TradeID"], 5231.0, 1)
    third = tq("sells", server.ws)
    last = first.hear("trade")
    assert [(t["exchange_trade_id"], t["price"], t["volume"]) for t in third["trades"]] == [
        (last["TradeID"], 5231.0, 1)
    ]

    orders = {user: program.ask("orders") for user, program in (("ctp1", first), ("ctp2", second))}
    trades = {"ctp1": [mine, last], "ctp2": [theirs]}
    for user, program in (("ctp1", first), ("ctp2", second)):
        (order,) = orders[user]
        order_id = f"ctp.{order['FrontID']}.{order['SessionID']}.{order['OrderRef']}"
        ids = sorted(f"{order_id}|{trade['TradeID']}" for trade in trades[user])
        assert sorted(t["TradeID"] for t in program.ask("trades")) == sorted(
            t["TradeID"] for t in trades[user]
        )
        (money,) = program.ask("account")
        watched, document = diff(server, user, len(ids)), rest(server, user)
        for tree, account in ((watched, watched["accounts"]["CNY"]), (document, document["accounts"])):
            assert sorted(tree["trades"]) == ids
            assert {t["exchange_trade_id"] for t in tree["trades"].values()} == {
                trade["TradeID"] for trade in trades[user]
            }
            assert list(tree["orders"]) == [order_id]
            assert tree["orders"][order_id]["exchange_order_id"].strip() == order["OrderSysID"]
            for name, ctp_name in CTP_NAMES.items():
                assert account[name] == pytest.approx(money[ctp_name]), (user, name)
        shown_orders, shown_trades, balance = seen_on_the_page(visit, server, user)
        assert len(shown_orders) == 1 and order_id in shown_orders[0]
        assert sorted(next(i for i in ids if i in line) for line in shown_trades) == ids
        assert balance == f"{money['Balance']:,.2f}"

    document = rest(server, "check")
    assert sorted(document["trades"]) == sorted(t["trade_id"] for t in third["trades"])
    for name, value in third["account"].items():
        assert document["accounts"][name] == pytest.approx(value), name
    for program in (first, second):
        program.end()
