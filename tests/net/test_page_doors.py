"""Every door the page's sources name is served."""

import re
from pathlib import Path

import pytest

from tests.net.front import Front

WEB = Path(__file__).resolve().parents[2] / "web" / "src"


def test_every_path_the_page_calls_is_served(front: Front) -> None:
    if not WEB.is_dir():
        pytest.skip("the page's sources are not here")
    served = {re.sub(r"\{\w+\}", "{}", path) for path in front.call("GET", "/api/openapi.json").json["paths"]}
    called = set()
    for source in WEB.rglob("*"):
        if source.suffix in (".vue", ".ts") and "api/schema" not in source.as_posix():
            for path in re.findall(r"[\"'`](/(?:api|ws)/[^\"'`?\s]*)[\"'`]", source.read_text()):
                called.add(re.sub(r"\$?\{(?:[^{}]|\{[^{}]*\})*\}", "{}", path))
    assert len(called) > 20
    assert called - served - {"/api/docs", "/api/openapi.json"} == set()
