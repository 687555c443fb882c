"""`qautlra doctor`: looks at this machine and says of each thing whether it is good, and what to do."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import resource
import shutil
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import NamedTuple

import click

from qautlra.base import clock
from qautlra.base.errors import QautlraError
from qautlra.cli import options
from qautlra.cli.language import Command, t
from qautlra.config.load import Loaded

FREE_DISK_BYTES = 2 << 30
OPEN_FILES_COUNT = 8192
CALENDAR_AHEAD_DAYS = 45
PARTS = {
    "pandas": (t("data frames in qautlra.qamd", "qautlra.qamd 的 DataFrame"), "qautlra[pandas]"),
    "aiokafka": (t("rows by Kafka", "从 Kafka 接收数据"), "qautlra[kafka]"),
    "deltalake": (t("open tables", "Delta 开放表"), "qautlra[lake]"),
    "websockets": (t("benchmarks", "性能测试"), "qautlra[bench]"),
}
CORE = ("market", "tape", "feed", "journal", "store", "sim", "ctp", "ctp_feed")


class Finding(NamedTuple):
    """One thing looked at: `ok`, `warn` or `bad`, what was seen, and what to do when it is not ok."""

    name: str
    state: str
    seen: str
    do: str = ""


def _python() -> list[Finding]:
    good = sys.version_info >= (3, 11)
    seen = f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}"
    return [Finding("python", "ok" if good else "bad", seen, "" if good else t("use 3.11+", "请用 3.11+"))]


def _core() -> list[Finding]:
    missing = []
    for name in CORE:
        try:
            __import__(f"qautlra._core.{name}")
        except ImportError as error:
            missing.append(f"{name} ({error})")
    if missing:
        advice = t(
            "install the wheel, or run `make core` in a checkout", "安装 wheel，或在源码目录运行 make core"
        )
        return [Finding("core", "bad", "; ".join(missing), advice)]
    return [Finding("core", "ok", ", ".join(CORE))]


def _loop() -> list[Finding]:
    try:
        __import__("uvloop")
    except ImportError as error:
        return [Finding("uvloop", "bad", str(error), "pip install uvloop")]
    return [Finding("uvloop", "ok", version("uvloop"))]


def _parts() -> list[Finding]:
    found = []
    for name, (use, extra) in PARTS.items():
        there = importlib.util.find_spec(name) is not None
        found.append(
            Finding(
                f"optional: {name}",
                "ok" if there else "warn",
                use if there else t(f"not installed; only for {use}", f"未安装；仅用于{use}"),
                "" if there else f'pip install "{extra}"',
            )
        )
    return found


def _ctp(loaded: Loaded) -> list[Finding]:
    """Whether CTP's libraries are there and of a known release, and whether ours is built."""
    from qautlra._core.ctp import Library, LibraryError
    from qautlra.base.errors import ConfigError
    from qautlra.link.ctp_library import ADVICE, find_libraries, simulated_library

    built = simulated_library().is_file()
    found = [
        Finding(
            "simulated CTP",
            "ok" if built else "bad",
            str(simulated_library()),
            "" if built else t("install the wheel, or `make core`", "安装 wheel，或运行 make core"),
        )
    ]
    try:
        libraries = find_libraries(loaded.config.ctp.md_lib, loaded.config.ctp.td_lib)
    except ConfigError as error:
        chosen = bool(loaded.config.ctp.md_lib or loaded.config.ctp.td_lib)
        only = t("not found; only for real CTP fronts", "未找到；仅连接真实 CTP 前置时需要")
        seen = error.message if chosen else only
        return [*found, Finding("CTP libraries", "bad" if chosen else "warn", seen, ADVICE)]
    try:
        releases = {
            Library(libraries.market, True).release,
            Library(libraries.trader, False).release,
        }
    except LibraryError as error:
        return [*found, Finding("CTP libraries", "bad", str(error), ADVICE)]
    return [*found, Finding("CTP libraries", "ok", f"{', '.join(releases)} ({libraries.where})")]


def _ports(loaded: Loaded) -> list[Finding]:
    found = []
    for endpoint in loaded.endpoints:
        family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((endpoint.host, endpoint.port))
            except OSError as error:
                found.append(
                    Finding(
                        f"port {endpoint.text}",
                        "bad" if endpoint.required else "warn",
                        error.strerror or str(error),
                        t(
                            "is a server running? else use --port",
                            "是否已有服务在运行？否则用 --port 指定其他端口",
                        ),
                    )
                )
            else:
                found.append(Finding(f"port {endpoint.text}", "ok", t("free", "空闲")))
    return found


def _clock() -> list[Finding]:
    now_ns = clock.wall_ns()
    local = datetime.fromtimestamp(now_ns / 1e9).astimezone()
    sane = 2024 < local.year < 2100
    found = [
        Finding(
            "clock",
            "ok" if sane else "bad",
            f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
            + t(" (markets always use Asia/Shanghai)", "（市场时间总是 Asia/Shanghai）"),
            "" if sane else t("set the date (NTP)", "请校准系统时间（NTP）"),
        )
    ]
    before = clock.monotonic_ns()
    ticks = [clock.monotonic_ns() for _ in range(1000)]
    cost_ns = (ticks[-1] - before) / len(ticks)
    slow = cost_ns > 2_000
    advice = t("the clock source is slow (see /sys/devices/system/clocksource)", "时钟源较慢")
    found.append(Finding("clock cost", "warn" if slow else "ok", f"{cost_ns:.0f} ns", advice if slow else ""))
    return found


def _calendar() -> list[Finding]:
    from qautlra.model.calendar import data_file, load_calendar

    try:
        known = load_calendar().known_through
    except (OSError, ValueError) as error:
        return [Finding("trading calendar", "bad", str(error), t("correct that file", "请更正该文件"))]
    last = datetime(known // 10000, known // 100 % 100, known % 100, tzinfo=UTC)
    soon = last < datetime.fromtimestamp(clock.wall_ns() / 1e9, UTC) + timedelta(days=CALENDAR_AHEAD_DAYS)
    advice = t(
        "enter the next holidays in a copy, ~/.config/qautlra/calendar.toml: until then every weekday trades",
        "请在 ~/.config/qautlra/calendar.toml 中补充下一年度休市安排；在此之前所有工作日均视为交易日",
    )
    seen = t(f"holidays known through {last:%Y-%m-%d}", f"休市安排至 {last:%Y-%m-%d}")
    seen += f" ({data_file('calendar.toml')})"
    return [Finding("trading calendar", "warn" if soon else "ok", seen, advice if soon else "")]


def _disk(loaded: Loaded) -> list[Finding]:
    from qautlra.app.places import data_directory

    path = data_directory(loaded.config.store.data_dir)
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    writable = os.access(there, os.W_OK | os.X_OK)
    found = [
        Finding(
            "data directory",
            "ok" if writable else "bad",
            f"{path}" + ("" if path.exists() else t(" (to be made)", "（将创建）")),
            ""
            if writable
            else t("set store.data_dir to a writable place", "请将 store.data_dir 设为可写目录"),
        ),
        Finding(
            "free disk",
            "ok" if free >= FREE_DISK_BYTES else "warn",
            f"{free / (1 << 30):.1f} GiB",
            "" if free >= FREE_DISK_BYTES else t("free some space", "请清理磁盘空间"),
        ),
    ]
    return found


def _files() -> list[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = hard if hard != resource.RLIM_INFINITY else 1 << 30  # serve raises soft to hard
    good = limit >= OPEN_FILES_COUNT
    advice = t(
        f"`ulimit -n {OPEN_FILES_COUNT}`: each client is one",
        f"ulimit -n {OPEN_FILES_COUNT}：每个客户端占用一个",
    )
    return [Finding("open files", "ok" if good else "warn", f"{soft} / {hard}", "" if good else advice)]


@click.command(
    cls=Command,
    help=t(
        "Check Python, the compiled core, optional parts, ports, clocks, disk and limits.",
        "检查 Python、编译模块、可选组件、端口、时钟、磁盘与系统限制。",
    ),
)
@options.configuration
@options.json_output
def doctor(files: tuple[str, ...], sets: tuple[str, ...], as_json: bool) -> int:
    """Print the findings; 1 when any is bad."""
    findings: list[Finding] = []
    checks: list[Callable[[], list[Finding]]] = [_python, _core, _loop, _parts, _clock, _calendar, _files]
    try:
        loaded = options.make(files, sets)
    except QautlraError as error:
        findings.append(
            Finding("configuration", "bad", error.message, t("correct that value", "请更正该配置项"))
        )
    else:
        findings.append(Finding("configuration", "ok", ", ".join(loaded.files) or t("defaults", "默认值")))
        findings += [Finding("configuration", "warn", warning) for warning in loaded.warnings]
        checks += [lambda: _ports(loaded), lambda: _disk(loaded), lambda: _ctp(loaded)]
    for check in checks:
        findings += check()
    bad = any(finding.state == "bad" for finding in findings)
    if as_json:
        click.echo(
            json.dumps({"ok": not bad, "findings": [f._asdict() for f in findings]}, ensure_ascii=False)
        )
        return int(bad)
    marks = {
        "ok": click.style("✔", fg="green"),
        "warn": click.style("!", fg="yellow"),
        "bad": click.style("✘", fg="red"),
    }
    for finding in findings:
        click.echo(f"{marks[finding.state]} {finding.name:<24} {finding.seen}")
        if finding.do:
            click.echo(f"  {'':<24} → {finding.do}")
    return int(bad)
