"""The page's files: what the build put there and nothing else, cached by their names, no outside host."""

import asyncio
import gzip
import re
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from qautlra.net import static
from tests.services import missing

MARKUP = b'<!doctype html><script type="module" src="/assets/index-1a2b.js"></script>'
SCRIPT = b"export const x = 1;\n" * 100


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A built page: what tools/page.py leaves."""
    page = tmp_path / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_bytes(MARKUP)
    (page / "icon.svg").write_bytes(b"<svg/>")
    (page / "assets" / "index-1a2b.js").write_bytes(SCRIPT)
    (page / "assets" / "index-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT, mtime=0))
    (page / "assets" / "notes.txt").write_bytes(b"not a file of the page")
    (tmp_path / "secret").write_bytes(b"secret")
    return page


def ask(room: Path, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    async def run() -> tuple[int, dict[str, str], bytes]:
        app = web.Application()
        for route in static.routes(room):
            app.router.add_get(route.path, route.handler)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with TestClient(TestServer(app), auto_decompress=False) as client:
            reply = await client.get(path, headers={"Accept-Encoding": "identity"} | named)
            return (
                reply.status,
                {name.lower(): text for name, text in reply.headers.items()},
                await reply.read(),
            )

    return asyncio.run(run())


@pytest.mark.parametrize("path", ["/", "/api/docs"])
def test_the_page_is_asked_again_each_time(room: Path, path: str) -> None:
    status, headers, body = ask(room, path)
    assert (status, body) == (200, MARKUP)
    assert headers["cache-control"] == "no-cache"
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert ask(room, path, If_None_Match=headers["etag"])[0] == 304


def test_assets_are_kept_for_ever_and_sent_compressed(room: Path) -> None:
    status, headers, body = ask(room, "/assets/index-1a2b.js", Accept_Encoding="br, gzip;q=0.8")
    assert status == 200
    assert "immutable" in headers["cache-control"]
    assert headers["content-encoding"] == "gzip"
    assert headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(body) == SCRIPT
    assert len(body) < len(SCRIPT)
    for refused in ("identity", "gzip;q=0", "br"):
        plain = ask(room, "/assets/index-1a2b.js", Accept_Encoding=refused)
        assert "content-encoding" not in plain[1]
        assert plain[2] == SCRIPT


@pytest.mark.parametrize(
    "name", ["nothing.js", "notes.txt", "index-1a2b.js.gz", "..%2f..%2fsecret", "%2e%2e/index.html", "a%00b"]
)
def test_nothing_else_is_served(room: Path, name: str) -> None:
    assert ask(room, f"/assets/{name}")[0] == 404


@pytest.mark.parametrize("path", ["/", "/assets/index-1a2b.js", "/icon.svg", "/favicon.ico"])
def test_the_policy_allows_no_inline_code_and_no_outside_host(room: Path, path: str) -> None:
    policy = ask(room, path)[1]["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "://" not in policy


def test_without_a_built_page_the_root_says_so(tmp_path: Path) -> None:
    status, headers, body = ask(tmp_path, "/")
    text = body.decode()
    assert status == 200
    assert "built without its page" in text
    assert "没有网页" in text
    assert "<script" not in text
    assert " style=" not in text
    assert headers["cache-control"] == "no-cache"
    assert ask(tmp_path, "/assets/x.js")[0] == 404


def test_the_built_page_names_no_outside_host() -> None:
    built = Path(static.__file__).with_name(static.ROOM)
    if not (built / "index.html").is_file():
        missing("the built page (make web)")
    markup = (built / "index.html").read_text()
    assert "<script>" not in markup
    assert " style=" not in markup
    sources = re.findall(r'(?:src|href)="([^"]+)"', markup)
    assert sources
    assert all(source.startswith("/") and not source.startswith("//") for source in sources)
    for style in (built / "assets").glob("*.css"):
        assert not re.search(r"url\((?!data:)|@import", style.read_text()), style.name
    for script in (built / "assets").glob("*.js"):
        assert not re.search(r"new Function\(|\beval\(", script.read_text()), script.name
