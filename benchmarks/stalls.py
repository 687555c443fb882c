"""How long each door holds the event loop of one process that serves everything, on a busy day.

A recorded market of 5,000 options, an account with 50,000 orders, as many trades and 500 positions, 200
others, 2,000 conditional orders and stored rows; then each door is called once while sleeps of 2 ms on the
loop are watched. `ms` is the longest lag beside a door, `cpu_ms` the most the loop's thread computed in one.
`orders_ms`: an order a millisecond, to its report, alone and while the doors of the busy account are called.
The control is the time in which nothing is called.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import multiprocessing as mp
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

import _bench
import _lagging
import order_socket

DAY = "20261130"
PRODUCTS = ("rb", "hc", "cu", "al", "zn")
SETTLE_S, SHORT_SETTLE_S = 0.25, 0.02
"After a door, before the next; the second in a short run."
UNLIMITED = (
    "orders_per_s", "orders_burst", "cancels_per_s", "cancels_burst", "repeats_max", "active_max",
    "day_orders", "day_cancels", "day_trades", "contract_orders", "contract_cancels", "contract_trades",
    "contract_opens", "contract_open_volume", "notional_max", "concentration_ratio", "position_max",
    "stale_ms",
    "price_deviation_ratio",
)  # fmt: skip


def symbols(count: int) -> list[str]:
    """Return names of options that were listed together."""
    months = ("2701", "2702", "2703", "2704", "2705")
    found = [
        f"{product}{month}{kind}{3000 + 50 * step}"
        for step in range(count // 50)
        for product in PRODUCTS
        for month in months
        for kind in "CP"
    ]
    return found[:count]


def market(path: Path, names: list[str], seconds: int, per_s: int) -> None:
    """Write a recording: every instrument once, then `per_s` rows a second."""
    lines = [
        "TradingDay,InstrumentID,ExchangeID,LastPrice,PreSettlementPrice,PreClosePrice,OpenPrice,HighestPrice,"
        "LowestPrice,Volume,Turnover,OpenInterest,UpperLimitPrice,LowerLimitPrice,UpdateTime,UpdateMillisec,"
        "BidPrice1,BidVolume1,AskPrice1,AskVolume1,ActionDay"
    ]
    for at in range(len(names) + seconds * per_s):
        first = at < len(names)
        name = names[at if first else at * 7 % len(names)]
        ms = 0 if first else (at - len(names)) * 1000 // per_s + 1000
        second, price = ms // 1000, 20 + at % 7
        clock = f"{9 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        lines.append(
            f"{DAY},{name},SHFE,{price},20,20,20,30,10,{at + 1},{at}.0,1000,60,1,{clock},{ms % 1000 or 1},"
            f"{price - 1},100000,{price + 1},100000,{DAY}"
        )
    path.write_text("\n".join(lines) + "\n")


class World:
    """A server with a busy day, and its clients."""

    def __init__(self, server: _bench.Server, names: list[str], *, orders: int, accounts: int) -> None:
        self.server = server
        self.names = names
        self.spans: dict[str, tuple[float, float]] = {}
        self.said: dict[str, Any] = {}
        self._link: http.client.HTTPConnection | None = None
        self.password = "Bench-" + base64.urlsafe_b64encode(os.urandom(9)).decode()
        for name, roles in (("boss", ["admin", "risk_manager", "settlement", "data", "analyst", "trader"]),):
            self.add_user(name, *roles)
        for name in ("busy", "bench"):
            self.add_user(name, "trader")
        self._token = self.token("boss")
        self.only = re.compile("")
        self.settle_s = SETTLE_S
        self.accounts = [f"a{number:03}" for number in range(accounts)]
        self.orders = orders

    def add_user(self, name: str, *roles: str) -> None:
        """Add a user with an account of that name."""
        command = [*_python(), "-m", "qautlra", "user", "add", name, "--password-stdin", "--account", name]
        command += ["--cash", "1000000000000", "--port", str(self.server.port)]
        command += [part for role in roles for part in ("--role", role)]
        subprocess.run(command, input=self.password.encode() + b"\n", check=True, capture_output=True)

    def token(self, user: str) -> str:
        """Return a token of a user."""
        body = json.dumps({"username": user, "password": self.password}).encode()
        answer = self.ask("POST", "/api/auth/login", body, login=False)
        return str(json.loads(answer)["data"]["token"])

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, login: bool = True, **headers: str
    ) -> bytes:
        """Return the body of an answer that must be 200."""
        if self._link is None:
            self._link = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        link = self._link
        given = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        if login:
            given["Authorization"] = f"Bearer {self._token}"
        link.request(method, path, body, given)
        answer = link.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text

    # --- the day ---

    def fill(self, conditions: int) -> None:
        """Make the day busy."""
        for name in self.accounts:
            body = {"account_id": name, "user_id": "boss", "init_cash": 1e9}
            self.ask("POST", "/api/account/open", json.dumps(body).encode())
        held = self.names[:500]
        client = self.trader("busy")
        for first in range(0, self.orders, 500):
            frames = [
                {
                    "aid": "insert_order", "user_id": "busy", "order_id": f"b{number}", "exchange_id": "SHFE",
                    "instrument_id": held[number % len(held)], "volume": 1, "offset": "OPEN",
                    "direction": "BUY", "price_type": "LIMIT", "limit_price": 60, "time_condition": "IOC",
                    "volume_condition": "ANY",
                }
                for number in range(first, min(first + 500, self.orders))
            ]  # fmt: skip
            for one in frames:
                client.send(json.dumps(one))
            client.send('{"aid":"peek_message"}')
            self._until(client, f'"b{first + len(frames) - 1}"')
        client.close()
        for number in range(conditions):
            name = ("busy", *self.accounts)[number // 50 % (1 + len(self.accounts))]
            self.ask("POST", "/api/order/conditional", json.dumps(condition(name, held[number % 4])).encode())
        for number, name in enumerate(self.accounts):
            self.ask("POST", "/api/order/submit", json.dumps(rest_order(name, held[number % 500])).encode())

    def trader(self, user: str) -> ClientConnection:
        """Return a trade socket that is logged in."""
        client = connect(
            f"ws://127.0.0.1:{self.server.port}/ws/trade?flow=push", max_size=None, open_timeout=60
        )
        login = {"aid": "req_login", "bid": "paper", "user_name": user, "password": self.password}
        client.send(json.dumps(login))
        self._until(client, '"trade_more_data":false')
        return client

    def _until(self, client: ClientConnection, text: str, wait_s: float = 60.0, *, peek: bool = False) -> int:
        size, end = 0, time.monotonic() + wait_s
        while True:
            got = client.recv(max(end - time.monotonic(), 0.001))
            size += len(got)
            if (text in got) if isinstance(got, str) else (text.encode() in got):
                return size
            if peek:
                client.send('{"aid":"peek_message"}')

    # --- the doors ---

    def door(self, name: str, work: Callable[[], Any]) -> None:
        """Call a door, and let the loop rest."""
        if not self.only.search(name):
            return
        began_s = time.monotonic()
        try:
            found = work()
        except Exception as error:
            found = f"failed: {error!r}"[:200]
        took_s = time.monotonic() - began_s
        time.sleep(self.settle_s)
        self.spans[name] = began_s, time.monotonic()
        size = len(found) if isinstance(found, bytes) else found
        self.said[name] = {"s": round(took_s, 3), "got": size}

    def get(self, name: str, path: str) -> None:
        """Call a door of REST."""
        self.door(name, lambda: self.ask("GET", path))

    def post(self, name: str, path: str, body: Any, **headers: str) -> None:
        """Call one that takes a body."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.door(name, lambda: self.ask("POST", path, sent, **headers))


def condition(account: str, name: str) -> dict[str, Any]:
    """Return a body of `/api/order/conditional` that waits."""
    return {
        "account_id": account, "instrument_id": name, "direction": "BUY", "offset": "OPEN", "volume": 1,
        "trigger_price": 55, "trigger_condition": "GE", "limit_price": 56,
    }  # fmt: skip


def rest_order(account: str, name: str, **more: Any) -> dict[str, Any]:
    """Return a body of `/api/order/submit`."""
    order = {"account_id": account, "instrument_id": name, "direction": "BUY", "volume": 3, "price": 60}
    return order | more


def _python() -> list[str]:
    import sys

    return [sys.executable]


def rows(count: int, at: int = 0) -> bytes:
    """Return a JSON body of ticks."""
    return json.dumps(
        [
            {"instrument_id": f"rb{number % 500}", "last_price": 3000.5 + number % 100, "volume": at + number,
             "note": "x" * 60, "datetime": f"2026-11-30T01:{number // 60 % 60:02}:{number % 60:02}Z"}
            for number in range(count)
        ]
    ).encode()  # fmt: skip


def doors(world: World) -> None:
    """Call every door once."""
    get, post, door = world.get, world.post, world.door
    door("nothing", lambda: time.sleep(2))
    get("healthz", "/healthz")
    get("metrics", "/metrics")
    get("status", "/api/status")
    door("login", lambda: world.token("busy"))
    door("trade socket login", lambda: world.trader("busy").close())
    door("trade socket login again", lambda: world.trader("busy").close())
    door("diff socket login", lambda: diff_login(world))
    get("order/user page", "/api/order/user/busy?page_size=500")
    get("order/user", "/api/order/user/busy")
    get("trades/user", "/api/trades/user/busy")
    get("trades/account", "/api/trades/account/busy")
    get("account document", "/api/account/busy")
    get("account detail", "/api/management/account/busy/detail")
    get("positions", "/api/position/account/busy")
    get("user accounts", "/api/user/boss/accounts")
    get("management accounts", "/api/management/accounts?page_size=500")
    get("management orders", "/api/management/orders?page_size=500")
    get("management trades", "/api/management/trades?page_size=500")
    get("transactions", "/api/management/transactions?limit=1000")
    for kind in ("orders", "trades", "positions", "transactions"):
        for form in ("csv", "json", "excel"):
            get(f"export {kind} {form}", f"/api/data/export?account_id=busy&data_type={kind}&format={form}")
    get("equity curve", "/api/account/busy/equity-curve")
    for kind in ("trades", "pnl", "risk"):
        get(f"statistics {kind}", f"/api/data/statistics/{kind}?account_id=busy")
    get("rankings", "/api/data/statistics/rankings")
    get("position analysis", "/api/data/analysis/position/busy")
    get("order stats", "/api/admin/market/order-stats")
    get("commission", "/api/account-admin/commission/statistics/busy")
    get("margin summary", "/api/account-admin/margin/summary/busy")
    get("margin rates", "/api/account-admin/margin/rates")
    get("risk accounts", "/api/management/risk/accounts")
    get("risk margin", "/api/management/risk/margin-summary")
    get("risk alerts", "/api/management/risk/alerts")
    get("admin instruments", "/api/admin/instruments")
    get("instruments", "/api/market/instruments")
    get("instruments detail", "/api/market/instruments?detail=1")
    get("overview", "/api/data/overview/market")
    for kind in ("accounts", "orders", "trades", "storage", "report", "system", "status"):
        get(f"monitoring {kind}", f"/api/monitoring/{kind}")
    get("conditional list", "/api/order/conditional/list?account_id=busy")
    get("conditional statistics", "/api/order/conditional/statistics?account_id=busy")
    get("users", "/api/auth/users")
    get("audit logs", "/api/audit/logs?limit=500")
    get("audit of user", "/api/audit/logs?limit=500&user_id=nobody")
    get("audit verify", "/api/audit/verify")
    get("openapi", "/api/openapi.json")
    get("page", "/")
    names = ",".join(f"SHFE.{name}" for name in world.names[:3250])  # a message of 64 KiB at most
    wanted = {"aid": "subscribe_quote", "ins_list": names}
    door("subscribe 3,250", lambda: market_ask(world, wanted, '"quotes"'))
    door("ins_query", lambda: market_ask(world, INS_QUERY, '"symbols"'))
    chart = {
        "aid": "set_chart", "chart_id": "c", "ins_list": f"SHFE.{world.names[0]}", "duration": 60_000_000_000,
        "view_width": 10_000,
    }  # fmt: skip
    door("chart 10,000", lambda: market_ask(world, chart, '"klines"'))
    door("ticks 10,000", lambda: market_ask(world, chart | {"duration": 0}, '"ticks"'))
    post("ingest json 10 MB", "/api/v1/ingest", rows(60_000), X_P_Stream="busy_json")
    query = {"query": "select * from busy_json limit 50000", "startTime": "10d", "endTime": "now"}
    post("sql 50,000 rows", "/api/v1/query", query)
    post("sql counts", "/api/v1/query", query | {"query": "select count(*) from busy_json"})
    post("query futures_market", "/api/v1/query",
         {"stream": "futures_market", "start_time": "10d", "end_time": "now", "limit": 10_000})  # fmt: skip
    door("db socket", lambda: db_socket(world))
    body = [rest_order("busy", world.names[n % 500], direction="SELL", offset="OPEN", volume=1, price=60,
                       order_id=f"r{n}") for n in range(100)]  # fmt: skip
    post(
        "batch 100",
        "/api/order/batch",
        {"account_id": "boss", "orders": [o | {"account_id": "boss"} for o in body]},
    )
    prices = [{"instrument_id": f"SHFE.{name}", "settlement_price": 20} for name in world.names[:500]]
    post("batch set prices", "/api/admin/settlement/batch-set-prices", {"prices": prices})
    post("force liquidate", "/api/management/risk/force-liquidate", {"account_id": "busy"})
    post("halt", "/api/admin/risk/state", {"state": "HALTED"})
    post("settle", "/api/admin/settlement/execute", {"force": True})
    door("after settlement", lambda: time.sleep(3))
    get("statement", f"/api/data/settlement/statement?account_id=busy&date={DAY}")
    get("statement page", f"/api/data/settlement/statement?account_id=busy&date={DAY}&page=1&page_size=100")
    get("settlement history", "/api/admin/settlement/history")
    get("settlement detail", f"/api/admin/settlement/detail/{DAY}")
    get("export past orders", "/api/data/export?account_id=busy&data_type=orders&format=csv")
    get("statistics after", "/api/data/statistics/pnl?account_id=busy")
    get("rankings after", "/api/data/statistics/rankings")
    door("trade login with a statement", lambda: statement_of(world))


WORST = (
    "/api/order/user/busy", "/api/account/busy", "/api/management/account/busy/detail",
    "/api/data/export?account_id=busy&data_type=orders&format=csv",
    "/api/data/statistics/pnl?account_id=busy", "/api/market/instruments?detail=1",
)  # fmt: skip


def stream(port: int, password: str, symbol: str, first: int, seconds: float, told: Any) -> None:
    """Send an order a millisecond and wait for its report; tell how many milliseconds each took."""
    order_socket.SYMBOL = ("SHFE", symbol)
    client = order_socket.logged_in(port, password)
    order_socket.paced(client, first, 200, 1.0)
    took: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        took += order_socket.paced(client, first + 200 + len(took), 100, 1.0)
    shown = {f"p{share:g}": round(_bench.quantile(took, share / 100) / 1e3, 3) for share in (50, 99, 99.9)}
    told.put(shown | {"max": round(max(took) / 1e3, 3), "n": len(took)})


def streams(world: World, seconds: float) -> dict[str, Any]:
    """Return what a paced stream of orders takes alone, and while the doors of a busy account are called."""
    found: dict[str, Any] = {}
    for number, phase in enumerate(("alone", "beside_doors"), 1):
        told: Any = mp.Queue()
        arguments = (world.server.port, world.password, world.names[0], number * 1_000_000, seconds, told)
        sender = mp.Process(target=stream, args=arguments)
        sender.start()
        while phase != "alone" and sender.is_alive():
            for path in WORST:
                world.ask("GET", path)
            world.trader("busy").close()
        found[phase] = told.get(timeout=60)
        sender.join()
    return found


INS_QUERY = {
    "aid": "ins_query", "query_id": "q",
    "query": "query{multi_symbol_info(class:[OPTION]){... on basic{instrument_id instrument_name}}}",
}  # fmt: skip


def statement_of(world: World) -> int:
    """Log in and wait for the statement of the day before."""
    with connect(f"ws://127.0.0.1:{world.server.port}/ws/trade?flow=push", max_size=None) as client:
        login = {"aid": "req_login", "bid": "paper", "user_name": "busy", "password": world.password}
        client.send(json.dumps(login))
        return world._until(client, "SETTLEMENT")


def diff_login(world: World) -> int:
    """Log in on the socket that carries market and trade."""
    with connect(f"ws://127.0.0.1:{world.server.port}/ws/diff", max_size=None) as client:
        login = {"aid": "req_login", "bid": "paper", "user_name": "busy", "password": world.password}
        client.send(json.dumps(login))
        client.send('{"aid":"peek_message"}')
        return world._until(client, '"trade_more_data":false')


def market_ask(world: World, message: dict[str, Any], text: str) -> int:
    """Send one message on the market socket and read until its answer; return the bytes."""
    with connect(f"ws://127.0.0.1:{world.server.port}/ws/market", max_size=None) as client:
        client.send(json.dumps(message))
        client.send('{"aid":"peek_message"}')
        return world._until(client, text, 20, peek=True)


def db_socket(world: World) -> int:
    """Follow a stream on the database's socket."""
    with connect(f"ws://127.0.0.1:{world.server.port}/ws/db", max_size=None) as client:
        client.send(
            json.dumps({"action": "subscribe", "stream": "futures_market", "instruments": world.names[:3250]})
        )
        return len(client.recv(10))


@contextlib.contextmanager
def busy_day(*, orders: int, accounts: int, instruments: int, conditions: int, lags: Path) -> Iterator[World]:
    """Serve such a day."""
    names = symbols(instruments)
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as place:
        recording = Path(place) / "day.csv"
        market(recording, names, 900, 100)
        settings = [
            *(f"trade.limits.{name}=0" for name in UNLIMITED), "trade.limits.volume_max=0",
            f"trade.conditions.day_max={conditions + 10}",
            "trade.durability=process", "trade.ctp_front.enabled=false",
            *(f"net.{kind}_{size}=1000000" for kind in ("orders", "reads") for size in ("per_s", "burst")),
        ]  # fmt: skip
        flags = [part for setting in settings for part in ("--set", setting)]
        program = (str(Path(_lagging.__file__)), str(lags))
        with _bench.serve("--mode", "all", "--replay", str(recording), *flags, program=program) as server:
            while server.service("feed")["ticks"] < len(names):  # all are there
                time.sleep(0.05)
            yield World(server, names, orders=orders, accounts=accounts)


def main() -> None:
    """Fill the day, call the doors, print the line."""
    chosen = _bench.options(
        __doc__ or "",
        ("--only", {"default": "", "help": "doors that match"}),
        ("--orders", {"type": int, "default": 0}),
    )
    small = chosen.short
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as place:
        lags = Path(place) / "lags"
        with busy_day(
            orders=chosen.orders or (1_000 if small else 50_000),
            accounts=5 if small else 200,
            instruments=500 if small else 5_000,
            conditions=100 if small else 2_000,
            lags=lags,
        ) as world:
            world.only = re.compile(f"^nothing$|{chosen.only}")
            world.settle_s = SHORT_SETTLE_S if small else SETTLE_S
            began_s = time.monotonic()
            world.fill(100 if small else 2_000)
            fill_s = time.monotonic() - began_s
            orders_ms = {} if chosen.only else streams(world, 1.0 if small else 6.0)
            doors(world)
        found = _lagging.worst(lags, world.spans)
    table = {
        name: {"ms": late, "cpu_ms": used, **world.said[name]}
        for name, (late, used) in sorted(found.items(), key=lambda one: -one[1][0])
    }
    _bench.report(
        "stalls", doors=table, orders_ms=orders_ms, control=found["nothing"], fill_s=round(fill_s, 1)
    )


if __name__ == "__main__":
    main()
