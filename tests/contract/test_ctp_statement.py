"""An unmodified openctp_ctp program reads the statement of a day that was settled while it was logged in."""

import json
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.contract.test_ctp import PASSWORD, trading_server
from tests.contract.test_ctp_with_tqsdk import WAIT_S, Program
from tests.e2e.conftest import Serve, Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def post(server: Server, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    words = json.dumps(body).encode()
    status, answer, _ = server.request("POST", path, words, Content_Type="application/json", **headers)
    assert status == 200, answer
    found: dict[str, Any] = json.loads(answer)["data"]
    return found


def on_the_trade_socket(server: Server, user: str, day: int) -> str:
    """Return the statement of a day as DIFF clients get it."""
    with connect(f"ws://127.0.0.1:{server.port}/ws/trade") as socket:
        words = {"aid": "req_login", "bid": "paper", "user_name": user, "password": PASSWORD}
        socket.send(json.dumps(words))
        socket.send(json.dumps({"aid": "qry_settlement_info", "trading_day": day}))
        while (got := json.loads(socket.recv(timeout=WAIT_S)))["aid"] != "qry_settlement_info":
            pass
    text: str = got["settlement_info"]
    return text


def test_a_program_reads_the_statement(serve: Serve) -> None:
    server = trading_server(serve)
    server.add_user("root", PASSWORD, "--role", "admin")
    program = Program(server, "sim001", "rb2701", "SHFE")
    assert program.hear("ready") == 0
    assert program.ask("statement") == []
    token = post(server, "/api/auth/login", {"username": "root", "password": PASSWORD})["token"]
    post(server, "/api/admin/settlement/execute", {"force": True}, Authorization=f"Bearer {token}")
    rows = program.ask("statement")
    assert [row["SequenceNo"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > 1
    text = "".join(row["Content"] for row in rows)
    (day,) = {row["TradingDay"] for row in rows}
    assert f"客户号：sim001    日期：{day}" in text
    assert text == on_the_trade_socket(server, "sim001", int(day))
    program.end()
