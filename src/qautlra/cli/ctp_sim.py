"""`qautlra ctp-sim`: the simulated CTP front's library and address, and any CTP program run on them."""

from __future__ import annotations

import http.client
import json
import locale
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

from qautlra.base.errors import InputError
from qautlra.cli import options
from qautlra.cli.language import Command, Group, t

FIND_TIMEOUT_S = 2.0
LOCALE = "zh_CN.GB18030"


@click.group(
    cls=Group,
    name="ctp-sim",
    help=t(
        "The simulated CTP front: run any CTP program, unmodified, against a running server.",
        "模拟 CTP 前置：让任意 CTP 程序不经修改地在运行中的服务上交易。",
    ),
)
def ctp_sim() -> None:
    """Group of the commands below."""


_port = click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    help=t("The running server that listens on this port.", "监听该端口的运行中服务。"),
)


@ctp_sim.command(
    cls=Command,
    help=t("Print the path of the drop-in CTP library.", "打印替换用 CTP 动态库的路径。"),
)
def lib() -> int:
    """Print the path."""
    click.echo(str(_library()))
    return 0


@ctp_sim.command(
    cls=Command,
    help=t("Print the address a CTP program connects to.", "打印 CTP 程序要连接的前置地址。"),
)
@_port
@options.configuration
@options.json_output
def front(port: int | None, files: tuple[str, ...], sets: tuple[str, ...], as_json: bool) -> int:
    """Print `tcp://127.0.0.1:PORT` of the running server."""
    found = find_front(port, files, sets)
    click.echo(json.dumps({"front": found}) if as_json else found)
    return 0


@ctp_sim.command(
    cls=Command,
    name="exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    help=t(
        "Run a CTP program on the simulated front: `qautlra ctp-sim exec -- python my_strategy.py`. Whatever "
        "front it names, it connects to the running server; users and passwords are qautlra's.",
        "在模拟前置上运行 CTP 程序：qautlra ctp-sim exec -- python my_strategy.py。程序中写的前置地址"
        "会被替换为运行中的服务；用户与密码为 qautlra 的用户。",
    ),
)
@_port
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(port: int | None, program: tuple[str, ...]) -> int:
    """Replace this process by the program, prepared."""
    env = prepared(dict(os.environ), find_front(port, (), ()))
    if shutil.which(program[0], path=env.get("PATH")) is None:
        raise InputError(t(f"no program {program[0]!r}", f"没有程序 {program[0]!r}"))
    sys.stdout.flush()
    os.execvpe(program[0], list(program), env)


def prepared(env: dict[str, str], address: str) -> dict[str, str]:
    """Return the environment in which a CTP program finds our library and front instead of its own."""
    before = env.get("LD_PRELOAD", "")
    env["LD_PRELOAD"] = f"{_library()} {before}".strip()
    env["QAUTLRA__CTP__FRONT"] = address
    places = _locale_places()
    if places is not None:
        env["LOCPATH"] = places
    return env


def _library() -> Path:
    from qautlra.link.ctp_library import simulated_library

    path = simulated_library()
    if not path.is_file():
        raise InputError(t(f"{path} is not built (make core)", f"{path} 尚未编译（make core）"))
    return path


def _locale_places() -> str | None:
    """Return where a private zh_CN.GB18030 lies; None when the system has one, or none can be made.

    Wrappers of CTP convert texts by this locale and abort where it is missing.
    """
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, LOCALE)
        return None
    except locale.Error:
        pass
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache) if os.path.isabs(cache) else Path.home() / ".cache"
    folder = base / "qautlra" / "locale"
    if not (folder / LOCALE).is_dir() and shutil.which("localedef") is not None:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["localedef", "--no-archive", "-i", "zh_CN", "-f", "GB18030", folder / LOCALE],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    if not (folder / LOCALE).is_dir():
        click.echo(
            t(
                f"warning: the locale {LOCALE} is missing (package `locales`); wrappers of CTP may abort",
                f"警告：缺少 {LOCALE} 语言环境（locales 软件包），CTP 封装库可能中止",
            ),
            err=True,
        )
        return None
    return str(folder)


def find_front(port: int | None, files: tuple[str, ...], sets: tuple[str, ...]) -> str:
    """Return the front of the server on `port`, else of the configured one, else of the only one running."""
    if port is not None:
        found = _front_of(port)
        if found is None:
            raise InputError(
                t(f"no server with a CTP front on port {port}", f"端口 {port} 上没有带 CTP 前置的服务")
            )
        return found
    for endpoint in options.make(files, sets).endpoints:
        found = _front_of(endpoint.port)
        if found is not None:
            return found
    running = {one: found for one in _running() if (found := _front_of(one)) is not None}
    if len(set(running.values())) == 1:
        return next(iter(running.values()))
    if running:
        ports = ", ".join(map(str, sorted(running)))
        raise InputError(
            t(
                f"several servers run; say which: --port {ports}",
                f"有多个服务在运行，请用 --port 指定：{ports}",
            )
        )
    raise InputError(t("no server with a CTP front is running", "没有运行中的带 CTP 前置的服务"))


def _running() -> list[int]:
    """Return the ports of this user's servers, by their admin sockets."""
    from qautlra.app.places import runtime_directories

    names = [path.stem for folder in runtime_directories() for path in folder.glob("*.sock")]
    return sorted({int(name) for name in names if name.isdigit()})


def _front_of(port: int) -> str | None:
    """Return the front's address a server names in its health, None when there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=FIND_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        health = json.loads(connection.getresponse().read(1 << 20))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    services = health.get("services", []) if isinstance(health, dict) else []
    fronts = [one.get("front") for one in services if one.get("name") == "ctp_front"]
    return fronts[0] if fronts and isinstance(fronts[0], str) else None
