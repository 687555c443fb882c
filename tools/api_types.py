"""Writes web/src/api/schema.ts from the server's own description: `python tools/api_types.py`.

A TypeScript type for each schema of `/api/openapi.json`, and what each door takes and answers. `make api`
runs it, a test compares; no server is needed, the description is made of the route table.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

from qautlra.base.clock import WallClock
from qautlra.config.tree import Net
from qautlra.net import openapi
from qautlra.net.app import route_table
from qautlra.net.deps import Deps, Process

OUT = Path(__file__).resolve().parents[1] / "web" / "src" / "api" / "schema.ts"
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def document() -> dict[str, Any]:
    """Return the description of every door, of whatever mode."""
    deps = Deps(settings=Net(), clock=WallClock(), process=cast("Process", None))
    return openapi.describe(route_table(deps))


def types_of(described: dict[str, Any]) -> str:
    """Return the TypeScript of a description."""
    schemas = [
        f"/** {_line(found.get('description', name))} */\nexport type {_named(name)} = {_type(found)};"
        for name, found in described["components"]["schemas"].items()
    ]
    doors = [
        _door(method, path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        if "101" not in operation["responses"]  # a socket
    ]
    head = ["// Made by `make api` from the server's own description; do not edit.", ""]
    tail = ["", "/** What each door takes and answers. */", "export interface Doors {", *doors, "}", ""]
    return "\n".join([*head, *schemas, *tail])


def _line(text: str) -> str:
    return " ".join(text.split())


def _named(name: str) -> str:
    return re.sub(r"_+$", "", re.sub(r"\W+", "_", re.sub(r"qautlra\.[\w.]*\.", "", name)))


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _named(schema["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kind = schema.get("type")
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "array":
        return f"({_type(schema.get('items', {}))})[]"
    if kind == "object" and "properties" in schema:
        required = schema.get("required", ())
        fields = (
            f'"{name}"{"" if name in required else "?"}: {_type(one)}'
            for name, one in schema["properties"].items()
        )
        return f"{{ {'; '.join(fields)} }}"
    if kind == "object":
        return f"Record<string, {_type(schema.get('additionalProperties', {}))}>"
    return "unknown"


def _door(method: str, path: str, operation: dict[str, Any]) -> str:
    query = "; ".join(
        f'"{one["name"]}"?: string | number'
        for one in operation.get("parameters", ())
        if one["in"] == "query"
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    content = next((one.get("content") for code, one in operation["responses"].items() if code < "300"), None)
    reply = "unknown"
    if content:
        reply = _type(content["application/json"]["schema"]) if "application/json" in content else "string"
    return (
        f'  /** {operation["summary"]} */\n  "{method.upper()} {path}": '
        f"{{ query: {{ {query} }}; body: {_type(body) if body else 'undefined'}; reply: {reply} }};"
    )


def main() -> None:
    """Write the file."""
    OUT.write_text(types_of(document()))


if __name__ == "__main__":
    main()
