"""The plan of the house, checked by machine: imports point down only, and foreign spellings stay in wire/."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "qautlra"
FOREIGN = re.compile(r"""["'](ins_list|aid|account_cookie|volume_orign|mdhis_more_data)["']""")


def test_imports_point_down() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_module_knows_itself_through_others() -> None:
    """Imports for types alone count: a part that names its whole cannot be read without it."""
    modules = {
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in SOURCE.rglob("*.py")
    }
    knows: dict[str, set[str]] = {}
    for name, path in modules.items():
        named = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
            elif isinstance(node, ast.Import):
                named |= {one.name for one in node.names}
        knows[name] = {one for one in named if one in modules and not f"{name}.".startswith(f"{one}.")}
    assert len(knows) > 300 and "qautlra.trade.engine" in knows["qautlra.trade.service"]
    graphlib.TopologicalSorter(knows).prepare()  # CycleError names the circle


def test_foreign_spellings_live_in_wire_only() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] not in ("wire", "sdk")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if FOREIGN.search(line)
    ]
    assert not found, "\n".join(found)


def test_no_ambient_time_or_randomness() -> None:
    ambient = re.compile(
        r"\btime\.(time|time_ns|monotonic|monotonic_ns)\("
        r"|\bdatetime\.(now|utcnow|today)\(|\bdate\.today\(|\bimport random\b"
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE) != Path("base/clock.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if ambient.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_types_and_lint() -> None:
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        run = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout[-4000:]}{run.stderr[-2000:]}"
