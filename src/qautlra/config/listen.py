"""Where the front door listens: texts `host:port` into endpoints, loopback unless remote is allowed."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from qautlra.base.errors import ConfigError

ANY_HOSTS = frozenset({"0.0.0.0", "::", "*", ""})


class Endpoint(NamedTuple):
    """One listening address; one that is not required is skipped with a warning when busy."""

    host: str
    port: int
    required: bool = True
    origin: str = "default"

    @property
    def text(self) -> str:
        """Return `host:port`, IPv6 in brackets."""
        return join(self.host, self.port)


def join(host: str, port: int) -> str:
    """Return `host:port`, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split(text: str, origin: str) -> tuple[str, int]:
    """Return (host, port) of `host:port`, `[v6]:port` or a bare port; port 0 lets the system choose."""
    host, colon, port_text = text.strip().rpartition(":")
    if not colon:
        host = "127.0.0.1"
    host = host.removeprefix("[").removesuffix("]")
    if not port_text.isascii() or not port_text.isdigit() or int(port_text) > 65_535:
        raise ConfigError(
            "the port is not readable",
            key="net.listen",
            value=text,
            origin=origin,
            expected="host:port, the port a whole number from 0 to 65535",
        )
    return ("127.0.0.1" if host == "localhost" else host), int(port_text)


def is_loopback(host: str) -> bool:
    """Tell whether `host` can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def endpoints(texts: list[str], origin: str, *, allow_remote: bool) -> list[Endpoint]:
    """Return the endpoints of `net.listen`: of the defaults only the first is required, else all."""
    found: dict[tuple[str, int], Endpoint] = {}
    for text in texts:
        host, port = split(text, origin)
        if not is_loopback(host) and not allow_remote:
            raise ConfigError(
                "this address can be reached from other machines; set net.allow_remote=true to mean it",
                key="net.listen",
                value=text,
                origin=origin,
                expected="a loopback address such as 127.0.0.1",
            )
        host = "0.0.0.0" if host in ("*", "") else host
        place = (host, port if port else -len(found))
        found.setdefault(place, Endpoint(host, port, origin != "default" or not found, origin))
    if not found:
        raise ConfigError("nothing to listen on", key="net.listen", origin=origin, expected="host:port")
    return list(found.values())
