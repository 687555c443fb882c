"""Measures the CTP interface of several releases from their headers and writes facts.toml.

The headers belong to the vendor and stay outside: they come with source packages such as vnpy_ctp and
ctpwrapper. Only numbers and names leave this tool. Run: measure.py facts.toml RELEASE=HEADER_DIR ...,
oldest first; the newest release's records must begin with every older one's, or this fails.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import names

SCALARS = {"char": "c", "int": "i", "short": "h", "double": "d"}


def read(path: Path) -> str:
    """Return the header without comments, whatever encoding it has."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("gb18030", "replace")
    return re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", "", text, flags=re.S))


class Header:
    """One release's headers, and what the compiler says of their records."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        structs = read(folder / "ThostFtdcUserApiStruct.h")
        self.records = {
            match[1]: re.findall(r"(\w+)\s+(\w+)\s*;", match[2])
            for match in re.finditer(r"struct\s+CThostFtdc(\w+)Field\s*\{(.*?)\}\s*;", structs, re.S)
        }
        self.types = {
            match[2]: f":{match[3]}" if match[3] else SCALARS[match[1]]
            for match in re.finditer(
                r"typedef\s+(char|int|short|double)\s+(\w+)(?:\[(\d+)\])?\s*;",
                read(folder / "ThostFtdcUserApiDataType.h"),
            )
        }
        self.slots = {
            **self._slots("ThostFtdcMdApi.h", ("MdApi", "MdSpi")),
            **self._slots("ThostFtdcTraderApi.h", ("TraderApi", "TraderSpi")),
        }

    def _slots(self, name: str, classes: tuple[str, ...]) -> dict[str, list[str]]:
        text = read(self.folder / name)
        found = {}
        for one in classes:
            body = re.search(r"class\s+(?:\w+\s+)?CThostFtdc" + one + r"\s*\{(.*?)\n\}\s*;", text, re.S)
            assert body is not None, f"{name} has no class {one}"
            found[one] = re.findall(r"virtual\s+[^;{(]*?(\w+)\s*\(", body[1])
        return found

    def fields(self, record: str) -> list[tuple[str, str]]:
        """Return (name, kind) of each field: `:N` a text of N bytes, else c, i, h or d."""
        return [(name, self.types[kind]) for kind, name in self.records.get(record, [])]

    def sizes(self) -> dict[str, int]:
        """Ask the compiler for the size of every record used here."""
        known = [record for record in names.RECORDS.split() if record in self.records]
        lines = [f'printf("{one} %zu\\n", sizeof(CThostFtdc{one}Field));' for one in known]
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch, "sizes.cpp")
            source.write_text(
                '#include <cstdio>\n#include "ThostFtdcUserApiStruct.h"\nint main() {\n'
                + "\n".join(lines)
                + "\n}\n"
            )
            program = Path(scratch, "sizes")
            subprocess.run(["c++", "-w", "-I", self.folder, source, "-o", program], check=True)
            out = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        return {name: int(size) for name, size in map(str.split, out.splitlines())}


def facts(releases: dict[str, Header]) -> str:
    """Return the text of facts.toml."""
    headers = list(releases.values())
    newest = headers[-1]
    sizes = [header.sizes() for header in headers]
    out = [
        "# The CTP interface as this project needs it: places of functions in v-tables, fields of records.",
        "# Written by ctp/abi/measure.py, checked against real libraries by ctp/abi/check.py. Lists are in",
        "# the order of `releases`; -1: the release has no such function; size 0: no such record.",
        "releases = [" + ", ".join(f'"{one}"' for one in releases) + "]",
        "",
        "[slot_counts]",
    ]
    out += [f"{one} = {[len(header.slots[one]) for header in headers]}" for one in names.CLASSES]
    for one, wanted in names.CLASSES.items():
        out += ["", f"[slots.{one}]"]
        for function in wanted.split():
            places = [h.slots[one].index(function) if function in h.slots[one] else -1 for h in headers]
            assert max(places) >= 0, f"no release has {one}::{function}"
            out.append(f"{function} = {places}")
    for record in names.RECORDS.split():
        fields = newest.fields(record)
        assert fields, f"{record} is not in the newest release"
        for release, header in releases.items():
            older = header.fields(record)
            assert fields[: len(older)] == older, f"{record} of {release} is not how the newest one begins"
        out += [
            "",
            f"[records.{record}]",
            f"sizes = {[size.get(record, 0) for size in sizes]}",
            'fields = """',
        ]
        line = ""
        for name, kind in fields:
            word = name + (kind if kind[0] == ":" else f":{kind}")
            if len(line) + len(word) > 108:
                out.append(line)
                line = ""
            line += (" " if line else "") + word
        out += [line, '"""']
    return "\n".join(out) + "\n"


def main(target: str, *given: str) -> None:
    """Measure the releases given as RELEASE=HEADER_DIR and write the table."""
    releases = {release: Header(Path(folder)) for release, folder in (one.split("=", 1) for one in given)}
    Path(target).write_text(facts(releases))


if __name__ == "__main__":
    main(*sys.argv[1:])
