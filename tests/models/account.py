"""The account said plainly, from the trading contract: decimals, orders in a dict, every sum made anew.

Codes are the contract's: 1001 funds, 2003/2004 transfers, 3002 duplicate id, 3005..3007 closes.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal

D = Decimal
ZERO = D(0)
BUY, SELL = "BUY", "SELL"
OPEN, CLOSE, CLOSETODAY = "OPEN", "CLOSE", "CLOSETODAY"
OTHER = {BUY: SELL, SELL: BUY}


@dataclass(frozen=True)
class Terms:
    multiple: int = 1
    tick: Decimal = ZERO
    margin: tuple[Decimal, Decimal] = (D(1), ZERO)  # ratio of the value, CNY per lot
    open: tuple[Decimal, Decimal] = (ZERO, ZERO)
    close: tuple[Decimal, Decimal] = (ZERO, ZERO)
    close_today: tuple[Decimal, Decimal] = (ZERO, ZERO)
    fee_min: Decimal = ZERO
    transfer_fee: Decimal = ZERO
    sell_tax: Decimal = ZERO
    asset: str = "future"
    rule: str = "today_first"
    group: int = -1


CU = "SHFE.cu2109"
RB = "SHFE.rb2110"
M = "DCE.m2109"
IF = "CFFEX.IF2109"
STOCK = "SSE.600000"
OPTION = "CFFEX.IO2109-C-5000"

# Section 11's instruments, and a share and an option beside them.
TERMS = {
    CU: Terms(5, D(10), (D("0.1"), ZERO), (D("0.00005"), ZERO), (D("0.00005"), ZERO), rule="split"),
    RB: Terms(
        10,
        D(1),
        (D("0.09"), ZERO),
        (D("0.0001"), ZERO),
        (D("0.0001"), ZERO),
        (D("0.0001"), ZERO),
        rule="split",
    ),
    M: Terms(10, D(1), (D("0.05"), ZERO), (ZERO, D("1.5")), (ZERO, D("1.5"))),
    IF: Terms(
        300,
        D("0.2"),
        (D("0.1"), ZERO),
        (D("0.00002301"), ZERO),
        (D("0.00002301"), ZERO),
        (D("0.0001"), ZERO),
    ),
    STOCK: Terms(
        1,
        D("0.01"),
        open=(D("0.00025"), ZERO),
        close=(D("0.00025"), ZERO),
        close_today=(D("0.00025"), ZERO),
        fee_min=D(5),
        sell_tax=D("0.001"),
        transfer_fee=D("0.00001"),
        asset="stock",
        rule="his_only",
    ),
    OPTION: Terms(
        100, D("0.2"), (D("0.1"), D(500)), (ZERO, D(15)), (ZERO, D(15)), (ZERO, D(15)), asset="option"
    ),
}
CLOSE_TODAY_COSTS = replace(TERMS[CU], close_today=(D("0.0001"), ZERO))


@dataclass
class Lots:
    """Today's or old lots of one leg: how many, their cost for the day's profit, what they were opened at."""

    lots: int = 0
    cost: Decimal = ZERO
    open_cost: Decimal = ZERO

    def take(self, q: int) -> Decimal:
        """Remove q lots and return the cost they had."""
        if q == 0:
            return ZERO
        cost = self.cost * q / self.lots
        self.open_cost = self.open_cost * (self.lots - q) / self.lots
        self.cost = self.cost * (self.lots - q) / self.lots
        self.lots -= q
        return cost


@dataclass
class Leg:
    today: Lots = field(default_factory=Lots)
    his: Lots = field(default_factory=Lots)
    yd: int = 0

    @property
    def volume(self) -> int:
        return self.today.lots + self.his.lots

    @property
    def cost(self) -> Decimal:
        return self.today.cost + self.his.cost

    @property
    def open_cost(self) -> Decimal:
        return self.today.open_cost + self.his.open_cost


@dataclass
class Order:
    symbol: str
    direction: str
    opens: bool
    left: int
    price: Decimal
    today: int = 0
    his: int = 0
    fee_due: Decimal = ZERO
    fee_charged: Decimal = ZERO


def money(rate: tuple[Decimal, Decimal], value: Decimal, lots: int) -> Decimal:
    return rate[0] * value + rate[1] * lots


class Account:
    def __init__(self, terms: dict[str, Terms] | None = None, margin_side: str = "sum") -> None:
        self.terms = dict(TERMS if terms is None else terms)
        self.margin_side = margin_side
        self.legs: dict[tuple[str, str], Leg] = {}
        self.orders: dict[str, Order] = {}
        self.last: dict[str, Decimal] = {}
        self.marked: set[str] = set()
        self.pre_balance = self.deposits = self.withdrawals = ZERO
        self.close_profit = self.commission = self.premium = self.bought = self.sold = ZERO

    # Money
    def deposit(self, amount: Decimal) -> int:
        if amount <= 0:
            return 2004
        self.deposits += amount
        return 0

    def withdraw(self, amount: Decimal) -> int:
        if amount <= 0:
            return 2004
        if amount > self.funds()["withdraw_quota"]:
            return 2003
        self.withdrawals += amount
        return 0

    # Orders
    def leg(self, symbol: str, side: str) -> Leg:
        return self.legs.setdefault((symbol, side), Leg())

    def frozen(self, symbol: str, side: str) -> tuple[int, int]:
        closing = [
            o
            for o in self.orders.values()
            if o.symbol == symbol and o.direction == OTHER[side] and not o.opens
        ]
        return sum(o.today for o in closing), sum(o.his for o in closing)

    def plan(self, symbol: str, direction: str, offset: str, volume: int, price: Decimal) -> int | Order:
        if symbol not in self.terms:
            return 1007
        if volume < 1:
            return 1003
        t = self.terms[symbol]
        opens = direction == BUY if t.asset == "stock" else offset == OPEN
        order = Order(symbol, direction, opens, volume, price)
        if opens:
            return order
        leg = self.leg(symbol, OTHER[direction])
        frozen_today, frozen_his = self.frozen(symbol, OTHER[direction])
        today, his = leg.today.lots - frozen_today, leg.his.lots - frozen_his
        if volume > leg.volume:
            return 3005
        if t.rule == "split":
            if offset == CLOSETODAY and volume > today:
                return 3006
            if offset != CLOSETODAY and volume > his:
                return 3007
            order.today, order.his = (volume, 0) if offset == CLOSETODAY else (0, volume)
        elif t.rule == "his_only":
            if volume > his:
                return 3007
            order.his = volume
        else:
            if volume > today + his:
                return 3005
            if t.rule == "today_first":
                order.today = min(today, volume)
                order.his = volume - order.today
            else:
                order.his = min(his, volume)
                order.today = volume - order.his
        return order

    def broker_fee(self, order: Order, price: Decimal, today: int, his: int) -> Decimal:
        t = self.terms[order.symbol]
        unit = price * t.multiple
        if order.opens:
            return money(t.open, unit * (today + his), today + his)
        return money(t.close_today, unit * today, today) + money(t.close, unit * his, his)

    def tax(self, order: Order, value: Decimal) -> Decimal:
        t = self.terms[order.symbol]
        return value * t.transfer_fee + (value * t.sell_tax if order.direction == SELL else 0)

    def keeps(self, order: Order) -> tuple[Decimal, Decimal, Decimal]:
        """Margin, commission and premium an order has frozen."""
        t = self.terms[order.symbol]
        value = order.price * order.left * t.multiple
        margin = premium = ZERO
        if t.asset == "option" and order.direction == BUY:
            premium = value
        elif order.opens:
            margin = value if t.asset == "stock" else money(t.margin, value, order.left)
        lots = (order.left, 0) if order.opens else (order.today, order.his)
        due = order.fee_due + self.broker_fee(order, order.price, *lots)
        return margin, max(due, t.fee_min) - order.fee_charged + self.tax(order, value), premium

    def insert(
        self, order_id: str, symbol: str, direction: str, offset: str, volume: int, price: Decimal
    ) -> int:
        if order_id in self.orders:
            return 3002
        order = self.plan(symbol, direction, offset, volume, price)
        if isinstance(order, int):
            return order
        if order.opens and sum(self.keeps(order)) > self.funds()["available"]:
            return 1001
        self.orders[order_id] = order
        return 0

    def cancel(self, order_id: str) -> int:
        return 0 if self.orders.pop(order_id, None) else 3001

    def shrink(self, order_id: str, left: int) -> int:
        order = self.orders[order_id]
        if not 1 <= left <= order.left:
            return 1003
        if not order.opens:
            for _ in range(order.left - left):
                names = ("today", "his") if self.terms[order.symbol].rule == "his_first" else ("his", "today")
                name = names[0] if getattr(order, names[0]) else names[1]
                setattr(order, name, getattr(order, name) - 1)
        order.left = left
        return 0

    def move(self, order_id: str, price: Decimal) -> int:
        order = self.orders[order_id]
        had, order.price = order.price, price
        if order.opens and self.funds()["available"] < 0 and price > had:
            order.price = had
            return 1001
        return 0

    def fill(self, order_id: str, volume: int, price: Decimal) -> int:
        order = self.orders[order_id]
        if not 1 <= volume <= order.left:
            return 1003
        self.apply(order, volume, price)
        if order.left == 0:
            del self.orders[order_id]
        return 0

    def apply(self, order: Order, volume: int, price: Decimal) -> None:
        t = self.terms[order.symbol]
        value = price * volume * t.multiple
        today, his = volume, 0
        if order.opens:
            leg = self.leg(order.symbol, order.direction)
            leg.today.lots += volume
            leg.today.cost += value
            leg.today.open_cost += value
        else:
            side = OTHER[order.direction]
            leg = self.leg(order.symbol, side)
            if t.rule == "his_first":
                his = min(volume, order.his)
                today = volume - his
            else:
                today = min(volume, order.today)
                his = volume - today
            cost = leg.today.take(today) + leg.his.take(his)
            order.today -= today
            order.his -= his
            if t.asset != "option":
                self.close_profit += value - cost if side == BUY else cost - value
        order.left -= volume
        order.fee_due += self.broker_fee(order, price, today, his)
        fee = max(order.fee_due, t.fee_min)
        self.commission += fee - order.fee_charged + self.tax(order, value)
        order.fee_charged = fee
        if t.asset == "option":
            self.premium += value if order.direction == SELL else -value
        if t.asset == "stock":
            if order.direction == BUY:
                self.bought += value
            else:
                self.sold += value
        self.last.setdefault(order.symbol, price)

    def trade(self, symbol: str, direction: str, offset: str, volume: int, price: Decimal) -> int:
        order = self.plan(symbol, direction, offset, volume, price)
        if isinstance(order, int):
            return order
        self.apply(order, volume, price)
        return 0

    # The end of a contract
    def expire(self, symbol: str, price: Decimal, fee: Decimal = ZERO) -> int:
        """Everything held of it goes at a price, for a fee on the value, by no order."""
        held = [(side, self.leg(symbol, side)) for side in (BUY, SELL) if self.leg(symbol, side).volume]
        if held and any(order.symbol == symbol for order in self.orders.values()):
            return 2005
        for side, leg in held:
            value = price * leg.volume * self.terms[symbol].multiple
            if self.terms[symbol].asset == "option":
                self.premium += value if side == BUY else -value
            else:
                self.close_profit += value - leg.cost if side == BUY else leg.cost - value
            self.commission += value * fee
            leg.today, leg.his = Lots(), Lots()
        return 0

    def assign(self, symbol: str, direction: str, volume: int, price: Decimal) -> int:
        """Lots of a future that exercise brings: opened today at the strike, for nothing."""
        today, value = self.leg(symbol, direction).today, price * volume * self.terms[symbol].multiple
        today.lots += volume
        today.cost += value
        today.open_cost += value
        self.last.setdefault(symbol, price)
        return 0

    # Prices and days
    def mark(self, symbol: str, price: Decimal) -> None:
        self.last[symbol] = price
        self.marked.add(symbol)

    def settle(self, prices: dict[str, Decimal] | None = None) -> int:
        if self.orders:
            return 2005
        self.last |= prices or {}
        self.marked |= set(prices or {})
        balance = self.funds()["balance"]
        for (symbol, _), leg in self.legs.items():
            leg.his.lots += leg.today.lots
            leg.his.open_cost += leg.today.open_cost
            leg.his.cost = self.last.get(symbol, ZERO) * leg.his.lots * self.terms[symbol].multiple
            leg.today = Lots()
            leg.yd = leg.his.lots
        self.legs = {key: leg for key, leg in self.legs.items() if leg.volume}
        # A trade price stands in for a market price only as long as the position lives.
        known = self.marked | {symbol for symbol, _ in self.legs}
        self.last = {symbol: price for symbol, price in self.last.items() if symbol in known}
        self.pre_balance = balance
        self.deposits = self.withdrawals = ZERO
        self.close_profit = self.commission = self.premium = self.bought = self.sold = ZERO
        return 0

    # What it comes to
    def value(self, symbol: str, side: str) -> Decimal:
        leg = self.leg(symbol, side)
        return self.last.get(symbol, ZERO) * leg.volume * self.terms[symbol].multiple

    def leg_margin(self, symbol: str, side: str) -> Decimal:
        t = self.terms[symbol]
        leg = self.leg(symbol, side)
        if t.asset == "stock":
            return self.value(symbol, side)
        if t.asset == "option" and side == BUY:
            return ZERO
        return money(t.margin, leg.cost, leg.volume)

    def profit(self, symbol: str, side: str, cost: Decimal) -> Decimal:
        value = self.value(symbol, side)
        return value - cost if side == BUY else cost - value

    def margin(self) -> Decimal:
        groups: dict[object, dict[str, Decimal]] = {}
        for symbol, side in list(self.legs):
            group = self.terms[symbol].group
            both = groups.setdefault(symbol if group < 0 else group, {BUY: ZERO, SELL: ZERO})
            both[side] += self.leg_margin(symbol, side)
        larger = self.margin_side == "max"
        return sum(
            (max(both.values()) if larger else both[BUY] + both[SELL] for both in groups.values()), ZERO
        )

    def funds(self) -> dict[str, Decimal]:
        kept = [self.keeps(order) for order in self.orders.values()]
        frozen_margin, frozen_commission, frozen_premium = (sum((k[i] for k in kept), ZERO) for i in range(3))
        profits = {
            key: ZERO if self.terms[key[0]].asset == "option" else self.profit(*key, leg.cost)
            for key, leg in list(self.legs.items())
        }
        position_profit = sum(profits.values(), ZERO)
        float_profit = sum((self.profit(*key, leg.open_cost) for key, leg in list(self.legs.items())), ZERO)
        static = self.pre_balance + self.deposits - self.withdrawals
        balance = static + self.close_profit + position_profit - self.commission + self.premium
        margin = self.margin()
        available = balance - margin - frozen_margin - frozen_commission - frozen_premium
        gain = sum((p for key, p in profits.items() if self.terms[key[0]].asset != "stock"), ZERO)
        unsettled = max(ZERO, self.sold - self.bought)
        return {
            "pre_balance": self.pre_balance,
            "deposit": self.deposits,
            "withdraw": self.withdrawals,
            "withdraw_quota": max(ZERO, available - max(ZERO, gain) - unsettled),
            "static_balance": static,
            "close_profit": self.close_profit,
            "commission": self.commission,
            "premium": self.premium,
            "position_profit": position_profit,
            "float_profit": float_profit,
            "balance": balance,
            "margin": margin,
            "frozen_margin": frozen_margin,
            "frozen_commission": frozen_commission,
            "frozen_premium": frozen_premium,
            "available": available,
            "risk_ratio": margin / balance if balance > 0 else (D("Infinity") if margin else ZERO),
        }

    def position(self, symbol: str) -> dict[str, Decimal]:
        out: dict[str, Decimal] = {}
        for side, name in ((BUY, "long"), (SELL, "short")):
            leg = self.leg(symbol, side)
            frozen_today, frozen_his = self.frozen(symbol, side)
            lots = D(leg.volume * self.terms[symbol].multiple)
            out |= {
                f"volume_{name}_today": D(leg.today.lots),
                f"volume_{name}_his": D(leg.his.lots),
                f"volume_{name}": D(leg.volume),
                f"volume_{name}_frozen_today": D(frozen_today),
                f"volume_{name}_frozen_his": D(frozen_his),
                f"volume_{name}_yd": D(leg.yd),
                f"open_cost_{name}": leg.open_cost,
                f"open_price_{name}": leg.open_cost / lots if lots else ZERO,
                f"position_cost_{name}": leg.cost,
                f"float_profit_{name}": self.profit(symbol, side, leg.open_cost),
                f"margin_{name}": self.leg_margin(symbol, side),
            }
        return out
