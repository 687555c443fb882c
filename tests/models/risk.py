"""The risk table said plainly: eighteen checks, asked one after the other over the account's twin."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tests.models.account import BUY, OPEN, Account, Order

D = Decimal
ACTIVE, REDUCING, HALTED = range(3)

# Nothing (0, None) means the check is off.
PAPER = {
    "volume_max": 0,
    "notional_max": D(0),
    "orders": (100, 200),
    "cancels": (0, 0),
    "repeats_max": 0,
    "active_max": 50,
    "day_orders": 0,
    "day_cancels": 0,
    "day_trades": 0,
    "contract_orders": 0,
    "contract_cancels": 0,
    "contract_trades": 0,
    "contract_opens": 0,
    "contract_open_volume": 0,
    "cancels_warn": 0,
    "cancels_block": 0,
    "position_max": 0,
    "concentration_ratio": D("0.5"),
    "stop_ratio": D("0.95"),
    "warn_ratio": D("0.8"),
    "price_deviation_ratio": D(0),
    "stale_ns": 0,
    "self_trade": True,
    "loss_max": D(0),
}
LIVE = PAPER | {
    "volume_max": 10_000,
    "notional_max": D(10_000_000),
    "orders": (20, 20),
    "cancels": (20, 20),
    "repeats_max": 10,
    "day_orders": 20_000,
    "day_cancels": 10_000,
    "day_trades": 10_000,
    "contract_orders": 2_000,
    "contract_cancels": 1_000,
    "contract_trades": 1_000,
    "cancels_warn": 400,
    "cancels_block": 480,
}
PROFILES = {"paper": PAPER, "live": LIVE}


@dataclass
class Quote:
    last: Decimal | None = None
    last_ns: int = 0
    upper: Decimal | None = None
    lower: Decimal | None = None
    settlement: Decimal | None = None
    tradable: bool = True
    open: bool = True


@dataclass(frozen=True)
class Ask:
    """One order as it comes in; `price` None with a price type other than LIMIT."""

    symbol: str
    direction: str
    offset: str
    volume: int
    price: Decimal | None
    order_id: str = ""
    price_type: str = "LIMIT"
    gtd_day: int | None = None
    reduce_only: bool = False
    force: bool = False
    crosses_own: bool = False
    now_ns: int = 0
    trading_day: int = 20210802


class Bucket:
    def __init__(self) -> None:
        self.tokens: Fraction | None = None
        self.at = 0

    def take(self, pace: tuple[int, int], now_ns: int) -> bool:
        per_s, burst = pace
        if not per_s:
            return True
        if self.tokens is None:
            self.tokens, self.at = Fraction(burst), now_ns
        elif now_ns > self.at:
            self.tokens = min(Fraction(burst), self.tokens + Fraction((now_ns - self.at) * per_s, 10**9))
        self.at = now_ns
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Gate:
    account: Account
    limits: dict[str, object]
    quotes: dict[str, Quote] = field(default_factory=dict)
    state: int = ACTIVE
    account_state: int = ACTIVE
    locked: bool = False

    def __post_init__(self) -> None:
        self.orders_bucket, self.cancels_bucket = Bucket(), Bucket()
        self.used: set[str] = set()
        self.new_day()

    def new_day(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()  # (what, symbol or "" for all)
        self.repeats: Counter[tuple[object, ...]] = Counter()

    def over(self, limit: str, count: int) -> bool:
        most = self.limits[limit]
        assert isinstance(most, int)
        return most > 0 and count > most

    def ratio(self, name: str) -> Decimal:
        value = self.limits[name]
        assert isinstance(value, Decimal)
        return value

    def opens(self, ask: Ask) -> bool:
        terms = self.account.terms.get(ask.symbol)
        return ask.direction == BUY if terms and terms.asset == "stock" else ask.offset == OPEN

    def freeze_price(self, ask: Ask) -> Decimal | None:
        if ask.price_type == "LIMIT":
            return ask.price
        quote = self.quotes.setdefault(ask.symbol, Quote())
        best = [quote.upper, quote.last] if ask.direction == BUY else [quote.last, quote.upper]
        return next((p for p in [*best, quote.settlement] if p is not None), None)

    # The checks: 0 or a code each.
    def check_1(self, ask: Ask) -> int:
        if HALTED in (self.state, self.account_state):
            return 3018
        return 3017 if self.opens(ask) and REDUCING in (self.state, self.account_state) else 0

    def check_2(self, ask: Ask) -> int:
        return 2002 if self.locked else 0

    def check_3(self, ask: Ask) -> int:
        if ask.symbol not in self.account.terms:
            return 1007
        quote = self.quotes.setdefault(ask.symbol, Quote())
        return 3019 if not quote.tradable else 4004 if not quote.open else 0

    def check_4(self, ask: Ask) -> int:
        return 3002 if ask.order_id in self.used else 0

    def check_5(self, ask: Ask) -> int:
        return 1003 if ask.volume < 1 or (not ask.force and self.over("volume_max", ask.volume)) else 0

    def check_6(self, ask: Ask) -> int:
        tick = self.account.terms[ask.symbol].tick
        if ask.price_type == "LIMIT":
            if ask.price is None or ask.price <= 0:
                return 3003
            return 3004 if tick and ask.price % tick else 0
        return 3003 if self.freeze_price(ask) is None else 0

    def check_7(self, ask: Ask) -> int:
        quote = self.quotes[ask.symbol]
        if ask.price_type != "LIMIT":
            stale = self.limits["stale_ns"]
            assert isinstance(stale, int)
            return 3016 if stale and not ask.force and ask.now_ns - quote.last_ns > stale else 0
        assert ask.price is not None
        if quote.upper is not None and ask.price > quote.upper:
            return 4002
        if quote.lower is not None and ask.price < quote.lower:
            return 4003
        share = self.ratio("price_deviation_ratio")
        far = share and quote.last is not None and abs(ask.price - quote.last) > quote.last * share
        return 3015 if far and not ask.force else 0

    def check_8(self, ask: Ask) -> int:
        price = self.freeze_price(ask)
        assert price is not None
        value = price * ask.volume * self.account.terms[ask.symbol].multiple
        most = self.ratio("notional_max")
        return 1010 if most and value > most else 0

    def check_9(self, ask: Ask) -> int:
        pace = self.limits["orders"]
        assert isinstance(pace, tuple)
        return 0 if self.orders_bucket.take(pace, ask.now_ns) else 9429

    def likeness(self, ask: Ask) -> tuple[object, ...]:
        return ask.symbol, ask.price_type, ask.direction, ask.offset, ask.volume, ask.price

    def check_10(self, ask: Ask) -> int:
        return 3009 if self.over("repeats_max", self.repeats[self.likeness(ask)] + 1) else 0

    def check_11(self, ask: Ask) -> int:
        return 3008 if self.over("active_max", len(self.account.orders) + 1) else 0

    def check_12(self, ask: Ask) -> int:
        here = ask.symbol
        for what, code in (("orders", 3010), ("trades", 3012)):
            for scope, limit in (("", f"day_{what}"), (here, f"contract_{what}")):
                if self.over(limit, self.counts[what, scope] + 1):
                    return code
        if not self.opens(ask):
            return 0
        if self.over("cancels_block", self.counts["cancels", here] + 1):
            return 3011
        opened = self.counts["open_volume", here] + ask.volume
        many = self.over("contract_opens", self.counts["opens", here] + 1)
        return 3010 if many or self.over("contract_open_volume", opened) else 0

    def plan(self, ask: Ask) -> int | Order:
        price = self.freeze_price(ask)
        assert price is not None
        return self.account.plan(ask.symbol, ask.direction, ask.offset, ask.volume, price)

    def check_13(self, ask: Ask) -> int:
        order = self.plan(ask)
        if isinstance(order, int):
            return order
        if ask.force or not order.opens:
            return 0
        opening = sum(
            o.left
            for o in self.account.orders.values()
            if o.opens and (o.symbol, o.direction) == (ask.symbol, ask.direction)
        )
        held = self.account.leg(ask.symbol, ask.direction).volume
        return 1002 if self.over("position_max", held + opening + ask.volume) else 0

    def check_14(self, ask: Ask) -> int:
        order = self.plan(ask)
        assert isinstance(order, Order)
        short = order.opens and sum(self.account.keeps(order)) > self.account.funds()["available"]
        return 1001 if short else 0

    def check_15(self, ask: Ask) -> int:
        order = self.plan(ask)
        assert isinstance(order, Order)
        if not order.opens or not self.limits["concentration_ratio"]:
            return 0
        orders = [o for o in self.account.orders.values() if o.symbol == ask.symbol]
        margin = sum((self.account.keeps(o)[0] for o in [*orders, order]), D(0))
        margin += sum(self.account.leg_margin(ask.symbol, side) for side in ("BUY", "SELL"))
        return 1009 if margin > self.account.funds()["balance"] * self.ratio("concentration_ratio") else 0

    def geared(self) -> tuple[Decimal, Decimal]:
        """Margin that is not shares paid in full, and the balance."""
        funds = self.account.funds()
        paid = sum(
            self.account.leg_margin(symbol, side)
            for symbol, side in list(self.account.legs)
            if self.account.terms[symbol].asset == "stock"
        )
        return funds["margin"] - paid, funds["balance"]

    def check_16(self, ask: Ask) -> int:
        margin, balance = self.geared()
        stop = self.ratio("stop_ratio")
        return 1004 if self.opens(ask) and stop and margin > 0 and margin >= balance * stop else 0

    def check_17(self, ask: Ask) -> int:
        return 1005 if self.limits["self_trade"] and ask.crosses_own and self.opens(ask) else 0

    def check_18(self, ask: Ask) -> int:
        if ask.reduce_only and self.opens(ask):
            return 3013
        return 3014 if ask.gtd_day is not None and ask.gtd_day < ask.trading_day else 0

    def check(self, ask: Ask) -> tuple[int, int]:
        """The first code that is not 0 and its check's number."""
        forced = (3, 4, 5, 6, 7, 13)
        for number in forced if ask.force else range(1, 19):
            test: Callable[[Ask], int] = getattr(self, f"check_{number}")
            code = test(ask)
            if code:
                return code, number
        return 0, 0

    def submit(self, ask: Ask) -> tuple[int, int]:
        """Check, freeze, count."""
        answer = self.check(ask)
        if answer == (0, 0):
            order = self.plan(ask)
            assert isinstance(order, Order)
            self.account.orders[ask.order_id] = order
            self.used.add(ask.order_id)
            for scope in ("", ask.symbol):
                self.counts["orders", scope] += 1
                if order.opens:
                    self.counts["opens", scope] += 1
                    self.counts["open_volume", scope] += ask.volume
            self.repeats[self.likeness(ask)] += 1
        return answer

    def cancel(self, order_id: str, now_ns: int) -> int:
        pace = self.limits["cancels"]
        assert isinstance(pace, tuple)
        symbol = self.account.orders[order_id].symbol
        if not self.cancels_bucket.take(pace, now_ns):
            return 9429
        for scope, limit in (("", "day_cancels"), (symbol, "contract_cancels")):
            if self.over(limit, self.counts["cancels", scope] + 1):
                return 3011
        for scope in ("", symbol):
            self.counts["cancels", scope] += 1
        return self.account.cancel(order_id)

    def fill(self, order_id: str, volume: int, price: Decimal) -> int:
        symbol = self.account.orders[order_id].symbol
        code = self.account.fill(order_id, volume, price)
        if code == 0:
            for scope in ("", symbol):
                self.counts["trades", scope] += 1
        return code
