"""What operators set beside the market: instruments stopped, taken off, of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from qautlra.base import clock
from qautlra.base.errors import InputError
from qautlra.trade import listing

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra._core.tape import Tape
    from qautlra.trade.records import Records
    from qautlra.trade.service import TradeService

STOPPED: Final = "stopped"
OWN: Final = "own_instrument"
KINDS: Final = (STOPPED, OWN)
OWN_COUNT: Final = 1_000
T = TypeVar("T")


class OwnTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Terms of an instrument that an operator lists; prices CNY, rates shares of the money."""

    price_tick: float
    contract_multiplier: float
    upper_limit: float
    lower_limit: float
    margin_rate: float
    commission_rate: float
    close_today_rate: float | None
    instrument_name: str
    pre_settlement: float | None


class Office(Protocol):
    """Where the board hangs: Desk."""

    trade: TradeService
    tape: Tape
    instruments: Instruments

    @property
    def records(self) -> Records: ...
    async def ask(self, call: Callable[..., T], *arguments: Any, **named: Any) -> T: ...


class Board:
    """Instruments as operators left them; kept in the records, OWN_COUNT instruments at most."""

    def __init__(self, desk: Office) -> None:
        self._desk = desk
        self.statuses: dict[str, dict[str, Any]] = {}
        self.own: dict[str, dict[str, Any]] = {}

    def load(self, stopped: dict[str, Any], own: dict[str, Any]) -> None:
        """Take over what was kept."""
        self.statuses, self.own = stopped, own
        held = self._desk.trade.stopped
        held.clear()
        held.update(stopped)

    # --- instruments ---

    def status_of(self, symbol: str) -> str:
        """Return `active`, `suspended` or `delisted`."""
        kept = self.statuses.get(symbol)
        return str(kept["status"]) if kept else "active"

    async def set_status(self, symbol: str, status: str, user_id: str) -> None:
        """Stop an instrument, take it off, or let it follow its hours again; kept first, then done."""
        records = self._desk.records
        if status == "active":
            await self._desk.ask(records.forget, STOPPED, symbol)
            self.statuses.pop(symbol, None)
            self._desk.trade.stopped.discard(symbol)
        else:
            body = {"status": status, "by": user_id, "ts_ns": clock.wall_ns()}
            await self._desk.ask(records.keep, STOPPED, symbol, body)
            self.statuses[symbol] = body
            self._desk.trade.stopped.add(symbol)
        self._desk.trade.engine.follow_stop(symbol)
        self._desk.trade.wake()

    def terms(self, symbol: str) -> tuple[float, float]:
        """Return (price tick, multiple) of an instrument."""
        kept = self.own.get(symbol)
        if kept is not None:
            return kept["price_tick"], kept["contract_multiplier"]
        line = self._desk.instruments.find(symbol)
        info = self._desk.instruments.info(line) if line >= 0 else None
        return (float(info["price_tick"] or 1), float(info["volume_multiple"] or 1)) if info else (1.0, 1.0)

    def tradable(self) -> list[str]:
        """Return the names of all instruments that have a price or are an operator's, sorted."""
        seen = (self._desk.instruments.symbol(line) for line in self._desk.tape.seen())
        return sorted({*seen, *self.own})

    def money_terms(self, symbol: str) -> dict[str, Any] | None:
        """Return the money terms of an instrument; None for one that cannot be traded."""
        kept, line = self.own.get(symbol), self._desk.instruments.find(symbol)
        if kept is not None:
            return _arguments(kept)
        if line < 0 or not listing.tradable(info := self._desk.instruments.info(line)):
            return None
        return listing.listing(info, self._desk.tape.last(line))

    def own_name(self, spelling: str, exchange: str) -> str:
        """Return the full name that is meant; InputError when it is of another exchange than was said."""
        exchange = exchange.strip().upper()
        named = spelling if "." in spelling or not exchange else f"{exchange}.{spelling}"
        symbol = self._desk.instruments.canonical(named) or named
        if exchange and symbol.partition(".")[0] != exchange:
            raise InputError(f"exchange: {symbol} is not of {exchange[:16]}", number=1008)
        return symbol

    def list_own(self, symbol: str, asked: OwnTerms) -> None:
        """List an instrument of our own by its full name; InputError when it is there or will not do."""
        engine = self._desk.trade.engine
        line = self._desk.instruments.find(symbol)
        if engine.exchange.instrument(symbol) is not None or (line >= 0 and self._desk.tape.last(line)):
            raise InputError(f"{symbol} is there already", status=409, number=9409)
        if len(self.own) >= OWN_COUNT:
            raise InputError(f"no more than {OWN_COUNT} instruments of our own", status=409, number=9409)
        if not (0 < asked.price_tick < 1e6 and 1 <= asked.contract_multiplier < 1e7):
            raise InputError("price_tick and contract_multiplier are numbers above 0", number=1008)
        if not 0 < asked.lower_limit < asked.upper_limit < 1e9:
            raise InputError("expected 0 < lower_limit < upper_limit", number=1008)
        if not (0 < asked.margin_rate <= 1 and 0 <= asked.commission_rate < 0.1):
            raise InputError("margin_rate is a share up to 1, commission_rate one below 0.1", number=1008)
        try:
            engine.list_own(symbol, _arguments(msgspec.to_builtins(asked)))
        except ValueError as error:
            raise InputError(str(error), number=1008) from None

    async def keep_own(self, symbol: str, body: dict[str, Any]) -> None:
        """Remember the terms of an instrument of our own, as OwnTerms has them."""
        await self._desk.ask(self._desk.records.keep, OWN, symbol, body)
        self.own[symbol] = body


def _arguments(kept: dict[str, Any]) -> dict[str, Any]:
    """Return what `Exchange.list` takes."""
    fee = (kept["commission_rate"], 0.0)
    today = kept["close_today_rate"]
    return {
        "lower": kept["lower_limit"],
        "upper": kept["upper_limit"],
        "tick": kept["price_tick"],
        "reference": kept.get("pre_settlement"),
        "multiple": kept["contract_multiplier"],
        "margin": (kept["margin_rate"], 0.0),
        "open": fee,
        "close": fee,
        "close_today": fee if today is None else (today, 0.0),
    }
