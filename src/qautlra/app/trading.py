"""What the order path and the users know of each other: accounts wished for are opened, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qautlra.auth.audit import Act
from qautlra.base.errors import InputError, UnavailableError
from qautlra.base.log import get_logger
from qautlra.trade.accounts import PAPER

if TYPE_CHECKING:
    from qautlra.auth.service import AuthService
    from qautlra.auth.users import AccountEntry
    from qautlra.trade.alerts import Alert
    from qautlra.trade.days import DayEnd
    from qautlra.trade.desk import Desk
    from qautlra.trade.service import TradeService

_log = get_logger("app")


def connect(auth: AuthService, trade: TradeService, desk: Desk) -> None:
    """Have accounts opened as users get them, and at the start those that were wished for meanwhile.

    Their first money is among the movements of money that `desk` keeps.
    """

    def may_open(account_id: str, broker: str, cash: float) -> None:
        if broker == PAPER:
            return
        if cash:
            raise InputError(f"money comes from {broker} itself: no cash can be given")
        if trade.is_running:
            trade.may_bind(account_id, broker)

    async def open_account(entry: AccountEntry) -> None:
        if entry.broker != PAPER:
            await trade.bind(entry.account_id, entry.broker)
            return
        if trade.has(entry.account_id):
            await trade.durable(trade.head_lsn)  # or the users would know of one the journal may lose
            return
        answer = trade.open_account(entry.account_id, entry.cash)
        if not answer.ok:
            raise UnavailableError(f"account {entry.account_id} cannot be opened: {answer.text}")
        await trade.durable(answer.lsn)
        if entry.cash:
            await desk.note_opening(entry.account_id, entry.cash)

    async def open_all() -> None:
        """Open what was wished for meanwhile; an account whose broker is gone keeps no other from it.

        Only from now on is a user's account opened at once: before, asking is in vain, and the wish is kept.
        """
        auth.open_account = open_account
        for entry in auth.users.accounts():
            try:
                if not entry.opened:
                    await auth.open_wish(entry)
                elif entry.broker != PAPER:
                    await trade.bind(entry.account_id, entry.broker)
            except InputError as error:
                _log.error("account_without_broker", account_id=entry.account_id, reason=error.message)
                if entry.opened:
                    trade.router.bind_nowhere(entry.account_id, entry.broker, error.message)

    def alerted(alert: Alert) -> None:
        facts = {name: getattr(alert, name) for name in ("alert_id", "kind", "level", "risk_ratio")}
        auth.audit.record(Act.RISK_ALERT, "", account_id=alert.account_id, **facts)

    def day_ended(ended: DayEnd) -> None:
        for one in ended.accounts:
            gone = [f"{t.cause} {t.symbol} {t.volume} @ {t.price:g}" for t in one.trades if t.cause]
            if gone:
                auth.audit.record(
                    Act.SETTLEMENT,
                    "",
                    account_id=one.account_id,
                    what="expiry",
                    trading_day=ended.trading_day,
                    contracts=gone,
                )

    trade.monitor.alerted.append(alerted)
    trade.day_ended.append(day_ended)
    auth.may_open = may_open
    trade.started.append(open_all)
