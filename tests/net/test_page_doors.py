"""Every door the page's sources name is served, and the types they call them by are the server's."""

import re
from pathlib import Path

import pytest
from tools import api_types

from tests.net.front import Front

WEB = Path(__file__).resolve().parents[2] / "web" / "src"


def test_every_path_the_page_calls_is_served(front: Front) -> None:
    if not WEB.is_dir():
        pytest.skip("the page's sources are not here")
    served = {re.sub(r"\{\w+\}", "{}", path) for path in front.call("GET", "/api/openapi.json").json["paths"]}
    called = set()
    for source in WEB.rglob("*"):
        if source.suffix in (".vue", ".ts") and "api/schema" not in source.as_posix():
            for path in re.findall(r"[\"'`](?:[A-Z]+ )?(/(?:api|ws)/[^\"'`?\s]*)[\"'`]", source.read_text()):
                called.add(re.sub(r"\$?\{(?:[^{}]|\{[^{}]*\})*\}", "{}", path))
    assert len(called) > 20
    assert called - served - {"/api/docs", "/api/openapi.json"} == set()


def test_the_page_has_a_name_for_everything_that_may_fill_up() -> None:
    if not WEB.is_dir():
        pytest.skip("the page's sources are not here")
    names = {
        name
        for source in (WEB.parents[1] / "src" / "qautlra").rglob("*.py")
        for name in re.findall(r'\bbound\(\s*"([a-z_]+)"', source.read_text())
    }
    names |= {"link_ctp_market_queries", "link_ctp_trader_queries", "feed_clients", "feed_send_buffer"}
    texts = (WEB / "i18n" / "texts.ts").read_text()
    (queues,) = re.findall(r"\n  queue: \{\n(.*?)\n  \},", texts, re.DOTALL)
    named = set(re.findall(r"(\w+): \[", queues))
    assert len(names) > 25 and names - named == set()


def test_the_page_calls_doors_by_the_types_the_server_describes() -> None:
    if not WEB.is_dir():
        pytest.skip("the page's sources are not here")
    assert api_types.OUT.read_text() == api_types.types_of(api_types.document()), "make api"


def test_types_of_a_description() -> None:
    text = api_types.types_of(
        {
            "components": {
                "schemas": {
                    "a.Row": {
                        "description": "A row.",
                        "type": "object",
                        "properties": {
                            "x": {"type": "integer"},
                            "y": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                        },
                        "required": ["x"],
                    }
                }
            },
            "paths": {
                "/api/rows": {
                    "get": {
                        "summary": "Rows",
                        "parameters": [{"name": "page", "in": "query"}],
                        "responses": {
                            "200": {
                                "content": {
                                    "application/json": {
                                        "schema": {
                                            "type": "array",
                                            "items": {"$ref": "#/components/schemas/a.Row"},
                                        }
                                    }
                                }
                            }
                        },
                    }
                }
            },
        }
    )
    assert 'export type a_Row = { "x": number; "y"?: string | null };' in text
    assert (
        '"GET /api/rows": { query: { "page"?: string | number }; body: undefined; reply: (a_Row)[] };' in text
    )
