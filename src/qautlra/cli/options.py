"""Options several commands share, and the configuration made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from qautlra.cli.language import t
from qautlra.config.load import Loaded, load

F = TypeVar("F", bound=Callable[..., Any])


def configuration(function: F) -> F:
    """Add --config and --set."""
    function = click.option(
        "sets",
        "--set",
        multiple=True,
        metavar="A.B=VALUE",
        help=t("Set one key; may be repeated.", "设置一个配置项，可重复。"),
    )(function)
    return click.option(
        "files",
        "--config",
        multiple=True,
        metavar="FILE",
        help=t(
            "Configuration file: our TOML, or the specification's JSON; may be repeated.",
            "配置文件：本项目的 TOML 或规范中的 JSON，可重复。",
        ),
    )(function)


def json_output(function: F) -> F:
    """Add --json."""
    return click.option(
        "as_json", "--json", is_flag=True, help=t("Print JSON for machines.", "输出 JSON，供程序读取。")
    )(function)


def data_dir(function: F) -> F:
    """Add --data-dir."""
    return click.option(
        "data_dir",
        "--data-dir",
        metavar="DIR",
        help=t("Data directory (store.data_dir).", "数据目录（store.data_dir）。"),
    )(function)


def make(files: tuple[str, ...] = (), sets: tuple[str, ...] = (), **flags: tuple[Any, str] | None) -> Loaded:
    """Load the configuration of this process; `flags` are {key with `__` for dots: (value, flag's name)}."""
    given = {key.replace("__", "."): flag for key, flag in flags.items() if flag is not None}
    return load(files=files, sets=sets, flags=given)


def flag(value: Any, name: str) -> tuple[Any, str] | None:
    """Return what `make` takes for an option, None when it was not given."""
    if value is None or value is False or value == () or value == []:
        return None
    return (list(value) if isinstance(value, tuple) else value, name)


def names(texts: tuple[str, ...]) -> list[str]:
    """Return the entries of comma lists given once or more."""
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]
