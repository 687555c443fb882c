"""Which source serves, decided from the whole configuration; what this build lacks is said plainly."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlsplit

from qautlra.base.errors import ConfigError
from qautlra.base.secret import is_placeholder
from qautlra.config.listen import Endpoint, is_loopback
from qautlra.config.load import Loaded
from qautlra.config.tree import Broker

BUILT: Final = ("sim", "replay", "ctp", "upstream", "tencent", "sina")
EVERY_ROOM: Final = frozenset({"source", "feed", "store", "query"})
VIRTUAL: Final = frozenset({"sim", "replay"})


class Choice(NamedTuple):
    """The sources to run, and a warning to show everywhere when the data is not what was asked for."""

    kinds: tuple[str, ...]
    note: str = ""
    is_virtual: bool = False
    "The source says what time it is, not the machine."


def choose(loaded: Loaded, rooms: frozenset[str] = EVERY_ROOM) -> Choice:
    """Return the sources of this process, or raise a ConfigError naming the key that asks too much.

    A process with a store but no feed takes no source by default: it would file simulated rows unasked.
    """
    choice = _chosen(loaded, rooms)
    kinds = set(choice.kinds)
    if "upstream" in kinds and loaded.config.source.upstream.clock == "feed":
        if len(kinds) > 1:
            raise ConfigError(
                "a feed that sets the market clock of the process stands alone",
                key="source.upstream.clock",
                value="feed",
                origin=loaded.origin("source.upstream.clock"),
                expected="upstream as the only source, or wall",
            )
        return choice._replace(is_virtual=True)
    return choice._replace(is_virtual=bool(kinds) and kinds <= VIRTUAL)


def _chosen(loaded: Loaded, rooms: frozenset[str]) -> Choice:
    if "source" not in rooms:
        return Choice(())
    config = loaded.config
    kinds = tuple(dict.fromkeys(config.source.kinds))
    origin = loaded.origin("source.kinds")
    if origin == "default":
        if config.source.replay.files:
            return Choice(("replay",))
        if config.source.upstream.is_named:
            if not is_own_feed(loaded, rooms):
                return Choice(("upstream",))
            if _is_ctp(_broker(loaded)):
                return Choice(("ctp",))
            return Choice(kinds, _asked_broker(loaded) or _own_feed(loaded))
        if _is_ctp(_broker(loaded)):
            return Choice(("ctp",))
        note = _asked_broker(loaded)
        if "feed" not in rooms:
            return Choice((), "no source is configured: nothing is taken in (--source, QADB_WS_CLIENT_*)")
        return Choice(kinds, note)
    if not kinds:
        return Choice(())
    missing = [kind for kind in kinds if kind not in BUILT]
    if missing:
        raise ConfigError(
            f"the source {missing[0]} is not part of this build",
            key="source.kinds",
            value=",".join(kinds),
            origin=origin,
            expected="one of " + ", ".join(BUILT),
        )
    if len(kinds) > 1 and VIRTUAL & set(kinds):
        raise ConfigError(
            "sim and replay set the market clock of the process and stand alone",
            key="source.kinds",
            value=",".join(kinds),
            origin=origin,
            expected="one source",
        )
    if kinds == ("replay",) and not config.source.replay.files:
        raise ConfigError(
            "nothing to replay",
            key="source.replay.files",
            origin=origin,
            expected="at least one file (--replay FILE)",
        )
    if "ctp" in kinds and _broker(loaded) is None:
        raise ConfigError(
            "there is no CTP front to connect to",
            key="source.ctp.default_broker",
            value=config.source.ctp.default_broker,
            origin=loaded.origin("source.ctp.default_broker"),
            expected="one of " + (", ".join(config.source.ctp.brokers) or "source.ctp.brokers.NAME"),
        )
    if "upstream" in kinds and is_own_feed(loaded, rooms):
        raise ConfigError(
            "this is an address of this process itself: its feed cannot be its own source",
            key="source.upstream",
            value=config.source.upstream.address,
            origin=_upstream_origin(loaded),
            expected="the address of another process's feed",
        )
    return Choice(kinds)


def _broker(loaded: Loaded) -> Broker | None:
    ctp = loaded.config.source.ctp
    return ctp.brokers.get(ctp.default_broker)


def _kind(broker: Broker) -> str:
    return {"qq": "tencent", "tencent": "tencent", "sina": "sina"}.get(broker.source_type.lower(), "ctp")


def _is_ctp(broker: Broker | None) -> bool:
    """Tell whether this is a CTP front that can be logged in to."""
    return broker is not None and _kind(broker) == "ctp" and _has_credentials(broker)


def _asked_broker(loaded: Loaded) -> str:
    """Return the note for a broker without credentials; a quote site that is given some is an error."""
    ctp = loaded.config.source.ctp
    broker = _broker(loaded)
    if broker is None:
        return ""
    kind = _kind(broker)
    key = f"source.ctp.brokers.{ctp.default_broker}"
    if _has_credentials(broker):
        raise ConfigError(
            f"broker {ctp.default_broker!r} has credentials, but the {kind} source takes none; "
            f"--source {kind} polls its public quotes, --source sim serves simulated data",
            key=f"{key}.user_id",
            origin=loaded.origin(f"{key}.user_id"),
        )
    instead = "the sim source serves instead"
    if kind != "ctp":
        instead += f"; --source {kind} polls its public quotes"
    return (
        f"SIMULATED DATA: broker {ctp.default_broker!r} ({loaded.origin(key + '.front_addr')}) has no usable "
        f"credentials; {instead}"
    )


def _has_credentials(broker: Broker) -> bool:
    return not is_placeholder(broker.user_id) and not is_placeholder(broker.password.reveal())


def serves(endpoints: list[Endpoint], host: str, port: int) -> bool:
    """Tell whether `host:port` is one of this process's own addresses."""
    names = {"localhost": {"127.0.0.1", "::1"}}.get(host, {host})
    return any(
        endpoint.port == port and (endpoint.host in names or endpoint.host in ("0.0.0.0", "::"))
        for endpoint in endpoints
    )


def is_own_feed(loaded: Loaded, rooms: frozenset[str]) -> bool:
    """Tell whether the feed named is served by this process: then its tape has what is asked for.

    A process without a feed leaves a default port to the feed it takes from (`listens_beside`).
    """
    host, port = _upstream_endpoint(loaded)
    own = serves(loaded.endpoints, host, port)
    if own and "feed" not in rooms and any(_is_chosen(e) for e in loaded.endpoints if e.port == port):
        raise ConfigError(
            "this process listens on this address itself, and in this mode it has no feed",
            key="source.upstream",
            value=loaded.config.source.upstream.address,
            origin=_upstream_origin(loaded),
            expected="the address of another process's feed, or another port for this process",
        )
    return own and "feed" in rooms


def listens_beside(loaded: Loaded, choice: Choice) -> list[Endpoint]:
    """Return where to listen: the address of the feed this process takes from is not among the defaults."""
    if "upstream" not in choice.kinds:
        return loaded.endpoints
    host, port = _upstream_endpoint(loaded)
    return [e for e in loaded.endpoints if _is_chosen(e) or not serves([e], host, port)]


def _is_chosen(endpoint: Endpoint) -> bool:
    return endpoint.origin != "default"


def _upstream_endpoint(loaded: Loaded) -> tuple[str, int]:
    address = loaded.config.source.upstream.address
    try:
        parts = urlsplit(address)
        port = parts.port or {"ws": 80, "wss": 443}[parts.scheme]
        host = parts.hostname
        if not host:
            raise ValueError("no host")
    except (ValueError, KeyError):
        raise ConfigError(
            "not the URL of a feed",
            key="source.upstream.url",
            value=address,
            origin=_upstream_origin(loaded),
            expected="ws://host:port/path",
        ) from None
    return host, port


def _upstream_origin(loaded: Loaded) -> str:
    return loaded.origin(
        "source.upstream.url" if loaded.config.source.upstream.url else "source.upstream.host"
    )


def _own_feed(loaded: Loaded) -> str:
    upstream = loaded.config.source.upstream
    host, port = _upstream_endpoint(loaded)
    key = "source.upstream.url" if upstream.url else "source.upstream.enabled"
    return (
        f"SIMULATED DATA: {host}:{port}, the feed asked for ({loaded.origin(key)}), is this process itself, "
        "and its source is sim"
    )


def not_in_force(loaded: Loaded) -> list[str]:
    """Return a warning per setting this build does not act on."""
    found = []
    remote = [endpoint.text for endpoint in loaded.endpoints if not is_loopback(endpoint.host)]
    if remote and not loaded.config.net.tls_cert:
        found.append(
            f"net.allow_remote: {', '.join(remote)} can be reached from other machines; everything there "
            "needs a login, but without net.tls_cert passwords and tokens can be read on the way"
        )
    return found
