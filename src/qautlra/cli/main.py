"""Entry of the command line: finds a command, imports only that, turns errors into exit codes 0, 1 and 2."""

from __future__ import annotations

import gc
import importlib
import json
import sys
from typing import Any

import click

from qautlra.base.errors import ConfigError, QautlraError
from qautlra.cli.language import Group, show_usage_error, t

_COMMANDS = {
    "serve": (
        "qautlra.cli.serve:serve",
        t("Run services: feed, store, query, page.", "运行服务：行情、存储、查询、网页。"),
    ),
    "demo": (
        "qautlra.cli.demo:demo",
        t("Serve simulated data with a demo user.", "以模拟行情和演示用户运行。"),
    ),
    "config": (
        "qautlra.cli.config:config",
        t("Show or check the configuration.", "查看或检查配置。"),
    ),
    "doctor": (
        "qautlra.cli.doctor:doctor",
        t("Check this machine and say what to do.", "检查运行环境并给出建议。"),
    ),
    "data": (
        "qautlra.cli.data:data",
        t("Import, export and query stored data.", "导入、导出、查询存储的数据。"),
    ),
    "user": (
        "qautlra.cli.user:user",
        t("Add users, accounts, passwords.", "管理用户、账户与密码。"),
    ),
    "ctp-sim": (
        "qautlra.cli.ctp_sim:ctp_sim",
        t("Run CTP programs on the simulated front.", "在模拟 CTP 前置上运行 CTP 程序。"),
    ),
    "bench": (
        "qautlra.cli.bench:bench",
        t("Run the published benchmarks, one JSON line each.", "运行公布的性能测试，每项输出一行 JSON。"),
    ),
}


class LazyGroup(Group):
    """Knows names and one-line helps; imports a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in reading order."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, None when there is none of this name."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def command_rows(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Return (name, help) without importing any command."""
        return [(name, text) for name, (_, text) in _COMMANDS.items()]


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from qautlra import __version__

        click.echo(f"qautlra {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help=t(
        "One self-hosted server for China's futures and stock markets: feed, store, query.",
        "中国期货与股票市场的自托管服务：行情、存储、查询。",
    ),
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help=t("Show the version and exit.", "显示版本并退出。"),
)
def cli() -> None:
    """Run a command."""


def run(command: click.Command, arguments: list[str], name: str) -> int:
    """Run `command` and return its exit code; errors are printed, as JSON when --json was given."""
    as_json = "--json" in arguments
    try:
        result: Any = command.main(args=arguments, prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        if as_json:
            _print_json({"error": error.format_message(), "code": "usage"})
        elif isinstance(error, click.UsageError):
            show_usage_error(error)
        else:
            error.show(file=sys.stderr)
        return error.exit_code
    except click.Abort:
        click.echo(t("interrupted", "已中断"), err=True)
        return 1
    except QautlraError as error:
        _show(error, as_json)
        asked = isinstance(error, ConfigError) and error.origin.startswith(("flag", "--set"))
        return 2 if asked else 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _show(error: QautlraError, as_json: bool) -> None:
    if as_json:
        _print_json(error.to_dict())
    else:
        click.echo(t("error: ", "错误：") + error.message, err=True)


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def main() -> None:
    """Entry point `qautlra`."""
    code = run(cli, sys.argv[1:], "qautlra")
    gc.freeze()  # to look for garbage in what ends anyway takes longer than all the rest of an end
    sys.exit(code)
