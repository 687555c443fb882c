"""Everything of a running process that may fill up is shown with its bound, and moves when it fills."""

import asyncio
import re

import aiohttp
import pyarrow.flight as fl
import pytest

from tests.e2e.conftest import Serve, Server, free_port

pytestmark = pytest.mark.slow
LINE = re.compile(r'qautlra_base_queue_(fill|bound)\{queue="(\w+)",unit="\w+",when_full="\w+"\} (\S+)')
ALWAYS = {
    "auth_audit", "auth_hashes", "auth_users", "feed_client_symbols", "feed_clients", "feed_pinned_symbols",
    "feed_send_buffer", "feed_series", "feed_series_rows", "net_ctp_waiting", "net_db_clients",
    "net_db_messages", "net_db_waiting",
    "net_flight_calls", "net_flight_tokens", "net_flight_unseen", "net_trade_clients", "net_trade_held",
    "net_trade_notices", "store_bars", "store_hot", "store_ingest", "store_ingest_log", "store_log",
    "store_queries", "store_sql", "store_streams", "store_tail", "trade_journal", "trade_orders",
}  # fmt: skip


def bounds(server: Server) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for which, queue, value in LINE.findall(server.request("GET", "/metrics")[1].decode()):
        found.setdefault(queue, {})[which] = float(value)
    return found


def test_every_bounded_queue_shows_its_fill_and_its_bound(serve: Serve) -> None:
    port = free_port()
    server = serve("--source", "sim", "--set", f"net.flight_listen=127.0.0.1:{port}")
    shown = bounds(server)
    assert set(shown) >= ALWAYS
    assert all(0 <= one["fill"] <= one["bound"] and one["bound"] > 0 for one in shown.values())
    assert shown["feed_clients"]["fill"] == 0

    async def connected() -> dict[str, dict[str, float]]:
        async with aiohttp.ClientSession() as session:
            sockets = [await session.ws_connect(server.ws) for _ in range(3)]
            for socket in sockets:
                await socket.send_json({"aid": "subscribe_quote", "ins_list": "SHFE.rb2701,SHFE.cu2701"})
                await socket.send_json({"aid": "peek_message"})
                await socket.receive()
            return await asyncio.to_thread(bounds, server)

    client = fl.FlightClient(f"grpc://127.0.0.1:{port}")
    following = client.do_get(fl.Ticket(b'{"stream": "futures_market"}'))
    now = asyncio.run(connected())
    assert now["net_flight_calls"]["fill"] == 1
    following.cancel()
    assert now["feed_clients"]["fill"] == 3
    assert now["feed_client_symbols"]["fill"] == 2
    assert now["store_hot"]["fill"] > 0
