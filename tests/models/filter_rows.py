"""The naive twin of the filter: a predicate tested on one row, a dict, with SQL's three truth values."""

import re
from typing import Any

from qautlra.store.predicate import All, AnyOf, Between, Compare, In, IsNull, Like, Not, Predicate

COMPARE = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def keeps(predicate: Predicate | None, row: dict[str, Any]) -> bool:
    """Whether a query with this filter answers `row`."""
    return predicate is None or truth(predicate, row) is True


def truth(node: Predicate, row: dict[str, Any]) -> bool | None:
    """True, False, or None for unknown."""
    match node:
        case Not(term):
            inner = truth(term, row)
            return None if inner is None else not inner
        case All(terms):
            values = [truth(term, row) for term in terms]
            return False if False in values else None if None in values else True
        case AnyOf(terms):
            values = [truth(term, row) for term in terms]
            return True if True in values else None if None in values else False
        case IsNull(column):
            return row[column] is None
    value = row[node.column]
    if value is None:
        return None
    match node:
        case Compare(_, operator, other):
            return COMPARE[operator](value, other)
        case In(_, values):
            return value in values
        case Between(_, low, high):
            return low <= value <= high
        case Like(_, pattern):
            wanted = "".join({"%": ".*", "_": "."}.get(c) or re.escape(c) for c in pattern)
            return re.fullmatch(wanted, value, re.DOTALL) is not None
    raise AssertionError(node)
