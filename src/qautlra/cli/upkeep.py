"""`qautlra data verify|backup|restore|retention`: a data directory checked, copied, put back, tidied."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click
import msgspec

from qautlra.base.errors import InputError
from qautlra.cli import options
from qautlra.cli.language import t
from qautlra.cli.progress import bar, quiet
from qautlra.config.load import Loaded

SHOWN_COUNT = 20


def _directory(loaded: Loaded) -> Path:
    from qautlra.app.places import data_directory

    return data_directory(loaded.config.store.data_dir)


@click.command(help=t("Check every record, page, count and gap.", "检查每条记录、数据页、行数与缺口。"))
@click.option("--gap", "gap_s", type=float, default=300.0, show_default=True, help=t("Seconds.", "秒。"))
@options.configuration
@options.data_dir
@options.json_output
def verify(
    files: tuple[str, ...], sets: tuple[str, ...], data_dir: str | None, as_json: bool, gap_s: float
) -> int:
    """Read everything; 1 when anything is wrong. A running server is not disturbed."""
    loaded = options.make(files, sets, store__data_dir=options.flag(data_dir, "--data-dir"))
    quiet(loaded)
    from qautlra.model.calendar import load_calendar
    from qautlra.store.upkeep import verify as check

    with bar(t("checking", "检查")) as told:
        verdict = check(_directory(loaded), load_calendar(), gap_s, told)
    if as_json:
        click.echo(msgspec.json.encode(verdict))
        return int(bool(verdict.errors))
    click.echo(
        t(
            f"{verdict.files} files, {verdict.rows} rows, {verdict.log_records} records of the log: "
            f"{len(verdict.errors)} errors, {verdict.gap_count} gaps over {gap_s:g} s",
            f"{verdict.files} 个文件，{verdict.rows} 行，日志 {verdict.log_records} 条："
            f"{len(verdict.errors)} 个错误，{verdict.gap_count} 个超过 {gap_s:g} 秒的缺口",
        )
    )
    for text in verdict.errors[:SHOWN_COUNT]:
        click.echo(t("error: ", "错误：") + text, err=True)
    for text in verdict.notes[:SHOWN_COUNT]:
        click.echo(t("note: ", "提示：") + text)
    for gap in verdict.gaps[:SHOWN_COUNT]:
        click.echo(f"  {gap.instrument_id} {gap.trading_date}: {gap.count} × ≤ {gap.longest_s:.0f} s")
    return int(bool(verdict.errors))


@click.command(help=t("Copy the store as it is now to an empty directory.", "把存储复制到空目录。"))
@click.argument("target", type=click.Path(path_type=Path))
@options.configuration
@options.data_dir
@options.json_output
def backup(
    target: Path, files: tuple[str, ...], sets: tuple[str, ...], data_dir: str | None, as_json: bool
) -> int:
    """Copy; also while a server writes."""
    loaded = options.make(files, sets, store__data_dir=options.flag(data_dir, "--data-dir"))
    quiet(loaded)
    return _copy(_directory(loaded), target, as_json)


@click.command(help=t("Put a backup into the (empty) data directory.", "把备份恢复到（空的）数据目录。"))
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@options.configuration
@options.data_dir
@options.json_output
def restore(
    source: Path, files: tuple[str, ...], sets: tuple[str, ...], data_dir: str | None, as_json: bool
) -> int:
    """Check the backup, then copy it."""
    loaded = options.make(files, sets, store__data_dir=options.flag(data_dir, "--data-dir"))
    quiet(loaded)
    from qautlra.model.calendar import load_calendar
    from qautlra.store.upkeep import verify as check

    with bar(t("checking", "检查")) as told:
        verdict = check(source, load_calendar(), told=told)
    if verdict.errors:
        raise InputError(f"{source} is damaged: {verdict.errors[0]}")
    return _copy(source, _directory(loaded), as_json)


def _copy(source: Path, target: Path, as_json: bool) -> int:
    from qautlra.store.upkeep import copy_store

    with bar(t("copying", "复制")) as told:
        copied = copy_store(source, target, told)
    if as_json:
        click.echo(json.dumps({"path": str(target), "bytes": copied}))
    else:
        click.echo(t(f"{target}: {copied} bytes", f"{target}：{copied} 字节"))
    return 0


@click.command(help=t("Delete trading dates older than DAYS, now.", "立即删除早于 DAYS 天的交易日。"))
@click.option("--days", type=click.IntRange(1, 36_500), required=True)
@options.configuration
@options.data_dir
@options.json_output
def retention(
    days: int, files: tuple[str, ...], sets: tuple[str, ...], data_dir: str | None, as_json: bool
) -> int:
    """Delete whole dates of the market's streams; never the newest. A server does it by its setting."""
    given = (*sets, f"store.retention_days={days}")
    loaded = options.make(files, given, store__data_dir=options.flag(data_dir, "--data-dir"))
    quiet(loaded)
    gone = asyncio.run(_retire(loaded))
    if as_json:
        click.echo(json.dumps({"files": gone}))
    else:
        click.echo(t(f"{gone} files deleted", f"已删除 {gone} 个文件"))
    return 0


async def _retire(loaded: Loaded) -> int:
    from qautlra.app.offline import open_store

    async with open_store(loaded) as opened:
        return await opened.store.retire()


COMMANDS: tuple[Any, ...] = (verify, backup, restore, retention)
