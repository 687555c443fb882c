"""Several live sources together: which of them speaks for an instrument. Values in, values out, no clock.

Per instrument one source leads and only its rows are taken. The others are heard all the same: they are
compared with the leader, and the best of those with news takes over when it falls silent or is cut off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

FUTURES = "futures"
STOCKS = "stocks"
ABROAD = "abroad"
OTHER = "other"
_EXCHANGES = {
    **dict.fromkeys(("SHFE", "DCE", "CZCE", "CFFEX", "INE", "GFEX"), FUTURES),
    **dict.fromkeys(("SSE", "SZSE", "BSE"), STOCKS),
    **dict.fromkeys(("HKEX", "US"), ABROAD),
}
PREFERENCE: Mapping[str, Sequence[str]] = {
    FUTURES: ("ctp", "upstream", "sina", "tencent"),
    STOCKS: ("upstream", "tencent", "sina", "ctp"),
    ABROAD: ("upstream", "tencent", "sina", "ctp"),
    OTHER: ("ctp", "upstream", "tencent", "sina"),
}
"""Best first: pushed before polled, and of the polled ones the one with more fields for the class."""


def instrument_class(symbol: str) -> str:
    """Return the class a full symbol is routed by; options count with what they are traded beside."""
    exchange, _, code = symbol.partition(".")
    if exchange in ("SSE", "SZSE") and len(code) == 8:
        return OTHER
    return _EXCHANGES.get(exchange, OTHER)


@dataclass(frozen=True, slots=True)
class RouterOptions:
    """When to change the leader, and what counts as disagreement."""

    stale_s: float = 15.0
    "A leader silent for so long gives way to news that is as much newer than its last."
    return_s: float = 5.0
    "A better source leads again after speaking for so long without a gap of `stale_s`."
    compare_s: float = 3.0
    "Rows of two sources are compared when their stamps lie this close."
    price_ratio: float = 0.005
    volume_ratio: float = 1.5
    volume_least: int = 1000


class Quote(NamedTuple):
    """Of a row, what routing looks at. `last` is NaN and `volume` -1 where there is none."""

    instrument: int
    ts_event_ns: int
    last: float
    volume: int


@dataclass(slots=True)
class _Voice:
    """One source on one instrument."""

    quote: Quote
    heard_s: float
    since_s: float


class Router:
    """Decides row by row. Owner: the loop thread. Bounded by instruments times sources."""

    def __init__(
        self,
        sources: Sequence[str],
        symbol: Callable[[int], str],
        *,
        is_up: Callable[[str], bool] = lambda _source: True,
        options: RouterOptions | None = None,
    ) -> None:
        self._symbol = symbol
        self._is_up = is_up
        self._options = options or RouterOptions()
        self._ranks = {
            name: {source: _rank(order, source) for source in sources} for name, order in PREFERENCE.items()
        }
        self._rank_of: dict[int, dict[str, int]] = {}
        self._leader: dict[int, str] = {}
        self._voices: dict[int, dict[str, _Voice]] = {}
        self.takeovers: Counter[str] = Counter()
        self.compared: Counter[str] = Counter()
        self.disagreements: Counter[tuple[str, str]] = Counter()
        self.passed_over: Counter[str] = Counter()

    def leader(self, instrument: int) -> str | None:
        """Return who speaks for the instrument, None before anyone has."""
        return self._leader.get(instrument)

    def led(self) -> Counter[str]:
        """Return how many instruments each source leads."""
        return Counter(self._leader.values())

    def admit(self, source: str, quote: Quote, now_s: float) -> bool:
        """Tell whether this row is taken; who is not the leader is compared with it."""
        instrument = quote.instrument
        voices = self._voices.setdefault(instrument, {})
        known = voices.get(source)
        if known is None:
            voices[source] = _Voice(quote, now_s, now_s)
        else:
            if now_s - known.heard_s > self._options.stale_s:
                known.since_s = now_s
            known.heard_s = now_s
            if quote.ts_event_ns >= known.quote.ts_event_ns:
                known.quote = quote
        leader = self._leader.get(instrument)
        if leader is None or leader == source:
            self._leader[instrument] = source
            return True
        lead = voices[leader]
        self._compare(source, quote, lead.quote)
        if quote.ts_event_ns > lead.quote.ts_event_ns and self._gives_way(
            instrument, leader, lead, source, now_s
        ):
            self._leader[instrument] = source
            self.takeovers[source] += 1
            return True
        self.passed_over[source] += 1
        return False

    def _gives_way(self, instrument: int, leader: str, lead: _Voice, source: str, now_s: float) -> bool:
        """Tell whether `source`, which has news, takes over from `leader`."""
        options = self._options
        if not self._is_up(leader):
            return True
        voice = self._voices[instrument][source]
        ranks = self._ranks_of(instrument)
        if ranks[source] < ranks[leader] and now_s - voice.since_s >= options.return_s:
            return True
        ahead_s = (voice.quote.ts_event_ns - lead.quote.ts_event_ns) / 1e9
        return now_s - lead.heard_s >= options.stale_s and ahead_s >= options.stale_s

    def _ranks_of(self, instrument: int) -> dict[str, int]:
        ranks = self._rank_of.get(instrument)
        if ranks is None:
            ranks = self._ranks[instrument_class(self._symbol(instrument))]
            self._rank_of[instrument] = ranks
        return ranks

    def _compare(self, source: str, one: Quote, lead: Quote) -> None:
        options = self._options
        if abs(one.ts_event_ns - lead.ts_event_ns) > options.compare_s * 1e9:
            return
        self.compared[source] += 1
        if not isnan(one.last) and not isnan(lead.last):
            scale = max(abs(one.last), abs(lead.last))
            if abs(one.last - lead.last) > options.price_ratio * scale:
                self.disagreements[source, "price"] += 1
        small, big = sorted((one.volume, lead.volume))
        if big >= options.volume_least and small >= 0 and big > options.volume_ratio * max(small, 1):
            self.disagreements[source, "volume"] += 1


def _rank(order: Sequence[str], source: str) -> int:
    return order.index(source) if source in order else len(order)
