"""What a person does on the page, in a real browser on a real server."""

import csv
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.ipc
import pyarrow.parquet
import pytest

from tests.e2e.browser import (
    LOOKS,
    House,
    Visits,
    add_user,
    as_look,
    choose,
    chromium,
    judge,
    server,
    visit,
    wide,
)
from tests.e2e.conftest import Serve, Server, free_port

__all__ = ["chromium", "server", "visit"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ROUTES = ["overview", "market", "store", "monitor", "api", "login", "no-such-page"]


def test_a_first_visit_sees_prices_move(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.page.goto(server.base)
    person.live()
    person.moves()
    assert person.page.title().startswith("Market")
    assert person.see("ask1").inner_text().split()[-1] != "—"
    assert "KQ." not in person.see("book").inner_text(), "what is shown first can be traded"
    assert person.page.locator('[data-test="tape"] tbody tr').first.is_visible()


BOOK = """() => [...document.querySelectorAll('[data-test="book"] .level .num, [data-test="book"] dl dd')]
    .map((one) => Number(one.innerText.replaceAll(",", "")))"""
LEVELS = [f"{side}_{what}{n}" for side, ns in (("ask", "54321"), ("bid", "12345")) for n in ns
          for what in ("price", "volume")]  # fmt: skip
FACTS = ["open", "highest", "lowest", "average", "pre_settlement", "upper_limit", "lower_limit", "volume",
         "open_interest"]  # fmt: skip


def test_the_book_is_the_one_of_the_socket(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    quote: dict[str, float] = {}
    told: list[list[float]] = []

    def merge(frame: str | bytes) -> None:
        for patch in json.loads(frame).get("data", []):
            quote.update(patch.get("quotes", {}).get("SHFE.rb2701", {}))
        if {*LEVELS, *FACTS} <= quote.keys():
            told.append([round(quote[name]) for name in LEVELS + FACTS])

    person.page.on("websocket", lambda line: line.on("framereceived", merge))
    person.go("market")
    person.until(lambda: "SHFE.rb2701" in person.see("book").inner_text() and len(told) > 20)
    before = len(told)
    shown = []
    for _ in range(10):
        shown.append(person.page.evaluate(BOOK)[: len(LEVELS + FACTS)])
        person.page.wait_for_timeout(300)
    assert [one for one in shown if one not in told[before - 20 :]] == []
    assert len({tuple(one) for one in shown}) > 5, "it moves"


def test_a_row_is_fresh_from_its_first_price_on(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.go("overview")
    person.live()
    person.go("market")
    old = person.page.wait_for_function(
        """() => {
            const rows = [...document.querySelectorAll('[data-test="watch"] [role="row"]')]
                .filter((row) => row.querySelector('[data-cell="last"]').innerText !== "—");
            return rows.length > 5 && {old: rows.filter((row) => row.classList.contains("stale")).length};
        }"""
    )
    assert old.json_value() == {"old": 0}


def test_a_phone_is_told_that_prices_are_simulated(server: Server, visit: Visits) -> None:
    person = visit(server.base, viewport={"width": 320, "height": 568})
    person.go("market")
    assert person.see("simulated").inner_text() == "Simulated"
    assert wide(person.page) <= 0


@pytest.mark.shared
def test_a_recording_is_told_to_be_one(serve: Serve, real_day: Path, visit: Visits) -> None:
    server = serve("--source", "replay", "--replay", str(real_day))
    person = visit(server.base, timezone_id="America/New_York")
    person.go("market")
    assert person.see("replayed").inner_text() == "Recorded market"
    clock = person.see("clock")
    person.until(
        lambda: clock.inner_text().startswith("2021-01-0") and clock.inner_text().endswith("Beijing")
    )


def test_a_narrow_window_has_narrow_places(server: Server, visit: Visits) -> None:
    person = visit(server.base, viewport={"width": 1024, "height": 768})
    person.go("market")
    person.see("book")
    box = person.page.locator("nav.side").bounding_box()
    assert box
    assert box["width"] == 60, "icons only"


def test_what_is_looked_at_has_prices_where_a_client_gets_few(serve: Serve, visit: Visits) -> None:
    server = serve("--source", "sim", "--set", "feed.max_symbols=20", mode="md")
    person = visit(server.base)
    person.go("market")
    person.live()
    choose(person, "SSE.600000")  # of the last in the list
    person.until(lambda: "—" not in person.see("ask1").inner_text())
    person.page.locator('[data-test="book"]:not(.stale)').wait_for()


def test_another_page_is_read_from_its_top(server: Server, visit: Visits) -> None:
    person = visit(server.base, viewport={"width": 390, "height": 844})
    person.go("market")
    person.live()
    main = person.page.locator("main")
    person.until(lambda: main.evaluate("(main) => { main.scrollTop = 300; return main.scrollTop; }") == 300)
    person.page.locator('nav a[href="#/overview"]').click()
    person.page.locator("h1", has_text="Overview").wait_for()
    person.until(lambda: main.evaluate("(main) => main.scrollTop") == 0)


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


def past_of(person: Any, times: int) -> dict[str, Any]:
    """Scroll the chart back until it has asked for older rows so many times; return the last asking."""

    def asked() -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in person.sent if '"left_kline_id"' in frame]

    box = person.page.locator('[data-test="kline"]').bounding_box()
    mouse = person.page.mouse
    for _ in range(60):
        if len(asked()) >= times:
            break
        mouse.move(box["x"] + 60, box["y"] + 120)
        mouse.down()
        mouse.move(box["x"] + box["width"] - 120, box["y"] + 120, steps=3)
        mouse.up()
        person.page.wait_for_timeout(60)
    return asked()[times - 1]


def test_a_chart_come_back_to_has_no_gap(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.go("market")
    person.live()
    loaded = person.page.locator('[data-test="kline"][data-loading="false"]')
    choose(person, "SHFE.cu2701")
    loaded.wait_for()
    before = past_of(person, 1)
    assert before["ins_list"] == "SHFE.cu2701"
    person.page.wait_for_timeout(500)
    for symbol in ("SHFE.au2702", "SHFE.cu2701"):
        choose(person, symbol)
        loaded.wait_for()
    after = past_of(person, 2)
    assert after["ins_list"] == "SHFE.cu2701"
    assert 0 <= after["left_kline_id"] - before["left_kline_id"] < 60, "older rows begin where the chart ends"


def test_filters_stars_and_sorts_the_watch_list(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.go("market")
    person.live()
    person.see("filter").fill("SSE.")
    rows = person.page.locator('[data-test="watch"] [role="row"]')
    person.until(lambda: 0 < rows.count() < 10)
    assert all(text.startswith("SSE.") for text in rows.locator("b").all_inner_texts())
    rows.first.locator("button").click()
    person.see("watch").focus()
    starred = rows.locator('button[aria-pressed="true"]')
    for key in ("Space", "ArrowDown", "ArrowDown", "Space"):  # the first does nothing: none is chosen
        person.page.keyboard.press(key)
    person.until(lambda: starred.count() == 2)
    person.page.keyboard.press("Space")
    person.until(lambda: starred.count() == 1)
    person.see("filter").fill("")
    person.see("group").select_option("starred")
    person.until(lambda: rows.count() == 1)
    person.page.reload()
    person.live()
    person.see("group").select_option("starred")
    person.until(lambda: rows.count() == 1)


def test_a_stopped_server_makes_the_page_stale_and_it_recovers_by_itself(serve: Serve, visit: Visits) -> None:
    port = free_port()
    first = serve("--source", "sim", port=port)
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
    serve("--source", "sim", port=port)
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


def test_every_file_has_the_rows_that_are_shown(server: Server, visit: Visits) -> None:
    person = visit(server.base, timezone_id="America/New_York")
    person.go("market")
    person.live()
    person.moves()
    person.go("store")
    person.see("query-filter").fill("instrument_id='SHFE.rb2701'")
    person.see("ask").click()
    table = person.see("answer")
    head = table.locator("th").all_inner_texts()
    row = dict(zip(head, table.locator("tbody tr").first.locator("td").all_inner_texts(), strict=False))
    person.see("query-filter").fill("instrument_id='SHFE.cu2701'")  # written, not asked
    person.page.wait_for_timeout(500)  # and the market goes on
    files = {}
    for kind in ("csv", "parquet", "arrow"):
        with person.page.expect_download() as waiting:
            person.see(f"save-{kind}").click()
        files[kind] = waiting.value.path().read_bytes()
    text = io.StringIO(files["csv"].decode("utf-8-sig"))
    rows = [(one["datetime"], one["instrument_id"]) for one in csv.DictReader(text)]
    assert len(rows) > 10
    beijing = datetime.fromisoformat(rows[0][0]) + timedelta(hours=8)
    assert row["datetime (Beijing)"] == beijing.strftime("%Y-%m-%d %H:%M:%S.%f")
    parquet = pyarrow.parquet.read_table(pyarrow.BufferReader(files["parquet"]))
    for kept in (parquet, pyarrow.ipc.open_stream(files["arrow"]).read_all()):
        times = [one.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for one in kept["datetime"].to_pylist()]
        assert list(zip(times, kept["instrument_id"].to_pylist(), strict=True)) == rows


def test_asks_in_sql_and_takes_no_more_rows_than_wanted(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.go("market")
    person.live()
    person.moves()
    person.go("store")
    person.see("by-sql").click()
    statement = "SELECT instrument_id, count(*) AS n FROM futures_market GROUP BY 1 ORDER BY 1"
    person.see("query-sql").fill(statement)
    person.see("query-sql").press("Control+Enter")
    rows = person.page.locator('[data-test="answer"] tbody tr')
    rows.first.wait_for()
    answer = person.see("answer")
    assert answer.locator("th").all_inner_texts() == ["instrument_id", "n"]
    count = rows.count()
    assert count > 5
    with person.page.expect_download() as waiting:
        person.see("save-parquet").click()
    assert pyarrow.parquet.read_table(waiting.value.path()).num_rows >= count
    person.page.get_by_label("Rows at most").fill("2")
    person.see("ask").click()
    person.until(lambda: rows.count() == 2)
    assert "the first 2 only" in person.see("answered").inner_text()
    person.see("query-sql").fill("SELECT nonsense FROM futures_market")
    person.see("ask").click()
    assert "nonsense" in person.page.locator(".error").inner_text()
    person.see("query-sql").fill("SELECT count(*) FROM futures_market a, futures_market b, futures_market c")
    person.see("ask").click()
    person.see("stop").click()
    person.until(lambda: person.see("answered").inner_text() == "Cancelled")
    person.see("query-sql").fill(statement)
    person.see("keep").click()
    person.see("fill-name").fill("counts")
    person.see("confirm").click()
    person.page.reload()
    person.see("saved").click()
    rows.first.wait_for()
    assert person.see("query-sql").input_value() == statement


def test_keeps_queries_and_asks_them_again(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.go("market")
    person.live()
    person.moves()
    person.go("store")
    person.see("query-filter").fill("instrument_id='SHFE.cu2701'")
    person.see("keep").click()
    person.see("fill-name").fill("copper")
    person.see("confirm").click()
    person.page.reload()
    assert person.see("saved").inner_text() == "copper"
    person.see("query-filter").fill("")
    person.see("saved").click()
    rows = person.page.locator('[data-test="answer"] tbody tr')
    rows.first.wait_for()
    assert "SHFE.cu2701" in rows.first.inner_text()
    assert person.see("query-filter").input_value() == "instrument_id='SHFE.cu2701'"
    for kind in ("parquet", "arrow"):
        with person.page.expect_download() as waiting:
            person.see(f"save-{kind}").click()
        body = waiting.value.path().read_bytes()
        assert (body[:4] == b"PAR1") if kind == "parquet" else body[:4] == b"\xff\xff\xff\xff"
    person.page.get_by_role("button", name="Chart").first.click()
    person.page.locator(".curve canvas").first.wait_for()
    person.see("forget").click()
    person.until(lambda: not person.page.locator('[data-test="saved"]').count())


def test_monitor_shows_traffic_latency_sources_and_queues_against_their_bounds(
    server: Server, visit: Visits
) -> None:
    person = visit(server.base)
    person.go("monitor")
    bounds = person.see("bounds")
    queues = bounds.locator("[data-queue]")
    person.until(lambda: queues.count() >= 18)
    clients = bounds.locator('[data-queue="feed_clients"] [data-cell="fill"]')
    person.until(lambda: clients.inner_text() == "1 / 5,000")
    assert "refuses more when full" in bounds.locator('[data-queue="feed_clients"]').inner_text()
    person.until(lambda: person.page.locator(".u-legend").count() >= 2)
    assert "sim" in person.page.get_by_role("region", name="Sources").inner_text()
    assert "observations" in person.see("latency").inner_text()


def test_the_console_speaks_to_a_socket(server: Server, visit: Visits) -> None:
    person = visit(server.base)
    person.go("api")
    person.see("console-open").click()
    person.until(lambda: person.see("console-state").inner_text() == "connected")
    person.see("console-text").fill('{"aid": "subscribe_quote", "ins_list": "SHFE.cu2701"}')
    person.see("console-send").click()
    person.see("console-peek").click()
    log = person.see("console-log")
    person.until(lambda: "SHFE.cu2701" in log.inner_text() and "rtn_data" in log.inner_text())
    person.see("console-close").click()
    person.until(lambda: person.see("console-state").inner_text() == "not connected")


def test_the_doors_are_described_and_found_in_chinese(server: Server, visit: Visits) -> None:
    person = visit(server.base, locale="zh-CN")
    person.go("api")
    person.page.get_by_role("searchbox", name="查找接口").fill("撤单")
    doors = person.page.locator("details > summary")
    person.until(lambda: 0 < doors.count() < 5)
    assert "POST /api/order/cancel 撤单" in [" ".join(text.split()) for text in doors.all_inner_texts()]
    doors.first.click()
    person.until(lambda: "没有权限，或是他人的账户" in person.page.locator("details[open]").inner_text())


ABSENT = {  # what each page says is not running, by mode
    "md": {"store": "The store", "trade": "The login service", "admin": "The login service"},
    "db": {"market": "The market feed", "trade": None},
    "trade": {"store": "The store", "trade": None},
}  # fmt: skip


@pytest.mark.parametrize("mode", ABSENT)
def test_a_page_without_its_service_says_so(serve: Serve, visit: Visits, mode: str) -> None:
    server = serve("--source", "sim", mode=mode)
    person = visit(server.base)
    for route, words in ABSENT[mode].items():
        person.go(route)
        if words is None:  # a login can be had here: the page behind it needs one
            person.see("name")
            continue
        told = person.see("absent")  # until then it is the page's before
        person.until(lambda told=told, words=words: f"{words} is not running" in told.inner_text())
        assert "qautlra serve --mode all" in told.inner_text()
    person.go("overview")
    person.page.locator(".cards").first.wait_for()
    assert not person.page.locator(".banner").count()
    if mode != "db":
        person.go("market")
        person.live()
        person.moves()


def test_trading_pages_without_trading_say_so(serve: Serve, visit: Visits) -> None:
    server = serve("--source", "sim", mode="md,db")
    add_user(server, "ann", "--role", "trader")
    add_user(server, "boss", "--role", "admin")
    for name, routes in (("ann", ("trade", "positions", "orders", "account")), ("boss", ("admin",))):
        person = House(server, visit, name).enter(name, "overview")
        for route in routes:
            person.go(route)
            assert "The trading service is not running" in person.see("absent").inner_text()
    person.see("admin-users").click()
    person.until(lambda: "ann" in person.see("users").inner_text())


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look[0]}-{look[1]}-{look[2][0]}")
def test_no_serious_accessibility_fault_and_nothing_overflows(
    server: Server, visit: Visits, look: tuple[str, str, tuple[int, int]]
) -> None:
    person = visit(server.base, **as_look(look))
    faults: dict[str, Any] = {}
    for route in ROUTES:
        person.go(route)
        person.settled()
        judge(person.page, route, faults)
    person.go("api")
    person.page.locator("details").first.locator("summary").click()
    judge(person.page, "a door", faults)
    person.see("console-open").click()
    person.until(lambda: person.see("console-log").is_visible())
    judge(person.page, "console", faults)
    person.go("store")
    person.see("ask").click()
    person.settled()
    judge(person.page, "answer", faults)
    person.see("keep").click()
    person.see("fill-name")
    judge(person.page, "question dialog", faults)
    person.go("market")
    person.page.keyboard.press("Escape")
    person.see("search").click()
    person.see("search-input")
    judge(person.page, "search dialog", faults)
    assert not faults, json.dumps(faults, indent=1, ensure_ascii=False)
