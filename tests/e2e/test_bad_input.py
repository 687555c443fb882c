"""Bad input gets a clear error to its sender, loses nothing, and disturbs nobody else."""

import base64
import gzip
import json
import time
import zlib
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.e2e.clients import csv_rows
from tests.e2e.conftest import Serve


def test_hostile_clients_disturb_nobody(serve: Serve) -> None:
    server = serve("--set", "source.sim.trading_day=2025-06-03")
    with connect(server.ws) as healthy:
        healthy.send('{"aid":"peek_message"}')
        healthy.send('{"aid":"subscribe_quote","ins_list":"SHFE.rb2510"}')
        with connect(server.ws) as bad:
            bad.send("{not json")
            answer = json.loads(bad.recv(timeout=5))
            assert "Invalid" in json.dumps(answer)
            bad.send(b"\x00\x01binary")
            bad.send('{"type":"ping"}')
            texts = [json.loads(bad.recv(timeout=5)) for _ in range(2)]
            assert {"type": "pong"} in texts or {"type": "pong"} in [json.loads(bad.recv(timeout=5))]
            bad.send('{"type":"subscribe","payload":{"instruments":["NOPE.xx9999","no such thing"]}}')
            answer = json.loads(bad.recv(timeout=5))
            assert "NOPE.xx9999" in json.dumps(answer)
        with connect(server.ws, max_size=None) as big:
            big.send('{"aid":"subscribe_quote","ins_list":"' + "x" * 2_000_000 + '"}')
            with pytest.raises(ConnectionClosed) as closed:
                for _ in range(5):
                    big.recv(timeout=5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        for _ in range(20):  # the healthy client goes on
            healthy.send('{"aid":"peek_message"}')
            assert json.loads(healthy.recv(timeout=5))["aid"] in ("rtn_data", "rsp_subscribe_quote")
    for text in (
        "instrument='au2512' OR 1=1; DROP TABLE x",
        "instrument=(select 1)",
        "read_csv('/etc/passwd') = 1",
        "nosuch = 1",
        "a" * 100_000,
        "instrument='",
    ):
        status, body, _ = server.request(
            "POST", "/api/v1/query", json.dumps({"stream": "futures_market", "filter": text}).encode()
        )
        assert status == 400, (text[:40], status, body[:200])
        assert json.loads(body)["error"]
    status, body, _ = server.request("POST", "/api/v1/query", b"{broken")
    assert status == 400
    status, body, _ = server.request("POST", "/api/v1/query", b'{"stream":"nosuch"}')
    assert status == 404
    status, body, _ = server.request("POST", "/api/v1/query", b" " * 3_000_000)
    assert status == 413
    assert server.get_json("/readyz") is not None


def test_packed_bodies_are_unpacked_by_their_reader_alone(serve: Serve) -> None:
    """Refused, 300 MB in 300 KB were unpacked all the same, and held everybody up meanwhile."""
    env = {"QAUTLRA__AUTH__USERNAME": "keeper", "QAUTLRA__AUTH__PASSWORD": "Check-pass-1"}
    basic = {"Authorization": "Basic " + base64.b64encode(b"keeper:Check-pass-1").decode()}
    server = serve(mode="db", env=env)

    def send(body: bytes, packing: str = "gzip", **headers: str) -> tuple[int, bytes]:
        status, answer, _ = server.request(
            "POST", "/api/v1/ingest", body, X_P_Stream="app", Content_Type="application/json",
            Content_Encoding=packing, **headers,
        )  # fmt: skip
        return status, answer

    bomb = gzip.compress(b"[" + b" " * 300_000_000 + b"]")
    for headers, expected in (({}, 401), (basic, 413)):
        assert send(bomb, **headers)[0] == expected
        begun_s = time.monotonic()
        assert server.request("GET", "/api/v1/liveness")[0] == 200
        assert time.monotonic() - begun_s < 0.5
    two = gzip.compress(b'[{"n": 1},') + gzip.compress(b'{"n": 2}]')
    assert send(two, **basic)[0] == 200
    assert send(zlib.compress(b'{"n": 3}'), "deflate", **basic)[0] == 200
    bare = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert send(bare.compress(b'{"n": 4}') + bare.flush(), "deflate", **basic)[0] == 200
    assert send(b'{"n": 5}', "identity", **basic)[0] == 200
    for body, packing, expected in (
        (two[:-9], "gzip", 400), (b"no gzip", "gzip", 400), (b'{"n": 6}', "br", 415), (b"", "gzip", 400),
    ):  # fmt: skip
        assert send(body, packing, **basic)[0] == expected, packing
    rows = server.query(stream="app", start_time="1h", end_time="2100-01-01")
    assert sorted(row["n"] for row in rows) == [1, 2, 3, 4, 5]
    asked = gzip.compress(b'{"stream": "app", "start_time": "1h", "end_time": "2100-01-01"}')
    status, answer, _ = server.request("POST", "/api/v1/query", asked, Content_Encoding="gzip")
    assert status == 200 and len(json.loads(answer)) == 5


@pytest.mark.shared
@pytest.mark.parametrize("damage", ["cut-line", "cut-gzip"])
def test_truncated_file_keeps_the_rows_before_the_damage(
    serve: Serve, real_day: Path, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "cut.csv.gz"
    if damage == "cut-line":
        text = gzip.decompress(real_day.read_bytes())
        path.write_bytes(gzip.compress(text[: len(text) // 2]))
    else:
        raw = real_day.read_bytes()
        path.write_bytes(raw[: len(raw) // 2])
    server = serve("--source", "replay", "--replay", str(path), "--speed", "max")
    health = server.wait_source("finished" if damage == "cut-line" else "finished with errors")
    assert "cut.csv.gz" in json.dumps(health)
    rows = server.query(
        stream="futures_market", start_time="2021-01-04", end_time="2021-01-05", limit=100_000
    )
    whole = csv_rows(real_day)
    assert 1_000 < len(rows) < len(whole)
    assert rows[-1]["volume"] == int(whole[len(rows) - 1]["Volume"])


@pytest.mark.shared
def test_torn_log_is_recovered_and_told(serve: Serve, real_day: Path, tmp_path: Path) -> None:
    data = tmp_path / "torn"
    server = serve("--source", "replay", "--replay", str(real_day), "--speed", "max", data=data)
    server.wait_source("finished")
    server.kill()
    segment = max((data / "log").glob("*.qlog"))
    size = segment.stat().st_size
    with segment.open("r+b") as file:
        file.truncate(size - 37)
    server = serve("--source", "replay", "--replay", str(real_day), "--speed", "max", data=data)
    server.wait_source("finished")
    rows = server.query(
        stream="futures_market",
        start_time="2021-01-04",
        end_time="2021-01-05",
        limit=100_000,
        fields=["datetime"],
    )
    assert len(rows) == 27_955
