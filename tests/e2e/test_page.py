"""What a person does on the page, in a real browser on a real server."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.browser import Visit, chromium, serious_faults, visit
from tests.e2e.conftest import Serve, Server, free_port, serving

__all__ = ["chromium", "visit"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
Visits = Callable[..., Visit]
ROUTES = ["overview", "market", "store", "monitor", "api", "login", "no-such-page"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all who only look."""
    for serve in serving(tmp_path_factory.mktemp("looked-at")):
        found = serve("--source", "sim", wait=False)
        found.wait_ready(60)
        yield found


def test_a_first_visit_sees_prices_move(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.page.goto(server.base)
    person.live()
    person.moves()
    assert person.page.title().startswith("Market")
    assert person.see("ask1").inner_text().split()[-1] != "—"
    assert person.page.locator('[data-test="tape"] tbody tr').first.is_visible()


def test_finds_an_instrument_and_switches_the_period(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.go("market")
    person.live()
    person.page.keyboard.press("/")
    person.see("search-input").fill("cu 2701")
    person.page.keyboard.press("Enter")
    book = person.see("book")
    person.until(lambda: "SHFE.cu2701" in book.inner_text())
    for name, duration in (("5m", 300), ("1h", 3600), ("1d", 86400)):
        person.see(f"period-{name}").click()
        person.page.locator('[data-test="kline"][data-loading="false"]').wait_for()
        wanted = {"aid": "set_chart", "ins_list": "SHFE.cu2701", "duration": duration * 10**9}
        charts = [json.loads(frame) for frame in person.sent if '"set_chart"' in frame]
        assert any(wanted.items() <= chart.items() for chart in charts)
    assert person.page.locator("canvas").count() > 3


def test_filters_stars_and_sorts_the_watch_list(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.go("market")
    person.live()
    person.see("filter").fill("SSE.")
    rows = person.page.locator('[data-test="watch"] [role="row"]')
    person.until(lambda: 0 < rows.count() < 10)
    assert all(text.startswith("SSE.") for text in rows.locator("b").all_inner_texts())
    rows.first.locator("button").click()
    person.see("filter").fill("")
    person.see("group").select_option("starred")
    person.until(lambda: rows.count() == 1)
    person.page.reload()
    person.live()
    person.see("group").select_option("starred")
    person.until(lambda: rows.count() == 1)


def test_a_stopped_server_makes_the_page_stale_and_it_recovers_by_itself(serve: Serve, visit: Visits) -> None:
    port = free_port()
    first = serve("--source", "sim", port=port, wait=False)
    first.wait_ready(60)
    person = visit(first.base)
    person.go("market")
    person.live()
    person.moves()
    person.cuts_expected = True
    first.stop()
    person.page.locator(".banner").wait_for()
    assert "old" in person.page.locator(".banner").inner_text()
    stale = person.page.locator('[data-test="watch"] [role="row"].stale')
    person.until(lambda: stale.count() > 5)
    serve("--source", "sim", port=port, wait=False).wait_ready(60)
    person.live()
    person.moves()
    person.until(lambda: not person.page.locator(".banner").is_visible())
    person.until(lambda: stale.count() == 0)


def test_changes_language_theme_and_colours_and_keeps_them(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.go("market")
    root = person.page.locator("html")
    assert root.get_attribute("lang") == "en"
    person.see("language").click()
    person.until(lambda: "行情" in person.page.locator("nav").inner_text())
    assert root.get_attribute("lang") == "zh-CN"
    seen = set()
    for _ in range(3):
        person.see("theme").click()
        seen.add(root.get_attribute("data-theme"))
    assert seen == {"light", "dark"}
    person.see("theme").click()
    theme = root.get_attribute("data-theme")
    person.see("colours").click()
    assert root.get_attribute("data-up") == "green"
    person.page.reload()
    person.live()
    assert root.get_attribute("lang") == "zh-CN"
    assert root.get_attribute("data-theme") == theme
    assert root.get_attribute("data-up") == "green"


def test_queries_the_store_and_downloads_csv(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.go("market")
    person.live()
    person.moves()
    person.go("store")
    person.see("query-filter").fill("instrument_id='SHFE.rb2701' AND last_price > 0")
    person.see("ask").click()
    person.page.locator('[data-test="answer"] tbody tr').first.wait_for()
    with person.page.expect_download() as waiting:
        person.see("save-csv").click()
    text = waiting.value.path().read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows
    assert {row["instrument_id"] for row in rows} == {"SHFE.rb2701"}
    assert all(float(row["last_price"]) > 0 for row in rows)
    person.see("query-filter").fill("nonsense ===")
    person.see("ask").click()
    person.page.locator(".error").wait_for()


def test_a_page_without_its_service_says_so(serve: Serve, visit: Visits) -> None:
    server = serve("--source", "sim", mode="md", wait=False)
    server.wait_ready(60)
    person = visit(server.base)
    person.go("store")
    assert "not running" in person.see("absent").inner_text()
    person.go("market")
    person.live()
    person.moves()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_accessibility_fault(server: Server, visit: Visits, theme: str) -> None:
    person = visit(server.base, color_scheme=theme, reduced_motion="reduce")
    found: dict[str, Any] = {}
    for route in ROUTES:
        person.go(route)
        person.page.wait_for_timeout(1_000)
        if faults := serious_faults(person.page):
            found[route] = faults
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)


@pytest.mark.parametrize("size", [(1280, 720), (390, 844)], ids=["laptop", "phone"])
@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_nothing_overflows(server: Server, visit: Visits, size: tuple[int, int], locale: str) -> None:
    person = visit(server.base, viewport={"width": size[0], "height": size[1]}, locale=locale)
    for route in ROUTES:
        person.go(route)
        person.page.wait_for_timeout(700)
        wide = person.page.evaluate(
            "() => [document.documentElement, document.querySelector('main')]"
            ".map((one) => one.scrollWidth - one.clientWidth)"
        )
        assert max(wide) <= 0, (route, wide)
