"""The front door's certificate: read once, looked at again now and then, so that a renewed one is used."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Final

from qautlra.base.errors import ConfigError
from qautlra.base.log import get_logger

LOOK_S: Final = 10.0
_log = get_logger("net")


class Certificate:
    """Certificate chain and key (PEM) in one context for every address; TLS 1.2 or newer."""

    def __init__(self, cert: str, key: str) -> None:
        if not (cert and key):
            missing, given = ("net.tls_key", "net.tls_cert") if cert else ("net.tls_cert", "net.tls_key")
            raise ConfigError(f"{given} needs it too", key=missing, expected="a file in PEM")
        self._cert, self._key = Path(cert), Path(key)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load()
        self._stamp = self._stamps()

    async def follow(self) -> None:
        """Use the files anew when they have changed; for ever. What cannot be read changes nothing."""
        while True:
            await asyncio.sleep(LOOK_S)
            stamp = self._stamps()
            if stamp == self._stamp:
                continue
            try:
                self._load()
            except ConfigError as error:
                _log.error("certificate_not_renewed", error=str(error))
                continue
            self._stamp = stamp
            _log.info("certificate_renewed", path=str(self._cert))

    def _load(self) -> None:
        for path, key in ((self._cert, "net.tls_cert"), (self._key, "net.tls_key")):
            try:
                path.open("rb").close()
            except OSError as error:
                raise ConfigError(
                    f"cannot be read: {error.strerror}", key=key, value=str(path), expected="a file in PEM"
                ) from None
        try:
            self.context.load_cert_chain(self._cert, self._key, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            why = getattr(error, "reason", None) or str(error)
            raise ConfigError(
                f"certificate and key cannot be used: {why}",
                key="net.tls_cert",
                value=str(self._cert),
                expected="a chain in PEM, and its key without a password in net.tls_key",
            ) from None

    def _stamps(self) -> tuple[float, ...]:
        try:
            return tuple(path.stat().st_mtime for path in (self._cert, self._key))
        except OSError:
            return ()


def _no_password() -> str:
    raise ValueError("the key has a password")
