"""The specification's query over HTTP against hot rows: one futures instrument, the last hour, limit 1000.

A real `qautlra serve` that has replayed a recorded day answers one connection; the control is an aiohttp
handler that sends the same bytes.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from typing import Any

import _bench

BODY = {
    "stream": "futures_market",
    "start_time": "1h-ago",
    "end_time": "now",
    "limit": 1000,
    "filter": "instrument='IF2101'",
}
TARGET_P99_MS = 3.0
CONTROL = """
import sys, asyncio, uvloop
from aiohttp import web
body = sys.stdin.buffer.read()
async def answer(request):
    await request.read()
    return web.Response(body=body, content_type="application/json")
app = web.Application()
app.router.add_route("*", "/api/v1/query", answer)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, loop=uvloop.new_event_loop())
"""


def main() -> None:
    """Measure product and control in turns and print the line."""
    chosen = _bench.options(__doc__ or "", ("--requests", {"type": int}))
    rounds = 1 if chosen.short else 5
    requests = chosen.requests or (100 if chosen.short else 1000)
    (day,) = _bench.real_day()
    server_core, load_core = _bench.cores()
    os.sched_setaffinity(0, {load_core})
    arguments = ["--mode", "all", "--source", "replay", "--replay", str(day), "--speed", "max"]
    with _bench.serve(*arguments, core=server_core) as server:
        server.wait("source.replay", "state", "finished", 60.0)
        body, status = ask(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10))
        rows = json.loads(body)
        if status != 200 or len(rows) != BODY["limit"]:
            raise SystemExit(f"status {status}, {len(rows)} rows: {body[:300]!r}")
        port = _bench.free_port()
        control = subprocess.Popen(
            [*_bench.pin(server_core), sys.executable, "-c", CONTROL, str(port)], stdin=subprocess.PIPE
        )
        try:
            assert control.stdin is not None
            control.stdin.write(body)
            control.stdin.close()
            wait_for(port)
            found = [(ask_many(server.port, requests), ask_many(port, requests)) for _ in range(rounds)]
        finally:
            control.kill()
            control.wait()
    product, limit = summary([pair[0] for pair in found]), summary([pair[1] for pair in found])
    _bench.report(
        "query",
        value_ms=product,
        requests=requests * rounds,
        rows=len(rows),
        bytes=len(body),
        target_p99_ms=TARGET_P99_MS,
        met=product["p99"]["median"] <= TARGET_P99_MS,
        control="an aiohttp handler on uvloop that sends the same bytes",
        control_ms=limit,
        ratio_to_control=round(limit["p50"]["median"] / product["p50"]["median"], 3),
        query=BODY,
        note="one keep-alive connection of Python's http.client, POST, rows in the hot tier",
    )


def ask(connection: http.client.HTTPConnection) -> tuple[bytes, int]:
    """Return body and status of one query."""
    connection.request("POST", "/api/v1/query", json.dumps(BODY), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.read(), answer.status


def ask_many(port: int, requests: int) -> list[float]:
    """Return the milliseconds of each of many queries over one connection, after a few unmeasured ones."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(10):
        ask(connection)
    taken = []
    for _ in range(requests):
        start = time.perf_counter()
        _, status = ask(connection)
        taken.append((time.perf_counter() - start) * 1e3)
        if status != 200:
            raise SystemExit(f"status {status}")
    connection.close()
    return taken


def summary(rounds: list[list[float]]) -> dict[str, Any]:
    """Return the spread over the rounds of their median and 99th percentile."""
    return {
        "p50": _bench.spread([_bench.quantile(one, 0.5) for one in rounds]),
        "p99": _bench.spread([_bench.quantile(one, 0.99) for one in rounds]),
    }


def wait_for(port: int) -> None:
    """Wait until something answers on the port."""
    for _ in range(200):
        try:
            ask(http.client.HTTPConnection("127.0.0.1", port, timeout=1))
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the control server did not start")


if __name__ == "__main__":
    main()
