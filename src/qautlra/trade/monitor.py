"""After the trade: risk levels and alerts, the kill switch, locks of accounts.

Every account is looked at once a second and whenever its changes are collected: after each command, and after
the market's batches within `trade.mark_interval_ms`. Levels and the conditions of alerts are the core's.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from qautlra._core import risk
from qautlra.base import metrics
from qautlra.base.log import get_logger
from qautlra.model import codes
from qautlra.model.order import Answer
from qautlra.trade.alerts import LEVELS, Alert, Alerts
from qautlra.trade.notes import Note, to_bytes

if TYPE_CHECKING:
    from qautlra.trade.engine import Engine
    from qautlra.trade.house import House

FreezeKind = Literal["TRADING_ONLY", "WITHDRAW_ONLY", "FULL"]
State = Literal["ACTIVE", "REDUCING", "HALTED"]
LEVEL_RATIOS: Final = (0.6, 0.8, 0.95)
"""Where an account outside moves to the next level: the core's own steps."""
STATES: Final[tuple[State, ...]] = ("ACTIVE", "REDUCING", "HALTED")
LOCKS: Final[dict[str, int]] = {"TRADING_ONLY": 1, "WITHDRAW_ONLY": 2, "FULL": 3}
_log = get_logger("trade")


class Frozen(Note, frozen=True, kw_only=True, tag="freeze"):
    """A lock on an account, or its end (`kind` empty)."""

    account_id: str
    kind: str
    reason: str
    by: str
    ts_ns: int


class Monitor:
    """Watches the accounts of one service. One thread; bounds: those of Alerts."""

    def __init__(self, trade: House) -> None:
        self._trade = trade
        self.alerted: list[Callable[[Alert], None]] = []
        "Called with each new alert."
        self.endangered: list[Callable[[str], None]] = []
        "Called with an account each time it is found at the highest level of risk."
        self._alerts = Alerts()
        self._fresh: dict[str, list[Alert]] = {}
        self._frozen: dict[str, Frozen] = {}
        self._unseen: dict[str, set[str]] = {}  # since the start: kinds told of before it, today
        self._raised = metrics.counter("qautlra_trade_alerts_count", "Alerts raised", ["kind"])
        trade.notes.register(Alert, self._restore, lambda: self._alerts.all())
        trade.notes.register(Frozen, self._restore_frozen, lambda: self._frozen.values())
        trade.on_turn.append(self.on_turn)

    def _restore(self, notes: list[Alert]) -> None:
        self._alerts.restore(notes)
        self._fresh.clear()
        self._unseen = {}
        today = self._trade.trading_day
        for alert in self._alerts.all():
            if alert.trading_day == today:
                self._unseen.setdefault(alert.account_id, set()).add(_sort(alert.kind, alert.level))

    def _restore_frozen(self, notes: list[Frozen]) -> None:
        self._frozen = {note.account_id: note for note in notes}

    # --- looking ---

    def on_turn(self) -> None:
        """Look at every account."""
        for account_id in self._trade.accounts():
            self.review(account_id)

    def review(self, account_id: str) -> None:
        """Look at an account; what it raises is told with its next change."""
        engine = self._trade.engine
        number = engine.number(account_id)
        if number is None or self._trade.router.seat(account_id) is not None:
            return
        bits = engine.exchange.review(number, self._trade.clock.now_ns())
        told = self._unseen.pop(account_id, None)
        if bits:
            self._raise(engine, account_id, number, bits, told or set())
        if engine.exchange.gate.level(number) == LEVELS[-1]:
            for hook in self.endangered:
                hook(account_id)

    def _raise(self, engine: Engine, account_id: str, number: int, bits: int, told: set[str]) -> None:
        day, exchange = self._trade.trading_day, engine.exchange
        for raised in exchange.gate.alerts(number)[-bits.bit_count() :]:
            kind, level = raised["kind"], raised["level"]
            if _sort(kind, level) in told:
                continue
            ratio = raised["risk_ratio"]
            alert = Alert(
                alert_id=self._alerts.next_id(day),
                account_id=account_id,
                trading_day=day,
                kind=kind,
                level=level,
                risk_ratio=ratio if math.isfinite(ratio) else None,
                balance=raised["balance"],
                available=raised["available"],
                ts_ns=raised["ts_ns"],
            )
            self._trade.note(to_bytes(alert))
            self._alerts.keep(alert)
            self._raised.labels(kind).inc()
            self._fresh.setdefault(account_id, []).append(alert)
            for hook in self.alerted:
                hook(alert)
            _log.warning("risk_alert", account_id=account_id, kind=kind, level=level)
        if account_id in self._fresh:
            engine.touch(account_id)
            self._trade.wake()
        lost = bits >> risk.ALERTS.index("daily_loss") & 1
        if lost and exchange.gate.account_state(number) == risk.REDUCING:
            exchange.set_state(risk.REDUCING, number)  # so that the journal has it

    def take(self, account_id: str) -> tuple[dict[str, Any], ...]:
        """Return what the account raised since the last call."""
        return tuple(alert.to_dict() for alert in self._fresh.pop(account_id, ()))

    # --- reads ---

    def level(self, account_id: str) -> str:
        """Return the account's risk level; KeyError for an account there is not."""
        engine = self._trade.engine
        number = engine.number(account_id)
        if number is None:
            raise KeyError(account_id)
        if self._trade.router.seat(account_id) is not None:
            return LEVELS[bisect_right(LEVEL_RATIOS, self._trade.funds(account_id)["leverage"])]
        return engine.exchange.gate.level(number)

    def alerts(self, account_id: str | None = None) -> list[Alert]:
        """Return the alerts of an account, of all without one, oldest first."""
        return self._alerts.all() if account_id is None else self._alerts.of(account_id)

    def handle(self, account_id: str, alert_id: str, by: str) -> Answer:
        """Mark an alert as seen to."""
        alert = self._alerts.find(account_id, alert_id)
        if alert is None:
            return _answer(codes.NOT_FOUND)
        handled = msgspec.structs.replace(alert, handled_by=by)
        code, lsn = self._trade.note(to_bytes(handled))
        if not code:
            self._alerts.keep(handled)
        return _answer(code, lsn)

    def accounts(self, level: str | None = None) -> list[dict[str, Any]]:
        """Return every account's risk, of one level if named, the riskiest first."""
        found = []
        for account_id in self._trade.accounts():
            known = self.level(account_id)
            if level is not None and known != level:
                continue
            funds = self._trade.funds(account_id)
            found.append(
                {
                    "account_id": account_id,
                    "risk_level": known,
                    "risk_ratio": _finite(funds["leverage"]),
                    "balance": funds["balance"],
                    "available": funds["available"],
                    "margin": funds["margin"],
                    "state": self.state(account_id),
                    "alerts_count": sum(not alert.handled_by for alert in self._alerts.of(account_id)),
                }
            )
        return sorted(found, key=lambda one: one["risk_ratio"] or 0.0, reverse=True)

    def margin_summary(self) -> dict[str, Any]:
        """Return margin, balance and available of all accounts, and how many are at which level."""
        rows = self.accounts()
        total = {name: sum(row[name] for row in rows) for name in ("balance", "available", "margin")}
        levels = {level: sum(row["risk_level"] == level for row in rows) for level in LEVELS}
        ratio = total["margin"] / total["balance"] if total["balance"] > 0 else None
        return {"accounts_count": len(rows), **total, "risk_ratio": ratio, "levels": levels}

    # --- switches ---

    def state(self, account_id: str | None = None) -> State:
        """Return what may be traded: by everybody, or by an account."""
        engine = self._trade.engine
        gate = engine.exchange.gate
        number = None if account_id is None else engine.number(account_id)
        return STATES[gate.state if number is None else gate.account_state(number)]

    def set_state(self, state: State, account_id: str | None = None, *, cancel: bool = True) -> Answer:
        """Let everybody (or an account) trade, only close, or neither; HALTED withdraws what lives."""
        engine = self._trade.engine
        number = None
        if account_id is not None:
            number = engine.number(account_id)
            if number is None:
                return _answer(codes.NO_ACCOUNT)
        code, _, lsn = engine.exchange.set_state(STATES.index(state), number)
        if not code and state == "HALTED" and cancel:
            cancelled = self._trade.cancel_all(account_id)
            code, lsn = cancelled.code, cancelled.lsn or lsn
        _log.warning("trading_state", state=state, account_id=account_id, code=code)
        return _answer(code, lsn)

    def freeze(self, account_id: str, kind: FreezeKind, reason: str, by: str) -> Answer:
        """Lock an account: no orders, no withdrawals, or neither."""
        return self._lock(account_id, kind, reason, by)

    def unfreeze(self, account_id: str, reason: str, by: str) -> Answer:
        """Take the locks off an account."""
        return self._lock(account_id, "", reason, by)

    def frozen(self, account_id: str) -> Frozen | None:
        """Return the lock on an account, None without one."""
        note = self._frozen.get(account_id)
        return note if note is not None and note.kind else None

    def _lock(self, account_id: str, kind: str, reason: str, by: str) -> Answer:
        engine = self._trade.engine
        number = engine.number(account_id)
        if number is None:
            return _answer(codes.NO_ACCOUNT)
        note = Frozen(
            account_id=account_id, kind=kind, reason=reason, by=by, ts_ns=self._trade.clock.now_ns()
        )
        code, _ = self._trade.note(to_bytes(note))
        if not code:
            code, _, lsn = engine.exchange.set_locks(number, LOCKS.get(kind, 0))
        if code:
            return _answer(code)
        self._frozen[account_id] = note
        engine.touch(account_id)
        self._trade.wake()
        return _answer(0, lsn)


def _sort(kind: str, level: str) -> str:
    return f"{kind}.{level}" if kind == "level_escalation" else kind


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _answer(code: int, lsn: int = 0) -> Answer:
    return Answer(code=code, text=codes.describe(code).text if code else "", lsn=lsn)
