"""What every trading door is given, and how it becomes a route."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import web

from qautlra.auth.audit import Act, Result
from qautlra.auth.rights import Access, Principal, Right
from qautlra.base.errors import InputError, UnavailableError
from qautlra.model.order import Answer, Change
from qautlra.net.audit_http import whole
from qautlra.net.auth import address_of, principal
from qautlra.net.auth_http import body_of
from qautlra.net.http import raw_json
from qautlra.net.route import OneOf, Parameters, Route, check_query
from qautlra.net.store_http import send_piece
from qautlra.wire import envelope
from qautlra.wire import trade_rows as rows
from qautlra.wire.envelope import Envelope
from qautlra.wire.trade_errors import TABLE, refused

if TYPE_CHECKING:
    from qautlra.auth.service import AuthService
    from qautlra.net.deps import Deps
    from qautlra.trade.desk import Desk
    from qautlra.trade.service import TradeService

T = TypeVar("T")
U = TypeVar("U")
PAGE_COUNT: Final = 500
SLICE_COUNT: Final = 200
"""Orders or trades that are made into rows at once: some milliseconds."""
LARGE_BYTES: Final = 1 << 20
"""A reply of so much is not copied into one piece."""
_STATUSES: Final = {
    400: "refused: the code says why",
    401: "not logged in",
    403: "not permitted, or another's account",
    404: "no such thing",
    429: "too often",
    503: "trading is not running",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, with who sent it and what it reaches."""

    request: web.Request
    deps: Deps

    @property
    def who(self) -> Principal:
        """Who is calling."""
        return principal(self.request)

    @property
    def trade(self) -> TradeService:
        """The trade service; UnavailableError in a process without one."""
        if self.deps.trade is None:
            raise UnavailableError("this process does not trade")
        return self.deps.trade

    @property
    def desk(self) -> Desk:
        """The desk beside it."""
        if self.deps.desk is None:
            raise UnavailableError("this process does not trade")
        return self.deps.desk

    @property
    def auth(self) -> AuthService:
        """The users."""
        if self.deps.auth is None:
            raise UnavailableError("this process has no users")
        return self.deps.auth

    async def body(self, kind: type[T]) -> T:
        """Return the JSON body."""
        return await body_of(self.request, kind)

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return self.request.match_info[name]

    def text(self, name: str, default: str = "") -> str:
        """Return a text of the query string."""
        return self.request.query.get(name, default)[:256]

    def word(self, name: str, words: OneOf, default: str = "") -> str:
        """Return which of a parameter's words was given, as it is spelt there; the default when none was."""
        given = self.request.query.get(name, "").lower()
        return next((word for word in words if word.lower() == given), default)

    def number(self, name: str, default: int, low: int = 0, high: int = 1 << 62) -> int:
        """Return a whole number of the query string."""
        return whole(self.request.query[name], name, low, high) if name in self.request.query else default

    def day(self, name: str, default: int) -> int:
        """Return a day of the query string as YYYYMMDD; dashes are allowed."""
        given = self.request.query.get(name, "").replace("-", "")
        if not given:
            return default
        try:
            if len(given) != 8 or not given.isascii() or not given.isdigit():
                raise ValueError
            date(int(given[:4]), int(given[4:6]), int(given[6:]))
        except ValueError:
            raise InputError(f"{name}: expected a day like 20250603", number=1008) from None
        return int(given)

    def days(self) -> tuple[int, int]:
        """Return (first, last) day asked for by `start` and `end`; without end where one is left out."""
        start, end = self.day("start", 0), self.day("end", 99_999_999)
        if start > end:
            raise InputError(f"start: {start} lies after end {end}", number=1008)
        return start, end

    def account(self, account_id: str, right: Right = Right.VIEW) -> str:
        """Return the account's name when the caller holds the right for it and it is there."""
        self.who.require(right, account_id)
        if not self.trade.has(account_id):
            raise refused(1006)
        return account_id

    def chosen(self, account_id: str, user_id: str, right: Right) -> str:
        """Return the account meant: the one named, one named like the user, or the only one he owns."""
        if account_id:
            return self.account(account_id, right)
        if user_id and (user_id in self.who.accounts or self.trade.has(user_id)):
            return self.account(user_id, right)
        user = self.auth.users.get(user_id or self.who.user_id)
        own = [name for name, access in user.accounts.items() if access is Access.OWN] if user else []
        if len(own) == 1:
            return self.account(own[0], right)
        if user_id and (user is None or user.user_id != self.who.user_id):
            self.who.require(right, user_id)
            if not own:
                raise refused(1006, f"no user {user_id!r}" if user is None else f"{user_id} has no account")
        raise InputError("account_id: name the account", number=1008)

    def meant(self, name: str, right: Right = Right.VIEW) -> str:
        """Return the account a path names: by its own name, or as the only one of a user."""
        if self.trade.has(name) or self.auth.users.get(name) is None:
            return self.account(name, right)
        return self.chosen("", name, right)

    def accounts_of(self, user_id: str) -> list[str]:
        """Return the accounts of a user, or the one of this name, that the caller may look at."""
        user = self.auth.users.get(user_id)
        if user is None:
            return [self.account(user_id)]
        if user.user_id != self.who.user_id:
            self.who.require(Right.VIEW_ALL)
        return [name for name in user.accounts if self.trade.has(name)]

    def visible(self) -> list[str]:
        """Return every account the caller may look at."""
        if self.who.may(Right.VIEW_ALL):
            return self.trade.accounts()
        return [name for name in self.who.accounts if self.who.may(Right.VIEW, name) and self.trade.has(name)]

    def symbol(self, spelling: str, exchange_id: str = "") -> str:
        """Return an instrument's full name (of that exchange, if one is named); 1007 when it is not known."""
        bare = exchange_id and "." not in spelling  # 000001 is one on either exchange of shares
        found = self.trade.engine.canonical(f"{exchange_id}.{spelling}" if bare else spelling)
        if found is None or (exchange_id and not found.startswith(f"{exchange_id}.")):
            raise refused(1007, f"no instrument {f'{exchange_id} {spelling}'.strip()[:64]!r}")
        return found

    async def done(self, answer: Answer) -> Answer:
        """Return an answer when it is durable; raise what it refuses."""
        named = {"order_id": answer.order_id} if answer.order_id else {}
        try:
            await self.trade.durable(answer.lsn)
        except UnavailableError as error:  # what became of it can be asked by its id
            raise UnavailableError(error.message, status=error.status, **error.details | named) from None
        if not answer.ok:
            raise error_of(answer)
        return answer

    def record(self, act: Act, account_id: str = "", *, ok: bool = True, **detail: Any) -> None:
        """Write into the audit log what the caller did."""
        result = Result.SUCCESS if ok else Result.FAILED
        self.auth.audit.record(
            act,
            self.who.user_id,
            result=result,
            account_id=account_id,
            address=address_of(self.request),
            **detail,
        )

    def owner(self, account_id: str) -> str:
        """Return who owns an account, the account itself when nobody is known."""
        return self.auth.users.owner_of(account_id) or account_id

    async def made(self, make: Callable[[int], T], numbers: Sequence[int]) -> list[T]:
        """Return what orders or trades of the day are made into, a few at a time: others wait for a few, not
        for all. UnavailableError when the day ends meanwhile, with which numbers begin anew.
        """
        found = envelope.Rows[T]()
        for first in range(0, len(numbers), SLICE_COUNT):
            if first:
                await self.give_way()
            found += [make(number) for number in numbers[first : first + SLICE_COUNT]]
        return found

    async def each(self, make: Callable[[U], T], items: Sequence[U]) -> list[T]:
        """Return what values that nothing changes are made into, a few at a time."""
        found = envelope.Rows[T]()
        for first in range(0, len(items), SLICE_COUNT):
            if first:
                await asyncio.sleep(0)
            found += [make(item) for item in items[first : first + SLICE_COUNT]]
        return found

    async def day_of(
        self, account_id: str, order: Callable[[int], T], trade: Callable[[int], U]
    ) -> tuple[list[T], list[U]]:
        """Return what the account's orders and trades of the day are made into, a few at a time, and yet as
        they are at the end: what changes meanwhile is made again. What is read next is of the same moment.
        """
        service, changes = self.trade, list[Change]()
        end = service.subscribe(account_id, lambda _change, _prepared: None, changes.append)
        try:
            numbers = service.order_numbers(account_id, rows.statuses(""))
            orders = await self.made(order, numbers)
            places = await self._places(numbers)
            numbers = service.trade_numbers(account_id)
            trades = await self.made(trade, numbers)
            of_trade = await self._places(numbers)
            service.collect()
        finally:
            end()
        changed = dict.fromkeys(number for change in changes for number in change.orders)
        _renew(orders, places, changed, order)
        _renew(trades, of_trade, [n for one in changes for n in (*one.trades, *one.reckoned)], trade)
        return orders, trades

    async def _places(self, numbers: Sequence[int]) -> dict[int, int]:
        await self.give_way()
        found = {number: place for place, number in enumerate(numbers)}
        await self.give_way()
        return found

    async def give_way(self) -> None:
        """Let others have the loop; UnavailableError when the trading day ends meanwhile."""
        engine, day = self.trade.engine, self.trade.trading_day
        await asyncio.sleep(0)
        if self.trade.engine is not engine or self.trade.trading_day != day:
            raise UnavailableError("the trading day has ended meanwhile; ask again")

    def paged(self, found: Sequence[T]) -> Sequence[T]:
        """Return the page asked for, newest first; everything, oldest first, when none was asked for."""
        if not self.asks_page:
            return found
        first, last = self.page()
        return found[::-1][first:last]

    @property
    def asks_page(self) -> bool:
        """Whether a page was asked for."""
        return "page" in self.request.query or "page_size" in self.request.query

    def page(self) -> tuple[int, int]:
        """Return (first, last + 1) of the page asked for by `page` and `page_size`."""
        size = self.number("page_size", 100, 1, PAGE_COUNT)
        first = (self.number("page", 1, 1, 1_000_000) - 1) * size
        return first, first + size


def _renew(made: list[T], places: dict[int, int], numbers: Iterable[int], make: Callable[[int], T]) -> None:
    """Make those again that changed, and those that are new behind them."""
    for number in numbers:
        place = places.setdefault(number, len(made))
        if place == len(made):
            made.append(make(number))
        else:
            made[place] = make(number)


def error_of(answer: Answer) -> InputError:
    """Return what a refused answer is told as."""
    named = {"order_id": answer.order_id} if answer.order_id else {}
    en = ""
    if answer.lots_frozen:
        en = f"{TABLE[answer.code].en}: {answer.lots_frozen} lots are frozen by other orders"
    return refused(answer.code, en, zh=answer.text, **named)


Work = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Door:
    """One row of a room's table. A door that returns a web.Response answers by itself."""

    method: str
    path: str
    work: Work
    summary: str
    right: Right
    body: Any = None
    reply: Any = dict[str, Any]
    parameters: Parameters = field(default_factory=dict)


def route(deps: Deps, door: Door) -> Route:
    """Return the route of a door; a query string it does not know is refused before it works."""

    async def handler(request: web.Request) -> web.StreamResponse:
        check_query(request, door.parameters)
        found = await door.work(Call(request, deps))
        if door.method == "GET" and deps.trade is not None and deps.trade.is_running:
            await deps.trade.durable(deps.trade.head_lsn)  # what was read may be of this moment's commit
        return found if isinstance(found, web.StreamResponse) else await reply_of(request, found)

    reply: Any = Envelope[door.reply]  # type: ignore[name-defined]
    return Route(
        door.method,
        door.path,
        handler,
        door.summary,
        "trading",
        door.body,
        reply,
        parameters=door.parameters,
        statuses=_STATUSES,
        right=door.right,
        envelope=True,
    )


async def reply_of(request: web.Request, data: Any) -> web.StreamResponse:
    """Return the reply with `data`; a long one is written and sent a piece at a time, others have the loop
    between. `data` is the caller's own: nothing of it changes meanwhile.
    """
    pieces: list[bytes] = []
    for piece in envelope.ok_in_pieces(data):
        if len(pieces) > 2:
            await asyncio.sleep(0)
        pieces.append(piece)
    size = sum(map(len, pieces))
    if size < LARGE_BYTES or request.method == "HEAD":
        return raw_json(b"".join(pieces))
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = size
    await response.prepare(request)
    for piece in pieces:
        await send_piece(request, response, piece)
    await response.write_eof()
    return response


PAGE: Final = {"page": "from 1", "page_size": f"up to {PAGE_COUNT} (100)"}
OPTIONAL_PAGE: Final = {
    "page": "from 1; without page and page_size all",
    "page_size": f"up to {PAGE_COUNT} (100): newest first",
}
RANGE: Final = {"start": "first day, YYYYMMDD", "end": "last day, YYYYMMDD"}
