"""Time and chance come in by one door: nothing else in the package reads the machine's clock or entropy."""

from __future__ import annotations

import ast
import gc
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "qautlra"
ONLY = PACKAGE / "base" / "clock.py"
CLOCK_CALLS = {
    ("time", "time"), ("time", "time_ns"), ("time", "monotonic"), ("time", "monotonic_ns"),
    ("time", "perf_counter"), ("time", "perf_counter_ns"), ("datetime", "now"), ("datetime", "utcnow"),
    ("datetime", "today"), ("date", "today"), ("uuid", "uuid4"), ("uuid", "uuid1"), ("os", "urandom"),
    ("time", "localtime"), ("time", "gmtime"),
}  # fmt: skip
MODULES = {"random", "secrets"}
TIME_NAMES = {name for module, name in CLOCK_CALLS if module == "time"}


def parsed(path: Path) -> ast.Module:
    """Return a module's tree, made while nothing is collected.

    A task of another test that is found dead is logged with its source lines, which are parsed for that, and
    CPython 3.11 cannot do both at once.
    """
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        gc.enable()


def ambient(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = {alias.name for alias in node.names}
            if node.module in MODULES and names != {
                "Random"
            }:  # Random is named as a type, made by new_random
                found.append(f"from {node.module} import {', '.join(sorted(names))}")
            if node.module == "time":
                found += [f"from time import {name}" for name in names & TIME_NAMES]
        elif isinstance(node, ast.Attribute):
            value = node.value
            owner = (
                value.attr
                if isinstance(value, ast.Attribute)
                else value.id
                if isinstance(value, ast.Name)
                else ""
            )
            if (owner, node.attr) in CLOCK_CALLS:
                found.append(f"{owner}.{node.attr}")
    return found


def test_only_the_clock_module_reads_clocks_and_entropy() -> None:
    seen = {
        str(path.relative_to(PACKAGE)): names
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != ONLY and "benchmarks" not in path.parts and (names := ambient(path))
    }
    assert seen == {}


def test_the_search_finds_what_it_should(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text(
        "import random\nimport time, datetime\nfrom time import monotonic\nfrom secrets import token_hex\n"
        "time.time_ns()\ndatetime.datetime.now()\nfrom random import Random\n"
    )
    assert len(ambient(sample)) == 5
    assert ambient(ONLY)
