"""The page at `/`: files that the build put into the package, no outside host, no inline code.

A package built without the page says so at `/`. Names of assets carry a hash of what is in them, so browsers
keep them for ever; the two HTML addresses are asked again each time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

from qautlra.auth.rights import Right
from qautlra.net.route import Handler, Route

TYPES = {
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
    "png": "image/png",
    "woff2": "font/woff2",
}
ROOM = "page"
WITHOUT = "without_page.html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class File:
    """A file as it is sent: plain, and as the build compressed it where that is smaller."""

    body: bytes
    gzip: bytes | None
    kind: str
    tag: str
    cache: str


def routes(room: Traversable | None = None) -> list[Route]:
    """Return the routes of the page and its files, read once; `room` is the directory the build filled."""
    room = files("qautlra.net").joinpath(ROOM) if room is None else room
    assets = room.joinpath("assets")
    if not room.joinpath("index.html").is_file() or not assets.is_dir():
        page = _load(files("qautlra.net"), WITHOUT)
        return [_route("/", page), _route("/api/docs", page)]
    page = _load(room, "index.html")
    icon = _load(room, "icon.svg")
    kept = {
        entry.name: _load(assets, entry.name, FOR_EVER)
        for entry in assets.iterdir()
        if entry.name.rsplit(".", 1)[-1] in TYPES
    }

    async def asset(request: web.Request) -> web.StreamResponse:
        found = kept.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        return _answer(request, found)

    return [
        _route("/", page),
        _route("/api/docs", page),
        _route("/icon.svg", icon),
        _route("/favicon.ico", icon),
        Route("GET", "/assets/{name}", asset, "A file of the page", hidden=True, right=Right.PUBLIC),
    ]


def _load(room: Traversable, name: str, cache: str = "no-cache") -> File:
    body = room.joinpath(name).read_bytes()
    packed = room.joinpath(f"{name}.gz")
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    gzip = packed.read_bytes() if packed.is_file() else None
    return File(body, gzip, TYPES[name.rsplit(".", 1)[1]], tag, cache)


def _route(path: str, file: File) -> Route:
    async def serve(request: web.Request) -> web.StreamResponse:
        return _answer(request, file)

    handler: Handler = serve
    return Route("GET", path, handler, "The page", hidden=True, right=Right.PUBLIC)


def _answer(request: web.Request, file: File) -> web.Response:
    headers = {
        "ETag": file.tag,
        "Cache-Control": file.cache,
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("If-None-Match") == file.tag:
        return web.Response(status=304, headers=headers)
    body = file.body
    if file.gzip is not None and _takes_gzip(request.headers.get("Accept-Encoding", "")):
        headers["Content-Encoding"] = "gzip"
        body = file.gzip
    text = file.kind.startswith("text/") or file.kind == "image/svg+xml"
    return web.Response(body=body, content_type=file.kind, charset="utf-8" if text else None, headers=headers)


def _takes_gzip(accepted: str) -> bool:
    for offer in accepted.split(","):
        name, _, weight = offer.partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0")
    return False
