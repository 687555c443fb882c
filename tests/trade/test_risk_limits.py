"""Configured limits reach the gate; what is not set stays the profile's."""

from pathlib import Path

from qautlra._core.exchange import Exchange
from qautlra.config.tree import RiskLimits
from qautlra.trade.risk import changes
from tests.trade.rig import ACCOUNT, Rig, run


def test_only_what_is_set_is_changed() -> None:
    assert changes("paper", RiskLimits()) == {"self_trade": True}
    found = changes("live", RiskLimits(orders_per_s=500, stale_ms=3000, stop_ratio=0.9, active_max=0))
    assert found == {
        "self_trade": True,
        "active_max": 0,
        "stop_ratio": 0.9,
        "stale_ns": 3_000_000_000,
        "orders": (500, 500),
    }
    assert changes("paper", RiskLimits(cancels_burst=5))["cancels"] == (0, 5)
    every = dict.fromkeys(RiskLimits.__struct_fields__, 1)
    Exchange(profile="live", **changes("live", RiskLimits(**every)))


def test_a_limit_refuses(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.trade.open_account(ACCOUNT, 1_000_000)
        rig.quotes()
        assert rig.send("a", "SHFE.cu2109", "BUY", "OPEN", 1, 70_000).ok
        assert rig.send("b", "SHFE.cu2109", "BUY", "OPEN", 1, 70_000).code == 3008

    run(tmp_path, body, limits=RiskLimits(active_max=1))


def test_self_trades_are_refused_unless_allowed(tmp_path: Path) -> None:
    for allowed, code in ((False, 1005), (True, 0)):

        async def body(rig: Rig, code: int = code) -> None:
            rig.trade.open_account(ACCOUNT, 1_000_000)
            rig.quotes()
            assert rig.send("a", "SHFE.cu2109", "SELL", "OPEN", 1, 75_000).ok
            assert rig.send("b", "SHFE.cu2109", "BUY", "OPEN", 1, 75_000).code == code
            assert len(rig.trade.trades(ACCOUNT)) == (0 if code else 2)

        place = tmp_path / str(allowed)
        run(place, body, limits=RiskLimits(self_trade=not allowed))
