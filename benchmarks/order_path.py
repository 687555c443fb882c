"""The order path natively: bytes of a DIFF order to bytes of its report in one call, journal `memory`.

1,000 accounts trade 100 instruments: half limit orders, 45 % cancels, 5 % market orders, as in `matching`.
A report is the `rtn_data` packet of the sender: what the order changed in his funds, his position and older
orders, and new orders, positions and trades whole; of a cancel that missed it is a notify. It is the second
day of the exchange, in memory used before. The control decodes, checks and encodes less in Python.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from typing import Any

import _bench

_bench.import_product()

import orjson  # noqa: E402

import matching  # noqa: E402
from qautlra._core import bench, orders  # noqa: E402
from qautlra._core.journal import Journal  # noqa: E402

BOOKS = 100
NOW_NS = 1_627_867_810_000_000_000
DAY_NS = 86_400_000_000_000


def main() -> None:
    """Measure in turn and print the line."""
    chosen = _bench.options(__doc__ or "")
    rounds, count = (2, 10_000) if chosen.short else (7, 200_000)
    ops = matching.generate(count, BOOKS)
    messages, accounts = zip(*(message_of(op) for op in ops), strict=True)
    p50: list[float] = []
    p99: list[float] = []
    p999: list[float] = []
    control: list[float] = []
    floor: list[float] = []
    report_bytes = trades = 0
    for _ in range(rounds):
        with (
            tempfile.TemporaryDirectory(prefix="qautlra-bench-") as place,
            Journal(place, durability="memory") as log,
        ):
            x = matching.new_exchange(BOOKS, log)
            bench.time_path(x, messages, accounts, NOW_NS)
            matching.next_day(x, BOOKS)
            spent, total = bench.time_path(x, messages, accounts, NOW_NS + DAY_NS)
            assert x.broken == 0
            trades, report_bytes = x.trades, total
            for values, share in ((p50, 0.5), (p99, 0.99), (p999, 0.999)):
                values.append(_bench.quantile(spent, share) / 1e3)
        control.append(python_us(messages[: count // 10]))
        floor.append(timer_ns())
    assert judged(messages[:5_000], accounts[:5_000])
    _bench.report(
        "order_path",
        p50_us=_bench.spread(p50, 3),
        p99_us=_bench.spread(p99, 3),
        p999_us=_bench.spread(p999, 3),
        control_python_us=_bench.spread(control, 3),
        timer_ns=_bench.spread(floor, 0),
        messages=count,
        trades=trades,
        report_bytes_mean=round(report_bytes / count),
        control="orjson and a check in Python, no exchange behind it",
        note="wall time of each call, timer included; the journal's writer is woken per 64 orders, not timed",
    )


def message_of(op: matching.Op) -> tuple[bytes, int]:
    """Return the message of an operation and its sender."""
    kind, side, book, number, price, volume = op
    account = 1 + number % matching.TRADERS
    name = {"user_id": f"acc{account - 1}", "order_id": f"PYSDK_insert_{number:032x}"}
    if kind == 1:
        return json.dumps({"aid": "cancel_order", **name}).encode(), account
    order = {
        "aid": "insert_order",
        **name,
        "exchange_id": "SHFE",
        "instrument_id": f"x{book}",
        "direction": "SELL" if side else "BUY",
        "offset": "OPEN",
        "volume": volume,
        "price_type": "LIMIT" if kind == 0 else "ANY",
        "limit_price": price,
        "volume_condition": "ANY",
        "time_condition": "GFD" if kind == 0 else "IOC",
    }
    return json.dumps(order).encode(), account


def python_us(messages: tuple[bytes, ...]) -> float:
    """Return microseconds per message of decoding, checking and encoding in Python."""
    start = time.process_time()
    for message in messages:
        order = orjson.loads(message)
        if order["aid"] == "insert_order" and (order["volume"] <= 0 or order["limit_price"] < 0):
            continue
        orjson.dumps(
            {
                "topic": "order_report",
                "order_id": order["order_id"],
                "status": "FILLED",
                "account": {"account_cookie": order["user_id"], "balance": 1e6, "available": 9e5},
            }
        )
    return (time.process_time() - start) / len(messages) * 1e6


def timer_ns() -> float:
    """Return nanoseconds between two readings of the same clock from Python: more than the timer costs."""
    readings = [time.perf_counter_ns() for _ in range(20_001)]
    return _bench.quantile([b - a for a, b in itertools.pairwise(readings)], 0.5)


def judged(messages: tuple[bytes, ...], accounts: tuple[int, ...]) -> bool:
    """Whether reports of the timed path are JSON and say what the exchange says."""
    x = matching.new_exchange(BOOKS)
    path = orders.Path(x)
    trees: dict[int, dict[str, Any]] = {account: {} for account in range(1, matching.TRADERS + 1)}
    for at, (message, account) in enumerate(zip(messages, accounts, strict=True)):
        answer = path.handle(account, message, NOW_NS + at * 1_000_000)
        tree = json.loads(answer.report)["data"][0]
        if answer.code == 0 and answer.number is not None:
            merge(trees[account], tree["trade"][f"acc{account - 1}"])
            order = x.order(answer.number)
            assert trees[account]["orders"][order["order_id"]]["volume_left"] == order["left"]
        else:
            assert "notify" in tree
        for event in x.events():
            if event[3] != account:  # what his order did to others is the owner's to tell
                part = orders.encode_part(x, event[3], instruments=[event[4]], orders=[event[2]])
                merge(trees[event[3]], json.loads(part))
    for account, tree in trees.items():
        for symbol, position in tree.get("positions", {}).items():
            number = x.instrument(symbol)
            assert number is not None
            assert position == json.loads(orders.encode_position(x, account, number) or b"null")
    return x.trades > 0


def merge(tree: dict[str, Any], patch: dict[str, Any]) -> None:
    """Put a merge patch on a client's tree."""
    for key, value in patch.items():
        if isinstance(value, dict):
            merge(tree.setdefault(key, {}), value)
        else:
            tree[key] = value


if __name__ == "__main__":
    main()
