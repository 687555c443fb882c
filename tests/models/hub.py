"""The hub said plainly: dicts of rows, sets of names per client, objects built anew for every frame."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

DIFF, LEGACY_RTN, LEGACY_MARKET_DATA, CORE = range(4)
Row = dict[str, Any]

PLAIN = [
    "datetime",
    "last_price",
    "open",
    "highest",
    "lowest",
    "pre_close",
    "upper_limit",
    "lower_limit",
    "average",
    "amount",
    "close",
    "settlement",
    "pre_settlement",
    "iopv",
    "open_interest",
    "pre_open_interest",
    "volume",
]
DEPTH = [f"{side}_{what}{n}" for what in ("price", "volume") for side in ("bid", "ask") for n in range(1, 11)]
NAMES = [*PLAIN, *DEPTH]
COUNTS = {"volume", *(name for name in DEPTH if "volume" in name)}


def levels(first: int, last: int) -> set[str]:
    return {name for name in DEPTH if first <= int(name.lstrip("abcdefghijklmnopqrstuvwxyz_")) <= last}


OPTIONAL = {
    DIFF: set(),
    LEGACY_RTN: set(),
    LEGACY_MARKET_DATA: set(),
    CORE: levels(6, 10),
}
CORE_NAMES = {
    "open": "open_price",
    "highest": "highest_price",
    "lowest": "lowest_price",
    "pre_close": "pre_close_price",
    "upper_limit": "upper_limit_price",
    "lower_limit": "lower_limit_price",
    "average": "average_price",
    "amount": "turnover",
    "close": "close_price",
    "settlement": "settlement_price",
    "pre_settlement": "pre_settlement_price",
}
DASHES = {"open_interest", "pre_open_interest", "settlement", "pre_settlement"}


def clock(ts_ns: int, zone: timezone) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ts_ns // 1000)).astimezone(zone)


BEIJING = timezone(timedelta(hours=8))


def value_of(style: int, name: str, row: Row) -> Any:
    value = row.get(name)
    if name == "datetime":
        if style == LEGACY_MARKET_DATA:
            return clock(row[name], UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return clock(row[name], BEIJING).strftime("%Y-%m-%d %H:%M:%S.%f")
    if value is not None:
        return value
    if style == DIFF:
        return 0 if name in COUNTS else "-"
    if style == LEGACY_MARKET_DATA:
        if name in DASHES:
            return "-"
        if name in {"volume", "bid_volume1", "ask_volume1"}:
            return 0
    return None


def encoded(style: int, shown: str, row: Row, names: set[str]) -> Row:
    out: Row = {"instrument_id": shown}
    for name in names:
        if style == CORE and name == "datetime":
            at = clock(row["datetime"], BEIJING)
            day = str(row["trading_day"])
            out |= {
                "trading_day": day,
                "action_day": at.strftime("%Y%m%d"),
                "update_time": at.strftime("%H:%M:%S"),
                "update_millisec": at.microsecond // 1000,
            }
        elif style == CORE:
            if name != "iopv":
                out[CORE_NAMES.get(name, name)] = value_of(style, name, row)
        else:
            out[name] = value_of(style, name, row)
    return out


@dataclass
class Client:
    style: int = DIFF
    market_data: bool = False
    full_only: bool = False
    watched: dict[str, int] = field(default_factory=dict)  # spelling -> instrument
    unsent: dict[str, set[str]] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)


class Hub:
    """Told of every tick as it is published; `lag` ticks are on a tape of `capacity` until drained."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.rows: dict[int, Row] = {}
        self.ever: dict[int, set[str]] = {}
        self.clients: list[Client] = []
        self.lag: list[tuple[int, set[str]]] = []
        self.resyncs = 0

    def tick(self, instrument: int, row: Row) -> None:
        before = self.rows.get(instrument, {})
        names = {name for name in NAMES if row.get(name) != before.get(name)}
        self.rows[instrument] = dict(row)
        self.ever.setdefault(instrument, set()).update(names)
        self.lag.append((instrument, names))

    def drain(self) -> None:
        if len(self.lag) > self.capacity:
            self.resyncs += 1
            for client in self.clients:
                self.mark_all(client)
        else:
            for instrument, names in self.lag:
                for client in self.clients:
                    for shown, watched in client.watched.items():
                        if watched == instrument and names:
                            client.unsent.setdefault(shown, set()).update(names)
        self.lag.clear()

    def mark_all(self, client: Client) -> None:
        for shown, instrument in client.watched.items():
            if instrument in self.rows:
                client.unsent.setdefault(shown, set()).update(self.ever[instrument])

    def subscribe(self, client: Client, entries: list[tuple[int, str]]) -> None:
        wanted = {shown: instrument for instrument, shown in entries}
        same = {shown for shown in wanted if client.watched.get(shown) == wanted[shown]}
        client.watched = wanted
        client.sent &= same
        client.unsent = {shown: names for shown, names in client.unsent.items() if shown in same}
        for shown, instrument in wanted.items():
            if shown not in same and instrument in self.rows:
                client.unsent[shown] = set(self.ever[instrument])

    def set_style(self, client: Client, style: int, *, market_data: bool, full_only: bool) -> None:
        trees = {DIFF, LEGACY_RTN}
        if client.style != style and not {client.style, style} <= trees:
            client.sent.clear()
            self.mark_all(client)
        client.style, client.market_data, client.full_only = style, market_data, full_only

    def frame(self, client: Client, tail: Row | None = None) -> list[Any]:
        """The JSON documents owed now, as if no frame were ever too long."""
        self.drain()
        style = client.style
        quotes = {}
        for shown, unsent in client.unsent.items():
            instrument = client.watched[shown]
            row = self.rows[instrument]
            whole = {name for name in NAMES if name not in OPTIONAL[style] or name in self.ever[instrument]}
            names = unsent if shown in client.sent and not client.full_only and style < 2 else whole
            quotes[shown] = encoded(style, shown, row, names)
        singles = [
            encoded(LEGACY_MARKET_DATA, shown, self.rows[client.watched[shown]], set(NAMES))
            for shown in client.unsent
        ]
        client.sent.update(client.unsent)
        client.unsent = {}
        if style == CORE:
            return [{"data": quote, "topic": "marketdata", "code": 200} for quote in quotes.values()]
        market_data = [{"type": "market_data", "payload": {"data": single}} for single in singles]
        if style == LEGACY_MARKET_DATA:
            return market_data
        data = [*([{"quotes": quotes}] if quotes else []), *([tail] if tail else [])]
        if not data:
            return []
        return [{"aid": "rtn_data", "data": data}, *(market_data if client.market_data else [])]
