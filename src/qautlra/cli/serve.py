"""`qautlra serve`: loads the configuration, composes the process, prints where it is reached, runs it."""

from __future__ import annotations

import gc
import json
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from qautlra.cli import options
from qautlra.cli.language import Command, t
from qautlra.config.choose import not_in_force
from qautlra.config.load import Loaded

if TYPE_CHECKING:
    from qautlra.app.app import App


@click.command(
    cls=Command,
    help=t(
        "Run services in this process and print where they are reached. SIGTERM or Ctrl-C ends it cleanly.",
        "在本进程中运行服务并打印访问地址。SIGTERM 或 Ctrl-C 正常结束。",
    ),
)
@click.option(
    "modes",
    "--mode",
    multiple=True,
    metavar="MODE[,MODE]",
    help=t(
        "all, md, db, ingest, query, trade, web; a comma list is allowed.",
        "all、md、db、ingest、query、trade、web，可用逗号分隔。",
    ),
)
@click.option(
    "sources",
    "--source",
    multiple=True,
    metavar="KIND",
    help=t(
        "sim, replay, ctp, upstream, tencent or sina (default: sim); live ones may be repeated.",
        "sim、replay、ctp、upstream、tencent 或 sina（默认 sim），实时行情源可重复。",
    ),
)
@click.option(
    "replay",
    "--replay",
    multiple=True,
    metavar="FILE",
    help=t("File of ticks to replay; may be repeated.", "要回放的行情文件，可重复。"),
)
@click.option("--speed", metavar="1|N|max", help=t("Replay speed.", "回放速度。"))
@click.option("--loop", is_flag=True, help=t("Replay again and again.", "循环回放。"))
@options.configuration
@options.data_dir
@click.option(
    "--host", metavar="HOST", help=t("Address to listen on (127.0.0.1).", "监听地址（127.0.0.1）。")
)
@click.option(
    "--port",
    type=int,
    metavar="PORT",
    help=t(
        "Port of HTTP, WebSockets and page, no other; the CTP front has its own (trade.ctp_front.listen).",
        "HTTP、WebSocket 与网页只用这个端口；CTP 前置另有端口（trade.ctp_front.listen）。",
    ),
)
@click.option("log_level", "--log-level", metavar="LEVEL", help=t("info, debug, …", "日志级别。"))
@options.json_output
def serve(
    modes: tuple[str, ...],
    sources: tuple[str, ...],
    replay: tuple[str, ...],
    speed: str | None,
    loop: bool,
    files: tuple[str, ...],
    sets: tuple[str, ...],
    data_dir: str | None,
    host: str | None,
    port: int | None,
    log_level: str | None,
    as_json: bool,
) -> int:
    """Load, compose and run; the exit code of the process."""
    loaded = options.make(
        files,
        sets,
        mode=options.flag(options.names(modes), "--mode"),
        source__kinds=options.flag(options.names(sources), "--source"),
        source__replay__files=options.flag(list(replay), "--replay"),
        source__replay__speed=options.flag(speed, "--speed"),
        source__replay__loop=options.flag(loop, "--loop"),
        store__data_dir=options.flag(data_dir, "--data-dir"),
        log__level=options.flag(log_level, "--log-level"),
        net__listen__host=options.flag(host, "--host"),
        net__listen__port=options.flag(port, "--port"),
    )
    return run(loaded, as_json)


def run(loaded: Loaded, as_json: bool, more: Callable[[App], dict[str, Any]] = lambda _app: {}) -> int:
    """Run the process of this configuration to its end; the exit code. `more` is told with the addresses."""
    from qautlra.base.imports import certificates_unread
    from qautlra.base.memory import collect_seldom, keep_freed

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `store.kept` gives it to processes of ours
    collect_seldom()
    keep_freed()

    import asyncio

    import uvloop

    with certificates_unread():
        from aiohttp import http_writer

    from qautlra.app.compose import build
    from qautlra.base import log

    log.configure(loaded.config.log.level, loaded.config.log.style)
    logger = log.get_logger("app")
    for warning in [*loaded.warnings, *not_in_force(loaded)]:
        logger.warning("configuration", text=warning)
    _raise_open_files()
    # aiohttp joins the parts of an answer, 4 MB each of a stream, while asyncio's own `writelines` does not
    # hold a fast writer back (before Python 3.12.9); uvloop's does.
    http_writer.SKIP_WRITELINES = False
    app = build(loaded)
    gc.freeze()  # what modules are made of is no garbage either
    if app.choice.note:
        logger.warning("source", text=app.choice.note)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(app.run(lambda ready: _announce(ready, as_json, more(ready))))


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _announce(app: App, as_json: bool, more: dict[str, Any]) -> None:
    config = app.loaded.config
    urls: list[str] = app.parts["net"].urls
    sockets = [url.replace("http", "ws", 1) + "/ws/market" for url in urls]
    store = app.parts.get("store")
    facts: dict[str, Any] = {
        "ready": True,
        "pid": os.getpid(),
        "mode": list(config.mode),
        "sources": list(app.choice.kinds),
        "ports": [address[1] for address in app.parts["net"].addresses],
        "urls": urls,
        "market": sockets,
        "data_dir": str(store.data_dir) if store is not None else None,
        "started_s": round(app.uptime_s(), 3),
        **more,
    }
    if app.choice.note:
        facts["note"] = app.choice.note
    if as_json:
        print(json.dumps(facts, ensure_ascii=False), flush=True)
        return
    lines = [
        t("qautlra is ready", "qautlra 已就绪")
        + f" ({', '.join(config.mode)}; "
        + t("source ", "行情源 ")
        + f"{', '.join(app.choice.kinds) or '-'}; {facts['started_s']} s)",
        t("  page    ", "  网页    ") + f"{urls[0]}/",
    ]
    if "feed" in app.parts:
        lines.append(t("  market  ", "  行情    ") + sockets[0])
    if store is not None:
        lines.append(t("  query   ", "  查询    ") + f"{urls[0]}/api/v1/query")
        lines.append(t("  data    ", "  数据    ") + str(store.data_dir))
    if "password" in more:
        lines.append(t("  user    ", "  用户    ") + str(more["user"]))
        lines.append(t("  password", "  密码    ") + f" {more['password']}")
    if len(urls) > 1:
        lines.append(t("  also on ", "  其他端口 ") + " ".join(str(port) for port in facts["ports"][1:]))
    if app.choice.note:
        lines.append(f"  ! {app.choice.note}")
    print("\n".join(lines), flush=True)
