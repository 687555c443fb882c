"""The trade socket: its conversation, what is told to whom and when, bad input, worked examples A and C."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.net.trade_desk import TradeDesk, Trader
from tests.trade.rig import ACCOUNT

CU = "SHFE.cu2109"
RB = "SHFE.rb2110"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[TradeDesk]:
    front = TradeDesk(tmp_path)
    yield front
    front.stop()


def money(trader: Trader, **expected: float) -> None:
    """Merge until the account says so: figures of one patch belong together."""
    names = list(expected)
    trader.until(lambda: [trader.funds[n] for n in names] == pytest.approx([*expected.values()], abs=1e-6))


# --- the conversation ---


def test_the_conversation_of_the_contract(front: TradeDesk) -> None:
    with front.client() as trader:
        assert trader.receive() == {"aid": "rtn_brokers", "brokers": ["paper"]}
        trader.send(aid="req_login", bid="paper", user_name=ACCOUNT, password="Check-pass-1")
        [notice, session] = trader.receive()["data"]
        [said] = notice["notify"].values()
        assert said == {
            "type": "MESSAGE", "level": "INFO", "code": 401, "session_id": 0, "content": "登录成功",
        }  # fmt: skip
        assert session == {"trade": {ACCOUNT: {"session": {"user_id": ACCOUNT, "trading_day": "20210802"}}}}
        trader.send(aid="peek_message")
        [tree] = trader.receive()["data"]
        account = tree["trade"][ACCOUNT]
        assert account["trade_more_data"] is False and account["trading_day"] == "20210802"
        assert account["accounts"]["CNY"]["balance"] == 1_000_000
        assert account["orders"] == account["trades"] == account["positions"] == account["transfers"] == {}
        assert account["banks"]["SIM"]["name"] == "模拟银行"


def test_what_comes_before_the_login_waits_for_it(front: TradeDesk) -> None:
    with front.client() as trader:
        trader.user = ACCOUNT
        trader.send(aid="peek_message")
        trader.order("early", CU, "BUY", "OPEN", 1, 70_000)
        trader.send(aid="req_login", bid="paper", user_name=ACCOUNT, password="Check-pass-1")
        trader.send(aid="confirm_settlement")
        trader.until(lambda: "early" in trader.orders)
        assert trader.orders["early"]["status"] == "ALIVE"


def test_a_peek_is_answered_once_and_held_while_nothing_is_new(front: TradeDesk) -> None:
    with front.log_in() as trader:
        trader.send(aid="peek_message")
        with pytest.raises(TimeoutError):
            trader.receive(0.2)
        trader.order("o1", CU, "BUY", "OPEN", 1, 70_000)
        packet = trader.receive()
        assert any("trade" in patch for patch in packet["data"])
        trader.order("o2", CU, "BUY", "OPEN", 1, 70_000)
        packet = trader.receive()  # no peek: only the notice
        assert [list(patch) for patch in packet["data"]] == [["notify"]]
        trader.send(aid="peek_message")
        trader.receive()
        assert trader.orders["o2"]["status"] == "ALIVE"


def test_two_logins_of_a_user_see_the_same(front: TradeDesk) -> None:
    with front.log_in() as one, front.log_in() as two:
        one.order("o1", CU, "BUY", "OPEN", 1, 70_000)
        for trader in (one, two):
            trader.until(lambda t=trader: "o1" in t.orders)
        assert one.orders == two.orders and one.funds == two.funds


def test_whole_trees_for_clients_that_want_them(front: TradeDesk) -> None:
    with front.log_in(query="?tree=whole") as trader:
        trader.order("o1", CU, "BUY", "OPEN", 1, 70_000)
        trader.send(aid="peek_message")
        while not any("trade" in patch for patch in trader.packets[-1]["data"]):
            trader.receive()
        account = next(p["trade"][ACCOUNT] for p in trader.receive()["data"] if "trade" in p)
        assert {"accounts", "positions", "orders", "trades", "banks", "transfers"} <= account.keys()


def test_push_needs_no_peek(front: TradeDesk) -> None:
    with front.log_in(query="?flow=push") as trader:
        trader.order("o1", CU, "BUY", "OPEN", 1, 70_000)
        while "o1" not in trader.orders:
            trader.receive()


def test_another_user_on_the_same_connection_takes_its_place(front: TradeDesk) -> None:
    with front.log_in() as trader:
        trader.send(aid="req_login", bid="paper", user_name=ACCOUNT, password="Check-pass-1")
        trader.until(lambda: (400, "重复登录") in trader.notices)
        trader.log_in("other")
        trader.order("mine", CU, "BUY", "OPEN", 1, 70_000)
        trader.until(lambda: "mine" in trader.orders)
        assert front.on_loop(front.trade.orders, ACCOUNT) == []


# --- worked examples ---


def test_a_the_life_of_copper(front: TradeDesk) -> None:
    with front.log_in() as trader:
        trader.order("o1", CU, "BUY", "OPEN", 2, 75_000)
        money(trader, frozen_margin=75_000, frozen_commission=37.5, available=924_962.5, balance=1_000_000)
        assert trader.orders["o1"]["status"] == "ALIVE" and trader.orders["o1"]["volume_left"] == 2
        front.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
        money(trader, margin=75_000, commission=37.5, balance=999_962.5, available=924_962.5)
        assert trader.funds["risk_ratio"] == pytest.approx(0.0750028126054727)
        assert trader.account["positions"][CU]["volume_long_today"] == 2
        assert (406, f"成交通知,合约:{CU},手数:2") in trader.notices
        front.tick(CU, 75_100)
        money(trader, position_profit=1_000, float_profit=1_000, available=925_962.5)
        before = dict(trader.funds)
        trader.order("a2x", CU, "SELL", "CLOSE", 1, 75_200)
        refused = trader.finish("a2x")
        assert (refused["volume_left"], refused["exchange_order_id"]) == (1, "")
        assert 415 in [code for code, _ in trader.notices]
        assert trader.funds == before
        trader.order("o2", CU, "SELL", "CLOSETODAY", 1, 75_200)
        front.tick(CU, 75_200, bid_price1=75_200, bid_volume1=1)
        money(trader, close_profit=1_000, commission=37.5, margin=37_500, position_profit=1_000)
        money(trader, balance=1_001_962.5, available=964_462.5, risk_ratio=0.0374265503948501)
        front.tick(CU, 75_100, settlement=75_100)
        front.on_loop(front.market.at, "2021-08-02 20:56:00")
        front.on_loop(front.trade.follow_day)
        money(trader, pre_balance=1_001_462.5, static_balance=1_001_462.5, margin=37_550)
        money(trader, available=963_912.5, float_profit=500, position_profit=0, close_profit=0)
        assert trader.account["trading_day"] == "20210803"
        assert trader.account["positions"][CU]["volume_long_his"] == 1
    with front.log_in() as again:
        assert again.orders == {} and again.account["trades"] == {}  # of a day that is over


def test_c_partial_fill_better_price_cancel(front: TradeDesk) -> None:
    with front.log_in() as trader:
        front.tick(RB, 5001, bid_price1=5001, bid_volume1=3, bid_price2=5000, bid_volume2=4)
        trader.order("c1", RB, "SELL", "OPEN", 10, 5_000)
        front.tick(RB, 5001)
        money(trader, frozen_margin=13_500, margin=31_502.7, commission=35.003, position_profit=-40)
        assert [t["price"] for t in trader.account["trades"].values()] == [5001, 5000]
        trader.send(aid="cancel_order", user_id=ACCOUNT, order_id="c1")
        assert trader.finish("c1")["volume_left"] == 3
        money(trader, frozen_margin=0, balance=999_924.997, available=968_422.297)
        trader.until(lambda: 419 in [code for code, _ in trader.notices])
        front.tick(RB, 4990, ask_price1=4990, ask_volume1=7)
        trader.order("c2", RB, "BUY", "CLOSETODAY", 7, 4_990)
        money(trader, close_profit=730, commission=69.933, balance=1_000_660.067)


# --- bad input ---


INSERT: dict[str, Any] = {
    "aid": "insert_order", "user_id": ACCOUNT, "exchange_id": "SHFE", "instrument_id": "cu2109",
    "direction": "BUY", "offset": "OPEN", "volume": 1, "limit_price": 70_000,
}  # fmt: skip
BAD: list[tuple[Any, int | None]] = [
    (b"\x00\x01junk", None),
    ("{", None),
    ("[1,2]", None),
    ('{"aid":"who knows"}', None),
    ({"aid": "insert_order"}, 15),
    ({"aid": "insert_order", "user_id": ACCOUNT, "volume": "two"}, 15),
    ({"aid": "cancel_order", "user_id": ACCOUNT, "order_id": 7}, 15),
    *(({**INSERT, "order_id": name}, 15) for name in ("two\nlines", "\x1b[31mred", "nul\0")),
]


@pytest.mark.parametrize(("message", "code"), BAD)
def test_bad_messages_harm_nobody(front: TradeDesk, message: Any, code: int | None) -> None:
    with front.log_in() as trader:
        if isinstance(message, bytes):
            trader.ws.send(message.decode("latin-1"))
        else:
            trader.ws.send(message if isinstance(message, str) else json.dumps(message))
        if code is not None:
            trader.until(lambda: code in [found for found, _ in trader.notices])
        trader.order("after", CU, "BUY", "OPEN", 1, 70_000)
        trader.until(lambda: "after" in trader.orders)


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"symbol": "SHFE.zz9999"}, 409),
        ({"price": 70_005}, 412),
        ({"price": 99_000}, 404),
        ({"price": 10_000}, 405),
        ({"volume": 0}, 411),
        ({"volume": 1.5}, 411),
        ({"volume": 1000}, 413),
        ({"direction": "SELL", "offset": "CLOSETODAY"}, 416),
        ({"direction": "UP"}, 15),
        ({"hedge_flag": "FOO"}, 15),
        ({"price_type": "ANY", "time_condition": "IOC"}, 80),
        ({"user_id": "somebody"}, 408),
        ({"order_id": "no=such|id"}, 15),
    ],
)
def test_refused_orders_have_their_code_and_change_nothing(
    front: TradeDesk, order: dict[str, Any], code: int
) -> None:
    with front.log_in() as trader:
        before = dict(trader.funds)
        plain = {"order_id": "bad", "symbol": CU, "direction": "BUY", "offset": "OPEN", "volume": 1}
        trader.order(**(plain | {"price": 70_000} | order))
        trader.until(lambda: code in [found for found, _ in trader.notices])
        if code not in (15, 408):
            refused = trader.finish("bad")
            assert refused["exchange_order_id"] == "" and refused["last_msg"]
        assert trader.funds == before


def test_lots_that_other_orders_keep_are_told_of(front: TradeDesk) -> None:
    with front.log_in() as trader:
        trader.order("open", CU, "BUY", "OPEN", 3, 75_000)
        front.tick(CU, 75_000, ask_price1=75_000, ask_volume1=3)
        trader.finish("open")
        trader.order("keeps", CU, "SELL", "CLOSETODAY", 2, 76_000)
        trader.order("more", CU, "SELL", "CLOSETODAY", 2, 76_000)
        said = "平今手数超过今仓持仓量,冻结手数:2"
        assert trader.finish("more")["last_msg"] == said
        trader.until(lambda: (414, f"下单失败,{said}") in trader.notices)
    with front.log_in() as later:
        assert later.orders["more"]["last_msg"] == said


def test_the_same_id_is_one_order(front: TradeDesk) -> None:
    with front.log_in() as trader:
        trader.order("same", CU, "BUY", "OPEN", 1, 70_000)
        trader.order("same", CU, "BUY", "OPEN", 3, 71_000)
        trader.until(lambda: 407 in [code for code, _ in trader.notices] and "same" in trader.orders)
        assert trader.orders["same"]["volume_orign"] == 1
        assert len(front.on_loop(front.trade.orders, ACCOUNT)) == 1


def test_cancels_of_what_is_not_there(front: TradeDesk) -> None:
    with front.log_in() as trader:
        trader.send(aid="cancel_order", user_id=ACCOUNT, order_id="never")
        trader.until(lambda: 420 in [code for code, _ in trader.notices])
        trader.send(aid="cancel_order", user_id="other", order_id="never")
        trader.until(lambda: 418 in [code for code, _ in trader.notices])


def test_a_wrong_password_is_told_and_shows_nothing(front: TradeDesk) -> None:
    with front.client() as trader:
        trader.user = ACCOUNT
        trader.send(aid="req_login", bid="paper", user_name=ACCOUNT, password="wrong")
        trader.send(aid="peek_message")
        while not trader.notices:
            trader.receive()
        [(code, text)] = trader.notices
        assert code == 403 and "用户登录失败" in text
        assert "trade" not in trader.tree


def test_an_unknown_broker_ends_the_connection(front: TradeDesk) -> None:
    with front.client() as trader:
        trader.send(aid="req_login", bid="nobody", user_name=ACCOUNT, password="Check-pass-1")
        with pytest.raises(ConnectionClosed):
            while True:
                trader.receive()


def test_one_may_not_trade_for_another(front: TradeDesk) -> None:
    with front.log_in("other") as trader:
        trader.order("theirs", CU, "BUY", "OPEN", 1, 70_000, user_id=ACCOUNT)
        trader.until(lambda: 408 in [code for code, _ in trader.notices])
        assert front.on_loop(front.trade.orders, ACCOUNT) == []


def test_too_many_requests_before_a_login_are_refused(front: TradeDesk) -> None:
    with front.client() as trader:
        trader.receive()
        for _ in range(70):
            trader.send(aid="qry_account_info")
        assert trader.receive()["data"][0]["notify"]


# --- money and passwords ---


def test_transfers(front: TradeDesk) -> None:
    with front.log_in() as trader:
        bank = {"bank_id": "SIM", "future_account": ACCOUNT, "future_password": "x", "bank_password": "x"}
        trader.send(aid="req_transfer", currency="CNY", amount=500.0, **bank)
        trader.until(lambda: (421, "转账成功") in trader.notices)
        money(trader, deposit=1_000_500, balance=1_000_500)
        trader.until(lambda: trader.account["transfers"])
        assert trader.account["transfers"]["1"]["amount"] == 500.0
        trader.send(aid="req_transfer", currency="CNY", amount=-9_000_000.0, **bank)
        trader.until(lambda: 422 in [code for code, _ in trader.notices])
        trader.until(lambda: "2" in trader.account["transfers"])
        assert trader.account["transfers"]["2"]["error_id"] == 2003
        assert trader.funds["balance"] == 1_000_500


def test_a_changed_password_is_the_one_from_then_on(front: TradeDesk) -> None:
    with front.log_in() as trader:
        trader.send(aid="change_password", old_password="wrong", new_password="Another-pass-2")
        trader.until(lambda: any(text == "修改密码失败,原密码错误" for _, text in trader.notices))
        trader.send(aid="change_password", old_password="Check-pass-1", new_password="Another-pass-2")
        trader.until(lambda: any("修改密码成功" in text for _, text in trader.notices))
    with front.log_in(password="Another-pass-2") as trader:
        assert trader.funds["balance"] == 1_000_000


def test_a_ping_is_answered(front: TradeDesk) -> None:
    with front.client() as trader:
        trader.receive()
        trader.send(aid="ping")
        assert trader.receive() == {"aid": "pong"}


def test_everything_is_there_after_a_restart_of_the_service(front: TradeDesk) -> None:
    with front.log_in() as trader:
        trader.order("o1", CU, "BUY", "OPEN", 1, 70_000)
        trader.until(lambda: "o1" in trader.orders)
        kept = dict(trader.orders)

        async def restart() -> None:
            await front.trade.stop(1.0)
            front.trade.renew()
            await front.trade.start()

        front.wait_for(restart())
    with front.log_in() as again:
        assert again.orders == kept


# --- market and trade on one socket ---


def test_one_socket_carries_both(front: TradeDesk) -> None:
    with front.client(path="/ws/diff") as trader:
        trader.user = ACCOUNT
        trader.send(aid="subscribe_quote", ins_list=f"{CU},{RB}")
        trader.send(aid="peek_message")
        while "quotes" not in trader.tree:
            trader.receive()
        assert trader.tree["quotes"][CU]["last_price"] == 75_000
        trader.send(aid="req_login", bid="paper", user_name=ACCOUNT, password="Check-pass-1")
        while trader.account.get("trade_more_data") is not False:
            trader.receive()
        trader.order("o1", CU, "BUY", "OPEN", 1, 75_000)
        while "o1" not in trader.orders:
            trader.receive()
        trader.send(aid="peek_message")
        front.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
        while trader.orders["o1"]["status"] == "ALIVE" or trader.tree["quotes"][CU]["ask_volume1"] != 2:
            trader.receive()


def test_a_client_that_does_not_read_is_merged_for_and_misses_nothing(front: TradeDesk) -> None:
    count = 6000
    with front.log_in(query="?flow=push") as trader:
        for n in range(count):
            trader.order(f"n{n}", CU, "BUY", "OPEN", 1, 70_000, time_condition="IOC")
        while len(trader.orders) < count:  # 190 orders a second pass the gate; the rest is refused, and told
            trader.receive()
        assert {order["status"] for order in trader.orders.values()} == {"FINISHED"}


def test_who_only_takes_a_place_keeps_nobody_out(front: TradeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qautlra.net.trade_ws.CLIENTS_COUNT", 2)
    monkeypatch.setattr("qautlra.net.trade_ws.STRANGER_S", 0.0)
    with front.log_in() as known, front.client() as stranger:
        assert stranger.receive()["aid"] == "rtn_brokers"
        with front.log_in() as other:
            with pytest.raises(ConnectionClosed, match="1013") as told:
                stranger.receive()
            assert "log in sooner" in str(told.value)
            with pytest.raises(InvalidStatus, match="429"), front.client():
                pass
            for trader in (known, other):
                trader.order(f"of{id(trader)}", CU, "BUY", "OPEN", 1, 70_000)
            known.until(lambda: len(known.orders) == 2)


def test_clients_beyond_the_bound_are_refused(front: TradeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qautlra.net.trade_ws.CLIENTS_COUNT", 2)
    with front.client() as first, front.client() as second:
        assert first.receive()["aid"] == second.receive()["aid"] == "rtn_brokers"
        with pytest.raises(InvalidStatus, match="429"), front.client():
            pass
    for _ in range(3):
        with front.log_in() as trader:
            assert trader.funds
