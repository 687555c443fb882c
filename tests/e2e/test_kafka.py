"""Kafka topics into streams through the real server and a real broker: rows, dead letters, restarts."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve, Server, free_port
from tests.e2e.test_ingest import ENV, ingest, send
from tests.kafka_broker import Broker, broker

__all__ = ["broker"]


def settings(broker: Broker, *topics: str, **more: str) -> list[str]:
    given = {"enabled": "true", "brokers": broker.address, "topics": ",".join(topics), "group_id": "g"} | more
    return [part for key, value in given.items() for part in ("--set", f"link.kafka.{key}={value}")]


def until(check: Callable[[], bool], timeout_s: float = 40.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def rows(server: Server, stream: str, **more: Any) -> list[dict[str, Any]]:
    body = json.dumps({"stream": stream, "start_time": "1d", **more}).encode()
    status, answer, _ = server.request("POST", "/api/v1/query", body)
    return json.loads(answer) if status == 200 else []


def kafka(server: Server) -> dict[str, Any]:
    health = server.get_json("/healthz")
    return next(service for service in health["services"] if service["name"] == "kafka")


def lines(values: list[Any]) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def test_messages_become_rows_and_what_cannot_goes_to_dead_letters(serve: Serve, broker: Broker) -> None:
    broker.make("app.events", 2)
    good = [{"n": n} for n in range(20)]
    broker.send("app.events", lines(good[:10]), 0)
    broker.send("app.events", [*lines([good[10:]]), b"[]"], 1)
    broker.send("app.events", [None], 1, key=b"gone")
    broker.send("app.events", [b"{torn", b"\xff\xfe", b"7", b'[{"n": 1}, 2]'], 1, key=b"k\xff")
    server = serve(*settings(broker, "app.events"), env=ENV, mode="db")
    until(lambda: kafka(server)["messages"] == 17)
    found = rows(server, "app_events")
    assert sorted(row["n"] for row in found) == [float(n) for n in range(20)]
    assert {row["p_kafka_topic"] for row in found} == {"app.events"} and found[0]["p_format"] == "json"
    assert {(row["p_kafka_partition"], row["p_kafka_offset"]) for row in found} == {
        *((0, n) for n in range(10)),
        (1, 0),
    }
    dead = rows(server, "kafka_dead", order="asc")
    assert [row["p_kafka_offset"] for row in dead] == [3, 4, 5, 6]
    assert [row["value"] for row in dead] == [
        "{torn",
        base64.b64encode(b"\xff\xfe").decode(),
        "7",
        '[{"n": 1}, 2]',
    ]
    assert [row["encoding"] for row in dead] == ["utf-8", "base64", "utf-8", "utf-8"]
    assert "not JSON" in dead[0]["error"] and dead[0]["key"] == "k\\xff"
    until(lambda: broker.committed("g", "app.events", 1) == 7)
    metrics = server.request("GET", "/metrics")[1].decode()
    assert "qautlra_kafka_dead_letters_total 4.0" in metrics and "qautlra_kafka_connected 1.0" in metrics
    assert 'qautlra_kafka_lag_count{partition="0",topic="app.events"} 0.0' in metrics
    # who posts such columns himself does not disturb the reading
    assert ingest(server, "app_events", {"n": 99, "p_kafka_offset": 10**15})[0] == 200
    server.stop()
    broker.send("app.events", lines([{"n": 100}]), 0)
    server = serve(*settings(broker, "app.events"), env=ENV, mode="db")
    until(lambda: kafka(server)["messages"] == 1)
    assert sorted(row["n"] for row in rows(server, "app_events"))[-2:] == [99.0, 100.0]


def test_market_rows_are_one_however_often_they_come(serve: Serve, broker: Broker) -> None:
    broker.make("market_data")
    now_us = int(time.time() * 1e6)
    tick = {"instrument_id": "SHFE.au2612", "last_price": 930.5, "volume": 1}
    ticks = [tick | {"datetime": now_us + n, "volume": n} for n in range(50)]
    stock = tick | {"instrument_id": "SSE.600000", "datetime": now_us}
    broker.send("market_data", lines([*ticks, ticks[:7], stock]))
    broker.send("market_data", lines([tick | {"datetime": now_us, "nonsense": 1}, {"last_price": 1}]))
    server = serve(*settings(broker, "market_data"), env=ENV, mode="db")
    until(lambda: kafka(server)["messages"] == 54)
    assert [row["volume"] for row in rows(server, "futures_market", order="asc")] == list(range(50))
    assert len(rows(server, "stock_market")) == 1
    reasons = [row["error"] for row in rows(server, "kafka_dead", order="asc")]
    assert "nonsense" in reasons[0] and "is missing" in reasons[1]


def test_a_static_stream_keeps_its_columns_and_nothing_is_lost(serve: Serve, broker: Broker) -> None:
    broker.make("t")
    server = serve(*settings(broker, "t"), "--set", "store.schema.auto_detect=false", env=ENV, mode="db")
    broker.send("t", lines([{"a": 1}]))
    until(lambda: len(rows(server, "kafka_dead")) == 1)  # the stream is not declared
    fields = {"fields": [{"name": "a", "data_type": "float64"}]}
    made, _ = send(server, "PUT", "/api/v1/logstream/t", fields, X_P_Static_Schema_Flag="true")
    assert made == 200
    broker.send("t", lines([{"a": n} if n % 10 else {"b": n} for n in range(100)]))
    until(lambda: kafka(server)["messages"] == 101)
    assert sorted(row["a"] for row in rows(server, "t")) == [float(n) for n in range(100) if n % 10]
    assert sorted(json.loads(row["value"])["b"] for row in rows(server, "kafka_dead")[1:]) == [
        n for n in range(100) if not n % 10
    ]


def test_a_broker_that_is_away_is_waited_for(serve: Serve, broker: Broker) -> None:
    broker.kill()
    server = serve(*settings(broker, "t", group_id=""), env=ENV, mode="db")
    until(lambda: "Kafka" in kafka(server)["error"])
    assert not kafka(server)["connected"]
    assert ingest(server, "app", {"n": 1})[0] == 200  # nobody else is disturbed
    broker.start()
    until(lambda: kafka(server)["connected"])
    assert "t" not in broker.topics()  # nobody has made it by asking for it
    broker.make("t")  # a topic may come later
    broker.send("t", lines([{"n": n} for n in range(5)]))
    until(lambda: len(rows(server, "t")) == 5)
    assert kafka(server)["group"].startswith("qautlra-")
    broker.kill()
    until(lambda: not kafka(server)["connected"])
    # this broker forgets everything: offsets begin anew, and are no repeats
    broker.start()
    broker.make("t")
    broker.send("t", lines([{"n": n} for n in range(10, 18)]))
    until(lambda: len(rows(server, "t")) == 13)


def test_a_topic_deleted_and_made_again_is_another(serve: Serve, broker: Broker) -> None:
    """Of the new one no message is passed over, although the broker remembers how far the old was read."""
    broker.make("t")
    broker.make("other")
    server = serve(*settings(broker, "t", "other"), env=ENV, mode="db")
    broker.send("t", lines([{"n": n} for n in range(5)]))
    until(lambda: broker.committed("g", "t") == 5)
    broker.delete("t")
    until(lambda: "t/0 is gone" in server.log.read_text())
    broker.send("other", lines([{"n": 1}]))
    until(lambda: len(rows(server, "other")) == 1)
    broker.make("t")
    broker.send("t", lines([{"n": n} for n in range(10, 13)]))
    until(lambda: len(rows(server, "t")) == 8)
    assert sorted(row["n"] for row in rows(server, "t")) == [*range(5), *range(10, 13)]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_messages_are_read_however_they_are_packed(serve: Serve, broker: Broker, codec: str) -> None:
    broker.make("t")
    broker.send("t", lines([{"n": n} for n in range(3)]), compression=codec)
    server = serve(*settings(broker, "t"), env=ENV, mode="db")
    until(lambda: len(rows(server, "t")) == 3)


def test_a_broker_that_has_lost_what_was_committed_doubles_nothing(serve: Serve, broker: Broker) -> None:
    def send(numbers: range) -> None:
        for n in numbers:
            broker.send("t", lines([{"n": n}]), timestamp_ms=1_700_000_000_000 + n)

    broker.make("t")
    send(range(5))
    server = serve(*settings(broker, "t"), env=ENV, mode="db")
    until(lambda: broker.committed("g", "t") == 5)
    server.kill()
    broker.kill()  # it comes again with the same messages, and knows of no group
    broker.start()
    broker.make("t")
    send(range(8))
    assert broker.committed("g", "t") is None
    server = serve(*settings(broker, "t", offset_reset="latest"), env=ENV, mode="db")
    until(lambda: broker.committed("g", "t") == 8)
    assert sorted(row["n"] for row in rows(server, "t")) == list(range(8))


def test_the_original_command_line_reads_topics(tmp_path: Path, broker: Broker) -> None:
    import os
    import subprocess
    import sys

    broker.make("app")
    broker.send("app", lines([{"n": 1}]))
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("QAUTLRA__", "QADB_"))}
    code = "from qautlra.cli.aliases import store; store()"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "--mode", "all", "--data-dir", str(tmp_path / "data"),
             "--address", f"127.0.0.1:{port}", "--kafka-brokers", broker.address, "--kafka-topics", "app",
             "--kafka-group-id", "mine", "--kafka-auto-offset-reset", "earliest"],
            env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        server = Server(process, port, tmp_path / "log")
        server.wait_ready()
        until(lambda: len(rows(server, "app")) == 1)
        assert kafka(server)["group"] == "mine"
    finally:
        process.terminate()
        process.wait(15)


@pytest.mark.parametrize(
    "bad",
    ["link.kafka.topics=a b", "link.kafka.topics=", "link.kafka.stream=../x", "link.kafka.topics=-x",
     "link.kafka.dead_letters=bar_1m"],
)  # fmt: skip
def test_settings_that_name_nothing_are_refused(serve: Serve, bad: str) -> None:
    server = serve("--set", "link.kafka.enabled=true", "--set", bad, mode="db", wait=False)
    assert server.process.wait(20) == 2 or server.process.returncode == 1
    assert bad.partition("=")[0] in server.log.read_text()
