"""A document put together from its parts is the document written whole."""

import math

import msgspec
import pytest

from qautlra.model import qifi
from qautlra.wire.qifi import from_json, to_json
from qautlra.wire.qifi_parts import Parts, part

ORDERS = {
    'q"uote': qifi.Order(order_id='q"uote', limit_price=math.nan, last_msg="a:null,b"),
    "甲|1.2": qifi.Order(order_id="甲|1.2", limit_price=3500.2, volume_orign=3.0),
}
TRADES = {"t1": qifi.Trade(trade_id="t1", price=math.inf, commission=1.5)}


@pytest.mark.parametrize("orders", [{}, ORDERS])
@pytest.mark.parametrize("trades", [{}, TRADES])
@pytest.mark.parametrize("money", [1.5, math.nan])
def test_the_same_as_written_whole(
    orders: dict[str, qifi.Order], trades: dict[str, qifi.Trade], money: float
) -> None:
    head = qifi.Qifi(
        account_cookie='x"orders":{},"trades":{}',
        money=money,
        settlement={"orders": "{}", "trades": '"orders":{}'},
        banks={"orders": qifi.Bank(id="trades")},
        positions={"SHFE.cu2109": qifi.Position(instrument_id="cu2109")},
    )
    parts = Parts(head, [part(k, v) for k, v in orders.items()], [part(k, v) for k, v in trades.items()])
    whole = msgspec.structs.replace(head, orders=orders, trades=trades)
    assert msgspec.json.decode(parts.to_json()) == msgspec.json.decode(to_json(whole))
    assert from_json(parts.to_json()) == from_json(to_json(whole))
    assert repr(parts.document()) == repr(whole)  # NaN equals nothing
