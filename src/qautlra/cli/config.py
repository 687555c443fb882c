"""`qautlra config`: what is in force and where it comes from; whether a file is good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from qautlra.cli import options
from qautlra.cli.language import Group, t
from qautlra.config.choose import choose, not_in_force
from qautlra.config.load import Loaded, load


@click.group(cls=Group, help=t("Show or check the configuration.", "查看或检查配置。"))
def config() -> None:
    """Group of the configuration commands."""


@config.command(
    help=t("Print every key and its value, secrets masked.", "打印所有配置项及其值，密码以 *** 代替。")
)
@options.configuration
@click.option("origin", "--origin", is_flag=True, help=t("Say where values come from.", "注明每个值的来源。"))
@options.json_output
def show(files: tuple[str, ...], sets: tuple[str, ...], origin: bool, as_json: bool) -> None:
    """Print the effective tree."""
    loaded = options.make(files, sets)
    if as_json:
        click.echo(json.dumps(_tree(loaded, origin), ensure_ascii=False, indent=2))
        return
    section = ""
    rows = loaded.rows()
    width = max(len(f"{key.rpartition('.')[2]} = {_toml(value)}") for key, value, _ in rows)
    for key, value, where in rows:
        head, _, name = key.rpartition(".")
        if head != section:
            section = head
            click.echo(f"\n[{section}]")
        line = f"{name} = {_toml(value)}"
        click.echo(f"{line:<{min(width, 60)}}  # {where}" if origin else line)
    _warn(loaded)


@config.command(help=t("Check a file without starting anything.", "检查配置文件，不启动服务。"))
@click.argument("file", type=click.Path())
@options.json_output
def check(file: str, as_json: bool) -> None:
    """Load FILE alone, with no environment, and choose its source; errors exit with 1."""
    loaded = load(files=[Path(file)], env={}, discover=False)
    choice = choose(loaded)
    loaded.warnings += not_in_force(loaded)
    if as_json:
        report = {
            "file": file,
            "ok": True,
            "warnings": loaded.warnings,
            "listen": [endpoint.text for endpoint in loaded.endpoints],
            "sources": list(choice.kinds),
            "note": choice.note,
        }
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    _warn(loaded)
    if choice.note:
        click.echo(t("warning: ", "警告：") + choice.note, err=True)
    click.echo(
        f"{file}: {t('good', '有效')}; "
        + t("listens on ", "监听 ")
        + ", ".join(endpoint.text for endpoint in loaded.endpoints)
        + t("; source ", "；行情源 ")
        + ", ".join(choice.kinds)
    )


def _warn(loaded: Loaded) -> None:
    for warning in loaded.warnings:
        click.echo(t("warning: ", "警告：") + warning, err=True)


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _tree(loaded: Loaded, origin: bool) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value, where in loaded.rows():
        node = tree
        *heads, name = key.split(".")
        for head in heads:
            node = node.setdefault(head, {})
        node[name] = {"value": value, "origin": where} if origin else value
    return tree
