"""Which browser pages may call: none from another host unless configured."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from socket import gethostname
from urllib.parse import urlsplit

from qautlra.net.deps import Deps


def host_of(text: str) -> str:
    """Return the host of `host[:port]` in lower case, without brackets."""
    return (urlsplit(f"//{text}").hostname or "") if text else ""


@lru_cache(64)  # asked twice by every request
def is_loopback_name(host: str) -> bool:
    """Tell whether a host names this machine's loopback."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_configured(origin: str, deps: Deps) -> bool:
    """Tell whether the configuration lets this origin in."""
    cors = deps.settings.cors
    return cors.allow_all or origin in cors.allowed_origins or origin in deps.origins


def is_ours(host: str, deps: Deps) -> bool:
    """Tell whether `host[:port]` can only mean this machine, or is configured.

    Any page can have a name of its own point here (DNS rebinding), and then reads as if it were ours: the
    browser sends no Origin with what it takes for the page's own server.
    """
    try:
        name = host_of(host)
    except ValueError:
        return False
    if "." not in name or is_loopback_name(name) or name == gethostname().lower():
        return True  # nobody is given a name without a dot
    try:
        ipaddress.ip_address(name)
    except ValueError:
        cors = deps.settings.cors
        known = (urlsplit(origin).hostname for origin in (*cors.allowed_origins, *deps.origins))
        return cors.allow_all or name in known
    return True


def may_open(origin: str | None, host: str, deps: Deps) -> bool:
    """Tell whether a page of `origin` may use this server, addressed as `host`.

    Programs send no Origin. A name that points at the loopback only by DNS is not the same host: such a name
    (DNS rebinding) must be configured.
    """
    if origin is None or is_configured(origin, deps):
        return True
    try:
        theirs, ours = urlsplit(origin).hostname or "", host_of(host)
    except ValueError:
        return False
    if is_loopback_name(theirs):
        return is_loopback_name(ours)
    if theirs != ours or not theirs:
        return False
    try:
        ipaddress.ip_address(theirs)
    except ValueError:
        return deps.settings.allow_remote
    return True
