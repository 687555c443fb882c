"""`qautlra user`: users and accounts, by the admin socket of a running server, else in its data directory."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click

from qautlra.cli import options
from qautlra.cli.language import Group, t
from qautlra.config.load import Loaded

DEFAULT_CASH = 1_000_000.0


@click.group(cls=Group, help=t("Add and change users.", "添加与管理用户。"))
def user() -> None:
    """Run a user command."""


def _shared(function: Any) -> Any:
    function = options.json_output(function)
    function = options.data_dir(function)
    function = options.configuration(function)
    return click.option(
        "--port",
        type=int,
        metavar="PORT",
        help=t("The running server that listens on this port.", "监听该端口的运行中服务。"),
    )(function)


_password = click.option(
    "from_stdin",
    "--password-stdin",
    is_flag=True,
    help=t("Read the password from standard input.", "从标准输入读取密码。"),
)


@user.command(help=t("Add a user, with an account when one is named.", "添加用户，可同时开立账户。"))
@click.argument("name")
@_password
@click.option(
    "roles",
    "--role",
    multiple=True,
    metavar="ROLE",
    help=t(
        "trader (default), analyst, read_only, risk_manager, settlement, data, admin; may be repeated.",
        "trader（默认）、analyst、read_only、risk_manager、settlement、data、admin，可重复。",
    ),
)
@click.option("--account", metavar="ID", help=t("Account of the user.", "用户的账户。"))
@click.option(
    "--broker", metavar="NAME", default="paper", help=t("Its broker (paper).", "账户的通道（paper）。")
)
@click.option(
    "--cash",
    type=float,
    metavar="N",
    help=t("Cash of a new paper account (1000000).", "新模拟账户的资金（1000000）。"),
)
@_shared
def add(
    name: str,
    from_stdin: bool,
    roles: tuple[str, ...],
    account: str | None,
    broker: str,
    cash: float | None,
    **where: Any,
) -> None:
    """Add NAME; one who is there already is only given the account."""
    if cash is not None and account is None:
        raise click.UsageError(t("--cash needs --account", "--cash 需要 --account"))
    if cash is None:
        cash = DEFAULT_CASH if broker == "paper" else 0.0
    password = _read_password(from_stdin, may_lack=account is not None)
    answer = _ask(
        {
            "type": "user.add",
            "name": name,
            "password": password,
            "roles": options.names(roles),
            "account": account or "",
            "broker": broker,
            "cash": cash,
        },
        where,
    )
    _print_user(answer, where["as_json"])


@user.command("list", help=t("List users and their accounts.", "列出用户与账户。"))
@_shared
def list_users(**where: Any) -> None:
    """Print every user."""
    answer = _ask({"type": "user.list"}, where)
    if where["as_json"]:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    for found in answer["users"]:
        click.echo(_line(found))


@user.command(help=t("Let a user in no more; ends their logins.", "停用用户并结束其登录。"))
@click.argument("name")
@_shared
def disable(name: str, **where: Any) -> None:
    """Disable NAME."""
    _print_user(_ask({"type": "user.disable", "name": name}, where), where["as_json"])


@user.command(help=t("Let a disabled user in again.", "重新启用用户。"))
@click.argument("name")
@_shared
def enable(name: str, **where: Any) -> None:
    """Enable NAME."""
    _print_user(_ask({"type": "user.disable", "name": name, "disabled": False}, where), where["as_json"])


@user.command(help=t("Set a user's password; ends their logins.", "设置密码并结束该用户的登录。"))
@click.argument("name")
@_password
@_shared
def passwd(name: str, from_stdin: bool, **where: Any) -> None:
    """Set the password of NAME."""
    password = _read_password(from_stdin, may_lack=False)
    answer = _ask({"type": "user.passwd", "name": name, "password": password}, where)
    _print_user(answer, where["as_json"])


@user.command(help=t("Set a user's roles.", "设置用户角色。"))
@click.argument("name")
@click.argument("roles", nargs=-1, required=True)
@_shared
def roles(name: str, roles: tuple[str, ...], **where: Any) -> None:
    """Set the roles of NAME."""
    answer = _ask({"type": "user.roles", "name": name, "roles": options.names(roles)}, where)
    _print_user(answer, where["as_json"])


def _read_password(from_stdin: bool, *, may_lack: bool) -> str:
    if from_stdin:
        return sys.stdin.readline(1024).rstrip("\r\n")
    if may_lack:
        return ""
    if not sys.stdin.isatty():
        raise click.UsageError(t("give the password by --password-stdin", "请用 --password-stdin 提供密码"))
    password: str = click.prompt(t("Password", "密码"), hide_input=True, confirmation_prompt=True)
    return password


def _ask(command: dict[str, Any], where: dict[str, Any]) -> dict[str, Any]:
    """Have a command done by the running server, else on the data directory."""
    from qautlra.base.errors import InputError

    loaded = options.make(
        where["files"], where["sets"], store__data_dir=options.flag(where["data_dir"], "--data-dir")
    )
    port = where["port"]
    answer = _by_socket(port if port is not None else loaded.endpoints[0].port, command, loaded, where)
    if answer is None and port is not None:
        raise InputError(
            t(
                f"no server of this user listens on port {port}",
                f"端口 {port} 上没有本用户运行的服务",
            )
        )
    if answer is None:
        return asyncio.run(_directly(command, loaded))
    if not answer.pop("ok", False):
        raise InputError(str(answer.get("error", "refused")), status=int(answer.get("status", 400)))
    return answer


def _by_socket(
    port: int, command: dict[str, Any], loaded: Loaded, where: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the server's answer; None when there is none, or it keeps other data than was asked for."""
    from qautlra.app.places import data_directory, runtime_directories
    from qautlra.net.admin_socket import call

    for directory in runtime_directories():
        try:
            hello = call(directory, port, {"type": "hello"}, timeout_s=2.0)
        except OSError:
            continue
        if where["port"] is None and loaded.origin("store.data_dir") != "default":
            mine = data_directory(loaded.config.store.data_dir)
            if Path(str(hello.get("data_dir", ""))) != mine:
                return None
        return call(directory, port, command)
    return None


async def _directly(command: dict[str, Any], loaded: Loaded) -> dict[str, Any]:
    from qautlra.app.auth import opened
    from qautlra.auth import admin

    async with opened(loaded) as auth:
        return await admin.perform(auth, admin.decode(json.dumps(command).encode()))


def _print_user(answer: dict[str, Any], as_json: bool) -> None:
    click.echo(json.dumps(answer, ensure_ascii=False) if as_json else _line(answer["user"]))


def _line(found: dict[str, Any]) -> str:
    accounts = ", ".join(
        f"{entry['account']} ({entry['broker']}"
        + ("" if entry["access"] == "own" else t(", view only", "，只读"))
        + ("" if entry["opened"] else t(", opened when the server has started", "，服务启动后开立"))
        + ")"
        for entry in found["accounts"]
    )
    state = t("disabled", "已停用") if found["disabled"] else ", ".join(found["roles"])
    return f"{found['name']}  {state}  {accounts or '-'}"
