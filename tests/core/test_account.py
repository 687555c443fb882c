"""Accounts: the contract's worked examples, close rules, shares, options, transfers; core and twin alike."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest

from qautlra._core.account import CODES, Ledger
from tests.core.account_rig import CoreAccount
from tests.models import account as twin
from tests.models.account import CU, IF, OPTION, RB, STOCK, TERMS, M, Terms

Make = Callable[..., Any]


@pytest.fixture(params=["twin", "core"])
def make(request: pytest.FixtureRequest) -> Make:
    kind = twin.Account if request.param == "twin" else CoreAccount

    def build(cash: int = 1_000_000, **changes: Any) -> Any:
        account = kind(**changes)
        if cash:
            assert account.deposit(D(cash)) == 0
            assert account.settle() == 0
        return account

    return build


def close_to(got: dict[str, Any], **expected: float) -> None:
    for name, value in expected.items():
        assert float(got[name]) == pytest.approx(value, abs=1e-6, rel=0), name


def test_a_life_of_copper(make: Make) -> None:
    a = make()
    assert a.insert("o1", CU, "BUY", "OPEN", 2, D(75000)) == 0  # A0
    close_to(a.funds(), frozen_margin=75_000, frozen_commission=37.5, available=924_962.5, balance=1_000_000)
    assert a.fill("o1", 2, D(75000)) == 0  # A1
    a.mark(CU, D(75000))
    close_to(
        a.funds(),
        margin=75_000,
        commission=37.5,
        balance=999_962.5,
        available=924_962.5,
        risk_ratio=0.0750028126054727,
        frozen_margin=0,
        frozen_commission=0,
    )
    close_to(a.position(CU), volume_long_today=2, volume_long=2, open_cost_long=750_000)
    a.mark(CU, D(75100))  # A1b
    close_to(
        a.funds(),
        position_profit=1_000,
        float_profit=1_000,
        balance=1_000_962.5,
        available=925_962.5,
        risk_ratio=0.0749278819136581,
    )
    before = a.funds()
    assert a.insert("x", CU, "SELL", "CLOSE", 1, D(75200)) == 3007  # A2x
    assert a.funds() == before
    assert a.insert("o2", CU, "SELL", "CLOSETODAY", 1, D(75200)) == 0  # A2
    assert a.fill("o2", 1, D(75200)) == 0
    a.mark(CU, D(75200))
    close_to(
        a.funds(),
        close_profit=1_000,
        commission=37.5,
        margin=37_500,
        position_profit=1_000,
        balance=1_001_962.5,
        available=964_462.5,
        withdraw_quota=963_462.5,
        risk_ratio=0.0374265503948501,
    )
    assert a.settle({CU: D(75100)}) == 0  # A3
    close_to(
        a.funds(),
        pre_balance=1_001_462.5,
        static_balance=1_001_462.5,
        close_profit=0,
        commission=0,
        position_profit=0,
        float_profit=500,
        margin=37_550,
        available=963_912.5,
        risk_ratio=0.0374951633236392,
    )
    close_to(
        a.position(CU),
        volume_long_his=1,
        volume_long_today=0,
        volume_long_yd=1,
        position_cost_long=375_500,
        open_cost_long=375_000,
    )
    a.mark(CU, D(74900))  # A4
    close_to(a.funds(), position_profit=-1_000, float_profit=-500, balance=1_000_462.5, available=962_912.5)
    assert a.insert("x", CU, "SELL", "CLOSETODAY", 1, D(74800)) == 3006  # A5x
    assert a.insert("o3", CU, "SELL", "CLOSE", 1, D(74800)) == 0  # A5
    assert a.fill("o3", 1, D(74800)) == 0
    close_to(
        a.funds(),
        close_profit=-1_500,
        commission=18.7,
        margin=0,
        balance=999_943.8,
        available=999_943.8,
        risk_ratio=0,
    )


def test_a_fee_on_closing_today(make: Make) -> None:
    a = make(terms=TERMS | {CU: twin.CLOSE_TODAY_COSTS})
    assert a.trade(CU, "BUY", "OPEN", 2, D(75000)) == 0
    assert a.trade(CU, "SELL", "CLOSETODAY", 1, D(75200)) == 0
    a.mark(CU, D(75200))
    close_to(a.funds(), commission=75.1, balance=1_001_924.9, available=964_424.9)


def test_c_fills_at_better_prices_and_a_cancel(make: Make) -> None:
    a = make()
    assert a.insert("o1", RB, "SELL", "OPEN", 10, D(5000)) == 0
    close_to(a.funds(), frozen_margin=45_000, frozen_commission=50)
    assert a.fill("o1", 3, D(5001)) == 0
    assert a.fill("o1", 4, D(5000)) == 0
    a.mark(RB, D(5001))
    close_to(a.funds(), frozen_margin=13_500, margin=31_502.7, commission=35.003, position_profit=-40)
    close_to(a.position(RB), open_price_short=5000.428571428571, volume_short_today=7)
    assert a.cancel("o1") == 0
    close_to(a.funds(), frozen_margin=0, frozen_commission=0, balance=999_924.997, available=968_422.297)
    assert a.insert("o2", RB, "BUY", "CLOSETODAY", 7, D(4990)) == 0
    assert a.fill("o2", 7, D(4990)) == 0
    close_to(a.funds(), close_profit=730, commission=69.933, balance=1_000_660.067, margin=0)


def test_g_golden_document(make: Make) -> None:
    rb2001 = "SHFE.rb2001"
    a = make(
        0,
        terms={rb2001: Terms(10, D(1), (D(0), D(2736)), (D(0), D("3.42")), (D(0), D("3.42")), rule="split")},
    )
    assert a.deposit(D(1_000_000)) == 0
    assert a.trade(rb2001, "SELL", "OPEN", 1, D(3426)) == 0
    assert a.trade(rb2001, "BUY", "OPEN", 1, D(3434)) == 0
    for n in range(2):
        assert a.insert(f"o{n}", rb2001, "SELL", "OPEN", 1, D(3480)) == 0
    a.mark(rb2001, D(3432))
    close_to(a.position(rb2001), float_profit_long=-20, float_profit_short=-60)
    close_to(
        a.funds(),
        pre_balance=0,
        static_balance=1_000_000,
        float_profit=-80,
        margin=5472,
        frozen_margin=5472,
        commission=6.84,
        balance=999_913.16,
        risk_ratio=0.005472475229748951,
    )
    # The document leaves the live orders' fees out; ours keeps them frozen.
    close_to(a.funds(), frozen_commission=6.84, available=988_969.16 - 6.84)


def test_what_is_closed_first_bears_its_own_cost(make: Make) -> None:
    """Old lots at 3000 settled at 3010, today's at 3030, last 3040: closing today's earns 10 a unit."""
    a = make()
    assert a.trade(M, "BUY", "OPEN", 5, D(3000)) == 0
    assert a.settle({M: D(3010)}) == 0
    assert a.trade(M, "BUY", "OPEN", 5, D(3030)) == 0
    a.mark(M, D(3040))
    close_to(a.funds(), position_profit=2_000, margin=(3010 + 3030) * 50 * 0.05)
    assert a.trade(M, "SELL", "CLOSE", 5, D(3040)) == 0
    close_to(a.funds(), close_profit=500, position_profit=1_500, float_profit=2_000, commission=7.5)
    close_to(a.position(M), volume_long_today=0, volume_long_his=5, volume_long_yd=5)


def test_old_lots_first_where_the_rule_says_so(make: Make) -> None:
    a = make(terms=TERMS | {M: replace(TERMS[M], rule="his_first")})
    assert a.trade(M, "BUY", "OPEN", 5, D(3000)) == 0
    assert a.settle({M: D(3010)}) == 0
    assert a.trade(M, "BUY", "OPEN", 5, D(3030)) == 0
    assert a.insert("c", M, "SELL", "CLOSE", 7, D(3040)) == 0
    close_to(a.position(M), volume_long_frozen_his=5, volume_long_frozen_today=2)
    assert a.shrink("c", 6) == 0
    close_to(a.position(M), volume_long_frozen_his=5, volume_long_frozen_today=1)
    assert a.fill("c", 5, D(3040)) == 0
    close_to(a.funds(), close_profit=1_500)


def test_an_amended_price_freezes_anew(make: Make) -> None:
    a = make(76_000)
    assert a.insert("o", CU, "BUY", "OPEN", 2, D(75000)) == 0
    assert a.fill("o", 1, D(75000)) == 0
    assert a.move("o", D(76000)) == 0
    close_to(a.funds(), frozen_margin=38_000, frozen_commission=19)
    assert a.move("o", D(77000)) == 1001
    close_to(a.funds(), frozen_margin=38_000, frozen_commission=19)
    assert a.move("o", D(74000)) == 0
    close_to(a.funds(), frozen_margin=37_000, frozen_commission=18.5)
    assert a.cancel("o") == 0
    close_to(a.funds(), frozen_margin=0, frozen_commission=0)


def test_closing_more_than_held(make: Make) -> None:
    a = make()
    assert a.insert("x", CU, "SELL", "CLOSE", 1, D(75000)) == 3005
    assert a.trade(CU, "BUY", "OPEN", 2, D(75000)) == 0
    assert a.insert("x", CU, "SELL", "CLOSETODAY", 3, D(75000)) == 3005
    assert a.insert("x", CU, "BUY", "CLOSETODAY", 1, D(75000)) == 3005
    assert a.insert("c1", CU, "SELL", "CLOSETODAY", 2, D(75000)) == 0
    assert a.insert("x", CU, "SELL", "CLOSETODAY", 1, D(75000)) == 3006
    assert a.insert("c1", CU, "SELL", "CLOSETODAY", 1, D(75000)) == 3002
    assert a.cancel("c1") == 0
    assert a.cancel("c1") == 3001
    assert a.insert("c2", CU, "SELL", "CLOSETODAY", 2, D(75000)) == 0
    assert a.trade(M, "BUY", "OPEN", 2, D(3000)) == 0
    assert a.insert("c3", M, "SELL", "CLOSETODAY", 2, D(3000)) == 0
    assert a.insert("x", M, "SELL", "CLOSE", 1, D(3000)) == 3005


def test_funds_are_enough_when_they_just_are(make: Make) -> None:
    a = make(75_037)
    assert a.insert("o1", CU, "BUY", "OPEN", 2, D(75000)) == 1001
    assert a.deposit(D("0.5")) == 0
    assert a.insert("o1", CU, "BUY", "OPEN", 2, D(75000)) == 0
    close_to(a.funds(), available=0)


def test_who_has_nothing_left_may_still_close(make: Make) -> None:
    a = make(80_000)
    assert a.trade(CU, "BUY", "OPEN", 2, D(75000)) == 0
    a.mark(CU, D(70000))
    assert float(a.funds()["available"]) < 0
    assert a.insert("c", CU, "SELL", "CLOSETODAY", 2, D(70000)) == 0


def test_shares(make: Make) -> None:
    a = make(100_000)
    assert a.insert("b", STOCK, "BUY", "OPEN", 1000, D("10.00")) == 0
    close_to(a.funds(), frozen_margin=10_000, frozen_commission=5.1, available=89_994.9)
    # The minimum of 5 is the order's, not each fill's; the transfer fee goes by value.
    assert a.fill("b", 400, D("10.00")) == 0
    close_to(a.funds(), commission=5.04)
    assert a.fill("b", 600, D("9.90")) == 0
    close_to(a.funds(), commission=5.0994, available=100_000 - 9_940 - 5.0994)
    a.mark(STOCK, D("11.00"))
    # A gain on shares is equity, not cash; available stays what it was.
    close_to(a.funds(), available=100_000 - 9_940 - 5.0994, balance=101_060 - 5.0994, margin=11_000)
    assert a.insert("s", STOCK, "SELL", "CLOSE", 1000, D("11.00")) == 3007  # T+1
    assert a.settle({STOCK: D("11.00")}) == 0
    assert a.insert("s", STOCK, "SELL", "CLOSE", 1000, D("11.00")) == 0
    assert a.fill("s", 1000, D("11.00")) == 0
    fees = 5 + 11 + 0.11  # minimum, stamp duty, transfer
    cash = 100_000 - 9_940 - 5.0994 + 11_000 - fees
    close_to(a.funds(), commission=fees, available=cash, balance=cash, withdraw_quota=cash - 11_000)
    assert a.withdraw(D(95_000)) == 2003
    assert a.settle() == 0
    assert a.withdraw(D(95_000)) == 0


def test_what_shares_were_sold_for_may_buy_others_and_is_not_withdrawn(make: Make) -> None:
    other = "SZSE.000001"
    free = Terms(tick=D("0.01"), asset="stock", rule="his_only")
    a = make(terms={STOCK: free, other: free})
    assert a.trade(STOCK, "BUY", "OPEN", 1000, D(10)) == 0
    assert a.settle() == 0
    assert a.trade(STOCK, "SELL", "CLOSE", 1000, D(10)) == 0
    close_to(a.funds(), available=1_000_000, withdraw_quota=990_000)
    assert a.trade(other, "BUY", "OPEN", 600, D(10)) == 0
    close_to(a.funds(), available=994_000, withdraw_quota=990_000)
    assert a.trade(other, "BUY", "OPEN", 900, D(10)) == 0
    close_to(a.funds(), available=985_000, withdraw_quota=985_000)


def test_options_pay_and_receive_premium(make: Make) -> None:
    a = make(100_000)
    assert a.insert("b", OPTION, "BUY", "OPEN", 2, D("80.0")) == 0
    close_to(a.funds(), frozen_premium=16_000, frozen_margin=0, frozen_commission=30, available=83_970)
    assert a.fill("b", 2, D("80.0")) == 0
    a.mark(OPTION, D("90.0"))
    close_to(a.funds(), premium=-16_000, position_profit=0, float_profit=2_000, balance=83_970, margin=0)
    assert a.trade(OPTION, "SELL", "CLOSE", 1, D("90.0")) == 0
    close_to(a.funds(), premium=-7_000, close_profit=0, commission=45)
    assert a.trade(OPTION, "SELL", "OPEN", 1, D("90.0")) == 0
    close_to(a.funds(), premium=2_000, margin=9_000 * 0.1 + 500)
    assert a.settle() == 0
    close_to(a.funds(), premium=0, pre_balance=100_000 + 2_000 - 60)


def test_the_larger_side_only(make: Make) -> None:
    a = make(margin_side="max", terms={s: replace(TERMS[s], group=1) for s in (CU, RB)} | {M: TERMS[M]})
    assert a.trade(CU, "BUY", "OPEN", 1, D(75000)) == 0
    assert a.trade(RB, "SELL", "OPEN", 10, D(5000)) == 0
    assert a.trade(M, "BUY", "OPEN", 10, D(3000)) == 0
    assert a.trade(M, "SELL", "OPEN", 8, D(3000)) == 0
    close_to(a.funds(), margin=45_000 + 15_000)
    assert a.settle() == 0
    close_to(a.funds(), margin=45_000 + 15_000)


def test_transfers(make: Make) -> None:
    a = make(1_000)
    for amount in (D(0), D(-1)):
        assert a.deposit(amount) == 2004
        assert a.withdraw(amount) == 2004
    assert a.withdraw(D(1001)) == 2003
    assert a.withdraw(D(1000)) == 0
    close_to(a.funds(), withdraw=1_000, static_balance=0, balance=0, risk_ratio=0)


def test_a_day_is_not_settled_while_orders_live(make: Make) -> None:
    a = make()
    assert a.insert("o", CU, "BUY", "OPEN", 1, D(75000)) == 0
    assert a.settle() == 2005
    assert a.cancel("o") == 0
    assert a.settle() == 0


def test_index_futures_fees_keep_their_digits(make: Make) -> None:
    a = make()
    assert a.trade(IF, "BUY", "OPEN", 1, D("5000.2")) == 0
    close_to(a.funds(), commission=5000.2 * 300 * 0.00002301)
    assert a.trade(IF, "SELL", "CLOSETODAY", 1, D("5000.4")) == 0
    close_to(a.funds(), commission=5000.2 * 300 * 0.00002301 + 5000.4 * 300 * 0.0001, close_profit=60)


# What only the core has.
def core(cash: float = 1_000_000) -> CoreAccount:
    account = CoreAccount()
    account.deposit(D(cash))
    return account


def test_refusals_change_nothing() -> None:
    a = core()
    a.trade(CU, "BUY", "OPEN", 2, D(75000))
    a.insert("o", CU, "SELL", "CLOSETODAY", 1, D(75000))
    before = a.ledger.state_hash(), a.funds()
    hold = a.holds["o"]
    nan = float("nan")
    for volume, price, code in [
        (0, 75000.0, 1003),
        (-1, 75000.0, 1003),
        (1.5, 75000.0, 1003),
        (10**30, 75000.0, 1003),
        (1, nan, 3003),
        (1, float("inf"), 3003),
        (1, -1.0, 3003),
        (1, 1e300, 3003),
        (10**11, 75000.0, 5003),
        (2000, 75000.0, 1001),
    ]:
        assert a.account.freeze(0, 0, 0, volume, price) == (code, None)
    assert a.account.freeze(999, 0, 0, 1, 1.0)[0] == 1007
    assert a.account.fill(hold, 2, 75000.0)[0] == 1003
    assert a.account.fill(hold, 1, nan)[0] == 3003
    assert a.account.shrink(hold, 0) == 1003
    assert a.account.move(hold, nan) == 3003
    assert a.ledger.mark(999, 1.0) == 1007
    assert a.ledger.mark(0, nan) == 3003
    assert a.account.withdraw(1e9) == 2003
    assert a.account.withdraw(nan) == 2004
    assert a.account.deposit(float("inf")) == 2004
    assert (a.ledger.state_hash(), a.funds()) == before
    with pytest.raises(ValueError, match="side 7"):
        a.account.freeze(0, 7, 0, 1, 1.0)
    with pytest.raises(ValueError, match="offset 3"):
        a.account.freeze(0, 0, 3, 1, 1.0)
    with pytest.raises(ValueError, match="no account 5"):
        a.ledger.account(5)
    with pytest.raises(ValueError, match="no whole number"):
        a.ledger.set_terms(7, "X.y", multiple=1.5)
    with pytest.raises(ValueError, match="ratios"):
        a.ledger.set_terms(7, "X.y", margin=(2.0, 0.0))


def test_an_order_that_is_done_keeps_nothing() -> None:
    a = core()
    code, hold = a.account.freeze(0, 0, 0, 1, 75000.0)
    assert code == 0 and hold is not None
    assert a.account.fill(hold, 1, 75000.0)[0] == 0
    before = a.ledger.state_hash()
    a.account.release(hold)
    assert a.account.move(hold, 75000.0) == 3001
    assert a.account.fill(hold, 1, 75000.0)[0] == 1003
    assert (a.account.live_orders, a.ledger.state_hash()) == (0, before)


def test_locks() -> None:
    a = core()
    a.account.locks = 2
    assert a.account.withdraw(1.0) == 2002
    a.account.locks = 0
    assert a.account.withdraw(1.0) == 0


def test_marks_reach_every_holder_and_no_other() -> None:
    ledger = Ledger()
    first = CoreAccount(ledger=ledger)
    others = [ledger.open(f"acc{n}") for n in range(3)]
    for account in others:
        account.deposit(1_000_000.0)
        account.trade(first.numbers[CU], 0, 0, 1, 75000.0)
    first.mark(CU, D(75100))
    assert [account.funds()["position_profit"] for account in others] == [500.0] * 3
    assert ledger.open("acc0").number == others[0].number
    others[0].trade(first.numbers[CU], 1, 2, 1, 75100.0)
    for account in others:
        assert account.settle() == 0
    assert others[0].positions() == []
    first.mark(CU, D(75200))
    assert [account.funds()["position_profit"] for account in others] == [0.0, 500.0, 500.0]


def test_new_terms_hold_at_once() -> None:
    a = core()
    a.trade(CU, "BUY", "OPEN", 2, D(75000))
    a.ledger.set_terms(a.numbers[CU], CU, multiple=5, tick=10, margin=(0.2, 0.0))
    assert a.funds()["margin"] == 150_000


def test_state_hash_knows_names_not_numbers() -> None:
    one, two = CoreAccount(TERMS), CoreAccount(dict(reversed(TERMS.items())))
    assert one.ledger.state_hash() == two.ledger.state_hash()
    for a in (one, two):
        a.deposit(D(1_000_000))
        a.trade(CU, "BUY", "OPEN", 1, D(75000))
        a.trade(RB, "SELL", "OPEN", 1, D(5000))
        a.insert("o", RB, "BUY", "CLOSETODAY", 1, D(5000))
    assert one.ledger.state_hash() == two.ledger.state_hash()
    one.cancel("o")
    assert one.ledger.state_hash() != two.ledger.state_hash()


def test_an_account_as_a_broker_states_it() -> None:
    a, b = core(), CoreAccount()
    a.trade(CU, "BUY", "OPEN", 3, D(75000))
    a.settle({CU: D(75100)})
    a.trade(CU, "BUY", "OPEN", 1, D(75200))
    funds = a.funds()
    b.account.set_funds(pre_balance=funds["pre_balance"], commission=funds["commission"])
    assert (
        b.account.set_leg(
            b.numbers[CU],
            0,
            today=1,
            his=3,
            cost_today=376_000,
            cost_his=1_126_500,
            open_cost_his=1_125_000,
            last=75_100.0,
        )
        == 0
    )
    assert b.funds() == a.funds()
    assert b.position(CU) == a.position(CU)
    assert b.ledger.state_hash() == a.ledger.state_hash()
    assert b.account.set_leg(b.numbers[CU], 0, last=75_100.0) == 0
    assert (b.funds()["margin"], b.funds()["position_profit"]) == (0, 0)


def test_liquidation_respects_ticks_limits_and_lots() -> None:
    a = core(10_000_000)
    a.trade(CU, "BUY", "OPEN", 3, D(75000))
    a.trade(STOCK, "BUY", "OPEN", 100, D(10))
    a.trade(M, "SELL", "OPEN", 4, D(3000))
    a.settle({CU: D(75000)})
    a.trade(CU, "BUY", "OPEN", 2, D(75010))
    a.trade(STOCK, "BUY", "OPEN", 300, D(10))
    a.trade(M, "SELL", "OPEN", 1, D(3000))
    a.insert("c", CU, "SELL", "CLOSE", 1, D(75000))
    cu, stock, m = a.numbers[CU], a.numbers[STOCK], a.numbers[M]
    a.ledger.set_quote(cu, bid=74_990.0, ask=75_000.0, lower=70_000.0, upper=80_000.0)
    a.ledger.set_quote(stock, bid=10.0, lower=9.97)
    a.ledger.set_quote(m, settlement=3000.0, upper=3010.5)
    assert a.account.liquidation() == [
        (cu, 1, 2, 2, 74_610.0),  # 74,615.05 down to the tick; today's lots apart, the frozen one left
        (cu, 1, 1, 2, 74_610.0),
        (m, 0, 1, 5, 3010.0),  # settlement 3000 up by 0.5 % is 3015, the limit 3010.5 lies off the tick
        (stock, 1, 1, 100, 9.97),
    ]
    assert [order[3] for order in a.account.liquidation(volume_max=3) if order[0] == m] == [3, 2]
    a.ledger.set_quote(cu, tradable=False)
    assert {order[0] for order in a.account.liquidation()} == {m, stock}


def test_codes_have_a_name_and_a_text_each() -> None:
    assert all(name and text for name, _, _, text in CODES.values())
    assert len({name for name, *_ in CODES.values()}) == len(CODES)
    assert CODES[3005][1:3] == (416, 30) and CODES[3006][1:3] == (414, 50) and CODES[3007][1:3] == (415, 51)
    assert CODES[1001][3] == "开仓保证金不足"
