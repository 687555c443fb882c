"""The broker's own rates of instruments at a CTP front: two queries for each, asked as they are needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from qautlra.link.ctp_session import NO_ANSWER
from qautlra.wire import ctp_broker as wire
from qautlra.wire import ctp_codes
from qautlra.wire.ctp_frames import LAST, RECORDS, Frame, Kind
from qautlra.wire.ctp_records import layout

RATES: Final = (Kind.QRY_MARGIN_RATE, Kind.QRY_COMMISSION_RATE)
_READ: Final = {Kind.QRY_MARGIN_RATE: wire.margin_rate, Kind.QRY_COMMISSION_RATE: wire.commission_rate}
_AGAIN: Final = ctp_codes.RETRY | {NO_ANSWER}


class Rates:
    """A brain. Owner: the broker. Bound: two queries for each instrument of the account.

    `known` is filled by symbol, with both answers of an instrument together: a ledger takes its terms once.
    What the broker tells nothing of is left to the table; an instrument it had no time for is not known yet.
    """

    def __init__(self, known: dict[str, Mapping[str, Any]]) -> None:
        self._known = known
        self._asked: deque[tuple[Kind, str]] = deque()  # in the order they are answered
        self._told: dict[str, Any] | None = {}  # of the first of them; None when it must be asked again

    def drop(self) -> None:
        """The link is gone, and with it what was asked."""
        self._asked.clear()
        self._told = {}

    @property
    def is_waiting(self) -> bool:
        """Whether answers are still to come."""
        return bool(self._asked)

    def want(self, symbols: Iterable[str]) -> list[str]:
        """Return which of these must be asked for now, with each kind of RATES in turn."""
        asked = {symbol for _, symbol in self._asked}
        found = [symbol for symbol in symbols if symbol not in self._known and symbol not in asked]
        self._asked.extend((kind, symbol) for symbol in found for kind in RATES)
        return found

    def take(self, got: Frame) -> bool | None:
        """Take a row; None while more are to come, else whether the last instrument is known now."""
        if not self._asked or got.kind != self._asked[0][0]:
            return None
        kind, symbol = self._asked[0]
        if got.error in _AGAIN:
            self._told = None
        elif got.record and not got.error and self._told is not None:
            self._told |= _READ[kind](layout(RECORDS[kind][1]).read(got.record))
        if not got.flags & LAST:
            return None
        self._asked.popleft()
        if kind == RATES[-1]:
            if self._told is not None:
                self._known[symbol] = self._told
            self._told = {}
        return None if self._asked else symbol in self._known
