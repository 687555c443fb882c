"""A headless vn.py: CtpGateway logs in, lists contracts, gets ticks, trades, closes today; says what it saw.

Run in an environment that has vnpy and vnpy_ctp, under `qautlra ctp-sim exec`.
"""

import datetime
import json
import os
import sys
import time

from vnpy.event import EventEngine
from vnpy.trader.constant import Direction, Exchange, Offset, OrderType, Status
from vnpy.trader.event import (
    EVENT_ACCOUNT,
    EVENT_CONTRACT,
    EVENT_LOG,
    EVENT_ORDER,
    EVENT_POSITION,
    EVENT_TICK,
    EVENT_TRADE,
)
from vnpy.trader.object import CancelRequest, OrderRequest, SubscribeRequest
from vnpy_ctp import CtpGateway

USER, PASSWORD, SYMBOL, EXCHANGE = sys.argv[1:5]
seen: dict[str, list] = {
    name: [] for name in ("contract", "tick", "trade", "order", "account", "position", "log")
}


def wait(what: str, right, seconds: float = 20.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = right()
        if found:
            return found
        time.sleep(0.05)
    print(f"no {what} in time; {[log.msg for log in seen['log']]} {seen['order'][-2:]} {seen['tick'][-1:]}")
    sys.stdout.flush()
    os._exit(1)


def main() -> None:
    engine = EventEngine()
    for kind, name in (
        (EVENT_CONTRACT, "contract"),
        (EVENT_TICK, "tick"),
        (EVENT_TRADE, "trade"),
        (EVENT_ORDER, "order"),
        (EVENT_ACCOUNT, "account"),
        (EVENT_POSITION, "position"),
        (EVENT_LOG, "log"),
    ):
        engine.register(kind, lambda event, name=name: seen[name].append(event.data))
    engine.start()
    gateway = CtpGateway(engine, "CTP")
    setting = dict(gateway.default_setting)
    setting |= {"用户名": USER, "密码": PASSWORD, "经纪商代码": "9999", "产品名称": "client_program_1"}
    setting |= {
        "柜台环境": "实盘",
        "交易服务器": "192.0.2.1:10201",
        "行情服务器": "192.0.2.1:10211",
        "授权编码": "0" * 16,
    }
    gateway.connect(setting)
    exchange = Exchange[EXCHANGE]
    contract = wait("contract", lambda: next((c for c in seen["contract"] if c.symbol == SYMBOL), None))
    gateway.subscribe(SubscribeRequest(symbol=SYMBOL, exchange=exchange))
    wait("ticks", lambda: len(seen["tick"]) >= 20)
    wait("continuous trading", lambda: seen["tick"][-1].datetime.time() > datetime.time(9, 30, 5))

    def send(direction: Direction, offset: Offset, price: float) -> str:
        return gateway.send_order(
            OrderRequest(
                symbol=SYMBOL,
                exchange=exchange,
                direction=direction,
                type=OrderType.LIMIT,
                volume=1,
                price=price,
                offset=offset,
            )
        )

    def state(order_id: str):
        return next((o for o in reversed(seen["order"]) if o.vt_orderid == order_id), None)

    tick = seen["tick"][-1]
    resting = send(Direction.LONG, Offset.OPEN, round(tick.bid_price_1 - 100 * contract.pricetick, 4))
    wait("resting order", lambda: state(resting) and state(resting).status == Status.NOTTRADED)
    gateway.cancel_order(CancelRequest(orderid=state(resting).orderid, symbol=SYMBOL, exchange=exchange))
    wait("cancel", lambda: state(resting).status == Status.CANCELLED)
    bought = send(Direction.LONG, Offset.OPEN, round(tick.ask_price_1 + 50 * contract.pricetick, 4))
    wait("fill", lambda: state(bought) and state(bought).status == Status.ALLTRADED)
    wait("trade", lambda: any(t.vt_orderid == bought for t in seen["trade"]))
    held = wait(
        "position",
        lambda: next((p for p in reversed(seen["position"]) if p.symbol == SYMBOL and p.volume), None),
    )
    money = wait(
        "account", lambda: next((a for a in reversed(seen["account"]) if a.available < a.balance), None)
    )
    low = round(seen["tick"][-1].bid_price_1 - 50 * contract.pricetick, 4)
    sold = send(Direction.SHORT, Offset.CLOSETODAY, low)
    wait("closing trade", lambda: any(t.vt_orderid == sold for t in seen["trade"]))
    said = {
        "contracts": len(seen["contract"]),
        "ticks": len(seen["tick"]),
        "pricetick": contract.pricetick,
        "size": contract.size,
        "name": contract.name,
        "position": held.volume,
        "balance": money.balance,
        "trades": [[t.offset.name, t.price, t.volume] for t in seen["trade"]],
        "time": str(seen["tick"][-1].datetime),
    }
    print(json.dumps(said, ensure_ascii=False), flush=True)
    os._exit(0)


main()
