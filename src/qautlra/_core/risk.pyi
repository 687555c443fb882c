from typing import Any, Literal

from qautlra._core.account import Hold, Ledger

ACTIVE: int
REDUCING: int
HALTED: int
LIMIT: int
ANY: int
BEST: int
FIVELEVEL: int
IOC: int
GFS: int
GFD: int
GTD: int
GTC: int
GFA: int
WARN_RISK_RATIO: int
WARN_CANCELS: int
LEVELS: tuple[str, ...]
ALERTS: tuple[str, ...]

Profile = Literal["paper", "live"]

class Gate:
    ledger: Ledger
    state: int
    def __init__(self, ledger: Ledger, profile: Profile = "paper", **limits: Any) -> None: ...
    def check(
        self,
        account: int,
        instrument: int,
        side: int,
        offset: int,
        volume: float,
        price: float | None = None,
        *,
        price_type: int = 0,
        time: int = 3,
        gtd_day: int = 0,
        duplicate: bool = False,
        reduce_only: bool = False,
        force: bool = False,
        crosses_own: bool = False,
        now_ns: int = 0,
        trading_day: int = 0,
        place: bool = False,
    ) -> tuple[int, int, int, Hold | None]: ...
    def check_outside(
        self,
        account: int,
        instrument: int,
        side: int,
        offset: int,
        volume: float,
        price: float | None = None,
        *,
        price_type: int = 0,
        reduce_only: bool = False,
        force: bool = False,
        now_ns: int = 0,
        live_orders: int = 0,
    ) -> tuple[int, int, int]: ...
    def placed(
        self,
        account: int,
        instrument: int,
        side: int,
        offset: int,
        volume: float,
        price: float | None = None,
        *,
        price_type: int = 0,
    ) -> None: ...
    def check_cancel(self, account: int, instrument: int, now_ns: int = 0) -> tuple[int, int, int]: ...
    def cancelled(self, account: int, instrument: int) -> None: ...
    def traded(self, account: int, instrument: int) -> None: ...
    def new_day(self) -> None: ...
    def review(self, account: int, trading_day: int = 0, now_ns: int = 0) -> list[str]: ...
    def level(self, account: int) -> str: ...
    def alerts(self, account: int) -> list[dict[str, Any]]: ...
    def handle(self, account: int, seq: int) -> bool: ...
    def account_state(self, account: int) -> int: ...
    def set_account_state(self, account: int, state: int) -> None: ...
    def set_limits(self, profile: Profile, **limits: Any) -> None: ...
    def set_account_limits(self, account: int, profile: Profile, **limits: Any) -> None: ...
    def limits(self, account: int) -> dict[str, Any]: ...
    def state_hash(self) -> int: ...
