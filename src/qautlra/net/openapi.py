"""The OpenAPI description, made from the route table and the types of the bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from qautlra import __version__
from qautlra.auth.rights import Right
from qautlra.net.route import OneOf, Route
from qautlra.wire.envelope import Refusal
from qautlra.wire.rest import ErrorBody

_TEMPLATE = "#/components/schemas/{name}"
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "basic": {"type": "http", "scheme": "basic"},
}


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document (OpenAPI 3.1) of all routes that are not hidden."""
    shown = [route for route in routes if not route.hidden]
    types: list[Any] = [ErrorBody, Refusal]
    for route in shown:
        types += [kind for kind in (route.body, route.reply) if kind is not None and kind not in types]
    schemas, components = msgspec.json.schema_components(types, ref_template=_TEMPLATE)
    schema = {id(kind): found for kind, found in zip(types, schemas, strict=True)}
    for route in shown:  # equal types may be different objects
        for kind in (route.body, route.reply):
            if kind is not None:
                schema[id(kind)] = schemas[types.index(kind)]
    paths: dict[str, dict[str, Any]] = {}
    for route in shown:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "qautlra",
            "version": __version__,
            "description": "Market feed, store and operations of one qautlra process.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in shown)],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }


def _operation(route: Route, schema: dict[int, Any]) -> dict[str, Any]:
    ok: dict[str, Any] = {"description": "OK"}
    if route.reply is not None:
        ok["content"] = {route.reply_type: {"schema": schema[id(route.reply)]}}
    elif route.reply_type != "application/json":
        ok["content"] = {route.reply_type: {"schema": {"type": "string"}}}
    responses: dict[str, Any] = {} if 101 in route.statuses else {"200": ok}
    error = Refusal if route.envelope else ErrorBody
    failure = {"application/json": {"schema": {"$ref": _TEMPLATE.format(name=error.__name__)}}}
    for status, text in route.statuses.items():
        responses[str(status)] = {"description": text} | ({"content": failure} if status >= 400 else {})
    operation: dict[str, Any] = {
        "summary": route.summary,
        "tags": [route.tag],
        "operationId": route.method.lower() + re.sub(r"\W", "_", route.path),
        "responses": responses,
    }
    if route.right not in (Right.PUBLIC, Right.MARKET):
        operation["security"] = [{"bearer": []}, {"basic": []}]
        operation["description"] = f"Needs a login with the right `{route.right.value}`."
    parameters = [_parameter(name, "path", "", required=True) for name in re.findall(r"{(\w+)}", route.path)]
    parameters += [_asked(name, text) for name, text in route.parameters.items()]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.method != "GET",
            "content": {"application/json": {"schema": schema[id(route.body)]}},
        }
    return operation


def _asked(name: str, what: str | OneOf) -> dict[str, Any]:
    found = _parameter(name, "query", str(what), required=False)
    return found | ({"schema": {"type": "string", "enum": list(what)}} if isinstance(what, OneOf) else {})


def _parameter(name: str, place: str, text: str, *, required: bool) -> dict[str, Any]:
    found = {"name": name, "in": place, "required": required, "schema": {"type": "string"}}
    return found | ({"description": text} if text else {})
