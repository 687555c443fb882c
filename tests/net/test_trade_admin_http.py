"""The operators' doors, and users' doors beside orders, through a real server."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qautlra.auth.rights import ACCOUNT_RIGHTS, Right
from qautlra.net.app import route_table
from qautlra.net.trade_http import data
from tests.net.trading_front import TradingFront

CU, RB = "SHFE.cu2109", "SHFE.rb2110"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., TradingFront]]:
    fronts: list[TradingFront] = []

    def start(**options: Any) -> TradingFront:
        fronts.append(TradingFront(tmp_path, **options))
        return fronts[-1]

    yield start
    for front in fronts:
        front.stop()


@pytest.fixture
def front(make: Callable[..., TradingFront]) -> TradingFront:
    found = make()
    found.quotes()
    return found


def submit(
    front: TradingFront, direction: str, offset: str, volume: float, price: float, instrument: str = CU,
    account: str = "acc001", user: str = "ann",
) -> str:  # fmt: skip
    sent = {
        "account_id": account, "instrument_id": instrument, "direction": direction, "offset": offset,
        "volume": volume, "price": price,
    }  # fmt: skip
    order_id: str = front.post(user, "/api/order/submit", sent)["order_id"]
    return order_id


def long_of(front: TradingFront, volume: int, price: float = 75000) -> None:
    submit(front, "BUY", "OPEN", volume, price)
    front.tick(CU, price, ask_price1=price, ask_volume1=volume)


# --- accounts ---


def test_a_user_opens_accounts_of_his_own(front: TradingFront) -> None:
    made = front.post("ann", "/api/user/ann/account/create", {"account_name": "second", "init_cash": 5000})
    assert made == {"account_id": "second", "user_id": "ann", "broker": "paper", "opened": True}
    assert front.post("ann", "/api/account/open", {"user_id": "ann", "init_cash": 1})["account_id"] == "ann"
    listed = front.get("ann", "/api/user/ann/accounts")
    assert {one["account_id"]: one["balance"] for one in listed} == {"acc001": 1e6, "second": 5000, "ann": 1}
    assert front.error("ann", "POST", "/api/account/open", {"account_id": "acc002"}) == (409, 2001)
    for wrong in ({"account_id": "a b"}, {"account_id": "x", "init_cash": -1}, {"account_type": "king"}):
        assert front.error("ann", "POST", "/api/account/open", wrong) == (400, 1008)
    assert front.error("eye", "POST", "/api/account/open", {}) == (403, 9403)
    assert front.post("root", "/api/account/open", {"user_id": "bob", "account_id": "b2"})["user_id"] == "bob"
    assert len(front.get("bob", "/api/user/bob/accounts")) == 2


def test_money_in_and_out(front: TradingFront) -> None:
    assert front.post("ann", "/api/account/deposit", {"amount": 500})["balance"] == 1_000_500
    assert (
        front.post("ann", "/api/account/withdraw", {"account_id": "acc001", "amount": 200})["balance"]
        == 1_000_300
    )
    done = front.post(
        "ann", "/api/account/transfer", {"account_id": "acc001", "bank_id": "SIM", "amount": -300}
    )
    assert (done["amount"], done["available"]) == (-300, 1_000_000)
    for amount in (0, -5, 1e308):
        status, code = front.error("ann", "POST", "/api/account/deposit", {"amount": amount})
        assert (status, code) in {(400, 2004), (400, 5003)}
    assert front.error("ann", "POST", "/api/account/withdraw", {"amount": 2e6}) == (400, 2003)
    assert front.error("ann", "POST", "/api/account/transfer", {"account_id": "acc001", "amount": 0}) == (
        400,
        2004,
    )
    no_bank = {"account_id": "acc001", "amount": 1, "bank_id": "ICBC"}
    assert front.error("ann", "POST", "/api/account/transfer", no_bank) == (404, 9404)
    listed = front.get("ann", "/api/account/acc001/transfers")
    assert [one["amount"] for one in listed if one["success"]] == [500, -200, -300]
    assert front.get("ann", "/api/account/acc001/banks")[0]["bank_id"] == "SIM"
    front.post("root", "/api/management/deposit", {"account_id": "acc002", "amount": 7, "remark": "gift"})
    front.post("root", "/api/management/withdraw", {"user_id": "bob", "amount": 3})
    rows = front.get("root", "/api/management/transactions")["transactions"]
    assert [(one["account_id"], one["type"], one["amount"], one["by"]) for one in rows[:3]] == [
        ("acc002", "withdraw", 3, "root"), ("acc002", "deposit", 7, "root"),
        ("acc001", "withdraw", 300, "ann"),
    ]  # fmt: skip
    assert rows[1]["remark"] == "gift"
    of_bob = front.get("root", "/api/management/transactions/bob")["transactions"]
    assert [(one["amount"], one["method"]) for one in of_bob[-1:]] == [(1_000_000, "opening")]
    assert len(of_bob) == 3
    page = front.get("root", "/api/management/transactions?limit=2")
    older = front.get("root", f"/api/management/transactions?limit=2&before={page['next_before']}")
    assert [one["amount"] for one in older["transactions"]] == [300, 200]
    kinds = [entry["type"] for entry in front.get("root", "/api/audit/logs?account_id=acc001")["logs"]]
    assert kinds.count("WITHDRAW") == 2 and "DEPOSIT" in kinds and kinds.count("TRANSFER") == 1


def test_what_is_said_of_money_is_kept(front: TradingFront) -> None:
    sent = {"account_id": "acc002", "amount": 3, "bank_account": "6222 0001", "request_id": "once"}
    for _ in range(2):
        front.post("root", "/api/management/withdraw", sent)
    (row,) = front.get("root", "/api/management/transactions?limit=1")["transactions"]
    assert (row["amount"], row["bank_account"]) == (3, "6222 0001")
    second, first = front.get("root", "/api/audit/logs?type=WITHDRAW&account_id=acc002")["logs"]
    assert first["detail"]["bank_account"] == "6222 0001"
    assert second["detail"]["again"] and "again" not in first["detail"]  # nothing moved a second time
    of_bob = front.get("root", "/api/management/transactions/bob")["transactions"]
    assert [(one["method"], one["bank_account"]) for one in of_bob] == [
        ("bank", "6222 0001"), ("opening", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("door", ["deposit", "withdraw"])
def test_money_of_nobody(front: TradingFront, door: str) -> None:
    """Who may move everybody's money hears that an account is not there; another hears nothing of others."""
    front.post("ann", "/api/account/open", {"account_id": "second"})
    for owner, expected in (("nope", (404, 1006)), ("clerk", (404, 1006)), ("ann", (400, 1008))):
        sent = {"user_id": owner, "amount": 1000}
        assert front.error("root", "POST", f"/api/management/{door}", sent) == expected, owner
    for owner in ("nope", "clerk", "bob", "risk"):
        assert front.error("ann", "POST", f"/api/account/{door}", {"user_id": owner, "amount": 1}) == (
            403,
            9403,
        )
    assert front.error("ann", "POST", f"/api/account/{door}", {"amount": 1}) == (400, 1008)


def test_a_qifi_document_is_whole(front: TradingFront) -> None:
    long_of(front, 2)
    document = front.get("ann", "/api/account/acc001")
    assert (document["account_cookie"], document["trading_day"], document["password"]) == (
        "acc001",
        "20210802",
        "",
    )
    assert document["positions"][CU]["volume_long"] == 2
    assert [one["volume_orign"] for one in document["orders"].values()] == [2]
    assert len(document["trades"]) == 1
    from qautlra import qifi

    assert qifi.from_json(json.dumps(document)).accounts.balance == document["accounts"]["balance"]


# --- the market ---


def test_the_market_is_open_to_all_on_loopback(front: TradingFront) -> None:
    front.tick(CU, 75000, bid_price1=74990, bid_volume1=4, ask_price1=75010, ask_volume1=6)
    submit(front, "BUY", "OPEN", 2, 74000)
    rows = front.get(None, "/api/market/instruments?detail=1&pattern=shfe")
    listed = {one["instrument_id"]: one for one in rows}
    assert set(listed) == {CU, RB}
    assert set(front.get(None, "/api/market/instruments")) >= {CU, RB}
    assert (listed[CU]["price_tick"], listed[CU]["contract_multiplier"], listed[CU]["status"]) == (
        10,
        5,
        "active",
    )
    book = front.get(None, "/api/market/orderbook/cu2109?depth=3")
    assert (book["bids"], book["asks"]) == ([{"price": 74990, "volume": 4}], [{"price": 75010, "volume": 6}])
    assert book["book_bids"] == [{"price": 74990, "volume": 4}, {"price": 74000, "volume": 2}]
    tick = front.get(None, f"/api/market/tick/{CU}")
    assert (tick["last_price"], tick["datetime"]) == (75000, "2021-08-02T01:30:00.000000Z")
    long_of(front, 1)
    (match,) = front.get(None, "/api/market/trades/cu2109")
    assert (match["price"], match["volume"], "account_id" in match) == (75000, 1, False)
    bars = front.get(None, "/api/market/kline/cu2109?period=4&count=5")
    assert bars["period_s"] == 60 and bars["data"][-1]["close"] == 75000
    assert front.error(None, "GET", "/api/market/kline/cu2109?period=3") == (400, 1008)
    assert front.error(None, "GET", "/api/market/tick/zz9999") == (404, 1007)
    glance = front.get(None, "/api/data/overview/market")
    assert glance["instruments"] == glance["up"] + glance["down"] + glance["flat"]
    found = front.get(None, "/api/data/history/ticks?instrument_id=cu2109&limit=5")
    assert found["data"] == [{"last_price": 1.5}]
    assert front.store.asked[-1].filter == f"instrument='{CU}'"
    assert front.error(None, "GET", "/api/data/history/klines?instrument_id=x'OR'1") == (404, 1007)


# --- figures and files ---


def test_tables_leave_as_files(front: TradingFront) -> None:
    long_of(front, 2)
    front.post("root", "/api/admin/settlement/execute", {"force": True})
    front.on_loop(lambda: front.rig.at("2021-08-03 09:30:00"))
    front.tick(CU, 75000, ask_price1=75000, ask_volume1=1)
    submit(front, "BUY", "OPEN", 1, 75000)
    for kind, count in (("orders", 2), ("trades", 2), ("positions", 1), ("transactions", 1)):
        path = f"/api/data/export?account_id=acc001&data_type={kind}"
        rows = json.loads(front.call("ann", "GET", f"{path}&format=json").body)
        assert len(rows) == count, kind
        reply = front.call("ann", "GET", path)
        assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert f'filename="acc001-{kind}.csv"' in reply.headers["Content-Disposition"]
        assert len(list(csv.DictReader(io.StringIO(reply.body.decode())))) == count
    today = front.call("ann", "GET", "/api/data/export?account_id=acc001&start=20210803&format=json")
    assert len(json.loads(today.body)) == 1
    for wrong in ("data_type=secrets", "format=exe", "start=tomorrow"):
        assert front.error("ann", "GET", f"/api/data/export?account_id=acc001&{wrong}") == (400, 1008)


def test_a_file_of_orders_is_whole_or_refused(front: TradingFront, monkeypatch: pytest.MonkeyPatch) -> None:
    long_of(front, 2)
    front.post("root", "/api/admin/settlement/execute", {"force": True})
    path = "/api/data/export?account_id=acc001&data_type=orders&format=json"
    monkeypatch.setattr("qautlra.net.trade_http.data.ORDERS_COUNT", 2)
    assert len(json.loads(front.call("ann", "GET", path).body)) == 1
    monkeypatch.setattr("qautlra.net.trade_http.data.ORDERS_COUNT", 0)
    assert front.error("ann", "GET", path) == (400, 1008)


def test_a_file_without_rows_names_its_columns(front: TradingFront) -> None:
    def head(query: str) -> list[str]:
        body = front.call("ann", "GET", f"/api/data/export?account_id=acc001&{query}").body.decode()
        return next(csv.reader(io.StringIO(body)))

    kinds = ("orders", "trades", "positions", "transactions")
    empty = {kind: head(f"data_type={kind}") for kind in kinds}
    long_of(front, 2)
    front.post("ann", "/api/account/deposit", {"amount": 5})
    assert {kind: head(f"data_type={kind}") for kind in kinds} == empty
    path = "/api/data/export?account_id=acc001&data_type=positions"
    assert front.error("ann", "GET", f"{path}&end=20210801") == (400, 1008)
    assert front.call("ann", "GET", f"{path}&start=20210802&end=20210802").status == 200


def test_all_movements_of_money_leave_in_a_file(front: TradingFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "PAGE_COUNT", 5)
    records, more = front.desk.records, 13
    body = {"account_id": "acc001", "type": "deposit", "amount": 1.0, "trading_day": "20210802"}

    def add_all() -> None:
        for number in range(more):
            records.add("money", number, body, "acc001")

    front.wait_for(front.desk.ask(add_all))
    path = "/api/data/export?account_id=acc001&data_type=transactions&format=json"
    rows = json.loads(front.call("ann", "GET", path).body)
    assert rows[0]["method"] == "opening"
    assert [row["ts_ns"] for row in rows[1:]] == list(range(more))


def test_no_formula_leaves_in_a_file(front: TradingFront) -> None:
    remark = "=cmd|'/c calc'!A1"
    front.post("ann", "/api/account/deposit", {"amount": 1, "remark": remark})
    reply = front.call("ann", "GET", "/api/data/export?account_id=acc001&data_type=transactions")
    _, row = csv.DictReader(io.StringIO(reply.body.decode()))
    assert row["remark"] == "'" + remark


def test_positions_are_analysed(front: TradingFront) -> None:
    long_of(front, 2)
    found = front.get("ann", "/api/data/analysis/position/acc001")
    assert (found["long_value"], found["short_value"], found["margin"]) == (750_000, 0, 75_000)
    assert found["positions"][0]["margin_share"] == pytest.approx(75_000 / 999_962.5)
    empty = front.get("bob", "/api/data/statistics/trades")
    assert (empty["total_trades"], empty["win_rate"], empty["profit_factor"]) == (0, None, None)
    assert front.get("bob", "/api/data/statistics/risk")["sharpe"] is None
    assert front.error("bob", "GET", "/api/data/settlement/statement") == (404, 6003)


# --- operators ---


def test_a_frozen_account(front: TradingFront) -> None:
    sent = {"instrument_id": CU, "direction": "BUY", "offset": "OPEN", "volume": 1, "price": 74000}
    frozen = front.post("risk", "/api/account-admin/freeze", {"account_id": "acc001", "reason": "why"})
    assert frozen["status"] == "frozen"
    assert front.error("ann", "POST", "/api/order/submit", sent) == (400, 2002)
    assert front.error("ann", "POST", "/api/account/withdraw", {"amount": 1}) == (400, 2002)
    shown = front.get("ann", "/api/account-admin/status/acc001")
    assert (shown["status"], shown["freeze"]["reason"], shown["freeze"]["by"]) == ("frozen", "why", "risk")
    trading = {"account_id": "acc001", "freeze_type": "TRADING_ONLY"}
    assert front.post("risk", "/api/account-admin/freeze", trading)["status"] == "trading_frozen"
    assert front.post("ann", "/api/account/withdraw", {"amount": 1})["status"] == "trading_frozen"
    assert front.get("root", "/api/management/accounts?status=trading_frozen")["total"] == 1
    assert front.post("risk", "/api/account-admin/unfreeze", {"account_id": "acc001"})["status"] == "active"
    front.post("ann", "/api/order/submit", sent)
    assert front.error("risk", "POST", "/api/account-admin/freeze", {"account_id": "nobody"}) == (404, 1006)
    wrong = {"account_id": "acc001", "freeze_type": "DEEP"}
    assert front.error("risk", "POST", "/api/account-admin/freeze", wrong) == (400, 1008)
    kinds = {entry["type"] for entry in front.get("root", "/api/audit/logs?account_id=acc001")["logs"]}
    assert {"ACCOUNT_FREEZE", "ACCOUNT_UNFREEZE", "ORDER_SUBMIT", "WITHDRAW"} <= kinds


def test_the_kill_switch(front: TradingFront) -> None:
    alive = submit(front, "BUY", "OPEN", 1, 74000)
    long_of(front, 1)
    halted = front.post("risk", "/api/admin/risk/state", {"state": "HALTED"})
    assert halted["state"] == "HALTED"
    assert front.get("ann", f"/api/order/{alive}")["status"] == "cancelled"
    sent = {"instrument_id": CU, "direction": "BUY", "offset": "OPEN", "volume": 1, "price": 74000}
    assert front.error("ann", "POST", "/api/order/submit", sent) == (400, 3018)
    front.post("risk", "/api/admin/risk/state", {"state": "reducing"})
    assert front.error("ann", "POST", "/api/order/submit", sent) == (400, 3017)
    front.post(
        "ann", "/api/order/submit", sent | {"direction": "SELL", "offset": "CLOSETODAY", "price": 76000}
    )
    assert front.post("risk", "/api/admin/risk/state", {"state": "ACTIVE"}) == {
        "state": "ACTIVE",
        "accounts": {},
    }
    one = front.post("risk", "/api/admin/risk/state", {"state": "HALTED", "account_id": "acc001"})
    assert one == {"state": "ACTIVE", "accounts": {"acc001": "HALTED"}}
    assert front.error("ann", "POST", "/api/order/submit", sent) == (400, 3018)
    front.post("bob", "/api/order/submit", sent)
    assert front.error("risk", "POST", "/api/admin/risk/state", {"state": "OFF"}) == (400, 1008)


def test_liquidation_closes_what_is_held(front: TradingFront) -> None:
    long_of(front, 2)
    submit(front, "BUY", "OPEN", 1, 74000)
    front.tick(CU, 74000, bid_price1=73990, bid_volume1=9, ask_price1=74010, ask_volume1=9)
    record = front.post(
        "risk", "/api/management/risk/force-liquidate", {"account_id": "acc001", "reason": "test"}
    )
    assert (record["status"], record["instruments_closed"], record["by"]) == ("filled", {CU: 2}, "risk")
    assert record["balance_after"] == front.get("ann", "/api/user/ann/accounts")[0]["balance"]
    assert front.get("ann", "/api/position/account/acc001") == []
    assert front.get("ann", "/api/order/user/ann?status=alive") == []
    (kept,) = front.get("risk", "/api/management/risk/liquidations")
    assert kept == record
    assert front.error("risk", "POST", "/api/management/risk/force-liquidate", {"account_id": "x"}) == (
        404,
        1006,
    )


def test_risk_is_seen(front: TradingFront) -> None:
    long_of(front, 13)
    front.post("ann", "/api/account/withdraw", {"amount": 400_000})
    front.on_loop(front.trade.monitor.on_turn)
    (high,) = front.get("risk", "/api/management/risk/accounts?risk_level=high")
    assert high["account_id"] == "acc001" and 0.8 <= high["risk_ratio"] < 0.95
    assert [row["account_id"] for row in front.get("risk", "/api/management/risk/accounts")] == [
        "acc001",
        "acc002",
    ]
    summary = front.get("risk", "/api/management/risk/margin-summary")
    assert (summary["total_margin"], summary["by_level"]["high"]) == (487_500, 1)
    (alert,) = front.get("risk", "/api/management/risk/alerts?account_id=acc001")
    assert (alert["kind"], alert["level"], alert["handled"]) == ("level_escalation", "high", False)
    front.post(
        "risk", "/api/management/risk/alerts/handle", {"account_id": "acc001", "alert_id": alert["alert_id"]}
    )
    assert front.get("risk", "/api/management/risk/alerts")[0]["handled"] is True
    handled = {"account_id": "acc001", "alert_id": "ALERT0"}
    assert front.error("risk", "POST", "/api/management/risk/alerts/handle", handled) == (404, 9404)
    assert front.error("risk", "GET", "/api/management/risk/accounts?risk_level=odd") == (400, 1008)
    assert front.get("root", "/api/audit/logs?type=RISK_ALERT")["logs"][0]["account_id"] == "acc001"


def test_instruments_are_stopped_and_taken_off(front: TradingFront) -> None:
    sent = {"instrument_id": CU, "direction": "BUY", "offset": "OPEN", "volume": 1, "price": 74000}
    front.post("ann", "/api/order/submit", sent)
    path = f"/api/admin/instrument/{CU}"
    assert front.post("root", f"{path}/suspend", method="PUT")["status"] == "suspended"
    assert front.error("ann", "POST", "/api/order/submit", sent) == (400, 4004)
    front.on_loop(lambda: front.rig.at("2021-08-02 10:31:00"))
    front.tick(CU, 75000)
    assert front.error("ann", "POST", "/api/order/submit", sent) == (400, 4004)
    assert front.post("root", f"{path}/resume", method="PUT")["status"] == "active"
    front.post("ann", "/api/order/submit", sent)
    assert front.error("root", "DELETE", f"{path}/delist") == (409, 2005)
    front.on_loop(lambda: front.trade.cancel_all())
    long_of(front, 1)
    assert front.error("root", "DELETE", f"{path}/delist") == (409, 9409)
    rb = f"/api/admin/instrument/{RB}"
    assert front.post("root", f"{rb}/delist", method="DELETE")["status"] == "delisted"
    assert front.error("root", "PUT", f"{rb}/resume") == (409, 9409)
    assert front.error("ann", "POST", "/api/order/submit", sent | {"instrument_id": RB, "price": 5000}) == (
        400,
        4004,
    )
    limits = {"upper_limit": 76000, "lower_limit": 74000}
    front.post("root", f"{path}/update", limits, "PUT")
    assert front.error("ann", "POST", "/api/order/submit", sent | {"price": 76010}) == (400, 4002)
    wrong = {"upper_limit": 1, "lower_limit": 2}
    assert front.error("root", "PUT", f"{path}/update", wrong) == (400, 1008)
    rows = {row["instrument_id"]: row for row in front.get("root", "/api/admin/instruments")}
    assert (rows[CU]["holders"], rows[RB]["status"], rows[CU]["status"]) == (1, "delisted", "active")


def test_what_is_stopped_stays_so_over_a_restart(make: Callable[..., TradingFront]) -> None:
    front = make(durability="process")
    front.quotes()
    front.post("root", f"/api/admin/instrument/{CU}/suspend", method="PUT")
    front.post("risk", "/api/account-admin/freeze", {"account_id": "acc002", "reason": "kept"})
    front.stop()
    again = make(durability="process")
    again.quotes()
    sent = {"instrument_id": CU, "direction": "BUY", "offset": "OPEN", "volume": 1, "price": 74000}
    assert again.error("ann", "POST", "/api/order/submit", sent) == (400, 4004)
    shown = again.get("bob", "/api/account-admin/status/acc002")
    assert (shown["status"], shown["freeze"]["reason"]) == ("frozen", "kept")


def test_an_instrument_of_our_own(front: TradingFront) -> None:
    asked = {
        "instrument_id": "SHFE.cu2208", "price_tick": 5, "contract_multiplier": 2, "upper_limit": 80000,
        "lower_limit": 60000, "margin_rate": 0.2, "commission_rate": 0.0,
    }  # fmt: skip
    assert front.post("root", "/api/admin/instrument/create", asked)["contract_multiplier"] == 2
    submit(front, "BUY", "OPEN", 1, 70005, "SHFE.cu2208")
    submit(front, "SELL", "OPEN", 1, 70005, "SHFE.cu2208", "acc002", "bob")
    assert front.get("ann", "/api/user/ann/accounts")[0]["margin"] == pytest.approx(70005 * 2 * 0.2)
    (position,) = front.get("bob", "/api/position/user/bob")
    assert (position["volume_short"], position["contract_multiplier"]) == (1, 2)
    assert front.error("root", "POST", "/api/admin/instrument/create", asked) == (409, 9409)
    assert front.error("root", "POST", "/api/admin/instrument/create", asked | {"instrument_id": CU}) == (
        409,
        9409,
    )
    for wrong in (
        {"price_tick": 0},
        {"margin_rate": 2},
        {"upper_limit": 1},
        {"instrument_id": "no such thing"},
    ):
        body = asked | {"instrument_id": "SHFE.cu2209"} | wrong
        assert front.error("root", "POST", "/api/admin/instrument/create", body) == (400, 1008)
    body = asked | {"instrument_id": "SHFE.cu2209", "contract_multiplier": 2.5}
    assert front.error("root", "POST", "/api/admin/instrument/create", body) == (400, 1008)
    assert "SHFE.cu2209" not in front.get(None, "/api/market/instruments?pattern=cu22")


def test_an_instrument_of_our_own_is_worth_what_it_last_traded_at(make: Callable[..., TradingFront]) -> None:
    """The feed shows none: trades say what it is worth, to all alike, over a restart and the settlement."""
    front = make()
    front.quotes()
    asked = {
        "instrument_id": "SHFE.cu2208", "price_tick": 5, "contract_multiplier": 2, "upper_limit": 80000,
        "lower_limit": 60000, "margin_rate": 0.2, "commission_rate": 0.0,
    }  # fmt: skip
    front.post("root", "/api/admin/instrument/create", asked)
    for price in (70000, 70100):
        submit(front, "BUY", "OPEN", 1, price, "SHFE.cu2208")
        submit(front, "SELL", "OPEN", 1, price, "SHFE.cu2208", "acc002", "bob")

    def shown(one: TradingFront) -> list[tuple[float, float]]:
        held = [one.get(user, f"/api/position/user/{user}")[0] for user in ("ann", "bob")]
        return [(position["last_price"], position["position_profit"]) for position in held]

    assert shown(front) == [(70100, 200), (70100, -200)]
    front.stop()
    front = make()
    assert shown(front) == [(70100, 200), (70100, -200)]
    done = front.post("root", "/api/admin/settlement/execute", {"force": True})
    assert done["prices"]["SHFE.cu2208"] == 70100
    assert front.get("ann", "/api/user/ann/accounts")[0]["balance"] == 1_000_200


def listed(front: TradingFront, symbol: str) -> dict[str, Any]:
    (row,) = front.get("root", f"/api/admin/instruments?pattern={symbol}")
    found: dict[str, Any] = row
    return found


def test_an_instrument_is_shown_as_it_was_listed(make: Callable[..., TradingFront]) -> None:
    front = make()
    front.quotes()
    asked = {
        "instrument_id": "cu2208", "exchange": "SHFE", "instrument_name": "ours", "price_tick": 10,
        "contract_multiplier": 2, "limit_up_rate": 0.1, "limit_down_rate": 0.05, "pre_settlement": 70005,
        "margin_rate": 0.2, "commission_rate": 0.0003,
    }  # fmt: skip
    made = front.post("root", "/api/admin/instrument/create", asked)
    assert (made["instrument_id"], made["exchange"]) == ("SHFE.cu2208", "SHFE")
    assert (made["commission_rate"], made["margin_rate"], made["pre_settlement"]) == (0.0003, 0.2, 70005)
    assert (made["lower_limit"], made["upper_limit"]) == (66510, 77000)
    assert made["limit_up_rate"] == pytest.approx(0.1, abs=1e-3)
    assert made["limit_down_rate"] == pytest.approx(0.05, abs=1e-3)
    order = {"account_id": "acc001", "instrument_id": "SHFE.cu2208", "direction": "BUY", "volume": 1}
    assert front.error("ann", "POST", "/api/order/submit", order | {"price": 77010}) == (400, 4002)
    assert front.error("ann", "POST", "/api/order/submit", order | {"price": 66500}) == (400, 4003)
    path = "/api/admin/instrument/SHFE.cu2208/update"
    told = front.post("root", path, {"upper_limit": 80000, "lower_limit": 60000}, "PUT")
    assert (told["lower_limit"], told["upper_limit"]) == (60000, 80000)
    front.post("ann", "/api/order/submit", order | {"price": 77010})
    assert (listed(front, "cu2208")["lower_limit"], listed(front, "cu2208")["upper_limit"]) == (60000, 80000)
    front.post("root", path, {"limit_up_rate": 0.2, "limit_down_rate": 0.2}, "PUT")
    before = listed(front, "cu2208")
    assert (before["lower_limit"], before["upper_limit"]) == (56010, 84000)
    front.stop()
    again = make()
    assert listed(again, "cu2208") | {"live_orders": 0} == before | {"live_orders": 0}
    rate = again.get("ann", "/api/account-admin/commission/rates?instrument_id=cu2208")[0]
    assert rate["open"]["ratio_by_money"] == 0.0003


def test_nothing_of_an_instrument_is_passed_over(front: TradingFront) -> None:
    asked: dict[str, Any] = {
        "instrument_id": "SHFE.cu2208", "price_tick": 5, "contract_multiplier": 2, "upper_limit": 80000,
        "lower_limit": 60000,
    }  # fmt: skip
    rates = {"upper_limit": None, "lower_limit": None, "limit_up_rate": 0.1, "limit_down_rate": 0.1}
    for wrong in (
        {"exchange": "DCE"},
        {"exchange": "nowhere"},
        {"instrument_id": "SHFE.cu2208", "exchange": "CZCE"},
        {"instrument_type": "OPTION"},
        {"expire_date": "20220815"},
        {"nosuch": 1},
        {"limit_up_rate": 0.1},
        {"limit_up_rate": 0.1, "limit_down_rate": 0.1, "pre_settlement": 70000},
        {"upper_limit": None},
        {"upper_limit": None, "lower_limit": None},
        rates,
        rates | {"pre_settlement": 0},
        rates | {"pre_settlement": 70000, "limit_down_rate": 1},
        rates | {"pre_settlement": 70000, "limit_up_rate": -0.1},
        rates | {"pre_settlement": 70000, "price_tick": 0},
    ):
        sent = asked | wrong
        assert front.error("root", "POST", "/api/admin/instrument/create", sent) == (400, 1008), wrong
    assert front.get("root", "/api/admin/instruments?pattern=cu2208") == []
    path, limits = f"/api/admin/instrument/{CU}/update", {"upper_limit": 76000, "lower_limit": 74000}
    for wrong in ({"margin_rate": 0.5}, limits | {"margin_rate": 0.5}, {}, {"upper_limit": 76000}):
        assert front.error("root", "PUT", path, wrong) == (400, 1008), wrong
    reply = front.call("root", "PUT", path, {"margin_rate": 0.5})
    assert "margin_rate" in reply.json["error"]["message"]


SETTLEMENT = "/api/admin/settlement"


def test_settlement_prices(front: TradingFront) -> None:
    assert front.post("clerk", f"{SETTLEMENT}/batch-set-prices", {"prices": [
        {"instrument_id": "cu2109", "settlement_price": 75100},
        {"instrument_id": RB, "settlement_price": 5002},
    ]}) == {
        "total": 2, "success_count": 2, "failed_count": 0,
        "results": [
            {"instrument_id": "cu2109", "success": True, "error": None},
            {"instrument_id": RB, "success": True, "error": None},
        ],
    }  # fmt: skip
    assert front.get("clerk", f"{SETTLEMENT}/prices")["prices"] == {CU: 75100, RB: 5002}
    assert front.error("ann", "GET", f"{SETTLEMENT}/prices") == (403, 9403)


@pytest.mark.parametrize(
    ("instrument", "price", "status", "code", "forced"),
    [
        (CU, 75105, 400, 3004, True),
        (CU, 82510, 400, 4002, True),
        (CU, 67490, 400, 4003, True),
        (CU, 0, 400, 1008, False),
        (CU, -10, 400, 1008, False),
        ("zz", 1, 404, 1007, False),
    ],
)
def test_a_settlement_price_is_one_of_the_day(
    front: TradingFront, instrument: str, price: float, status: int, code: int, forced: bool
) -> None:
    wrong = {"instrument_id": instrument, "settlement_price": price}
    batch = {"prices": [{"instrument_id": RB, "settlement_price": 5002}, wrong]}
    assert front.error("clerk", "POST", f"{SETTLEMENT}/set-price", wrong) == (status, code)
    assert front.error("clerk", "POST", f"{SETTLEMENT}/batch-set-prices", batch) == (status, code)
    told = front.call("clerk", "POST", f"{SETTLEMENT}/batch-set-prices", batch).json["error"]["message"]
    assert instrument in told and RB not in told
    assert front.get("clerk", f"{SETTLEMENT}/prices")["prices"] == {}
    if forced:
        front.post("clerk", f"{SETTLEMENT}/set-price", wrong | {"force": True})
        assert front.get("clerk", f"{SETTLEMENT}/prices")["prices"] == {CU: price}
        front.post("clerk", f"{SETTLEMENT}/batch-set-prices", batch | {"force": True})
        assert front.get("clerk", f"{SETTLEMENT}/prices")["prices"] == {CU: price, RB: 5002}
    else:
        assert front.error("clerk", "POST", f"{SETTLEMENT}/set-price", wrong | {"force": True})[1] == code
        forced_batch = batch | {"force": True}
        assert front.error("clerk", "POST", f"{SETTLEMENT}/batch-set-prices", forced_batch)[1] == code
        assert front.get("clerk", f"{SETTLEMENT}/prices")["prices"] == {}


def test_a_settlement_price_waits_for_the_settlement(make: Callable[..., TradingFront]) -> None:
    """Healthy accounts stay as they are, over a restart too, until the day is settled."""
    prices = {CU: 68000, RB: 4500}
    front = make(durability="process")
    front.quotes()
    long_of(front, 13)
    submit(front, "BUY", "OPEN", 60, 5001, RB)
    front.tick(RB, 5001, ask_price1=5001, ask_volume1=60)

    def shown(one: TradingFront) -> tuple[Any, Any]:
        whole = one.get("ann", "/api/account/acc001")
        return whole["accounts"], one.get("ann", "/api/position/account/acc001")

    before = shown(front)
    for name, price in prices.items():  # a loss of 755,600: the account would be liquidated
        front.post("clerk", f"{SETTLEMENT}/set-price", {"instrument_id": name, "settlement_price": price})
    order_id = submit(front, "SELL", "CLOSETODAY", 1, 80000)
    front.post("ann", "/api/order/cancel", {"account_id": "acc001", "order_id": order_id})
    assert front.get("risk", "/api/management/risk/liquidations") == []
    assert shown(front) == before
    front.stop()

    again = make(durability="process")
    assert again.get("clerk", f"{SETTLEMENT}/prices")["prices"] == prices
    assert shown(again) == before
    ended = again.post("clerk", f"{SETTLEMENT}/execute", {"force": True})
    assert ended["prices"] == prices and ended["profit"] == -755_600
    assert again.get("clerk", f"{SETTLEMENT}/prices")["prices"] == {}


def test_rates_margins_and_fees(front: TradingFront) -> None:
    long_of(front, 2)
    rates = {row["instrument_id"]: row for row in front.get("ann", "/api/account-admin/commission/rates")}
    assert rates[CU]["open"] == {"ratio_by_money": 0.00005, "ratio_by_volume": 0}
    assert rates["DCE.m2109"]["open"] == {"ratio_by_money": 0, "ratio_by_volume": 1.5}
    margins = {row["instrument_id"]: row for row in front.get("ann", "/api/account-admin/margin/rates")}
    assert margins[CU]["long"]["ratio_by_money"] == 0.1
    fees = front.get("ann", "/api/account-admin/commission/statistics/acc001")
    assert fees["total_commission"] == 37.5 and fees["by_instrument"][0]["volume"] == 2
    bound = front.get("ann", "/api/account-admin/margin/summary/acc001")
    assert bound["margin"] == bound["positions"][0]["margin"] == 75_000


def test_every_account_order_and_trade(front: TradingFront) -> None:
    long_of(front, 1)
    submit(front, "BUY", "OPEN", 1, 74000, account="acc002", user="bob")
    assert front.get("root", "/api/management/accounts?page=2&page_size=1")["accounts"][0]["user_id"] == "bob"
    orders = front.get("root", "/api/management/orders")
    assert (orders["total"], [one["user_id"] for one in orders["orders"]]) == (2, ["bob", "ann"])
    assert front.get("root", "/api/management/orders?status=filled")["total"] == 1
    assert front.get("root", "/api/management/trades")["trades"][0]["account_id"] == "acc001"
    whole = front.get("root", "/api/management/account/ann/detail")
    assert (len(whole["orders"]), len(whole["trades"]), len(whole["positions"])) == (1, 1, 1)
    stats = front.get("root", "/api/admin/market/order-stats")
    assert (stats["total_orders"], stats["by_status"]["filled"], stats["live_orders"]) == (2, 1, 1)
    system = front.get("root", "/api/monitoring/system")
    assert system["accounts"]["total_count"] == 2
    assert (system["trades"]["matches"], system["trades"]["total_turnover"]) == (1, 375_000)
    for name in ("status", "accounts", "orders", "trades", "storage", "report"):
        assert front.get("root", f"/api/monitoring/{name}")
    assert front.error("root", "GET", "/api/management/orders?page=0") == (400, 1008)


def test_announcements(front: TradingFront) -> None:
    text = "<script>alert(1)</script>"
    made = front.post("root", "/api/announcements", {"title": "One", "content": text})
    assert (made["content"], made["created_by"]) == (text, "root")
    front.post("root", "/api/announcements", {"title": "Two", "content": ""})
    assert [one["title"] for one in front.get("eye", "/api/announcements")] == ["Two", "One"]
    assert front.get("eye", f"/api/announcements/{made['id']}") == made
    assert front.error("ann", "POST", "/api/announcements", {"title": "x", "content": ""}) == (403, 9403)
    assert front.error("root", "POST", "/api/announcements", {"title": "", "content": ""}) == (400, 1008)
    front.post("root", f"/api/announcements/{made['id']}", method="DELETE")
    assert front.error("root", "DELETE", f"/api/announcements/{made['id']}") == (404, 9404)
    assert front.error("eye", "GET", "/api/announcements/x") == (400, 1008)


@pytest.mark.parametrize("kind", ["FUND", "fund", "", "LOGIN"])
def test_there_is_no_other_password_than_the_login_s(front: TradingFront, kind: str) -> None:
    ask = {"old_password": "Check-pass-1", "new_password": "Second-pass-2", "password_type": kind}
    assert front.error("bob", "POST", "/api/account-admin/password/change", ask) == (400, 1008)
    reset = {"user_id": "bob", "new_password": "Third-pass-33", "password_type": kind}
    assert front.error("root", "POST", "/api/account-admin/password/reset", reset) == (400, 1008)
    front.wait_for(front.auth.login("bob", "Check-pass-1"))
    front.post("bob", "/api/account-admin/password/change", ask | {"password_type": "trading"})
    front.wait_for(front.auth.login("bob", "Second-pass-2"))


def test_passwords_by_the_account_doors(front: TradingFront) -> None:
    ask = {"old_password": "wrong", "new_password": "Second-pass-2"}
    assert front.error("bob", "POST", "/api/account-admin/password/change", ask) == (403, 9403)
    front.post("bob", "/api/account-admin/password/change", ask | {"old_password": "Check-pass-1"})
    assert front.call("bob", "GET", "/api/auth/me").status == 401
    reset = {"user_id": "bob", "new_password": "Third-pass-33"}
    front.post("root", "/api/account-admin/password/reset", reset)
    front.wait_for(front.auth.login("bob", "Third-pass-33"))


# --- the table ---


def test_no_door_answers_5xx_whatever_is_asked(front: TradingFront) -> None:
    """Every trading door with an empty, a wrong and a junk body, as admin, as nobody's friend."""
    for route in route_table(front.service._deps):
        if not route.envelope or "execute" in route.path or route.path.startswith("/api/auth"):
            continue
        for value in ("zz", "-1", "%2e%2e%2f", "a'b\"", "9" * 40):
            path = route.path
            while "{" in path:
                path = path[: path.index("{")] + value + path[path.index("}") + 1 :]
            for body in (None, b"{}", b"[]", b"\xff", b'{"account_id":"acc001","amount":"x"}'):
                reply = front.call("root", route.method, path, body if route.method != "GET" else None)
                assert reply.status < 500, (route.method, path, body, reply.body)
                if (
                    reply.headers.get("Content-Type", "").startswith("application/json")
                    and reply.status != 200
                ):
                    assert "error" in reply.json
                if route.method == "GET":
                    break
            query = front.call(
                "root", route.method, path + "?limit=x&page=x&start=x&depth=x&count=-1&period=9"
            )
            assert query.status < 500, (route.method, path, query.body)


def test_doors_of_accounts_ask_for_the_account(front: TradingFront) -> None:
    named = [route for route in route_table(front.service._deps) if route.envelope]
    assert len(named) > 90
    for route in named:
        if route.method != "GET":
            assert route.right is not Right.MARKET, route.path
    assert {route.right for route in named} >= ACCOUNT_RIGHTS
