"""Which SQL a user may ask: one SELECT over known streams, with functions that only compute.

The statement is read by DuckDB's own parser and its tree walked; nothing here looks at the text. The process
it runs in can open no file but the store's and write none, whatever passes here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import duckdb

from qautlra.base.errors import InputError
from qautlra.store.schema import STREAMS, Stream
from qautlra.store.sqlverbs import MACROS

SQL_CHARS_COUNT = 64 << 10

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_TABLES = frozenset({"range", "generate_series", "unnest"})
_SOURCES = frozenset(
    {"BASE_TABLE", "TABLE_FUNCTION", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST", "PIVOT"}
)
# What looks outside the rows, or at the engine itself.
_FORBIDDEN = re.compile(
    r"getenv|getvariable|current_setting|current_query|current_user|current_database|current_catalog|current_role|current_schemas?|user"
    r"|session_user|read_.*|write_.*|query|query_table|nextval|currval|setseed|.*secret.*|pragma_.*|duckdb_.*"
    r"|pg_.*|has_.*_privilege|.*checkpoint.*|http.*|parquet_.*|glob|sniff_.*|txid_current|load_.*|copy_.*"
    r"|in_search_path|.*_scan|.*extension.*|json_execute_.*|sleep.*|stats|setval|inet_.*|__internal_.*"
)


@dataclass(slots=True)
class Reads:
    """The streams a statement reads, and those its calls of macros name, in small letters."""

    streams: set[str] = field(default_factory=set)
    calls: list[tuple[str, str]] = field(default_factory=list)
    joined: set[str] = field(default_factory=set)
    "Those rows of another stream are joined with as of their moments."

    def check_columns(self, users: Mapping[str, Stream]) -> None:
        """InputError when a macro is called with a stream that lacks a column it is about."""
        for macro, name in self.calls:
            columns = users[name].columns if name in users else STREAMS[name].columns
            if lacking := [column for column in MACROS[macro][1] if column not in columns]:
                _refuse(f"calls {macro}() with {name!r}, which has no column {', '.join(lacking)}")


def check_sql(connection: duckdb.DuckDBPyConnection, sql: str, streams: Iterable[str]) -> Reads:
    """Return what a statement reads; InputError says what about it is not answered."""
    if len(sql) > SQL_CHARS_COUNT:
        _refuse(f"is longer than {SQL_CHARS_COUNT} characters")
    if "\0" in sql:
        _refuse("holds a NUL character")
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise InputError(f"query: {error}", key="query") from None
    if len(statements) != 1:
        _refuse(f"holds {len(statements)} statements; one SELECT is answered")
    ((text,),) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    tree = json.loads(text)
    if tree.get("error"):
        if tree.get("error_type") == "not implemented":
            _refuse("is not a SELECT; rows are only read here")
        _refuse(str(tree.get("error_message", "cannot be read"))[:500])
    walk = _Walk({name.lower() for name in streams})
    walk.note_names(tree["statements"])
    walk.check(tree["statements"])
    return walk.reads


class _Walk:
    def __init__(self, streams: set[str]) -> None:
        self._streams = streams
        self._named: set[str] = set()
        self.reads = Reads()

    def note_names(self, node: Any) -> None:
        """Collect what the statement itself gives names to (WITH)."""
        if isinstance(node, list):
            for item in node:
                self.note_names(item)
        elif isinstance(node, dict):
            for entry in (node.get("cte_map") or {}).get("map", ()):
                name = entry["key"]
                if not _NAME.fullmatch(name):
                    _refuse(f"names {name[:64]!r} in WITH; names are a letter, then letters, digits and _")
                self._named.add(name.lower())
            for value in node.values():
                self.note_names(value)

    def check(self, node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                self.check(item)
        elif isinstance(node, dict):
            self._check(node)
            for value in node.values():
                self.check(value)

    def _check(self, node: dict[str, Any]) -> None:
        kind = node.get("type")
        if "column_name_alias" in node or kind in ("BASE_TABLE", "TABLE_FUNCTION", "SHOW_REF"):
            if kind == "SHOW_REF":
                _refuse("is not a SELECT; the columns of a stream are at /api/v1/logstream/{stream}/schema")
            if kind not in _SOURCES:
                _refuse(f"reads from a {str(kind).lower()}; streams, subqueries and joins are read here")
            if kind == "BASE_TABLE":
                self._table(node)
            elif kind == "TABLE_FUNCTION":
                self._function(node["function"])
                return
        if node.get("class") == "FUNCTION":
            name = _function_name(node)
            if _FORBIDDEN.fullmatch(name) and not node.get("is_operator"):
                _refuse(f"calls {name[:64]}(), which is not allowed")

    def _table(self, node: dict[str, Any]) -> None:
        path = node.get("qualified_name", {}).get("path") or [node.get("table_name", "")]
        name = str(path[-1]).lower()
        if len(path) > 1 or node.get("schema_name") or node.get("catalog_name"):
            _refuse(f"reads {'.'.join(path)[:80]!r}; streams have no schema")
        if name in self._streams and name not in self._named:
            self.reads.streams.add(name)
        elif name not in self._named:
            _refuse(
                f"reads {path[-1][:80]!r}, which is no stream; there are {', '.join(sorted(self._streams))}"
            )

    def _function(self, call: dict[str, Any]) -> None:
        name = _function_name(call)
        if name in _TABLES:
            return
        if name not in MACROS:
            _refuse(f"reads from {name[:64]}(), which is not allowed")
        for at, argument in enumerate(call.get("arguments", [])[: MACROS[name][0]]):
            literal = argument.get("expression", argument).get("literal", {})
            stream = str(literal.get("text", "")).lower()
            if literal.get("kind") != "STRING" or stream not in self._streams:
                _refuse(f"calls {name}() with {stream[:64]!r}; the name of a stream in quotes is expected")
            self.reads.streams.add(stream)
            self.reads.calls.append((name, stream))
            if at:
                self.reads.joined.add(stream)


def _function_name(node: dict[str, Any]) -> str:
    path = node.get("qualified_name", {}).get("path") or [node.get("function_name", "")]
    if len(path) > 1 or node.get("schema") or node.get("catalog"):
        _refuse(f"calls {'.'.join(map(str, path))[:80]!r}; functions have no schema")
    return str(path[-1]).lower()


def _refuse(why: str) -> NoReturn:
    raise InputError(f"query: the statement {why}", key="query")
