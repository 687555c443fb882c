"""The gate: each check with its code, their order, profiles, states, rates, levels and alerts."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest

from qautlra._core.account import Ledger
from qautlra._core.risk import Gate
from tests.core.risk_rig import Rig
from tests.models.account import CU, STOCK, M
from tests.models.risk import ACTIVE, HALTED, REDUCING, Ask

Make = Callable[..., Rig]
SECOND = 1_000_000_000
BUY = Ask(CU, "BUY", "OPEN", 1, D(75000), "o1")
CLOSE = Ask(CU, "SELL", "CLOSETODAY", 1, D(75000), "c1")


@pytest.fixture(params=["twin", "core"])
def make(request: pytest.FixtureRequest) -> Make:
    def build(profile: str = "paper", cash: int = 1_000_000, **changes: Any) -> Rig:
        rig = Rig(request.param, profile, D(cash), **changes)
        rig.quote(CU, last=D(75000), upper=D(80000), lower=D(70000))
        return rig

    return build


def many(rig: Rig, count: int, ask: Ask = BUY, step_ns: int = 0) -> list[tuple[int, int]]:
    """`count` different ids of the same order, `step_ns` apart."""
    return [
        rig.gate.submit(replace(ask, order_id=f"{ask.order_id}-{n}", now_ns=ask.now_ns + n * step_ns))
        for n in range(count)
    ]


def test_a_good_order_passes(make: Make) -> None:
    rig = make()
    assert rig.gate.submit(BUY) == (0, 0)
    assert float(rig.account.funds()["frozen_margin"]) == 37_500


def test_1_states(make: Make) -> None:
    rig = make()
    assert rig.account.trade(CU, "BUY", "OPEN", 9, D(75000)) == 0
    for set_state in (rig.set_state, rig.set_account_state):
        set_state(REDUCING)
        assert rig.gate.submit(BUY) == (3017, 1)
        assert rig.gate.submit(replace(CLOSE, order_id=f"r{set_state}")) == (0, 0)
        set_state(HALTED)
        assert rig.gate.submit(BUY) == (3018, 1)
        assert rig.gate.submit(CLOSE) == (3018, 1)
        assert rig.gate.submit(replace(CLOSE, order_id=f"f{set_state}", force=True)) == (0, 0)
        assert rig.gate.cancel(f"f{set_state}", 0) == 0
        set_state(ACTIVE)
    assert rig.gate.submit(BUY) == (0, 0)


def test_2_a_frozen_account(make: Make) -> None:
    rig = make()
    rig.lock(True)
    assert rig.gate.submit(BUY) == (2002, 2)
    rig.lock(False)
    assert rig.gate.submit(BUY) == (0, 0)


def test_3_instruments(make: Make) -> None:
    rig = make()
    assert rig.gate.submit(replace(BUY, symbol="SHFE.xx9999")) == (1007, 3)
    rig.quote(CU, tradable=False)
    assert rig.gate.submit(BUY) == (3019, 3)
    rig.quote(CU, tradable=True, open=False)
    assert rig.gate.submit(BUY) == (4004, 3)


def test_4_ids(make: Make) -> None:
    rig = make()
    assert rig.gate.submit(BUY) == (0, 0)
    assert rig.gate.submit(BUY) == (3002, 4)
    assert rig.gate.submit(replace(BUY, force=True)) == (3002, 4)


@pytest.mark.parametrize(
    ("profile", "volume", "answer"),
    [("paper", 0, (1003, 5)), ("paper", -3, (1003, 5)), ("live", 10_001, (1003, 5)), ("live", 0, (1003, 5))],
)
def test_5_volumes(make: Make, profile: str, volume: int, answer: tuple[int, int]) -> None:
    assert make(profile).gate.submit(replace(BUY, volume=volume)) == answer


@pytest.mark.parametrize(("price", "code"), [(None, 3003), (D(0), 3003), (D(-10), 3003), (D(75005), 3004)])
def test_6_prices(make: Make, price: D | None, code: int) -> None:
    assert make().gate.submit(replace(BUY, price=price)) == (code, 6)


def test_6_no_price_to_freeze_at(make: Make) -> None:
    rig = make()
    any_price = Ask(M, "BUY", "OPEN", 1, None, "m", price_type="ANY")
    assert rig.gate.submit(any_price) == (3003, 6)
    rig.quote(M, settlement=D(3000))
    assert rig.gate.submit(any_price) == (0, 0)
    assert float(rig.account.funds()["frozen_margin"]) == 1_500


def test_an_order_at_any_price_freezes_at_the_upper_limit(make: Make) -> None:
    rig = make()
    assert rig.gate.submit(replace(BUY, price=None, price_type="ANY")) == (0, 0)
    assert float(rig.account.funds()["frozen_margin"]) == 40_000


def test_7_bands(make: Make) -> None:
    rig = make(price_deviation_ratio=D("0.02"), stale_ns=3 * SECOND)
    assert rig.gate.submit(replace(BUY, price=D(80010))) == (4002, 7)
    assert rig.gate.submit(replace(BUY, price=D(69990))) == (4003, 7)
    assert rig.gate.submit(replace(BUY, price=D(76510))) == (3015, 7)
    assert rig.gate.submit(replace(BUY, price=D(76500))) == (0, 0)
    late = replace(BUY, price=None, price_type="ANY", order_id="o2", now_ns=3 * SECOND + 1)
    assert rig.gate.submit(late) == (3016, 7)
    assert rig.gate.submit(replace(late, now_ns=3 * SECOND)) == (0, 0)


def test_8_value(make: Make) -> None:
    rig = make("live", 100_000_000)
    assert rig.gate.submit(replace(BUY, volume=27)) == (1010, 8)
    assert rig.gate.submit(replace(BUY, volume=26)) == (0, 0)
    assert make("paper", 100_000_000).gate.submit(replace(BUY, volume=27)) == (0, 0)


def test_9_rate(make: Make) -> None:
    rig = make("live", 100_000_000, repeats_max=0, active_max=0)
    answers = many(rig, 22)
    assert answers == [(0, 0)] * 20 + [(9429, 9)] * 2
    assert many(rig, 2, replace(BUY, order_id="l", now_ns=SECOND // 20)) == [(0, 0), (9429, 9)]
    # A clock that goes back gives nothing, and keeps nobody out until it is where it was.
    assert many(rig, 21, replace(BUY, order_id="h", now_ns=3_600 * SECOND))[-2:] == [(0, 0), (9429, 9)]
    assert many(rig, 1, replace(BUY, order_id="b", now_ns=0)) == [(9429, 9)]
    assert many(rig, 2, replace(BUY, order_id="c", now_ns=SECOND // 20)) == [(0, 0), (9429, 9)]
    assert many(rig, 21, replace(BUY, order_id="m", now_ns=10 * SECOND))[-2:] == [(0, 0), (9429, 9)]


def test_9_a_token_comes_to_the_nanosecond(make: Make) -> None:
    rig = make(cash=10_000_000, orders=(3, 1))
    third = SECOND // 3 + 1
    assert rig.gate.submit(replace(BUY, now_ns=7)) == (0, 0)
    assert rig.gate.submit(replace(BUY, order_id="o2", now_ns=6 + third)) == (9429, 9)
    assert rig.gate.submit(replace(BUY, order_id="o2", now_ns=7 + third)) == (0, 0)


def test_9_the_paper_profile_lets_200_through_at_once(make: Make) -> None:
    rig = make(cash=100_000_000, active_max=0)
    assert [code for code, _ in many(rig, 202)] == [0] * 200 + [9429] * 2


def test_10_repeats(make: Make) -> None:
    rig = make("live", 10_000_000)
    assert many(rig, 11, step_ns=SECOND) == [(0, 0)] * 10 + [(3009, 10)]
    assert rig.gate.submit(replace(BUY, order_id="p", price=D(75010), now_ns=20 * SECOND)) == (0, 0)
    rig.gate.new_day()
    assert rig.gate.submit(replace(BUY, order_id="d", now_ns=30 * SECOND)) == (0, 0)


def test_11_live_orders(make: Make) -> None:
    rig = make(cash=100_000_000)
    assert [code for code, _ in many(rig, 51)] == [0] * 50 + [3008]
    assert rig.gate.cancel("o1-0", 0) == 0
    assert rig.gate.submit(BUY) == (0, 0)


def test_12_daily_caps(make: Make) -> None:
    limits = {"contract_orders": 2, "contract_cancels": 1, "contract_trades": 0, "day_orders": 3}
    rig = make(cash=100_000_000, **limits)
    assert many(rig, 3) == [(0, 0), (0, 0), (3010, 12)]
    assert rig.gate.cancel("o1-0", 0) == 0
    assert rig.gate.cancel("o1-1", 0) == 3011
    rig.quote(M, last=D(3000))
    assert many(rig, 2, Ask(M, "BUY", "OPEN", 1, D(3000), "m")) == [(0, 0), (3010, 12)]


def test_12_trades(make: Make) -> None:
    rig = make(contract_trades=1)
    assert rig.gate.submit(BUY) == (0, 0)
    assert rig.gate.fill("o1", 1, D(75000)) == 0
    assert rig.gate.submit(replace(BUY, order_id="o2")) == (3012, 12)


def test_12_opens(make: Make) -> None:
    rig = make(contract_opens=2, contract_open_volume=5)
    assert rig.gate.submit(replace(BUY, volume=6)) == (3010, 12)
    assert rig.gate.submit(replace(BUY, volume=5)) == (0, 0)
    assert rig.gate.submit(replace(BUY, order_id="o2")) == (3010, 12)


def test_12_many_cancels_warn_and_then_block_opens(make: Make) -> None:
    rig = make(cash=10_000_000, cancels_warn=1, cancels_block=2)
    assert rig.account.trade(CU, "BUY", "OPEN", 1, D(75000)) == 0
    many(rig, 2)
    assert rig.gate.cancel("o1-0", 0) == 0
    if rig.kind == "core":
        assert rig.gate.gate.check(0, 0, 0, 0, 1, 75000.0)[2] == 2
    assert rig.gate.cancel("o1-1", 0) == 0
    assert rig.gate.submit(BUY) == (3011, 12)
    assert rig.gate.submit(CLOSE) == (0, 0)


def test_13_lots(make: Make) -> None:
    rig = make(position_max=3)
    assert rig.gate.submit(CLOSE) == (3005, 13)
    assert rig.gate.submit(replace(BUY, volume=2)) == (0, 0)
    assert rig.gate.submit(replace(BUY, volume=2, order_id="o2")) == (1002, 13)
    assert rig.gate.fill("o1", 1, D(75000)) == 0
    assert rig.gate.submit(replace(BUY, volume=2, order_id="o2")) == (1002, 13)
    assert rig.gate.submit(replace(BUY, volume=1, order_id="o2")) == (0, 0)
    assert rig.gate.submit(replace(CLOSE, offset="CLOSE")) == (3007, 13)
    assert rig.gate.submit(replace(CLOSE, force=True, volume=2)) == (3005, 13)


def test_14_funds(make: Make) -> None:
    rig = make(cash=37_500, concentration_ratio=D(0))
    assert rig.gate.submit(BUY) == (1001, 14)
    assert rig.account.deposit(D("18.75")) == 0
    assert rig.gate.submit(BUY) == (0, 0)


def test_15_concentration(make: Make) -> None:
    rig = make(cash=300_000)
    assert rig.gate.submit(replace(BUY, volume=2)) == (0, 0)
    assert rig.gate.fill("o1", 1, D(75000)) == 0
    assert rig.gate.submit(replace(BUY, volume=3, order_id="o2")) == (1009, 15)
    assert rig.gate.submit(replace(BUY, volume=1, order_id="o2")) == (0, 0)


def test_15_half_of_the_balance_is_not_more_than_half(make: Make) -> None:
    rig = make(cash=75_000)
    assert rig.gate.submit(BUY) == (0, 0)
    assert rig.account.deposit(D(37_500)) == 0
    assert rig.gate.submit(replace(BUY, order_id="o2")) == (1009, 15)
    assert rig.account.deposit(D(37_500)) == 0
    assert rig.gate.submit(replace(BUY, order_id="o2")) == (0, 0)


def test_16_risk_ratio_stops_opening_and_nothing_else(make: Make) -> None:
    rig = make(cash=80_000, concentration_ratio=D(0))
    assert rig.account.trade(CU, "BUY", "OPEN", 2, D(75000)) == 0
    rig.quote(M, last=D(3000))
    small = Ask(M, "BUY", "OPEN", 1, D(3000), "m1")
    rig.quote(CU, last=D(75000) - 110)  # 75,000 / 78,862.5 = 0.951
    assert rig.gate.submit(small) == (1004, 16)
    assert rig.gate.submit(CLOSE) == (0, 0)
    rig.quote(CU, last=D(75000))  # 0.938: a warning
    if rig.kind == "core":
        assert rig.gate.gate.check(0, rig.account.numbers[M], 0, 0, 1, 3000.0)[2] == 1
    assert rig.gate.submit(small) == (0, 0)


def test_16_shares_paid_in_full_are_no_risk(make: Make) -> None:
    rig = make(cash=100_000, concentration_ratio=D(0))
    rig.quote(STOCK, last=D(10))
    share = Ask(STOCK, "BUY", "OPEN", 9_800, D(10), "s1")
    assert rig.gate.submit(share) == (0, 0)
    assert rig.gate.fill("s1", 9_800, D(10)) == 0
    assert rig.gate.submit(replace(share, order_id="s2", volume=100)) == (0, 0)


def test_17_self_trade(make: Make) -> None:
    rig = make()
    assert rig.account.trade(CU, "BUY", "OPEN", 1, D(75000)) == 0
    assert rig.gate.submit(replace(BUY, crosses_own=True)) == (1005, 17)
    assert rig.gate.submit(replace(CLOSE, crosses_own=True)) == (0, 0)
    assert make(self_trade=False).gate.submit(replace(BUY, crosses_own=True)) == (0, 0)


def test_18_reduce_only_and_expiry(make: Make) -> None:
    rig = make()
    assert rig.account.trade(CU, "BUY", "OPEN", 1, D(75000)) == 0
    assert rig.gate.submit(replace(BUY, reduce_only=True)) == (3013, 18)
    assert rig.gate.submit(replace(BUY, gtd_day=20210801)) == (3014, 18)
    assert rig.gate.submit(replace(BUY, gtd_day=20210802)) == (0, 0)
    assert rig.gate.submit(replace(CLOSE, reduce_only=True)) == (0, 0)


def test_the_first_failure_decides(make: Make) -> None:
    """One order wrong in every way; each wrong that is mended lets the next show."""
    rig = make("live", 37_000, concentration_ratio=D("0.1"), position_max=1, repeats_max=0)
    rig.set_state(HALTED)
    rig.lock(True)
    rig.quote(CU, open=False)
    assert rig.gate.submit(replace(BUY, order_id="seen", symbol="X.y")) == (3018, 1)
    ask = replace(BUY, volume=20_000, price=D(90005), crosses_own=True, reduce_only=True)
    assert rig.gate.submit(ask) == (3018, 1)
    rig.set_state(ACTIVE)
    assert rig.gate.submit(ask) == (2002, 2)
    rig.lock(False)
    assert rig.gate.submit(ask) == (4004, 3)
    rig.quote(CU, open=True)
    assert rig.gate.submit(ask) == (1003, 5)
    ask = replace(ask, volume=1_000)
    assert rig.gate.submit(ask) == (3004, 6)
    ask = replace(ask, price=D(90010))
    assert rig.gate.submit(ask) == (4002, 7)
    ask = replace(ask, price=D(75000))
    assert rig.gate.submit(ask) == (1010, 8)
    ask = replace(ask, volume=2)
    assert rig.gate.submit(ask) == (1002, 13)
    ask = replace(ask, volume=1)
    assert rig.gate.submit(ask) == (1001, 14)
    assert rig.account.deposit(D(100_000)) == 0
    assert rig.gate.submit(ask) == (1009, 15)
    assert rig.account.deposit(D(1_000_000)) == 0
    assert rig.gate.submit(ask) == (1005, 17)
    ask = replace(ask, crosses_own=False)
    assert rig.gate.submit(ask) == (3013, 18)
    assert rig.gate.submit(replace(ask, reduce_only=False)) == (0, 0)


# What only the core has.
def test_no_account_and_junk() -> None:
    gate = Gate(Ledger())
    assert gate.check(0, 0, 0, 0, 1, 1.0)[:2] == (1006, 2)
    assert gate.check_cancel(7, 0)[:2] == (1006, 2)
    rig = Rig("core")
    check = rig.gate.gate.check
    nan = float("nan")
    before = rig.account.ledger.state_hash()
    assert check(0, 0, 0, 0, 1.5, 75000.0)[:2] == (1003, 5)
    assert check(0, 0, 0, 0, nan, 75000.0)[:2] == (1003, 5)
    assert check(0, 0, 0, 0, 10**40, 75000.0)[:2] == (1003, 5)
    assert check(0, 0, 0, 0, 10**12, 75000.0)[:2] == (5003, 13)
    assert check(0, 0, 0, 0, 1, nan)[:2] == (3003, 6)
    assert check(0, 0, 0, 0, 1, float("inf"))[:2] == (3003, 6)
    assert check(0, 0, 0, 0, 1, 75000.0000004)[:2] == (0, 0)
    assert check(0, 0, 0, 0, 1, 75000.001)[:2] == (3004, 6)
    assert rig.account.ledger.state_hash() == before
    with pytest.raises(ValueError, match="no risk limit 'speed'"):
        Gate(Ledger(), speed=1)
    with pytest.raises(ValueError, match="profile 'wild'"):
        Gate(Ledger(), "wild")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="volume_max"):
        Gate(Ledger(), volume_max=-1)
    with pytest.raises(ValueError, match="stop_ratio"):
        Gate(Ledger(), stop_ratio=nan)


def test_limits_of_one_account() -> None:
    rig = Rig("core")
    gate = rig.gate.gate
    assert gate.limits(0)["orders"] == (100, 200)
    gate.set_account_limits(0, "live", volume_max=3)
    assert gate.limits(0)["volume_max"] == 3
    assert gate.check(0, 0, 0, 0, 4, 75000.0)[:2] == (1003, 5)
    other = rig.account.ledger.open("other")
    assert gate.limits(other.number)["volume_max"] == 0


def test_levels_and_alerts() -> None:
    rig = Rig("core", cash=D(100_000))
    gate, account = rig.gate.gate, rig.account
    assert account.trade(CU, "BUY", "OPEN", 1, D(75000)) == 0
    assert gate.review(0, 20210802, 5) == [] and gate.level(0) == "low"
    assert account.trade(CU, "BUY", "OPEN", 1, D(75000)) == 0
    assert gate.review(0, 20210802, 6) == ["level_escalation"] and gate.level(0) == "medium"
    assert gate.review(0, 20210802, 7) == []
    account.mark(CU, D(72_890))  # balance 78,862.5
    assert gate.review(0, 20210802, 8) == ["level_escalation", "near_liquidation"]
    account.mark(CU, D(72_000))
    assert gate.review(0, 20210802, 9) == [
        "liquidation_triggered",
        "margin_insufficient",
        "negative_available",
    ]
    account.mark(CU, D(75_000))
    assert gate.review(0, 20210802, 10) == [] and gate.level(0) == "medium"
    account.mark(CU, D(72_000))
    assert "level_escalation" in gate.review(0, 20210802, 11)
    first = gate.alerts(0)[0]
    assert first["alert_id"] == "ALERT2021080200000001" and first["ts_ns"] == 6 and not first["handled"]
    assert gate.handle(0, 1) and gate.alerts(0)[0]["handled"]
    assert not gate.handle(0, 999) and not gate.handle(9, 1)


def test_a_hundred_alerts_are_kept() -> None:
    rig = Rig("core", cash=D(100_000))
    gate, account = rig.gate.gate, rig.account
    account.trade(CU, "BUY", "OPEN", 2, D(75000))
    for n in range(120):
        account.mark(CU, D(72_000) if n % 2 else D(75_000))
        gate.review(0, 20210802, n)
    kept = gate.alerts(0)
    assert len(kept) == 100
    assert [alert["seq"] for alert in kept] == list(range(kept[-1]["seq"] - 99, kept[-1]["seq"] + 1))


def test_a_days_loss_leaves_an_account_reducing() -> None:
    rig = Rig("core", loss_max=D(10_000))
    gate, account = rig.gate.gate, rig.account
    account.trade(CU, "BUY", "OPEN", 2, D(75000))
    account.mark(CU, D(74_010))
    assert gate.review(0) == []
    account.mark(CU, D(73_990))
    assert gate.review(0) == ["daily_loss"]
    assert gate.account_state(0) == REDUCING
    assert rig.gate.submit(BUY) == (3017, 1)
    assert rig.gate.submit(CLOSE) == (0, 0)
    gate.set_account_state(0, ACTIVE)
    assert rig.gate.submit(BUY) == (0, 0)
