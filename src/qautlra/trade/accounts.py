"""What doors ask of accounts, from where each trades: the built-in exchange, or a broker outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from qautlra.base.errors import InputError
from qautlra.base.service import Service
from qautlra.model import codes
from qautlra.model.order import OUTSIDE, AmendOrder, Answer, CancelOrder, InsertOrder, Order, Trade
from qautlra.trade.transfers import Transfer, Transfers, is_money
from qautlra.wire import trade_rows as rows

if TYPE_CHECKING:
    from qautlra.base.clock import Clock
    from qautlra.trade.engine import Engine
    from qautlra.trade.router import Router

PAPER: Final = "paper"
RUNNING: Final = 200


class Accounts(Service):
    """The part of the trading service that is by account. Subclasses have the parts it asks."""

    bank: Transfers
    clock: Clock
    router: Router

    @property
    def trading_day(self) -> int:
        """Return the day that is traded."""
        raise NotImplementedError

    @property
    def engine(self) -> Engine:
        """The built-in exchange."""
        raise NotImplementedError

    def open_account(self, account_id: str, cash: float = 0.0) -> Answer:
        """Open an account."""
        raise NotImplementedError

    def has(self, account_id: str) -> bool:
        """Tell whether there is such an account."""
        raise NotImplementedError

    async def durable(self, lsn: int) -> None:
        """Return when record `lsn` is durable."""
        raise NotImplementedError

    def _woken(self, answer: Answer) -> Answer:
        raise NotImplementedError

    def brokers(self) -> list[str]:
        """Return the names doors may log in to."""
        return [PAPER, *self.router.names]

    def may_bind(self, account_id: str, broker: str) -> None:
        """Raise InputError when an account cannot trade with a broker outside: `bind` would."""
        here = self.has(account_id) and self.router.seat(account_id) is None
        has_traded = here and (
            any(self.funds(account_id).values()) or self.order_numbers(account_id, rows.statuses(""))
        )
        if has_traded:
            raise InputError(f"{account_id} has traded on the built-in exchange", status=409)
        self.router.may_bind(account_id, broker)

    async def bind(self, account_id: str, broker: str) -> None:
        """Have an account, opened here without money when there is none, trade with a broker outside.

        InputError when the broker, or its login, is not configured or the account has traded here.
        """
        self.may_bind(account_id, broker)
        self.router.bind(account_id, broker)
        if not self.has(account_id):
            await self.durable(self.open_account(account_id).lsn)

    def broker_of(self, account_id: str) -> str:
        """Return the broker an account trades with; KeyError for an account there is not."""
        if not self.has(account_id):
            raise KeyError(account_id)
        seat = self.router.seat(account_id)
        return PAPER if seat is None else seat.broker.bid

    def is_outside(self, account_id: str) -> bool:
        """Tell whether an account trades with a broker outside."""
        return self.router.seat(account_id) is not None

    def takes_orders(self, account_id: str) -> bool:
        """Tell whether an account's orders can go where it trades now."""
        seat = self.router.seat(account_id)
        return seat is None or seat.is_synced

    def is_shown(self, account_id: str, order_id: str) -> bool:
        """Tell whether what became of an order that was sent is known, and is so after a restart."""
        seat = self.router.seat(account_id)
        return seat is None or seat.broker.is_shown(account_id, order_id)

    def trading_day_of(self, account_id: str) -> int:
        """Return the day an account trades in: its broker's, by that one's word, or the house's."""
        seat = self.router.seat(account_id)
        return self.trading_day if seat is None else seat.broker.trading_day or self.trading_day

    def status_of(self, account_id: str) -> int:
        """Return QIFI's `status`: 200 it trades, 100 not yet, 500 its broker is lost, 600 refused."""
        seat = self.router.seat(account_id)
        return RUNNING if seat is None else seat.code

    def insert(self, order: InsertOrder) -> Answer:
        """Enter an order."""
        seat = self.router.seat(order.account_id)
        if seat is not None:
            return self.router.insert(seat, order)
        return self._woken(self.engine.insert(order))

    def cancel(self, order: CancelOrder, *, force: bool = False) -> Answer:
        """Withdraw what is left of an order."""
        seat = self.router.seat(order.account_id)
        if seat is not None:
            return self.router.cancel(seat, order, force=force)
        return self._woken(self.engine.cancel(order, force=force))

    def cancel_all(self, account_id: str | None = None) -> Answer:
        """Withdraw every order of an account, of all without one."""
        code = self.router.cancel_all(account_id)
        answer = self._woken(self.engine.cancel_all(account_id))
        return answer if not code else msgspec.structs.replace(answer, code=code)

    def amend(self, order: AmendOrder) -> Answer:
        """Set price and volume of a living order."""
        seat = self.router.seat(order.account_id)
        if seat is not None:
            return self.router.amend(seat, order)
        return self._woken(self.engine.amend(order))

    def transfer(
        self,
        account_id: str,
        amount: float,
        *,
        bank_id: str = "SIM",
        by: str = "",
        method: str = "bank",
        remark: str = "",
        bank_account: str = "",
        request_id: str = "",
    ) -> Answer:
        """Move `amount` CNY between account and bank: in when positive, out when negative; whole cents.

        `by`, `method`, `remark` and `bank_account` are kept with the movement. The same `request_id` again
        moves nothing and is answered as the first was; with another amount it is refused (9409).
        """
        engine = self.engine
        if not is_money(amount):
            return Answer(code=codes.BAD_AMOUNT, text="转账失败,金额最多两位小数")
        seat = self.router.seat(account_id)
        if seat is not None:
            return seat.out(seat.broker.transfer(account_id, amount, bank_id=bank_id))
        answer = self.bank.move(
            engine, account_id, amount,
            bank_id=bank_id, by=by, method=method, remark=remark, bank_account=bank_account,
            request_id=request_id, time_ns=self.clock.now_ns(),
        )  # fmt: skip
        return self._woken(answer)

    def transfer_of(self, account_id: str, request_id: str) -> Transfer | None:
        """Return the account's transfer of the day that was done for a request."""
        return self.bank.done(account_id, request_id)

    def transfers(self, account_id: str, since: int = 1) -> list[Transfer]:
        """Return the account's transfers of the day, from number `since` on."""
        if not since:
            return []
        seat = self.router.seat(account_id)
        if seat is None:
            return self.bank.of(account_id, since)
        return seat.broker.transfers(account_id)[since - 1 :]

    def funds(self, account_id: str) -> dict[str, float]:
        """Return the account's money (contract 1.2); KeyError for an account there is not."""
        seat = self.router.seat(account_id)
        return self.engine.funds(account_id) if seat is None else seat.broker.funds(account_id)

    def positions(self, account_id: str) -> list[dict[str, Any]]:
        """Return the account's positions (contract 1.3)."""
        seat = self.router.seat(account_id)
        return self.engine.positions(account_id) if seat is None else seat.broker.positions(account_id)

    def position(self, account_id: str, symbol: str) -> dict[str, Any] | None:
        """Return the account's position in one instrument, None without one."""
        if self.router.seat(account_id) is None:
            return next(iter(self.engine.positions(account_id, (symbol,))), None)
        return next((row for row in self.positions(account_id) if row["symbol"] == symbol), None)

    def orders(self, account_id: str) -> list[Order]:
        """Return the account's orders of the day."""
        seat = self.router.seat(account_id)
        return self.engine.orders(account_id) if seat is None else seat.orders()

    def trades(self, account_id: str) -> list[Trade]:
        """Return the account's trades of the day."""
        seat = self.router.seat(account_id)
        return self.engine.trades(account_id) if seat is None else seat.trades()

    def order_numbers(self, account_id: str, statuses: int) -> list[int]:
        """Return the numbers of the account's orders of the day, oldest first: of states given as bits."""
        seat = self.router.seat(account_id)
        if seat is None:
            return self.engine.exchange.chosen_orders(statuses, self.engine.number(account_id))
        return [one.number for one in seat.orders() if rows.statuses(rows.status_of(one)) & statuses]

    def trade_numbers(self, account_id: str) -> list[int]:
        """Return the numbers of the account's trades of the day, oldest first."""
        seat, number = self.router.seat(account_id), self.engine.number(account_id)
        if seat is not None or number is None:
            return [one.number for one in self.trades(account_id)]
        return self.engine.exchange.trades_of(number)

    def order(self, number: int) -> Order:
        """Return an order of the day by number."""
        return self.engine.order(number) if number < OUTSIDE else self.router.of_number(number).order(number)

    def trade(self, number: int) -> Trade:
        """Return a trade of the day by number."""
        return self.engine.trade(number) if number < OUTSIDE else self.router.of_number(number).trade(number)

    def find(self, account_id: str, order_id: str) -> Order | None:
        """Return an order of the day by the account's own id."""
        seat = self.router.seat(account_id)
        return self.engine.find(account_id, order_id) if seat is None else seat.find(order_id)
