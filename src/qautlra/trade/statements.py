"""Daily statements: every account as each day left it, kept in an SQLite file.

Never the truth about money, that is the journal. A day is begun in the file before it is settled and finished
after; one that ends again after a crash is written again. Blocking calls, from any thread.
"""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qautlra.base.errors import StorageError
from qautlra.base.loop import SLICE_COUNT, batched, used_up
from qautlra.base.sqlite import connect, transaction
from qautlra.model.order import Trade
from qautlra.trade.papers import POSITION_COUNT, POSITIONS_COUNT, DayMaker
from qautlra.trade.statistics import money
from qautlra.trade.transfers import Transfer

if TYPE_CHECKING:
    from qautlra.trade.days import AccountDay

VERSION: Final = 1
BEGUN: Final = ""
"In an account's place: the day's statements are not all there yet."
PAGE_COUNT: Final = 1_000
_trade: Final[msgspec.json.Decoder[Trade]] = msgspec.json.Decoder(Trade)
_NO_TRADES: Final = b'"trades":[]'
_SCHEMA: Final = """
CREATE TABLE statements (
    account_id TEXT NOT NULL, trading_day INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (account_id, trading_day)
) WITHOUT ROWID;
CREATE TABLE settlements (trading_day INTEGER PRIMARY KEY, body BLOB NOT NULL)
"""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One account at the end of one trading day, positions at the settlement prices, not settled yet."""

    account_id: str
    trading_day: int
    funds: dict[str, float]
    positions: list[dict[str, Any]]
    trades: list[Trade]
    transfers: list[Transfer]
    prices: dict[str, float]
    "Settlement prices by symbol."


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A statement whose trades are read later: they may be many."""

    account_id: str
    trading_day: int
    funds: dict[str, float]
    positions: list[dict[str, Any]]
    trades: list[msgspec.Raw]
    transfers: list[Transfer]
    prices: dict[str, float]


class DayFunds(msgspec.Struct, frozen=True, kw_only=True):
    """Of a statement, what is read without its trades."""

    trading_day: int
    funds: dict[str, float]


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """One day's end over all accounts; money in CNY."""

    trading_day: int
    next_day: int
    market_ns: int
    "The market's time when it was done."
    by: str = ""
    "The operator who asked for it; empty when the clock did."
    accounts_count: int = 0
    orders_count: int = 0
    trades_count: int = 0
    commission: float = 0.0
    profit: float = 0.0
    balance: float = 0.0
    prices: dict[str, float] = {}


class Statements:
    """The file of one data directory. Bound: one row per account and day."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, made when it is not there."""
        self.close()
        self._database = connect(self._path, _SCHEMA, VERSION)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            database, self._database = self._database, None
            if database is not None:
                database.close()

    def begin(self, settlement: Settlement) -> None:
        """Note that a day is about to be settled; its statements follow."""
        day = settlement.trading_day
        with self._use() as database, transaction(database):
            database.execute("REPLACE INTO statements VALUES (?, ?, ?)", (BEGUN, day, b""))
            _put(database, settlement)

    def begun(self, trading_day: int) -> Settlement | None:
        """Return a day that was begun, None where its statements are there."""
        query = "SELECT 1 FROM statements WHERE account_id = ? AND trading_day = ?"
        return self.settlement(trading_day) if self._all(query, (BEGUN, trading_day)) else None

    def finish(self, settlement: Settlement, bodies: Iterable[tuple[str, Sequence[bytes]]]) -> None:
        """Keep a day as it ended, whole or not at all: statements in pieces, by account."""
        day = settlement.trading_day
        with self._use() as database, transaction(database):
            for account_id, pieces in bodies:
                body = b"".join(pieces)
                database.execute("REPLACE INTO statements VALUES (?, ?, ?)", (account_id, day, body))
            _put(database, settlement)
            database.execute("DELETE FROM statements WHERE account_id = ? AND trading_day = ?", (BEGUN, day))

    def get(self, account_id: str, trading_day: int) -> Statement | None:
        """Return an account's statement of a day; 0 for its newest."""
        query = "SELECT body FROM statements WHERE account_id = ? AND (trading_day = ? OR ? = 0)"
        values = (account_id, trading_day, trading_day)
        rows = self._all(f"{query} ORDER BY trading_day DESC LIMIT 1", values)
        return _read(rows[0][0]) if rows else None

    def of_account(self, account_id: str, start: int = 0, end: int = 99_999_999) -> list[Statement]:
        """Return the account's statements of the days from `start` to `end`, oldest first."""
        return [_read(body) for body in self._between(account_id, start, end)]

    def funds_of(self, account_id: str, start: int = 0, end: int = 99_999_999) -> list[DayFunds]:
        """Return the account's money at the end of the days from `start` to `end`, oldest first."""
        return [msgspec.json.decode(body, type=DayFunds) for body in self._between(account_id, start, end)]

    def _between(self, account_id: str, start: int, end: int) -> list[bytes]:
        query = "SELECT body FROM statements WHERE account_id = ? AND trading_day BETWEEN ? AND ?"
        return [body for (body,) in self._all(f"{query} ORDER BY trading_day", (account_id, start, end))]

    def days(self, account_id: str) -> list[int]:
        """Return the days there are statements of, oldest first."""
        query = "SELECT trading_day FROM statements WHERE account_id = ? ORDER BY trading_day"
        return [day for (day,) in self._all(query, (account_id,))]

    def settlements(self, count: int = 250) -> list[Settlement]:
        """Return the newest settlements, newest first."""
        query = "SELECT body FROM settlements ORDER BY trading_day DESC LIMIT ?"
        rows = self._all(query, (min(max(count, 0), PAGE_COUNT),))
        return [msgspec.json.decode(body, type=Settlement) for (body,) in rows]

    def settlement(self, trading_day: int) -> Settlement | None:
        """Return the settlement of a day."""
        rows = self._all("SELECT body FROM settlements WHERE trading_day = ?", (trading_day,))
        return msgspec.json.decode(rows[0][0], type=Settlement) if rows else None

    def of_day(self, trading_day: int, count: int = PAGE_COUNT, offset: int = 0) -> list[Statement]:
        """Return the statements of a day by account, a page of them."""
        query = "SELECT body FROM statements WHERE trading_day = ? AND account_id > ? "
        query += "ORDER BY account_id LIMIT ? OFFSET ?"
        rows = self._all(query, (trading_day, BEGUN, min(max(count, 0), PAGE_COUNT), max(offset, 0)))
        return [_read(body) for (body,) in rows]

    def _all(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        with self._use() as database:
            return database.execute(query, values).fetchall()

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._database is None:
                raise StorageError("the statements are closed")
            try:
                yield self._database
            except sqlite3.Error as error:
                raise StorageError(f"{self._path.name}: {error}") from None


class DayStatements(DayMaker):
    """Makes the statements of one day."""

    def __init__(
        self, statements: Statements, settlement: Settlement, transfers: Mapping[str, list[Transfer]]
    ) -> None:
        self._statements = statements
        self._settlement = settlement
        self._transfers = transfers
        self._bodies: list[tuple[str, list[bytes]]] = []
        self._counts = [0, 0, 0]
        self._funds: list[dict[str, float]] = []

    def add(self, one: AccountDay) -> Iterator[int]:
        """Make the statement of an account."""
        day = self._settlement
        held = {position["symbol"] for position in one.positions}
        positions: list[dict[str, Any]] = []
        for rows in batched(one.positions, POSITIONS_COUNT):
            positions += map(_finite, rows)
            yield POSITION_COUNT * len(rows)
        statement = Statement(
            account_id=one.account_id,
            trading_day=day.trading_day,
            funds=_finite(one.funds),
            positions=positions,
            trades=[],
            transfers=self._transfers.get(one.account_id, []),
            prices={symbol: price for symbol, price in day.prices.items() if symbol in held},
        )
        head, tail = msgspec.json.encode(statement).split(_NO_TRADES, 1)
        pieces = [head, _NO_TRADES[:-1]]
        for trades in batched(one.trades, SLICE_COUNT):
            pieces += [b"," if len(pieces) > 2 else b"", msgspec.json.encode(trades)[1:-1]]
            yield len(trades)
        self._bodies.append((one.account_id, [*pieces, b"]", tail]))
        self._funds.append(one.funds)
        for at, count in enumerate((1, len(one.orders), len(one.trades))):
            self._counts[at] += count

    def write(self) -> None:
        """Keep them, and the day's sums."""
        accounts, orders, trades = self._counts
        funds = self._funds
        settlement = msgspec.structs.replace(
            self._settlement,
            accounts_count=accounts,
            orders_count=orders,
            trades_count=trades,
            commission=money(*(one["commission"] for one in funds)),
            profit=money(*(one[name] for one in funds for name in ("close_profit", "position_profit"))),
            balance=money(*(one["balance"] for one in funds)),
        )
        self._statements.finish(settlement, self._bodies)


def _put(database: sqlite3.Connection, settlement: Settlement) -> None:
    body = msgspec.json.encode(settlement)
    database.execute("REPLACE INTO settlements VALUES (?, ?)", (settlement.trading_day, body))


def _read(body: bytes) -> Statement:
    """Return a kept statement; its trades are read a few at a time, for the loop beside this thread."""
    kept = msgspec.json.decode(body, type=_Kept)
    found = {name: getattr(kept, name) for name in kept.__struct_fields__}
    return Statement(**found | {"trades": [_trade.decode(one) for one in used_up(kept.trades)]})


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """A ratio of nothing to nothing is kept as 0."""
    return {k: 0.0 if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
