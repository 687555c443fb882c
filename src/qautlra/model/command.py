"""What a message may ask besides orders: questions about an account, transfers, words without effect."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from qautlra.model.order import AmendOrder, CancelOrder, InsertOrder


class Ask(StrEnum):
    """Which part of an account is asked for."""

    ACCOUNT = "account"
    POSITION = "position"
    ORDERS = "orders"
    TRADES = "trades"
    SETTLEMENT = "settlement"
    BANK = "bank"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Asks to be told; changes nothing. `day` is YYYYMMDD, of a settlement."""

    account_id: str
    ask: Ask
    day: int = 0


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """Moves money between a bank and the account: `amount` > 0 comes in."""

    account_id: str
    amount: float
    bank_id: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A known word that asks for nothing this door does (`peek`, `login`, `kill`, ...)."""

    account_id: str
    topic: str


Command = InsertOrder | CancelOrder | AmendOrder | Question | Transfer | Notice
