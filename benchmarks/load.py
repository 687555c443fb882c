"""The database under its daily load: 100,000 rows/s arrive, eight clients ask, eight others run SQL.

Rows of the reference generator arrive as Arrow over HTTP, paced; each of eight clients asks the
specification's query (1,000 rows, all columns, JSON) twenty times a second, another instrument and range each
time, from the hot tier. Some answers are compared with DuckDB's, value for value, before. The control of the
asking is an aiohttp handler that sends as many bytes while the same rows arrive; that of the SQL readers the
time without them. The loop's lag is measured in sleeps of 2 ms; its control are the same sleeps of a process
that does nothing else, beside it at the same priority: what the kernel gives.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import http.client
import json
import multiprocessing as mp
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

import _bench
import _lagging
from query import CONTROL, wait_for
from store import generated

RATE = 100_000
BATCH_ROWS = 2_000
CLIENTS, ASKS_PER_S = 8, 20
LIMIT = 1_000
WARM_S = 0.5
USER = "bench"
STATEMENT = (
    "SELECT instrument_id, avg(last_price), max(volume), count(*) FROM futures_market GROUP BY instrument_id"
)


def main() -> None:
    """Measure the phases one after the other and print the line."""
    chosen = _bench.options(__doc__ or "", ("--seconds", {"type": float}))
    seconds = chosen.seconds or (1.0 if chosen.short else 6.0)
    instruments = 50 if chosen.short else 500
    first_count = 2 * LIMIT
    coming = int(5 * (seconds + 1) * RATE) // instruments
    password = "Bench-" + base64.urlsafe_b64encode(os.urandom(9)).decode()
    settings = [f"auth.username={USER}", "store.hot_bytes=3GiB"]
    flags = [part for setting in settings for part in ("--set", setting)]
    os.environ["QAUTLRA__AUTH__PASSWORD"] = password
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as place:
        source = Path(place) / "in.parquet"
        rows = generated(instruments, first_count + coming, source)
        table = pq.read_table(source)
        lagging, bare = Path(place) / "lags", Path(place) / "bare"
        program = (str(Path(_lagging.__file__)), str(lagging))
        with _bench.serve("--mode", "db", *flags, program=program) as server:
            feed = Feed(server.port, password)
            first_rows = first_count * instruments
            for at in range(0, first_rows, 4 * BATCH_ROWS):
                feed.post(body(table.slice(at, min(4 * BATCH_ROWS, first_rows - at))))
            check(server.port, table.slice(0, first_rows))
            world = World(server.port, password, table, first_rows, seconds)
            found = world.measured(bare)
        lag, lag_control = (
            {phase: _lagging.lags(path, *span) for phase, span in world.spans.items()}
            for path in (lagging, bare)
        )
    asks, control = found["asks_while_rows_arrive_ms"], found["control_while_rows_arrive_ms"]
    _bench.report(
        "load",
        rows_there_before=first_rows,
        rows_generated=rows,
        **found,
        loop_lag_ms=lag,
        loop_lag_control_ms=lag_control,
        targets={"http_p99_ms": 1.5, "server_p99_ms": 0.3, "loop_lag_p99_ms": 3.0, "rows_per_s": RATE},
        ratio_to_control_p99=round(asks["p99"] / control["p99"], 2),
        control="an aiohttp handler that sends as many bytes, asked alike while the same rows arrive",
        note="product, rows, clients and control share the machine's cores; clients go before the rest where "
        "that is allowed, as if they were other machines; the first half second is not counted",
    )


class Feed:
    """One connection that posts Arrow bodies."""

    def __init__(self, port: int, password: str) -> None:
        self._link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        secret = base64.b64encode(f"{USER}:{password}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {secret}",
            "X-P-Stream": "futures_market",
            "Content-Type": "application/vnd.apache.arrow.stream",
        }

    def post(self, content: bytes) -> None:
        """Return when the rows are acknowledged."""
        self._link.request("POST", "/api/v1/ingest", content, self._headers)
        answer = self._link.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"ingest: {answer.status}: {text[:300]!r}")


def body(table: pa.Table) -> bytes:
    """Return rows as one Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


class World:
    """The phases of one run."""

    def __init__(self, port: int, password: str, table: pa.Table, first_rows: int, seconds: float) -> None:
        self._port = port
        self._password = password
        self._table = table
        self._at = first_rows
        self._seconds = seconds
        self.spans: dict[str, tuple[float, float]] = {}
        "When phases whose lag is looked at began and ended, in monotonic seconds."
        early = table.slice(0, first_rows)
        self._symbols = early.column("instrument_id").unique().to_pylist()
        times = early.column("datetime").cast(pa.int64())
        self._low, self._high = times[0].as_py(), times[-1].as_py() + 1

    def measured(self, bare: Path) -> dict[str, Any]:
        """Return the figures of all phases; `bare`: the file of the control of the loop's lag."""
        size = len(Asker(self._port, self._request(random.Random(0))).ask()[1])
        control_port = _bench.free_port()
        control = subprocess.Popen([sys.executable, "-c", CONTROL, str(control_port)], stdin=subprocess.PIPE)
        try:
            assert control.stdin is not None
            control.stdin.write(b" " * size)
            control.stdin.close()
            wait_for(control_port)
            quiet, _ = self._phase(ask=self._port, feed=False)
            asks, rate = self._phase(ask=self._port)
            limits, _ = self._phase(ask=control_port)
        finally:
            control.kill()
            control.wait()
        sleeper = subprocess.Popen([sys.executable, _lagging.__file__, str(bare)])
        try:
            _, alone_rate = self._phase(name="alone")
            _, sql_rate = self._phase(name="sql_readers", sql=True)
        finally:
            sleeper.terminate()
            sleeper.wait()
        return {
            "answer_bytes": size,
            "asks_alone_ms": quiet,
            "asks_while_rows_arrive_ms": asks,
            "control_while_rows_arrive_ms": limits,
            "rows_per_s": {"asked": rate, "alone": alone_rate, "sql_readers": sql_rate["rows"]},
            "sql_statements_per_s": sql_rate["statements"],
        }

    def _phase(
        self, name: str = "", ask: int = 0, feed: bool = True, sql: bool = False
    ) -> tuple[dict[str, Any], Any]:
        results: mp.Queue[Any] = mp.Queue()
        begins = time.monotonic() + 1.0
        people = []
        if feed:
            share = self._table.slice(self._at, int(RATE * self._seconds))
            self._at += share.num_rows
            bodies = [body(share.slice(at, BATCH_ROWS)) for at in range(0, share.num_rows, BATCH_ROWS)]
            begins = time.monotonic() + 1.0
            arguments = (self._port, self._password, bodies, begins, results)
            people.append(mp.Process(target=feed_paced, args=arguments))
        if ask:
            bounds = (self._symbols, self._low, self._high)
            arguments = (ask, bounds, begins, self._seconds, results)
            people.append(mp.Process(target=ask_paced, args=arguments))
        if sql:
            limits = (self._low, self._high)
            people.append(
                mp.Process(target=read_sql, args=(self._port, limits, begins, self._seconds, results))
            )
        for one in people:
            one.start()
        time.sleep(max(begins + self._seconds - time.monotonic(), 0))
        if name:
            self.spans[name] = begins, time.monotonic()
        told: dict[str, Any] = dict(results.get(timeout=60) for _ in people)
        for one in people:
            one.join()
        rate: Any = told.get("feed")
        if sql:
            rate = {"rows": rate, "statements": told["sql"]}
        return told.get("ask", {}), rate

    def _request(self, rng: random.Random) -> bytes:
        return request((self._symbols, self._low, self._high), rng)


def quantile(values: list[float], share: float) -> float:
    """Return a quantile to the microsecond."""
    return round(_bench.quantile(values, share), 3)


def request(bounds: tuple[list[str], int, int], rng: random.Random) -> bytes:
    """Return the specification's query as one HTTP request: an instrument, a start, 1,000 rows from there."""
    symbols, low, high = bounds
    asked = {
        "stream": "futures_market",
        "start_time": low + rng.randrange((high - low) // 2),
        "end_time": high,
        "limit": LIMIT,
        "filter": f"instrument='{rng.choice(symbols)}'",
    }
    content = json.dumps(asked).encode()
    head = (
        "POST /api/v1/query HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Asker:
    """A keep-alive connection that reads answers into one buffer."""

    def __init__(self, port: int, content: bytes = b"") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(4 << 20)
        self._content = content

    def ask(self, content: bytes = b"") -> tuple[bytes, memoryview]:
        """Return head and body of one answer."""
        self._socket.sendall(content or self._content)
        view = memoryview(self._buffer)
        got = self._socket.recv_into(view)
        while (end := self._buffer.find(b"\r\n\r\n", 0, got)) < 0:
            got += self._socket.recv_into(view[got:])
        head = bytes(view[:end]).lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(head.decode())
        size = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        while got < end + 4 + size:
            got += self._socket.recv_into(view[got:])
        return head, view[end + 4 : end + 4 + size]


def feed_paced(port: int, password: str, bodies: list[bytes], begins: float, results: Any) -> None:
    """Post batches by the clock; tell the rows per second that were acknowledged."""
    feed = Feed(port, password)
    for number, content in enumerate(bodies):
        time.sleep(max(begins + number * BATCH_ROWS / RATE - time.monotonic(), 0))
        feed.post(content)
    took = time.monotonic() - begins
    results.put(("feed", round(min(len(bodies) * BATCH_ROWS / took, RATE))))


def ask_paced(
    port: int, bounds: tuple[list[str], int, int], begins: float, seconds: float, results: Any
) -> None:
    """Ask as eight clients do; tell what it took, once memory and links are warm."""
    with suppress(OSError):  # clients are other machines: they do not wait for cores behind what runs here
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    taken: list[float] = []
    inside: list[float] = []

    def client(number: int) -> None:
        rng, asker = random.Random(number), Asker(port)
        at = begins + number / (CLIENTS * ASKS_PER_S)
        while at < begins + seconds:
            content = request(bounds, rng)
            time.sleep(max(at - time.monotonic(), 0))
            start = time.perf_counter()
            head, _ = asker.ask(content)
            spent_ms = (time.perf_counter() - start) * 1e3
            is_warm = at >= begins + WARM_S
            at += 1 / ASKS_PER_S
            if not is_warm:
                continue
            taken.append(spent_ms)
            if b"p-time-elapsed:" in head:
                inside.append(float(head.split(b"p-time-elapsed:")[1].split(b"\r\n")[0]) * 1e3)

    clients = [Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    told = {"p50": quantile(taken, 0.5), "p99": quantile(taken, 0.99), "n": len(taken)}
    if inside:
        told |= {"server_p50": quantile(inside, 0.5), "server_p99": quantile(inside, 0.99)}
    results.put(("ask", told))


def read_sql(port: int, limits: tuple[int, int], begins: float, seconds: float, results: Any) -> None:
    """Run statements one after the other as eight clients; tell how many a second."""
    counts = [0] * CLIENTS
    content = json.dumps({"query": STATEMENT, "startTime": limits[0], "endTime": limits[1]})

    def client(number: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < begins + seconds:
            link.request("POST", "/api/v1/query", content, {"Content-Type": "application/json"})
            answer = link.getresponse()
            text = answer.read()
            if answer.status == 200:
                counts[number] += 1
            elif answer.status not in (429, 503):
                raise SystemExit(f"SQL: {answer.status}: {text[:300]!r}")
            else:
                time.sleep(0.1)

    clients = [Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    results.put(("sql", round(sum(counts) / (time.monotonic() - begins), 2)))


def check(port: int, table: pa.Table) -> None:
    """End the run unless some answers say what DuckDB says of the same rows."""
    peer = duckdb.connect()
    peer.register("ticks", table)
    symbols = table.column("instrument_id").unique().to_pylist()
    times = table.column("datetime").cast(pa.int64())
    low, high = times[0].as_py(), times[-1].as_py() + 1
    names = [name for name in table.column_names if name not in ("datetime", "instrument_id")]
    rng, asker = random.Random(5), Asker(port)
    for _ in range(20):
        content = request((symbols, low, high), rng)
        asked = json.loads(content.split(b"\r\n\r\n", 1)[1])
        ours = json.loads(bytes(asker.ask(content)[1]))
        sql = (
            f"SELECT epoch_us(datetime), {', '.join(names)} FROM ticks WHERE instrument_id = ? "
            "AND epoch_us(datetime) >= ? ORDER BY datetime LIMIT 1000"
        )
        symbol = asked["filter"].split("'")[1]
        theirs = peer.execute(sql, [symbol, asked["start_time"]]).fetchall()
        mine = [(micros(row["datetime"]), *(row[name] for name in names)) for row in ours]
        if checksum(mine) != checksum(theirs):
            raise SystemExit(f"different answers: {mine[:1]} {theirs[:1]}")


def checksum(rows: list[tuple[Any, ...]]) -> str:
    """Return a checksum over all values, numbers as doubles."""
    text = repr([tuple(float(value) for value in row) for row in rows])
    return hashlib.sha256(text.encode()).hexdigest()


def micros(text: str) -> int:
    """Return an RFC 3339 time with microseconds as Unix microseconds."""
    whole = calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    return whole * 1_000_000 + int(text[20:26])


if __name__ == "__main__":
    main()
