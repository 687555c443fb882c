"""Order matching: a call per order from Python beside engines of PyPI, a stream natively beside a C++ ladder.

Half of the operations are limit orders around a drifting middle, 45 % cancels (many of orders already gone),
5 % market orders. All must trade alike: the core, a careful book of Python's sorted lists and deques,
lightmatchingengine, and (by what rests at the end, it tells no trades) limit-order-book. The stream is run on
the books alone, on books with risk gate and ledger (1,000 accounts, margin, positions, fees), and on the
whole exchange around them: ids as text, the day's orders and trades, events.
"""

from __future__ import annotations

import bisect
import collections
import gc
import math
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import _bench

_bench.import_product()

from qautlra._core import bench  # noqa: E402
from qautlra._core.book import (  # noqa: E402
    ALLOW,
    ANY_PRICE,
    CONTINUOUS,
    FILL,
    GFD,
    IOC,
    LIMIT,
    Books,
    OrderNumbers,
)
from qautlra._core.exchange import Exchange  # noqa: E402
from qautlra._core.journal import Journal  # noqa: E402

LEVELS = 40_960
MASK = (1 << 64) - 1
Op = tuple[int, int, int, int, int, int]  # type, side, book, number, price, volume
Result = tuple[int, int, int, int]  # trades, volume, value, cancels that missed
LADDER = """
#include "q_ladder.h"
#include "q_timing.h"
template <class Engine> void run(const std::vector<Op>& ops, uint16_t books) {
  auto e = std::make_unique<Engine>(books, 40960u, (uint32_t)ops.size(), 200000u);
  double a = cpu_ns();
  for (auto& o : ops) e->on(o);
  printf("%f %lu %lu %lu %lu\\n", (cpu_ns() - a) / ops.size(), e->res.trades, e->res.volume, e->res.notional,
         e->res.cancel_miss);
}
int main(int, char** v) {
  uint32_t n = atoi(v[1]); uint16_t books = atoi(v[2]);
  auto ops = gen_ops(n, books);
  if (FILE* f = fopen(v[3], "wb")) { fwrite(ops.data(), sizeof(Op), ops.size(), f); fclose(f); }
  run<ladder::Engine<ladder::DenseIds, false>>(ops, books);
  run<ladder::Engine<ladder::HashIds, true>>(ops, books);
}
"""
TRADERS = 1_000


def main() -> None:
    """Measure all in turn and print the line."""
    chosen = _bench.options(__doc__ or "")
    rounds, calls, streamed = (2, 10_000, 50_000) if chosen.short else (5, 200_000, 1_000_000)
    figures: dict[str, object] = {}
    for books in (1, 100):
        ops = generate(calls, books)
        result, _ = control_of(ops, books)
        assert core_result(ops, books)[:4] == result  # the two must trade alike before either is timed
        times: dict[str, list[float]] = {"core": [], "plain_python": []}
        resting = core_result(ops, books)[4]
        for _ in range(rounds):
            times["core"].append(core_ns(ops, books))
            times["plain_python"].append(control_of(ops, books)[1])
            for name, peer in PEERS.items():
                found = peer(ops, books, result, resting)
                if found is not None:
                    times.setdefault(name, []).append(found)
        spreads = {name: _bench.spread(values, 1) for name, values in times.items()}
        stream = stream_figures(generate(min(streamed, calls), books), streamed, books, rounds)
        array_ns = stream["ns"]["books"]["median"]
        figures[f"books {books}"] = {
            "call_ns": spreads,
            "times_slower_than_core": {
                name: round(spreads[name]["median"] / spreads["core"]["median"], 1)
                for name in spreads
                if name != "core"
            },
            "times_slower_than_one_call_with_an_array": {
                name: round(spreads[name]["median"] / array_ns, 1) for name in spreads if name in PEERS
            },
            "trades": result[0],
            "stream": stream,
        }
    _bench.report(
        "matching",
        **figures,
        calls=calls,
        control="engines of PyPI and plain Python per call, the bare C++ ladder for the stream; same trades",
        note="CPU time per operation; call_ns is one Python call per operation, loop included, on the books "
        "alone; a stream is one call from Python with all operations in an array, "
        "`books_risk_accounts` that on 1,000 accounts: risk, margin, "
        "positions, fees, orders by number; `exchange` all that and ids as text, records of the day, events, "
        "no journal; both on their second day (the ladder's memory is touched beforehand too); "
        "self-trades allowed everywhere; no -march=native anywhere",
    )


def generate(count: int, books: int, seed: int = 42) -> list[Op]:
    """Return the operations; the same as those of the C++ generator."""
    state = (seed * 0x9E3779B97F4A7C15 + 1) & MASK
    middle = [20_000] * books
    live: list[list[int]] = [[] for _ in range(books)]
    found: list[Op] = []
    number = 0

    def draw() -> int:
        nonlocal state
        state ^= (state << 13) & MASK
        state ^= state >> 7
        state ^= (state << 17) & MASK
        return state * 0x2545F4914F6CDD1D & MASK

    def unit() -> float:
        return (draw() >> 11) * (1.0 / 9007199254740992.0)

    def below(bound: int) -> int:
        return (draw() >> 32) * bound >> 32

    for _ in range(count):
        book = 0 if books == 1 else below(books)
        dice = unit()
        if unit() < 0.05:
            middle[book] = min(max(middle[book] + (1 if unit() < 0.5 else -1), 2_000), 38_000)
        side = draw() >> 63
        mine = live[book]
        if dice < 0.5 or (dice < 0.95 and not mine):
            number += 1
            away = int(-8.0 * math.log(1.0 - unit())) - 1
            price = middle[book] - away if side == 0 else middle[book] + away
            found.append((0, side, book, number, price, 1 + below(10)))
            mine.append(number)
        elif dice < 0.95:
            place = below(len(mine))
            found.append((1, side, book, mine[place], 0, 0))
            mine[place] = mine[-1]
            mine.pop()
        else:
            number += 1
            found.append((2, side, book, number, 0, 1 + below(10)))
    return found


def new_books(count: int) -> Books:
    """Return open books of LEVELS ticks."""
    books = Books(live_orders_max=200_000, events_max=1 << 22)
    for _ in range(count):
        books.set_phase(books.add(0, LEVELS - 1, self_trade=ALLOW), CONTINUOUS)
    return books


def core_result(ops: list[Op], count: int) -> tuple[int, int, int, int, int]:
    """Return what the operations come to, from the core's events, and the volume that rests at the end."""
    books = new_books(count)
    ids = [0] * (len(ops) + 1)
    misses = 0
    for kind, side, book, number, price, volume in ops:
        if kind == 1:
            misses += books.cancel(ids[number]) < 0
        else:
            how = (LIMIT, GFD) if kind == 0 else (ANY_PRICE, IOC)
            ids[number] = books.insert(book, 0, side, price, volume, *how)
    fills = [event for event in books.events() if event[0] == FILL]
    resting = sum(volume for book in range(count) for side in books.depth(book, 1024) for _, volume in side)
    value = sum(fill[3] * fill[4] for fill in fills)
    return len(fills), sum(fill[4] for fill in fills), value, misses, resting


def core_ns(ops: list[Op], count: int) -> float:
    """Return nanoseconds per operation, one call each; unread events are dropped now and then."""
    books = new_books(count)
    insert, cancel, clear, ids = books.insert, books.cancel, books.clear_events, [0] * (len(ops) + 1)
    gc.disable()
    start = time.process_time()
    for kind, side, book, number, price, volume in ops:
        if kind == 0:
            ids[number] = insert(book, 0, side, price, volume)
        elif kind == 1:
            cancel(ids[number])
        else:
            insert(book, 0, side, 0, volume, ANY_PRICE, IOC)
            clear()
    spent = time.process_time() - start
    gc.enable()
    return spent / len(ops) * 1e9


class PlainSide:
    """One side: prices sorted, best last, and a queue of [number, volume] for each."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.queues: dict[int, collections.deque[list[int]]] = {}

    def add(self, price: int, entry: list[int]) -> None:
        key = self.sign * price
        queue = self.queues.get(key)
        if queue is None:
            queue = self.queues[key] = collections.deque()
            bisect.insort(self.keys, key)
        queue.append(entry)


def control_of(ops: list[Op], count: int) -> tuple[Result, float]:
    """Return the control's result and nanoseconds per operation; cancelled orders stay queued, empty."""
    bids = [PlainSide(1) for _ in range(count)]
    asks = [PlainSide(-1) for _ in range(count)]
    entries: dict[int, list[int]] = {}
    trades = total = value = misses = 0
    start = time.process_time()
    for kind, side, book, number, price, volume in ops:
        if kind == 1:
            entry = entries.pop(number, None)
            if entry is None or entry[1] == 0:
                misses += 1
            else:
                entry[1] = 0
            continue
        own, other = (bids[book], asks[book]) if side == 0 else (asks[book], bids[book])
        bound = other.sign * price if kind == 0 else -(1 << 40)
        while volume and other.keys and other.keys[-1] >= bound:
            key = other.keys[-1]
            queue = other.queues[key]
            while volume and queue:
                maker = queue[0]
                lots = min(volume, maker[1])
                if lots:
                    trades += 1
                    total += lots
                    value += lots * key * other.sign
                    volume -= lots
                    maker[1] -= lots
                if maker[1] == 0:
                    queue.popleft()
            if not queue:
                other.keys.pop()
                del other.queues[key]
        if volume and kind == 0:
            entry = entries[number] = [number, volume]
            own.add(price, entry)
    spent = time.process_time() - start
    return (trades, total, value, misses), spent / len(ops) * 1e9


def light_ns(ops: list[Op], count: int, expected: Result, resting: int) -> float | None:
    """Return nanoseconds per operation of lightmatchingengine, None where it is not installed."""
    try:
        from lightmatchingengine.lightmatchingengine import LightMatchingEngine
    except ImportError:
        return None
    engine = LightMatchingEngine()
    names = [f"S{book}" for book in range(count)]
    ids: dict[int, int] = {}
    trades = volume_ = misses = 0
    gc.disable()
    start = time.process_time()
    for kind, side, book, number, price, volume in ops:
        if kind == 1:
            try:
                gone = engine.cancel_order(ids[number], names[book])
            except (AssertionError, KeyError):  # of an order that was filled
                gone = None
            misses += gone is None
            continue
        order, fills = engine.add_order(names[book], price, volume, 1 + side)
        ids[number] = order.order_id
        for fill in fills:
            if fill.order_id == order.order_id:
                volume_ += fill.trade_qty
            else:
                trades += 1
        if kind == 2 and order.leaves_qty > 0:
            engine.cancel_order(order.order_id, names[book])
    spent = time.process_time() - start
    gc.enable()
    assert (trades, volume_, misses) == (expected[0], expected[1], expected[3]), "it trades otherwise"
    return spent / len(ops) * 1e9


def limit_book_ns(ops: list[Op], count: int, expected: Result, resting: int) -> float | None:
    """Return nanoseconds per operation of limit-order-book, None where it is not installed."""
    try:
        from limit_order_book import LimitOrderBook
    except ImportError:
        return None
    books = [LimitOrderBook() for _ in range(count)]
    misses = 0
    gc.disable()
    start = time.process_time()
    for kind, side, book, number, price, volume in ops:
        one = books[book]
        if kind == 0:
            one.limit(side == 0, number, volume, price)
        elif kind == 2:
            one.market(side == 0, number, volume)
        elif one.has(number):
            one.cancel(number)
        else:
            misses += 1
    spent = time.process_time() - start
    gc.enable()
    assert misses == expected[3], "it trades otherwise"
    assert sum(one.volume() for one in books) == resting, "something else rests"
    return spent / len(ops) * 1e9


PEERS = {"limit-order-book": limit_book_ns, "lightmatchingengine": light_ns}


def new_exchange(count: int, journal: Journal | None = None) -> Exchange:
    """Return an exchange of TRADERS rich accounts and `count` instruments in continuous trading."""
    x = Exchange(journal, orders=(0, 0), active_max=0, self_trade=False, accounts_max=TRADERS + 1)
    for book in range(count):
        x.list(
            *(f"SHFE.x{book}", 1, LEVELS - 1),
            tick=1,
            margin=(0.1, 0),
            open=(0.00005, 0),
            self_trade=ALLOW,
        )
    for account in range(TRADERS):
        x.move_money(x.open_account(f"acc{account}"), 1e9)
    x.settle(20210802)
    for book in range(count):
        x.set_phase(book, CONTINUOUS)
    return x


def next_day(x: Exchange, count: int) -> None:
    """End the day: its orders are gone, positions and the memory of it all stay."""
    assert x.end_day()[0] == 0
    assert x.settle(x.trading_day + 1)[0] == 0
    for book in range(count):
        x.set_phase(book, CONTINUOUS)


def stream_figures(check: list[Op], count: int, books: int, rounds: int) -> dict[str, Any]:
    """Return the figures of one native call over the stream, beside the C++ ladder where there is one."""
    packed = b"".join(struct.pack("<BBHIii", *op) for op in check)
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as place:
        program = ladder(Path(place))
        file = Path(place) / "ops"
        times: dict[str, list[float]] = {"books": [], "books_risk_accounts": [], "exchange": []}
        for _ in range(rounds):
            expected: tuple[int, ...] = ()
            if isinstance(program, Path):
                command = [str(program), str(count), str(books), str(file)]
                run = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
                for name, line in zip(("ladder", "ladder_with_risk"), run, strict=False):
                    times.setdefault(name, []).append(float(line.split()[0]))
                    expected = tuple(map(int, line.split()[1:]))
                made = file.read_bytes()
                assert made[: len(packed)] == packed or count != len(check), "the generators differ"
                packed = made
            core = new_books(books)
            numbers = OrderNumbers(len(packed) // 16 + 1)
            start = time.process_time()
            result = core.play(packed, numbers)
            times["books"].append((time.process_time() - start) / (len(packed) // 16) * 1e9)
            x = new_exchange(books)
            parts = bench.Parts(x, len(packed) // 16 + 1)
            assert parts.play(packed, TRADERS) == result  # timed is the second day, in memory used before
            parts.next_day()
            start = time.process_time()
            by_parts = parts.play(packed, TRADERS)
            times["books_risk_accounts"].append((time.process_time() - start) / (len(packed) // 16) * 1e9)
            assert by_parts == result and parts.broken == 0, (by_parts, result)
            assert bench.play(x, packed, TRADERS) == result  # here too
            next_day(x, books)
            start = time.process_time()
            whole = bench.play(x, packed, TRADERS)
            times["exchange"].append((time.process_time() - start) / (len(packed) // 16) * 1e9)
            assert whole == result, (whole, result)
            assert x.broken == 0
            assert (parts.ledger_hash(), parts.gate_hash()) == (x.ledger.state_hash(), x.gate.state_hash())
            assert not expected or result[:4] == expected, (result, expected)
            del x, parts
    spreads = {name: _bench.spread(values, 1) for name, values in times.items()}
    figures: dict[str, Any] = {"ns": spreads, "operations": len(packed) // 16}
    if isinstance(program, Path):
        median = {name: one["median"] for name, one in spreads.items()}
        figures |= {
            "books_to_ladder": round(median["books"] / median["ladder"], 2),
            "books_risk_accounts_to_ladder_with_risk": round(
                median["books_risk_accounts"] / median["ladder_with_risk"], 2
            ),
            "exchange_to_ladder_with_risk": round(median["exchange"] / median["ladder_with_risk"], 2),
        }
    else:
        figures["ladder"] = program
    return figures


def ladder(place: Path) -> Path | str:
    """Compile the plain C++ ladder with the flags of our own core; a sentence when that cannot be."""
    shared = _bench.shared()
    source = shared / "bench" / "quant" if shared else None
    compiler = shutil.which("g++") or shutil.which("c++")
    if source is None or not (source / "q_ladder.h").is_file():
        return "not there (QAUTLRA_SHARED/bench/quant)"
    if compiler is None:
        return "no C++ compiler"
    (place / "ladder.cpp").write_text(LADDER)
    command = [
        compiler,
        "-O3",
        "-std=c++20",
        "-w",
        f"-I{source}",
        str(place / "ladder.cpp"),
        "-o",
        str(place / "ladder"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return place / "ladder" if run.returncode == 0 else f"does not compile: {run.stderr.strip()[:200]}"


if __name__ == "__main__":
    main()
