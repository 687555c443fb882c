"""Bodies of the trading REST: what users and operators send, and the rows they are shown.

Times are Unix milliseconds, days YYYYMMDD; what has no value is null. A field that a body does not have is
refused: an order whose `price_type` nobody reads would be another order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from qautlra.base.errors import InputError
from qautlra.model.order import (
    HEDGE_FLAGS,
    Direction,
    InsertOrder,
    Offset,
    PriceType,
    TimeCondition,
    VolumeCondition,
)
from qautlra.wire.order_id import BYTES_MAX, SAID, is_order_id
from qautlra.wire.trade_errors import BAD_PARAMETERS, refused

Id = Annotated[str, Meta(max_length=64)]
OrderId = Annotated[str, Meta(min_length=1, max_length=BYTES_MAX, description=SAID)]
Text = Annotated[str, Meta(max_length=10_000)]
Short = Annotated[str, Meta(max_length=200)]
BATCH_COUNT: Final = 100
_OFFSETS: Final = {"CLOSEYESTERDAY": Offset.CLOSE, **{offset.name: offset for offset in Offset}}
_WAITING_TYPES: Final = ("LIMIT", "MARKET", "ANY")
_PRICE_TYPES: Final = {"MARKET": PriceType.ANY, **{kind.name: kind for kind in PriceType}}


class SubmitOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order. Who owns one account need not name it; `order_id` makes sending twice harmless. An
    `exchange_id` may stand beside a bare name.
    """

    instrument_id: Short
    exchange_id: Short = ""
    direction: str
    volume: float
    offset: str = "OPEN"
    price: float | None = None
    order_type: str = "LIMIT"
    time_condition: str = ""
    volume_condition: str = "ANY"
    min_volume: int = 0
    hedge_flag: str = "SPECULATION"
    contingent_condition: str = "IMMEDIATELY"
    reduce_only: bool = False
    account_id: Id = ""
    user_id: Id = ""
    order_id: OrderId | None = None

    def __post_init__(self) -> None:
        _check_ids(() if self.order_id is None else (self.order_id,))


class CancelRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Withdraw an order."""

    order_id: OrderId
    account_id: Id = ""
    user_id: Id = ""

    def __post_init__(self) -> None:
        _check_ids((self.order_id,))


class BatchRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to 100 orders of one account."""

    account_id: Id
    orders: Annotated[list[SubmitOrder], Meta(min_length=1, max_length=BATCH_COUNT)]


class BatchCancelRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to 100 orders of one account to withdraw."""

    account_id: Id
    order_ids: Annotated[list[OrderId], Meta(min_length=1, max_length=BATCH_COUNT)]

    def __post_init__(self) -> None:
        _check_ids(self.order_ids)


class ModifyRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to change of a living order; the volume counts what has traded."""

    account_id: Id = ""
    new_price: float | None = None
    new_volume: float | None = None


class ConditionalRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order that waits for the last price: GE at or above the trigger, LE at or below."""

    account_id: Id
    instrument_id: Short
    exchange_id: Short = ""
    direction: str
    offset: str
    volume: float
    trigger_price: float
    trigger_condition: str
    condition_type: str = "PRICE_TOUCH"
    order_type: str = "LIMIT"
    limit_price: float | None = None
    valid_until: int | None = None


class OpenAccountRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new account of a user (of oneself, unless one manages users): of `paper`, or of a broker outside."""

    user_id: Id = ""
    account_id: Id = ""
    account_name: Id = ""
    user_name: Short = ""
    broker: Id = ""
    init_cash: float = 0.0
    account_type: str = "individual"
    password: Short = ""


class MoneyRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money in or out; `amount` CNY, above 0, whole cents. A `request_id` makes sending twice harmless."""

    amount: float
    request_id: Id = ""
    account_id: Id = ""
    user_id: Id = ""
    method: Short = ""
    remark: Short = ""
    bank_account: Short = ""


class TransferRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money between bank and account: in when positive, out when negative. A `request_id` makes sending twice
    harmless.
    """

    account_id: Id
    amount: float
    request_id: Id = ""
    bank_id: Id = "SIM"
    bank_password: Short = ""
    future_password: Short = ""


class FreezeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stop an account from trading, from taking money out, or both."""

    account_id: Id
    reason: Short = ""
    freeze_type: str = "FULL"
    admin_token: Short = ""


class UnfreezeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let it go on."""

    account_id: Id
    reason: Short = ""
    admin_token: Short = ""


class LiquidateRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Close everything an account holds."""

    account_id: Id
    reason: Short = ""


class StateRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kill switch: ACTIVE, REDUCING or HALTED, of one account or of all."""

    state: str
    account_id: Id | None = None
    cancel_orders: bool = True


class AlertRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alert that was seen to."""

    account_id: Id
    alert_id: Short


class SettlementPrice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A settlement price of the traded day; by `force` off the tick or beyond its limits, too."""

    instrument_id: Short
    settlement_price: float
    force: bool = False


class SettlementPrices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several of them, all or none; `force` is for each."""

    prices: Annotated[list[SettlementPrice], Meta(min_length=1, max_length=10_000)]
    force: bool = False


class ExecuteRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End the trading day, by `force` while its market is open."""

    force: bool = False


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Price limits: as prices, or as shares (0.1) of `pre_settlement`, which is the feed's when left out."""

    upper_limit: float | None = None
    lower_limit: float | None = None
    limit_up_rate: float | None = None
    limit_down_rate: float | None = None
    pre_settlement: float | None = None


class CreateInstrument(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An instrument the feed does not carry, with its terms; `exchange` completes or confirms its name."""

    instrument_id: Short
    price_tick: float
    contract_multiplier: float
    exchange: Short = ""
    instrument_name: Short = ""
    margin_rate: float = 0.1
    commission_rate: float = 0.0001
    close_today_rate: float | None = None


class UpdateInstrument(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New price limits of an instrument; other terms hold from its listing on."""


class AnnouncementRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something everybody is told."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    content: Text
    announcement_type: Annotated[str, Meta(max_length=32)] = "SYSTEM"
    priority: Annotated[str, Meta(max_length=32)] = "NORMAL"


class PasswordChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A changed password (of the user: accounts have none of their own)."""

    old_password: Annotated[str, Meta(max_length=256)]
    new_password: Annotated[str, Meta(max_length=256)]
    password_type: str = "TRADING"
    account_id: Id = ""


class PasswordReset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A password set by an administrator."""

    user_id: Id
    new_password: Annotated[str, Meta(max_length=256)]
    password_type: str = "TRADING"
    admin_token: Short = ""


def band_of(asked: Limits, tick: float, reference: float | None) -> tuple[float, float]:
    """Return (lower, upper) that were asked for, inwards to a tick where they are shares; InputError 1008."""
    lower, upper = asked.lower_limit, asked.upper_limit
    down, up = asked.limit_down_rate, asked.limit_up_rate
    base = reference if asked.pre_settlement is None else asked.pre_settlement
    if (
        (lower is None) != (upper is None)
        or (down is None) != (up is None)
        or (lower is None) == (down is None)
    ):
        raise InputError(
            "expected lower_limit and upper_limit, or limit_down_rate and limit_up_rate",
            number=BAD_PARAMETERS,
        )
    if asked.pre_settlement is not None and not 0 < asked.pre_settlement < 1e9:
        raise InputError("pre_settlement: expected a number above 0", number=BAD_PARAMETERS)
    if down is not None and up is not None:
        if base is None:
            raise InputError("pre_settlement: limits are shares of it", number=BAD_PARAMETERS)
        if not (0 < down < 1 and 0 < up < 10):
            raise InputError(
                "limit_down_rate is a share below 1, limit_up_rate one below 10", number=BAD_PARAMETERS
            )
        if not 0 < tick < math.inf:
            raise InputError("price_tick: expected a number above 0", number=BAD_PARAMETERS)
        lower = math.ceil(base * (1 - down) / tick - 1e-6) * tick
        upper = math.floor(base * (1 + up) / tick + 1e-6) * tick
    if lower is None or upper is None or not 0 < lower < upper < 1e9:
        raise InputError("expected 0 < lower_limit < upper_limit", number=BAD_PARAMETERS)
    return lower, upper


def _check_ids(order_ids: Iterable[str]) -> None:
    """Refuse what no order may be called, in words: the decoder tells a ValueError's text."""
    if not all(map(is_order_id, order_ids)):
        raise ValueError(f"order_id: {SAID}")


def insert_of(asked: SubmitOrder, *, account_id: str, order_id: str, symbol: str) -> InsertOrder:
    """Return the order that was asked for; InputError 1008 names the field that is wrong."""
    kind = _word(_PRICE_TYPES, asked.order_type, "order_type")
    _word(dict.fromkeys(HEDGE_FLAGS, True), asked.hedge_flag, "hedge_flag")
    _word({"IMMEDIATELY": True}, asked.contingent_condition, "contingent_condition")
    price = asked.price if kind is PriceType.LIMIT else None
    time = asked.time_condition or ("GFD" if kind is PriceType.LIMIT else "IOC")
    return InsertOrder(
        account_id=account_id,
        order_id=order_id,
        symbol=symbol,
        direction=_word({one.name: one for one in Direction}, asked.direction, "direction"),
        offset=_word(_OFFSETS, asked.offset, "offset"),
        volume=asked.volume,
        limit_price=price,
        price_type=kind,
        time_condition=_word({one.name: one for one in TimeCondition}, time, "time_condition"),
        volume_condition=_word(
            {one.name: one for one in VolumeCondition}, asked.volume_condition, "volume_condition"
        ),
        min_volume=_within(asked.min_volume, "min_volume"),
        reduce_only=asked.reduce_only,
    )


def check_waiting_type(order_type: str) -> None:
    """Refuse a type that a conditional order, sent by an exchange's rules of a later moment, cannot have."""
    if order_type.strip().upper() not in _WAITING_TYPES:
        raise InputError(f"order_type: expected one of {', '.join(_WAITING_TYPES)}", number=BAD_PARAMETERS)


def check_login_password(password_type: str) -> None:
    """Refuse a kind of password there is none of: money moves by the login's own right."""
    kind = password_type.strip().upper()
    if kind == "FUND":
        text = "password_type: there is no FUND password, only the login's (TRADING)"
        raise InputError(text, number=BAD_PARAMETERS)
    if kind != "TRADING":
        raise InputError("password_type: expected TRADING", number=BAD_PARAMETERS)


def _word(known: Mapping[str, Any], given: str, name: str) -> Any:
    found = known.get(given.strip().upper())
    if found is None:
        raise InputError(f"{name}: expected one of {', '.join(known)}", number=1008)
    return found


def _within(value: int, name: str) -> int:
    if not 0 <= value <= 1 << 31:
        raise InputError(f"{name}: expected a whole number from 0", number=1008)
    return value


def amount_of(value: float) -> float:
    """Return an amount of money above 0, in whole cents; InputError 2004 otherwise."""
    if not math.isfinite(value) or value <= 0:
        raise refused(2004, f"amount: expected a number above 0, not {value}")
    if abs(value - round(value, 2)) >= 5e-7:
        raise refused(2004, f"amount: expected whole cents, not {value}", zh="转账失败,金额最多两位小数")
    return value
