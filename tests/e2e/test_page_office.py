"""Administration, accounts and settlement on the page, in a real browser on a real server."""

import csv
import io
from typing import Any

import pytest

from tests.e2e.browser import (
    LOOKS,
    PASSWORD,
    House,
    Visit,
    Visits,
    add_trader,
    add_user,
    as_look,
    choose,
    chromium,
    house,
    judge,
    level,
    ready,
    server,
    visit,
)  # fmt: skip
from tests.e2e.conftest import Serve

__all__ = ["chromium", "house", "server", "visit"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
TABS = ["risk", "accounts", "orders", "money", "users", "instruments", "settlement", "audit", "news"]
QUESTIONS = {
    "accounts": "freeze", "instruments": "instrument-create", "settlement": "settle", "risk": "risk-HALTED",
}  # fmt: skip


def office(house: House, tab: str, **context: Any) -> Visit:
    """The administrator on a tab of the administration."""
    person = house.enter("boss", "admin", **context)
    person.see(f"admin-{tab}").click()
    return person


def row_of(person: Visit, table: str, text: str) -> Any:
    """The row of a table that has a text; it must be on screen."""
    row = person.page.locator(f'[data-test="{table}"] tbody tr', has_text=text).first
    row.wait_for()
    return row


def test_money_goes_in_and_out_and_every_account_shows_its_numbers(house: House) -> None:
    person = house.enter(house.trader, "overview")
    row = person.page.locator(f'[data-account="{house.trader}"]')
    person.until(lambda: "1,000,000.00" in row.inner_text())
    assert "paper trading" in row.inner_text()
    person.see("open-account").click()
    person.see("fill-name").fill(f"{house.trader}-b")
    person.see("fill-cash").fill("5000")
    person.see("confirm").click()
    second = person.page.locator(f'[data-account="{house.trader}-b"] [data-cell="balance"]')
    person.until(lambda: second.inner_text() == "5,000.00")
    row.click()
    person.go("account")
    ready(person)
    person.until(lambda: person.see("account-balance").inner_text() == "1,000,000.00")
    for button, amount, after in (
        ("deposit", "2500.5", "1,002,500.50"),
        ("withdraw", "500.5", "1,002,000.00"),
    ):
        person.see("amount").fill(amount)
        person.see(button).click()
        person.see("confirm").click()
        person.until(lambda after=after: person.see("account-balance").inner_text() == after)
    moved = person.see("transfers").inner_text()
    assert "+2,500.50" in moved
    assert "-500.50" in moved
    person.see("amount").fill("9999999")
    person.see("withdraw").click()
    person.see("confirm").click()
    person.page.locator(".toast.warn", has_text="failed").first.wait_for()
    assert person.see("account-balance").inner_text() == "1,002,000.00"
    person.until(lambda: int(person.see("curve").get_attribute("data-points") or 0) >= 2, 30)
    person.until(lambda: "%" in person.see("rates").inner_text())


def test_an_account_is_frozen_released_and_given_money_by_the_office(house: House) -> None:
    trader = house.enter(house.trader)
    ready(trader)
    choose(trader, "SHFE.rb2701")
    low = level(trader, "bid5") - 20
    trader.see("confirm-switch").uncheck()
    boss = office(house, "accounts")
    row_of(boss, "accounts", house.trader).locator('[data-test="freeze"]').click()
    boss.see("fill-kind").select_option("TRADING_ONLY")
    boss.see("fill-reason").fill("under question")
    boss.see("confirm").click()
    boss.until(lambda: "trading frozen" in row_of(boss, "accounts", house.trader).inner_text())
    row_of(boss, "accounts", house.trader).locator("td").first.click()
    boss.until(lambda: "under question" in boss.see("account-whole").inner_text())
    trader.see("price").fill(f"{low:.0f}")
    trader.see("submit").click()
    trader.page.locator(".toast.warn").first.wait_for()
    working = trader.page.locator('[data-test="working"] tbody tr')
    assert working.count() == 0
    row_of(boss, "accounts", house.trader).locator('[data-test="freeze"]').click()
    boss.until(lambda: "trading frozen" not in row_of(boss, "accounts", house.trader).inner_text())
    trader.see("submit").click()
    trader.until(lambda: working.count() == 1)
    for button, after in (("office-deposit", "1,000,250.00"), ("office-withdraw", "1,000,000.00")):
        row_of(boss, "accounts", house.trader).locator(f'[data-test="{button}"]').click()
        boss.see("fill-amount").fill("250")
        boss.see("fill-remark").fill("by hand")
        boss.see("confirm").click()
        boss.until(lambda after=after: after in row_of(boss, "accounts", house.trader).inner_text())
    boss.see("admin-money").click()
    boss.until(lambda: "-250.00" in row_of(boss, "money", house.trader).inner_text())
    assert "by hand" in row_of(boss, "money", house.trader).inner_text()
    boss.see("admin-orders").click()
    order = row_of(boss, "office-order-rows", house.trader)
    assert "SHFE.rb2701" in order.inner_text()
    order.get_by_role("button").click()
    trader.until(lambda: working.count() == 0)


def test_accounts_are_shown_as_they_are_after_an_act_and_after_a_while(house: House) -> None:
    boss = office(house, "accounts")
    row_of(boss, "accounts", house.trader).locator("td").first.click()
    whole = boss.see("account-whole")
    boss.until(lambda: "1,000,000.00" in whole.inner_text())
    row_of(boss, "accounts", house.trader).locator('[data-test="office-deposit"]').click()
    boss.see("fill-amount").fill("250")
    boss.see("confirm").click()
    boss.until(lambda: "1,000,250.00" in whole.inner_text())
    trader = house.enter(house.trader, "account")
    ready(trader)
    trader.see("amount").fill("0.25")
    trader.see("deposit").click()
    trader.see("confirm").click()
    boss.until(lambda: "1,000,250.25" in whole.inner_text())
    boss.until(lambda: "1,000,250.25" in row_of(boss, "accounts", house.trader).inner_text())


def test_sums_that_cannot_be_asked_for_are_marked_as_old(house: House) -> None:
    boss = house.enter("boss", "monitor")
    sums = boss.see("trading-sums")
    assert "Stale" not in sums.inner_text()
    boss.page.route("**/api/monitoring/system", lambda route: route.abort())
    boss.until(lambda: "Stale" in sums.inner_text() and "cannot be reached" in sums.inner_text())
    assert "stale" in (sums.get_attribute("class") or "").split()
    boss.page.unroute("**/api/monitoring/system")
    boss.until(lambda: "Stale" not in sums.inner_text())


def test_a_user_is_added_given_an_account_and_let_in(house: House) -> None:
    name = f"new-{house.trader}"
    boss = office(house, "users")
    boss.see("fresh-name").fill(name)
    boss.see("fresh-password").fill("short")
    boss.see("fresh-add").click()
    boss.see("fresh-password").fill(PASSWORD)
    boss.see("fresh-add").click()
    row_of(boss, "users", name)
    boss.see("account-name").fill(f"{name}-1")
    boss.see("account-cash").fill("70000")
    boss.see("account-open").click()
    boss.until(lambda: f"{name}-1" in row_of(boss, "users", name).inner_text())
    person = house.enter(name, "account")
    ready(person)
    person.until(lambda: person.see("account-balance").inner_text() == "70,000.00")
    boss.see("grant-account").fill(house.trader)
    boss.see("grant").click()
    boss.until(lambda: f"{house.trader} (" in row_of(boss, "users", name).inner_text())
    row_of(boss, "users", name).get_by_role("button", name="Disable").click()
    boss.see("confirm").click()
    boss.until(lambda: "Disabled" in row_of(boss, "users", name).inner_text())
    person.go("overview")
    person.see("to-login")
    person.go("account")
    person.page.wait_for_url("**/#/login**")


def test_announcements_reach_everyone_and_are_taken_back(house: House) -> None:
    boss = office(house, "news")
    title = f"<b>Notice</b> for {house.trader}"
    boss.see("news-title").fill(title)
    boss.see("news-content").fill("Night session begins at 21:00.\nSee the rules.")
    boss.see("news-add").click()
    boss.until(lambda: title in boss.see("news-list").inner_text())
    person = house.enter(house.trader, "overview")
    person.until(lambda: title in person.see("news").inner_text())
    assert person.see("news").locator("b", has_text="Notice").count() == 1
    assert person.see("news").locator("b b").count() == 0, "a text is never markup"
    boss.page.locator("li", has_text=title).locator('[data-test="news-drop"]').click()
    boss.see("confirm").click()
    boss.until(lambda: title not in boss.see("news-list").inner_text())


def test_instruments_are_stopped_resumed_limited_listed_and_taken_off(house: House) -> None:
    trader = house.enter(house.trader)
    ready(trader)
    choose(trader, "SHFE.hc2701")
    low = level(trader, "bid5") - 10
    trader.see("confirm-switch").uncheck()
    boss = office(house, "instruments")
    boss.see("instrument-filter").fill("hc2701")
    row = row_of(boss, "instruments", "SHFE.hc2701")
    row.locator('[data-test="suspend"]').click()
    boss.see("confirm").click()
    boss.until(lambda: "suspended" in row.inner_text())
    trader.see("price").fill(f"{low:.0f}")
    trader.see("submit").click()
    trader.page.locator(".toast.warn").first.wait_for()
    working = trader.page.locator('[data-test="working"] tbody tr')
    assert working.count() == 0
    row.locator('[data-test="suspend"]').click()
    boss.until(lambda: "active" in row.inner_text())
    trader.see("submit").click()
    trader.until(lambda: working.count() == 1)
    boss.see("instrument-create").click()
    for name, value in (
        ("instrument_id", "SHFE.rb2811"), ("price_tick", "1"), ("contract_multiplier", "10"),
        ("lower_limit", "2900"), ("upper_limit", "3400"),
    ):  # fmt: skip
        boss.see(f"fill-{name}").fill(value)
    boss.see("confirm").click()
    boss.see("instrument-filter").fill("rb2811")
    own = row_of(boss, "instruments", "SHFE.rb2811")
    own.locator('[data-test="limits"]').click()
    boss.see("fill-lower_limit").fill("3000")
    boss.see("fill-upper_limit").fill("3300")
    boss.see("confirm").click()
    boss.page.locator(".toast.good").first.wait_for()
    own.locator('[data-test="delist"]').click()
    assert boss.see("confirm").is_disabled()
    boss.see("confirm-word").fill("SHFE.rb2811")
    boss.see("confirm").click()
    boss.until(lambda: "delisted" in own.inner_text())


def test_the_risk_page_reduces_an_account_and_liquidates_it(house: House) -> None:
    trader = house.enter(house.trader)
    ready(trader)
    choose(trader, "SHFE.rb2701")
    trader.see("confirm-switch").uncheck()
    trader.until(lambda: "—" not in trader.see("ask5").inner_text())
    trader.see("ask5").click()
    trader.see("submit").click()
    trader.see("tab-legs").click()
    legs = trader.page.locator('[data-test="legs"] tbody tr')
    trader.until(lambda: legs.count() == 1)
    boss = office(house, "risk")
    row = row_of(boss, "risk-accounts", house.trader)
    row.locator('[data-test="account-state"]').click()
    boss.see("confirm").click()
    boss.until(lambda: "reducing" in row_of(boss, "risk-accounts", house.trader).inner_text())
    assert "margin" in boss.see("margin-all").inner_text()
    assert "SHFE.rb2701" in boss.see("risk-margin").inner_text()
    row.locator('[data-test="liquidate"]').click()
    boss.see("confirm-word").fill(house.trader)
    boss.see("confirm").click()
    row_of(boss, "liquidations", house.trader)
    trader.until(lambda: legs.count() == 0, 30)


def test_the_audit_log_tells_who_did_what_and_that_it_is_whole(house: House) -> None:
    house.enter(house.trader, "overview")
    boss = office(house, "audit")
    boss.page.get_by_role("searchbox").fill(house.trader)
    boss.page.keyboard.press("Tab")
    boss.until(lambda: house.trader in boss.see("audit").inner_text())
    boss.until(lambda: "boss" not in boss.see("audit").inner_text())
    assert "login" in boss.see("audit").inner_text()
    boss.see("verify").click()
    boss.until(lambda: "intact" in boss.see("verdict").inner_text())
    with boss.page.expect_download() as waiting:
        boss.page.get_by_role("button", name="Export CSV").click()
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text(encoding="utf-8-sig"))))
    assert {row["user"] for row in rows} == {house.trader}


def test_a_day_is_settled_and_its_statement_and_history_are_there(serve: Serve, visit: Visits) -> None:
    server = serve("--source", "sim")
    add_user(server, "boss", "--role", "admin")
    house = House(server, visit, add_trader(server))
    trader = house.enter(house.trader)
    ready(trader)
    choose(trader, "SHFE.rb2701")
    low = level(trader, "bid5") - 20
    trader.see("confirm-switch").uncheck()
    trader.see("ask5").click()
    trader.see("submit").click()
    trader.see("tab-legs").click()
    legs = trader.page.locator('[data-test="legs"] tbody tr')
    trader.until(lambda: legs.count() == 1)
    trader.see("price").fill(f"{low:.0f}")
    trader.see("submit").click()
    trader.see("tab-working").click()
    working = trader.page.locator('[data-test="working"] tbody tr')
    trader.until(lambda: working.count() == 1)
    boss = office(house, "settlement")
    boss.see("settlement-prices").fill("SHFE.rb2701, 3150\nSHFE.nothing9, 1")
    boss.see("settlement-set").click()
    boss.until(lambda: "SHFE.nothing9" in boss.see("settlement-wrong").inner_text())
    boss.see("settlement-prices").fill("SHFE.rb2701, 3150")  # of a list with a wrong price none is taken
    boss.see("settlement-set").click()
    boss.until(lambda: "SHFE.rb2701 3150" in boss.see("prices-set").inner_text())
    boss.see("settle").click()
    assert boss.see("confirm").is_disabled()
    boss.see("confirm-word").fill("SETTLE")
    boss.see("confirm").click()
    boss.until(lambda: "not over" in boss.see("settlement-wrong").inner_text())
    boss.see("settle-force").check()
    boss.see("settle").click()
    boss.see("confirm-word").fill("SETTLE")
    boss.see("confirm").click()
    boss.see("settled-open").click()
    assert house.trader in boss.see("settled-accounts").inner_text()
    trader.until(lambda: working.count() == 0)
    trader.see("tab-legs").click()
    trader.until(lambda: legs.count() == 1 and legs.first.inner_text().split()[2:5] == ["1", "0", "1"])
    trader.go("account")
    trader.see("statement-ask").click()
    trader.until(lambda: "rb2701" in trader.see("statement").inner_text())
    with trader.page.expect_download() as waiting:
        trader.page.get_by_role("button", name="Download").click()
    assert "rb2701" in waiting.value.path().read_text(encoding="utf-8-sig")
    trader.go("orders")
    trader.see("tab-history").click()
    trader.see("history-show").click()
    row_of(trader, "history", "SHFE.rb2701")
    trader.see("history-kind").select_option("orders")
    history = trader.page.locator('[data-test="history"] tbody tr')
    trader.until(lambda: history.count() == 2)
    with trader.page.expect_download() as waiting:
        trader.see("history-export").click()
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text(encoding="utf-8-sig"))))
    assert sorted(row["status"] for row in rows) == ["cancelled", "filled"]


def test_a_table_of_many_orders_comes_by_page(house: House) -> None:
    trader = house.enter(house.trader)
    ready(trader)
    choose(trader, "SHFE.rb2701")
    low = level(trader, "bid5") - 20
    lines = "\n".join(f"SHFE.rb2701, BUY, OPEN, {low - n:.0f}, 1" for n in range(30))
    for _ in range(2):
        trader.see("tab-batch").click()
        trader.see("batch").fill(lines)
        trader.see("batch-send").click()
        trader.see("confirm").click()
        trader.until(lambda: "30" in trader.see("tab-working").inner_text())
        trader.see("cancel-all").click()
        trader.see("confirm").click()
        trader.until(lambda: trader.see("tab-working").inner_text() == "Working 0")
    boss = office(house, "orders")
    rows = boss.page.locator('[data-test="office-order-rows"] tbody tr')
    boss.until(lambda: rows.count() > 5)
    first = rows.first.inner_text()
    assert boss.see("page-at").inner_text().startswith("page 1 of ")
    assert boss.see("page-before").is_disabled()
    boss.see("page-after").click()
    boss.until(lambda: boss.see("page-at").inner_text().startswith("page 2 of "))
    boss.until(lambda: rows.first.inner_text() != first)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look[0]}-{look[1]}-{look[2][0]}")
def test_no_serious_accessibility_fault_and_nothing_overflows_in_the_office(
    house: House, look: tuple[str, str, tuple[int, int]]
) -> None:
    person = house.enter("boss", "admin", **as_look(look))
    faults: dict[str, Any] = {}
    for tab in TABS:
        person.see(f"admin-{tab}").click()
        person.settled()
        if tab in ("accounts", "users"):
            person.page.locator(f'[data-test="{tab}"] tbody td').first.click()
            person.settled()
        judge(person.page, tab, faults)
        if tab in QUESTIONS:
            person.see(QUESTIONS[tab]).click()
            person.see("confirm")
            judge(person.page, f"{tab} question", faults)
            person.page.keyboard.press("Escape")
    person.go("monitor")
    person.see("trading-sums")
    judge(person.page, "monitor with trading", faults)
    assert not faults, faults
