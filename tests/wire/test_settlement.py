"""The text of a statement: columns line up whatever the letters, and nothing is left out."""

import unicodedata
from types import SimpleNamespace

from qautlra.model.order import Direction, Offset, Trade
from qautlra.wire.settlement import WIDTH, render, risk_ratio


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def trade(volume: int, profit: float) -> Trade:
    return Trade(
        number=0,
        seq=1,
        account_id="a",
        trade_id="o|1",
        exchange_trade_id="1",
        order_id="o",
        symbol="SHFE.cu2109",
        direction=Direction.SELL,
        offset=Offset.CLOSETODAY,
        volume=volume,
        price=75_200.0,
        commission=1.25,
        close_profit=profit,
        trade_ns=1_627_867_810_000_000_000,
    )


def test_everything_is_there_and_lines_up() -> None:
    position = {"symbol": "SHFE.cu2109", "volume_long": 3, "volume_short": 0}
    for name in ("open_price", "position_profit", "float_profit", "margin"):
        position |= {f"{name}_long": 1000.5, f"{name}_short": 0.0}
    moved = SimpleNamespace(amount=-50.0, bank_id="工商银行", code=0, time_ns=0)
    failed = SimpleNamespace(amount=-99.0, bank_id="SIM", code=2003, time_ns=0)
    statement = SimpleNamespace(
        account_id="a",
        trading_day=20210802,
        funds={"balance": 1.0, "margin": 0.5},
        positions=[position],
        trades=[trade(2, 10.0), trade(1, -3.0)],
        transfers=[moved, failed],
        prices={"SHFE.cu2109": 75_100.0},
    )
    text = render(statement)
    assert "50.00%" in text and "99.00" not in text and "75100" in text
    assert "2021-08-02 09:30:10" in text and "平今" in text
    lines = text.splitlines()
    for title, rows in (("出入金明细", 1), ("成交明细", 3), ("持仓汇总", 1)):
        at = next(number for number, line in enumerate(lines) if title in line)
        table = [lines[at + 2], *lines[at + 4 : at + 4 + rows]]
        assert len({columns(line) for line in table}) == 1, table
    [total] = [line for line in lines if line.startswith("合计")]
    assert total.split() == ["合计", "3", "2.50", "7.00"]
    assert all(columns(line) <= WIDTH for line in lines)


def test_an_account_that_did_nothing_has_its_funds_only() -> None:
    empty = SimpleNamespace(
        account_id="a", trading_day=20210802, funds={}, positions=[], trades=[], transfers=[], prices={}
    )
    text = render(empty)
    assert "资金状况" in text and "成交明细" not in text and "持仓汇总" not in text


def test_a_risk_ratio_of_no_balance_is_none_and_never_nought() -> None:
    assert risk_ratio({"margin": 5.0, "balance": 10.0}) == 0.5
    assert risk_ratio({"margin": 0.0, "balance": 0.0}) == 0.0
    assert risk_ratio({"margin": 5.0, "balance": -1.0}) is None
    bankrupt = {"margin": 5.0, "balance": -1.0, "risk_ratio": 0.0}
    found = SimpleNamespace(
        account_id="a", trading_day=1, funds=bankrupt, positions=[], trades=[], transfers=[], prices={}
    )
    [line] = [one for one in render(found).splitlines() if one.startswith("风 险 度")]
    assert line.split()[-1] == "-"
