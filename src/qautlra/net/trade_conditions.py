"""Conditional orders on the trade socket: what a request comes to, for the session to tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from qautlra.auth.audit import Act
from qautlra.auth.rights import Right
from qautlra.base.clock import new_uuid
from qautlra.model.condition import TEXTS, ConditionAnswer, Outcome
from qautlra.wire import conditions as wire
from qautlra.wire import trade_requests as asks

if TYPE_CHECKING:
    from qautlra.trade.service import TradeService

REQUESTS: Final = (
    asks.InsertCondition,
    asks.CancelCondition,
    asks.PauseCondition,
    asks.ResumeCondition,
    asks.QueryHistoryConditions,
)
Request = (
    asks.InsertCondition
    | asks.CancelCondition
    | asks.PauseCondition
    | asks.ResumeCondition
    | asks.QueryHistoryConditions
)
_WRONG_USER: Final = {
    asks.InsertCondition: Outcome.WRONG_USER,
    asks.CancelCondition: Outcome.CANCEL_WRONG_USER,
    asks.PauseCondition: Outcome.PAUSE_WRONG_USER,
    asks.ResumeCondition: Outcome.RESUME_WRONG_USER,
    asks.QueryHistoryConditions: Outcome.HISTORY_WRONG_USER,
}


def right_of(request: Request) -> Right:
    """Return what a request needs."""
    if isinstance(request, asks.QueryHistoryConditions):
        return Right.VIEW
    return Right.CANCEL if isinstance(request, asks.CancelCondition) else Right.TRADE


def entry_of(request: Request, answer: ConditionAnswer) -> tuple[Act, str] | None:
    """Return what the audit log calls a request, and the order's id; None for one that it does not tell."""
    if not isinstance(request, asks.InsertCondition | asks.CancelCondition):
        return None
    act = Act.ORDER_SUBMIT if isinstance(request, asks.InsertCondition) else Act.ORDER_CANCEL
    return act, answer.order.order_id if answer.order is not None else request.order_id


def take(
    trade: TradeService, request: Request, account_id: str, is_mine: Callable[[str], bool]
) -> ConditionAnswer | bytes:
    """Do what a request asks: an answer to tell when its record is durable, or a packet to send."""
    unnamed = isinstance(request, asks.QueryHistoryConditions) and not request.user_id
    if not unnamed and not is_mine(request.user_id):
        return _refused(_WRONG_USER[type(request)])
    conditions = trade.conditions
    if isinstance(request, asks.InsertCondition):
        order_id = request.order_id or f"OTG.{new_uuid()}"
        return conditions.insert(wire.order_of(request, account_id, order_id))
    if isinstance(request, asks.CancelCondition):
        return conditions.cancel(account_id, request.order_id)
    if isinstance(request, asks.PauseCondition):
        return conditions.pause(account_id, request.order_id)
    if isinstance(request, asks.ResumeCondition):
        return conditions.resume(account_id, request.order_id)
    day = wire.day_of(request.action_day)
    if not day:
        return _refused(Outcome.HISTORY_BAD_DAY)
    user_id = request.user_id or account_id
    return wire.history_packet(user_id, trade.trading_day, conditions.history(account_id, day))


def _refused(outcome: Outcome) -> ConditionAnswer:
    return ConditionAnswer(outcome=outcome, code=1008, text=TEXTS[outcome])
