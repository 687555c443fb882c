"""Alerts of the risk monitor: who raised what, newest kept, seen to or not; noted in the journal."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from qautlra.trade.notes import Note

KEPT_COUNT: Final = 100
"Of an account; the oldest go."
LEVELS: Final = ("low", "medium", "high", "critical")
_LEVEL_WORDS: Final = {"low": "低", "medium": "中", "high": "高", "critical": "极高"}
_TEXTS: Final = {
    "level_escalation": "风险等级升至{level}",
    "near_liquidation": "接近强制平仓",
    "liquidation_triggered": "达到强制平仓标准",
    "margin_insufficient": "保证金不足",
    "negative_available": "可用资金为负",
    "daily_loss": "当日亏损超过限额,账户只能平仓",
    "many_cancels": "单一合约当日撤单次数接近上限",
}


class Alert(Note, frozen=True, kw_only=True, tag="alert"):
    """One alert. `risk_ratio` is None when there is no balance to divide by."""

    alert_id: str
    account_id: str
    trading_day: int
    kind: str
    level: str
    risk_ratio: float | None
    balance: float
    available: float
    ts_ns: int
    handled_by: str = ""

    @property
    def text(self) -> str:
        """What people are told."""
        what = _TEXTS.get(self.kind, self.kind).format(level=_LEVEL_WORDS.get(self.level, self.level))
        ratio = "-" if self.risk_ratio is None else f"{self.risk_ratio * 100:.2f}%"
        return f"{what},风险度:{ratio},可用资金:{self.available:.2f}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as doors show it."""
        shown: dict[str, Any] = msgspec.structs.asdict(self)
        return shown | {"text": self.text, "handled": bool(self.handled_by)}


class Alerts:
    """All alerts by account. Bound: KEPT_COUNT each."""

    def __init__(self) -> None:
        self._of: dict[str, deque[Alert]] = {}
        self._day = 0
        self._seq = 0

    def restore(self, notes: list[Alert]) -> None:
        """Take over what the journal has."""
        self.__init__()  # type: ignore[misc]
        for alert in notes:
            self.keep(alert)

    def next_id(self, trading_day: int) -> str:
        """Return an id no alert of the day has."""
        if trading_day != self._day:
            self._day, self._seq = trading_day, 0
        self._seq += 1
        return f"ALERT{trading_day:08d}{self._seq:08d}"

    def keep(self, alert: Alert) -> None:
        """Keep an alert, in the place of the one of its id."""
        kept = self._of.setdefault(alert.account_id, deque(maxlen=KEPT_COUNT))
        for number, one in enumerate(kept):
            if one.alert_id == alert.alert_id:
                kept[number] = alert
                return
        kept.append(alert)
        seq = int(alert.alert_id[-8:])
        if alert.trading_day > self._day:
            self._day, self._seq = alert.trading_day, seq
        elif alert.trading_day == self._day:
            self._seq = max(self._seq, seq)

    def of(self, account_id: str) -> list[Alert]:
        """Return the account's alerts, oldest first."""
        return list(self._of.get(account_id, ()))

    def all(self) -> list[Alert]:
        """Return every alert that is kept, oldest first."""
        return sorted((one for kept in self._of.values() for one in kept), key=lambda one: one.ts_ns)

    def find(self, account_id: str, alert_id: str) -> Alert | None:
        """Return an alert, None when it is not kept."""
        return next((one for one in self._of.get(account_id, ()) if one.alert_id == alert_id), None)
