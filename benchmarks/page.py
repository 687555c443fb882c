"""The market page in a real browser: 200 instruments at 2 Hz each, frames per second and main-thread time.

A real `qautlra serve` replays made ticks of 200 futures at their own pace; Chromium shows the market page
with chart, book and tape of one of them. Frames are counted by requestAnimationFrame in the page, work by the
browser's own counters. The control is the same page on the same server when the ticks have ended.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from pathlib import Path
from typing import Any

import _bench

_bench.import_product()

SHFE = ("rb", "hc", "cu", "al", "zn", "ni", "ag", "ru", "fu", "bu", "sp")
DCE = ("m", "y", "p", "c", "i", "jm", "j", "a", "cs")
PRODUCTS = (*SHFE, *DCE)
MONTHS = range(2102, 2112)
HZ = 2
DAY = 20210104
COLUMNS = (
    "TradingDay", "InstrumentID", "ExchangeID", "LastPrice", "PreSettlementPrice", "PreClosePrice",
    "OpenPrice", "HighestPrice", "LowestPrice", "Volume", "Turnover", "OpenInterest",
    "UpperLimitPrice", "LowerLimitPrice", "UpdateTime", "UpdateMillisec", "ActionDay",
)  # fmt: skip
SETTLE_S = 4
OPENING_S = 12  # from the first tick to an open page
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FRAME_MS = 1000 / 60
WATCH = """(seconds) => new Promise((resolve) => {
  const gaps = []; const long = []; let last = performance.now(); const end = last + seconds * 1000;
  const observer = new PerformanceObserver((list) => long.push(...list.getEntries()));
  observer.observe({type: 'longtask'});
  const step = (now) => {
    gaps.push(now - last); last = now;
    if (now < end) requestAnimationFrame(step);
    else { observer.disconnect(); resolve({gaps: gaps.slice(1), long}); }
  };
  requestAnimationFrame(step);
})"""
COUNT = """() => ({
  rows: document.querySelectorAll('[data-symbol]').length,
  shown: document.querySelector('[data-test="count"]').textContent,
})"""


LOADED = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .filter((one) => !one.name.includes('/api/') && !one.name.endsWith('/healthz'))
  .reduce((sum, one) => sum + one.encodedBodySize, 0)"""


def main() -> None:
    """Measure the page with and without ticks and print the line."""
    chosen = _bench.options(__doc__ or "", ("--seconds", {"type": float}), ("--rounds", {"type": int}))
    seconds = chosen.seconds or (1.0 if chosen.short else 15.0)
    settle_s = 1 if chosen.short else SETTLE_S
    rounds = chosen.rounds or (1 if chosen.short else 3)
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        _bench.report("page", skipped="no Chromium, or no playwright to drive it", control="none")
        return
    measured: dict[str, list[dict[str, float]]] = {"ticks": [], "control": []}
    facts: dict[str, Any] = {}
    server_core, _ = _bench.cores()
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as directory, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for number in range(rounds):
            ticks = Path(directory) / f"ticks-{number}.csv"
            write_ticks(ticks, int(OPENING_S + settle_s + seconds))
            with _bench.serve("--source", "replay", "--replay", str(ticks), core=server_core) as server:
                page = browser.new_page(viewport={"width": 1280, "height": 720})
                page.goto(f"{server.url}/#/market")
                if "built without its page" in page.content():
                    _bench.report("page", skipped="no page is built (make web)", control="none")
                    return
                page.locator("[data-symbol]").nth(10).wait_for()
                facts["first_load_bytes"] = page.evaluate(LOADED)
                page.wait_for_timeout(settle_s * 1000)
                before = server.service("feed")["ticks"]
                measured["ticks"].append(watch(page, seconds))
                facts["ticks_per_s"] = round((server.service("feed")["ticks"] - before) / seconds, 1)
                facts.update(page.evaluate(COUNT))
                server.wait("source.replay", "state", "finished", 30)
                page.wait_for_timeout(1500)
                measured["control"].append(watch(page, seconds))
                page.close()
        browser.close()
    lines = {
        who: {key: _bench.spread([run[key] for run in runs], 2) for key in runs[0]}
        for who, runs in measured.items()
    }
    _bench.report(
        "page",
        **lines,
        instruments=len(PRODUCTS) * len(MONTHS),
        seconds=seconds,
        rows_rendered=facts["rows"],
        instruments_listed=facts["shown"],
        ticks_per_s=facts["ticks_per_s"],
        first_load_bytes=facts["first_load_bytes"],
        first_load_bytes_max=250_000,
        target_fps=60,
        met=lines["ticks"]["fps"]["median"] >= 59,
        value="frames by requestAnimationFrame; busy_share: TaskDuration of the page per second",
    )


def watch(page: Any, seconds: float) -> dict[str, float]:
    """Return the frames and the work of the page over `seconds`."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before = counters(session)
    found = page.evaluate(WATCH, seconds)
    after = counters(session)
    session.detach()
    gaps = found["gaps"]
    spent = sum(gaps) / 1000
    return {
        "fps": len(gaps) / spent,
        "frame_p50_ms": _bench.quantile(gaps, 0.5),
        "frame_p99_ms": _bench.quantile(gaps, 0.99),
        "frames_over_2x": sum(gap > 2 * FRAME_MS for gap in gaps),
        "long_tasks": len(found["long"]),
        "busy_share": (after["TaskDuration"] - before["TaskDuration"]) / spent,
        "script_share": (after["ScriptDuration"] - before["ScriptDuration"]) / spent,
        "layout_share": (
            after["LayoutDuration"] + after["RecalcStyleDuration"]
            - before["LayoutDuration"] - before["RecalcStyleDuration"]
        ) / spent,
    }  # fmt: skip


def counters(session: Any) -> dict[str, float]:
    """Return the browser's counters of the page, seconds since it began."""
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}


def write_ticks(path: Path, seconds: int) -> None:
    """Write CTP ticks: every instrument twice a second, its own milliseconds, each with a new price."""
    levels = [
        f"{side}{what}{n}" for n in range(1, 6) for side in ("Bid", "Ask") for what in ("Price", "Volume")
    ]
    ids = [(f"{product}{month}", product) for product in PRODUCTS for month in MONTHS]
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*COLUMNS, *levels])
        for half in range(seconds * HZ):
            for number, (instrument, product) in enumerate(ids):
                last = 3000.0 + (half * 7 + number * 13) % 40
                at = half * 500 + number * 500 // len(ids)
                clock = f"13:{30 + at // 60_000:02d}:{at // 1000 % 60:02d}"
                exchange = "SHFE" if product in SHFE else "DCE"
                volume = 1000 + half * 3
                row: list[Any] = [DAY, instrument, exchange, last, 3010.0, 3005.0, 3000.0, 3040.0, 2990.0]
                row += [volume, volume * 30000.0, 50_000 + half, 3300.0, 2700.0, clock, at % 1000, DAY]
                for n in range(1, 6):
                    row += [last - n, 10 + (half + n) % 90, last + n, 10 + (half * 3 + n) % 90]
                out.writerow(row)


if __name__ == "__main__":
    main()
