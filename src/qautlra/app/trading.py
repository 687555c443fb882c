"""What the order path and the users know of each other: accounts wished for are opened, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qautlra.auth.audit import Act
from qautlra.base.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from qautlra.auth.service import AuthService
    from qautlra.auth.users import AccountEntry
    from qautlra.trade.alerts import Alert
    from qautlra.trade.service import TradeService


def connect(auth: AuthService, trade: TradeService) -> None:
    """Have accounts opened as users get them, and at the start those that were wished for meanwhile."""

    async def open_account(entry: AccountEntry) -> None:
        if entry.broker not in trade.brokers():
            raise InputError(f"there is no broker {entry.broker[:64]!r}", brokers=trade.brokers())
        if not trade.has(entry.account_id):
            answer = trade.open_account(entry.account_id, entry.cash)
        elif entry.cash and not any(trade.funds(entry.account_id).values()):
            answer = trade.transfer(entry.account_id, entry.cash)  # a start was cut between the two records
        else:
            await trade.durable(trade.head_lsn)  # or the users would know of one the journal may lose
            return
        if not answer.ok:
            raise UnavailableError(f"account {entry.account_id} cannot be opened: {answer.text}")
        await trade.durable(answer.lsn)

    async def open_wishes() -> None:
        for entry in auth.users.wishes():
            await auth.open_wish(entry)

    def alerted(alert: Alert) -> None:
        facts = {name: getattr(alert, name) for name in ("alert_id", "kind", "level", "risk_ratio")}
        auth.audit.record(Act.RISK_ALERT, "", account_id=alert.account_id, **facts)

    trade.monitor.alerted.append(alerted)
    auth.open_account = open_account
    trade.started.append(open_wishes)
