"""Where things lie on this machine: the data directory, and the directory of admin sockets."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from qautlra.base.errors import ConfigError, StorageError


def data_directory(configured: str, env: Mapping[str, str] | None = None) -> Path:
    """Return the data directory: the configured one, else `qautlra` in the XDG data directory."""
    env = os.environ if env is None else env
    if configured:
        return Path(configured).expanduser().absolute()
    base = env.get("XDG_DATA_HOME", "")
    if not os.path.isabs(base):
        home = env.get("HOME", "")
        if not os.path.isabs(home):
            raise ConfigError(
                "there is no home directory; name a place", key="store.data_dir", origin="default"
            )
        base = os.path.join(home, ".local", "share")
    return Path(base) / "qautlra"


def runtime_directories(env: Mapping[str, str] | None = None) -> list[Path]:
    """Return where admin sockets may lie, best first: XDG_RUNTIME_DIR, then /tmp."""
    env = os.environ if env is None else env
    base = env.get("XDG_RUNTIME_DIR", "")
    own = Path(f"/tmp/qautlra-{os.getuid()}")
    return [Path(base) / "qautlra", own] if os.path.isabs(base) and os.path.isdir(base) else [own]


def runtime_directory(env: Mapping[str, str] | None = None) -> Path:
    """Return the owner-only directory of admin sockets, made if absent; StorageError when it is not safe."""
    path = runtime_directories(env)[0]
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = os.lstat(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", retryable=False) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StorageError(f"{path} is not a directory of this user alone (chmod 700)", retryable=False)
    return path
