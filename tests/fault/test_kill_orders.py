"""kill -9 of the server with orders under way on the trade socket, judged by a ledger kept outside of it.

QAUTLRA_KILLS sets how often (`make kill-orders`: 25).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from websockets.sync.client import connect

from qautlra._core.exchange import Exchange
from tests.e2e.conftest import Serve, Server, serve  # noqa: F401
from tests.fault.order_ledger import SYMBOL, Ledger, drain, insert, login

KILLS = int(os.environ.get("QAUTLRA_KILLS", "3"))
IN_FLIGHT = 20
USER, PASSWORD = "killed", "Survive-9-times"
SETTINGS = (
    "trade.limits.orders_per_s=0",
    "trade.limits.orders_burst=0",
    "trade.limits.active_max=0",
    "trade.limits.self_trade=false",  # else the first orders that rest keep nearly all others from trading
)
pytestmark = pytest.mark.slow


def limits(server: Server) -> tuple[float, float]:
    with connect(server.ws) as market:
        market.send(json.dumps({"aid": "subscribe_quote", "ins_list": ".".join(SYMBOL)}))
        while True:
            market.send(json.dumps({"aid": "peek_message"}))
            for patch in json.loads(market.recv(10)).get("data", ()):
                quote = patch.get("quotes", {}).get(".".join(SYMBOL), {})
                if isinstance(quote.get("lower_limit"), int | float):
                    return float(quote["lower_limit"]), float(quote["upper_limit"])


def add_user(server: Server) -> None:
    server.add_user(USER, PASSWORD, "--account", USER, "--cash", "1000000000")


@pytest.mark.timeout(60 + 40 * KILLS)
@pytest.mark.parametrize("durability", ["process", "power"])
def test_nothing_told_is_lost_and_nothing_done_twice(
    serve: Serve,  # noqa: F811
    tmp_path: Path,
    durability: str,
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    data = tmp_path / "kept"
    arguments = [part for one in (*SETTINGS, f"trade.durability={durability}") for part in ("--set", one)]
    server = serve(*arguments, data=data, mode="trade")
    add_user(server)
    low, high = limits(server)
    ledger = Ledger()
    kills, serial, in_flight = max(1, KILLS if durability == "process" else KILLS // 3), 0, []
    for _ in range(kills):
        with login(socket_of(server), USER, PASSWORD, ledger) as ws:
            kill_at = time.monotonic() + rng.uniform(0.05, 0.6)
            while time.monotonic() < kill_at or ledger.in_flight < IN_FLIGHT:
                drain(ws, USER, ledger, 0.0005)
                for _ in range(IN_FLIGHT):
                    serial += 1
                    order = insert(f"k{serial}", USER, rng, low, high)
                    ledger.sent[order["order_id"]] = order
                    ws.send(json.dumps(order))
                    if rng.random() < 0.1:
                        victim = rng.choice(list(ledger.sent))
                        ws.send(json.dumps({"aid": "cancel_order", "user_id": USER, "order_id": victim}))
            in_flight.append(ledger.in_flight)
            server.kill()
            drain(ws, USER, ledger, 0.5)  # what the kernel still had for us was told before the kill
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(data / "trade" / "journal", copy)

        server = serve(*arguments, data=data, mode="trade")
        [trade] = [s for s in server.get_json("/healthz")["services"] if s["name"] == "trade"]
        again = Exchange()
        recovered = again.replay_all(copy)
        state_hash = f"{again.state_hash():016x}"
        assert (trade["replayed"], trade["recovered_hash"]) == (recovered.records, state_hash)
        found = recovered_account(server)
        ledger.judge(found.orders, found.trades)

        # Everything nobody reported on is sent again: each id becomes one order, whoever saw it first.
        with login(socket_of(server), USER, PASSWORD, ledger) as ws:
            missing = list(ledger.sent.keys() - ledger.orders.keys())
            for order_id in [*missing, *rng.sample(list(found.orders), min(20, len(found.orders)))]:
                ws.send(json.dumps(ledger.sent[order_id]))
            end = time.monotonic() + 20
            while ledger.in_flight and time.monotonic() < end:
                drain(ws, USER, ledger, 0.05)
            assert ledger.in_flight == 0
        found = recovered_account(server)
        ledger.judge(found.orders, found.trades)
        assert len(found.orders) == len(ledger.sent)
    assert min(in_flight) >= IN_FLIGHT
    assert len(ledger.trades) > len(ledger.sent) // 10  # else there was little to lose


def socket_of(server: Server) -> str:
    return f"ws://127.0.0.1:{server.port}/ws/trade?flow=push"


def recovered_account(server: Server) -> Ledger:
    """What a login after the restart is shown."""
    found = Ledger()
    with login(socket_of(server), USER, PASSWORD, found):
        return found
