"""Books, gate and ledger without an exchange around them: they end where the exchange ends."""

import random
import struct

import pytest

from qautlra._core.bench import Parts, play
from qautlra._core.book import ALLOW, CONTINUOUS, REJECT_TAKER
from qautlra._core.exchange import Exchange

ACCOUNTS = 20
OPERATIONS = 4_000


def exchange(books: int, cash: float, self_trade: int, limits: dict[str, object]) -> Exchange:
    x = Exchange(accounts_max=ACCOUNTS + 1, live_orders_max=3_000, **limits)
    for book in range(books):
        x.list(
            f"SHFE.x{book}" if book % 2 else f"DCE.x{book}",
            1,
            4_000,
            tick=1 + book % 3,
            multiple=1 + book % 5,
            margin=(0.1, book % 2),
            margin_short=(0.13, 0),
            open=(0.00005, 0.5 * (book % 3)),
            fee_min=book % 2,
            transfer_fee=0.00002 * (book % 2),
            asset="option" if book % 7 == 3 else "future",
            self_trade=self_trade,
        )
    for account in range(ACCOUNTS):
        x.move_money(x.open_account(f"acc{account}"), cash * (1 + account))
    x.settle(20210802)
    for book in range(books):
        x.set_phase(book, CONTINUOUS)
    return x


def operations(books: int, seed: int) -> bytes:
    """Orders that meet, market orders, cancels, of some twice; what lies beyond a band or the books."""
    rng = random.Random(seed)
    packed = []
    for number in range(1, OPERATIONS):
        dice, book, side = rng.random(), rng.randrange(books), rng.randrange(2)
        if dice < 0.35 and number > 1:
            packed.append((1, 0, book, rng.randrange(max(1, number - 300), number), 0, 0))
        elif dice < 0.45:
            packed.append((2, side, book, number, 0, rng.randrange(1, 9)))
        elif dice < 0.98:
            packed.append((0, side, book, number, 2_000 + rng.randrange(-9, 10), rng.randrange(1, 9)))
        else:
            odd = rng.choice([(book, 5_000, 1), (book, 0, 1), (book, 2_000, 0), (books, 2_000, 1)])
            packed.append((0, side, odd[0], number, odd[1], odd[2]))
        if rng.random() < 0.01:  # a number that is used again
            packed.append((0, side, book, rng.randrange(1, number + 1), 2_000, 1))
    return b"".join(struct.pack("<BBHIii", *op) for op in packed)


LIMITS: dict[str, dict[str, object]] = {
    "none": {"orders": (0, 0), "active_max": 0},
    "some": {"orders": (500, 1_000), "active_max": 40, "day_cancels": 40, "contract_orders": 120},
}


@pytest.mark.parametrize("books", [1, 100])
@pytest.mark.parametrize("cash", [1e8, 30_000.0])
@pytest.mark.parametrize("self_trade", [ALLOW, REJECT_TAKER])
@pytest.mark.parametrize("limits", LIMITS)
def test_they_end_where_the_exchange_ends(books: int, cash: float, self_trade: int, limits: str) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    x = exchange(books, cash, self_trade, LIMITS[limits])
    parts = Parts(x, OPERATIONS + 1)
    refused = 0
    for day in range(3):
        stream = operations(books, seed + day)
        now = 1 + day * 86_400 * 10**9
        told = parts.play(stream, ACCOUNTS, now)
        assert told == play(x, stream, ACCOUNTS, now)
        assert told[0] > 100
        refused += told[4]
        assert parts.ledger_hash() == x.ledger.state_hash()
        assert parts.gate_hash() == x.gate.state_hash()
        assert x.end_day()[0] == x.settle(x.trading_day + 1)[0] == 0
        for book in range(books):
            x.set_phase(book, CONTINUOUS)
        parts.next_day()
        assert parts.ledger_hash() == x.ledger.state_hash()
        assert parts.gate_hash() == x.gate.state_hash()
    assert parts.broken == x.broken == 0
    assert refused > 1_000 if cash < 1e8 else refused > 50


def test_a_number_beyond_the_table_is_refused() -> None:
    parts = Parts(exchange(1, 1e8, ALLOW, LIMITS["none"]), 2)
    ops = [(0, 0, 0, 1, 2_000, 1), (0, 0, 0, 2, 2_000, 1), (1, 0, 0, 7, 0, 0)]
    assert parts.play(b"".join(struct.pack("<BBHIii", *op) for op in ops), ACCOUNTS)[3:] == (0, 2)


def test_what_they_cannot_begin_with() -> None:
    x = exchange(1, 1e8, ALLOW, LIMITS["none"])
    with pytest.raises(ValueError, match="numbers"):
        Parts(x, 0)
    with pytest.raises(ValueError, match="no accounts"):
        Parts(x, 1).play(b"", ACCOUNTS + 1)
    x.street(0, 0, 2_000.0, 1)
    with pytest.raises(ValueError, match="live"):
        Parts(x, 1)
