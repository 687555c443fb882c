"""A door's certificate: read at the start, looked at again now and then, so that a renewed one is used."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from qautlra.base.errors import ConfigError
from qautlra.base.log import get_logger

LOOK_S: Final = 10.0
_log = get_logger("net")


class Certificate:
    """Certificate chain and key (PEM) in one context for every address; TLS 1.2 or newer.

    `error` says why files that have changed are not used; until they can be, those of before are.
    """

    def __init__(self, cert: str, key: str) -> None:
        if not (cert and key):
            missing, given = ("net.tls_key", "net.tls_cert") if cert else ("net.tls_cert", "net.tls_key")
            raise ConfigError(f"{given} needs it too", key=missing, expected="a file in PEM")
        self._cert, self._key = Path(cert), Path(key)
        self.error = ""
        self._stamp = self._stamps()
        self._proved, self.pem = self._load()
        self.context = self._proved
        self.context.sni_callback = self._choose

    async def follow(self, renewed: Callable[[], Awaitable[None]] | None = None) -> None:
        """Use the files anew when they have changed, and say so by `renewed`; for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            stamp = self._stamps()
            if stamp == self._stamp:
                self.error = ""  # those in use are there again
                continue
            try:
                self._proved, self.pem = self._load()
            except ConfigError as error:
                if str(error) != self.error:
                    _log.warning("certificate_not_renewed", error=str(error), used="the one of before")
                self.error = str(error)
                continue
            self._stamp, self.error = stamp, ""
            _log.info("certificate_renewed", path=str(self._cert))
            if renewed is not None:
                await renewed()

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Give a connection that begins the pair that was proved last: no context is ever half renewed."""
        connection.context = self._proved

    def _load(self) -> tuple[ssl.SSLContext, tuple[bytes, bytes]]:
        """Return a context of the files as they are now and what they hold; ConfigError when they do not fit.

        A context that exists is left alone: OpenSSL takes a certificate first and finds out about its key
        after, and what it has then serves nobody.
        """
        found = self._contents()
        context = _context(self._cert, self._key)
        if self._contents() != found:
            raise ConfigError("certificate and key are just being written", key="net.tls_cert")
        return context, found

    def _contents(self) -> tuple[bytes, bytes]:
        return _bytes(self._cert, "net.tls_cert"), _bytes(self._key, "net.tls_key")

    def _stamps(self) -> tuple[float, ...]:
        try:
            return tuple(path.stat().st_mtime for path in (self._cert, self._key))
        except OSError:
            return ()


def _context(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or str(error)
        raise ConfigError(
            f"certificate and key cannot be used: {why}",
            key="net.tls_cert",
            value=str(cert),
            expected="a chain in PEM, and its key without a password in net.tls_key",
        ) from None
    return context


def _bytes(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", key=key, value=str(path), expected="a file in PEM"
        ) from None


def _no_password() -> str:
    raise ValueError("the key has a password")
