"""Where account documents are kept for others to read: MongoDB, or the SQLite file of this process.

Never the truth: that is the journal. Whoever writes late or twice changes nothing that is newer.
"""

from __future__ import annotations

from typing import Protocol

from qautlra.model.qifi import Account, Qifi
from qautlra.wire.qifi_parts import Parts


class AccountRepository(Protocol):
    """One document per account, its days, and its equity over time. Errors are StorageError or LinkError."""

    @property
    def shown_place(self) -> str:
        """Where it is, without secrets."""

    async def open(self) -> None:
        """Make ready what is written to."""

    async def close(self) -> None:
        """Give everything back."""

    async def save(self, document: Parts, seq: int) -> bool:
        """Put the document in place of the account's; False when one of a later `seq` is there."""

    async def load(self, account_id: str) -> Qifi | None:
        """Return the account's document."""

    async def seq(self, account_id: str) -> int:
        """Return where the account's document stands, 0 when there is none."""

    async def accounts(self) -> list[str]:
        """Return the names of all accounts with a document, sorted."""

    async def save_day(self, document: Qifi, seq: int) -> bool:
        """Put the document of its trading day; False when a later one is there."""

    async def day(self, account_id: str, trading_day: str) -> Qifi | None:
        """Return the account's document of a trading day."""

    async def days(self, account_id: str) -> list[str]:
        """Return the trading days there are documents of, sorted."""

    async def add_equity(self, account_id: str, funds: Account, updatetime: str) -> None:
        """Note the funds at a time."""

    async def equity(self, account_id: str, limit: int = 10_000) -> list[tuple[str, Account]]:
        """Return the newest `limit` points of equity, oldest first."""

    async def trim_equity(self, before: str) -> int:
        """Delete points older than `before`; how many."""
