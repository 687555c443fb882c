"""The core's gate under the names of its twin, so that one test body drives both."""

from dataclasses import fields
from decimal import Decimal
from typing import Any

from qautlra._core.risk import Gate
from tests.core.account_rig import OFFSETS, SIDES, CoreAccount
from tests.models.account import Account
from tests.models.risk import PROFILES, Ask, Quote
from tests.models.risk import Gate as Twin

PRICE_TYPES = {"LIMIT": 0, "ANY": 1, "BEST": 2, "FIVELEVEL": 3}


def plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


class CoreGate:
    def __init__(self, account: CoreAccount, profile: str, changes: dict[str, Any]) -> None:
        self.account = account
        changes = {name: plain(value) for name, value in changes.items()}
        self.gate = Gate(account.ledger, profile, **changes)  # type: ignore[arg-type]
        self.used: set[str] = set()

    def submit(self, ask: Ask) -> tuple[int, int]:
        code, check, _, hold = self.gate.check(
            self.account.account.number,
            self.account.numbers.get(ask.symbol, 60_000),
            SIDES[ask.direction],
            OFFSETS[ask.offset],
            ask.volume,
            plain(ask.price),
            price_type=PRICE_TYPES[ask.price_type],
            time=3 if ask.gtd_day is None else 4,
            gtd_day=ask.gtd_day or 0,
            duplicate=ask.order_id in self.used,
            reduce_only=ask.reduce_only,
            force=ask.force,
            crosses_own=ask.crosses_own,
            now_ns=ask.now_ns,
            trading_day=ask.trading_day,
            place=True,
        )
        if hold is not None:
            self.account.holds[ask.order_id] = hold
            self.used.add(ask.order_id)
        return code, check

    def cancel(self, order_id: str, now_ns: int) -> int:
        number, instrument = self.account.account.number, self.account.holds[order_id].instrument
        code, _, _ = self.gate.check_cancel(number, instrument, now_ns)
        if code == 0:
            self.gate.cancelled(number, instrument)
            self.account.cancel(order_id)
        return code

    def fill(self, order_id: str, volume: int, price: Decimal) -> int:
        instrument = self.account.holds[order_id].instrument
        code = self.account.fill(order_id, volume, price)
        if code == 0:
            self.gate.traded(self.account.account.number, instrument)
        return code

    def new_day(self) -> None:
        self.gate.new_day()


class Rig:
    """A gate with its account, core or twin, and the market set for it."""

    def __init__(self, kind: str, profile: str = "paper", cash: Decimal = Decimal(1_000_000), **changes: Any):
        self.kind = kind
        self.account: Any
        self.gate: Any
        if kind == "twin":
            self.account = Account()
            self.gate = Twin(self.account, PROFILES[profile] | changes)
        else:
            self.account = CoreAccount()
            self.gate = CoreGate(self.account, profile, changes)
        if cash:
            assert self.account.deposit(cash) == 0

    def quote(self, symbol: str, now_ns: int = 0, **values: Any) -> None:
        assert set(values) <= {f.name for f in fields(Quote)}
        last = values.get("last")
        if last is not None:
            self.account.mark(symbol, last)
        if self.kind == "twin":
            quote = self.gate.quotes.setdefault(symbol, Quote())
            for name, value in values.items():
                setattr(quote, name, value)
            quote.last_ns = now_ns
        else:
            number = self.account.numbers[symbol]
            if last is not None:
                self.account.ledger.mark(number, float(last), now_ns)
            rest = {name: plain(value) for name, value in values.items() if name != "last"}
            self.account.ledger.set_quote(number, **rest)

    def set_state(self, state: int) -> None:
        if self.kind == "twin":
            self.gate.state = state
        else:
            self.gate.gate.state = state

    def set_account_state(self, state: int) -> None:
        if self.kind == "twin":
            self.gate.account_state = state
        else:
            self.gate.gate.set_account_state(self.account.account.number, state)

    def lock(self, locked: bool) -> None:
        if self.kind == "twin":
            self.gate.locked = locked
        else:
            self.account.account.locks = int(locked)
