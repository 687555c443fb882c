"""`qatrader-rs -c conf/config.toml` as a second process beside `serve --mode md`, by both forms of broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiormq
import pytest

from qautlra.link.documents import SqliteRepository
from tests.e2e.conftest import Serve, serve
from tests.services import RABBIT_URL, rabbit_url

__all__ = ["rabbit_url", "serve"]

LONG_S = 30.0


class Trader:
    """A running `qatrader-rs`."""

    def __init__(self, directory: Path, config: str, *flags: str) -> None:
        self.directory = directory
        (directory / "conf").mkdir(parents=True)
        (directory / "conf" / "config.toml").write_text(config)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("QAUTLRA__", "QADB_"))}
        environment["XDG_DATA_HOME"] = str(directory / "data")
        self.log = (directory / "log").open("w+")
        entry = "from qautlra.cli.aliases import trader; trader()"
        command = [sys.executable, "-c", entry, "-c", "conf/config.toml", *flags]
        self.process = subprocess.Popen(
            command, cwd=directory, env=environment, stdout=self.log, stderr=subprocess.STDOUT
        )

    def text(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def document(self, account: str) -> Any:
        async def load() -> Any:
            found = list(self.directory.glob(f"data/qautlra/traders/{account}/trade/accounts.sqlite"))
            if not found:
                return None
            place = SqliteRepository(found[0])
            await place.open()
            try:
                return await place.load(account)
            finally:
                await place.close()

        return asyncio.run(load())


@pytest.fixture
def trade(tmp_path: Path) -> Iterator[Callable[..., Trader]]:
    traders: list[Trader] = []

    def start(config: str, *flags: str) -> Trader:
        traders.append(Trader(tmp_path / f"trader-{len(traders)}", config, *flags))
        return traders[-1]

    yield start
    for trader in traders:
        with contextlib.suppress(Exception):
            trader.stop()


def publish(exchange: str, key: str, body: dict[str, Any]) -> None:
    async def send() -> None:
        connection = await aiormq.connect(RABBIT_URL)
        channel = await connection.channel()
        await channel.basic_publish(json.dumps(body).encode(), exchange=exchange, routing_key=key)
        await connection.close()

    asyncio.run(send())


def forget(account: str, *exchanges: str) -> None:
    async def clean() -> None:
        connection = await aiormq.connect(RABBIT_URL)
        channel = await connection.channel()
        await channel.queue_delete(f"qautlra.orders.{account}")
        for exchange in exchanges:
            await channel.exchange_delete(exchange)
        await connection.close()

    asyncio.run(clean())


def until(check: Callable[[], Any], trader: Trader, timeout_s: float = LONG_S) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert trader.process.poll() is None, trader.text()[-3000:]
        if found := check():
            return found
        time.sleep(0.2)
    raise AssertionError(trader.text()[-3000:])


def envelope(account: str, order_id: str, price: float, **data: Any) -> dict[str, Any]:
    inner = {"instrument_id": "rb2701", "exchange_id": "SHFE", "price": price, "volume": 1}
    inner |= {"direction": "BUY", "offset": "OPEN", "order_id": order_id}
    return {"topic": "order", "action": "send_order", "account_cookie": account, "data": inner | data}


@pytest.mark.slow
def test_the_paper_broker_beside_a_feed(rabbit_url: str, serve: Serve, trade: Callable[..., Trader]) -> None:
    feed = serve("--set", "source.sim.history_bars=0", mode="md", wait=False)
    feed.wait_ready(60.0)
    mark = uuid.uuid4().hex[:8]
    account, exchange = f"tr{mark}", f"qaorder.{mark}"
    trader = trade(f"""
[common]
log_level = "info"
version = "1.0"
[account]
account_cookie = "{account}"
password = "YOUR_PASSWORD"
broker_id = "9999"
td_server = "tcp://YOUR_SERVER:PORT"
appid = "YOUR_APP_ID"
auth_code = "YOUR_AUTH_CODE"
[websocket]
market_ws = "{feed.ws}"
[mq]
uri = "{RABBIT_URL}"
exchange = "{exchange}"
model = "fanout"
routing_key = ""
""")
    try:
        until(lambda: "broker_connected" in trader.text(), trader)
        assert "placeholder" in trader.text()
        publish(exchange, "", envelope("somebody_else", "x", 3000))
        publish(exchange, "", envelope(account, "m1", 1.0, price_type="LIMIT"))

        def ordered() -> Any:
            found = trader.document(account)
            return found if found is not None and "m1" in found.orders else None

        document = until(ordered, trader)
        assert set(document.orders) == {"m1"}
        assert document.accounts.balance == pytest.approx(1_000_000.0)
        assert document.portfolio == "default" and document.broker_name == "9999"
        # It is refused below the lower limit, by the numbers of the other process's feed.
        assert document.orders["m1"].status == "FINISHED"
        assert trader.stop() == 0
    finally:
        forget(account, exchange)


@pytest.mark.slow
def test_a_diff_gateway_is_a_broker(rabbit_url: str, serve: Serve, trade: Callable[..., Trader]) -> None:
    """The gateway is another of our processes, spoken to as any open-trade-gateway would be."""
    less = ("--set", "trade.ctp_front.enabled=false", "--set", "source.sim.history_bars=0")
    gateway = serve(*less, mode="trade", wait=False)
    gateway.wait_ready(60.0)
    mark = uuid.uuid4().hex[:8]
    account = f"gw{mark}"
    gateway.add_user(account, "Check-pass-1", "--account", account, "--broker", "paper", "--cash", "5000000")
    trader = trade(f"""
[common]
account = "{account}"
password = "Check-pass-1"
wsuri = "ws://127.0.0.1:{gateway.port}/ws/trade"
broker = "paper"
eventmq_ip = "{RABBIT_URL}"
ping_gap = 5
portfolio = "mine"
log_level = "info"
""")
    try:
        until(lambda: "broker_connected" in trader.text() and "gateway_synced" in trader.text(), trader)
        publish("QAORDER_ROUTER", account, envelope(account, "g1", 1.0) | {})
        flat = {
            "topic": "sendorder",
            "account_cookie": account,
            "code": "rb2701",
            "exchange_id": "SHFE",
            "order_direction": "BUY",
            "order_offset": "OPEN",
            "volume": 1,
            "price": 9_999_999,
            "order_id": "g2",
        }
        publish("QAORDER_ROUTER", account, flat)

        def both() -> Any:
            found = trader.document(account)
            if found is None or not {"g1", "g2"} <= set(found.orders):
                return None
            ended = all(found.orders[name].status == "FINISHED" for name in ("g1", "g2"))
            return found if ended else None  # first they are on their way

        document = until(both, trader)
        assert document.accounts.static_balance == pytest.approx(5_000_000.0)
        assert document.portfolio == "mine" and document.broker_name == "paper"
        for order in ("g1", "g2"):
            assert document.orders[order].status == "FINISHED" and document.orders[order].volume_left == 1
        publish("QAORDER_ROUTER", account, flat)  # the same id again: one order
        time.sleep(0.5)
        assert len(trader.document(account).orders) == 2
        assert trader.stop() == 0
    finally:
        forget(account)


def test_without_arguments_it_shows_its_help() -> None:
    entry = "from qautlra.cli.aliases import trader; trader()"
    run = subprocess.run(
        [sys.executable, "-c", entry], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0 and "--config" in run.stdout and "--wsuri" in run.stdout
