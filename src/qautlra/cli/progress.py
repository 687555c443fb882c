"""What long commands share: a progress bar on a terminal, a log that says little."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qautlra.cli.language import t
from qautlra.config.load import Loaded


def quiet(loaded: Loaded) -> None:
    """Log warnings only, unless the configuration says otherwise."""
    from qautlra.base import log

    log.configure("warning" if loaded.origin("log.level") == "default" else loaded.config.log.level, "text")


@contextmanager
def bar(title: str) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error when that is a terminal; yields what takes the rows so far."""
    if not sys.stderr.isatty():
        yield lambda _rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} " + t("rows", "行")),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda rows: progress.update(task, completed=rows)
