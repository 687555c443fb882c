"""Commands of the order path as the audit log tells them: in the same words, whatever door they came by."""

from __future__ import annotations

from typing import Any

from qautlra.auth.audit import Result
from qautlra.model.condition import ConditionAnswer
from qautlra.model.order import Answer, InsertOrder


def result_of(answer: Answer | ConditionAnswer) -> Result:
    """Return how a command ended."""
    return Result.FAILED if answer.code else Result.SUCCESS


def of_order(order: InsertOrder, answer: Answer) -> dict[str, Any]:
    """Return the detail of an order that was entered."""
    detail: dict[str, Any] = {
        "order_id": order.order_id,
        "instrument": order.symbol,
        "direction": order.direction._name_,  # `name` is a property that costs what all of this does
        "offset": order.offset._name_,
        "volume": order.volume,
        "price": order.limit_price,
    }
    if answer.code:
        detail["code"] = answer.code
    return detail


def of_change(order_id: str, answer: Answer, **what: Any) -> dict[str, Any]:
    """Return the detail of a withdrawal or another change of an order."""
    code = {"code": answer.code} if answer.code else {}
    return {"order_id": order_id, **what, **code}
