"""What queries of a CTP program are answered with: rows of records, none for nothing found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from qautlra.base.errors import InputError
from qautlra.net.ctp_flow import Flow
from qautlra.wire import ctp_queries as records
from qautlra.wire.ctp_frames import HEAD_BYTES, Kind
from qautlra.wire.ctp_orders import is_own_refusal, stamp
from qautlra.wire.ctp_records import Record
from qautlra.wire.trade_rows import statuses

if TYPE_CHECKING:
    from qautlra.net.ctp_desk import Desk

Rows = list[bytes]
DATE_CHARS: Final = 8


class Answers:
    """Reads the desk; changes nothing."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._by_kind: dict[int, Callable[[Record, str, Flow | None], Rows]] = {
            Kind.QRY_POSITION: self._positions,
            Kind.QRY_ACCOUNT: self._account,
            Kind.QRY_INVESTOR: self._investor,
            Kind.QRY_TRADING_CODE: self._trading_codes,
            Kind.QRY_MARGIN_RATE: self._margin_rate,
            Kind.QRY_COMMISSION_RATE: self._commission_rate,
            Kind.QRY_EXCHANGE: self._exchanges,
            Kind.QRY_DEPTH: self._depth,
            Kind.QRY_CONFIRM: self._confirmation,
            Kind.QRY_BROKER_PARAMS: self._broker_params,
        }
        self._long: dict[int, Callable[[Record, str, Flow | None], Iterator[bytes]]] = {
            Kind.QRY_ORDER: self._orders,
            Kind.QRY_TRADE: self._trades,
            Kind.QRY_INSTRUMENT: self._instruments,
        }

    def knows(self, kind: int) -> bool:
        """Tell whether this front can answer such a query."""
        return kind in self._by_kind or kind in self._long

    def long(self, kind: int, asked: Record, account_id: str, flow: Flow | None) -> Iterator[bytes] | None:
        """Return the records of a query that may find thousands, one by one; None for another query.

        Orders and trades that change while they are read are as they are then; with the day they end.
        """
        found = self._long.get(kind)
        return found(asked, account_id, flow) if found is not None else None

    def rows(self, kind: int, asked: Record, account_id: str, flow: Flow | None) -> Rows:
        """Return the records a query is answered with."""
        return self._by_kind[kind](asked, account_id, flow)

    async def statement(self, asked: Record, account_id: str) -> Rows:
        """Return a statement in pieces, of the newest settled day when none is named; none for no such day.

        InputError when the day is no date.
        """
        named = asked.text("TradingDay")
        if named and not (len(named) == DATE_CHARS and named.isascii() and named.isdigit()):
            raise InputError("TradingDay: expected YYYYMMDD")
        day, text = await self._desk.trade.settling.text_of(account_id, int(named or 0))
        if not text:
            return []
        return list(
            records.statement(
                text,
                account_id=account_id,
                broker=self._desk.settings.broker_id,
                trading_day=day,
            )
        )

    def _orders(self, asked: Record, account_id: str, flow: Flow | None) -> Iterator[bytes]:
        assert flow is not None
        trade, matches = self._desk.trade, _matching(asked)
        sys_id, since, until = (
            asked.text(name) for name in ("OrderSysID", "InsertTimeStart", "InsertTimeEnd")
        )
        day = trade.trading_day
        for number in trade.order_numbers(account_id, statuses("")):
            if trade.trading_day != day:
                return
            order = trade.order(number)
            if (
                not is_own_refusal(order)
                and matches(order.symbol)
                and (not sys_id or sys_id == order.exchange_order_id)
                and _within(order.insert_ns, since, until)
            ):
                yield flow.order_record(order)

    def _trades(self, asked: Record, account_id: str, flow: Flow | None) -> Iterator[bytes]:
        assert flow is not None
        engine, matches = self._desk.trade, _matching(asked)
        trade_id, since, until = (asked.text(name) for name in ("TradeID", "TradeTimeStart", "TradeTimeEnd"))
        day = engine.trading_day
        for number in engine.trade_numbers(account_id):
            if engine.trading_day != day:
                return
            trade = engine.trade(number)
            if (
                matches(trade.symbol)
                and (not trade_id or trade_id == trade.exchange_trade_id)
                and _within(trade.trade_ns, since, until)
            ):
                yield flow.trade_record(trade)

    def _positions(self, asked: Record, account_id: str, _flow: Flow | None) -> Rows:
        desk = self._desk
        found: Rows = []
        matches = _matching(asked)
        for position in desk.trade.positions(account_id):
            if matches(position["symbol"]):
                found += records.positions(
                    position,
                    account_id=account_id,
                    broker=desk.settings.broker_id,
                    trading_day=desk.trade.trading_day,
                    multiple=float(desk.listing.info(position["symbol"])["volume_multiple"]),
                )
        return found

    def _account(self, _asked: Record, account_id: str, _flow: Flow | None) -> Rows:
        desk = self._desk
        return [
            records.account(
                desk.trade.funds(account_id),
                account_id=account_id,
                broker=desk.settings.broker_id,
                trading_day=desk.trade.trading_day,
            )
        ]

    def _investor(self, _asked: Record, account_id: str, _flow: Flow | None) -> Rows:
        return [records.investor(account_id, self._desk.settings.broker_id)]

    def _trading_codes(self, asked: Record, account_id: str, _flow: Flow | None) -> Rows:
        wanted = asked.text("ExchangeID")
        return [
            records.trading_code(account_id, self._desk.settings.broker_id, exchange)
            for exchange, _ in records.exchanges()
            if wanted in ("", exchange)
        ]

    def _margin_rate(self, asked: Record, account_id: str, _flow: Flow | None) -> Rows:
        symbol = self._desk.listing.symbol(asked.text("InstrumentID"), asked.text("ExchangeID"))
        if symbol is None:
            return []
        info, broker = self._desk.listing.info(symbol), self._desk.settings.broker_id
        return [records.margin_rate(info, account_id=account_id, broker=broker)]

    def _commission_rate(self, asked: Record, account_id: str, _flow: Flow | None) -> Rows:
        symbol = self._desk.listing.symbol(asked.text("InstrumentID"), asked.text("ExchangeID"))
        if symbol is None:
            return []
        info, broker = self._desk.listing.info(symbol), self._desk.settings.broker_id
        return [records.commission_rate(info, account_id=account_id, broker=broker)]

    def _exchanges(self, asked: Record, _account: str, _flow: Flow | None) -> Rows:
        wanted = asked.text("ExchangeID")
        return [record for exchange, record in records.exchanges() if wanted in ("", exchange)]

    def _instruments(self, asked: Record, _account: str, _flow: Flow | None) -> Iterator[bytes]:
        code, exchange, product = (asked.text(name) for name in ("InstrumentID", "ExchangeID", "ProductID"))
        for info, record in self._desk.listing.instruments():
            if (
                code in ("", info["instrument_id"])
                and exchange in ("", info["exchange_id"])
                and product in ("", info["product_id"])
            ):
                yield record

    def _depth(self, asked: Record, _account: str, _flow: Flow | None) -> Rows:
        found = self._desk.listing.depth(asked.text("InstrumentID"), 0)
        return [found[HEAD_BYTES:]] if found is not None else []

    def _confirmation(self, _asked: Record, account_id: str, _flow: Flow | None) -> Rows:
        found = self._desk.confirmed(account_id)
        broker = self._desk.settings.broker_id
        return [records.confirmation(account_id, broker, *found)] if found is not None else []

    def _broker_params(self, _asked: Record, account_id: str, _flow: Flow | None) -> Rows:
        return [records.broker_params(account_id, self._desk.settings.broker_id)]


def _matching(asked: Record) -> Callable[[str], bool]:
    wanted_code, wanted_exchange = asked.text("InstrumentID"), asked.text("ExchangeID")

    def matches(symbol: str) -> bool:
        exchange, _, code = symbol.partition(".")
        return wanted_code in ("", code) and wanted_exchange in ("", exchange)

    return matches


def _within(ts_ns: int, since: str, until: str) -> bool:
    clock = stamp(ts_ns)[1]
    return (not since or clock >= since) and (not until or clock <= until)
