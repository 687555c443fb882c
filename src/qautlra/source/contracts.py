"""Which contracts the simulated market lists on a trading day, and how lively each is.

Months and expiry days follow the exchanges' rules of 2025; prices are plausible starting points only.
Facts every market shares (tick, multiplier, sections, margin) come from the product tables, not from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from qautlra.model.expiry import Days, Expiry, expiry_day

ROLL_DAYS = 30  # a commodity's front month is the first that has this long to live
FIRST_RB_TICKS_PER_S = 50.0
_EVERY = tuple(range(1, 13))
_ODD = (1, 3, 5, 7, 9, 11)
_EVEN = (2, 4, 6, 8, 10, 12)
_THIRDS = (1, 5, 9)
_QUARTERS = (3, 6, 9, 12)


@dataclass(frozen=True, slots=True)
class Liveliness:
    """How an instrument trades: starting price, spread of its moves, sizes in lots, cadence."""

    price: float
    sigma_per_minute: float = 0.0005
    lots_per_trade: int = 5
    depth_lots: int = 60
    ticks_per_s: float = 2.0
    limit_ratio: float = 0.08
    open_interest_lots: int = 100_000


@dataclass(frozen=True, slots=True)
class Contract:
    """One listed instrument; `expiry_day` YYYYMMDD is its last trading day, 0 when it has none."""

    symbol: str
    product: str
    expiry_day: int
    live: Liveliness
    lot: int = 1
    is_fund: bool = False

    @property
    def is_future(self) -> bool:
        """Whether it is settled daily and has open interest."""
        return self.expiry_day > 0


@dataclass(frozen=True, slots=True)
class _Family:
    """A futures product: which months exist, how many front ones are listed, which months always are."""

    product: str
    live: Liveliness
    months: tuple[int, ...] = _EVERY
    front: int = 1
    always: tuple[int, ...] = ()
    expiry: Expiry = "15th"
    since: int = 0


def _f(price: float, lots: int, depth: int, interest: int, sigma: float = 0.0005) -> Liveliness:
    return Liveliness(price, sigma, lots, depth, open_interest_lots=interest)


_FAMILIES = (
    _Family("SHFE.rb", _f(3150, 2, 400, 1_800_000), front=3, always=(1, 5, 10, 12)),
    _Family("SHFE.hc", _f(3280, 6, 250, 1_200_000), always=(1,)),
    _Family("SHFE.cu", _f(78_500, 2, 20, 180_000), front=2, always=(1,)),
    _Family("SHFE.al", _f(20_300, 3, 60, 220_000)),
    _Family("SHFE.zn", _f(22_400, 3, 40, 110_000)),
    _Family("SHFE.ni", _f(121_000, 2, 15, 90_000, 0.0006)),
    _Family("SHFE.au", _f(780, 2, 12, 200_000), _EVEN, front=2, always=(6, 12)),
    _Family("SHFE.ag", _f(8250, 4, 60, 400_000, 0.0007), always=(12,)),
    _Family("SHFE.ru", _f(13_600, 3, 25, 150_000, 0.0006), _THIRDS),
    _Family("SHFE.fu", _f(2950, 5, 120, 160_000, 0.0006), expiry="month_before"),
    _Family("SHFE.bu", _f(3480, 4, 90, 180_000)),
    _Family("SHFE.sp", _f(5300, 3, 60, 170_000)),
    _Family("INE.sc", _f(465, 2, 10, 30_000, 0.0007), expiry="month_before"),
    _Family("DCE.m", _f(2950, 10, 500, 1_600_000), (1, 3, 5, 7, 8, 9, 11, 12), 2, _THIRDS, "tenth_day"),
    _Family("DCE.y", _f(7700, 5, 150, 550_000), _THIRDS, expiry="tenth_day"),
    _Family("DCE.p", _f(8150, 6, 120, 420_000, 0.0007), _THIRDS, expiry="tenth_day"),
    _Family("DCE.c", _f(2320, 8, 600, 1_000_000, 0.0003), _THIRDS, expiry="tenth_day"),
    _Family("DCE.i", _f(740, 5, 150, 500_000, 0.0007), _THIRDS, expiry="tenth_day"),
    _Family("DCE.jm", _f(980, 5, 80, 380_000, 0.0008), _THIRDS, expiry="tenth_day"),
    _Family("CZCE.SR", _f(5750, 5, 200, 380_000, 0.0004), _ODD, always=(1,), expiry="tenth_day"),
    _Family("CZCE.CF", _f(13_300, 4, 120, 520_000, 0.0004), _ODD, always=(1,), expiry="tenth_day"),
    _Family("CZCE.TA", _f(4750, 8, 350, 1_000_000), _THIRDS, expiry="tenth_day"),
    _Family("CZCE.MA", _f(2270, 8, 450, 800_000), _THIRDS, expiry="tenth_day"),
    _Family("CZCE.FG", _f(1010, 8, 500, 1_100_000, 0.0007), _THIRDS, expiry="tenth_day"),
    _Family("CZCE.SA", _f(1220, 8, 450, 1_200_000, 0.0007), _THIRDS, expiry="tenth_day"),
    _Family("CFFEX.IF", _f(3880, 2, 6, 120_000, 0.0004), expiry="third_friday", front=4),
    _Family("CFFEX.IH", _f(2690, 2, 6, 55_000, 0.0004), expiry="third_friday"),
    _Family("CFFEX.IC", _f(5750, 2, 5, 90_000), expiry="third_friday"),
    _Family("CFFEX.IM", _f(6050, 2, 5, 130_000), expiry="third_friday", since=20220722),
    _Family("CFFEX.T", _f(108.8, 3, 40, 190_000, 0.00004), _QUARTERS, expiry="second_friday"),
)

_CASH = (
    ("SSE.600000", Liveliness(12.1, 0.0004, 20, 900, limit_ratio=0.1), False),
    ("SSE.600519", Liveliness(1480.0, 0.0004, 1, 6, limit_ratio=0.1), False),
    ("SSE.601318", Liveliness(53.6, 0.0004, 10, 150, limit_ratio=0.1), False),
    ("SSE.510300", Liveliness(3.95, 0.0003, 60, 4000, limit_ratio=0.1), True),
    ("SZSE.000001", Liveliness(11.5, 0.0004, 20, 1200, limit_ratio=0.1), False),
    ("SZSE.000858", Liveliness(126.0, 0.0004, 5, 60, limit_ratio=0.1), False),
)


def listing(day: int, days: Days) -> list[Contract]:
    """Return the contracts of trading day `day` (YYYYMMDD), the same list for the same day."""
    found: list[Contract] = []
    for family in _FAMILIES:
        if day < family.since:
            continue
        chosen = dict(sorted(_chosen(family, day, days)))
        for order, (month, expiry) in enumerate(chosen.items()):
            live = replace(family.live, ticks_per_s=_cadence(len(found)))
            if family.product == "SHFE.rb" and order == 0:
                live = replace(live, ticks_per_s=FIRST_RB_TICKS_PER_S)
            if family.product.startswith("CFFEX.I"):
                live = replace(live, limit_ratio=0.1)
            elif family.product == "CFFEX.T":
                live = replace(live, limit_ratio=0.02)
            # Later months are quoted a little higher and trade less.
            live = replace(
                live,
                price=live.price * (1 + 0.002 * order),
                depth_lots=max(live.depth_lots // (1 + order), 3),
                open_interest_lots=max(live.open_interest_lots // (1 + order), 1000),
            )
            found.append(Contract(_symbol(family.product, month), family.product, expiry, live))
    for symbol, live, is_fund in _CASH:
        live = replace(live, ticks_per_s=_cadence(len(found)))
        found.append(Contract(symbol, "", 0, live, lot=100, is_fund=is_fund))
    return found


def _cadence(position: int) -> float:
    """Between 2 and 5 ticks per second, by place in the list."""
    return (2.0, 4.0, 2.5, 5.0)[position % 4]


def _chosen(family: _Family, day: int, days: Days) -> Iterator[tuple[int, int]]:
    """Yield (delivery month YYYYMM, expiry day) of the months listed for one product."""
    alive = [(month, expiry) for month, expiry in _candidates(family, day, days) if expiry >= day]
    if family.expiry in ("third_friday", "second_friday"):
        # Index futures: this month, the next, and the two quarter months after them.
        quarters = [pair for pair in alive[2:] if pair[0] % 100 in _QUARTERS]
        yield from ([*alive[:2], *quarters] if family.months == _EVERY else alive)[: family.front]
        return
    roll = _to_int(_to_date(day) + timedelta(days=ROLL_DAYS))
    lasting = [pair for pair in alive if pair[1] >= roll]
    yield from lasting[: family.front]
    for month in family.always:
        # January, the month people quote, stays to its last day.
        pool = alive if month == 1 else lasting
        yield from [pair for pair in pool if pair[0] % 100 == month][:1]


def _candidates(family: _Family, day: int, days: Days) -> Iterator[tuple[int, int]]:
    year, month = divmod(day // 100, 100)
    for ahead in range(26):
        y, m = year + (month + ahead - 1) // 12, (month + ahead - 1) % 12 + 1
        if m in family.months:
            yield y * 100 + m, expiry_day(family.expiry, y, m, days)


def _symbol(product: str, month: int) -> str:
    # CZCE writes one digit of the year.
    code = f"{month % 1000:03d}" if product.startswith("CZCE.") else f"{month % 10000:04d}"
    return product + code


def _to_date(day: int) -> date:
    return date(day // 10000, day // 100 % 100, day % 100)


def _to_int(day: date) -> int:
    return day.year * 10000 + day.month * 100 + day.day
