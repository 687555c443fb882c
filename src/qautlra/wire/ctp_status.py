"""CTP's word on whether a product trades now (`OnRtnInstrumentStatus`), and our phases."""

from __future__ import annotations

from typing import Final

from qautlra._core import book
from qautlra.wire.ctp_records import layout

BEFORE_TRADING, CLOSED = "0", "6"
_LETTERS: Final = {
    book.BREAK: "1",
    book.CONTINUOUS: "2",
    book.AUCTION: "3",
    book.AUCTION_LOCKED: "4",
    book.AUCTION_MATCHED: "5",
}
_PHASES: Final = {letter: phase for phase, letter in _LETTERS.items()} | {
    BEFORE_TRADING: book.CLOSED,
    CLOSED: book.CLOSED,
}


def write_status(product: str, phase: int, *, before: bool, clock: str) -> bytes:
    """Return the record of a product (`SHFE.cu`); `before`: what is closed will trade later on this day."""
    exchange, _, code = product.partition(".")
    return layout("InstrumentStatus").pack(
        {
            "ExchangeID": exchange,
            "SettlementGroupID": "00000001",
            "InstrumentStatus": _LETTERS.get(phase, BEFORE_TRADING if before else CLOSED),
            "EnterTime": clock,
            "EnterReason": "1",
            "ExchangeInstID": code,
            "InstrumentID": code,
        }
    )


def read_status(record: bytes) -> tuple[str, int] | None:
    """Return which product or instrument is in which phase of the book; None for a record that says neither.

    An exchange names a product (`SHFE.cu`), at times a single instrument (`SHFE.cu2109`).
    """
    said = layout("InstrumentStatus").read(record)
    exchange, code = said.text("ExchangeID"), said.text("InstrumentID") or said.text("reserve2")
    phase = _PHASES.get(said.text("InstrumentStatus"))
    return (f"{exchange}.{code}", phase) if exchange and code and phase is not None else None
