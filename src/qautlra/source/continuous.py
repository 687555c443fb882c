"""Continuous series of a product (`KQ.m@SHFE.rb` the main contract, `KQ.i@SHFE.rb` the index), made as rows.

Only what clients want is made, and only where no source shows it itself. The pump calls `drain` after every
slice; rows go onto the tape, so that quotes, charts, queries and the store know the series like any other.
They name no source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from qautlra._core.market import Instruments, Rows
from qautlra.source.base import Demand

MAIN, INDEX = "KQ.m@", "KQ.i@"
SERIES_COUNT = 500
INDEX_EVERY_NS = 500_000_000
OPENING_RATIO = 0.9
OPENING_NS = 60_000_000_000
"An index waits with its day for contracts of so much of the open interest, but no longer than that."
_SUMMED = ("volume", "amount", "open_interest", "pre_open_interest")
_WEIGHED = ("last_price", "pre_close", "pre_settlement")
_DECIMALS = 4


class Tape(Protocol):
    """The tape: the newest rows, and where made ones go."""

    def publish(self, rows: Rows, start: int = 0, stop: int = -1) -> int: ...
    def last(self, instrument: int) -> Mapping[str, Any] | None: ...


class Follower(Protocol):
    """A cursor over the rows of some instruments."""

    def watch(self, instrument: int, watched: bool = True) -> None: ...
    def read(self) -> tuple[list[tuple[int, int, int, int, list[float]]], int]: ...


class _Series:
    """One wanted series: what it was made of last, and when."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.product = symbol.partition("@")[2]
        self.is_index = symbol.startswith(INDEX)
        self.day = 0  # of an index: the trading day `open` is of
        self.begins = (0, 0)  # of an index: a trading day, and when the first of its rows was seen
        self.made_ns = 0
        self.open = self.highest = self.lowest = 0.0
        self.owed = True  # the first row does not wait for a tick


class Continuous:
    """Makes the wanted series. Owner: the loop thread. Bounded by SERIES_COUNT; more are not made."""

    def __init__(self, tape: Tape, instruments: Instruments, follower: Follower, demand: Demand) -> None:
        self._tape = tape
        self._instruments = instruments
        self._follower = follower
        self._demand = demand
        self._series: dict[str, _Series] = {}
        self._contracts: dict[str, list[tuple[int, int]]] = {}  # of all shown: delivery, instrument
        self._met = 0
        self._mains: dict[str, tuple[int, int]] = {}  # product -> the trading day chosen for, instrument
        self._product_of: dict[int, str] = {}
        self._known = 0
        demand.listen(self._take_up)

    # --- what there is, wanted or not ---

    def main_of(self, symbol: str) -> str | None:
        """Return the contract that a `KQ.m@` series follows now, None when sources show none."""
        product = symbol.removeprefix(MAIN)
        if product == symbol:
            return None
        self._meet()
        main = self._main(product, 0)
        return self._instruments.symbol(main) if main >= 0 else None

    def chosen(self, symbol: str) -> tuple[int, str] | None:
        """Return the trading day (YYYYMMDD) of the choice, and the contract; None where a source shows it."""
        main = None if self._is_shown(symbol) else self.main_of(symbol)
        return None if main is None else (self._mains[symbol.removeprefix(MAIN)][0], main)

    def enter(self, symbol: str) -> int:
        """Return the number of a series whose contracts are shown, put into the table if need be; else -1."""
        self._meet()
        is_ours = symbol.startswith((MAIN, INDEX)) and symbol.partition("@")[2] in self._contracts
        return self._instruments.intern(symbol) if is_ours else self._instruments.find(symbol)

    def enter_all(self) -> None:
        """Put the series of every product whose contracts are shown into the table."""
        self._meet()
        for product in self._contracts:
            for series in (MAIN, INDEX):
                self._instruments.intern(series + product)

    # --- rows of what is wanted ---

    def drain(self) -> None:
        """Take what the tape has and publish what follows from it."""
        if not self._series:
            return
        if len(self._instruments) != self._known:
            self._watch()
        touched: dict[str, set[int]] = {}
        days: dict[str, int] = {}
        for instrument, _, _, day, _ in self._follower.read()[0]:
            if (product := self._product_of.get(instrument)) is not None:
                touched.setdefault(product, set()).add(instrument)
                days[product] = max(days.get(product, 0), day)
        rows = Rows(self._instruments)
        for series in self._series.values():
            if series.owed or series.product in touched:
                self._follow(series, touched.get(series.product, set()), days.get(series.product, 0), rows)
        if len(rows):
            self._tape.publish(rows)

    def _take_up(self) -> None:
        wanted = {s for s in self._demand.wanted if s.startswith((MAIN, INDEX))}
        for symbol in self._series.keys() - wanted:
            del self._series[symbol]
        for symbol in sorted(wanted - self._series.keys()):
            if not self._is_shown(symbol) and len(self._series) < SERIES_COUNT:
                self._series[symbol] = _Series(symbol)
        self._known = -1
        products = {series.product for series in self._series.values()}
        for instrument, product in list(self._product_of.items()):
            if product not in products:
                self._follower.watch(instrument, False)
                del self._product_of[instrument]

    def _is_shown(self, symbol: str) -> bool:
        """Tell whether a source has a series of its own under this symbol."""
        instrument = self._instruments.find(symbol)
        last = self._tape.last(instrument) if instrument >= 0 else None
        return last is not None and last["source"] != ""

    def _meet(self) -> None:
        """Take up the contracts that sources have shown since the last call."""
        count = len(self._instruments)
        for instrument in range(self._met, count):
            info = self._instruments.info(instrument)
            if info["kind"] == "FUTURE":
                delivery = (info["delivery_year"] or 0) * 100 + (info["delivery_month"] or 0)
                product = f"{info['exchange_id']}.{info['product_id']}"
                self._contracts.setdefault(product, []).append((delivery, instrument))
        self._met = count

    def _watch(self) -> None:
        """Read the rows of the contracts of the products that are wanted."""
        self._meet()
        self._known = self._met
        for product in {series.product for series in self._series.values()}:
            for _, instrument in self._contracts.get(product, ()):
                if instrument not in self._product_of:
                    self._product_of[instrument] = product
                    self._follower.watch(instrument)

    def _follow(self, series: _Series, touched: set[int], day: int, rows: Rows) -> None:
        if series.is_index:
            self._add_index(series, rows)
            return
        main = self._main(series.product, day)
        if main >= 0 and (series.owed or main in touched):
            self._add_main(series, main, rows)

    def _main(self, product: str, day: int) -> int:
        """Return a product's main contract, chosen when a trading day begins; -1 while no row is known.

        It is the one with the most open interest, never one delivered before the present one. `day` 0: that
        of the newest row.
        """
        chosen_day, main = self._mains.get(product, (0, -1))
        if main >= 0 and 0 < day <= chosen_day:
            return main
        contracts = self._contracts.get(product, ())
        newest = max((last["trading_day"] for _, i in contracts if (last := self._tape.last(i))), default=0)
        day = day or newest
        if main >= 0 and day <= chosen_day:
            return main
        now = next((d for d, instrument in contracts if instrument == main), newest // 100)
        best = (-1.0, -1.0)
        for delivery, instrument in sorted(contracts):
            last = self._tape.last(instrument) if delivery >= now else None
            if last is None or last["trading_day"] < chosen_day:
                continue
            size = (last["open_interest"] or 0.0, float(last["volume"] or 0))
            if size > best:
                best, main = size, instrument
        if main >= 0:
            self._mains[product] = max(day, newest), main
        return main

    def _add_main(self, series: _Series, main: int, rows: Rows) -> None:
        last = self._tape.last(main)
        if last is None or last["datetime"] < series.made_ns:
            return  # after a change: until it has news
        self._add(series, dict(last), rows)

    def _add_index(self, series: _Series, rows: Rows) -> None:
        """Add the mean of all contracts weighed by open interest, at most one in INDEX_EVERY_NS."""
        found = [
            last
            for _, i in self._contracts.get(series.product, ())
            if (last := self._tape.last(i)) is not None
        ]
        day = max((last["trading_day"] for last in found), default=0)
        parts = [x for x in found if x["trading_day"] == day and x["last_price"] and x["open_interest"]]
        if not parts:
            return
        newest = max(parts, key=lambda x: (x["datetime"], x["seq"]))
        if not series.owed and newest["datetime"] < series.made_ns + INDEX_EVERY_NS:
            return
        if day != series.day and not self._begin_index(series, day, newest["datetime"], parts, found):
            return
        weight = sum(x["open_interest"] for x in parts)
        row: dict[str, Any] = {key: newest[key] for key in ("datetime", "trading_day", "recv_time_ns")}
        for key in _WEIGHED:
            if all(x[key] for x in parts):
                row[key] = round(sum(x[key] * x["open_interest"] for x in parts) / weight, _DECIMALS)
        for key in _SUMMED:
            row[key] = sum(x[key] or 0 for x in parts)
        price = row["last_price"]
        if day != series.day:
            series.day, series.open, series.highest, series.lowest = day, price, price, price
            own = self._tape.last(self._instruments.intern(series.symbol))
            if own is not None and own["trading_day"] == day:  # made before a restart
                series.open, series.highest, series.lowest = own["open"], own["highest"], own["lowest"]
        series.highest, series.lowest = max(series.highest, price), min(series.lowest, price)
        row |= {"open": series.open, "highest": series.highest, "lowest": series.lowest}
        self._add(series, row, rows)

    def _begin_index(
        self,
        series: _Series,
        day: int,
        now_ns: int,
        parts: list[Mapping[str, Any]],
        found: list[Mapping[str, Any]],
    ) -> bool:
        """Tell whether a day's first index is one of the product, not of the contract that was quickest."""
        if series.begins[0] != day:
            series.begins = day, now_ns
        shown = sum(x["open_interest"] for x in parts)
        before = max((x["trading_day"] for x in found if x["trading_day"] < day), default=day)
        known = sum(x["open_interest"] or 0 for x in found if x["trading_day"] >= before)
        return shown >= OPENING_RATIO * known or now_ns >= series.begins[1] + OPENING_NS

    def _add(self, series: _Series, row: dict[str, Any], rows: Rows) -> None:
        series.owed = False
        if not self._is_shown(series.symbol):
            rows.append_dict(self._instruments, row | {"instrument_id": series.symbol, "source": ""})
            series.made_ns = row["datetime"]
