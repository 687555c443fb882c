"""Series and charts as DIFF writes them: `klines`, `ticks` and `charts` of one `rtn_data`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BAR_KEYS = ("open", "high", "low", "close", "volume", "open_oi", "close_oi")
TICK_KEYS = (
    "last_price",
    "average",
    "highest",
    "lowest",
    "amount",
    "open_interest",
    "volume",
    *(
        f"{side}_{what}{level}"
        for side in ("bid", "ask")
        for level in range(1, 6)
        for what in ("price", "volume")
    ),
)
_MISSING = "-"  # clients read any text in a number's place as "no value"
_ALWAYS = frozenset({"last_price", "average", "highest", "lowest", "bid_price1", "ask_price1"})
_NEVER_FRACTION = frozenset({"open_interest", "open_oi", "close_oi"})


class Columns:
    """The keys of a row, and what stands for a value that is none."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        self._counts = tuple("volume" in key or key in _NEVER_FRACTION for key in keys)
        self._missing = tuple(0 if "volume" in key else _MISSING if key in _ALWAYS else None for key in keys)

    def row(self, time_ns: int, values: Sequence[float]) -> dict[str, Any]:
        """Return a whole row; absent values are left out where a client has none by itself."""
        row: dict[str, Any] = {"datetime": time_ns}
        for key, value, is_count, missing in zip(self.keys, values, self._counts, self._missing, strict=True):
            if value == value:
                row[key] = int(value) if is_count else value
            elif missing is not None:
                row[key] = missing
        return row

    def changes(self, before: Sequence[float], after: Sequence[float]) -> dict[str, Any]:
        """Return what differs between two states of a row."""
        row: dict[str, Any] = {}
        for key, old, value, is_count in zip(self.keys, before, after, self._counts, strict=True):
            if old != value and (old == old or value == value):
                row[key] = _MISSING if value != value else int(value) if is_count else value
        return row


BARS = Columns(BAR_KEYS)
TICKS = Columns(TICK_KEYS)


class Tree:
    """The part of one `rtn_data` object that series and charts fill."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return bool(self.root)

    def series(self, name: str, duration_ns: int, last_id: int) -> dict[str, Any]:
        """Return the node of a series, which now ends at `last_id` (-1: empty)."""
        if duration_ns:
            of_name = self.root.setdefault("klines", {}).setdefault(name, {})
            node: dict[str, Any] = of_name.setdefault(str(duration_ns), {})
        else:
            node = self.root.setdefault("ticks", {}).setdefault(name, {})
        node["last_id"] = last_id
        return node

    @staticmethod
    def rows(node: dict[str, Any], rows: Iterable[tuple[int, dict[str, Any]]]) -> None:
        """Put rows, or changes of rows, into a series."""
        data = node.setdefault("data", {})
        for row_id, row in rows:
            data.setdefault(str(row_id), {}).update(row)

    @staticmethod
    def bind(node: dict[str, Any], other: str, pairs: Iterable[tuple[int, int]]) -> None:
        """Say which row of another series has the time of which row of this one."""
        bound = node.setdefault("binding", {}).setdefault(other, {})
        for row_id, other_id in pairs:
            bound[str(row_id)] = other_id

    def chart(self, chart_id: str, changes: Mapping[str, Any] | None) -> None:
        """Change a chart's state; None: it is gone."""
        self.root.setdefault("charts", {})[chart_id] = changes
        self.root["mdhis_more_data"] = False


def view(left_id: int, right_id: int) -> dict[str, Any]:
    """Return the ends of what a chart shows."""
    return {"left_id": left_id, "right_id": right_id}


def ready(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what says that everything a chart asked for has been sent; `state` is the request."""
    return {"state": state, "more_data": False, "ready": True}
