"""Configuration to the auth room, for a server and for one command without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from qautlra.app.places import data_directory
from qautlra.auth.database import FILE_NAME
from qautlra.base.errors import ConfigError
from qautlra.base.secret import is_known_example
from qautlra.config.listen import is_loopback
from qautlra.config.load import Loaded

if TYPE_CHECKING:
    from qautlra.auth.service import AuthOptions, AuthService

_BUCKETS = {"paper": (100.0, 200), "live": (50.0, 100)}
"""Orders a second and burst of each risk profile, where `net.orders_per_s` and `net.orders_burst` are 0."""


def options(loaded: Loaded, profile: str = "paper") -> AuthOptions:
    """Return the settings of the auth room; ConfigError for a password everybody knows."""
    from qautlra.auth.service import AuthOptions

    auth, net = loaded.config.auth, loaded.config.net
    if auth.password and is_known_example(auth.username, auth.password.reveal()):
        raise ConfigError(
            "a published example is no secret",
            key="auth.password",
            origin=loaded.origin("auth.password"),
            expected="a password of your own",
        )
    per_s, burst = _BUCKETS[profile]
    return AuthOptions(
        allow_register=auth.allow_register,
        access_token_s=auth.access_token_s,
        refresh_token_s=auth.refresh_token_s,
        login_attempts_per_min=auth.login_attempts_per_min,
        audit_rows=auth.audit_rows,
        orders_per_s=net.orders_per_s or per_s,
        orders_burst=net.orders_burst or burst,
        reads_per_s=net.reads_per_s,
        reads_burst=net.reads_burst,
        username=auth.username,
        password=auth.password,
    )


def service(loaded: Loaded, *, keeps_data: bool, profile: str = "paper") -> AuthService | None:
    """Return the users of the data directory, None in a process that needs none and has none."""
    config = loaded.config
    remote = any(not is_loopback(endpoint.host) for endpoint in loaded.endpoints)
    if not (keeps_data or remote or config.auth.require_login or config.auth.password):
        try:
            if not (data_directory(config.store.data_dir) / FILE_NAME).exists():
                return None
        except ConfigError:
            return None
    from qautlra.auth.service import AuthService

    return AuthService(data_directory(config.store.data_dir), options(loaded, profile))


@asynccontextmanager
async def opened(loaded: Loaded) -> AsyncIterator[AuthService]:
    """The users of the configured data directory, for one command."""
    from qautlra.auth.service import AuthService

    auth = AuthService(data_directory(loaded.config.store.data_dir), options(loaded))
    await auth.start()
    try:
        yield auth
    finally:
        await auth.stop(5.0)
