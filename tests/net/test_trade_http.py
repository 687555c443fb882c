"""The trading REST through a real server: worked examples, rights, bad input, and every user door."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qautlra.auth.service import AuthOptions
from tests.net.trading_front import TradingFront
from tests.trade.rig import beijing_ns

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


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TradingFront]:
    """A front for tests that change nothing in it; bob's order `theirs` and ann's `once` are alive."""
    found = TradingFront(tmp_path_factory.mktemp("still"))
    found.quotes()
    theirs = order(CU, "BUY", "OPEN", 1, 74000, account_id="acc002", order_id="theirs")
    found.post("bob", "/api/order/submit", theirs)
    submit(found, CU, "BUY", "OPEN", 1, 74000, order_id="once")
    yield found
    found.stop()


@pytest.fixture
def front(make: Callable[..., TradingFront]) -> TradingFront:
    found = make()
    found.quotes()
    return found


def order(
    instrument: str, direction: str, offset: str, volume: float, price: float, **more: Any
) -> dict[str, Any]:
    return {
        "instrument_id": instrument, "direction": direction, "offset": offset, "volume": volume,
        "price": price, **more,
    }  # fmt: skip


def submit(front: TradingFront, *arguments: Any, **more: Any) -> str:
    sent = order(*arguments, **{"account_id": "acc001"} | more)
    order_id: str = front.post("ann", "/api/order/submit", sent)["order_id"]
    return order_id


def funds(front: TradingFront, **expected: float) -> None:
    document = front.get("ann", "/api/account/acc001")["accounts"]
    listed = front.get("ann", "/api/user/ann/accounts")[0]
    for name, value in expected.items():
        assert document[name] == pytest.approx(value, abs=1e-6), name
        assert listed[name] == pytest.approx(value, abs=1e-6), name


def test_the_account_as_a_document_has_its_transfers(front: TradingFront) -> None:
    """Contract 1.6: as the socket's tree and the list of transfers have them."""
    front.post("ann", "/api/account/deposit", {"account_id": "acc001", "amount": 5})
    front.call("ann", "POST", "/api/account/withdraw", {"account_id": "acc001", "amount": 1e10})
    listed = front.get("ann", "/api/account/acc001/transfers")
    document = front.get("ann", "/api/account/acc001")
    assert [one["amount"] for one in listed] == [5, -1e10]
    assert document["transfers"] == {
        str(one["transfer_id"]): {
            "datetime": one["timestamp"] * 1_000_000, "currency": "CNY", "amount": one["amount"],
            "error_id": one["error_code"], "error_msg": one["message"],
        }
        for one in listed
    }  # fmt: skip
    assert "转账成功" in "".join(document["event"].values())


def test_an_order_id_may_be_as_long_as_on_the_socket(front: TradingFront) -> None:
    """Contract 2.2: up to 256; what came by another door with one can be withdrawn and changed here."""
    names = ["a" * 256, "b" * 256, "c" * 129]
    for name in names[:2]:
        assert front.on_loop(lambda name=name: front.rig.send(name, CU, "BUY", "OPEN", 1, 70_000)).ok
    assert submit(front, CU, "BUY", "OPEN", 1, 70_000, order_id=names[2]) == names[2]
    changed = front.call(
        "ann", "PUT", f"/api/order/modify/{names[0]}", {"account_id": "acc001", "new_price": 70_010}
    )
    assert changed.json["data"]["price"] == 70_010
    front.post("ann", "/api/order/cancel", {"account_id": "acc001", "order_id": names[0]})
    done = front.post("ann", "/api/order/batch-cancel", {"account_id": "acc001", "order_ids": names[1:]})
    assert done["success_count"] == 2
    assert {front.get("ann", f"/api/order/{name}")["status"] for name in names} == {"cancelled"}
    sent = order(CU, "BUY", "OPEN", 1, 70_000, account_id="acc001", order_id="单" * 86)  # 258 bytes
    assert front.error("ann", "POST", "/api/order/submit", sent) == (400, 1008)


# --- worked examples ---


def test_a_the_life_of_copper(front: TradingFront) -> None:
    name = submit(front, "cu2109", "BUY", "OPEN", 2, 75000)
    assert front.get("ann", f"/api/order/{name}")["status"] == "submitted"
    funds(front, frozen_margin=75_000, frozen_commission=37.5, available=924_962.5, balance=1_000_000)
    front.tick(CU, 75000, ask_price1=75000, ask_volume1=2)
    funds(front, margin=75_000, commission=37.5, balance=999_962.5, available=924_962.5)
    funds(front, risk_ratio=0.0750028126054727)
    shown = front.get("ann", f"/api/order/{name}")
    assert (shown["status"], shown["filled_volume"], shown["user_id"]) == ("filled", 2, "ann")
    (trade,) = front.get("ann", "/api/trades/account/acc001")
    assert (trade["price"], trade["volume"], trade["commission"]) == (75000, 2, 37.5)
    front.tick(CU, 75100)
    funds(front, position_profit=1_000, float_profit=1_000, balance=1_000_962.5, available=925_962.5)
    before = front.get("ann", "/api/account/acc001")["accounts"]
    sent = order(CU, "SELL", "CLOSE", 1, 75200, account_id="acc001", order_id="a2x")
    reply = front.call("ann", "POST", "/api/order/submit", sent)
    assert (reply.status, reply.json["error"]["code"], reply.json["error"]["name"]) == (
        400, 3007, "CLOSE_EXCEEDS_YESTERDAY",
    )  # fmt: skip
    refused = front.get("ann", "/api/order/a2x")
    assert (refused["status"], refused["filled_volume"], refused["error_code"]) == ("rejected", 0, 3007)
    assert front.get("ann", "/api/account/acc001")["accounts"] == before
    submit(front, CU, "SELL", "CLOSETODAY", 1, 75200)
    front.tick(CU, 75200, bid_price1=75200, bid_volume1=1)
    funds(front, close_profit=1_000, commission=37.5, margin=37_500, position_profit=1_000)
    funds(front, balance=1_001_962.5, available=964_462.5, risk_ratio=0.0374265503948501)

    # the day ends
    front.post("clerk", "/api/admin/settlement/set-price", {"instrument_id": CU, "settlement_price": 75100})
    assert front.get("clerk", "/api/admin/settlement/prices")["prices"] == {CU: 75100}
    assert front.error("clerk", "POST", "/api/admin/settlement/execute") == (409, 6004)
    ended = front.post("clerk", "/api/admin/settlement/execute", {"force": True})
    assert (ended["trading_day"], ended["next_day"], ended["trades"]) == ("20210802", "20210803", 2)
    assert front.error("clerk", "POST", "/api/admin/settlement/execute", {"force": True}) == (409, 6002)
    funds(front, pre_balance=1_001_462.5, static_balance=1_001_462.5, close_profit=0, commission=0)
    funds(front, float_profit=500, position_profit=0, margin=37_550, available=963_912.5)
    funds(front, risk_ratio=0.0374951633236392)
    (position,) = front.get("ann", "/api/position/account/acc001")
    assert (position["volume_long_his"], position["volume_long_today"]) == (1, 0)
    assert (position["position_cost_long"], position["open_cost_long"]) == (375_500, 375_000)
    assert front.get("ann", "/api/order/user/ann") == front.get("ann", "/api/trades/user/ann") == []

    front.on_loop(lambda: front.rig.at("2021-08-03 09:30:00"))
    front.tick(CU, 74900)
    funds(front, position_profit=-1_000, float_profit=-500, balance=1_000_462.5, available=962_912.5)
    sent = order(CU, "SELL", "CLOSETODAY", 1, 74800, account_id="acc001")
    assert front.error("ann", "POST", "/api/order/submit", sent) == (400, 3006)
    submit(front, CU, "SELL", "CLOSE", 1, 74800)
    front.tick(CU, 74800, bid_price1=74800, bid_volume1=1)
    funds(front, close_profit=-1_500, commission=18.7, margin=0, balance=999_943.8, available=999_943.8)
    funds(front, risk_ratio=0)

    # what is said of both days afterwards
    statement = front.get("ann", "/api/data/settlement/statement?account_id=acc001&date=2021-08-02")
    assert statement["balance"] == pytest.approx(1_001_462.5)
    assert (statement["close_profit"], statement["commission"]) == (1_000, 37.5)
    assert len(statement["trades"]) == 2 and len(statement["orders"]) == 3
    assert "成交明细" in statement["text"] and "37.50" in statement["text"].split("成交明细")[1]
    paged = "/api/data/settlement/statement?account_id=acc001&date=2021-08-02&page=2&page_size=1"
    page = front.get("ann", paged)
    assert page["text"] == statement["text"] and (page["trades_total"], page["orders_total"]) == (2, 3)
    assert (page["trades"], page["orders"]) == (statement["trades"][1:2], statement["orders"][1:2])
    figures = front.get("ann", "/api/data/statistics/trades?account_id=acc001")
    assert (figures["total_trades"], figures["total_volume"]) == (3, 4)
    assert figures["total_commission"] == pytest.approx(37.5 + 18.7)
    assert (figures["win_count"], figures["loss_count"], figures["win_rate"]) == (1, 1, 0.5)
    assert (figures["max_profit"], figures["max_loss"], figures["profit_factor"]) == (1_000, 1_000, 1.0)
    profit = front.get("ann", "/api/data/statistics/pnl?account_id=acc001")
    assert profit["net"] == pytest.approx(-56.2)  # of the contract
    assert [day["profit"] for day in profit["daily_pnl"]] == pytest.approx([1_462.5, -1_518.7])
    curve = front.get("ann", "/api/account/acc001/equity-curve")["days"]
    assert [(day["trading_day"], day["balance"]) for day in curve] == [
        ("20210802", pytest.approx(1_001_462.5)),
        ("20210803", pytest.approx(999_943.8)),
    ]
    risk = front.get("ann", "/api/data/statistics/risk?account_id=acc001")
    assert risk["total_return"] == pytest.approx(999_943.8 / 1_000_000 - 1)
    assert risk["max_drawdown"] == pytest.approx(1 - 999_943.8 / 1_001_462.5)
    ranked = front.get("root", "/api/data/statistics/rankings")
    assert [(row["rank"], row["account_id"]) for row in ranked] == [(1, "acc002"), (2, "acc001")]
    (kept,) = front.get("clerk", "/api/admin/settlement/history")
    assert (kept["trading_day"], kept["accounts"], kept["by"]) == ("20210802", 2, "clerk")
    assert kept["prices"][CU] == 75100
    detail = front.get("clerk", "/api/admin/settlement/detail/20210802")
    assert detail["account_details"][0]["funds"]["balance"] == pytest.approx(1_001_462.5)
    assert front.error("clerk", "GET", "/api/admin/settlement/detail/20200101") == (404, 6003)


def test_c_partial_fill_better_price_cancel(front: TradingFront) -> None:
    front.tick(RB, 5001, bid_price1=5001, bid_volume1=3, bid_price2=5000, bid_volume2=4)
    name = submit(front, RB, "SELL", "OPEN", 10, 5000)
    front.tick(RB, 5001)
    trades = front.get("ann", "/api/trades/account/acc001")
    assert [(trade["volume"], trade["price"]) for trade in trades] == [(3, 5001), (4, 5000)]
    shown = front.get("ann", f"/api/order/{name}")
    assert (shown["status"], shown["filled_volume"]) == ("partially_filled", 7)
    funds(front, frozen_margin=13_500, margin=31_502.7, commission=35.003, position_profit=-40)
    (position,) = front.get("ann", "/api/position/user/ann")
    assert position["open_price_short"] == pytest.approx(5000.428571428571)
    done = front.post("ann", "/api/order/cancel", {"account_id": "acc001", "order_id": name})
    assert done == {"order_id": name, "status": "cancelled"}
    funds(front, frozen_margin=0, frozen_commission=0, balance=999_924.997, available=968_422.297)
    front.tick(RB, 4990, ask_price1=4990, ask_volume1=7)
    submit(front, RB, "BUY", "CLOSETODAY", 7, 4990)
    funds(front, close_profit=730, commission=69.933, balance=1_000_660.067)


# --- whose account ---


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/order/submit", order(CU, "BUY", "OPEN", 1, 75000, account_id="acc002")),
        ("POST", "/api/order/submit", order(CU, "BUY", "OPEN", 1, 75000, user_id="bob")),
        ("POST", "/api/order/submit", order(CU, "BUY", "OPEN", 1, 75000, account_id="nobody")),
        ("POST", "/api/order/cancel", {"account_id": "acc002", "order_id": "theirs"}),
        ("POST", "/api/order/batch", {"account_id": "acc002", "orders": [order(CU, "BUY", "OPEN", 1, 1)]}),
        ("POST", "/api/order/batch-cancel", {"account_id": "acc002", "order_ids": ["theirs"]}),
        ("PUT", "/api/order/modify/theirs", {"account_id": "acc002", "new_price": 1.0}),
        ("POST", "/api/account/deposit", {"account_id": "acc002", "amount": 5}),
        ("POST", "/api/account/withdraw", {"account_id": "acc002", "amount": 5}),
        ("POST", "/api/account/transfer", {"account_id": "acc002", "amount": 5}),
        ("GET", "/api/account/acc002", None),
        ("GET", "/api/account/acc002/banks", None),
        ("GET", "/api/account/acc002/transfers", None),
        ("GET", "/api/account/acc002/equity-curve", None),
        ("GET", "/api/user/bob/accounts", None),
        ("POST", "/api/user/bob/account/create", {"account_id": "new1"}),
        ("POST", "/api/account/open", {"user_id": "bob", "account_id": "new1"}),
        ("GET", "/api/order/user/bob", None),
        ("GET", "/api/order/user/acc002", None),
        ("GET", "/api/position/account/acc002", None),
        ("GET", "/api/position/user/bob", None),
        ("GET", "/api/trades/account/acc002", None),
        ("GET", "/api/trades/user/bob", None),
        ("GET", "/api/order/conditional/list?account_id=acc002", None),
        ("GET", "/api/order/conditional/statistics?account_id=acc002", None),
        ("GET", "/api/data/statistics/trades?account_id=acc002", None),
        ("GET", "/api/data/statistics/pnl?account_id=acc002", None),
        ("GET", "/api/data/statistics/risk?account_id=acc002", None),
        ("GET", "/api/data/analysis/position/acc002", None),
        ("GET", "/api/data/settlement/statement?account_id=acc002", None),
        ("GET", "/api/data/export?account_id=acc002", None),
        ("GET", "/api/account-admin/commission/statistics/acc002", None),
        ("GET", "/api/account-admin/margin/summary/acc002", None),
        ("GET", "/api/account-admin/status/acc002", None),
        ("GET", "/api/management/accounts", None),
        ("POST", "/api/management/deposit", {"account_id": "acc001", "amount": 5}),
        ("POST", "/api/account-admin/freeze", {"account_id": "acc001"}),
        ("POST", "/api/admin/settlement/execute", None),
        ("POST", "/api/admin/risk/state", {"state": "HALTED"}),
        ("POST", "/api/management/risk/force-liquidate", {"account_id": "acc001"}),
    ],
)  # fmt: skip
def test_what_is_not_yours_is_403_and_unchanged(
    still: TradingFront, method: str, path: str, body: Any
) -> None:
    before = still.get("bob", "/api/account/acc002")
    assert still.error("ann", method, path, body) == (403, 9403)
    assert still.get("bob", "/api/account/acc002") == before
    assert still.error(None, method, path, body) == (401, 9401)


def test_who_may_look_may_not_trade(front: TradingFront) -> None:
    assert front.get("eye", "/api/account/acc001")["accounts"]["balance"] == 1_000_000
    sent = order(CU, "BUY", "OPEN", 1, 75000, account_id="acc001")
    assert front.error("eye", "POST", "/api/order/submit", sent) == (403, 9403)
    assert front.error("eye", "POST", "/api/account/deposit", {"account_id": "acc001", "amount": 1}) == (
        403,
        9403,
    )
    name = submit(front, CU, "BUY", "OPEN", 1, 74000)
    assert front.error("risk", "POST", "/api/order/submit", sent) == (403, 9403)
    assert (
        front.post("risk", "/api/order/cancel", {"account_id": "acc001", "order_id": name})["status"]
        == "cancelled"
    )


# --- bad input ---


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, 1008),
        (b"{", 400, 1008),
        (b"\xff\x00junk", 400, 1008),
        (b"null", 400, 1008),
        (b"[1,2]", 400, 1008),
        ({"instrument_id": CU}, 400, 1008),
        (order(CU, "BUY", "OPEN", 1, "dear"), 400, 1008),  # type: ignore[arg-type]
        (order(CU, "UP", "OPEN", 1, 75000), 400, 1008),
        (order(CU, "BUY", "SIDEWAYS", 1, 75000), 400, 1008),
        (order(CU, "BUY", "OPEN", 1, 75000, order_type="MAGIC"), 400, 1008),
        (order(CU, "BUY", "OPEN", 1, 75000, time_condition="NEVER"), 400, 1008),
        (order(CU, "BUY", "OPEN", 1, 75000, order_id="a|b"), 400, 1008),
        (order(CU, "BUY", "OPEN", 1, 75000, order_id="x" * 257), 400, 1008),
        (order(CU, "BUY", "OPEN", 1, 75000, time_condition="GTC"), 400, 4001),
        (order(CU, "BUY", "OPEN", 1, 75000, time_condition="GTD"), 400, 4001),
        (order(CU, "BUY", "OPEN", 1, 75000, min_volume=-1), 400, 1008),
        (order("SHFE.zz9999", "BUY", "OPEN", 1, 75000), 404, 1007),
        (order("'; drop table", "BUY", "OPEN", 1, 75000), 404, 1007),
        (order(CU, "BUY", "OPEN", 0, 75000), 400, 1003),
        (order(CU, "BUY", "OPEN", -1, 75000), 400, 1003),
        (order(CU, "BUY", "OPEN", 1.5, 75000), 400, 1003),
        (order(CU, "BUY", "OPEN", 1, 75005), 400, 3004),
        (order(CU, "BUY", "OPEN", 1, 99000), 400, 4002),
        (order(CU, "BUY", "OPEN", 1, 10), 400, 4003),
        (order(CU, "BUY", "OPEN", 100, 75000), 400, 1001),
        (order(CU, "SELL", "CLOSETODAY", 1, 75000), 400, 3005),
        (order(CU, "BUY", "OPEN", 1, 75000, order_id="once"), 409, 3002),
    ],
    ids=str,
)  # fmt: skip
def test_bad_orders_change_nothing(still: TradingFront, body: Any, status: int, code: int) -> None:
    before = still.get("ann", "/api/account/acc001")["accounts"]
    sent = {**body, "account_id": "acc001"} if isinstance(body, dict) else body
    assert still.error("ann", "POST", "/api/order/submit", sent) == (status, code)
    assert still.get("ann", "/api/account/acc001")["accounts"] == before


# --- orders ---


def test_batches(front: TradingFront) -> None:
    sent = {
        "account_id": "acc001",
        "orders": [
            order(CU, "BUY", "OPEN", 1, 74000, order_id="b1"),
            order(CU, "BUY", "OPEN", 1, 74005, order_id="b2"),
            order("nothing", "BUY", "OPEN", 1, 74000, order_id="b3"),
            order(CU, "BUY", "OPEN", 1, 73000, order_id="b4", account_id="acc002"),
            order(CU, "BUY", "OPEN", 1, 73000, order_id="b5"),
        ],
    }
    done = front.post("ann", "/api/order/batch", sent)
    assert (done["total"], done["success_count"], done["failed_count"]) == (5, 2, 3)
    codes = [result["error"] and result["error"]["code"] for result in done["results"]]
    assert codes == [None, 3004, 1007, 9403, None]
    assert front.get("bob", "/api/order/user/bob") == []
    cancelled = front.post(
        "ann", "/api/order/batch-cancel", {"account_id": "acc001", "order_ids": ["b1", "never", "b5"]}
    )
    assert [result["success"] for result in cancelled["results"]] == [True, False, True]
    assert front.get("ann", "/api/order/user/ann?status=alive") == []
    too_many = {"account_id": "acc001", "orders": [order(CU, "BUY", "OPEN", 1, 74000)] * 101}
    assert front.error("ann", "POST", "/api/order/batch", too_many) == (400, 1008)
    assert front.error("ann", "POST", "/api/order/batch", {"account_id": "acc001", "orders": []}) == (
        400,
        1008,
    )


def test_a_living_order_is_changed(front: TradingFront) -> None:
    name = submit(front, CU, "BUY", "OPEN", 3, 74000)
    path = f"/api/order/modify/{name}"
    shown = front.post("ann", path, {"account_id": "acc001", "new_price": 73000, "new_volume": 2}, "PUT")
    assert (shown["price"], shown["volume"], shown["status"]) == (73000, 2, "submitted")
    assert front.error("ann", "PUT", path, {"account_id": "acc001"}) == (400, 1008)
    assert front.error("ann", "PUT", path, {"account_id": "acc001", "new_price": 73005}) == (400, 3004)
    assert front.error("ann", "PUT", "/api/order/modify/never", {"new_price": 73000}) == (404, 3001)


def test_an_order_is_not_made_smaller_than_what_has_traded(front: TradingFront) -> None:
    name = submit(front, CU, "BUY", "OPEN", 3, 75000)
    front.tick(CU, 75000, ask_price1=75000, ask_volume1=2)
    path = f"/api/order/modify/{name}"
    for volume in (2, 1):
        reply = front.call("ann", "PUT", path, {"account_id": "acc001", "new_volume": volume})
        assert (reply.status, reply.json["error"]["code"]) == (400, 1003)
        assert reply.json["error"]["message"] == "new_volume: 2 have traded already, expected more"
    for volume in (0, 0.5):
        reply = front.call("ann", "PUT", path, {"account_id": "acc001", "new_volume": volume})
        assert reply.json["error"]["message"] == "Not a permitted volume"
    assert front.get("ann", f"/api/order/{name}")["volume"] == 3


def test_the_same_order_twice_is_one_order(front: TradingFront) -> None:
    submit(front, CU, "BUY", "OPEN", 1, 74000, order_id="twice")
    sent = order(CU, "BUY", "OPEN", 1, 74000, account_id="acc001", order_id="twice")
    assert front.error("ann", "POST", "/api/order/submit", sent) == (409, 3002)
    assert len(front.get("ann", "/api/order/user/ann")) == 1


def test_a_market_order_needs_no_price(front: TradingFront) -> None:
    front.tick("DCE.m2109", 3500, ask_price1=3501, ask_volume1=5)
    sent = order("m2109", "BUY", "OPEN", 2, 0, order_type="MARKET")
    del sent["price"]
    assert front.post("ann", "/api/order/submit", sent)["status"] == "filled"
    (trade,) = front.get("ann", "/api/trades/user/ann")
    assert (trade["price"], trade["volume"]) == (3501, 2)


def test_orders_beyond_the_rate_are_429(make: Callable[..., TradingFront]) -> None:
    front = make(options=AuthOptions(orders_per_s=0.5, orders_burst=5))
    front.quotes()
    sent = order(CU, "BUY", "OPEN", 1, 74000, account_id="acc001")
    for _ in range(5):
        front.post("ann", "/api/order/submit", sent)
    reply = front.call("ann", "POST", "/api/order/submit", sent)
    assert (reply.status, reply.json["error"]["code"]) == (429, 9429)
    assert 1 <= int(reply.headers["Retry-After"]) <= 2
    many = {"account_id": "acc002", "orders": [order(CU, "BUY", "OPEN", 1, 74000)] * 5}
    assert front.post("bob", "/api/order/batch", many)["success_count"] == 5
    assert len(front.get("ann", "/api/order/user/ann")) == 5


# --- conditional orders ---


def conditional(price: float, when: str, **more: Any) -> dict[str, Any]:
    return {
        "account_id": "acc001", "instrument_id": "cu2109", "direction": "BUY", "offset": "OPEN", "volume": 1,
        "order_type": "LIMIT", "limit_price": 76000, "trigger_price": price, "trigger_condition": when,
        **more,
    }  # fmt: skip


def test_a_conditional_order_goes_in_once_when_its_price_comes(front: TradingFront) -> None:
    made = front.post("ann", "/api/order/conditional", conditional(75500, "GE", condition_type="STOP_LOSS"))
    assert (made["status"], made["order_ids"], made["instrument_id"]) == ("PENDING", [], CU)
    front.tick(CU, 75400)
    assert front.get("ann", "/api/order/user/ann") == []
    front.tick(CU, 75500)
    front.tick(CU, 75600)
    (shown,) = front.get("ann", "/api/order/conditional/list?account_id=acc001")
    (entered,) = front.get("ann", "/api/order/user/ann")
    assert (shown["status"], shown["order_ids"]) == ("TRIGGERED", [entered["order_id"]])
    counts = front.get("ann", "/api/order/conditional/statistics")
    assert (counts["total"], counts["triggered"], counts["pending"]) == (1, 1, 0)
    path = f"/api/order/conditional/{made['conditional_order_id']}"
    assert front.error("ann", "DELETE", path) == (409, 3022)


def test_conditional_orders_that_end_otherwise(front: TradingFront) -> None:
    assert front.error("ann", "POST", "/api/order/conditional", conditional(74000, "GE")) == (400, 3021)
    assert front.error("ann", "POST", "/api/order/conditional", conditional(80000, "GE", valid_until=5)) == (
        400,
        3014,
    )
    for wrong in (
        {"trigger_price": 0},
        {"trigger_condition": "NEAR"},
        {"condition_type": "X"},
        {"direction": "UP"},
    ):
        assert front.error("ann", "POST", "/api/order/conditional", conditional(80000, "GE", **wrong)) == (
            400,
            1008,
        )
    assert front.error("ann", "POST", "/api/order/conditional", conditional(80000, "GE", volume=0.5)) == (
        400,
        1003,
    )
    assert front.error("bob", "POST", "/api/order/conditional", conditional(80000, "GE")) == (403, 9403)
    first = front.post("ann", "/api/order/conditional", conditional(76000, "GE"))
    path = f"/api/order/conditional/{first['conditional_order_id']}"
    assert front.error("bob", "DELETE", path) == (404, 3020)
    assert front.error("eye", "DELETE", path) == (403, 9403)
    assert front.post("ann", path, method="DELETE")["status"] == "CANCELLED"
    assert front.error("ann", "DELETE", "/api/order/conditional/never") == (404, 3020)
    off_tick = conditional(76000, "GE", limit_price=76005)
    assert front.error("ann", "POST", "/api/order/conditional", off_tick) == (400, 3004)
    refused = conditional(76000, "GE", limit_price=82510)  # waits for other days too
    today = beijing_ns("2021-08-02 14:00:00") // 1_000_000
    gone = refused | {"valid_until": today}
    assert front.error("ann", "POST", "/api/order/conditional", gone) == (400, 4002)
    front.post("ann", "/api/order/conditional", refused)
    until = front.rig.clock.now_ns() // 1_000_000 + 60_000
    front.post("ann", "/api/order/conditional", conditional(74000, "LE", valid_until=until))
    front.post("ann", "/api/order/conditional", conditional(70000, "LE"))
    front.tick(CU, 76000)
    front.on_loop(lambda: front.rig.at("2021-08-02 09:31:30"))
    front.tick(CU, 75000)
    front.post("root", "/api/admin/settlement/execute", {"force": True})
    shown = front.get("ann", "/api/order/conditional/list")
    assert [one["status"] for one in shown] == ["CANCELLED", "FAILED", "EXPIRED", "PENDING"]
    assert shown[1]["error_code"] == 4002


def test_conditional_orders_outlive_a_restart(make: Callable[..., TradingFront]) -> None:
    front = make(durability="process")
    front.quotes()
    made = front.post("ann", "/api/order/conditional", conditional(75500, "GE"))
    front.stop()
    again = make(durability="process")
    again.quotes()
    (shown,) = again.get("ann", "/api/order/conditional/list")
    assert (shown["conditional_order_id"], shown["status"]) == (made["conditional_order_id"], "PENDING")
    again.tick(CU, 75600)
    (entered,) = again.get("ann", "/api/order/user/ann")
    assert entered["order_id"] == f"CO.{made['conditional_order_id']}.1"


def test_what_is_read_is_durable(make: Callable[..., TradingFront]) -> None:
    """A read in the turn of an order shows it only when its record is on the disk."""
    front = make(durability="power")
    front.quotes()
    trade, seen = front.trade, []
    real = trade.durable

    async def durable(lsn: int) -> None:
        await real(lsn)
        seen.append(lsn)

    trade.durable = durable  # type: ignore[method-assign]
    submit(front, CU, "BUY", "OPEN", 1, 74000)
    for path in ("/api/account/acc001", "/api/order/user/ann", "/api/position/user/ann"):
        seen.clear()
        front.get("ann", path)
        assert seen and seen[-1] >= front.on_loop(lambda: trade.head_lsn)
