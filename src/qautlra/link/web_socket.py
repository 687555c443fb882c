"""What our WebSocket clients have in common: addresses, whom they trust, and how a connection ended."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, WebSocketException

from qautlra.base.errors import ConfigError, LinkError

FAILURES = (TimeoutError, OSError, WebSocketException, EOFError)
"""What ends a connection, or keeps it from being made."""


def check_url(url: str) -> str:
    """Return the URL; LinkError when it is not one of a WebSocket."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise LinkError(f"{url!r} is not a URL: {error}") from None
    if parts.scheme not in ("ws", "wss") or not parts.hostname or port == 0 or parts.fragment:
        raise LinkError(f"{url!r} is not a WebSocket URL (ws://host:port/path)")
    return url


def shown_url(url: str) -> str:
    """Return the URL without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_local(url: str) -> bool:
    """Return whether the URL names this machine, to which no proxy leads."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def trusted(path: str) -> ssl.SSLContext:
    """Return a context that trusts a certificate, or all of a directory; LinkError when there is none."""
    context = ssl.create_default_context()
    place = Path(path)
    try:
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        for file in files:
            context.load_verify_locations(file)
    except (OSError, ssl.SSLError) as error:
        raise LinkError(f"{path}: no certificates can be read there: {error}") from None
    return context


def check_certificates(path: str, key: str) -> None:
    """Raise ConfigError of the setting `key` unless it is empty or certificates can be read there."""
    if path:
        try:
            trusted(path)
        except LinkError as error:
            expected = "a PEM file, or a directory of them"
            raise ConfigError(error.message, key=key, expected=expected) from None


def trust_of(url: str, ca_path: str) -> ssl.SSLContext | bool | None:
    """Return what a connection takes for `ssl`: the system's certificates, and those at `ca_path`."""
    if not url.startswith("wss:"):
        return None
    return trusted(ca_path) if ca_path else True


def end_of(error: BaseException) -> str:
    """Return one of `FAILURES` in words."""
    if isinstance(error, InvalidHandshake):
        return f"refused: {error}"
    if isinstance(error, ConnectionClosed):
        return f"closed: {error}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
