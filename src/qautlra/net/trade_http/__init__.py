"""The trading REST: every user and operator door of the contract, in one envelope."""

from __future__ import annotations

from qautlra.net.deps import Deps
from qautlra.net.route import Route
from qautlra.net.trade_http import (
    account_admin,
    accounts,
    announcements,
    conditions,
    data,
    instruments,
    management,
    market,
    monitoring,
    orders,
    positions,
    risk,
    settlement,
    statistics,
)
from qautlra.net.trade_http.base import route

_ROOMS = (
    accounts,
    orders,
    conditions,
    positions,
    market,
    data,
    statistics,
    instruments,
    settlement,
    risk,
    management,
    account_admin,
    announcements,
    monitoring,
)
DOORS = tuple(door for room in _ROOMS for door in room.DOORS)


def routes(deps: Deps) -> list[Route]:
    """Return the route table's rows."""
    return [route(deps, door) for door in DOORS]
