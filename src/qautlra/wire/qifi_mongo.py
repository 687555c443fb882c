"""QIFI documents as MongoDB keeps them: which collections there are, what a guarded write says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from qautlra.model.qifi import Account, Qifi
from qautlra.wire.qifi import from_dict, stored

DATABASE: Final = "QAREALTIME"
CURRENT: Final = "account"
TICKS: Final = "hisaccount"
DAYS: Final = "history"
ID: Final = "account_cookie"
DAY: Final = "trading_day"
TIME: Final = "updatetime"
SEQ: Final = "seq"
"""Ours: the journal's record the document stands at. Readers ignore it."""

INDEXES: Final = {
    CURRENT: (((ID, 1),), True),
    DAYS: (((ID, 1), (DAY, 1)), True),
    TICKS: (((ID, 1), (TIME, 1)), False),
}


def current(document: Qifi, seq: int, key_sep: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return filter and update that put the document in place of an older one, and of none that is newer."""
    return _guarded({ID: document.account_cookie}, document, seq, key_sep)


def day(document: Qifi, seq: int, key_sep: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the same for the document of a trading day."""
    return _guarded({ID: document.account_cookie, DAY: document.trading_day}, document, seq, key_sep)


def tick(account_id: str, funds: Mapping[str, Any], updatetime: str) -> dict[str, Any]:
    """Return a point of the account's equity."""
    return {ID: account_id, "accounts": dict(funds), TIME: updatetime}


def read(values: Mapping[str, Any]) -> Qifi:
    """Return the document of what a collection holds."""
    return from_dict({key: value for key, value in values.items() if key not in ("_id", SEQ)})


def read_tick(values: Mapping[str, Any]) -> tuple[str, Account]:
    """Return time and funds of a point of equity."""
    document = from_dict({ID: values[ID], "accounts": values["accounts"]})
    return str(values[TIME]), document.accounts


def _guarded(
    key: dict[str, Any], document: Qifi, seq: int, key_sep: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    from bson.int64 import Int64

    older = {"$or": [{SEQ: {"$lte": Int64(seq)}}, {SEQ: {"$exists": False}}]}
    return key | older, {"$set": stored(document, key_sep=key_sep) | {SEQ: Int64(seq)}}
