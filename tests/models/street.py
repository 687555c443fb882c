"""The paper exchange's fills the slow way: one instrument, users' limit orders, levels a feed shows."""

from __future__ import annotations

from dataclasses import dataclass, field

BUY, SELL = 0, 1


@dataclass
class Resting:
    """An order of a user, or a level of the feed (`user` is None); `place` is its rank in time."""

    user: int | None
    side: int
    price: float
    left: int
    place: int
    volume: int = 0


@dataclass
class Street:
    """Trades are (user, side, volume, price), one for each user's side, in the order they happen."""

    book: list[Resting] = field(default_factory=list)
    shown: list[Resting] = field(default_factory=list)
    trades: list[tuple[int, int, int, float]] = field(default_factory=list)
    places: int = 0

    def order(self, user: int | None, side: int, price: float, volume: int) -> Resting:
        """Trade with the best of the other side, the older first, at its price; the rest rests."""
        self.places += 1
        taker = Resting(user, side, price, volume, self.places)
        sign = 1 if side == BUY else -1
        others = [o for o in self.book if o.side != side and (price - o.price) * sign >= 0]
        for maker in sorted(others, key=lambda o: (o.price * sign, o.place)):
            volume = min(taker.left, maker.left)
            if volume == 0:
                continue
            taker.left -= volume
            maker.left -= volume
            for party in (taker, maker):
                if party.user is not None:
                    self.trades.append((party.user, party.side, volume, maker.price))
        self.book = [o for o in (*self.book, taker) if o.left > 0]
        return taker

    def show(self, bids: list[tuple[float, int]], asks: list[tuple[float, int]]) -> None:
        """Show other levels: of those that were shown just so before only what is left is there."""
        before, self.shown = self.shown, []
        self.book = [o for o in self.book if o.user is not None]
        for side, levels in ((BUY, bids), (SELL, asks)):
            for price, volume in levels:
                same = [o.left for o in before if (o.side, o.price, o.volume) == (side, price, volume)]
                level = self.order(None, side, price, same[0] if same else volume)
                level.volume = volume
                self.shown.append(level)

    def new_day(self) -> None:
        """All orders end; what the feed shows is there anew."""
        self.book, self.shown, self.trades = [], [], []
