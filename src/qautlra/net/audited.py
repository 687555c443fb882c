"""Commands of the order path as the audit log tells them: in the same words, whatever door they came by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from qautlra.auth.audit import Act, AuditLog, Result
from qautlra.model.condition import ConditionAnswer
from qautlra.model.order import Answer, InsertOrder


def result_of(answer: Answer | ConditionAnswer) -> Result:
    """Return how a command ended."""
    return Result.FAILED if answer.code else Result.SUCCESS


def of_order(order: InsertOrder, answer: Answer) -> dict[str, Any]:
    """Return the detail of an order that was entered."""
    direction, offset = order.direction._name_, order.offset._name_  # `name` costs what all of this does
    detail = of_words(order.order_id, order.symbol, direction, offset, order.volume, order.limit_price)
    if answer.code:
        detail["code"] = answer.code
    return detail


def of_words(
    order_id: str, symbol: str, direction: str, offset: str, volume: float, price: float | None
) -> dict[str, Any]:
    """Return the detail of an order in words."""
    return {
        "order_id": order_id,
        "instrument": symbol,
        "direction": direction,
        "offset": offset,
        "volume": volume,
        "price": price,
    }


def of_change(order_id: str, answer: Answer, **what: Any) -> dict[str, Any]:
    """Return the detail of a withdrawal or another change of an order."""
    code = {"code": answer.code} if answer.code else {}
    return {"order_id": order_id, **what, **code}


class Entries:
    """What the user of one connection did, written down at the end of the loop's turn: first he is told.

    Bound: the commands of one read of the connection.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._waiting: list[
            tuple[AuditLog, Act, str, str, Answer | ConditionAnswer, Callable[[], dict[str, Any]]]
        ] = []

    def add(
        self,
        log: AuditLog,
        act: Act,
        user_id: str,
        account_id: str,
        answer: Answer | ConditionAnswer,
        detail: Callable[[], dict[str, Any]],
    ) -> None:
        """Have a command written down; `detail` is asked for what is told of it."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        self._waiting.append((log, act, user_id, account_id, answer, detail))

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        for log, act, user_id, account_id, answer, detail in waiting:
            log.put(act, user_id, result_of(answer), account_id, self._address, detail())
