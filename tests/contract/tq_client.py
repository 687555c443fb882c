"""Scenes played by an unmodified TqSdk; each prints, as its last line, what it saw as JSON (NaN as null)."""

import json
import math
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any
from urllib.request import Request, urlopen

warnings.filterwarnings("ignore")

from tqsdk import TqAccount, TqApi, TqAuth, TqBacktest, TqSim  # noqa: E402
from tqsdk.exceptions import BacktestFinished  # noqa: E402

LIVELY, STILL = "CFFEX.IF2101", "SHFE.rb2105"
PATIENCE_S = 60


def connect(url: str, **more: Any) -> TqApi:
    return TqApi(TqSim(), auth=TqAuth("t", "s"), _md_url=url, debug=False, disable_print=True, **more)


def plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def fields(entity: Any, *names: str) -> dict[str, Any]:
    return {name: plain(entity[name]) for name in names}


DAY = ("open", "highest", "average", "pre_settlement")
QUOTE = ("last_price", "ask_price1", "ask_volume1", "bid_price1", "bid_volume1", "upper_limit", "lower_limit")


def limits(url: str) -> dict[str, Any]:
    """Watch an instrument through limit-up and limit-down, and one that does not trade."""
    api = connect(url)
    quote, still = api.get_quote(LIVELY), api.get_quote(STILL)
    bars = api.get_kline_serial(LIVELY, 1, 10)
    no_bars = api.get_kline_serial(STILL, 60, 10)
    ticks = api.get_tick_serial(LIVELY, 10)
    still_ticks = api.get_tick_serial(STILL, 10)
    seen: list[dict[str, Any]] = []
    deadline = time.time() + PATIENCE_S
    while time.time() < deadline:
        now = fields(quote, *QUOTE)
        if not seen or seen[-1] != now:
            seen.append(now)
        if quote.volume >= 900:  # the recording's last row
            break
        api.wait_update(deadline=time.time() + 5)
    result = {
        "quotes": seen,
        "last_tick": fields(ticks.iloc[-1], "last_price", "ask_price1", "ask_volume1", "bid_price1"),
        "last_bar": fields(bars.iloc[-1], "open", "close"),
        "still": {"datetime": still.datetime}
        | fields(still, *QUOTE, "open", "highest", "average", "pre_settlement"),
        "still_bars": [plain(value) for value in no_bars["close"]],
        "still_tick": fields(still_ticks.iloc[-1], "last_price", "ask_price1", "bid_price1"),
    }
    api.close()
    return result


def series(url: str) -> dict[str, Any]:
    """Look at the newest bars and ticks of one instrument."""
    api = connect(url)
    symbol = "SHFE.rb2701"
    found: dict[str, Any] = {}
    for period_s in (5, 60, 3600, 86400):
        frame = api.get_kline_serial(symbol, period_s, 20)
        rows = frame[frame["datetime"] > 0]
        columns = ["id", "datetime", "open", "high", "low", "close", "volume"]
        found[str(period_s)] = [
            [int(r[0]), int(r[1]), *map(plain, r[2:])] for r in rows[columns].to_numpy().tolist()
        ]
    frame = api.get_tick_serial(symbol, 20)
    found["0"] = [
        [int(r[0]), int(r[1]), plain(r[2])]
        for r in frame[["id", "datetime", "last_price"]].to_numpy().tolist()
    ]
    api.close()
    return found


def backtest(url: str) -> dict[str, Any]:
    """Walk through two past days of one-minute bars: charts that begin where they are told to."""
    from datetime import date, timedelta

    live = connect(url)
    newest = time.gmtime(live.get_kline_serial("SHFE.rb2701", 86400, 3)["datetime"].iloc[-2] / 1e9 + 8 * 3600)
    live.close()
    day = date(newest.tm_year, newest.tm_mon, newest.tm_mday)
    api = connect(url, backtest=TqBacktest(start_dt=day - timedelta(days=1), end_dt=day))
    bars = api.get_kline_serial("SHFE.rb2701", 60, 10)
    times: list[int] = []
    try:
        while True:
            api.wait_update()
            if api.is_changing(bars.iloc[-1], "datetime"):
                times.append(int(bars["datetime"].iloc[-1]))
    except BacktestFinished:
        pass
    api.close()
    return {"bars": len(times), "ordered": times == sorted(set(times))}


def outside(url: str, trade_url: str, bid: str, user: str) -> dict[str, Any]:
    """Close one lot of today by an account of a broker beyond the gateway; rest an order and withdraw it."""
    account = TqAccount(bid, user, "Check-pass-1", td_url=trade_url)
    api = TqApi(account, auth=TqAuth("t", "s"), _md_url=url, debug=False, disable_print=True)
    symbol, deadline = "SHFE.rb2701", time.time() + PATIENCE_S
    quote, position = api.get_quote(symbol), api.get_position(symbol)

    def until(done: Callable[[], bool]) -> None:
        while not done() and time.time() < deadline:
            api.wait_update(deadline=time.time() + 1)

    until(lambda: position.pos_long == 1)
    rest = api.insert_order(symbol, "BUY", "OPEN", 1, limit_price=quote.lower_limit)
    until(lambda: rest.exchange_order_id != "")
    rested = [rest.status]
    api.cancel_order(rest)
    until(lambda: rest.status == "FINISHED")
    rested.append(rest.status)
    sold = api.insert_order(symbol, "SELL", "CLOSETODAY", 1, limit_price=quote.lower_limit)
    until(lambda: sold.status == "FINISHED" and position.pos_long == 0)
    found = {"sold": fields(sold, "status", "volume_left"), "rested": rested, "position": position.pos}
    api.close()
    return found


def days(url: str) -> dict[str, Any]:
    """Hold a lot over the end of a day that an operator forces, then close it as yesterday's."""
    address = url.removeprefix("ws://").partition("/")[0]
    account = TqAccount("paper", "check", "Check-pass-1", td_url=f"ws://{address}/ws/trade")
    api = TqApi(account, auth=TqAuth("t", "s"), _md_url=url, debug=False, disable_print=True)
    symbol, deadline = "SHFE.rb2701", time.time() + PATIENCE_S
    quote, funds, position = api.get_quote(symbol), api.get_account(), api.get_position(symbol)

    def until(done: Callable[[], bool]) -> None:
        while not done():
            if not api.wait_update(deadline=deadline):
                raise TimeoutError(str(dict(position)))

    def trade(direction: str, offset: str) -> str:
        price = quote.upper_limit if direction == "BUY" else quote.lower_limit
        order = api.insert_order(symbol, direction, offset, 1, price)
        until(lambda: order.status == "FINISHED")
        return f"{order.volume_left} {order.last_msg}"

    def post(path: str, body: dict[str, Any], token: str = "") -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        request = Request(f"http://{address}{path}", json.dumps(body).encode(), headers)
        with urlopen(request, timeout=10) as reply:
            return json.load(reply)["data"]

    until(lambda: quote.last_price == quote.last_price and funds.balance > 0)
    seen: dict[str, Any] = {"opened": trade("BUY", "OPEN"), "before": fields(position, "pos_long_today")}
    token = post("/api/auth/login", {"username": "root", "password": "Root-pass-1"})["token"]
    post("/api/admin/settlement/execute", {"force": True}, token)
    until(lambda: position.pos_long_his == 1 and position.pos_long_today == 0)
    until(lambda: funds.commission == 0)
    seen["after"] = fields(position, "pos_long_his", "pos_long_today", "volume_long")
    seen["settled"] = abs(funds.pre_balance - funds.static_balance) < 0.01
    seen["refused"] = trade("SELL", "CLOSETODAY")
    seen["closed"] = trade("SELL", "CLOSE")
    until(lambda: position.pos_long == 0 and funds.margin == 0)
    balance = funds.static_balance + funds.close_profit + funds.position_profit - funds.commission
    seen["adds_up"] = abs(balance - funds.balance) < 0.02
    api.close()
    return seen


def sells(url: str) -> dict[str, Any]:
    """Sell one lot at a price at which somebody else waits."""
    address = url.removeprefix("ws://").partition("/")[0]
    account = TqAccount("paper", "check", "a-Passw0rd-of-tests", td_url=f"ws://{address}/ws/trade")
    api = TqApi(account, auth=TqAuth("t", "s"), _md_url=url, debug=False, disable_print=True)
    funds, deadline = api.get_account(), time.time() + PATIENCE_S
    order = api.insert_order(LIVELY, "SELL", "OPEN", 1, 5231.0)
    while order.status != "FINISHED" or not order.trade_records or funds.commission == 0:
        if not api.wait_update(deadline=deadline):
            raise TimeoutError(str(dict(order)))
    names = ("trade_id", "exchange_trade_id", "order_id", "price", "volume")
    seen = {
        "trades": [fields(trade, *names) for trade in order.trade_records.values()],
        "account": fields(funds, "balance", "available", "margin", "commission"),
    }
    api.close()
    return seen


def continuous(url: str) -> dict[str, Any]:
    """Watch a product's main contract and its index, which nobody has asked for before."""
    api = connect(url)
    found: dict[str, Any] = {"listed": api.query_cont_quotes(exchange_id="CFFEX", product_id="IF")}
    main = api.get_quote("KQ.m@CFFEX.IF")
    contract = api.get_quote(main.underlying_symbol)
    index = api.get_quote("KQ.i@CFFEX.IF")
    bars = api.get_kline_serial("KQ.m@CFFEX.IF", 1, 10)
    minutes = api.get_kline_serial("KQ.i@CFFEX.IF", 60, 10)
    past = [api.get_kline_serial(symbol, 60, 200) for symbol in ("KQ.m@CFFEX.IF", main.underlying_symbol)]
    found |= {"underlying": main.underlying_symbol, "class": [main.ins_class, index.ins_class]}
    names = ("last_price", "bid_price1", "ask_price1", "volume", "open_interest")
    deadline, same, moves = time.time() + PATIENCE_S, 0, set()
    while (same < 3 or len(moves) < 3) and time.time() < deadline:
        api.wait_update(deadline=deadline)
        moves.add(index.last_price)
        same += main.datetime == contract.datetime and fields(main, *names) == fields(contract, *names)
    others = [api.get_quote(symbol) for symbol in api.query_quotes("FUTURE", "CFFEX", "IF", expired=False)]
    until = time.time() + 10
    while any(math.isnan(one.last_price) for one in others) and time.time() < until:
        api.wait_update(deadline=until)
    prices = [one.last_price for one in others]
    found["most_open_interest"] = max(others, key=lambda one: one.open_interest).instrument_id
    found["index_between"] = min(prices) * 0.99 < index.last_price < max(prices) * 1.01
    found["index_moves"] = len(moves) >= 3
    found["same"] = same >= 3
    found["ticks"] = [main.price_tick, contract.price_tick]
    closed = [list(one["close"].iloc[:-3]) for one in past]
    found["past"] = len(closed[0]) == 197 and closed[0] == closed[1]
    found["bar_close"] = plain(bars["close"].iloc[-1]) is not None
    found["index_bar"] = plain(minutes["close"].iloc[-1]) is not None
    api.close()
    return found


def options(url: str) -> dict[str, Any]:
    """Ask for the options on an index, which no source shows itself."""
    api = connect(url)
    index, deadline = "SSE.000300", time.time() + PATIENCE_S
    while len(api.query_options(index)) < 3 and time.time() < deadline:
        api.wait_update(deadline=time.time() + 0.5)
    found = {
        "all": sorted(api.query_options(index)),
        "calls": sorted(api.query_options(index, option_class="CALL")),
        "march": sorted(api.query_options(index, exercise_year=2021, exercise_month=3)),
        "at_5200": sorted(api.query_options(index, strike_price=5200.0)),
        "none": list(api.query_options("CFFEX.IF2101")),
    }
    api.close()
    return found


if __name__ == "__main__":
    scenes: dict[str, Callable[..., dict[str, Any]]] = {
        "limits": limits,
        "series": series,
        "backtest": backtest,
        "days": days,
        "sells": sells,
        "continuous": continuous,
        "options": options,
        "outside": outside,
    }
    scene = scenes[sys.argv[1]]
    print(json.dumps(scene(*sys.argv[2:])))
