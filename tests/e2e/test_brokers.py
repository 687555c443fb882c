"""Accounts of one `serve` trade at brokers outside: another `serve` as DIFF gateway, and its CTP front.

One broker is configured as in the specification's `config_ctp.json`, and two share a BrokerID. The market
comes from there, too. The broker side is killed and comes back; nothing is lost or done twice.
"""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qautlra.link.ctp_library import simulated_library
from tests.contract.conftest import TqClient, account_service, tq, tqsdk_interpreter, tqsdk_python
from tests.e2e.conftest import Serve, Server, free_port, serve

__all__ = ["account_service", "serve", "tq", "tqsdk_interpreter", "tqsdk_python"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PASSWORD = "Check-pass-1"
SYMBOL = "SHFE.rb2701"
ACCOUNTS = {"gw1": "gate", "ct1": "front", "ct2": "second"}
ALL, NONE = (dict.fromkeys(("second", "gate", "front"), synced) for synced in (1, 0))
MONEY = ("static_balance", "close_profit", "commission", "margin", "frozen_margin")


def user(server: Server, name: str, broker: str, *more: str) -> None:
    server.add_user(name, PASSWORD, "--account", name, "--broker", broker, *more)


def ask(server: Server, name: str, path: str, **body: Any) -> Any:
    """Return what the server says to a user: data, or the code of a refusal."""
    words = base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {words}", "Content_Type": "application/json"}
    given = json.dumps(body).encode() if body else None
    _, answer, _ = server.request("POST" if body else "GET", path, given, **headers)
    found = json.loads(answer)
    return found["data"] if found["success"] else (found["error"]["code"], found["error"]["name"])


def order(server: Server, name: str, order_id: str, price: float, **more: Any) -> Any:
    words = {"account_id": name, "order_id": order_id, "instrument_id": SYMBOL, "direction": "BUY"}
    words |= {"offset": "OPEN", "volume": 1, "price": price}
    return ask(server, name, "/api/order/submit", **words | more)


def until(right: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    end = time.monotonic() + timeout_s
    while not (found := right()):
        assert time.monotonic() < end, "never so"
        time.sleep(0.05)
    return found


class Sides:
    """The broker side, and the house that trades there; ports and data stay over restarts."""

    def __init__(self, serve: Serve, directory: Path) -> None:
        self._serve = serve
        self._directory = directory
        self._ports = [free_port() for _ in range(3)]
        (directory / "password").write_text(PASSWORD + "\n")
        (directory / "house.toml").write_text(self._configuration())
        self.broker = self.start_broker()
        for name in ACCOUNTS:
            user(self.broker, name, "paper", "--cash", "10000000")
        self.house = self.start_house()

    def _configuration(self) -> str:
        gate, front, _ = self._ports
        return f"""
[source.upstream]
url = "ws://127.0.0.1:{gate}/ws/market"
instruments = ["{SYMBOL}"]
[source.ctp]
query_interval_s = 0.0
[ctp]
td_lib = "{simulated_library()}"
[trade]
durability = "process"
[trade.ctp_front]
enabled = false
[trade.brokers.gate]
kind = "diff"
url = "ws://127.0.0.1:{gate}/ws/trade"
bid = "paper"
[trade.brokers.front]
kind = "ctp"
url = "tcp://127.0.0.1:{front}"
bid = "9999"
app_id = "qautlra_tests"
auth_code = "{"0" * 16}"
[source.ctp.brokers.second]
td_addr = "tcp://127.0.0.1:{front}"
broker_id = "9999"
user_id = "ct2"
password = "{PASSWORD}"
app_id = "qautlra_tests"
auth_code = "{"0" * 16}"
[trade.logins.gw1]
password_file = "{self._directory / "password"}"
[trade.logins.ct1]
password = "{PASSWORD}"
"""

    def start_broker(self) -> Server:
        words = ("--set", f"trade.ctp_front.listen=127.0.0.1:{self._ports[1]}", "--set", "source.sim.seed=7")
        words += ("--set", "source.sim.history_bars=0", "--set", "trade.durability=process")
        server = self._serve(*words, port=self._ports[0], data=self._directory / "broker", wait=False)
        server.wait_ready(60.0)
        return server

    def start_house(self) -> Server:
        words = ("--source", "upstream", "--config", str(self._directory / "house.toml"))
        more = {"data": self._directory / "house", "env": {"QAUTLRA__CTP__ABI": "6.7.11"}}
        server = self._serve(*words, port=self._ports[2], mode="trade", wait=False, **more)
        server.wait_ready(60.0)
        return server

    def synced(self) -> dict[str, int]:
        return {one["name"]: one["synced"] for one in self.house.get_json("/api/status")["brokers"]}

    def both(self, name: str, path: str) -> tuple[Any, Any]:
        return ask(self.house, name, path), ask(self.broker, name, path)


@pytest.fixture
def sides(serve: Serve, tmp_path: Path) -> Iterator[Sides]:
    found = Sides(serve, tmp_path)
    for name, broker in ACCOUNTS.items():
        user(found.house, name, broker)
    user(found.house, "here", "paper")
    until(lambda: found.synced() == ALL)
    yield found


def fixed(document: dict[str, Any]) -> dict[str, Any]:
    """What of an account no price moves."""
    return {name: document["accounts"][name] for name in MONEY}


def same_account(sides: Sides, name: str) -> dict[str, Any]:
    """The account's document is the broker's, but for what each side calls its order; return it."""

    def agrees() -> Any:
        ours, theirs = sides.both(name, f"/api/account/{name}")
        money = [[shown["accounts"][key] for key in MONEY] for shown in (ours, theirs)]
        lots = [
            {key: (row["volume_long"], row["volume_short"]) for key, row in shown["positions"].items()}
            for shown in (ours, theirs)
        ]
        trades = [
            sorted(
                (t["exchange_trade_id"], t["price"], round(t["commission"], 6))
                for t in shown["trades"].values()
            )
            for shown in (ours, theirs)
        ]
        same = money[0] == pytest.approx(money[1]) and lots[0] == lots[1]
        return ours if same and trades[0] == trades[1] else None

    found: dict[str, Any] = until(agrees)
    assert found["broker_name"] == ACCOUNTS[name] and found["status"] == 200
    return found


def test_orders_go_to_the_accounts_broker_and_everything_comes_back(sides: Sides, tq: TqClient) -> None:
    house, broker = sides.house, sides.broker
    limits = ask(broker, "gw1", f"/api/market/tick/{SYMBOL}")
    high, low = limits["upper_limit"], limits["lower_limit"]
    for name in ACCOUNTS:
        assert order(house, name, "o1", high)["order_id"] == "o1"
        until(lambda name=name: ask(house, name, f"/api/order/o1?account_id={name}")["status"] == "filled")
        assert order(house, name, "o2", low) == {"order_id": "o2", "status": "submitted"}
        document = same_account(sides, name)
        assert document["orders"]["o1"]["status"] == "FINISHED" and len(document["trades"]) == 1
        assert document["orders"]["o2"]["status"] == "ALIVE"
        assert document["accounts"]["frozen_margin"] > 0 and document["accounts"]["margin"] > 0
        # What the house itself refuses, and what the broker does.
        assert order(house, name, "o1", high)[0] == 3002
        assert order(house, name, "o3", high + 0.5) == (3004, "PRICE_NOT_ON_TICK")
        assert order(house, name, "o3", high * 2) == (4002, "PRICE_ABOVE_UPPER_LIMIT")
        assert order(house, name, "o3", low, instrument_id="SHFE.zz2701")[0] == 1007
        order(house, name, "o4", high, volume=1_000_000)
        refused = ask(house, name, f"/api/order/o4?account_id={name}")
        assert (refused["status"], refused["filled_volume"]) == ("rejected", 0) and refused["error_code"]
        same_account(sides, name)
        cancel = ask(house, name, "/api/order/cancel", account_id=name, order_id="o2")
        assert cancel["order_id"] == "o2"
        until(lambda name=name: ask(house, name, f"/api/order/o2?account_id={name}")["status"] == "cancelled")
        money = same_account(sides, name)["accounts"]
        assert money["frozen_margin"] == 0
        assert ask(house, name, "/api/account/deposit", account_id=name, amount=5.0) != money
        moved = ask(house, name, "/api/account/transfer", account_id=name, bank_id="SIM", amount=5.0)
        if ACCOUNTS[name] == "gate":  # the gateway tells later what became of it
            assert moved["transfer_id"] is None and moved["amount"] == 5.0
            until(lambda name=name: len(ask(house, name, f"/api/account/{name}/transfers")) == 2)
        else:
            assert moved == (4009, "NOT_AT_BROKER"), moved
        shown = ask(house, name, f"/api/account/{name}/broker")
        assert (shown["broker"], shown["state"]) == (ACCOUNTS[name], "synced")
        assert not shown.get("differences")
    figures = ask(house, "ct2", "/api/account/ct2/broker")["figures"]
    assert figures["commission"]["ours"] == pytest.approx(figures["commission"]["broker"])
    # The unmodified TqSdk through the house, with each broker's name in the place of a broker's.
    for name, at in ACCOUNTS.items():
        seen = tq("outside", broker.ws, f"ws://127.0.0.1:{house.port}/ws/trade", at, name)
        assert seen["sold"]["status"] == "FINISHED" and seen["sold"]["volume_left"] == 0
        assert seen["rested"] == ["ALIVE", "FINISHED"] and seen["position"] == 0
        document = same_account(sides, name)
        assert document["accounts"]["margin"] == 0 and len(document["trades"]) == 2
    # Operators' sums count all of it, here and outside, in one order of time.
    user(house, "boss", "paper", "--role", "admin", "--cash", "1000000")
    order(
        house, "boss", "h1", low
    )  # refused where the house's own exchange is closed: an order of the day too
    assert order(house, "gw1", "o5", low)["order_id"] == "o5"
    sums = ask(house, "boss", "/api/admin/market/order-stats")
    listed = ask(house, "boss", "/api/management/orders?page_size=500")
    made = [one["submit_time"] for one in listed["orders"]]
    assert sums["total_orders"] == sum(sums["by_status"].values()) == listed["total"] == len(made) > 12
    assert sums["live_orders"] == sums["by_status"]["submitted"]
    assert made == sorted(made, reverse=True) and {"boss", *ACCOUNTS} == {
        x["account_id"] for x in listed["orders"]
    }
    done = ask(house, "boss", "/api/monitoring/trades")
    every = ask(house, "boss", "/api/management/trades?page_size=500")
    assert done["total_count"] == sums["total_trades"] == every["total"] == 6
    assert (
        done["total_volume"] == sum(one["volume"] for one in every["trades"]) and done["total_turnover"] > 0
    )


def test_a_dead_broker_is_refused_at_and_nothing_is_lost_when_it_is_back(sides: Sides) -> None:
    high = ask(sides.broker, "gw1", f"/api/market/tick/{SYMBOL}")["upper_limit"]
    before = {}
    for name in ACCOUNTS:
        order(sides.house, name, "o1", high)
        before[name] = fixed(same_account(sides, name))
    sides.broker.kill()
    until(lambda: sides.synced() == NONE)
    health = sides.house.get_json("/healthz")
    assert health["status"] == "degraded"
    (brokers,) = [one for one in health["services"] if one["name"] == "brokers"]
    assert "gate" in brokers["error"] and "front" in brokers["error"]
    for name in ACCOUNTS:
        for number in range(3):
            assert order(sides.house, name, f"d{number}", high) == (5002, "BROKER_UNAVAILABLE")
        shown = ask(sides.house, name, f"/api/account/{name}")
        assert shown["status"] == 500 and fixed(shown) == before[name]
        assert len(shown["trades"]) == 1 and "d0" not in shown["orders"]
    assert ask(sides.house, "here", "/api/account/here")["accounts"]["balance"] == 1_000_000.0
    sides.broker = sides.start_broker()
    until(lambda: sides.synced() == ALL, 60.0)
    for name in ACCOUNTS:
        assert "d0" not in same_account(sides, name)["orders"]
        order(sides.house, name, "o2", high)
        assert len(same_account(sides, name)["trades"]) == 2
    sides.house.kill()
    sides.house = sides.start_house()
    until(lambda: sides.synced() == ALL, 60.0)
    for name in ACCOUNTS:
        document = same_account(sides, name)
        assert sorted(document["orders"]) == ["o1", "o2"] and len(document["trades"]) == 2
        assert order(sides.house, name, "o2", high)[0] == 3002


def test_accounts_are_bound_where_there_is_a_broker_and_a_login(sides: Sides) -> None:
    words = [sys.executable, "-m", "qautlra", "user", "add", "gw1", "--account"]
    for account, broker, more, why in (
        ("nobody", "gate", (), "trade.logins.nobody.password"),
        ("gw2", "elsewhere", (), "no broker 'elsewhere'"),
        ("gw2", "gate", ("--cash", "5"), "no cash can be given"),
        ("gw1", "front", (), "gate"),
    ):
        run = subprocess.run(
            [*words, account, "--broker", broker, "--port", str(sides.house.port), *more],
            env=sides.house.environment, capture_output=True, timeout=60, check=False, text=True,
        )  # fmt: skip
        assert run.returncode != 0 and why in run.stderr, (account, run.stderr)
    log = sides.house.log.read_text()
    assert PASSWORD not in log
    assert sides.house.get_json("/healthz")["status"] == "ok"
