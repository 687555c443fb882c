"""Where things lie on this machine: the data directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from qautlra.base.errors import ConfigError


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
