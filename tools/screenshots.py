"""Pictures of every page: `python tools/screenshots.py OUT`; needs the built page, Chromium and playwright.

A server of its own on simulated data, a trader with a position and a working order, an administrator; each
page in both themes, the dark ones in English, and once on a phone. Fails when a page reports an error or
overflows.
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
OFFICE = [
    "admin",
    "admin-accounts",
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
            page.wait_for_timeout(5_000)  # until the greeting is gone
        return page

    def take(page: Any, name: str) -> None:
        page.wait_for_timeout(2_000)
        page.screenshot(path=out / f"{name}-{look}.png")
        if (wide := page.evaluate(OVERFLOW)) > 0:
            faults.append(f"{look}: {name} is {wide} px too wide")

    page = enter("")
    for name in OPEN:
        page.goto(f"{base}/#/{name}")
        if name == "store":
            page.click('[data-test="ask"]')
        take(page, name)
    page.context.close()
    page = enter("ann")
    if act:
        trade(page, base)
    for name in TRADER:
        page.goto(f"{base}/#/{name}")
        take(page, name)
    page.context.close()
    page = enter("boss")
    for name in OFFICE:
        if name == "admin":
            page.goto(f"{base}/#/admin")
        else:
            page.click(f'[data-test="{name}"]')
        take(page, name)
    page.context.close()
    return faults


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
