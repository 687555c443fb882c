"""A real Chromium on the page of a real server: fixtures for journeys, and what counts as a fault."""

import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Server, serving
from tests.services import missing, module, program

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WAIT_MS = 20_000
PASSWORD = "Secret-word-77"
Visits = Callable[..., "Visit"]
LOOKS = [
    ("light", "en-US", (1280, 720)), ("dark", "zh-CN", (1280, 720)), ("light", "zh-CN", (390, 844)),
    ("dark", "en-US", (390, 844)),
]  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, headless; for one module, as playwright's loop keeps others from running one."""
    found = program("chromium")
    if not files("qautlra.net").joinpath("page", "index.html").is_file():
        missing("the built page (make web)")
    sync_api = module("playwright.sync_api", "playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """One person's browser: a page, and everything it complained about."""

    def __init__(self, browser: Any, base: str, **context: Any) -> None:
        self.base = base
        options = {"viewport": {"width": 1280, "height": 720}, "locale": "en-US"} | context
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.faults: list[str] = []
        self.outside: list[str] = []
        self.sent: list[str] = []
        self.unanswered: set[Any] = set()
        self.cuts_expected = False
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("console", self._console)
        self.page.on("request", self._request)
        self.page.on("requestfinished", lambda request: self.unanswered.discard(request))
        self.page.on("requestfailed", lambda request: self.unanswered.discard(request))
        self.page.on("websocket", lambda line: line.on("framesent", self._sent))

    def _console(self, message: Any) -> None:
        quiet = ("Failed to load resource", *(("WebSocket connection",) if self.cuts_expected else ()))
        if message.type == "error" and not message.text.startswith(quiet):
            self.faults.append(f"console: {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.outside.append(request.url)
        self.unanswered.add(request)

    def _sent(self, frame: Any) -> None:
        self.sent.append(frame if isinstance(frame, str) else "")

    def go(self, route: str) -> None:
        """Open a route of the page."""
        self.page.goto(f"{self.base}/#/{route}")

    def see(self, test: str) -> Any:
        """Return the element a test names; it must be visible."""
        found = self.page.locator(f'[data-test="{test}"]')
        found.first.wait_for(state="visible")
        return found.first

    def until(self, what: Callable[[], Any], within_s: float = 20.0) -> Any:
        """Wait until something is true and return it."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = what()
            if found:
                return found
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never true: {what}")

    def live(self) -> None:
        """Wait until the page says that what it shows is live."""
        self.page.locator('[data-test="link"].good').wait_for()

    def settled(self) -> None:
        """Wait until everything the page has asked for is answered and painted, and nothing more is asked."""
        for _ in range(2):
            self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
            self.until(lambda: not self.unanswered)
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

    def moves(self, within_s: float = 15.0) -> None:
        """Wait until a price on the page has changed."""
        cells = self.page.locator('[data-cell="last"]')
        cells.first.wait_for()
        before = cells.all_inner_texts()
        self.until(lambda: cells.all_inner_texts() != before, within_s)

    def close(self) -> None:
        """End the visit; an error in the page or a call to another host fails the test."""
        self.context.close()
        assert not self.faults, self.faults
        assert not self.outside, self.outside


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visit]]:
    """Start visits: `visit(server.base, viewport=...)`; each is closed and judged at the end."""
    visits: list[Visit] = []

    def start(base: str, **context: Any) -> Visit:
        visits.append(Visit(chromium, base, **context))
        return visits[-1]

    yield start
    for one in visits:
        one.close()


def serious_faults(page: Any) -> list[str]:
    """Return what axe-core finds serious or critical on a page."""
    if not AXE.is_file():
        missing("axe-core (cd web && npm ci)")
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {node['target']} {node.get('failureSummary', '')[:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]


def as_look(look: tuple[str, str, tuple[int, int]]) -> dict[str, Any]:
    """Return what a browser is started with to look so: theme, language, size; and nothing moves."""
    theme, locale, (width, height) = look
    return {
        "color_scheme": theme, "locale": locale, "viewport": {"width": width, "height": height},
        "reduced_motion": "reduce",
    }  # fmt: skip


def wide(page: Any) -> int:
    """Return by how many pixels the page is wider than its window."""
    found: int = page.evaluate(
        "() => Math.max(...[document.documentElement, document.querySelector('main')]"
        ".map((one) => one.scrollWidth - one.clientWidth))"
    )
    return found


def judge(page: Any, name: str, faults: dict[str, Any]) -> None:
    """Add to `faults` what axe-core finds, and whether the page is too wide."""
    found = serious_faults(page)
    if (over := wide(page)) > 0:
        found.append(f"{over} px too wide")
    if found:
        faults[name] = found


@dataclass
class House:
    """A server with an administrator `boss`, and a trader for this test."""

    server: Server
    visits: Visits
    trader: str

    def enter(self, name: str, route: str = "trade", **context: Any) -> Visit:
        person = self.visits(self.server.base, **context)
        person.go(f"login?next=/{route}")
        person.see("name").fill(name)
        person.see("password").fill(PASSWORD)
        person.see("enter").click()
        person.page.wait_for_url(f"**/#/{route}")
        return person


def add_user(server: Server, name: str, *more: str) -> None:
    server.add_user(name, PASSWORD, *more)


_numbers = itertools.count(1)


def add_trader(server: Server) -> str:
    """Add a trader with a fresh account of the same name; return the name."""
    name = f"ann{next(_numbers)}"
    add_user(server, name, "--role", "trader", "--account", name, "--broker", "paper", "--cash", "1000000")
    return name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with a simulated market and an administrator, for the tests of a module."""
    for serve in serving(tmp_path_factory.mktemp("served")):
        found = serve("--source", "sim")
        add_user(found, "boss", "--role", "admin")
        yield found


@pytest.fixture
def house(server: Server, visit: Visits) -> House:
    """The module's server, with a trader of this test's own."""
    return House(server, visit, add_trader(server))


def ready(person: Visit) -> None:
    person.live()
    person.page.locator('[data-test="trade-link"].good').first.wait_for()


def number(text: str) -> float:
    return float(re.sub(r"[^\d.+-]", "", text))


def choose(person: Visit, symbol: str) -> None:
    person.page.keyboard.press("Control+k")
    person.see("search-input").fill(symbol)
    person.page.keyboard.press("Enter")
    person.until(lambda: symbol in person.see("book").inner_text())


def level(person: Visit, name: str) -> float:
    """Return the price of a level of the book, as soon as there is one."""
    cell = person.see(name).locator(".num").first
    return number(person.until(lambda: (text := cell.inner_text()) != "—" and text))
