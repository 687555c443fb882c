"""Records of CTP's session handling: what a login is answered with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qautlra.wire.ctp_records import layout

SYSTEM_NAME = "qautlra"


@dataclass(frozen=True, slots=True)
class LoginReply:
    """What a front says of itself when a login succeeds; `clock` is HH:MM:SS of the market."""

    trading_day: int
    clock: str
    front: int = 0
    session: int = 0
    max_order_ref: str = ""

    def numbered(self, front: int, session: int) -> LoginReply:
        """Return the reply to a trader, who is given numbers; references begin above 0."""
        return replace(self, front=front, session=session, max_order_ref="0")

    def record(self, broker: str, user: str) -> bytes:
        """Return the RspUserLogin record."""
        clocks = ("LoginTime", "SHFETime", "DCETime", "CZCETime", "FFEXTime", "INETime", "GFEXTime")
        return layout("RspUserLogin").pack(
            {
                "TradingDay": str(self.trading_day) if self.trading_day else "",
                "BrokerID": broker,
                "UserID": user,
                "SystemName": SYSTEM_NAME,
                "FrontID": self.front,
                "SessionID": self.session,
                "MaxOrderRef": self.max_order_ref,
                **dict.fromkeys(clocks, self.clock),
            }
        )
