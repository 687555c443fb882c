"""The core's account under the names of its twin, so that one test body drives both."""

from decimal import Decimal

from qautlra._core.account import Hold, Ledger
from tests.models.account import TERMS, Terms

SIDES = {"BUY": 0, "SELL": 1}
OFFSETS = {"OPEN": 0, "CLOSE": 1, "CLOSETODAY": 2}


def pair(rate: tuple[Decimal, Decimal]) -> tuple[float, float]:
    return float(rate[0]), float(rate[1])


def set_terms(ledger: Ledger, number: int, symbol: str, t: Terms) -> None:
    ledger.set_terms(
        number,
        symbol,
        multiple=t.multiple,
        tick=float(t.tick),
        margin=pair(t.margin),
        open=pair(t.open),
        close=pair(t.close),
        close_today=pair(t.close_today),
        fee_min=float(t.fee_min),
        transfer_fee=float(t.transfer_fee),
        sell_tax=float(t.sell_tax),
        asset=t.asset,  # type: ignore[arg-type]
        close_rule=t.rule,  # type: ignore[arg-type]
        group=t.group,
    )


class CoreAccount:
    def __init__(
        self, terms: dict[str, Terms] | None = None, margin_side: str = "sum", ledger: Ledger | None = None
    ) -> None:
        self.terms = dict(TERMS if terms is None else terms)
        self.numbers = {symbol: n for n, symbol in enumerate(self.terms)}
        self.ledger = ledger if ledger is not None else Ledger(margin_side)  # type: ignore[arg-type]
        for symbol, number in self.numbers.items():
            set_terms(self.ledger, number, symbol, self.terms[symbol])
        self.account = self.ledger.open("acc001")
        self.holds: dict[str, Hold] = {}

    def deposit(self, amount: Decimal) -> int:
        return self.account.deposit(float(amount))

    def withdraw(self, amount: Decimal) -> int:
        return self.account.withdraw(float(amount))

    def insert(
        self, order_id: str, symbol: str, direction: str, offset: str, volume: int, price: Decimal
    ) -> int:
        if order_id in self.holds:
            return 3002
        number = self.numbers.get(symbol, 60_000)
        code, hold = self.account.freeze(number, SIDES[direction], OFFSETS[offset], volume, float(price))
        if hold is not None:
            self.holds[order_id] = hold
        return code

    def cancel(self, order_id: str) -> int:
        hold = self.holds.pop(order_id, None)
        if hold is None:
            return 3001
        self.account.release(hold)
        return 0

    def shrink(self, order_id: str, left: int) -> int:
        return self.account.shrink(self.holds[order_id], left)

    def move(self, order_id: str, price: Decimal) -> int:
        return self.account.move(self.holds[order_id], float(price))

    def fill(self, order_id: str, volume: int, price: Decimal) -> int:
        hold = self.holds[order_id]
        code = self.account.fill(hold, volume, float(price))[0]
        if hold.left == 0:
            del self.holds[order_id]
        return code

    def trade(self, symbol: str, direction: str, offset: str, volume: int, price: Decimal) -> int:
        number = self.numbers.get(symbol, 60_000)
        return self.account.trade(number, SIDES[direction], OFFSETS[offset], volume, float(price))[0]

    def expire(self, symbol: str, price: Decimal, fee: Decimal = Decimal(0)) -> int:
        number, held = self.numbers[symbol], self.position(symbol)
        for name, side in (("long", 0), ("short", 1)):
            today, his = held[f"volume_{name}_today"], held[f"volume_{name}_his"]
            if today or his:
                code = self.account.close_out(number, side, today, his, float(price), float(fee))[0]
                if code:
                    return code
        return 0

    def assign(self, symbol: str, direction: str, volume: int, price: Decimal) -> int:
        return self.account.assign(self.numbers[symbol], SIDES[direction], volume, float(price))

    def mark(self, symbol: str, price: Decimal) -> None:
        assert self.ledger.mark(self.numbers[symbol], float(price)) == 0

    def settle(self, prices: dict[str, Decimal] | None = None) -> int:
        if self.holds:
            return self.account.settle()
        for symbol, price in (prices or {}).items():
            assert self.ledger.set_settlement(self.numbers[symbol], float(price)) == 0
        return self.account.settle()

    def funds(self) -> dict[str, float]:
        return self.account.funds()

    def position(self, symbol: str) -> dict[str, float]:
        return self.account.position(self.numbers[symbol]) or dict.fromkeys(
            (
                f"{what}_{side}{rest}"
                for side in ("long", "short")
                for what, rest in (
                    ("volume", ""),
                    ("volume", "_today"),
                    ("volume", "_his"),
                    ("volume", "_yd"),
                    ("volume", "_frozen_today"),
                    ("volume", "_frozen_his"),
                    ("open_cost", ""),
                    ("open_price", ""),
                    ("position_cost", ""),
                    ("float_profit", ""),
                    ("margin", ""),
                )
            ),
            0.0,
        )
