"""`qautlra data`: import, export, query; on the data directory, or through the server that holds it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qautlra.base.errors import InputError
from qautlra.cli import options, upkeep
from qautlra.cli.language import Group, t
from qautlra.cli.progress import bar, quiet
from qautlra.config.load import Loaded

if TYPE_CHECKING:
    import pyarrow as pa

    from qautlra.cli.upload import Uploader
    from qautlra.store.importer import ImportReport

Address = tuple[str, int]
TABLE_ROWS = 20
TABLE_COLUMNS = ("datetime", "instrument_id", "last_price", "volume", "bid_price1", "ask_price1")
_FORMATS = ("table", "json", "ndjson", "csv")
MARKET = ("market_data", "futures_market", "stock_market")
_TYPES = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv"}


@click.group(cls=Group, help=t("Import, export and query stored data.", "导入、导出、查询存储的数据。"))
def data() -> None:
    """Group of the data commands."""


for _command in upkeep.COMMANDS:
    data.add_command(_command)


def _query_options(function: Any) -> Any:
    for option in (
        click.option("--port", type=int, help=t("Ask the server on this port.", "向此端口的服务查询。")),
        click.option("--order", type=click.Choice(["asc", "desc"]), help=t("By time.", "时间顺序。")),
        click.option("--fields", help=t("Comma list of columns.", "列名，逗号分隔。")),
        click.option("where", "--filter", help="instrument=au2512 AND last_price > 500"),
        click.option("--limit", type=int, help=t("At most so many rows.", "最多行数。")),
        click.option("--end", help=t("Before this time (now).", "结束时间（不含，默认 now）。")),
        click.option("--start", help=t("From this time (1h-ago).", "起始时间（默认 1h-ago）。")),
        click.option("--stream", default="market_data", show_default=True),
    ):
        function = option(function)
    return function


@data.command("import", help=t("Import files (CSV, CSV.gz, Parquet, Arrow, NDJSON).", "导入数据文件。"))
@click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=click.Path())
@click.option("--stream", default="market_data", show_default=True, help=t("Into this one.", "目标数据流。"))
@click.option("--port", type=int, help=t("Send to the server on this port.", "发送到此端口的服务。"))
@click.option("--username", help=t("Log in as (auth.username).", "登录用户名（auth.username）。"))
@click.option("--password-stdin", is_flag=True, help=t("Read the password.", "从标准输入读取密码。"))
@options.configuration
@options.data_dir
@options.json_output
def import_(
    paths: tuple[str, ...],
    stream: str,
    port: int | None,
    username: str | None,
    password_stdin: bool,
    files: tuple[str, ...],
    sets: tuple[str, ...],
    data_dir: str | None,
    as_json: bool,
) -> int:
    """Import each file; what is stored already changes nothing. 1 when any was damaged."""
    loaded = options.make(files, sets, store__data_dir=options.flag(data_dir, "--data-dir"))
    quiet(loaded)
    found = [Path(path) for path in paths]
    if missing := [path for path in found if not path.is_file()]:
        raise InputError(f"{missing[0]}: no such file")
    address = _server(loaded, port)
    if address is not None:
        from qautlra.cli.upload import Uploader

        auth = loaded.config.auth
        password = sys.stdin.readline().rstrip("\n") if password_stdin else auth.password.reveal()
        uploader = Uploader(address, username or auth.username, password, loaded.config.net.tls_cert)
        return _send(uploader, found, stream, as_json)
    if stream.lower() in MARKET:
        reports = asyncio.run(_import(loaded, found, as_json))
    else:
        reports = asyncio.run(_import_stream(loaded, found, stream, as_json))
    return int(any(report.error for report in reports))


def _send(uploader: Uploader, paths: list[Path], stream: str, as_json: bool) -> int:
    from qautlra.store.importer import ImportReport

    failed = False
    for path in paths:
        with bar(path.name) as told:
            note = uploader.send(path, stream, told)
        report = ImportReport(str(path), note["rows"], note["new_rows"], note["rows"] - note["new_rows"])
        report.known_rows -= note["bad_rows"]
        report.bad_rows, report.error, report.is_done = note["bad_rows"], note["error"], True
        report.new_columns = note["new_columns"]
        _print_report(report, as_json)
        failed |= bool(report.error)
    return int(failed)


async def _import_stream(loaded: Loaded, paths: list[Path], stream: str, as_json: bool) -> list[ImportReport]:
    from qautlra.app.offline import open_store
    from qautlra.cli.upload import form_of, name_of
    from qautlra.store.bulk import Local
    from qautlra.store.importer import ImportReport

    reports = []
    async with open_store(loaded, to_write=True) as opened:
        for path in paths:
            with bar(path.name) as told:
                work = Local(opened.store.ingest, opened.store.query, path, stream, form_of(path), told)
                note = await work.run(name_of(path, stream))
            report = ImportReport(str(path), note.rows, note.new_rows, note.rows - note.new_rows)
            report.error, report.is_done = note.error, True
            report.new_columns = note.new_columns
            _print_report(report, as_json)
            reports.append(report)
    return reports


async def _import(loaded: Loaded, paths: list[Path], as_json: bool) -> list[ImportReport]:
    from qautlra.app.offline import open_store, recorded
    from qautlra.store.importer import import_file

    found = [recorded(path) for path in paths]
    reports = []
    async with open_store(loaded, to_write=True) as opened:
        for file in found:
            with bar(file.path.name) as told:
                report = await import_file(
                    opened.store, file, opened.instruments, opened.calendar, _rows_read(told)
                )
            reports.append(report)
            _print_report(report, as_json)
        with bar(t("compacting", "压缩")):
            await opened.store.compact()
    return reports


def _rows_read(told: Callable[[int], None]) -> Callable[[ImportReport], None]:
    return lambda report: told(report.read_rows)


def _print_report(report: ImportReport, as_json: bool) -> None:
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(report))
        return
    line = t(
        f"{report.path}: {report.new_rows} new, {report.known_rows} known",
        f"{report.path}：新增 {report.new_rows} 行，已有 {report.known_rows} 行",
    )
    bad = report.bad_rows + report.refused_rows
    if bad:
        line += t(f", {bad} unreadable", f"，无法读取 {bad} 行")
        if report.bad_lines:
            line += t(" (lines ", "（行号 ") + ", ".join(map(str, report.bad_lines[:5])) + t(")", "）")
    if report.new_columns:
        line += t("; new columns: ", "；新增列：") + ", ".join(report.new_columns)
    click.echo(line)
    if report.error:
        click.echo(t("error: ", "错误：") + report.error, err=True)


@data.command(help=t("Write stored rows to a file.", "把存储的数据写入文件。"))
@click.option("--out", required=True, type=click.Path(), help="FILE.parquet, .csv, .arrow")
@click.option("form", "--format", type=click.Choice(["parquet", "csv", "arrow"]))
@_query_options
@options.configuration
@options.data_dir
@options.json_output
def export(
    out: str,
    form: str | None,
    files: tuple[str, ...],
    sets: tuple[str, ...],
    data_dir: str | None,
    as_json: bool,
    port: int | None,
    **asked: Any,
) -> int:
    """Export what a query means, all of it unless limited."""
    loaded = options.make(files, sets, store__data_dir=options.flag(data_dir, "--data-dir"))
    quiet(loaded)
    address = _server(loaded, port)
    asked["start"] = asked["start"] or "1970-01-02"
    asked["end"] = asked["end"] or "2100-01-01"
    with bar(Path(out).name) as told:
        rows = asyncio.run(_export(loaded, address, asked, Path(out), form, told))
    if as_json:
        click.echo(json.dumps({"path": out, "rows": rows}))
    else:
        click.echo(t(f"{out}: {rows} rows", f"{out}：{rows} 行"))
    return 0


async def _export(
    loaded: Loaded,
    address: Address | None,
    asked: dict[str, Any],
    path: Path,
    form: Any,
    told: Callable[[int], None],
) -> int:
    from qautlra.store.exporter import export_tables, format_of

    form = form or format_of(path)
    if address is None:
        from qautlra.app.offline import open_store
        from qautlra.model.query import QueryRequest
        from qautlra.wire.query import decode_query

        request = decode_query(json.dumps(_body(asked)).encode())
        assert isinstance(request, QueryRequest)
        async with open_store(loaded) as opened:
            return await opened.store.export(request, path, form, told)
    import pyarrow as pa

    from qautlra.cli import remote

    with remote.ask(address, _body(asked), remote.ARROW, loaded.config.net.tls_cert) as reply:
        reader = pa.ipc.open_stream(reply)
        return await export_tables(_tables(reader), reader.schema, path, form, told)


async def _tables(reader: pa.RecordBatchStreamReader) -> AsyncIterator[pa.Table]:
    import pyarrow as pa

    while (batch := await asyncio.to_thread(next, reader, None)) is not None:
        yield pa.Table.from_batches([batch])


@data.command(help=t("Print stored rows.", "打印存储的数据。"))
@click.option(
    "form", "--format", type=click.Choice(_FORMATS), help=t("table on a terminal", "终端默认 table")
)
@_query_options
@options.configuration
@options.data_dir
@options.json_output
def query(
    form: str | None,
    files: tuple[str, ...],
    sets: tuple[str, ...],
    data_dir: str | None,
    as_json: bool,
    port: int | None,
    **asked: Any,
) -> int:
    """Answer one query in the form asked for."""
    loaded = options.make(files, sets, store__data_dir=options.flag(data_dir, "--data-dir"))
    quiet(loaded)
    form = "json" if as_json else form or ("table" if sys.stdout.isatty() else "json")
    if form == "table" and asked["limit"] is None:
        asked["limit"] = TABLE_ROWS
    address = _server(loaded, port)
    wanted = "json" if form == "table" else form
    answer = (
        _ask(address, asked, wanted, loaded.config.net.tls_cert)
        if address
        else asyncio.run(_answer(loaded, asked, wanted))
    )
    if form == "table":
        _print_table(json.loads(answer))
    else:
        click.echo(answer, nl=not answer.endswith(b"\n"))
    return 0


def _ask(address: Address, asked: dict[str, Any], form: str, cert: str) -> bytes:
    from qautlra.cli import remote

    with remote.ask(address, _body(asked), _TYPES[form], cert) as reply:
        return reply.read()


async def _answer(loaded: Loaded, asked: dict[str, Any], form: str) -> bytes:
    from qautlra.app.offline import open_store
    from qautlra.wire.query import decode_query

    request = decode_query(json.dumps(_body(asked)).encode(), accept=_TYPES[form])
    async with open_store(loaded) as opened:
        result = await opened.store.query.run(request)
        if isinstance(result.chunks, bytes):
            return result.chunks
        return b"".join([chunk async for chunk in result.chunks])


def _body(asked: dict[str, Any]) -> dict[str, Any]:
    fields = asked["fields"]
    body = {
        "stream": asked["stream"],
        "start_time": asked["start"],
        "end_time": asked["end"],
        "limit": asked["limit"],
        "filter": asked["where"],
        "order": asked["order"],
        "fields": options.names((fields,)) if fields else None,
    }
    return {key: value for key, value in body.items() if value is not None}


def _server(loaded: Loaded, port: int | None) -> Address | None:
    """Return the server to ask, None when the data directory is free; InputError when it hides."""
    if port is not None:
        return "127.0.0.1", port
    from qautlra.app.offline import holder
    from qautlra.app.places import data_directory
    from qautlra.cli import remote

    pid = holder(loaded)
    if pid is None:
        return None
    directory = data_directory(loaded.config.store.data_dir)
    address = remote.find(loaded, directory)
    if address is None:
        raise InputError(
            f"{directory} is held by another process" + (f" (pid {pid})" if pid else "") + "; name its --port"
        )
    return address


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not rows:
        click.echo(t("no rows", "没有数据"))
        return
    names = [name for name in TABLE_COLUMNS if name in rows[0]] if len(rows[0]) > 12 else list(rows[0])
    table = Table(box=box.SIMPLE)
    for name in names:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*("" if row.get(name) is None else str(row[name]) for name in names))
    Console().print(table)
