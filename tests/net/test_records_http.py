"""What the trading REST keeps and tells of orders, money and profit: to the cent, over days, by all doors."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from qautlra.base.errors import StorageError, UnavailableError
from qautlra.net.trade_http import base
from tests.net.trading_front import TradingFront

CU, RB, DCE_M = "SHFE.cu2109", "SHFE.rb2110", "DCE.m2109"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[TradingFront]:
    found = TradingFront(tmp_path)
    found.quotes()
    yield found
    found.stop()


def order(instrument: str, direction: str, offset: str, volume: float, price: float, **more: Any) -> Any:
    return {
        "account_id": "acc001", "instrument_id": instrument, "direction": direction, "offset": offset,
        "volume": volume, "price": price, **more,
    }  # fmt: skip


def done(
    front: TradingFront, instrument: str, direction: str, offset: str, volume: int, price: float
) -> None:
    """Have an order trade at its price."""
    front.post("ann", "/api/order/submit", order(instrument, direction, offset, volume, price))
    side = "ask" if direction == "BUY" else "bid"
    front.tick(instrument, price, **{f"{side}_price1": price, f"{side}_volume1": volume})
    front.tick(instrument, price)


def settle(front: TradingFront, then: str, **prices: float) -> None:
    named = {"cu": CU, "rb": RB, "m": DCE_M}
    for name, price in prices.items():
        sent = {"instrument_id": named[name], "settlement_price": price}
        front.post("clerk", "/api/admin/settlement/set-price", sent)
    front.post("clerk", "/api/admin/settlement/execute", {"force": True})
    front.on_loop(lambda: front.rig.at(then))


# --- money ---


@pytest.mark.parametrize("door", ["deposit", "withdraw", "transfer"])
def test_money_moves_in_whole_cents(front: TradingFront, door: str) -> None:
    for amount in (0.001, 100.005, 1e-9, 12.3456):
        sent = {"account_id": "acc001", "amount": amount}
        assert front.error("ann", "POST", f"/api/account/{door}", sent) == (400, 2004), amount
    assert front.get("ann", "/api/account/acc001")["accounts"]["balance"] == 1_000_000
    front.post("ann", f"/api/account/{door}", {"account_id": "acc001", "amount": 0.1 + 0.2})
    moved = front.get("ann", "/api/account/acc001")["accounts"]["balance"] - 1_000_000
    assert abs(moved) == pytest.approx(0.3, abs=1e-9)


def test_no_door_moves_a_part_of_a_cent(front: TradingFront) -> None:
    answer = front.on_loop(lambda: front.trade.transfer("acc001", 1.005))
    assert (answer.code, answer.text) == (2004, "转账失败,金额最多两位小数")
    for amount in (float("nan"), float("inf"), 0.0):
        assert front.on_loop(lambda amount=amount: front.trade.transfer("acc001", amount)).code == 2004
    opened = {"account_id": "odd", "init_cash": 10.001}
    assert front.error("ann", "POST", "/api/account/open", opened) == (400, 1008)
    assert front.get("ann", "/api/account/acc001")["accounts"]["deposit"] == 1_000_000


def test_money_moved_by_any_door_is_among_the_movements(front: TradingFront) -> None:
    front.post("ann", "/api/account/deposit", {"account_id": "acc001", "amount": 10, "remark": "one"})
    front.on_loop(lambda: front.trade.transfer("acc001", -3.5, by="ann"))  # as the trade socket does
    front.on_loop(lambda: front.trade.transfer("acc001", -5e9))
    front.post("root", "/api/management/deposit", {"account_id": "acc001", "amount": 0.5, "method": "cheque"})
    found = front.get("root", "/api/management/transactions/acc001")["transactions"]
    told = [(row["type"], row["amount"], row["balance_after"], row["by"], row["method"]) for row in found]
    assert told[:-1] == [
        ("deposit", 0.5, 1_000_007.0, "root", "cheque"),
        ("withdraw", 3.5, 1_000_006.5, "ann", "bank"),
        ("deposit", 10, 1_000_010.0, "ann", "bank"),
    ]


def test_a_movement_a_kill_kept_out_of_the_records_is_added_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = TradingFront(tmp_path, durability="process")
    front.quotes()
    front.post("ann", "/api/account/deposit", {"account_id": "acc001", "amount": 1})

    def lost(*_: Any) -> int:
        raise StorageError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(front.desk.records, "add", lost)
        sent = {"account_id": "acc001", "amount": 2.5}
        assert front.call("ann", "POST", "/api/account/deposit", sent).status >= 500
    front.post("ann", "/api/account/withdraw", {"account_id": "acc001", "amount": 0.5})
    front.stop()
    for _ in range(2):
        front = TradingFront(tmp_path, durability="process")
        rows = front.get("root", "/api/management/transactions/acc001")["transactions"]
        told = [(row["transfer_id"], row["type"], row["amount"], row["balance_after"]) for row in rows]
        assert told == [
            (2, "deposit", 2.5, None),
            (3, "withdraw", 0.5, 1_000_003.0),
            (1, "deposit", 1.0, 1_000_001.0),
            (0, "deposit", 1_000_000.0, 1_000_000.0),
        ]
        front.stop()


def test_movements_beyond_the_bound_wait_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = TradingFront(tmp_path, durability="process")
    monkeypatch.setattr("qautlra.trade.desk.MONEY_COUNT", 2)
    front.on_loop(lambda: [front.trade.transfer("acc001", amount) for amount in (1.0, 2.0, 3.0)])
    front.wait_for(front.desk.money_kept())
    path = "/api/management/transactions/acc001"
    assert [row["amount"] for row in front.get("root", path)["transactions"]][:-1] == [2.0, 1.0]
    front.stop()
    front = TradingFront(tmp_path, durability="process")
    rows = front.get("root", path)["transactions"]
    assert {row["transfer_id"]: row["amount"] for row in rows} == {0: 1_000_000.0, 1: 1.0, 2: 2.0, 3: 3.0}
    front.stop()


def test_money_that_is_asked_for_twice_moves_once(front: TradingFront) -> None:
    sent = {"account_id": "acc001", "amount": 100.5, "request_id": "r1"}
    for _ in range(3):
        assert front.post("ann", "/api/account/deposit", sent)["balance"] == 1_000_100.5
    assert front.error("ann", "POST", "/api/account/deposit", sent | {"amount": 100}) == (409, 9409)
    assert front.error("ann", "POST", "/api/account/withdraw", sent) == (409, 9409)
    front.post("bob", "/api/account/deposit", sent | {"account_id": "acc002"})
    too_much = {"account_id": "acc001", "amount": -1e9, "request_id": "r2"}
    assert front.error("ann", "POST", "/api/account/transfer", too_much) == (400, 2003)
    found = [front.post("ann", "/api/account/transfer", too_much | {"amount": -0.5}) for _ in range(2)]
    assert [(one["transfer_id"], one["available"]) for one in found] == [(3, 1_000_100.0)] * 2
    rows = front.get("root", "/api/management/transactions/acc001")["transactions"]
    assert [row["amount"] for row in rows][:2] == [0.5, 100.5] and len(rows) == 3
    settle(front, "2021-08-03 09:31:00")
    front.post("ann", "/api/account/deposit", sent)
    assert front.get("ann", "/api/account/acc001")["accounts"]["deposit"] == 100.5


def test_movements_are_kept_in_their_order(front: TradingFront, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of them the journal's thread wakes first."""
    amounts = [1.01, 2.02, 3.03]

    async def durable(lsn: int) -> None:
        await asyncio.sleep(0.2 if lsn == first else 0.0)

    def move() -> int:
        lsns = [front.trade.transfer("acc001", amount).lsn for amount in amounts]
        return lsns[0]

    first = front.on_loop(lambda: front.trade.head_lsn) + 2  # the money's record, then the transfer's
    monkeypatch.setattr(front.trade, "durable", durable)
    assert front.on_loop(move) == first
    front.wait_for(front.desk.money_kept())
    rows = front.get("root", "/api/management/transactions/acc001?limit=3")["transactions"][::-1]
    assert [(row["amount"], row["balance_after"]) for row in rows] == [
        (1.01, pytest.approx(1_000_001.01)),
        (2.02, pytest.approx(1_000_003.03)),
        (3.03, pytest.approx(1_000_006.06)),
    ]


# --- orders ---


def test_lots_that_other_orders_keep_are_told_of(front: TradingFront) -> None:
    done(front, CU, "BUY", "OPEN", 3, 75000)
    done(front, DCE_M, "BUY", "OPEN", 4, 3500)
    front.post("ann", "/api/order/submit", order(CU, "SELL", "CLOSETODAY", 2, 76000))
    front.post("ann", "/api/order/submit", order(DCE_M, "SELL", "CLOSE", 3, 3600))
    for name, sent, code, text in (
        ("c1", order(CU, "SELL", "CLOSETODAY", 2, 76000), 3006, "平今手数超过今仓持仓量,冻结手数:2"),
        ("c2", order(DCE_M, "SELL", "CLOSE", 2, 3600), 3005, "平仓手数超过持仓量,冻结手数:3"),
        ("c3", order(CU, "SELL", "CLOSE", 1, 76000), 3007, "平昨手数超过昨仓持仓量"),
    ):
        reply = front.call("ann", "POST", "/api/order/submit", {**sent, "order_id": name})
        assert reply.json["error"]["code"] == code
        frozen = text.partition(":")[2]
        assert (f"{frozen} lots are frozen by other orders" in reply.json["error"]["message"]) is bool(frozen)
        assert front.get("ann", f"/api/order/{name}")["message"] == text
    (result,) = front.post(
        "ann",
        "/api/order/batch",
        {"account_id": "acc001", "orders": [order(DCE_M, "SELL", "CLOSE", 2, 3600)]},
    )["results"]
    assert "3 lots are frozen" in result["error"]["message"]


def test_what_nobody_would_read_of_an_order_is_refused(front: TradingFront) -> None:
    plain = order("cu2109", "BUY", "OPEN", 1, 74000)
    for path, body in (
        ("/api/order/submit", plain | {"price_type": "ANY"}),
        ("/api/order/batch", {"account_id": "acc001", "orders": [plain | {"stop_price": 1}]}),
        ("/api/account/deposit", {"amount": 1, "currency": "USD"}),
    ):
        assert front.error("ann", "POST", path, body) == (400, 1008)
    assert front.error("ann", "POST", "/api/order/submit", plain | {"exchange_id": "DCE"}) == (404, 1007)
    assert front.post("ann", "/api/order/submit", plain | {"exchange_id": "SHFE"})["order_id"]


def test_an_exchange_tells_which_of_two_of_a_name_is_meant(front: TradingFront) -> None:
    """000001 is an index on one exchange of shares and a share on the other."""
    front.on_loop(lambda: front.rig.instruments.intern("SSE.000001"))
    asked = order("000001", "BUY", "OPEN", 100, 10, exchange_id="SSE")
    front.call("ann", "POST", "/api/order/submit", asked)
    (log,) = front.get("root", "/api/audit/logs?type=ORDER_SUBMIT&account_id=acc001&limit=1")["logs"]
    assert log["detail"]["instrument"] == "SSE.000001"


def test_a_refused_order_of_a_batch_is_in_the_audit_log(front: TradingFront) -> None:
    orders = [
        order("SHFE.zz9999", "BUY", "OPEN", 1, 75000, order_id="unknown"),
        order(CU, "BUY", "SIDEWAYS", 1, 75000, order_id="word"),
        order(CU, "BUY", "OPEN", 1, 75000, order_id="theirs") | {"account_id": "acc002"},
        order(CU, "BUY", "OPEN", 1, 74000, order_id="well"),
    ]
    results = front.post("ann", "/api/order/batch", {"account_id": "acc001", "orders": orders})["results"]
    codes = [result["error"]["code"] if result["error"] else 0 for result in results]
    assert codes == [1007, 1008, 9403, 0]
    front.call(
        "ann", "POST", "/api/order/submit", order("SHFE.zz9999", "BUY", "OPEN", 1, 75000, order_id="one")
    )
    waiting = order("SHFE.zz9999", "BUY", "OPEN", 1, 75000, trigger_price=76000, trigger_condition="GE")
    waiting["limit_price"] = waiting.pop("price")
    assert front.error("ann", "POST", "/api/order/conditional", waiting) == (404, 1007)
    (log,) = front.get("root", "/api/audit/logs?type=ORDER_SUBMIT&account_id=acc001&limit=1")["logs"]
    assert (log["result"], log["detail"]["instrument"], log["detail"]["code"]) == (
        "FAILED",
        "SHFE.zz9999",
        1007,
    )
    logs = front.get("root", "/api/audit/logs?type=ORDER_SUBMIT&account_id=acc001")["logs"]
    told = {
        log["detail"]["order_id"]: (log["result"], log["detail"].get("code", 0))
        for log in logs
        if "order_id" in log["detail"]
    }
    assert told == {
        "unknown": ("FAILED", 1007),
        "word": ("FAILED", 1008),
        "theirs": ("FAILED", 9403),
        "well": ("SUCCESS", 0),
        "one": ("FAILED", 1007),
    }


def test_many_orders_are_shown_a_few_at_a_time(front: TradingFront, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for all rows of somebody's list; and none is of two days."""
    monkeypatch.setattr(base, "SLICE_COUNT", 2)
    for number in range(7):
        front.post("ann", "/api/order/submit", order(CU, "BUY", "OPEN", 1, 74000, order_id=f"o{number}"))
    front.post("ann", "/api/order/cancel", {"account_id": "acc001", "order_id": "o3"})
    asked = "/api/order/user/ann"
    assert [row["order_id"] for row in front.get("ann", asked)] == [f"o{number}" for number in range(7)]
    alive = [row["order_id"] for row in front.get("ann", f"{asked}?status=alive&page=2&page_size=3")]
    assert alive == ["o2", "o1", "o0"]
    assert [row["order_id"] for row in front.get("ann", f"{asked}?status=cancelled")] == ["o3"]
    found = front.get("root", "/api/management/orders?status=submitted&page=2&page_size=4")
    assert (found["total"], [row["order_id"] for row in found["orders"]]) == (6, ["o1", "o0"])

    async def over_a_settlement() -> None:
        call = base.Call(None, SimpleNamespace(trade=front.trade))  # type: ignore[arg-type]
        making = asyncio.create_task(call.made(front.trade.order, range(7)))
        await asyncio.sleep(0)
        assert front.trade.settling.settle(by="clerk", force=True).ok
        with pytest.raises(UnavailableError, match="the trading day has ended"):
            await making

    front.wait_for(over_a_settlement())


@pytest.mark.parametrize("field", ["hedge_flag", "contingent_condition"])
def test_every_word_of_an_order_is_looked_at(front: TradingFront, field: str) -> None:
    sent = order(CU, "BUY", "OPEN", 1, 74000, **{field: "FOO"})
    assert front.error("ann", "POST", "/api/order/submit", sent) == (400, 1008)
    well = {"hedge_flag": "HEDGE", "contingent_condition": "IMMEDIATELY"}
    front.post("ann", "/api/order/submit", order(CU, "BUY", "OPEN", 1, 74000, **well))


# --- profit ---


def test_profit_adds_up_over_days_whatever_lots_were_closed(front: TradingFront) -> None:
    """Lots at several prices, closed in part, over three days: first in first out and by average both."""
    done(front, CU, "BUY", "OPEN", 1, 75000)
    done(front, CU, "BUY", "OPEN", 1, 75500)
    done(front, RB, "SELL", "OPEN", 5, 5000)
    front.post("ann", "/api/account/deposit", {"account_id": "acc001", "amount": 1234.56})
    settle(front, "2021-08-03 09:30:00", cu=75300, rb=4990)
    done(front, CU, "SELL", "CLOSE", 1, 75400)
    done(front, CU, "BUY", "OPEN", 2, 75200)
    done(front, RB, "BUY", "CLOSE", 2, 5010)
    front.post("ann", "/api/account/withdraw", {"account_id": "acc001", "amount": 1000})
    settle(front, "2021-08-04 09:30:00", cu=75250, rb=5003)
    done(front, CU, "SELL", "CLOSE", 1, 75100)
    front.tick(CU, 75350)

    def pnl(query: str = "") -> Any:
        return front.get("ann", f"/api/data/statistics/pnl?account_id=acc001{query}")

    kept = front.trade.settling.statements
    days = [(one.trading_day, one.funds) for one in kept.of_account("acc001")]
    assert [(one.trading_day, one.funds) for one in kept.funds_of("acc001")] == days and len(days) == 2
    assert [one.trading_day for one in kept.funds_of("acc001", start=20210803)] == [20210803]
    funds = front.get("ann", "/api/account/acc001")["accounts"]
    whole = pnl()
    assert whole["net"] == pytest.approx(funds["balance"] - 1_000_000 - 1234.56 + 1000, abs=1e-6)
    # One lot of 75,000, one of 75,500 closed; two of 75,200 held; two of five short at 5,000 closed at 5,010.
    assert whole["realized"] == pytest.approx((75400 - 75000) * 5 + (75100 - 75500) * 5 - 10 * 10 * 2)
    assert whole["unrealized"] == pytest.approx((75350 - 75200) * 5 * 2 + (5000 - 5003) * 10 * 3)
    days = ["20210802", "20210803", "20210804"]
    assert [day["trading_day"] for day in whole["daily_pnl"]] == days
    for first in range(3):
        for last in range(first, 3):
            part = pnl(f"&start={days[first]}&end={days[last]}")
            assert part["net"] == pytest.approx(sum(day["profit"] for day in part["daily_pnl"]), abs=1e-6)
            assert sum(row["net"] for row in part["instrument_pnl"]) == pytest.approx(part["net"], abs=1e-6)
            assert part["daily_pnl"] == whole["daily_pnl"][first : last + 1]
    assert sum(day["profit"] for day in whole["daily_pnl"]) == pytest.approx(whole["net"], abs=1e-6)
    before = 0.0
    for day in whole["daily_pnl"]:
        assert day["balance"] == pytest.approx(
            before + day["deposit"] - day["withdraw"] + day["profit"], abs=1e-6
        )
        before = day["balance"]


def test_an_instrument_of_our_own_counts_with_its_own_multiple(front: TradingFront) -> None:
    listed = {
        "instrument_id": "SHFE.cu2203", "price_tick": 10, "contract_multiplier": 7, "lower_limit": 100,
        "upper_limit": 1000, "commission_rate": 0.0002,
    }  # fmt: skip
    front.post("root", "/api/admin/instrument/create", listed)
    for direction, offset, price in (("BUY", "OPEN", 500), ("SELL", "CLOSETODAY", 510)):
        front.post("ann", "/api/order/submit", order("SHFE.cu2203", direction, offset, 1, price))
        other = order("SHFE.cu2203", "SELL" if direction == "BUY" else "BUY", offset, 1, price)
        front.post("bob", "/api/order/submit", other | {"account_id": "acc002"})
    found = front.get("ann", "/api/data/statistics/trades?account_id=acc001")
    assert (found["total_turnover"], found["max_profit"]) == (7 * 1010, 70)
    profit = front.get("ann", "/api/data/statistics/pnl?account_id=acc001")
    assert profit["net"] == pytest.approx(profit["daily_pnl"][0]["profit"], abs=1e-6)


@pytest.mark.parametrize("day", ["20261399", "2026-02-30", "00000000", "2026060", "２０２６０６０３"])
def test_a_day_that_is_none_is_refused(front: TradingFront, day: str) -> None:
    path = f"/api/data/statistics/pnl?account_id=acc001&start={quote(day)}"
    assert front.error("ann", "GET", path) == (400, 1008)


def test_shares_are_paired_whatever_offset_was_said(front: TradingFront) -> None:
    share = "SSE.600000"
    front.tick(share, 10, pre_close=10, ask_price1=10, ask_volume1=1000)
    for offset in ("OPEN", "CLOSE"):
        front.post("ann", "/api/order/submit", order(share, "BUY", offset, 100, 10))
    settle(front, "2021-08-03 09:31:00")
    front.tick(share, 10.5, pre_close=10, bid_price1=10.5, bid_volume1=1000)
    for offset in ("OPEN", "CLOSE"):
        front.post("ann", "/api/order/submit", order(share, "SELL", offset, 100, 10.5))
    found = front.get("ann", "/api/data/statistics/trades?account_id=acc001")
    assert (found["win_count"], found["loss_count"], found["max_profit"]) == (2, 0, pytest.approx(50))
    profit = front.get("ann", "/api/data/statistics/pnl?account_id=acc001")
    assert (profit["realized"], profit["unrealized"]) == (pytest.approx(100), 0)
    assert profit["net"] == pytest.approx(sum(day["profit"] for day in profit["daily_pnl"]), abs=1e-6)


def test_a_file_for_spreadsheets(front: TradingFront) -> None:
    done(front, CU, "BUY", "OPEN", 1, 75000)
    front.post("ann", "/api/account/deposit", {"account_id": "acc001", "amount": 1})

    def rows(kind: str) -> list[dict[str, str]]:
        path = f"/api/data/export?account_id=acc001&data_type={kind}&format=excel"
        reply = front.call("ann", "GET", path)
        assert reply.headers["Content-Disposition"] == f'attachment; filename="acc001-{kind}.csv"'
        assert reply.body.startswith(b"\xef\xbb\xbf")
        return list(csv.DictReader(io.StringIO(reply.body.decode("utf-8-sig"))))

    (told,) = rows("orders")
    assert (told["message"], told["submit_time"]) == ("全部成交", "2021-08-02 09:30:00.000")
    assert rows("trades")[0]["timestamp"] == "2021-08-02 09:30:00.000"
    assert rows("transactions")[-1]["ts_ns"] == "2021-08-02 09:30:00.000"
    assert rows("positions")[0]["volume_long"] == "1"
