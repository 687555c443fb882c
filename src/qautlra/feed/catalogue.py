"""What is known of instruments, as rows that answer instrument queries.

Facts come from the instrument table, the calendar and the newest snapshots; when a contract ends is told by
whoever lists it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Protocol

from qautlra.model.naming import instrument_name
from qautlra.wire.ins_query import Asked

ROWS_COUNT = 10_000
STEP_COUNT = 200
"""Instruments looked at in one step of a long search: some milliseconds."""
_BEIJING = timezone(timedelta(hours=8))
_EVENING = "18:00"
_TOO_MANY = f"Only the first {ROWS_COUNT} instruments; ask for fewer"


class Instruments(Protocol):
    """The interned table, read only here."""

    def __len__(self) -> int: ...
    def find(self, spelling: str) -> int: ...
    def symbol(self, instrument: int) -> str: ...
    def info(self, instrument: int) -> Any: ...


class Calendar(Protocol):
    """Trading sections and days."""

    def sections(self, symbol: str) -> list[tuple[str, str]]: ...
    def trading_day(self, ts_ns: int) -> int: ...


class Last(Protocol):
    """The newest snapshots."""

    def last(self, instrument: int) -> dict[str, Any] | None: ...


class Continuous(Protocol):
    """Main contracts and indices of products, which need not be in the table before they are asked for."""

    def main_of(self, symbol: str) -> str | None:
        """Return the contract a main series follows."""
        ...

    def enter(self, symbol: str) -> int:
        """Return the number of a series that can be made or is there, -1 for any other."""
        ...

    def enter_all(self) -> None:
        """Put every series that can be made into the table."""
        ...


class Catalogue:
    """Answers instrument queries. `ends(symbol)` is a contract's last trading day, YYYYMMDD; 0: not known."""

    def __init__(
        self,
        instruments: Instruments,
        calendar: Calendar,
        tape: Last,
        *,
        now_ns: Callable[[], int],
        ends: Callable[[str], int] = lambda _symbol: 0,
        continuous: Continuous | None = None,
    ) -> None:
        self._instruments = instruments
        self._calendar = calendar
        self._tape = tape
        self._now_ns = now_ns
        self._ends = ends
        self._continuous = continuous

    def enter(self, symbol: str) -> int:
        """Return the number of an instrument, or of a main contract or index that can be made; else -1."""
        return self._instruments.find(symbol) if self._continuous is None else self._continuous.enter(symbol)

    def is_long(self, asked: Asked) -> bool:
        """Tell whether so many instruments are looked through that it is better done in `steps`."""
        return asked.instrument_ids is None and len(self._instruments) > STEP_COUNT

    def find(self, asked: Asked) -> tuple[list[dict[str, Any]], str]:
        """Return the rows of the instruments asked for, and what there is to say about the answer."""
        steps = self.steps(asked)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found: tuple[list[dict[str, Any]], str] = end.value
                return found

    def steps(self, asked: Asked) -> Generator[None, None, tuple[list[dict[str, Any]], str]]:
        """Do the same; yield after every STEP_COUNT instruments that were looked at."""
        found: list[dict[str, Any]] = []
        room = ROWS_COUNT  # for rows, those of options among them
        options = self._options(asked) if asked.options or asked.has_derivatives is not None else {}
        related: dict[str, dict[str, Any]] = {}  # hundreds of options are of one future

        def add(row: dict[str, Any], on_it: list[int]) -> bool:
            nonlocal room
            if room < 1:
                return False
            room -= 1 + len(on_it)
            if on_it:
                row["derivatives"] = _edges(
                    [self.row(option, None, related) for option in on_it[: room + len(on_it)]]
                )
            found.append(row)
            return room >= 0

        for name in dict.fromkeys(asked.instrument_ids or ()) if asked.options else ():
            if name in options and self._instruments.find(name) < 0:  # an index nobody shows has options too
                row = {"instrument_id": name, "exchange_id": name.partition(".")[0]}
                if not add(row, options[name]):
                    return found, _TOO_MANY
        for number, (instrument, shown) in enumerate(self._candidates(asked), 1):
            if number % STEP_COUNT == 0:
                yield
            row = self.row(instrument, shown, related)
            on_it = options.get(self._instruments.symbol(instrument), [])
            if asked.has_derivatives is not None and asked.has_derivatives != bool(on_it):
                continue
            if _fits(row, asked) and not add(row, on_it if asked.options else []):
                return found, _TOO_MANY
        return found, ""

    def row(
        self, instrument: int, shown: str | None = None, related: dict[str, dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """Return what is known of an instrument; facts that are not known are left out.

        `related` keeps the rows of what others are made of, for the next call.
        """
        info = self._instruments.info(instrument)
        symbol, kind = info["symbol"], info["kind"]
        if symbol.startswith("KQ.i@"):
            kind = "INDEX"  # as its clients class it
        last = self._tape.last(instrument) or {}
        multiple = info["volume_multiple"]
        row: dict[str, Any] = {
            "instrument_id": shown or symbol,
            "exchange_id": info["exchange_id"],
            "class": kind,
            "instrument_name": instrument_name(info),
            "english_name": info["instrument_id"],
            "price_tick": info["price_tick"],
            "price_decs": info["price_decs"],
            "volume_multiple": _whole(multiple),
            "product_id": info["product_id"],
            "product_short_name": info["product_name"],
            "delivery_year": info["delivery_year"],
            "delivery_month": info["delivery_month"],
            "trading_time": self._trading_time(symbol),
            "trading_day": str(self._calendar.trading_day(self._now_ns())),
            "max_market_order_volume": 50,
            "max_limit_order_volume": 500,
            "min_market_order_volume": 1,
            "min_limit_order_volume": 1,
            "open_limit": 0,
            "position_limit": 0,
            "categories": [],
            "upper_limit": last.get("upper_limit"),
            "lower_limit": last.get("lower_limit"),
            "pre_close": last.get("pre_close"),
            "pre_open_interest": _whole(last.get("pre_open_interest")),
            "settlement_price": last.get("pre_settlement"),
            "strike_price": info["strike_price"],
            "call_or_put": info["option_class"],
        }
        if kind in ("STOCK", "FUND", "BOND"):
            row |= {"buy_volume_unit": 100.0, "sell_volume_unit": 1.0}
        if kind == "INDEX":
            row["index_multiple"] = _whole(multiple)
        self._add_end(row, symbol, kind)
        self._add_costs(row, info, last)
        self._add_relations(row, info, kind, {} if related is None else related)
        return {key: value for key, value in row.items() if value is not None}

    def _candidates(self, asked: Asked) -> Iterable[tuple[int, str | None]]:
        continuous = self._continuous
        if asked.instrument_ids is None:
            if continuous is not None and (asked.classes is None or {"CONT", "INDEX"} & set(asked.classes)):
                continuous.enter_all()
            return ((instrument, None) for instrument in range(len(self._instruments)))
        find = continuous.enter if continuous is not None else self._instruments.find
        named = ((find(name), name) for name in dict.fromkeys(asked.instrument_ids))
        return [(instrument, name) for instrument, name in named if instrument >= 0]

    def _trading_time(self, symbol: str) -> dict[str, list[list[str]]]:
        times: dict[str, list[list[str]]] = {"day": [], "night": []}
        for opened, closed in self._calendar.sections(symbol):
            times["night" if opened >= _EVENING else "day"].append([f"{opened}:00", f"{closed}:00"])
        return times

    def _add_end(self, row: dict[str, Any], symbol: str, kind: str) -> None:
        """Say when a contract ends, at 15:00 of its last day; without it nothing is said to be expired."""
        day = self._ends(symbol) if kind in ("FUTURE", "OPTION", "COMBINE") else 0
        row["expired"] = False
        if not day:
            return
        end = datetime(day // 10000, day // 100 % 100, day % 100, 15, tzinfo=_BEIJING)
        end_ns = int(end.astimezone(UTC).timestamp()) * 1_000_000_000
        row["expire_datetime"] = end_ns
        row["expired"] = self._now_ns() >= end_ns
        if kind == "OPTION":
            row["last_exercise_datetime"] = end_ns

    @staticmethod
    def _add_costs(row: dict[str, Any], info: Any, last: dict[str, Any]) -> None:
        """Say what one lot costs: margin and commission to open it, at the price it was settled at last."""
        price = last.get("pre_settlement") or last.get("pre_close") or last.get("last_price")
        if not price:
            return
        worth = price * info["volume_multiple"]
        if info["margin_ratio"] is not None:
            row["margin"] = round(worth * info["margin_ratio"], 2)
        fee = info["fee"]
        if fee is not None:
            row["commission"] = round(fee["open"] * (worth if fee["by"] == "money" else 1.0), 4)

    def _add_relations(
        self, row: dict[str, Any], info: Any, kind: str, related: dict[str, dict[str, Any]]
    ) -> None:
        """Name what an option or a combination is made of."""
        underlying = info["underlying_symbol"] if kind == "OPTION" else None
        if kind == "CONT" and self._continuous is not None:
            underlying = self._continuous.main_of(info["symbol"])
        if underlying:
            row["underlying"] = {"edges": [{"node": self._related(underlying, related)}]}
        for leg in ("leg1", "leg2"):
            if info[f"{leg}_symbol"]:
                row[leg] = self._related(info[f"{leg}_symbol"], related)

    def _options(self, asked: Asked) -> dict[str, list[int]]:
        """Return the options on what is asked for, by underlying, whose end is known: clients sort by it."""
        wanted: set[str] | None = None
        if asked.instrument_ids is not None:
            known = (self._instruments.find(name) for name in asked.instrument_ids)
            wanted = {*asked.instrument_ids, *(self._instruments.symbol(one) for one in known if one >= 0)}
        found: dict[str, list[int]] = {}
        for instrument in range(len(self._instruments)):
            info = self._instruments.info(instrument)
            underlying = info["underlying_symbol"] if info["kind"] == "OPTION" else None
            if underlying and (wanted is None or underlying in wanted) and self._ends(info["symbol"]):
                found.setdefault(underlying, []).append(instrument)
        return found

    def _related(self, symbol: str, related: dict[str, dict[str, Any]]) -> dict[str, Any]:
        found = related.get(symbol)
        if found is None:
            instrument = self._instruments.find(symbol)
            if instrument >= 0:
                found = self.row(instrument)
            else:
                exchange, _, _ = symbol.partition(".")
                found = {"instrument_id": symbol, "exchange_id": exchange, "class": "FUTURE"}
            related[symbol] = found
        return found


def _fits(row: dict[str, Any], asked: Asked) -> bool:
    return (
        (asked.classes is None or row["class"] in asked.classes)
        and (asked.exchange_ids is None or row["exchange_id"] in asked.exchange_ids)
        and (asked.product_ids is None or row.get("product_id") in asked.product_ids)
        and (asked.expired is None or row["expired"] == asked.expired)
        and (asked.has_night is None or bool(row["trading_time"]["night"]) == asked.has_night)
    )


def _edges(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"edges": [{"node": row} for row in rows]}


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) else value
