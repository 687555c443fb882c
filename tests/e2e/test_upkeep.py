"""Backup, restore, verify and retention beside the real server and by the real commands."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve, Server
from tests.e2e.test_ingest import ENV, ingest, rows, send

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
SMALL = ("--set", "store.segment_bytes=64KiB")
FIRST_MS = 1748914200000  # 2025-06-03 09:30 in Beijing
DAY_MS = 86_400_000


def tick(number: int, code: str = "au2512", base_ms: int = FIRST_MS) -> dict[str, Any]:
    return {
        "instrument_id": code,
        "datetime": base_ms + number * 100,
        "last_price": 780.0,
        "volume": number + 1,
    }


def command(*words: str) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "qautlra", "data", *words, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        env={key: value for key, value in os.environ.items() if not key.startswith("QAUTLRA__")},
    )
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else done.stderr


def checksum(server: Server, stream: str, start: str) -> tuple[int, str]:
    """Rows of a stream and a checksum over all of them, by the plain query; SQL must count the same."""
    span = {"start_time": start, "end_time": "2200-01-01"}
    body = json.dumps({"stream": stream, **span}).encode()
    status, answer, _ = server.request("POST", "/api/v1/query?streaming=true", body)
    assert status == 200, answer
    sql = {"query": f"SELECT count(*) AS n FROM {stream}", "startTime": start, "endTime": "2200-01-01"}
    status, counted, _ = server.request("POST", "/api/v1/query", json.dumps(sql).encode())
    lines = sorted(answer.splitlines())
    assert status == 200 and json.loads(counted) == [{"n": len(lines)}]
    return len(lines), hashlib.sha256(b"\n".join(lines)).hexdigest()


def checksums(server: Server) -> dict[str, tuple[int, str]]:
    return {
        name: checksum(server, name, "2025-06-01") for name in ("futures_market", "bar_1m", "app", "wide")
    }


def wait_files(server: Server, count: int) -> None:
    deadline = time.monotonic() + 60
    while next(s for s in server.get_json("/healthz")["services"] if s["name"] == "store")["files"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_backup_restored_into_an_empty_directory_answers_the_same(serve: Serve, tmp_path: Path) -> None:
    data, kept, again = tmp_path / "data", tmp_path / "kept", tmp_path / "again"
    server = serve(*SMALL, mode="db", env=ENV, data=data)
    for day in range(3):
        for part in range(4):
            found = [
                tick(part * 500 + n, code, FIRST_MS + day * DAY_MS)
                for n in range(500)
                for code in ("au2512", "rb2510")
            ]
            assert ingest(server, "futures_market", found)[0] == 200
    assert ingest(server, "app", [{"n": n, "text": f"é{n}"} for n in range(2000)])[0] == 200
    assert ingest(server, "wide", [{f"c{n}": n} for n in range(200)])[0] == 200
    wait_files(server, 3)
    assert ingest(server, "app", [{"n": -1, "late": True}])[0] == 200  # in the log only
    before = checksums(server)
    assert before["futures_market"][0] == 12_000 and before["app"][0] == 2001
    assert command("backup", str(kept), "--data-dir", str(data))[0] == 0  # beside the running server
    assert checksums(server) == before
    assert ingest(server, "app", [{"n": -2}])[0] == 200  # after it
    code, verdict = command("verify", "--data-dir", str(kept))
    assert code == 0 and verdict["errors"] == [] and verdict["rows"] > 0 and verdict["log_records"] > 0
    assert command("restore", str(kept), "--data-dir", str(again))[0] == 0
    restored = serve(*SMALL, mode="db", env=ENV, data=again)
    assert checksums(restored) == before
    assert ingest(restored, "app", [{"n": -3}])[0] == 200  # and it is a store like any other
    assert checksum(restored, "app", "2025-06-01")[0] == 2002
    # not over a store there is, nor out of one that is damaged
    assert command("restore", str(kept), "--data-dir", str(again))[0] != 0
    (path, *_) = sorted(kept.glob("stream=futures_market/**/*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    code, verdict = command("verify", "--data-dir", str(kept))
    assert code == 1 and str(path) in verdict["errors"][0]
    assert command("restore", str(kept), "--data-dir", str(tmp_path / "third"))[0] != 0


def test_verify_tells_gaps_in_trading_sections_beside_the_server(serve: Serve, tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = serve(*SMALL, mode="db", env=ENV, data=data)
    # 09:30 to 09:31:40 and, after a gap of twenty minutes, 09:50 to 09:51:40
    found = [tick(n) for n in range(1000)] + [tick(n + 12_000) for n in range(1000)]
    assert ingest(server, "futures_market", found)[0] == 200
    wait_files(server, 1)
    code, verdict = command("verify", "--data-dir", str(data), "--gap", "600")
    assert code == 0 and verdict["errors"] == []
    (gap,) = verdict["gaps"]
    assert gap["instrument_id"] == "SHFE.au2512" and gap["trading_date"] == "2025-06-03" and gap["count"] >= 2


def test_ingest_compaction_backup_and_kill_at_once(serve: Serve, tmp_path: Path) -> None:
    """A copy has all that was acknowledged before it began, whole and once; the killed store all of it."""
    data = tmp_path / "data"
    acknowledged: list[int] = []
    copies: list[tuple[Path, list[int]]] = []
    for turn in range(2):
        server = serve(*SMALL, mode="db", env=ENV, data=data)
        ended = threading.Event()

        def feed(
            server: Server = server, first: int = turn * 1_000_000, ended: threading.Event = ended
        ) -> None:
            number = first
            while not ended.is_set():
                events = [{"n": number}, {"n": number + 0.5, "pad": f"{number:07d}" * 100}]
                ticks = [tick(number * 4 % 900_000 + n) for n in range(4)]
                try:
                    if ingest(server, "log", events)[0] == 200 == ingest(server, "futures_market", ticks)[0]:
                        acknowledged.append(number)
                except OSError:
                    return
                number += 1

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            wait_files(server, 2 * turn + 1)
            for copy in range(2):
                target = tmp_path / f"copy-{turn}-{copy}"
                known = list(acknowledged)
                code, told = command("backup", str(target), "--data-dir", str(data))
                assert code == 0, told
                copies.append((target, known))
            torn = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "qautlra",
                    "data",
                    "backup",
                    str(tmp_path / f"torn-{turn}"),
                    "--data-dir",
                    str(data),
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(0.3)
            server.kill()
            torn.wait(60)
        finally:
            ended.set()
            feeder.join()
    copies.append((data, acknowledged))
    assert len(acknowledged) > 50
    for place, known in copies:
        code, verdict = command("verify", "--data-dir", str(place))
        assert verdict["errors"] == [], place
        server = serve(*SMALL, mode="db", env=ENV, data=place)
        found = [row["n"] for row in rows(server, "log", limit=100_000)]
        assert len(found) == len(set(found)), "rows are there twice"
        whole = {int(n) for n in found if n == int(n)}
        assert whole == {int(n - 0.5) for n in found if n != int(n)}, "half of a batch is there"
        assert set(known) <= whole, "acknowledged rows are lost"
        count, _ = checksum(server, "futures_market", "2025-06-01")
        assert count >= 4 * len({number * 4 % 900_000 for number in known})
        server.stop()


def test_old_partitions_of_a_stream_go_and_others_stay(serve: Serve, tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = serve(*SMALL, mode="db", env=ENV, data=data)
    for name in ("short", "long"):
        assert send(server, "PUT", f"/api/v1/logstream/{name}", X_P_Time_Partition="at")[0] == 200
        events = [
            {"at": f"{day}T12:00:00Z", "n": day}
            for day in ("2020-01-01", time.strftime("%Y-%m-%d", time.gmtime()))
        ]
        assert ingest(server, name, events)[0] == 200
    filler = [{"pad": f"{n:06d}" * 100} for n in range(200)]
    deadline = time.monotonic() + 60
    while len(list(data.glob("tables/stream=*/date=2020-01-01/*.parquet"))) < 2:
        assert time.monotonic() < deadline
        assert ingest(server, "filler", filler)[0] == 200
        time.sleep(0.1)
    task = [{"description": "a month", "action": "delete", "duration": "30d"}]
    assert send(server, "PUT", "/api/v1/logstream/short/retention", task)[0] == 200

    def days(name: str) -> list[str]:
        found = server.query(stream=name, start_time="2019-01-01", end_time="2200-01-01")
        return sorted(row["n"][:10] for row in found)

    while len(days("short")) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert days("short")[0] > "2020-01-01" and days("long")[0] == "2020-01-01"
    assert send(server, "GET", "/api/v1/logstream/short/retention")[1][0]["duration"] == "30d"
