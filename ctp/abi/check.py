"""Compares facts.toml with what real CTP libraries say of themselves; needs no header, only `readelf`.

Run: check.py LIBRARY...; of each, the release, the number of slots of its interface class and the order of
the functions in the v-table of its implementation. Exit code 1 when anything differs or is unknown.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

FACTS = Path(__file__).with_name("facts.toml")
IMPLEMENTATIONS = {"MdApi": "CFtdcMdApiImpl", "TraderApi": "CFtdcTraderApiImpl"}


class Symbols:
    """The exported symbols and relocations of one shared library."""

    def __init__(self, path: Path) -> None:
        self.places: dict[str, tuple[int, int]] = {}
        self.functions: dict[int, str] = {}
        for line in _readelf("-sW", "--dyn-syms", path):
            words = line.split()
            if len(words) >= 8 and words[0].rstrip(":").isdigit() and words[6] != "UND":
                name, at = words[7].split("@")[0], int(words[1], 16)
                self.places[name] = (at, int(words[2], 0))
                if words[3] == "FUNC":
                    self.functions.setdefault(at, name)
        self.pointers: dict[int, str] = {}
        for line in _readelf("-rW", path):
            words = line.split()
            if len(words) >= 4 and re.fullmatch(r"[0-9a-f]{12,16}", words[0]):
                relative = "RELATIVE" in words[2]
                target = self.functions.get(int(words[3], 16), "?") if relative else words[4].split("@")[0]
                self.pointers[int(words[0], 16)] = target

    def vtable(self, of: str) -> list[str] | None:
        """Return the function names in the v-table of a class, None when it is not exported."""
        place = self.places.get(f"_ZTV{len(of)}{of}")
        if place is None:
            return None
        at, size = place
        return [_function(self.pointers.get(slot, "?")) for slot in range(at + 16, at + size, 8)]


def _readelf(*words: str | Path) -> list[str]:
    run = subprocess.run(["readelf", *words], capture_output=True, text=True, errors="replace", check=True)
    return run.stdout.splitlines()


def _function(mangled: str) -> str:
    """Return the member function's bare name of `_ZN<n>Class<m>name...`."""
    match = re.match(r"_ZN(\d+)", mangled)
    if match is None:
        return mangled
    rest = mangled[match.end() + int(match[1]) :]
    count = re.match(r"\d+", rest)
    return rest[count.end() : count.end() + int(count[0])] if count else mangled


def release_of(path: Path) -> str:
    """Return the release a library carries in its text, as `GetApiVersion` would say it."""
    found = re.search(rb"v(6\.\d+\.\d+(?:_P\d+)?)_\d{8}", path.read_bytes())
    return found[1].decode() if found else ""


def differences(path: Path) -> list[str]:
    """Return what the library says otherwise than the table, in sentences."""
    facts = tomllib.loads(FACTS.read_text())
    symbols = Symbols(path)
    one = next((name for name in IMPLEMENTATIONS if symbols.vtable(f"CThostFtdc{name}")), None)
    if one is None:
        return ["it exports no CTP interface class"]
    release = release_of(path)
    if release not in facts["releases"]:
        return [f"release {release or 'unknown'} is not in the table"]
    at = facts["releases"].index(release)
    count = len(symbols.vtable(f"CThostFtdc{one}") or [])
    found = []
    if count != facts["slot_counts"][one][at]:
        found.append(f"{one} has {count} slots, the table says {facts['slot_counts'][one][at]}")
    order = (symbols.vtable(IMPLEMENTATIONS[one]) or [])[:count]
    for function, places in facts["slots"][one].items():
        there = order.index(function) if function in order else -1
        if there != places[at]:
            found.append(f"{one}::{function} is at {there}, the table says {places[at]}")
    return found


def main(paths: list[str]) -> int:
    """Print a line per library; 1 when any differs."""
    bad = 0
    for path in map(Path, paths):
        wrong = differences(path)
        bad += bool(wrong)
        print(f"{path.name}: release {release_of(path)}: {'; '.join(wrong) or 'as in the table'}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
