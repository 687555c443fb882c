"""QIFI: encoding and decoding an account of 100 positions, against orjson and pymongo's bson on plain values.

Ours checks every field's type on the way in and writes complete documents; the others move dicts. The four
of a kind take turns, so the machine's drift meets all alike; medians of CPU time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import bson
import orjson

from _bench import options, report, spread
from qautlra import qifi


def account(positions: int = 100) -> qifi.Qifi:
    """Return a document of a busy account: positions, twice the orders, as many trades."""
    document = qifi.Qifi(account_cookie="acc001", trading_day="20210802", updatetime="2021-08-02 09:31:05")
    for n in range(positions):
        name = f"cu{2101 + n}"
        document.positions[f"SHFE.{name}"] = qifi.Position(
            user_id="acc001",
            exchange_id="SHFE",
            instrument_id=name,
            volume_long_today=n + 1,
            volume_long=n + 1,
            pos_long_today=n + 1,
            open_price_long=75_000.0 + n / 3,
            open_cost_long=(75_000.0 + n / 3) * 5,
            last_price=75_200.5,
            float_profit=1000.25 * n,
            margin=37_500.0 + n,
        )
        for k in range(2):
            document.orders[f"o{n}.{k}"] = qifi.Order(
                seqno=2 * n + k,
                user_id="acc001",
                order_id=f"o{n}.{k}",
                exchange_id="SHFE",
                instrument_id=name,
                direction="BUY",
                offset="OPEN",
                volume_orign=2,
                limit_price=75_000.0,
                insert_date_time=1_627_867_810_000_000_000 + n,
                status="FINISHED",
                last_msg="全部成交",
            )
        document.trades[f"o{n}|1"] = qifi.Trade(
            seqno=n,
            user_id="acc001",
            trade_id=f"o{n}|1",
            exchange_id="SHFE",
            instrument_id=name,
            direction="BUY",
            offset="OPEN",
            volume=2,
            price=75_000.0,
            trade_date_time=1_627_867_810_100_000_000 + n,
            commission=37.5,
        )
    return document


def main() -> None:
    """Measure the four ways in turns and print one line."""
    chosen = options(__doc__ or "")
    rounds, repeats = (5, 10) if chosen.short else (21, 100)
    document = account()
    as_json, as_bson = qifi.to_json(document), qifi.to_bson(document)
    plain = qifi.to_dict(document)
    assert qifi.from_json(as_json) == document == qifi.from_bson(as_bson)
    assert orjson.loads(as_json) == plain == bson.decode(as_bson)
    ways: dict[str, Callable[[], Any]] = {
        "json_encode": lambda: qifi.to_json(document),
        "orjson_encode": lambda: orjson.dumps(plain),
        "json_decode": lambda: qifi.from_json(as_json),
        "orjson_decode": lambda: orjson.loads(as_json),
        "bson_encode": lambda: qifi.to_bson(document),
        "pymongo_encode": lambda: bson.encode(plain),
        "bson_decode": lambda: qifi.from_bson(as_bson),
        "pymongo_decode": lambda: bson.decode(as_bson),
    }
    took_us: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began_ns = time.process_time_ns()
            for _ in range(repeats):
                way()
            took_us[name].append((time.process_time_ns() - began_ns) / 1e3 / repeats)
    middle = {name: spread(values, 1) for name, values in took_us.items()}
    pairs = {
        "json_encode": "orjson_encode",
        "json_decode": "orjson_decode",
        "bson_encode": "pymongo_encode",
        "bson_decode": "pymongo_decode",
    }
    report(
        "qifi",
        positions=len(document.positions),
        orders=len(document.orders),
        trades=len(document.trades),
        json_bytes=len(as_json),
        bson_bytes=len(as_bson),
        cpu_us=middle,
        control="orjson and pymongo's bson on plain dicts, unchecked",
        ratio={
            name: round(middle[name]["median"] / middle[other]["median"], 2) for name, other in pairs.items()
        },
    )


if __name__ == "__main__":
    main()
