from collections.abc import Mapping
from typing import Any, Literal

BUY: int
SELL: int
OPEN: int
CLOSE: int
CLOSETODAY: int
CODES: Mapping[int, tuple[str, int, int, str]]

Rate = tuple[float, float]
Fill = tuple[int, float, float, int, int]

class Hold:
    @property
    def instrument(self) -> int: ...
    @property
    def left(self) -> int: ...
    def to_dict(self) -> dict[str, Any]: ...

class Ledger:
    def __init__(self, margin_side: Literal["sum", "max"] = "sum") -> None: ...
    def set_terms(
        self,
        instrument: int,
        symbol: str,
        *,
        multiple: float = 1,
        tick: float = 0,
        margin: Rate = (1.0, 0.0),
        margin_short: Rate | None = None,
        open: Rate = (0.0, 0.0),
        close: Rate = (0.0, 0.0),
        close_today: Rate | None = None,
        fee_min: float = 0,
        transfer_fee: float = 0,
        sell_tax: float = 0,
        group: int = -1,
        asset: Literal["future", "option", "stock"] = "future",
        close_rule: Literal["split", "today_first", "his_first", "his_only"] | None = None,
    ) -> None: ...
    def set_quote(
        self,
        instrument: int,
        *,
        bid: float | None = None,
        ask: float | None = None,
        upper: float | None = None,
        lower: float | None = None,
        settlement: float | None = None,
        tradable: bool | None = None,
        open: bool | None = None,
    ) -> None: ...
    def last(self, instrument: int) -> float | None: ...
    def mark(self, instrument: int, last: float, now_ns: int = 0) -> int: ...
    def set_settlement(self, instrument: int, price: float) -> int: ...
    def open(self, name: str) -> Account: ...
    def account(self, number: int) -> Account: ...
    def __len__(self) -> int: ...
    def state_hash(self) -> int: ...

class Account:
    ledger: Ledger
    locks: int
    @property
    def number(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def live_orders(self) -> int: ...
    def deposit(self, amount: float) -> int: ...
    def withdraw(self, amount: float) -> int: ...
    def freeze(
        self, instrument: int, side: int, offset: int, volume: float, price: float
    ) -> tuple[int, Hold | None]: ...
    def shrink(self, hold: Hold, left: float) -> int: ...
    def move(self, hold: Hold, price: float) -> int: ...
    def release(self, hold: Hold) -> None: ...
    def fill(self, hold: Hold, volume: float, price: float) -> Fill: ...
    def trade(self, instrument: int, side: int, offset: int, volume: float, price: float) -> Fill: ...
    def close_out(
        self, instrument: int, side: int, today: float, his: float, price: float, fee: float = 0
    ) -> Fill: ...
    def assign(self, instrument: int, side: int, volume: float, price: float) -> int: ...
    def settle(self) -> int: ...
    def set_leg(
        self,
        instrument: int,
        side: int,
        *,
        today: int = 0,
        his: int = 0,
        yd: int | None = None,
        cost_today: float = 0,
        cost_his: float = 0,
        open_cost_his: float | None = None,
        last: float | None = None,
    ) -> int: ...
    def set_funds(
        self,
        *,
        pre_balance: float = 0,
        deposit: float = 0,
        withdraw: float = 0,
        close_profit: float = 0,
        commission: float = 0,
        premium: float = 0,
    ) -> None: ...
    def funds(self) -> dict[str, float]: ...
    def position(self, instrument: int) -> dict[str, Any] | None: ...
    def positions(self) -> list[dict[str, Any]]: ...
    def liquidation(
        self, slip: float = 0.005, volume_max: int = 0
    ) -> list[tuple[int, int, int, int, float]]: ...
    def state_hash(self) -> int: ...
