"""A feed with charts: the rig, a store's past made of plain lists, what a client's tree must then hold."""

import asyncio
from datetime import date
from typing import Any

import pyarrow as pa

from qautlra._core.tape import Follower
from qautlra.feed.catalogue import Catalogue
from qautlra.feed.charts import SessionCharts
from qautlra.feed.lines import Lines
from qautlra.wire.charts import BAR_KEYS
from tests.feed.rig import Peer, Rig
from tests.models.market import SYMBOLS

MINUTE_NS = 60 * 10**9


class PlainHistory:
    """A store that remembers every row it is given, and minutes that were there before."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.older: dict[str, list[dict[str, Any]]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False
        self.asked = 0
        self.is_behind = False
        self._late: list[tuple[str, dict[str, Any]]] = []

    def note(self, symbol: str, row: dict[str, Any]) -> None:
        if self.is_behind:
            self._late.append((symbol, row))
        else:
            self.rows.setdefault(symbol, []).append(row)

    async def caught_up(self) -> bool:
        self.is_behind = False
        while self._late:
            self.note(*self._late.pop(0))
        return True

    async def _pass(self) -> None:
        self.asked += 1
        await self.gate.wait()
        if self.broken:
            raise OSError("the disk is gone")

    async def minutes(self, symbol: str, start_us: int, stop_us: int) -> pa.Table:
        await self._pass()
        found = {bar["datetime"]: bar for bar in self.folded(symbol)}
        found |= {bar["datetime"]: bar for bar in self.older.get(symbol, ())}
        bars = [bar for time, bar in sorted(found.items()) if start_us * 1000 <= time < stop_us * 1000]
        day = self._rig.market.calendar.trading_day
        columns = {key: pa.array([bar[key] for bar in bars], pa.float64()) for key in BAR_KEYS}
        times = _times([bar["datetime"] for bar in bars])
        days = _dates([day(bar["datetime"]) for bar in bars])
        return pa.table({"datetime": times, "trading_date": days, **columns})

    def folded(self, symbol: str, period_ns: int = MINUTE_NS) -> list[dict[str, Any]]:
        """Bars of the rows, the naive way; what the first row says was traded counts as its bar's."""
        bars: list[dict[str, Any]] = []
        total, day = 0.0, 0
        for row in self.rows.get(symbol, ()):
            opened = self._rig.market.calendar.bar_open(symbol, row["ts_ns"], period_ns)
            price, volume, interest = row["last_price"], row["volume"], row["open_interest"]
            if opened < 0 or price is None:
                continue
            today = self._rig.market.calendar.trading_day(row["ts_ns"])
            total, day = (total, day) if today == day else (0.0, today)
            if not bars or bars[-1]["datetime"] != opened:
                bars.append(
                    {"datetime": opened, "open": price, "high": price, "low": price, "close": price}
                    | {"volume": 0.0, "open_oi": interest, "close_oi": interest}
                )
            bar = bars[-1]
            bar |= {"high": max(bar["high"], price), "low": min(bar["low"], price), "close": price}
            bar |= {"volume": bar["volume"] + volume - total, "close_oi": interest}
            total = volume
        return bars

    async def prices(
        self, symbol: str, columns: tuple[str, ...], start_us: int, stop_us: int, limit: int
    ) -> pa.Table:
        return await self.ticks(symbol, columns, start_us, stop_us, limit)

    async def ticks(
        self, symbol: str, columns: tuple[str, ...], start_us: int, stop_us: int, limit: int | None = None
    ) -> pa.Table:
        await self._pass()
        rows = [r for r in self.rows.get(symbol, ()) if start_us <= r["ts_ns"] // 1000 < stop_us]
        rows = rows[-limit:] if limit else rows
        day = self._rig.market.calendar.trading_day
        found: dict[str, pa.Array] = {"datetime": _times([r["ts_ns"] for r in rows])}
        for name in columns:
            if name == "trading_date":
                found[name] = _dates([day(r["ts_ns"]) for r in rows])
            elif name == "seq":
                found[name] = pa.array([r["ordinal"] for r in rows], pa.int64())
            else:
                found[name] = pa.array([r.get(name) for r in rows], pa.float64())
        return pa.table(found)

    async def measure(self, symbol: str, start_us: int, stop_us: int) -> tuple[int, int | None]:
        await self._pass()
        times = [
            r["ts_ns"] // 1000 for r in self.rows.get(symbol, ()) if start_us <= r["ts_ns"] // 1000 < stop_us
        ]
        return len(times), min(times, default=None)


class ChartRig(Rig):
    """The rig with series and instrument queries; every row goes to the history too, as with a store."""

    def __init__(self, *, stored: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        self.history = PlainHistory(self)
        self.lines = Lines(
            tape=self.tape,
            follower=Follower(self.tape),
            calendar=self.market.calendar,
            history=self.history if stored else None,
            now_ns=lambda: self.now_ns,
        )
        self.feed.lines = self.lines
        self.feed.catalogue = Catalogue(
            self.market.instruments, self.market.calendar, self.tape, now_ns=lambda: self.now_ns
        )
        self._last_ns: dict[str, int] = {}

    def tick(self, *changes: tuple[int | str, dict[str, Any]]) -> None:
        for instrument, values in changes:
            symbol = SYMBOLS[instrument] if isinstance(instrument, int) else instrument
            row = {"last_price": 1.0, "volume": None, "open_interest": None} | values
            self.history.note(symbol, {"ts_ns": self.now_ns + 500_000_000, "ordinal": 0} | row)
        super().tick(*changes)

    def charts(self) -> list[SessionCharts]:
        sessions = [client.session for client in self.feed._clients.values()]
        return [session.charts for session in sessions if session.charts is not None]

    def load(self) -> None:
        """Let everything that is being read for charts come to its end."""

        async def wait() -> None:
            while tasks := [
                t
                for c in self.feed._clients.values()
                if c.session.charts
                for t in c.session.charts._tasks.values()
            ]:
                await asyncio.wait(tasks)

        self.loop.run_until_complete(wait())

    def chart(
        self, peer: Peer, chart_id: str, names: str, seconds: int, width: int, **more: int
    ) -> dict[str, Any]:
        """Set a chart as a pulling client does and peek until it is ready; return its node."""
        request = {"aid": "set_chart", "chart_id": chart_id, "ins_list": names, "duration": seconds * 10**9}
        request |= {"view_width": width} | more
        peer.say(request)
        self.load()
        for _ in range(100):
            peer.say('{"aid":"peek_message"}')
            node: dict[str, Any] = peer.tree.get("charts", {}).get(chart_id) or {}
            if node.get("ready") and node["state"] == request:
                return node
        raise AssertionError(f"never ready: {peer.tree.get('charts')} {peer.tree.get('notify')}")


def shown(peer: Peer, chart: dict[str, Any], place: int = 0) -> list[dict[str, Any]]:
    """Return the rows of a chart's window, all of them there, with their ids."""
    name = chart["state"]["ins_list"].split(",")[place]
    duration = chart["state"]["duration"]
    node = peer.tree["klines"][name][str(duration)] if duration else peer.tree["ticks"][name]
    if place == 0:
        ids = range(chart["left_id"], chart["right_id"] + 1) if chart["left_id"] >= 0 else range(0)
    else:
        ids = range(min(map(int, node["data"])), node["last_id"] + 1)
    return [{"id": number} | node["data"][str(number)] for number in ids]


def bar(opened: int, price: float, volume: float = 10.0, interest: float = 5.0) -> dict[str, Any]:
    return {"datetime": opened, "open": price, "high": price, "low": price, "close": price} | {
        "volume": volume,
        "open_oi": interest,
        "close_oi": interest,
    }


def _times(times_ns: list[int]) -> pa.Array:
    return pa.array([time // 1000 for time in times_ns], pa.int64()).cast(pa.timestamp("us", "UTC"))


def _dates(days: list[int]) -> pa.Array:
    return pa.array([date(day // 10000, day // 100 % 100, day % 100) for day in days], pa.date32())
