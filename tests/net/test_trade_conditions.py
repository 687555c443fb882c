"""Conditional orders through the trade socket: what is sent, what is told, what is refused and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qautlra.model.condition import Conditional
from qautlra.net.trade_channel import CONDITIONS_COUNT
from qautlra.wire import trade_requests as asks
from qautlra.wire.conditions import order_of
from tests.net.trade_front import Client, TradeFront, run
from tests.trade.rig import ACCOUNT

CU = "SHFE.cu2109"


def request(**more: Any) -> dict[str, Any]:
    condition = {"contingent_type": "price", "exchange_id": "SHFE", "instrument_id": "cu2109"}
    order = {"exchange_id": "SHFE", "instrument_id": "cu2109", "direction": "BUY", "offset": "OPEN"}
    return {
        "user_id": ACCOUNT,
        "order_id": "c1",
        "condition_list": [condition | {"contingent_price": 75100, "price_relation": "GE"}],
        "conditions_logic_operator": "OR",
        "order_list": [order | {"volume_type": "NUM", "volume": 1, "price_type": "CONTINGENT"}],
        "time_condition_type": "GFD",
        **more,
    }


def decoded(body: dict[str, Any]) -> asks.InsertCondition:
    found = asks.decode(json.dumps({"aid": "insert_condition_order", **body}))
    assert isinstance(found, asks.InsertCondition)
    return found


async def insert(client: Client, **more: Any) -> tuple[int, str, str]:
    await client.send("insert_condition_order", **request(**more))
    return await client.until(
        lambda: next((n for n in client.notices if 500 < n[0] < 541 or n[0] == 15), None)
    )


def test_from_the_insert_to_the_released_order(tmp_path: Path) -> None:
    async def body(front: TradeFront) -> None:
        front.quotes()
        async with front.client() as client, front.client() as other:
            await client.send("insert_condition_order", **request())
            assert await client.notice(516) == (516, "INFO", "条件单下单成功")
            for one in (client, other):  # every login of the account hears
                told = await one.packet("rtn_condition_orders")
                assert (told["user_id"], told["trading_day"]) == (ACCOUNT, "20210802")
                [order] = told["condition_orders"]
                assert (order["order_id"], order["status"]) == ("c1", "live")
                assert order["condition_list"][0]["contingent_price"] == 75100
                assert order["order_list"][0]["price_type"] == "CONTINGENT"
            front.tick(CU, 75100)
            [order] = (await client.packet("rtn_condition_orders"))["condition_orders"]
            assert (order["status"], order["touched_time"] > 0) == ("touched", True)
            released = await client.until(lambda: client.tree["orders"].get("CO.c1.1"))
            assert (released["limit_price"], released["status"]) == (75100, "ALIVE")
            assert client.funds["frozen_margin"] == 37_550
        async with front.client() as late:  # a new login is told what there is
            [order] = (await late.packet("rtn_condition_orders"))["condition_orders"]
            assert order["status"] == "touched"
            await late.send("qry_his_condition_order", user_id=ACCOUNT, action_day=20210802)
            told = await late.packet("rtn_his_condition_orders")
            assert [o["order_id"] for o in told["his_condition_orders"]] == ["c1"]
            await late.send("qry_his_condition_order", user_id=ACCOUNT, action_day="2021")
            assert (await late.notice(539))[1] == "WARNING"

    run(tmp_path, body)


def test_a_login_is_told_of_many_a_few_in_a_packet(tmp_path: Path) -> None:
    """All there are, each as it is in the end, though one changes between two packets."""
    count = 3 * CONDITIONS_COUNT + 1

    async def body(front: TradeFront) -> None:
        front.quotes()
        known = front.trade.conditions
        for number in range(count):
            made = order_of(decoded(request(order_id=f"c{number}")), ACCOUNT, f"c{number}")
            assert known.insert(made).outcome == 516
        list_of = known.list

        def listed(account_id: str) -> list[Conditional]:
            found = list_of(account_id)
            assert known.cancel(ACCOUNT, f"c{count - 1}").outcome == 523  # before its packet
            known.list = list_of  # type: ignore[method-assign]
            return found

        known.list = listed  # type: ignore[method-assign]
        async with front.client() as client:
            await client.until(lambda: {"c0", f"c{count - 1}"} <= states(client).keys())
            await client.until(lambda: len(states(client)) == count)
            sizes = [len(p["condition_orders"]) for p in client.packets if p["aid"] == "rtn_condition_orders"]
            assert max(sizes) <= CONDITIONS_COUNT and len(sizes) >= 4
            assert states(client) == {f"c{n}": "live" for n in range(count - 1)} | {f"c{count - 1}": "cancel"}

    def states(client: Client) -> dict[str, str]:
        packets = [p for p in client.packets if p["aid"] == "rtn_condition_orders"]
        return {one["order_id"]: one["status"] for p in packets for one in p["condition_orders"]}

    run(tmp_path, body, conditions={"day_max": count, "valid_max": count})


def test_pause_resume_cancel(tmp_path: Path) -> None:
    async def body(front: TradeFront) -> None:
        front.quotes()
        async with front.client() as client:
            await client.send("insert_condition_order", **request())
            await client.notice(516)
            for aid, code, text in (
                ("pause_condition_order", 531, "条件单暂停成功"),
                ("pause_condition_order", 530, "条件单暂停请求已被服务器拒绝,原因:条件单已经暂停"),
                ("resume_condition_order", 536, "条件单恢复成功"),
                ("cancel_condition_order", 523, "条件单撤单成功"),
                ("cancel_condition_order", 521, "条件单撤单请求已被服务器拒绝,原因:条件单已撤"),
                ("resume_condition_order", 535, "条件单恢复请求已被服务器拒绝,原因:条件单不是暂停状态"),
            ):
                await client.send(aid, user_id=ACCOUNT, order_id="c1")
                assert (await client.notice(code))[2] == text
            await client.send("cancel_condition_order", user_id=ACCOUNT, order_id="no")
            await client.notice(519)
            await client.send("cancel_condition_order", user_id="nobody", order_id="c1")
            await client.notice(518)

    run(tmp_path, body)


def test_what_is_refused_says_why_in_chinese(tmp_path: Path) -> None:
    async def body(front: TradeFront) -> None:
        front.quotes()
        async with front.client() as client:
            good = request()["condition_list"][0]
            leg = request()["order_list"][0]
            for more, code in (
                ({"condition_list": [good | {"contingent_price": 74000}]}, 504),
                ({"condition_list": [good | {"instrument_id": "zz"}]}, 501),
                ({"user_id": "nobody"}, 515),
                ({"order_list": [leg | {"volume": 0}]}, 508),
                ({"order_list": [leg | {"offset": "SIDEWAYS"}]}, 15),
                ({"condition_list": "junk"}, 15),
                ({"order_id": "a=b"}, 15),
                ({"order_id": "a\n\x1b[31mb"}, 15),
            ):
                found = await insert(client, **more)
                assert found[:2] == (code, "WARNING")
                assert any("\u4e00" <= letter <= "\u9fff" for letter in found[2])
                client.notices.clear()
            assert front.trade.conditions.list(ACCOUNT) == []
            # The connection lives, and so does trading.
            assert (await insert(client))[0] == 516

    run(tmp_path, body)


def test_a_failed_login_is_told_in_chinese(tmp_path: Path) -> None:
    async def body(front: TradeFront) -> None:
        async with front.client(login=False) as client:
            await client.login(password="wrong")
            assert await client.notice(403) == (403, "WARNING", "用户登录失败,用户名或密码错误")
            await client.login()
            assert (await client.notice(401))[2] == "登录成功"

    run(tmp_path, body)
