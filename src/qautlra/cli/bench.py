"""`qautlra bench`: runs the modules of the benchmarks directory, each in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click

import qautlra
from qautlra.base.errors import InputError
from qautlra.cli.language import Command, t


def directory() -> Path:
    """Return where the benchmarks lie: beside the sources in a checkout, inside the package in a wheel."""
    package = Path(qautlra.__file__).parent
    for place in (package / "benchmarks", package.parents[1] / "benchmarks"):
        if place.is_dir():
            return place
    raise InputError("no benchmarks are installed")


def found(place: Path) -> list[str]:
    """Return the names of the benchmarks; modules that start with an underscore are their helpers."""
    return sorted(
        path.stem
        for path in place.glob("*.py")
        if not path.stem.startswith("_") and "bench: helper" not in path.read_text(encoding="utf-8")[:300]
    )


@click.command(
    cls=Command,
    context_settings={"ignore_unknown_options": True},
    help=t(
        "Run the benchmarks NAME… (all when none is named); each prints one JSON line.",
        "运行性能测试 NAME…（不指定则全部运行），每项输出一行 JSON。",
    ),
)
@click.argument("names", nargs=-1)
@click.option("listing", "--list", is_flag=True, help=t("Only print the names.", "只列出名称。"))
@click.option(
    "short", "--short", "--quick", is_flag=True, help=t("Fewer rounds; noisier.", "减少轮数，误差更大。")
)
@click.option("as_json", "--json", is_flag=True, hidden=True)
def bench(names: tuple[str, ...], listing: bool, short: bool, as_json: bool) -> int:
    """Run benchmarks; 1 when any failed."""
    place = directory()
    known = found(place)
    if listing:
        click.echo(json.dumps(known) if as_json else "\n".join(known))
        return 0
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(
            t(f"no benchmark {unknown[0]!r}; there are: ", f"没有性能测试 {unknown[0]!r}；可用：")
            + ", ".join(known)
        )
    failed = 0
    environment = dict(os.environ)
    source = str(Path(qautlra.__file__).parents[1])
    environment["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(place), source, environment.get("PYTHONPATH", "")) if part
    )
    if short:
        environment["QAUTLRA_BENCH_QUICK"] = "1"
    for name in names or known:
        run = subprocess.run(
            [sys.executable, str(place / f"{name}.py")], env=environment, stdout=subprocess.PIPE, check=False
        )
        line = run.stdout.decode("utf-8", "replace").strip()
        if run.returncode != 0:
            failed += 1
            line = line or json.dumps({"name": name, "error": f"exit code {run.returncode}"})
        click.echo(line)
        sys.stdout.flush()
    return 1 if failed else 0
