"""Trading, accounts and administration on the page, in a real browser on a real server."""

import csv
import io
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.e2e.browser import (
    LOOKS,
    PASSWORD,
    House,
    Visits,
    add_trader,
    add_user,
    as_look,
    choose,
    chromium,
    house,
    judge,
    level,
    number,
    ready,
    server,
    visit,
)  # fmt: skip
from tests.e2e.conftest import Serve, Server

__all__ = ["chromium", "house", "server", "visit"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ROUTES = ["overview", "trade", "positions", "account", "orders"]


def test_an_order_nothing_was_heard_of_is_told_of(serve: Serve, visit: Visits) -> None:
    server = serve("--source", "sim")
    house = House(server, visit, add_trader(server))
    person = house.enter(house.trader)
    person.cuts_expected = True
    ready(person)
    choose(person, "SHFE.rb2701")
    person.until(lambda: "—" not in person.see("ask1").inner_text())
    for heard in (True, False):
        person.see("ask1").click()
        person.see("submit").click()
        if not heard:
            server.process.send_signal(signal.SIGSTOP)
        person.see("confirm").click()
        if heard:
            person.until(lambda: person.see("tab-trades").inner_text() == "Trades 1")
    server.kill()
    told = person.page.locator(".toast.bad")
    told.wait_for()
    assert "Nothing was heard of 1 orders" in told.inner_text()


def test_what_one_may_not_do_is_not_offered(house: House) -> None:
    add_user(house.server, "looker", "--role", "read_only", "--account", "looker", "--broker", "paper")
    person = house.enter("looker")
    ready(person)
    choose(person, "SHFE.rb2701")
    person.until(lambda: "—" not in person.see("ask1").inner_text())
    person.see("ask1").click()
    assert person.see("objection").inner_text() == "This user may not trade"
    assert person.see("submit").is_disabled()
    person.page.keyboard.press("Control+Enter")
    person.go("account")
    person.see("amount").fill("100")
    assert person.see("deposit").is_disabled()
    assert not [frame for frame in person.sent if '"insert_order"' in frame]


def test_a_key_held_down_is_one_order_and_the_wheel_changes_no_price(house: House) -> None:
    person = house.enter(house.trader)
    ready(person)
    choose(person, "SHFE.rb2701")
    person.until(lambda: "—" not in person.see("bid5").inner_text())
    person.see("confirm-switch").uncheck()
    person.see("bid5").click()
    person.see("buy").click()
    price = person.see("price")
    before = price.input_value()
    price.focus()
    box = price.bounding_box()
    person.page.mouse.move(box["x"] + 20, box["y"] + 10)
    person.page.mouse.wheel(0, -300)
    person.page.wait_for_timeout(200)
    assert price.input_value() == before
    for place in ("price", "submit"):
        person.see(place).focus()
        for _ in range(5):
            person.page.keyboard.down("Enter")
        person.page.keyboard.up("Enter")
    person.until(lambda: person.see("tab-working").inner_text() == "Working 2")
    assert sum('"insert_order"' in frame for frame in person.sent) == 2
    person.see("cancel-all").click()
    person.see("confirm").click()
    person.page.locator(".toast", has_text="Order cancelled ×2").wait_for()


def test_a_price_stays_with_its_instrument(house: House) -> None:
    person = house.enter(house.trader, "market")
    person.live()
    choose(person, "SHFE.rb2701")
    person.until(lambda: "—" not in person.see("ask1").inner_text())
    person.see("ask1").click()
    person.page.wait_for_url("**/#/trade")
    assert person.see("price").input_value()
    person.see("offset-CLOSETODAY").click()
    person.go("market")
    choose(person, "DCE.m2701")
    person.go("trade")
    assert person.see("price").input_value() == ""
    assert "Enter a price" in person.see("objection").inner_text()
    assert person.see("submit").is_disabled()
    assert person.see("submit").inner_text() == "Buy · Close", "its exchange knows no close today"


def test_a_limit_order_from_the_book_works_and_is_cancelled(house: House) -> None:
    person = house.enter(house.trader)
    ready(person)
    choose(person, "SHFE.cu2701")
    person.see("buy").click()
    person.until(lambda: "—" not in person.see("bid5").inner_text())
    person.see("bid5").click()  # a click on a bid means to sell there: this order shall wait, so buy instead
    assert person.see("sell").get_attribute("aria-pressed") == "true"
    person.see("buy").click()
    price = float(person.see("price").input_value())
    assert price > 0
    person.see("volume").fill("2")
    person.see("submit").click()
    person.see("confirm").click()
    row = person.page.locator('[data-test="working"] tbody tr').first
    row.wait_for()
    text = row.inner_text()
    assert "SHFE.cu2701" in text
    assert "0 / 2" in text
    assert "Working" in text
    row.locator('[data-test="cancel"]').click()
    person.until(lambda: not row.is_visible())
    person.go("orders")
    orders = person.page.locator('[data-test="orders"] tbody tr')
    person.until(lambda: orders.count() == 1)
    assert "Cancelled" in orders.first.inner_text()


def test_nothing_is_sent_that_the_ticket_can_see_is_wrong(house: House) -> None:
    person = house.enter(house.trader)
    ready(person)
    choose(person, "SHFE.rb2701")
    for price, why in (("", "Enter a price"), ("1.5", "multiple"), ("999999", "limit"), ("1", "limit")):
        person.see("price").fill(price)
        person.until(lambda why=why: why in person.see("objection").inner_text())
        assert person.see("submit").is_disabled()


def test_opens_and_closes_today_with_hotkeys_and_the_account_adds_up(house: House) -> None:
    person = house.enter(house.trader)
    ready(person)
    choose(person, "SHFE.cu2701")
    person.see("confirm-switch").uncheck()
    person.page.locator("body").press("b")
    person.page.locator("body").press("o")
    person.see("volume").fill("2")
    person.until(lambda: "—" not in person.see("ask5").inner_text())
    person.see("ask5").click()
    person.page.keyboard.press("Control+Enter")
    person.see("tab-legs").click()
    legs = person.page.locator('[data-test="legs"] tbody tr')
    legs.first.wait_for()
    assert "Long" in legs.first.inner_text()
    # Lots of today are not closed by an order for those of earlier days.
    person.page.locator("body").press("s")
    person.page.locator("body").press("c")
    person.see("volume").fill("1")
    person.see("bid5").click()
    person.page.keyboard.press("Control+Enter")
    person.until(lambda: "earlier days" in person.page.locator(".toasts").inner_text())
    person.page.locator("body").press("t")
    person.see("bid5").click()
    person.page.keyboard.press("Control+Enter")
    person.see("tab-trades").click()
    trades = person.page.locator('[data-test="trades"] tbody tr')
    person.until(lambda: trades.count() >= 2)
    person.go("account")
    summary = person.see("summary")
    person.until(lambda: number(person.see("qifi-margin").inner_text()) > 0)

    def sums() -> bool:
        lines = summary.inner_text().splitlines()
        values = dict(zip(lines[::2], (number(line) for line in lines[1::2]), strict=True))
        balance = values["Static balance"] + values["Close profit"] + values["Position profit"]
        balance += values["Premium"] - values["Fees"]
        free = values["Balance"] - values["Margin"] - values["Frozen margin"] - values["Frozen fees"]
        return abs(balance - values["Balance"]) < 0.02 and abs(free - values["Available"]) < 0.02

    person.until(sums)
    told = person.see("account-today").evaluate("(cell) => [cell.innerText[0], cell.className]")
    assert told in (["+", "up"], ["-", "down"], ["0", ""])
    assert number(person.see("qifi-commission").inner_text()) > 0
    person.go("orders")
    person.see("tab-trades").click()
    with person.page.expect_download() as waiting:
        person.see("export").click()
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text(encoding="utf-8-sig"))))
    assert sum(int(row["volume"]) for row in rows if row["offset"] == "OPEN") == 2
    assert sum(int(row["volume"]) for row in rows if row["offset"] == "CLOSETODAY") == 1


def test_fees_are_those_of_the_account_that_is_shown(house: House) -> None:
    person = house.enter(house.trader, "overview")
    person.see("open-account").click()
    person.see("fill-name").fill(f"{house.trader}-b")
    person.see("confirm").click()
    person.page.locator(f'[data-account="{house.trader}-b"].chosen').wait_for()
    person.page.locator(f'[data-account="{house.trader}"]').click()
    person.go("trade")
    ready(person)
    choose(person, "SHFE.cu2701")
    person.see("confirm-switch").uncheck()
    person.until(lambda: "—" not in person.see("ask5").inner_text())
    person.see("ask5").click()
    person.see("submit").click()
    person.go("account")
    fees = person.see("fees")
    person.until(lambda: "paid today" in fees.inner_text() and "paid today 0.00" not in fees.inner_text())
    person.page.route("**/commission/statistics/**", lambda route: route.abort())
    person.page.get_by_role("combobox", name="Choose an account").select_option(f"{house.trader}-b")
    person.until(lambda: "cannot be reached" in fees.inner_text())
    assert "paid today" not in fees.inner_text()
    person.page.unroute("**/commission/statistics/**")
    person.go("overview")
    person.go("account")
    person.until(lambda: "paid today 0.00" in person.see("fees").inner_text())


def test_each_instrument_keeps_its_own_quantity_and_a_key_held_down_is_one_order(house: House) -> None:
    person = house.enter(house.trader)
    ready(person)
    choose(person, "SHFE.cu2701")
    assert person.see("volume").input_value() == "1"
    low = level(person, "bid5") - 100
    person.see("volume").fill("3")
    choose(person, "SSE.600000")
    person.until(lambda: person.see("volume").input_value() == "100")
    person.until(
        lambda: "%" in person.see("book").inner_text() and "Prev. close" in person.see("book").inner_text()
    )
    person.see("volume").fill("")
    person.page.get_by_role("button", name="More", exact=True).click()
    person.until(lambda: person.see("volume").input_value() == "100")
    person.until(lambda: "—" not in person.see("bid5").inner_text())
    person.see("bid5").click()
    person.see("buy").click()
    person.see("submit").click()
    question = person.page.get_by_role("dialog", name="Send this order?")
    assert "100 shares" in question.inner_text()
    person.page.keyboard.press("Control+Enter")
    assert question.count() == 1, "a question is answered before another order is thought of"
    person.page.keyboard.press("Escape")
    choose(person, "SHFE.cu2701")
    person.until(lambda: person.see("volume").input_value() == "3")
    person.see("price").fill(f"{low:.0f}")
    person.see("confirm-switch").uncheck()
    sent = len(person.sent)
    person.page.keyboard.down("Control")
    for _ in range(5):
        person.page.keyboard.down("Enter")
    person.page.keyboard.up("Enter")
    person.page.keyboard.up("Control")
    rows = person.page.locator('[data-test="working"] tbody tr')
    person.until(lambda: rows.count() == 1)
    assert sum('"insert_order"' in frame for frame in person.sent[sent:]) == 1


def test_batch_orders_and_cancel_all(house: House) -> None:
    person = house.enter(house.trader)
    ready(person)
    choose(person, "SHFE.rb2701")
    low = level(person, "bid5") - 20
    person.see("tab-batch").click()
    lines = [f"SHFE.rb2701, BUY, OPEN, {price:.0f}, 1" for price in (low, low - 1)]
    person.see("batch").fill("\n".join([*lines, "x"]))
    assert person.see("batch-send").is_disabled()
    person.see("batch").fill("\n".join(lines))
    person.see("batch-send").click()
    person.see("confirm").click()
    person.see("tab-working").click()
    rows = person.page.locator('[data-test="working"] tbody tr')
    person.until(lambda: rows.count() == 2)
    person.see("cancel-all").click()
    person.see("confirm").click()
    person.until(lambda: rows.count() == 0)


def test_a_condition_order_waits_at_the_server_and_is_cancelled(house: House) -> None:
    person = house.enter(house.trader)
    ready(person)
    choose(person, "SHFE.rb2701")
    low = level(person, "bid5") - 30
    person.see("tab-condition").click()
    person.see("trigger").fill(f"{low:.0f}")
    person.see("condition-direction").select_option("BUY")
    person.see("condition-offset").select_option("OPEN")
    person.see("condition-add").click()
    rows = person.page.locator('[data-test="conditions"] tbody tr')
    person.until(lambda: rows.count() == 1)
    assert f"≤ {low:.0f}" in rows.first.inner_text()
    person.page.reload()
    ready(person)
    person.see("tab-condition").click()
    person.until(lambda: rows.count() == 1 and "Waiting" in rows.first.inner_text())
    person.see("condition-cancel").click()
    person.until(lambda: "Waiting" not in person.page.locator('[data-test="conditions"]').all_inner_texts())


def test_a_wrong_password_and_a_trader_on_admin_pages_are_refused(house: House) -> None:
    person = house.visits(house.server.base)
    person.go("trade")
    person.page.wait_for_url("**/#/login**")
    person.see("name").fill(house.trader)
    person.see("password").fill("not-the-password-1")
    person.see("enter").click()
    person.see("wrong")
    person.see("password").fill(PASSWORD)
    person.see("enter").click()
    person.page.wait_for_url("**/#/trade")
    assert person.page.locator('nav a[href="#/admin"]').count() == 0
    person.go("admin")
    assert "Not permitted" in person.see("refused").inner_text()
    person.see("logout").click()
    person.see("to-login")
    person.go("positions")
    person.page.wait_for_url("**/#/login**")


def test_an_administrator_sees_users_and_the_audit_log(house: House) -> None:
    person = house.enter("boss", "admin")
    person.see("admin-users").click()
    users = person.see("users")
    person.until(lambda: house.trader in users.inner_text())
    person.see("language").click()
    person.until(lambda: "用户名" in users.inner_text())
    assert "User name" not in users.inner_text()
    person.see("language").click()
    person.see("admin-audit").click()
    person.until(lambda: "login" in person.see("audit").inner_text())


def test_the_kill_switch_halts_trading_and_releases_it(house: House) -> None:
    trader = house.enter(house.trader)
    ready(trader)
    choose(trader, "SHFE.rb2701")
    low = level(trader, "bid5") - 20
    trader.see("confirm-switch").uncheck()
    trader.see("price").fill(f"{low:.0f}")
    trader.see("submit").click()
    rows = trader.page.locator('[data-test="working"] tbody tr')
    trader.until(lambda: rows.count() == 1)
    boss = house.enter("boss", "admin")
    boss.see("risk-HALTED").click()
    assert boss.see("confirm").is_disabled()
    boss.see("confirm-word").fill("HALT")
    boss.see("confirm").click()
    boss.until(lambda: boss.see("risk-state").inner_text() == "Halted")
    trader.until(lambda: rows.count() == 0)
    trader.see("submit").click()
    trader.page.locator(".toast.warn").first.wait_for()
    assert rows.count() == 0
    boss.see("risk-ACTIVE").click()
    boss.see("confirm").click()
    boss.until(lambda: boss.see("risk-state").inner_text() == "Active")
    trader.see("submit").click()
    trader.until(lambda: rows.count() == 1)


PHASES = [  # seconds, last, bid, ask: worked example A in the trading contract
    (30, 75000, 74990, 75010), (15, 75000, 74990, 75000), (15, 75100, 75090, 75110),
    (60, 75200, 75200, 75210),
]  # fmt: skip


def write_example(path: Path) -> None:
    """CTP ticks of cu2109, twice a second: what the worked example's market does."""
    names = "TradingDay InstrumentID ExchangeID LastPrice PreSettlementPrice PreClosePrice OpenPrice "
    names += "HighestPrice LowestPrice Volume Turnover OpenInterest UpperLimitPrice LowerLimitPrice "
    names += "UpdateTime UpdateMillisec BidPrice1 BidVolume1 AskPrice1 AskVolume1 ActionDay"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(names.split())
        at = 0
        for seconds, last, bid, ask in PHASES:
            for _ in range(seconds * 2):
                clock = f"09:{31 + at // 120:02d}:{at // 2 % 60:02d}"
                day = [20210802, "cu2109", "SHFE", last, 75000, 75000, 75000, 75300, 74900]
                day += [1000 + at, (1000 + at) * 375000, 50000, 80000, 70000, clock, at % 2 * 500]
                out.writerow([*day, bid, 50, ask, 50, 20210802])
                at += 1


def test_the_account_shows_the_numbers_of_worked_example_a(
    serve: Serve, visit: Visits, tmp_path: Path
) -> None:
    write_example(tmp_path / "cu2109.csv")
    server = serve(
        "--source", "replay", "--replay", str(tmp_path / "cu2109.csv"),
        "--set", "source.replay.wait_clients=2", wait=False,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while server_is_away(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    add_user(server, "ann", "--role", "trader", "--account", "ann1", "--broker", "paper", "--cash", "1000000")
    person = visit(server.base)
    person.context.add_init_script(
        "localStorage.getItem('qautlra.prefs') ?? localStorage.setItem('qautlra.prefs', "
        "JSON.stringify({symbol: 'SHFE.cu2109', confirm: false, language: 'en'}))"
    )
    person.go("login?next=/trade")
    person.see("name").fill("ann")
    person.see("password").fill(PASSWORD)
    person.see("enter").click()
    person.page.wait_for_url("**/#/trade")
    person.page.locator('[data-test="trade-link"].good').first.wait_for()
    with connect(server.ws) as second:  # the market begins when the person is there
        second.send(json.dumps({"aid": "subscribe_quote", "ins_list": "SHFE.cu2109"}))
        second.send(json.dumps({"aid": "peek_message"}))
        person.until(lambda: "75010" in person.see("ask1").inner_text())
    ready(person)
    person.see("price").fill("75000")
    person.see("volume").fill("2")
    person.see("submit").click()
    person.page.locator('[data-test="working"] tbody tr').first.wait_for()
    person.go("account")

    def shows(**expected: str) -> None:
        cells = {name: person.page.locator(f'[data-test="qifi-{name}"]') for name in expected}
        person.until(lambda: {name: cell.inner_text() for name, cell in cells.items()} == expected, 40)

    shows(
        frozen_margin="75,000.00", frozen_commission="37.50", available="924,962.50", balance="1,000,000.00"
    )
    shows(margin="75,000.00", commission="37.50", balance="999,962.50", available="924,962.50")
    shows(position_profit="1,000.00", balance="1,000,962.50", available="925,962.50")
    shows(position_profit="2,000.00", balance="1,001,962.50")
    person.go("trade")
    person.see("sell").click()
    person.see("offset-CLOSE").click()
    person.see("price").fill("75200")
    person.see("volume").fill("1")
    person.see("submit").click()
    person.until(lambda: "earlier days" in person.page.locator(".toasts").inner_text())
    person.see("offset-CLOSETODAY").click()
    person.see("submit").click()
    person.go("account")
    shows(
        close_profit="1,000.00", position_profit="1,000.00", commission="37.50", margin="37,500.00",
        balance="1,001,962.50", available="964,462.50",
    )  # fmt: skip


def server_is_away(server: Server) -> bool:
    try:
        return server.request("GET", "/healthz")[0] != 200
    except OSError:
        return True


def test_trading_recovers_after_the_server_was_away(serve: Serve, visit: Visits) -> None:
    server = serve("--source", "sim")
    house = House(server, visit, add_trader(server))
    person = house.enter(house.trader)
    ready(person)
    choose(person, "SHFE.rb2701")
    low = level(person, "bid5") - 20
    person.see("confirm-switch").uncheck()
    person.see("price").fill(f"{low:.0f}")
    person.see("submit").click()
    rows = person.page.locator('[data-test="working"] tbody tr')
    person.until(lambda: rows.count() == 1)
    person.cuts_expected = True
    house.server.stop()
    person.page.locator('[data-test="trade-link"].warn').first.wait_for()
    assert person.see("submit").is_disabled()
    assert "stale" in (person.see("lists").get_attribute("class") or "").split()
    data = house.server.environment["QAUTLRA__STORE__DATA_DIR"]
    serve("--source", "sim", port=house.server.port, data=data)
    ready(person)
    person.until(lambda: rows.count() == 1)
    assert "stale" not in (person.see("lists").get_attribute("class") or "").split()
    rows.first.locator('[data-test="cancel"]').click()
    person.until(lambda: rows.count() == 0)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look[0]}-{look[1]}-{look[2][0]}")
def test_no_serious_accessibility_fault_and_nothing_overflows_behind_the_login(
    house: House, look: tuple[str, str, tuple[int, int]]
) -> None:
    person = house.enter(house.trader, **as_look(look))
    faults: dict[str, Any] = {}
    for route in ROUTES:
        person.go(route)
        person.settled()
        judge(person.page, route, faults)
    person.see("tab-history").click()
    judge(person.page, "history", faults)
    person.go("trade")
    ready(person)
    for tab in ("legs", "trades", "quotes", "tape", "batch", "condition"):
        person.see(f"tab-{tab}").click()
        person.settled()
        judge(person.page, f"trade {tab}", faults)
    person.until(lambda: "—" not in person.see("bid5").inner_text())
    person.see("bid5").click()
    person.see("buy").click()
    person.see("submit").click()
    person.see("confirm")
    judge(person.page, "order question", faults)
    assert not faults, faults
