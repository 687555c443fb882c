"""The typed form of a filter: what `filter` parses, what becomes SQL with bound parameters.

Column names in it are allow-listed and values are typed; only `filter` builds one from a user's text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypeAlias

Value: TypeAlias = str | int | float | datetime | date
Operator: TypeAlias = Literal["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Compare:
    """`column operator value`; unknown (neither true nor false) where the column has no value."""

    column: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """`column IN (values)`."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """`low <= column <= high`."""

    column: str
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class Like:
    """`column LIKE pattern`, with `%` and `_`, case-sensitive, without an escape character."""

    column: str
    pattern: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """`column IS NULL`; never unknown."""

    column: str


@dataclass(frozen=True, slots=True)
class Not:
    """Negation; unknown stays unknown."""

    term: Predicate


@dataclass(frozen=True, slots=True)
class All:
    """Conjunction of two or more."""

    terms: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Disjunction of two or more."""

    terms: tuple[Predicate, ...]


Predicate: TypeAlias = Compare | In | Between | Like | IsNull | Not | All | AnyOf


def to_sql(predicate: Predicate) -> tuple[str, list[Value]]:
    """Return a boolean SQL expression with `?` for every value, and the values in order."""
    values: list[Value] = []
    return _sql(predicate, values), values


def _sql(node: Predicate, values: list[Value]) -> str:
    match node:
        case Compare(column, operator, value):
            values.append(value)
            return f'"{column}" {operator} ?'
        case In(column, members):
            values.extend(members)
            return f'"{column}" IN ({", ".join("?" * len(members))})'
        case Between(column, low, high):
            values.extend((low, high))
            return f'"{column}" BETWEEN ? AND ?'
        case Like(column, pattern):
            values.append(pattern)
            return f'"{column}" LIKE ?'
        case IsNull(column):
            return f'"{column}" IS NULL'
        case Not(term):
            return f"NOT ({_sql(term, values)})"
        case All(terms):
            return "(" + " AND ".join(_sql(term, values) for term in terms) + ")"
        case AnyOf(terms):
            return "(" + " OR ".join(_sql(term, values) for term in terms) + ")"


def columns_of(predicate: Predicate | None) -> frozenset[str]:
    """Return the columns a predicate looks at."""
    match predicate:
        case None:
            return frozenset()
        case Not(term):
            return columns_of(term)
        case All(terms) | AnyOf(terms):
            return frozenset().union(*(columns_of(term) for term in terms))
    return frozenset((predicate.column,))


def split_members(predicate: Predicate | None, column: str) -> tuple[frozenset[str] | None, Predicate | None]:
    """Return (the values `column` is confined to, what is left to test).

    None for the first means not confined. The two together say exactly what `predicate` says, for a column
    that always has a value.
    """
    if predicate is None:
        return None, None
    members = _members(predicate, column)
    if members is not None:
        return members, None
    if not isinstance(predicate, All):
        return None, predicate
    confined: frozenset[str] | None = None
    rest: list[Predicate] = []
    for term in predicate.terms:
        members = _members(term, column)
        if members is None:
            rest.append(term)
        else:
            confined = members if confined is None else confined & members
    if not rest:
        return confined, None
    return confined, rest[0] if len(rest) == 1 else All(tuple(rest))


def _members(node: Predicate, column: str) -> frozenset[str] | None:
    """Return the set S when `node` says exactly `column IN S`, else None."""
    match node:
        case Compare(name, "=", str(value)) if name == column:
            return frozenset((value,))
        case In(name, values) if name == column:
            return frozenset(str(value) for value in values)
        case All(terms):
            sets = [_members(term, column) for term in terms]
            known = [one for one in sets if one is not None]
            return frozenset.intersection(*known) if len(known) == len(sets) else None
        case AnyOf(terms):
            sets = [_members(term, column) for term in terms]
            known = [one for one in sets if one is not None]
            return frozenset.union(*known) if len(known) == len(sets) else None
    return None


def narrow(predicate: Predicate | None, column: str, low: Value, high: Value) -> tuple[Value, Value]:
    """Return [low, high] tightened by what the outermost conjunction says of an ordered `column`.

    The result may still be too wide (the predicate is tested anyway), never too narrow.
    """
    terms = predicate.terms if isinstance(predicate, All) else () if predicate is None else (predicate,)
    for term in terms:
        match term:
            case Compare(name, "=", value) if name == column:
                low, high = max(low, value), min(high, value)
            case Compare(name, ">" | ">=", value) if name == column:
                low = max(low, value)
            case Compare(name, "<" | "<=", value) if name == column:
                high = min(high, value)
            case Between(name, bottom, top) if name == column:
                low, high = max(low, bottom), min(high, top)
    return low, high
