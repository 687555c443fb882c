"""Money moved between an account and its bank today: what was asked for and what became of it.

The money itself is the exchange's; these are the notes beside it in the same journal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from qautlra.model import codes
from qautlra.model.order import Answer
from qautlra.trade.notes import Note, to_bytes

if TYPE_CHECKING:
    from qautlra.trade.engine import Engine


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
    bank_account: str = ""


def is_money(amount: float) -> bool:
    """Tell whether an amount is of whole cents, as far as the ledger counts: to a millionth of a yuan."""
    return math.isfinite(amount) and abs(amount - round(amount, 2)) < 5e-7


class Transfers:
    """Money moved between accounts of the built-in exchange and their bank, the day's by account.

    Bound: beyond REFUSED_MAX of an account and day refused ones are not kept.
    """

    REFUSED_MAX = 1000

    def __init__(self) -> None:
        self.moved: list[Callable[[Moved], None]] = []
        "Called with every transfer that was done, before its record is durable."
        self._of: dict[str, list[Transfer]] = {}
        self._untold: dict[str, int] = {}
        self._earlier: list[Transfer] = []

    def restore(self, notes: list[Transfer], trading_day: int) -> None:
        """Take what a replay found: the day's, and those of days whose papers may not be made yet."""
        self._of.clear()
        for transfer in notes:
            if transfer.trading_day == trading_day:
                self._of.setdefault(transfer.account_id, []).append(transfer)
        self._earlier = [one for one in notes if one.trading_day != trading_day]

    def take_earlier(self) -> list[Transfer]:
        """Return what a replay found of earlier days, once."""
        found, self._earlier = self._earlier, []
        return found

    def move(
        self,
        engine: Engine,
        account_id: str,
        amount: float,
        *,
        bank_id: str,
        time_ns: int,
        by: str = "",
        method: str = "bank",
        remark: str = "",
        bank_account: str = "",
        request_id: str = "",
    ) -> Answer:
        """Move `amount` CNY between account and bank: in when positive, out when negative.

        The same `request_id` again moves nothing and is answered as the first was; with another amount it is
        refused (9409).
        """
        if (done := self.done(account_id, request_id)) is not None:
            if abs(done.amount - amount) < 5e-3:
                return Answer(code=0, lsn=engine.exchange.head_lsn)
            return Answer(code=codes.CONFLICT, text=codes.describe(codes.CONFLICT).text)
        answer = engine.move_money(account_id, amount)
        if answer.code == codes.NO_ACCOUNT or (not answer.ok and self._is_full(account_id)):
            return answer
        ours = self._of.setdefault(account_id, [])
        transfer = Transfer(
            account_id=account_id,
            trading_day=engine.exchange.trading_day,
            seq=len(ours) + 1,
            amount=amount,
            bank_id=bank_id,
            code=answer.code,
            text="转账成功" if answer.ok else answer.text,
            time_ns=time_ns,
            request_id=request_id,
        )
        _, _, lsn = engine.exchange.note(to_bytes(transfer))
        ours.append(transfer)
        self._untold.setdefault(account_id, transfer.seq)
        engine.touch(account_id)
        lsn = lsn or answer.lsn
        if answer.ok:
            balance = engine.funds(account_id)["balance"]
            moved = Moved(transfer, balance, lsn, by, method, remark, bank_account)
            for hook in self.moved:
                hook(moved)
        return msgspec.structs.replace(answer, lsn=lsn)

    def done(self, account_id: str, request_id: str) -> Transfer | None:
        """Return the account's transfer of the day that was done for a request, None without one."""
        found = (one for one in self._of.get(account_id, ()) if one.request_id == request_id and not one.code)
        return next(found, None) if request_id else None

    def of(self, account_id: str, since: int = 1) -> list[Transfer]:
        """Return the account's transfers of the day from number `since` on."""
        return self._of.get(account_id, [])[since - 1 :]

    def take_untold(self, account_id: str) -> int:
        """Return the number of the account's first transfer since the last call, 0 without one."""
        return self._untold.pop(account_id, 0)

    def clear(self) -> None:
        """A new day."""
        self._of.clear()
        self._untold.clear()

    def _is_full(self, account_id: str) -> bool:
        return len(self._of.get(account_id, ())) >= self.REFUSED_MAX
