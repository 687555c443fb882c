"""Money moved between an account and its bank today: what was asked for and what became of it.

The money itself is the exchange's; these are the notes beside it in the same journal.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from qautlra.trade.notes import Note


class Transfer(Note, frozen=True, kw_only=True, tag="transfer"):
    """One transfer; `amount` CNY, in when positive. `code` 0 when it was done."""

    account_id: str
    trading_day: int
    seq: int
    "Of the account's day, from 1."
    amount: float
    bank_id: str
    code: int
    text: str
    time_ns: int
    request_id: str = ""
    'Whoever asks again with it on this trading day is told of this one; "" where none was given.'


class Moved(NamedTuple):
    """A transfer that was done, at the record that has it, with who had it done and what was said of it."""

    transfer: Transfer
    balance: float
    "CNY, of the account just after it."
    lsn: int
    by: str
    method: str
    remark: str


def is_money(amount: float) -> bool:
    """Tell whether an amount is of whole cents, as far as the ledger counts: to a millionth of a yuan."""
    return math.isfinite(amount) and abs(amount - round(amount, 2)) < 5e-7


class Transfers:
    """The day's transfers by account. Bound: beyond REFUSED_MAX an account's refused ones are not kept."""

    REFUSED_MAX = 1000

    def __init__(self) -> None:
        self._of: dict[str, list[Transfer]] = {}

    def next(self, **fields: Any) -> Transfer:
        """Return the account's next transfer, not yet kept."""
        return Transfer(seq=len(self._of.get(fields["account_id"], ())) + 1, **fields)

    def keep(self, transfer: Transfer) -> None:
        """Keep a transfer."""
        self._of.setdefault(transfer.account_id, []).append(transfer)

    def done(self, account_id: str, request_id: str) -> Transfer | None:
        """Return the account's transfer of the day that was done for a request, None without one."""
        found = (one for one in self._of.get(account_id, ()) if one.request_id == request_id and not one.code)
        return next(found, None) if request_id else None

    def is_full(self, account_id: str) -> bool:
        """Tell whether refused transfers of the day are no longer kept."""
        return len(self._of.get(account_id, ())) >= self.REFUSED_MAX

    def of(self, account_id: str, since: int = 1) -> list[Transfer]:
        """Return the account's transfers of the day from number `since` on."""
        return self._of.get(account_id, [])[since - 1 :]

    def clear(self) -> None:
        """A new day."""
        self._of.clear()
