"""An order's whole way: RabbitMQ, the exchange, a fill, the account's one document in MongoDB, results out.

MongoDB is secantusdb, a pre-release stand-in that speaks its protocol.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from tests.e2e.conftest import Serve, serve
from tests.e2e.test_qatrader import forget, publish
from tests.link.test_documents import mongo_url
from tests.services import RABBIT_URL, rabbit_url

__all__ = ["mongo_url", "rabbit_url", "serve"]


@pytest.mark.slow
def test_from_rabbitmq_to_a_fill_in_mongodb(rabbit_url: str, mongo_url: str, serve: Serve) -> None:
    from pymongo import MongoClient

    account = f"walk{uuid.uuid4().hex[:8]}"
    settings = (
        f"link.amqp.url={RABBIT_URL}",
        f"link.mongo.url={mongo_url}",
        f"trade.trader.account={account}",
        "trade.trader.cash=5000000",
        f'trade.amqp.accounts=["{account}"]',
        "trade.ctp_front.enabled=false",
        "source.sim.history_bars=0",
    )
    flags = [part for setting in settings for part in ("--set", setting)]
    server = serve(*flags, mode="trade", wait=False)
    server.wait_ready(60.0)

    def until(check: Any) -> Any:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if found := check():
                return found
            time.sleep(0.1)
        raise AssertionError(server.log.read_text()[-2000:])

    def door() -> Any:
        services = server.get_json("/healthz")["services"]
        return next(one for one in services if one["name"] == "trade.amqp")["state"] == "connected"

    order = {
        "topic": "sendorder",
        "account_cookie": account,
        "code": "m2701",
        "order_direction": "BUY",
        "order_offset": "OPEN",
        "volume": 1,
        "price": 0,
        "price_type": "ANY",
        "order_id": "w1",
    }
    try:
        until(door)
        publish("QAORDER_ROUTER", account, order)
        with MongoClient[dict[str, Any]](mongo_url) as client:
            accounts = client["QAREALTIME"]["account"]

            def filled() -> Any:
                found = accounts.find_one({"account_cookie": account})
                return found if found and found["trades"] else None

            document = until(filled)
            assert document["positions"]["DCE.m2701"]["volume_long_today"] == 1
            (trade,) = document["trades"].values()
            assert trade["order_id"] == "w1" and trade["volume"] == 1
            funds = document["accounts"]
            assert funds["static_balance"] == 5_000_000
            assert funds["balance"] == pytest.approx(
                funds["static_balance"]
                + funds["close_profit"]
                + funds["position_profit"]
                - funds["commission"],
                abs=1e-6,
            )
            publish("QAORDER_ROUTER", account, order | {"order_id": "w2"})
            until(lambda: len(accounts.find_one({"account_cookie": account})["trades"]) == 2)  # type: ignore[index]
            assert accounts.count_documents({"account_cookie": account}) == 1
            assert server.stop() == 0
            assert client["QAREALTIME"]["hisaccount"].count_documents({"account_cookie": account}) >= 1
    finally:
        forget(account)
