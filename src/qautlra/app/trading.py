"""What the order path and the users know of each other: accounts wished for are opened, once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from qautlra.auth.audit import Act
from qautlra.base.errors import InputError, UnavailableError
from qautlra.base.log import get_logger
from qautlra.base.loop import SLICE_COUNT, batched
from qautlra.trade.accounts import PAPER
from qautlra.trade.papers import DayMaker

if TYPE_CHECKING:
    from qautlra.auth.service import AuthService
    from qautlra.auth.users import AccountEntry
    from qautlra.trade.alerts import Alert
    from qautlra.trade.days import AccountDay
    from qautlra.trade.desk import Desk
    from qautlra.trade.service import TradeService

_log = get_logger("app")


class _Expiries(DayMaker):
    """Has the audit log say what went of the contracts that ended with a day."""

    def __init__(self, auth: AuthService, trading_day: int) -> None:
        self._auth = auth
        self._trading_day = trading_day
        self._gone: dict[str, list[str]] = {}

    def add(self, one: AccountDay) -> Iterator[int]:
        """Look at an account's trades."""
        for trades in batched(one.trades, SLICE_COUNT):
            for trade in trades:
                if trade.cause:
                    text = f"{trade.cause} {trade.symbol} {trade.volume} @ {trade.price:g}"
                    self._gone.setdefault(one.account_id, []).append(text)
            yield len(trades) // 8

    def done(self) -> None:
        """Say it."""
        for account_id, contracts in self._gone.items():
            self._auth.audit.record(
                Act.SETTLEMENT,
                "",
                account_id=account_id,
                what="expiry",
                trading_day=self._trading_day,
                contracts=contracts,
            )


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

    trade.monitor.alerted.append(alerted)
    trade.day_makers.append(lambda settlement, _moved: _Expiries(auth, settlement.trading_day))
    auth.may_open = may_open
    trade.started.append(open_all)
