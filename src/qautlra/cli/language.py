"""The terminal's language: Chinese when the locale says so, else English; and click classes that use it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import click


def is_chinese(env: Mapping[str, str] | None = None) -> bool:
    """Tell whether LC_ALL, LC_MESSAGES or LANG, the first that is set, names a Chinese locale."""
    env = os.environ if env is None else env
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if env.get(name):
            return env[name].lower().startswith("zh")
    return False


_CHINESE = is_chinese()


def t(english: str, chinese: str) -> str:
    """Return the text in the terminal's language."""
    return chinese if _CHINESE else english


_NO_COMMAND = "No such command "


def show_usage_error(error: click.UsageError) -> None:
    """Print on stderr what was wrong with a command line, in the terminal's language."""
    if not _CHINESE:
        error.show(file=sys.stderr)
        return
    if error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
        click.echo(f"“{error.ctx.command_path} --help” 显示帮助。\n", err=True)
    click.echo(f"错误：{_usage_problem(error)}", err=True)


def _usage_problem(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        close = f"（是否指 {'、'.join(sorted(error.possibilities))}？）" if error.possibilities else ""
        return f"没有选项 {error.option_name}{close}"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"缺少参数 {error.param.get_error_hint(error.ctx)}"
    if isinstance(error, click.BadParameter) and error.param is not None:
        return f"{error.param.get_error_hint(error.ctx)} 的值无效：{error.message}"
    if error.message.startswith(_NO_COMMAND):
        return f"没有命令 {error.message.removeprefix(_NO_COMMAND).rstrip('.')}"
    return error.format_message()


class _Texts:
    """Help pages with headings in the terminal's language."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage line."""
        pieces = self.collect_usage_pieces(ctx)  # type: ignore[attr-defined]
        formatter.write_usage(ctx.command_path, " ".join(pieces), prefix=t("Usage: ", "用法："))

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return --help with its own help in the terminal's language."""
        option: click.Option | None = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help = t("Show this message and exit.", "显示本帮助并退出。")
        return option

    def _options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = [
            record
            for parameter in self.get_params(ctx)  # type: ignore[attr-defined]
            if (record := parameter.get_help_record(ctx)) is not None
        ]
        if records:
            with formatter.section(t("Options", "选项")):
                formatter.write_dl(records)


class Command(_Texts, click.Command):
    """A command whose help speaks the terminal's language."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        self._options(ctx, formatter)


class Group(_Texts, click.Group):
    """A group whose help speaks the terminal's language; its commands do too."""

    command_class = Command
    group_class = type

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        self._options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with one line each."""
        rows = self.command_rows(ctx)
        if rows:
            with formatter.section(t("Commands", "命令")):
                formatter.write_dl(rows)

    def command_rows(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Return (name, one line of help) of every command."""
        found: list[tuple[str, str]] = []
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                found.append((name, command.get_short_help_str(100)))
        return found
