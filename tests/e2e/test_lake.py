"""The files as Delta tables on a local S3 and on a disk: read by other programs, whole at every moment."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qautlra.store.timegrammar import BEIJING
from tests.e2e.conftest import Serve, Server, free_port
from tests.e2e.test_ingest import ENV, ingest, send
from tests.e2e.test_kafka import until

DAY_US = 1_733_101_500_000_000  # 2024-12-02 09:05 in Beijing
KEYS = {"AWS_ACCESS_KEY_ID": "test-key", "AWS_SECRET_ACCESS_KEY": "test-secret-1", "AWS_REGION": "us-east-1"}


@pytest.fixture
def s3() -> Iterator[str]:
    """A local S3 with one bucket."""
    from moto.server import ThreadedMotoServer

    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port)
    server.start()
    bucket(f"http://127.0.0.1:{port}")
    yield f"http://127.0.0.1:{port}"
    server.stop()


def bucket(url: str) -> None:
    import boto3

    boto3.client(
        "s3", endpoint_url=url, region_name=KEYS["AWS_REGION"],
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"], aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    ).create_bucket(Bucket="lake")  # fmt: skip


def ticks(server: Server, first: int, count: int, day: int = 0) -> None:
    rows = [
        {"instrument_id": ("SHFE.au2512", "SHFE.rb2505")[n % 2], "last_price": n / 2, "volume": n,
         "datetime": DAY_US + day * 86_400_000_000 + n * 1_000_000}
        for n in range(first, first + count)
    ]  # fmt: skip
    assert ingest(server, "futures_market", rows)[0] == 200


def lake(server: Server) -> dict[str, Any]:
    services = server.get_json("/healthz")["services"]
    found: dict[str, Any] = next(one for one in services if one["name"] == "lake")
    return found


def volumes(table: Any) -> list[int]:
    found: list[int] = sorted(table.to_pyarrow_table(columns=["volume"]).column("volume").to_pylist())
    return found


def by_ray(url: str, options: dict[str, str], version: int) -> dict[str, int]:
    """Return what Ray Data reads of a table's version, in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("ray_reader.py"))],
        input=json.dumps({"url": url, "options": options, "version": version}).encode(),
        capture_output=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr.decode()[-2_000:]
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


SMALL = ("--set", "store.segment_bytes=64KiB", "--set", "store.lake.interval_s=0.5")


def test_tables_in_object_storage(serve: Serve, s3: str) -> None:
    import duckdb
    import polars
    from deltalake import DeltaTable

    more = ("--set", "store.lake.url=s3://lake/qautlra", "--set", f"store.lake.endpoint={s3}")
    env = ENV | {
        "QAUTLRA__STORE__LAKE__ACCESS_KEY_ID": KEYS["AWS_ACCESS_KEY_ID"],
        "QAUTLRA__STORE__LAKE__SECRET_ACCESS_KEY": KEYS["AWS_SECRET_ACCESS_KEY"],
        "QAUTLRA__STORE__LAKE__REGION": KEYS["AWS_REGION"],
    }
    server = serve(*SMALL, *more, mode="db", env=env)
    ticks(server, 0, 2_000)
    until(lambda: lake(server)["commits"] >= 1, 60)
    options = KEYS | {"AWS_ENDPOINT_URL": s3, "AWS_ALLOW_HTTP": "true"}
    url = "s3://lake/qautlra/futures_market"
    table = DeltaTable(url, storage_options=options)
    first = volumes(table)
    assert first == list(range(len(first))) and first
    server.kill()
    server = serve(*SMALL, *more, mode="db", env=env)
    ticks(server, 2_000, 2_000)
    ticks(server, 4_000, 2_000, day=1)
    ticks(server, 10, 1)  # it is there already

    def stored() -> int:
        found = server.get_json("/api/v1/logstream/futures_market/stats")["ingestion"]
        return int(found["count"] - found["log_count"])

    def equal() -> bool:
        found = volumes(DeltaTable(url, storage_options=options))
        assert len(found) == len(set(found)), "a row is there twice"
        return len(found) == stored() and len(found) > len(first)

    until(equal, 60)
    table = DeltaTable(url, storage_options=options)
    days = {
        row["trading_date"].isoformat()
        for row in table.to_pyarrow_table(columns=["trading_date"]).to_pylist()
    }
    assert "2024-12-02" in days
    arrow = table.to_pyarrow_table()
    (count, top) = duckdb.sql("SELECT count(*), max(volume) FROM arrow").fetchall()[0]
    version = table.version()  # the store goes on writing
    frame = polars.read_delta(url, version=version, storage_options=options)
    assert (frame.height, frame["volume"].max()) == (count, top) == (len(arrow), max(volumes(table)))
    assert by_ray(url, options, version) == {"rows": count, "max": top, "sum": sum(volumes(table))}
    asked = {"stream": "futures_market", "start_time": "2024-12-01", "end_time": "2024-12-10"}
    right = {(row["datetime"], row["instrument_id"]): row["last_price"] for row in server.query(**asked)}
    for row in frame.select("datetime", "instrument_id", "last_price").head(200).iter_rows(named=True):
        stamp = row["datetime"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert right[stamp, row["instrument_id"]] == row["last_price"]
    assert "test-secret-1" not in server.log.read_text() + json.dumps(lake(server))


def test_the_original_command_keeps_every_stream_in_object_storage(tmp_path: Path, s3: str) -> None:
    import deltalake

    options = KEYS | {"AWS_ENDPOINT_URL": s3, "AWS_ALLOW_HTTP": "true"}
    port = free_port()
    flags = {
        "--address": f"127.0.0.1:{port}", "--data-dir": str(tmp_path / "data"), "--endpoint-url": s3,
        "--bucket-name": "lake", "--region": KEYS["AWS_REGION"],
    }  # fmt: skip
    secrets = {"P_S3_ACCESS_KEY": "test-key", "P_S3_SECRET_KEY": "test-secret-1"}
    environment = os.environ | ENV | secrets | {
        "QAUTLRA__STORE__LAKE__INTERVAL_S": "0.5", "QAUTLRA__STORE__SEGMENT_BYTES": "64KiB",
    }  # fmt: skip
    command = [sys.executable, "-c", "from qautlra.cli.aliases import store; store()", "s3-store"]
    command += [word for pair in flags.items() for word in pair]
    log = tmp_path / "qadb.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=tmp_path
        )
    server = Server(process, port, log)

    def kept(stream: str) -> list[dict[str, Any]]:
        try:
            table = deltalake.DeltaTable(f"s3://lake/{stream}", storage_options=options)
        except deltalake.exceptions.TableNotFoundError:
            return []
        found: list[dict[str, Any]] = table.to_pyarrow_table().to_pylist()
        return found

    def count(stream: str, rows: int) -> None:
        # more than a segment of the log holds: what was logged is filed now, not in a minute
        filler = [{"text": "x" * 1_000}] * 100
        until(lambda: ingest(server, "filler", filler)[0] == 200 and len(kept(stream)) == rows)

    try:
        server.wait_ready()
        assert ingest(server, "app", [{"n": 1, "at": "2026-01-02T03:04:05Z"}, {"n": 2}])[0] == 200
        count("app", 2)
        assert sorted(row["n"] for row in kept("app")) == [1, 2]
        for row in kept("app"):
            assert row["p_file_date"] == row["p_timestamp"].astimezone(BEIJING).date()
        assert ingest(server, "app", [{"n": 3, "more": "x"}])[0] == 200
        count("app", 3)
        assert sorted((row["n"], row["more"]) for row in kept("app")) == [(1, None), (2, None), (3, "x")]
        # made anew under its name, with a column of another type, it takes the place of the whole table
        assert send(server, "DELETE", "/api/v1/logstream/app")[0] == 200
        assert ingest(server, "app", [{"n": "text"}])[0] == 200
        count("app", 1)
        assert kept("app")[0]["n"] == "text" and "more" not in kept("app")[0]
        assert "test-secret-1" not in log.read_text() + json.dumps(lake(server))
    finally:
        server.stop()


def test_storage_that_is_away_holds_nothing_else_up(serve: Serve) -> None:
    from deltalake import DeltaTable
    from moto.server import ThreadedMotoServer

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    more = ("--set", "store.lake.url=s3://lake/x", "--set", f"store.lake.endpoint={url}")
    server = serve(*SMALL, *more, mode="db", env=ENV | KEYS)
    ticks(server, 0, 2_000)
    until(lambda: lake(server).get("error"), 120)  # the client tries for a while by itself
    assert lake(server)["commits"] == 0 and server.get_json("/healthz")["status"] == "degraded"
    assert "lake_held_up" in server.log.read_text()
    # rows are taken, filed and answered meanwhile
    ticks(server, 2_000, 2_000)
    asked = {"stream": "futures_market", "start_time": "2024-12-01", "end_time": "2024-12-10"}
    assert sorted(row["volume"] for row in server.query(**asked)) == list(range(4_000))
    assert server.request("GET", "/readyz")[0] == 200
    # it goes on by itself
    storage = ThreadedMotoServer("127.0.0.1", port)
    storage.start()
    try:
        bucket(url)
        until(lambda: "error" not in lake(server) and lake(server)["commits"] >= 1, 120)
        table = DeltaTable(
            "s3://lake/x/futures_market",
            storage_options=KEYS | {"AWS_ENDPOINT_URL": url, "AWS_ALLOW_HTTP": "true"},
        )
        found = volumes(table)
        assert found and found == list(range(len(found)))
        assert server.get_json("/healthz")["status"] == "ok"
        server.stop()
    finally:
        storage.stop()


def test_tables_on_a_disk(serve: Serve, tmp_path: Path) -> None:
    from deltalake import DeltaTable

    place = tmp_path / "lake"
    server = serve(*SMALL, "--set", f"store.lake.url={place}", mode="db", env=ENV)
    ticks(server, 0, 2_000)
    until(lambda: lake(server)["commits"] >= 1)
    found = volumes(DeltaTable(str(place / "futures_market")))
    assert found and found == list(range(len(found)))
