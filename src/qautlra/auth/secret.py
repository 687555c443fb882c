"""The server's secret: made at the first start, in an owner-only file, never shown; keys come from it."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import Final

from qautlra.base import clock
from qautlra.base.errors import StorageError

FILE_NAME: Final = "server.key"
SIZE_BYTES: Final = 48


class ServerSecret:
    """Derives one key per purpose; none of them leads to another or to the secret."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "ServerSecret(***)"

    def key(self, purpose: str) -> bytes:
        """Return the 32-byte key of `purpose`."""
        return hmac.new(self._text, purpose.encode(), hashlib.sha256).digest()


def load(directory: Path) -> ServerSecret:
    """Return the secret of this data directory, made if absent; StorageError when others can read it."""
    path = directory / FILE_NAME
    directory.mkdir(parents=True, exist_ok=True)
    try:
        _make(directory, path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            mode = os.fstat(descriptor).st_mode
            text = os.read(descriptor, 4096).strip()
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", retryable=False) from None
    if mode & 0o077:
        raise StorageError(
            f"{path} can be read by others: chmod 600 it, or delete it to sign everybody out", retryable=False
        )
    if len(text) < SIZE_BYTES:
        raise StorageError(f"{path} is cut short: delete it to have a new one made", retryable=False)
    return ServerSecret(text)


def _make(directory: Path, path: Path) -> None:
    """Write a new secret unless there is one; of two processes at once the first wins."""
    if path.exists():
        return
    made = directory / f".{FILE_NAME}.{os.getpid()}"
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, clock.new_token(SIZE_BYTES).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(made)
