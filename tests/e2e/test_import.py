"""Whole files into streams over HTTP and by the command line: in pieces, over kills, each row once."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Serve, Server
from tests.e2e.test_ingest import BASIC, ENV, PASSWORD, USER, rows, send
from tests.e2e.test_kafka import until


def put(
    server: Server, name: str, body: bytes, stream: str = "app", form: str = "parquet", **more: Any
) -> tuple[int, Any]:
    query = "&".join(f"{key}={value}" for key, value in ({"stream": stream, "format": form} | more).items())
    status, answer, _ = server.request("PUT", f"/api/v1/import/{name}?{query}", body, **BASIC)
    return status, json.loads(answer)


def note(server: Server, name: str) -> dict[str, Any]:
    found: dict[str, Any] = send(server, "GET", f"/api/v1/import/{name}")[1]
    return found


def over(server: Server, name: str) -> dict[str, Any]:
    until(lambda: note(server, name)["state"] in ("done", "failed"), 60)
    return note(server, name)


def parquet(path: Path, count: int) -> bytes:
    table = pa.table({"n": pa.array(range(count), pa.int64()), "s": [f"row {n}" for n in range(count)]})
    pq.write_table(table, path)
    return path.read_bytes()


def numbers(server: Server, stream: str = "app") -> list[float]:
    body = json.dumps({"stream": stream, "start_time": "2d", "fields": ["n"]}).encode()
    status, answer, _ = server.request("POST", "/api/v1/query", body, Accept="application/x-ndjson")
    assert status == 200, answer
    return sorted(json.loads(line)["n"] for line in answer.splitlines())


def test_every_form_becomes_rows(serve: Serve, tmp_path: Path) -> None:
    server = serve(env=ENV, mode="db")
    assert put(server, "p", parquet(tmp_path / "a.parquet", 10_000))[0] == 202
    sink = pa.BufferOutputStream()
    table = pa.table({"n": pa.array(range(10_000, 10_050), pa.int64())})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert put(server, "a", sink.getvalue().to_pybytes(), form="arrow")[0] == 202
    text = b"n,s,made_at\n" + b"".join(b"%d,x,2026-01-02T03:04:05Z\n" % n for n in range(10_050, 10_060))
    assert put(server, "c", text, form="csv")[0] == 202
    text = gzip.compress(b"n\n" + b"".join(b"%d\n" % n for n in range(10_060, 10_070)))
    assert put(server, "g", text, form="csv.gz")[0] == 202
    text = b"".join(b'{"n": %d}\n\n' % n for n in range(10_070, 10_080))
    assert put(server, "j", text, form="ndjson")[0] == 202
    for name, count in (("p", 10_000), ("a", 50), ("c", 10), ("g", 10), ("j", 10)):
        found = over(server, name)
        assert (found["state"], found["rows"], found["error"]) == ("done", count, ""), found
    assert note(server, "p")["total_rows"] == 10_000
    assert numbers(server) == list(range(10_080))
    (row,) = rows(server, "app", filter="n = 10050")
    assert (row["made_at"], row["p_import"], row["p_import_row"]) == ("2026-01-02T03:04:05.000000Z", "c", 0)
    assert [one["id"] for one in send(server, "GET", "/api/v1/import")[1]] == ["j", "g", "c", "a", "p"]
    assert not list((tmp_path / "data" / "imports").glob("*.parquet"))
    # the market's own streams, by identity: sent twice it is there once
    text = ("datetime,instrument_id,last_price,volume\n" + "".join(
        f"2024-12-02T0{n // 60}:{n % 60:02d}:00Z,SHFE.au2512,1.0,{n}\n" for n in range(100)
    )).encode()  # fmt: skip
    for name, new in (("m1", 100), ("m2", 0)):
        assert put(server, name, text, stream="market_data", form="csv")[0] == 202
        found = over(server, name)
        assert (found["state"], found["rows"], found["new_rows"]) == ("done", 100, new), found


def test_pieces_and_kills_at_any_moment(serve: Serve, tmp_path: Path) -> None:
    body = parquet(tmp_path / "a.parquet", 60_000)
    server = serve(env=ENV, mode="db")
    third = len(body) // 3
    assert put(server, "x", body[:third], more="true") == (200, note(server, "x"))
    assert note(server, "x")["bytes"] == third and note(server, "x")["state"] == "receiving"
    status, answer = put(server, "x", body[2 * third :], at=2 * third)
    assert (status, answer["bytes"]) == (409, third)
    server.kill()
    server = serve(env=ENV, mode="db")
    assert note(server, "x")["bytes"] == third
    assert put(server, "x", body[third:], at=third)[0] == 202
    kills = 0
    for _ in range(6):
        until(lambda: note(server, "x")["rows"] > 0 or note(server, "x")["state"] == "done")  # noqa: B023
        if note(server, "x")["state"] == "done":
            break
        server.kill()
        kills += 1
        server = serve(env=ENV, mode="db")
    assert over(server, "x")["rows"] == 60_000
    assert kills and numbers(server) == list(range(60_000)), "a row is lost, or is there twice"
    assert put(server, "x", body)[0] == 409  # it is done


def test_a_bad_file_says_where(serve: Serve, tmp_path: Path) -> None:
    server = serve("--set", "store.import_bytes=100KiB", env=ENV, mode="db")
    fields = {"fields": [{"name": "n", "data_type": "float64"}]}
    assert send(server, "PUT", "/api/v1/logstream/strict", fields, X_P_Static_Schema_Flag="true")[0] == 200
    lines = [b'{"n": %d}' % n for n in range(5_000)]
    lines[4_321] = b'{"m": 1}'
    put(server, "s", b"\n".join(lines), stream="strict", form="ndjson")
    found = over(server, "s")
    assert found["state"] == "failed" and found["error"].startswith("row 4322: 'm' is not a column")
    assert numbers(server, "strict") == list(range(4_321))
    good = parquet(tmp_path / "a.parquet", 100)
    pq.write_table(pa.table({"n": [b"\x00\xff"]}), tmp_path / "b.parquet")
    binary = (tmp_path / "b.parquet").read_bytes()
    for name, body, form, words in (
        ("t1", good[:-100], "parquet", "Parquet"), ("t2", b"n\n1\n2,3\n", "csv", "line 3"),
        ("t3", b'{"n": 1}\n{torn\n', "ndjson", "line 2"), ("t4", b"\x1f\x8b\x08 no", "csv.gz", "line"),
        ("t5", b"ARROW1 no", "arrow", ""), ("t6", b'{"n": 1}\n7\n', "ndjson", "line 2"),
        ("t7", b"\xff\xfe\n1", "csv", "line"), ("t8", binary, "parquet", "type binary have no place"),
    ):  # fmt: skip
        assert put(server, name, body, stream=f"s_{name}", form=form)[0] == 202
        found = over(server, name)
        assert found["state"] == "failed" and words in found["error"] and found["error"], found
    for name, more, status in (
        ("a%20b", {}, 400), ("%2E%2E%2Fx", {}, 400), ("u1", {"form": "xlsx"}, 400),
        ("u2", {"stream": "../../x"}, 400), ("u3", {"at": "-1"}, 400), ("u4", {"at": "7"}, 409),
        ("u5", {"stream": "select"}, 400),
    ):  # fmt: skip
        assert put(server, name, good, **more)[0] == status, name
    assert put(server, "big", b"x" * 200_000)[0] == 413
    assert server.request("PUT", "/api/v1/import/n?stream=a&format=csv", b"n\n1\n")[0] == 401
    assert send(server, "DELETE", "/api/v1/import/t1")[0] == 200
    assert send(server, "GET", "/api/v1/import/t1")[0] == 404
    assert send(server, "POST", "/api/v1/ingest", {"n": 1}, X_P_Stream="still")[0] == 200


@pytest.mark.parametrize("stream", ["app", "market_data"])
def test_a_parquet_file_that_unpacks_without_end_is_refused(
    serve: Serve, tmp_path: Path, stream: str
) -> None:
    """Some hundred bytes are one text 4,096 times, 3.4 GB: the sender is told, the server has no burden."""
    server = serve(env=ENV, mode="db")
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 4_096, pa.int32()), ["x" * 830_000])
    columns = {"n": texts} if stream == "app" else {"datetime": texts, "instrument_id": texts}
    pq.write_table(
        pa.table(columns),
        tmp_path / "a.parquet",
        compression="zstd",
        write_statistics=False,
        store_schema=False,
    )
    small = (tmp_path / "a.parquet").read_bytes()
    assert len(small) < 2_000
    assert put(server, "bomb", small, stream=stream)[0] == 202
    found = over(server, "bomb")
    assert found["state"] == "failed" and "needs more than 2048 MiB" in found["error"], found
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (peak,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 1 << 20, f"{peak >> 10} MiB"
    assert put(server, "good", parquet(tmp_path / "b.parquet", 10))[0] == 202  # the next one is imported
    assert over(server, "good")["state"] == "done"


@pytest.mark.parametrize("stream", ["app", "market_data"])
def test_the_command_line_sends_to_the_server_or_writes_itself(
    serve: Serve, tmp_path: Path, stream: str
) -> None:
    file = tmp_path / "day.csv"
    name = "datetime,instrument_id,last_price,volume\n" if stream == "market_data" else "n\n"
    lines = (
        [f"2024-12-02T01:{n // 60:02d}:{n % 60:02d}Z,SHFE.au2512,1.0,{n}\n" for n in range(500)]
        if stream == "market_data"
        else [f"{n}\n" for n in range(500)]
    )
    file.write_text(name + "".join(lines))
    command = [sys.executable, "-m", "qautlra", "data", "import", str(file), "--stream", stream, "--json"]
    environment = os.environ | {"QAUTLRA__STORE__DATA_DIR": str(tmp_path / "data")}

    def run(*more: str, text: str = "") -> tuple[int, dict[str, Any] | str]:
        done = subprocess.run(
            [*command, *more], env=environment, capture_output=True, text=True, input=text, timeout=60
        )
        return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else done.stderr

    code, report = run()  # nobody holds the directory
    assert code == 0 and isinstance(report, dict) and (report["new_rows"], report["known_rows"]) == (500, 0)
    code, report = run()
    assert code == 0 and isinstance(report, dict) and (report["new_rows"], report["known_rows"]) == (0, 500)
    server = serve(env=ENV, mode="db")
    code, report = run("--port", str(server.port))
    assert code == 1 and "--password-stdin" in str(report)
    login = ("--port", str(server.port), "--username", USER, "--password-stdin")
    code, report = run(*login, text=PASSWORD + "\n")
    assert code == 0 and isinstance(report, dict), report
    assert (report["read_rows"], report["new_rows"]) == (500, 0)  # they are there already
    with file.open("a") as more:
        more.write("2024-12-02T02:00:00Z,SHFE.au2512,1.0,900\n" if stream == "market_data" else "900\n")
    code, report = run(*login, text=PASSWORD + "\n")
    assert code == 0 and isinstance(report, dict) and report["read_rows"] == 501
    assert report["new_rows"] == (1 if stream == "market_data" else 501)  # another file: its rows are new
