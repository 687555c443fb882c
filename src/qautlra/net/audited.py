"""Commands of the order path as the audit log tells them: in the same words, whatever door they came by."""

from __future__ import annotations

from typing import Any

from qautlra.auth.audit import Result
from qautlra.model.condition import ConditionAnswer
from qautlra.model.order import Answer, InsertOrder


def result_of(answer: Answer | ConditionAnswer) -> Result:
    """Return how a command ended."""
    return Result.SUCCESS if answer.ok else Result.FAILED


def of_order(order: InsertOrder, answer: Answer) -> dict[str, Any]:
    """Return the detail of an order that was entered."""
    return of_change(
        order.order_id,
        answer,
        instrument=order.symbol,
        direction=order.direction.name,
        offset=order.offset.name,
        volume=order.volume,
        price=order.limit_price,
    )


def of_change(order_id: str, answer: Answer, **what: Any) -> dict[str, Any]:
    """Return the detail of a withdrawal or another change of an order."""
    code = {"code": answer.code} if answer.code else {}
    return {"order_id": order_id, **what, **code}
