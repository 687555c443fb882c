"""Writes facts.hpp, the C++ form of facts.toml: records in the newest layout, a row of numbers per release.

Run by the build: generate.py facts.toml facts.hpp.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

SCALARS = {"c": "char", "i": "std::int32_t", "h": "std::int16_t", "d": "double"}


def member(word: str) -> str:
    """Return the C++ member of `Name:kind`."""
    name, kind = word.split(":")
    return f"  char {name}[{kind}];" if kind.isdigit() else f"  {SCALARS[kind]} {name};"


def row(facts: dict[str, Any], at: int) -> str:
    """Return one release's initialiser."""
    counts = ", ".join(str(values[at]) for values in facts["slot_counts"].values())
    parts = [f'"{facts["releases"][at]}"', f"{{{counts}}}"]
    for functions in facts["slots"].values():
        parts.append("{" + ", ".join(str(places[at]) for places in functions.values()) + "}")
    parts.append("{" + ", ".join(str(record["sizes"][at]) for record in facts["records"].values()) + "}")
    return "    {" + ",\n     ".join(parts) + "},"


def header(facts: dict[str, Any]) -> str:
    """Return the text of facts.hpp."""
    out = [
        "// Written by ctp/abi/generate.py from facts.toml at build time.",
        "#pragma once",
        "#include <cstdint>",
        "",
        "namespace qautlra::ctp {",
        "",
    ]
    for name, record in facts["records"].items():
        out += [f"struct {name} {{", *map(member, record["fields"].split()), "};"]
        out.append(f"static_assert(sizeof({name}) == {record['sizes'][-1]});")
    for name, functions in facts["slots"].items():
        out += ["", f"enum class {name} : int {{", "  " + ", ".join(functions), "};"]
        out.append(f"inline constexpr int k{name}Count = {len(functions)};")
    out += ["", "enum class Record : int {", "  " + ", ".join(facts["records"]), "};"]
    out += [f"inline constexpr int kRecordCount = {len(facts['records'])};", ""]
    out += [f"template <> struct RecordOf<{name}> {{ static constexpr Record id = Record::{name}; }};"
            for name in facts["records"]]  # fmt: skip
    out.insert(out.index("") + 3, "template <class T> struct RecordOf;")
    out += [
        "",
        "struct Slots { int " + ", ".join(name for name in facts["slots"]) + "; };",
        "struct Release {",
        "  const char* name;",
        "  Slots slots;  // how many each class has",
        *(f"  int {name}_[k{name}Count];" for name in facts["slots"]),
        "  int sizes[kRecordCount];",
        *(
            f"  constexpr int at({name} f) const {{ return {name}_[static_cast<int>(f)]; }}"
            for name in facts["slots"]
        ),
        "  constexpr int size(Record r) const { return sizes[static_cast<int>(r)]; }",
        "};",
        "",
        "inline constexpr Release kReleases[] = {",
        *(row(facts, at) for at in range(len(facts["releases"]))),
        "};",
        f"inline constexpr int kReleaseCount = {len(facts['releases'])};",
        "",
        "}  // namespace qautlra::ctp",
    ]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(header(tomllib.loads(source.read_text())))
