"""Texts of strangers that look like a page, a program or a formula: what a real browser makes of them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import PASSWORD, House, Visits, choose, chromium, house, ready, server, visit
from tests.e2e.conftest import Server

__all__ = ["chromium", "house", "server", "visit"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
EVIL = (
    """<img src=x data-evil onerror="window.evil=1"><script>window.evil=2</script>'">"""
    """<svg onload=window.evil=3>"""
)
TURNED = "\u202eexe.\u2066pdf \u2028\u0007\u200f"
FORMULA = '=HYPERLINK("http://evil.example","x")'
ORDER_ID = "<b data-evil>'\"&lt{{7*7}}"
TABS = ["users", "accounts", "orders", "risk", "money", "settlement", "instruments", "news", "audit"]


class Doors:
    """The REST as one user has it."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        status, body = self.ask("POST", "/api/auth/login", username=name, password=PASSWORD)
        assert status == 200, body
        self.token = body["data"]["token"]

    token = ""

    def ask(self, how: str, path: str, **body: Any) -> tuple[int, Any]:
        headers = {"Content_Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        raw = json.dumps(body).encode() if body else None
        status, answer, _ = self.server.request(how, path, raw, **headers)
        return status, json.loads(answer)

    def done(self, how: str, path: str, **body: Any) -> Any:
        status, answer = self.ask(how, path, **body)
        assert status in (200, 201), (path, answer)
        return answer


def is_harmless(page: Any) -> None:
    found = page.evaluate("() => [window.evil ?? null, document.querySelectorAll('[data-evil]').length]")
    assert found == [None, 0], page.url


def test_no_text_of_a_stranger_is_run_or_becomes_a_part_of_the_page(house: House) -> None:
    server, name = house.server, house.trader
    boss, ann = Doors(server, "boss"), Doors(server, name)
    strange = EVIL + TURNED
    assert (
        Doors.ask(
            boss,
            "POST",
            "/api/auth/login",
            username="<img src=x data-evil onerror=window.evil=6>",
            password="x" * 9,
        )[0]
        == 401
    )
    boss.done("POST", "/api/announcements", title=strange, content=strange, priority="<b data-evil>")
    boss.done("POST", "/api/management/deposit", account_id=name, amount=5, remark=strange, method=FORMULA)
    boss.done(
        "POST", "/api/account-admin/freeze", account_id=name, freeze_type="WITHDRAW_ONLY", reason=strange
    )
    status, said = boss.ask(
        "POST", "/api/admin/instrument/create", instrument_id="SHFE.zz2701", instrument_name=strange,
        price_tick=1, contract_multiplier=10, upper_limit=2000, lower_limit=1000,
    )  # fmt: skip
    assert status in (200, 400), said
    ann.done(
        "POST", "/api/order/submit", instrument_id="SHFE.rb2701", direction="BUY", offset="OPEN", volume=1,
        price=3000, order_id=ORDER_ID,
    )  # fmt: skip
    body = json.dumps([{"k": "<img src=x data-evil onerror=window.evil=4>", "f": FORMULA, "turned": TURNED}])
    status, told, _ = server.request(
        "POST", "/api/v1/ingest", body.encode(), Content_Type="application/json", X_P_Stream="strange",
        Authorization=f"Bearer {boss.token}",
    )  # fmt: skip
    assert status == 200, told

    person = house.enter(name)
    person.page.on("dialog", lambda dialog: person.faults.append(f"dialog: {dialog.message}"))
    ready(person)
    choose(person, "SHFE.rb2701")
    person.page.locator("td", has_text="<b data-evil>").first.wait_for()
    for route in ("trade", "orders", "account", "positions", "overview", "monitor", "market"):
        person.go(route)
        person.settled()
        is_harmless(person.page)
    person.go("orders")
    with person.page.expect_download() as file:
        person.page.locator("button", has_text="CSV").first.click()
    [_, row, *_] = csv.reader(io.StringIO(Path(file.value.path()).read_text(encoding="utf-8-sig")))
    assert ORDER_ID in row

    chief = house.enter("boss", "admin")
    chief.page.on("dialog", lambda dialog: chief.faults.append(f"dialog: {dialog.message}"))
    for tab in TABS:
        chief.see(f"admin-{tab}").click()
        chief.settled()
        is_harmless(chief.page)
        if tab in ("money", "news", "audit"):
            assert "window.evil=1" in chief.page.locator("main").inner_text(), tab
    chief.see("admin-money").click()
    with chief.page.expect_download() as file:
        chief.page.locator("button", has_text="CSV").first.click()
    cells = [
        cell
        for row in csv.reader(io.StringIO(Path(file.value.path()).read_text(encoding="utf-8-sig")))
        for cell in row
    ]
    assert not [cell for cell in cells if cell.startswith(("=", "@"))] and f"'{FORMULA}" in cells

    chief.go("store")
    chief.see("by-sql").click()
    column = EVIL.replace('"', '""')
    chief.page.locator("textarea").fill(f"""SELECT k, f, turned, 1 AS "{column}" FROM strange""")
    chief.see("ask").click()
    chief.page.locator("td", has_text="window.evil=4").wait_for()
    chief.settled()
    is_harmless(chief.page)
    with chief.page.expect_download() as file:
        chief.see("save-csv").click()
    [head, row] = csv.reader(io.StringIO(Path(file.value.path()).read_text(encoding="utf-8-sig")))
    assert EVIL in head and f"'{FORMULA}" in row


@pytest.mark.parametrize(
    "next_place",
    ["//evil.example/", "https://evil.example/", "javascript:window.evil=5", "/\\evil.example", EVIL],
)
def test_after_a_login_one_is_on_this_page(house: House, visit: Visits, next_place: str) -> None:
    person = visit(house.server.base)
    person.page.goto(f"{person.base}/#/login?next={next_place}")
    person.see("name").fill(house.trader)
    person.see("password").fill(PASSWORD)
    person.see("enter").click()
    person.until(lambda: "/login" not in person.page.url)
    person.settled()
    assert person.page.url.startswith(person.base + "/")
    is_harmless(person.page)
