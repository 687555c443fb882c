"""The filter grammar: text to a typed predicate. It is not SQL and nothing of it is ever pasted into SQL.

    expr  := term (OR term)*            term := factor (AND factor)*
    factor := NOT factor | ( expr ) | test
    test  := column (= == != <> < <= > >=) literal | column [NOT] IN ( literal, ... )
           | column [NOT] BETWEEN literal AND literal | column [NOT] LIKE literal | column IS [NOT] NULL

A literal is 'quoted', "quoted" or a bare word; its type is the column's. Pure: no clock, no I/O.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import NoReturn

from qautlra.base.errors import InputError
from qautlra.base.limits import FILTER_TEXT_BYTES
from qautlra.store.predicate import (
    All,
    AnyOf,
    Between,
    Compare,
    In,
    IsNull,
    Like,
    Not,
    Operator,
    Predicate,
    Value,
)
from qautlra.store.timegrammar import parse_time, to_datetime

DEPTH_COUNT = 32
TESTS_COUNT = 512
MEMBERS_COUNT = 1_000
WILDCARDS_COUNT = 16

ALIASES = {
    "instrument": "instrument_id",
    "symbol": "instrument_id",
    "time": "datetime",
    "timestamp": "datetime",
}

_OPERATORS: dict[str, Operator] = {
    "=": "=", "==": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">=",
}  # fmt: skip
_RESERVED = {"and", "or", "not", "in", "between", "like", "is", "null"}
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<operator><=|>=|<>|!=|==|=|<|>)"
    r"|(?P<mark>[(),])"
    r"|(?P<single>'(?:[^']|'')*')"
    r'|(?P<double>"(?:[^"]|"")*")'
    r"|(?P<word>[A-Za-z0-9_.@:+\-%]+)"
)
_INTEGER = re.compile(r"[+-]?\d{1,30}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})", re.ASCII)


class Kind(Enum):
    """What a column holds, in words for an error message."""

    TEXT = "a text"
    NUMBER = "a number"
    COUNT = "a whole number"
    TIME = "a time"
    DATE = "a date (YYYY-MM-DD)"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    @property
    def keyword(self) -> str:
        return self.text.lower() if self.kind == "word" else ""

    @property
    def shown(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text[:40])


def parse_filter(
    text: str,
    columns: Mapping[str, Kind],
    *,
    now_ns: int,
    canonical: Callable[[str], str | None],
) -> Predicate | None:
    """Return the predicate `text` means, or None when it is blank.

    `canonical` turns any spelling of an instrument into `EXCHANGE.code` (None: not an instrument, compared as
    typed). Raises InputError with the position of what cannot be read, or with the columns there are.
    """
    if len(text.encode("utf-8", "surrogatepass")) > FILTER_TEXT_BYTES:
        raise InputError(f"filter: longer than {FILTER_TEXT_BYTES} bytes", key="filter")
    tokens = _tokens(text)
    if tokens[0].kind == "end":
        return None
    parser = _Parser(tokens, columns, now_ns, canonical)
    predicate = parser.expression(0)
    parser.expect_end()
    return predicate


def refuse(position: int, why: str) -> NoReturn:
    """Raise the InputError every refusal of a filter is."""
    raise InputError(f"filter: {why} (position {position + 1})", key="filter", position=position + 1)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            _refuse_character(text, position)
        kind = str(match.lastgroup)
        if kind != "space":
            found = match[0]
            if kind == "word" and "--" in found:
                refuse(position + found.index("--"), "comments are not part of filters")
            if kind in ("single", "double"):
                quote = found[0]
                found = found[1:-1].replace(quote * 2, quote)
            tokens.append(_Token(kind, found, position))
        position = match.end()
    tokens.append(_Token("end", "", len(text)))
    return tokens


def _refuse_character(text: str, position: int) -> NoReturn:
    character = text[position]
    if character in "'\"":
        refuse(position, f"the quote {character} is never closed")
    if character == ";":
        refuse(position, "';' is not part of filters: one expression only")
    if text.startswith("/*", position) or character == "#":
        refuse(position, "comments are not part of filters")
    refuse(position, f"{character!r} is not part of filters; quote texts that hold it")


class _Parser:
    """Recursive descent over the tokens; recursion is bounded by DEPTH_COUNT."""

    def __init__(
        self,
        tokens: list[_Token],
        columns: Mapping[str, Kind],
        now_ns: int,
        canonical: Callable[[str], str | None],
    ) -> None:
        self._tokens = tokens
        self._columns = columns
        self._now_ns = now_ns
        self._canonical = canonical
        self._at = 0
        self._tests = 0

    def expression(self, depth: int) -> Predicate:
        terms = [self._term(depth)]
        while self._take_keyword("or"):
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else AnyOf(tuple(terms))

    def expect_end(self) -> None:
        token = self._token
        if token.kind != "end":
            refuse(token.position, f"expected and, or, or the end, not {token.shown}")

    def _term(self, depth: int) -> Predicate:
        factors = [self._factor(depth)]
        while self._take_keyword("and"):
            factors.append(self._factor(depth))
        return factors[0] if len(factors) == 1 else All(tuple(factors))

    def _factor(self, depth: int) -> Predicate:
        token = self._token
        if depth >= DEPTH_COUNT:
            refuse(token.position, f"nested deeper than {DEPTH_COUNT}")
        if self._take_keyword("not"):
            return Not(self._factor(depth + 1))
        if self._take_mark("("):
            inner = self.expression(depth + 1)
            self._need_mark(")")
            return inner
        return self._test()

    def _test(self) -> Predicate:
        self._tests += 1
        if self._tests > TESTS_COUNT:
            refuse(self._token.position, f"more than {TESTS_COUNT} comparisons")
        column = self._column()
        token = self._next()
        if token.kind == "operator":
            return self._compare(column, _OPERATORS[token.text])
        if token.keyword == "is":
            negated = self._take_keyword("not")
            if not self._take_keyword("null"):
                refuse(self._token.position, f"expected null, not {self._token.shown}")
            return _negate(IsNull(column), negated)
        negated = token.keyword == "not"
        if negated:
            token = self._next()
        if token.keyword == "in":
            return _negate(self._in(column), negated)
        if token.keyword == "between":
            low = self._literal(column)
            if not self._take_keyword("and"):
                refuse(self._token.position, f"expected and, not {self._token.shown}")
            return _negate(Between(column, low, self._literal(column)), negated)
        if token.keyword == "like":
            return _negate(self._like(column), negated)
        if token.text == "(":
            refuse(token.position, "functions are not part of filters")
        refuse(token.position, f"expected a comparison after {column}, not {token.shown}")

    def _compare(self, column: str, operator: Operator) -> Predicate:
        value = self._literal(column)
        if operator in ("=", "<>"):
            value = self._named(column, value)
        return Compare(column, operator, value)

    def _in(self, column: str) -> Predicate:
        self._need_mark("(")
        values = [self._named(column, self._literal(column))]
        while self._take_mark(","):
            if len(values) >= MEMBERS_COUNT:
                refuse(self._token.position, f"more than {MEMBERS_COUNT} values in one list")
            values.append(self._named(column, self._literal(column)))
        self._need_mark(")")
        return In(column, tuple(values))

    def _like(self, column: str) -> Predicate:
        position = self._token.position
        if self._columns[column] is not Kind.TEXT:
            refuse(position, f"like needs a text column, and {column} is {self._columns[column].value}")
        pattern = re.sub("%+", "%", str(self._literal(column)))
        if pattern.count("%") > WILDCARDS_COUNT:
            refuse(position, f"more than {WILDCARDS_COUNT} wildcards in one pattern")
        if column != "instrument_id" or "." in pattern:
            return Like(column, pattern)
        # au25% means SHFE.au2512 as much as au2512 does
        return AnyOf((Like(column, pattern), Like(column, "%." + pattern)))

    def _column(self) -> str:
        token = self._next()
        if token.kind not in ("word", "double") or token.keyword in _RESERVED:
            refuse(token.position, f"expected a column, not {token.shown}")
        if self._token.text == "(" and self._token.kind == "mark":
            refuse(token.position, "functions are not part of filters")
        name = token.text.lower()
        name = ALIASES.get(name, name)
        if name not in self._columns:
            raise InputError(
                f"filter: no column {token.text[:64]!r} (position {token.position + 1}); "
                f"there are {', '.join(self._columns)}",
                key="filter",
                position=token.position + 1,
                columns=list(self._columns),
            )
        return name

    def _literal(self, column: str) -> Value:
        token = self._next()
        if token.keyword == "null":
            refuse(token.position, f"write '{column} is null'")
        if token.kind not in ("word", "single", "double") or token.keyword in _RESERVED:
            refuse(token.position, f"expected a value for {column}, not {token.shown}")
        if token.kind == "word" and self._token.text == "(" and self._token.kind == "mark":
            refuse(token.position, "functions and sub-selects are not part of filters")
        kind = self._columns[column]
        if kind is Kind.TEXT:
            if any(0xD800 <= ord(character) <= 0xDFFF or character == "\0" for character in token.text):
                refuse(token.position, f"{token.shown} is not a text")
            return token.text
        if kind is Kind.TIME:
            try:
                return to_datetime(parse_time(token.text, self._now_ns, key=column))
            except InputError as error:
                refuse(token.position, error.message)
        value = _day(token.text) if kind is Kind.DATE else _number(token.text, kind)
        if value is None:
            refuse(token.position, f"{column} is {kind.value}, and {token.shown} is not")
        return value

    def _named(self, column: str, value: Value) -> Value:
        if column != "instrument_id" or not isinstance(value, str):
            return value
        return self._canonical(value) or value

    @property
    def _token(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        if token.kind == "end":
            refuse(token.position, "the filter ends too early")
        self._at += 1
        return token

    def _take_keyword(self, word: str) -> bool:
        if self._token.keyword != word:
            return False
        self._at += 1
        return True

    def _take_mark(self, mark: str) -> bool:
        if self._token.kind != "mark" or self._token.text != mark:
            return False
        self._at += 1
        return True

    def _need_mark(self, mark: str) -> None:
        if not self._take_mark(mark):
            refuse(self._token.position, f"expected {mark!r}, not {self._token.shown}")


def _negate(predicate: Predicate, negated: bool) -> Predicate:
    return Not(predicate) if negated else predicate


def _number(text: str, kind: Kind) -> int | float | None:
    text = text.strip()
    if kind is Kind.COUNT and _INTEGER.fullmatch(text):
        whole = int(text)
        if -(2**63) <= whole < 2**63:
            return whole
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _day(text: str) -> date | None:
    match = _DAY.fullmatch(text.strip())
    if match is not None:
        try:
            return date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            return None
    return None
