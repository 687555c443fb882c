"""A trading service over a small market of 2021, whose clock and prices a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec

from qautlra._core.market import Calendar, Instruments, Rows
from qautlra._core.tape import Tape
from qautlra.base.clock import VirtualClock
from qautlra.config.tree import Trade as Settings
from qautlra.model.order import Answer, CancelOrder, Direction, InsertOrder, Offset
from qautlra.trade.service import TradeService
from tests.models.market import CALENDAR

_BEIJING = timezone(timedelta(hours=8))
_METAL = {"night": [["21:00", "25:00"]], "day": CALENDAR["sections"]["metal"]["day"], "auction_minutes": 5}
_DAY_ONLY = {"day": CALENDAR["sections"]["metal"]["day"], "auction_minutes": 5}
SECTIONS = {**CALENDAR["sections"], "copper": _METAL, "day": _DAY_ONLY}


def _fee(open_: float, close: float, today: float, by: str) -> dict[str, Any]:
    return {"open": open_, "close": close, "close_today": today, "by": by}


PRODUCTS = {
    "exchanges": {
        "CFFEX": {"kind": "futures", "case": "upper", "option_hyphen": True},
        "SHFE": {"kind": "futures", "case": "lower"},
        "DCE": {"kind": "futures", "case": "lower", "option_hyphen": True},
        "SSE": {"kind": "stock", "sections": "index"},
    },
    "products": {
        "SHFE.cu": {
            "price_tick": 10,
            "volume_multiple": 5,
            "sections": "copper",
            "margin_ratio": 0.1,
            "fee": _fee(0.00005, 0.00005, 0.0, "money"),
        },
        "SHFE.rb": {
            "price_tick": 1,
            "volume_multiple": 10,
            "sections": "copper",
            "margin_ratio": 0.09,
            "fee": _fee(0.0001, 0.0001, 0.0001, "money"),
        },
        "DCE.m": {
            "price_tick": 1,
            "volume_multiple": 10,
            "sections": "copper",
            "margin_ratio": 0.05,
            "fee": _fee(1.5, 1.5, 0.0, "lot"),
        },
        "CFFEX.IF": {
            "price_tick": 0.2,
            "volume_multiple": 300,
            "sections": "index",
            "margin_ratio": 0.1,
            "fee": _fee(0.00002301, 0.00002301, 0.0001, "money"),
        },
        "CFFEX.IO": {
            "price_tick": 0.2,
            "volume_multiple": 100,
            "sections": "index",
            "margin_ratio": 0.1,
            "fee": _fee(15, 15, 15, "lot"),
            "options_only": True,
            "underlying": "SSE.000300",
        },
    },
}
ACCOUNT = "acc001"


def beijing_ns(text: str) -> int:
    """Return Unix ns of `YYYY-MM-DD HH:MM:SS` in Beijing."""
    return int(datetime.fromisoformat(text).replace(tzinfo=_BEIJING).timestamp()) * 1_000_000_000


class Rig:
    """The service and its market; `async with` runs it."""

    def __init__(self, directory: Path, now: str = "2021-08-02 09:30:00", **settings: Any) -> None:
        self.directory = directory
        self.calendar = Calendar({**CALENDAR, "sections": SECTIONS}, PRODUCTS)
        self.instruments = Instruments(self.calendar, int(now[:10].replace("-", "")))
        self.tape = Tape(self.instruments, self.calendar, 1024)
        self.clock = VirtualClock("test", beijing_ns(now))
        self.last_days: dict[str, int] = {}
        "Last trading days (YYYYMMDD) by full name; of others none is known."
        self.trade = TradeService(
            settings=msgspec.convert({"durability": "memory", "mark_interval_ms": 5, **settings}, Settings),
            data_dir=directory,
            tape=self.tape,
            instruments=self.instruments,
            calendar=self.calendar,
            clock=self.clock,
            last_day=lambda symbol: self.last_days.get(symbol, 0),
        )
        self._ordinal = 0

    async def __aenter__(self) -> Rig:
        await self.trade.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.trade.stop(1.0)

    def at(self, text: str) -> None:
        """Move the market clock."""
        self.clock.advance_to(beijing_ns(text))

    def tick(self, symbol: str, last: float, **more: float) -> None:
        """Publish a snapshot at the clock's time; levels as bid_price1=, bid_volume1=, ..."""
        self._ordinal += 1
        rows = Rows(self.instruments)
        stamp = {"instrument_id": symbol, "datetime": self.clock.now_ns(), "seq": self._ordinal}
        rows.append_dict(self.instruments, stamp | {"last_price": last} | more)
        self.tape.publish(rows)
        self.trade.on_batch()

    def ticks(self, symbol: str, prices: list[float]) -> None:
        """Publish several snapshots as one batch."""
        rows = Rows(self.instruments)
        for last in prices:
            self._ordinal += 1
            stamp = {"instrument_id": symbol, "datetime": self.clock.now_ns(), "seq": self._ordinal}
            rows.append_dict(self.instruments, stamp | {"last_price": last})
        self.tape.publish(rows)
        self.trade.on_batch()

    def quotes(self) -> None:
        """The four instruments of the worked examples, nothing on offer."""
        self.tick("SHFE.cu2109", 75000, upper_limit=82500, lower_limit=67500, pre_settlement=75000)
        self.tick("SHFE.rb2110", 5001, upper_limit=5500, lower_limit=4500, pre_settlement=5000)
        self.tick("DCE.m2109", 3500, upper_limit=3800, lower_limit=3200, pre_settlement=3500)
        self.tick("CFFEX.IF2109", 5000, upper_limit=5500, lower_limit=4500, pre_settlement=5000)

    def send(
        self,
        order_id: str,
        symbol: str,
        direction: str,
        offset: str,
        volume: float,
        price: float | None,
        account: str = ACCOUNT,
        **more: Any,
    ) -> Answer:
        """Enter an order."""
        return self.trade.insert(
            InsertOrder(
                account_id=account,
                order_id=order_id,
                symbol=symbol,
                direction=Direction[direction],
                offset=Offset[offset],
                volume=volume,
                limit_price=price,
                **more,
            )
        )

    def cancel(self, order_id: str, account: str = ACCOUNT) -> Answer:
        """Withdraw an order."""
        return self.trade.cancel(CancelOrder(account_id=account, order_id=order_id))


def run(
    directory: Path,
    body: Callable[[Rig], Awaitable[None]],
    before: Callable[[Rig], None] = lambda _rig: None,
    **settings: Any,
) -> None:
    """Run `body` against a service that is started when `before` has seen it."""

    async def main() -> None:
        rig = Rig(directory, **settings)
        before(rig)
        async with rig:
            await asyncio.wait_for(body(rig), 30)

    asyncio.run(main())
