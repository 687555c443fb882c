"""Which source serves, decided from the whole configuration; what this build lacks is said plainly."""

from __future__ import annotations

from typing import Final, NamedTuple

from qautlra.base.errors import ConfigError
from qautlra.base.secret import is_placeholder
from qautlra.config.listen import Endpoint, is_loopback
from qautlra.config.load import Loaded
from qautlra.config.tree import Broker

BUILT: Final = ("sim", "replay")
EVERY_ROOM: Final = frozenset({"source", "feed", "store", "query"})
VIRTUAL: Final = frozenset({"sim", "replay"})


class Choice(NamedTuple):
    """The sources to run, and a warning to show everywhere when the data is not what was asked for."""

    kinds: tuple[str, ...]
    note: str = ""


def choose(loaded: Loaded, rooms: frozenset[str] = EVERY_ROOM) -> Choice:
    """Return the sources of this process, or raise a ConfigError naming the key that asks too much.

    A process with a store but no feed takes no source by default: it would file simulated rows unasked.
    """
    if "source" not in rooms:
        return Choice(())
    config = loaded.config
    kinds = tuple(dict.fromkeys(config.source.kinds))
    origin = loaded.origin("source.kinds")
    if origin == "default":
        if config.source.replay.files:
            return Choice(("replay",))
        note = _asked_broker(loaded)
        if config.source.upstream.enabled:
            _own_upstream(loaded)
            note = note or _own_feed(loaded)
        elif "feed" not in rooms and not note:
            return Choice((), "no source is configured: nothing is taken in (--source, QADB_WS_CLIENT_*)")
        return Choice(kinds, note)
    if not kinds:
        return Choice(())
    missing = [kind for kind in kinds if kind not in BUILT]
    if "upstream" in missing and loaded.config.source.upstream.enabled:
        _own_upstream(loaded)
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
    return Choice(kinds)


def _asked_broker(loaded: Loaded) -> str:
    """Return the note for a broker without credentials; a broker with real ones cannot be served here."""
    ctp = loaded.config.source.ctp
    broker = ctp.brokers.get(ctp.default_broker)
    if broker is None:
        return ""
    kind = {"qq": "tencent", "tencent": "tencent", "sina": "sina"}.get(broker.source_type.lower(), "ctp")
    key = f"source.ctp.brokers.{ctp.default_broker}"
    if _has_credentials(broker):
        raise ConfigError(
            f"broker {ctp.default_broker!r} has credentials, but the {kind} source is not part of this "
            "build; --source sim serves simulated data",
            key=f"{key}.user_id",
            origin=loaded.origin(f"{key}.user_id"),
        )
    return (
        f"SIMULATED DATA: broker {ctp.default_broker!r} ({loaded.origin(key + '.front_addr')}) has no usable "
        f"credentials and this build has no {kind} source; the sim source serves instead"
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


def _own_feed(loaded: Loaded) -> str:
    upstream = loaded.config.source.upstream
    return (
        f"SIMULATED DATA: {upstream.host}:{upstream.port}, the feed asked for "
        f"({loaded.origin('source.upstream.enabled')}), is this process itself, and its source is sim"
    )


def _own_upstream(loaded: Loaded) -> None:
    upstream = loaded.config.source.upstream
    if not serves(loaded.endpoints, upstream.host, upstream.port):
        raise ConfigError(
            "another process's feed as source is not part of this build; one process serves feed and "
            "store together when this address is one of its own",
            key="source.upstream",
            value=f"{upstream.host}:{upstream.port}",
            origin=loaded.origin("source.upstream.host"),
            expected="one of " + ", ".join(endpoint.text for endpoint in loaded.endpoints),
        )


def not_in_force(loaded: Loaded) -> list[str]:
    """Return a warning per setting this build does not act on; ConfigError when data would be missed."""
    link, store = loaded.config.link, loaded.config.store
    if link.kafka.enabled:
        raise ConfigError(
            "taking rows from Kafka is not part of this build",
            key="link.kafka.enabled",
            value=True,
            origin=loaded.origin("link.kafka.enabled"),
            expected="false",
        )
    found = []
    if store.retention_days:
        found.append(
            f"store.retention_days = {store.retention_days} ({loaded.origin('store.retention_days')}): "
            "everything is kept, deleting old days is not part of this build"
        )
    if loaded.config.auth.password:
        found.append(
            f"auth.password ({loaded.origin('auth.password')}): there is no login in this build, "
            "and nothing that needs one"
        )
    remote = [endpoint.text for endpoint in loaded.endpoints if not is_loopback(endpoint.host)]
    if remote:
        found.append(
            f"net.allow_remote: whoever reaches {', '.join(remote)} reads market data and queries; "
            "there is no login and no TLS in this build"
        )
    return found
