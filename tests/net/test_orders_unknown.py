"""REST about orders whose answer never comes: what is said of them, and that others are not hidden by it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from qautlra.base.errors import UnavailableError
from qautlra.model import codes
from qautlra.model.order import Answer
from qautlra.net.trade_http import orders
from qautlra.net.trade_http.base import Call
from qautlra.wire.trade_errors import UNAVAILABLE

UNKNOWN = 2


async def durable(lsn: int) -> None:
    if lsn == UNKNOWN:
        raise UnavailableError("the broker has not shown the order it was sent", zh="状态未知")


CALL: Any = SimpleNamespace(trade=SimpleNamespace(durable=durable))


def test_the_error_of_one_names_the_order() -> None:
    async def main() -> None:
        assert (await Call.done(CALL, Answer(code=0, order_id="a", lsn=1))).ok
        with pytest.raises(UnavailableError) as error:
            await Call.done(CALL, Answer(code=0, order_id="R1", lsn=UNKNOWN))
        assert error.value.details == {"order_id": "R1", "zh": "状态未知"} and error.value.status == 503

    asyncio.run(main())


def test_of_several_each_has_what_became_of_it() -> None:
    async def main() -> None:
        asked = (
            Answer(code=0, order_id="a", lsn=1),
            Answer(code=0, order_id="b", lsn=UNKNOWN),
            Answer(code=codes.FUNDS, order_id="c", lsn=1),
        )
        found = [await orders._result(CALL, index, answer) for index, answer in enumerate(asked)]
        assert [one["success"] for one in found] == [True, False, False]
        assert [one["order_id"] for one in found] == ["a", "b", "c"]
        assert [one["error"] and one["error"]["code"] for one in found] == [None, UNAVAILABLE, codes.FUNDS]

    asyncio.run(main())
