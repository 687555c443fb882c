"""The page at `/` and the documentation page: files of the package, no outside host, no inline script."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from aiohttp import web

from qautlra.auth.rights import Right
from qautlra.net.route import Handler, Route

_TYPES = {
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
}
PAGES = {"/": "index.html", "/api/docs": "docs.html"}
FILES = ("page.css", "page.js", "feed.js", "text.js", "docs.js", "icon.svg")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def _load(name: str) -> tuple[bytes, str]:
    """Return a file of the page and its tag; read once."""
    body = files("qautlra.net").joinpath("page", name).read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def routes() -> list[Route]:
    """Return the routes of the pages and their files."""
    named = {**PAGES, **{f"/page/{name}": name for name in FILES}, "/favicon.ico": "icon.svg"}
    return [
        Route("GET", path, _handler(name), name, hidden=True, right=Right.PUBLIC)
        for path, name in named.items()
    ]


def _handler(name: str) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        body, tag = _load(name)
        headers = {
            "ETag": tag,
            "Cache-Control": "no-cache",
            "Content-Security-Policy": POLICY,
            "Referrer-Policy": "no-referrer",
        }
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        kind = _TYPES[name.rsplit(".", 1)[1]]
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)

    return serve
