"""Pictures of every page: `python tools/screenshots.py OUT`; needs the built page, Chromium and playwright.

A server of its own on simulated data, a trader with two accounts, a settled day, a position and a working
order, an administrator; each page, tab and dialog in both themes, one in Chinese and one in English, and on a
phone. Fails when a page reports an error or overflows.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

PASSWORD = "Pictures-of-pages-1"
OPEN = ["market", "overview", "store", "monitor", "api", "login", "no-such-page"]
TRADER = ["trade", "positions", "orders", "account"]
LISTS = ["legs", "trades", "quotes", "tape", "batch", "condition"]
OFFICE = [
    "admin",
    "admin-accounts",
    "admin-orders",
    "admin-money",
    "admin-users",
    "admin-instruments",
    "admin-settlement",
    "admin-audit",
    "admin-news",
]
LOOKS = [
    ("light-zh", {"theme": "light", "language": "zh"}, (1280, 720)),
    ("dark-en", {"theme": "dark", "language": "en"}, (1280, 720)),
    ("phone-zh", {"theme": "dark", "language": "zh"}, (390, 844)),
    ("phone-en", {"theme": "light", "language": "en"}, (390, 844)),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
OVERFLOW = "document.querySelector('main').scrollWidth - document.querySelector('main').clientWidth"


def main() -> int:
    """Take the pictures; 1 when a page complained."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "build/screenshots")
    out.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as data, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        product = [sys.executable, "-m", "qautlra"]
        server = subprocess.Popen(
            [*product, "serve", "--mode", "all", "--port", str(port), "--data-dir", data],
            stdout=subprocess.DEVNULL, env=os.environ,
        )  # fmt: skip
        try:
            base = f"http://127.0.0.1:{port}"
            wait_ready(base)
            for name, *more in (
                ("ann", "--role", "trader", "--account", "ann1", "--broker", "paper", "--cash", "1000000"),
                ("boss", "--role", "admin"),
            ):
                command = [*product, "user", "add", name, "--password-stdin", "--port", str(port), *more]
                subprocess.run(command, input=f"{PASSWORD}\n".encode(), check=True, capture_output=True)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
                for number, (look, prefs, size) in enumerate(LOOKS):
                    faults += visit(browser, base, out, look, prefs, size, act=number == 0)
                browser.close()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(20)
    print("\n".join(faults) or f"{len(list(out.glob('*.png')))} pictures in {out}")
    return 1 if faults else 0


def wait_ready(base: str) -> None:
    """Return when every service runs."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{base}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the server does not become ready")


def visit(
    browser: Any, base: str, out: Path, look: str, prefs: dict[str, str], size: tuple[int, int], *, act: bool
) -> list[str]:
    """Take every page in one look; return what pages complained of."""
    faults: list[str] = []
    chosen = json.dumps({**prefs, "symbol": "SHFE.rb2701", "confirm": False})

    def enter(name: str) -> Any:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        context.add_init_script(f"localStorage.setItem('qautlra.prefs', {json.dumps(chosen)})")
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"{look}: {error}"))
        if name:
            page.goto(f"{base}/#/login?next=/overview")
            page.fill('[data-test="name"]', name)
            page.fill('[data-test="password"]', PASSWORD)
            page.click('[data-test="enter"]')
            page.wait_for_url("**/#/overview")
            page.wait_for_timeout(4_500)  # until the greeting is gone
        return page

    def take(page: Any, name: str) -> None:
        page.wait_for_timeout(1_200)
        page.screenshot(path=out / f"{name}-{look}.png")
        if (wide := page.evaluate(OVERFLOW)) > 0:
            faults.append(f"{look}: {name} is {wide} px too wide")

    page = enter("")
    for name in OPEN:
        page.goto(f"{base}/#/{name}")
        if name == "store":
            page.click('[data-test="ask"]')
        take(page, name)
    page.goto(f"{base}/#/market")
    page.click('[data-test="search"]')
    take(page, "dialog-search")
    page.context.close()
    if act:
        page = enter("ann")
        page.click('[data-test="open-account"]')
        page.fill('[data-test="fill-name"]', "ann2")
        page.click('[data-test="confirm"]')
        page.locator('[data-account="ann2"]').wait_for()
        trade(page, base)
        page.context.close()
        page = enter("boss")
        settle(page, base)
        page.context.close()
    page = enter("ann")
    if act:
        trade(page, base)
    for name in ["overview", *TRADER]:
        page.goto(f"{base}/#/{name}")
        take(page, f"{name}-in" if name == "overview" else name)
    page.goto(f"{base}/#/orders")
    page.click('[data-test="tab-history"]')
    page.click('[data-test="history-show"]')
    take(page, "orders-history")
    page.goto(f"{base}/#/trade")
    for name in LISTS:
        page.click(f'[data-test="tab-{name}"]')
        if name == "batch":
            page.fill('[data-test="batch"]', "SHFE.rb2701, BUY, OPEN, 3100, 1\nnonsense")
        take(page, f"trade-{name}")
    page.context.close()
    page = enter("boss")
    for name in OFFICE:
        if name == "admin":
            page.goto(f"{base}/#/admin")
        else:
            page.click(f'[data-test="{name}"]')
        if name == "admin-accounts":
            page.locator('[data-test="accounts"] tbody tr').first.click()
        if name == "admin-users":
            page.locator('[data-test="users"] tbody tr').first.click()
        if name == "admin-settlement":
            page.locator('[data-test="settled-open"]').first.click()
        take(page, name)
    page.click('[data-test="admin-accounts"]')
    page.locator('[data-test="freeze"]').first.click()
    take(page, "dialog-freeze")
    page.context.close()
    return faults


def settle(page: Any, base: str) -> None:
    """End the trading day, so that there are statements, a history and a curve of days."""
    page.goto(f"{base}/#/admin")
    page.click('[data-test="admin-settlement"]')
    page.check('[data-test="settle-force"]')
    page.click('[data-test="settle"]')
    page.fill('[data-test="confirm-word"]', "SETTLE")
    page.click('[data-test="confirm"]')
    page.locator('[data-test="settled"] tbody tr').first.wait_for()
    page.click('[data-test="admin-news"]')
    page.fill('[data-test="news-title"]', "夜盘时间调整 / Night session hours")
    page.fill('[data-test="news-content"]', "本周五夜盘 21:00 开始。\nFriday night begins at 21:00.")
    page.click('[data-test="news-add"]')
    page.locator('[data-test="news-drop"]').first.wait_for()


def trade(page: Any, base: str) -> None:
    """Have a position and a working order to show."""
    page.goto(f"{base}/#/trade")
    page.locator('[data-test="trade-link"].good').first.wait_for()
    page.wait_for_timeout(1_500)
    for level in ("ask5", "bid5"):
        page.click(f'[data-test="{level}"]')
        page.click('[data-test="buy"]')
        page.fill('[data-test="volume"]', "2")
        page.click('[data-test="submit"]')
        page.wait_for_timeout(800)


if __name__ == "__main__":
    sys.exit(main())
