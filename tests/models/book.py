"""The order book said plainly: one list of orders per book, sorted anew whenever somebody must be served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

BUY, SELL = 0, 1
LIMIT, ANY_PRICE, BEST, FIVE_LEVEL = 0, 1, 2, 3
IOC, GFS, GFD, GTD, GTC, GFA = 1, 2, 3, 4, 5, 6
ANY_VOLUME, MIN_VOLUME, ALL_VOLUME = 1, 2, 3
CLOSED, AUCTION, AUCTION_LOCKED, AUCTION_MATCHED, CONTINUOUS, BREAK = range(6)
REJECT_TAKER, CANCEL_MAKER, CANCEL_BOTH, ALLOW = range(4)
AT_MAKER, AT_MEDIAN = 0, 1
ACCEPTED, FILL, CANCELLED, AMENDED = 1, 2, 3, 4
GATHERING = (AUCTION, AUCTION_LOCKED)

BAD_VOLUME, SELF_TRADE, NO_ACCOUNT, NO_INSTRUMENT, BAD_PARAMETERS = -1003, -1005, -1006, -1007, -1008
NO_ORDER, UNSUPPORTED, ABOVE_LIMIT, BELOW_LIMIT = -3001, -4001, -4002, -4003
NOT_TRADING, NO_CANCEL_NOW, AUCTION_ONLY, NOT_IN_AUCTION, FULL = -4004, -4005, -4006, -4007, -5001

USER, REST, ALL_OR_NONE, MINIMUM, OWN_TRADE = 1, 2, 3, 4, 5
AUCTION_END, SECTION_END, DAY_END, BAND, FORCED = 6, 7, 8, 9, 10

KINDS = {
    (LIMIT, GFD, ANY_VOLUME): 1 << 0,
    (LIMIT, GFS, ANY_VOLUME): 1 << 1,
    (LIMIT, GFA, ANY_VOLUME): 1 << 2,
    (LIMIT, GTD, ANY_VOLUME): 1 << 3,
    (LIMIT, GTC, ANY_VOLUME): 1 << 3,
    (LIMIT, IOC, ANY_VOLUME): 1 << 4,
    (LIMIT, IOC, MIN_VOLUME): 1 << 4,
    (LIMIT, IOC, ALL_VOLUME): 1 << 5,
    (ANY_PRICE, IOC, ANY_VOLUME): 1 << 6,
    (ANY_PRICE, IOC, MIN_VOLUME): 1 << 6,
    (ANY_PRICE, IOC, ALL_VOLUME): 1 << 7,
    (BEST, IOC, ANY_VOLUME): 1 << 8,
    (BEST, IOC, MIN_VOLUME): 1 << 8,
    (BEST, IOC, ALL_VOLUME): 1 << 9,
    (FIVE_LEVEL, IOC, ANY_VOLUME): 1 << 10,
    (FIVE_LEVEL, IOC, MIN_VOLUME): 1 << 10,
    (FIVE_LEVEL, IOC, ALL_VOLUME): 1 << 11,
}


@dataclass
class Order:
    id: int
    account: int
    side: int
    price: int
    left: int
    time: int
    opens: bool
    gtd_day: int
    since: int = 0  # place in time: lower goes first


@dataclass
class Rules:
    kinds: int = (1 << 12) - 1
    buy_min: int = 1
    buy_step: int = 1
    sell_min: int = 1
    sell_step: int = 1
    volume_max: int = 1 << 30
    self_trade: int = REJECT_TAKER
    trade_price: int = AT_MAKER
    best_rests: bool = False


@dataclass
class Book:
    lower: int
    upper: int
    rules: Rules
    phase: int = CLOSED
    reference: int | None = None
    last: int | None = None
    volume: int = 0
    resting: list[Order] = field(default_factory=list)

    def queue(self, side: int) -> list[Order]:
        """Resting orders of a side in the order they trade: better price first, then the older."""
        sign = -1 if side == BUY else 1
        found = [order for order in self.resting if order.side == side]
        return sorted(found, key=lambda order: (sign * order.price, order.since))

    def crossed(self, side: int, limit: int) -> list[Order]:
        """Orders that one of `side` with this limit can trade with, in turn."""
        return [
            order
            for order in self.queue(1 - side)
            if (order.price <= limit if side == BUY else order.price >= limit)
        ]

    def prices(self, side: int) -> list[int]:
        return list(dict.fromkeys(order.price for order in self.queue(side)))


class Books:
    """The same calls, codes and events as the core's; order numbers are 1, 2, 3, ..."""

    def __init__(self, live_orders_max: int = 1 << 18, accounts_max: int = 1 << 16) -> None:
        self.live_orders_max = live_orders_max
        self.accounts_max = accounts_max
        self.books: list[Book] = []
        self.numbers = 0
        self.times = 0
        self.trades = 0
        self.story: list[tuple[Any, ...]] = []

    # what is asked

    @property
    def live_orders(self) -> int:
        return sum(len(book.resting) for book in self.books)

    def events(self) -> list[tuple[Any, ...]]:
        found, self.story = self.story, []
        return found

    def depth(self, index: int, levels: int = 5) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        book = self.books[index]
        bids, asks = (
            [
                (price, sum(order.left for order in book.queue(side) if order.price == price))
                for price in book.prices(side)[:levels]
            ]
            for side in (BUY, SELL)
        )
        return bids, asks

    def orders(self, index: int, side: int) -> list[tuple[int, int, int, int]]:
        return [(order.id, order.price, order.left, order.account) for order in self.books[index].queue(side)]

    def phase(self, index: int) -> int:
        return self.books[index].phase

    def last(self, index: int) -> int | None:
        return self.books[index].last

    def volume(self, index: int) -> int:
        return self.books[index].volume

    def band(self, index: int) -> tuple[int, int]:
        return self.books[index].lower, self.books[index].upper

    def indication(self, index: int) -> tuple[int, int, int] | None:
        """Contract 5.4: most volume, least imbalance, nearest to the reference, then by who is left over."""
        book = self.books[index]
        if not book.prices(BUY) or not book.prices(SELL):
            return None
        found = []
        for price in range(book.prices(SELL)[0], book.prices(BUY)[0] + 1):
            demand = sum(order.left for order in book.queue(BUY) if order.price >= price)
            supply = sum(order.left for order in book.queue(SELL) if order.price <= price)
            found.append((price, min(demand, supply), demand - supply))
        if not found:
            return None
        most = max(volume for _, volume, _ in found)
        found = [one for one in found if one[1] == most]
        least = min(abs(imbalance) for _, _, imbalance in found)
        found = [one for one in found if abs(one[2]) == least]
        if book.reference is not None:
            reference = book.reference
            near = min(abs(price - reference) for price, _, _ in found)
            found = [one for one in found if abs(one[0] - reference) == near]
        buyers_left = [one for one in found if one[2] > 0]
        return buyers_left[-1] if buyers_left else found[0]

    # what is done

    def add(self, lower: int, upper: int, **rules: Any) -> int:
        self.books.append(Book(lower, upper, Rules(**rules)))
        return len(self.books) - 1

    def set_reference(self, index: int, price: int) -> int:
        self.books[index].reference = price
        return 0

    def refusal(
        self, index: int, order: Order, volume: int, price_type: int, condition: int, least: int, held: int
    ) -> int:
        if index >= len(self.books):
            return NO_INSTRUMENT
        book = self.books[index]
        if order.account >= self.accounts_max:
            return NO_ACCOUNT
        if not KINDS.get((price_type, order.time, condition), 0) & book.rules.kinds:
            return UNSUPPORTED
        if book.phase not in (*GATHERING, CONTINUOUS):
            return NOT_TRADING
        if book.phase == CONTINUOUS and order.time == GFA:
            return AUCTION_ONLY
        if book.phase in GATHERING and order.time == IOC:
            return NOT_IN_AUCTION
        if not self.volume_allowed(book.rules, order.side, volume, held):
            return BAD_VOLUME
        if condition == MIN_VOLUME and not 1 <= least <= volume:
            return BAD_VOLUME
        if order.time == GTD and order.gtd_day <= 0:
            return BAD_PARAMETERS
        if price_type == LIMIT and order.price > book.upper:
            return ABOVE_LIMIT
        if price_type == LIMIT and order.price < book.lower:
            return BELOW_LIMIT
        if self.live_orders >= self.live_orders_max:
            return FULL
        limit = self.limit(book, order, price_type)
        return SELF_TRADE if limit is not None and self.meets_itself(book, order, limit) else 0

    @staticmethod
    def meets_itself(book: Book, order: Order, limit: int) -> bool:
        """Whether it is to be refused for crossing an order of its own account."""
        crossed = book.crossed(order.side, limit)
        checked = order.opens and book.rules.self_trade == REJECT_TAKER
        return checked and any(other.account == order.account for other in crossed)

    @staticmethod
    def volume_allowed(rules: Rules, side: int, volume: int, held: int) -> bool:
        least, step = (rules.buy_min, rules.buy_step) if side == BUY else (rules.sell_min, rules.sell_step)
        if not 1 <= volume <= rules.volume_max:
            return False
        whole = volume >= least and volume % step == 0
        if side == BUY or whole:
            return whole
        odd_rest_goes_along = step > 1 and volume < held and volume % step == held % step
        return volume == held or odd_rest_goes_along

    @staticmethod
    def limit(book: Book, order: Order, price_type: int) -> int | None:
        """The worst price the order trades at; None when there is nothing for it."""
        prices = book.prices(1 - order.side)
        if price_type == LIMIT:
            return order.price
        if not prices:
            return None
        if price_type == ANY_PRICE:
            return book.upper if order.side == BUY else book.lower
        return prices[: 1 if price_type == BEST else 5][-1]

    def insert(
        self,
        book: int,
        account: int,
        side: int,
        price: int,
        volume: int,
        price_type: int = LIMIT,
        time: int = GFD,
        condition: int = ANY_VOLUME,
        min_volume: int = 0,
        opens: bool = True,
        held: int = 0,
        gtd_day: int = 0,
    ) -> int:
        order = Order(0, account, side, price, volume, time, opens, gtd_day)
        code = self.refusal(book, order, volume, price_type, condition, min_volume, held)
        if code:
            return code
        index, where = book, self.books[book]
        self.numbers += 1
        order.id = self.numbers
        self.story.append((ACCEPTED, index, order.id))
        limit = self.limit(where, order, price_type)
        reason = 0
        if (
            limit is not None
            and self.cancel_own(index, order, limit)
            and where.rules.self_trade == CANCEL_BOTH
        ):
            reason = OWN_TRADE
        elif condition in (MIN_VOLUME, ALL_VOLUME) and time == IOC:
            there = 0 if limit is None else sum(other.left for other in where.crossed(side, limit))
            if there < (volume if condition == ALL_VOLUME else min_volume):
                reason = ALL_OR_NONE if condition == ALL_VOLUME else MINIMUM
        if not reason:
            if limit is not None and where.phase == CONTINUOUS:
                self.match(index, order, limit)
            keeps = where.rules.best_rests and price_type == BEST and condition == ANY_VOLUME
            if time == IOC and not (keeps and limit is not None):
                reason = REST
        if order.left == 0:
            return order.id
        if reason:
            self.cancelled(index, order, reason)
            return order.id
        assert limit is not None
        order.price = limit
        if time == IOC:
            order.time = GFD
        self.rest(where, order)
        return order.id

    def rest(self, book: Book, order: Order) -> None:
        self.times += 1
        order.since = self.times
        book.resting.append(order)

    def cancelled(self, index: int, order: Order, reason: int) -> None:
        self.story.append((CANCELLED, index, order.id, order.account, order.left, reason))

    def cancel_own(self, index: int, order: Order, limit: int) -> bool:
        """Cancel what the order would trade with of its own account; whether there was any."""
        book = self.books[index]
        if not order.opens or book.rules.self_trade not in (CANCEL_MAKER, CANCEL_BOTH):
            return False
        own = [other for other in book.crossed(order.side, limit) if other.account == order.account]
        for other in sorted(own, key=lambda other: other.since):
            book.resting.remove(other)
            self.cancelled(index, other, OWN_TRADE)
        return bool(own)

    def match(self, index: int, order: Order, limit: int) -> None:
        book = self.books[index]
        for maker in book.crossed(order.side, limit):
            if order.left == 0:
                return
            price = maker.price
            if book.rules.trade_price == AT_MEDIAN:
                before = book.last if book.last is not None else (book.reference or 0)
                price = sorted([limit, maker.price, before])[1]
            volume = min(order.left, maker.left)
            order.left -= volume
            maker.left -= volume
            self.trade(
                index, price, volume, order.side, *((order, maker) if order.side == BUY else (maker, order))
            )

    def trade(self, index: int, price: int, volume: int, taker: int | None, buy: Order, sell: Order) -> None:
        book = self.books[index]
        self.trades += 1
        book.last = price
        book.volume += volume
        self.story.append(
            (
                *(FILL, index, self.trades, price, volume, taker),
                (buy.id, buy.account, buy.left),
                (sell.id, sell.account, sell.left),
            )
        )
        book.resting = [order for order in book.resting if order.left > 0]

    def find(self, number: int) -> tuple[int, Order] | None:
        for index, book in enumerate(self.books):
            for order in book.resting:
                if order.id == number:
                    return index, order
        return None

    def cancel(self, number: int) -> int:
        found = self.find(number)
        if found is None:
            return NO_ORDER
        if self.books[found[0]].phase not in (AUCTION, CONTINUOUS, BREAK):
            return NO_CANCEL_NOW
        return self.remove(number, USER)

    def remove(self, number: int, reason: int = FORCED) -> int:
        found = self.find(number)
        if found is None:
            return NO_ORDER
        index, order = found
        self.books[index].resting.remove(order)
        self.cancelled(index, order, reason)
        return 0

    def remove_account(self, account: int, reason: int = FORCED) -> int:
        return sum(
            self.drop(index, reason, lambda order: order.account == account)
            for index in range(len(self.books))
        )

    def amend(self, number: int, price: int, left: int) -> int:
        found = self.find(number)
        if found is None:
            return NO_ORDER
        index, order = found
        book = self.books[index]
        if book.phase not in (AUCTION, CONTINUOUS):
            return NO_CANCEL_NOW
        if left != order.left and not self.volume_allowed(book.rules, order.side, left, 0):
            return BAD_VOLUME
        if price > book.upper:
            return ABOVE_LIMIT
        if price < book.lower:
            return BELOW_LIMIT
        if price == order.price and left <= order.left:
            order.left = left
            self.story.append((AMENDED, index, order.id, price, left, True))
            return 0
        if price != order.price and self.meets_itself(book, order, price):
            return SELF_TRADE
        book.resting.remove(order)
        order.price, order.left = price, left
        self.story.append((AMENDED, index, order.id, price, left, False))
        if self.cancel_own(index, order, price) and book.rules.self_trade == CANCEL_BOTH:
            self.cancelled(index, order, OWN_TRADE)
            return 0
        if book.phase == CONTINUOUS:
            self.match(index, order, price)
        if order.left:
            self.rest(book, order)
        return 0

    def drop(self, index: int, reason: int, wanted: Callable[[Order], bool]) -> int:
        book = self.books[index]
        gone = [order for side in (BUY, SELL) for order in book.queue(side) if wanted(order)]
        for order in gone:
            book.resting.remove(order)
            self.cancelled(index, order, reason)
        return len(gone)

    def set_phase(self, index: int, phase: int) -> int:
        book = self.books[index]
        if book.phase in GATHERING and phase not in GATHERING:
            self.uncross(index)
            self.drop(index, AUCTION_END, lambda order: order.time == GFA)
        if phase in (BREAK, CLOSED):
            self.drop(index, SECTION_END, lambda order: order.time == GFS)
        book.phase = phase
        return 0

    def uncross(self, index: int) -> None:
        book = self.books[index]
        found = self.indication(index)
        if found is None:
            return
        price, volume, _ = found
        while volume:
            buy, sell = book.queue(BUY)[0], book.queue(SELL)[0]
            assert buy.price >= price >= sell.price
            lots = min(volume, buy.left, sell.left)
            volume -= lots
            buy.left -= lots
            sell.left -= lots
            self.trade(index, price, lots, None, buy, sell)

    def end_day(self, index: int, trading_day: int) -> int:
        self.set_phase(index, CLOSED)
        book = self.books[index]
        self.drop(
            index,
            DAY_END,
            lambda order: order.time != GTC and not (order.time == GTD and order.gtd_day > trading_day),
        )
        book.last = None
        book.volume = 0
        return 0

    def set_band(self, index: int, lower: int, upper: int) -> int:
        if lower > upper:
            return BAD_PARAMETERS
        self.drop(index, BAND, lambda order: not lower <= order.price <= upper)
        self.books[index].lower, self.books[index].upper = lower, upper
        return 0


def fills(events: list[tuple[Any, ...]]) -> Iterator[tuple[int, int]]:
    """(price, volume) of each match told of."""
    return ((event[3], event[4]) for event in events if event[0] == FILL)
