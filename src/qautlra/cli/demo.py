"""`qautlra demo`: the whole server on simulated data, with one user whose new password is printed."""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser
from typing import TYPE_CHECKING, Any

import click

from qautlra.base import clock
from qautlra.cli import options
from qautlra.cli.language import Command, t
from qautlra.config.load import Loaded

if TYPE_CHECKING:
    from qautlra.app.app import App

USER = "demo"
CASH = 1_000_000.0


@click.command(
    cls=Command,
    help=t(
        "Serve simulated data with one demo user; prints the password, opens a browser where there is one.",
        "以模拟行情运行全部服务，建立演示用户并打印密码；有浏览器时自动打开。",
    ),
)
@options.configuration
@options.data_dir
@click.option("--port", type=int, metavar="PORT", help=t("Listen on this port only.", "只监听这个端口。"))
@click.option("--no-browser", is_flag=True, help=t("Open no browser.", "不打开浏览器。"))
@options.json_output
def demo(
    files: tuple[str, ...],
    sets: tuple[str, ...],
    data_dir: str | None,
    port: int | None,
    no_browser: bool,
    as_json: bool,
) -> int:
    """Make the user, then serve; the exit code of the process."""
    from qautlra.cli.serve import run

    loaded = options.make(
        files,
        sets,
        mode=(["all"], "demo"),
        source__kinds=(["sim"], "demo"),
        store__data_dir=options.flag(data_dir, "--data-dir"),
        net__listen__port=options.flag(port, "--port"),
    )
    password = asyncio.run(_make_user(loaded))

    def told(app: App) -> dict[str, Any]:
        url = str(app.parts["net"].urls[0])
        if not (no_browser or as_json) and sys.stdout.isatty() and os.environ.get("DISPLAY"):
            webbrowser.open(f"{url}/")
        return {"user": USER, "password": password, "account": USER}

    return run(loaded, as_json, told)


async def _make_user(loaded: Loaded) -> str:
    """Make the demo user with an account, or give the one of before a new password; return the password."""
    from qautlra.app.auth import opened
    from qautlra.auth.rights import Role

    password = clock.new_token(12)
    async with opened(loaded) as auth:
        if auth.users.get(USER) is None:
            await auth.add_user(USER, password, Role.TRADER)
        else:
            await auth.set_password(USER, password)
            await auth.write(auth.users.set_disabled, USER, False)
        await auth.give_account(USER, USER, broker="paper", cash=CASH)
    return password
