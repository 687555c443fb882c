"""A checkpoint between two days: a replay that begins with it comes to the same state."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from qautlra._core import book
from qautlra._core.exchange import Exchange
from qautlra._core.journal import Journal, JournalError
from tests.core.test_exchange import BUY, OPEN, SELL, opened


def a_day(x: Exchange, rng: random.Random, day: int) -> None:
    """Random trading of both accounts, then settlement into the next day."""
    for instrument in (0, 1):
        x.set_phase(instrument, book.CONTINUOUS)
    for n in range(200):
        account, instrument, side = rng.randint(1, 2), rng.randint(0, 1), rng.choice((BUY, SELL))
        tick, middle = ((10, 75_000), (1, 5_000))[instrument]
        x.insert(
            account, f"{day}-{n}", instrument, side, rng.randint(0, 2), rng.randint(1, 4),
            middle + tick * rng.randint(-3, 3), now_ns=day * 1000 + n,
        )  # fmt: skip
        if rng.random() < 0.2:
            x.mark(instrument, middle + tick * rng.randint(-3, 3), day * 1000 + n)
    x.end_day()
    x.set_settlement(0, 75_000 + 10 * rng.randint(-5, 5))
    x.set_settlement(1, 5_000 + rng.randint(-5, 5))
    assert x.settle(day)[0] == 0
    x.events()


def test_a_replay_may_begin_with_a_checkpoint(tmp_path: Path) -> None:
    rng = random.Random(7)
    with Journal(tmp_path) as journal:
        x = opened(journal)
        first = 0
        for day in range(20210803, 20210808):
            a_day(x, rng, day)
            if day == 20210806:
                x.set_locks(2, 2)
                x.set_state(1, 2)
                first = journal.head_lsn + 1
                code, _, lsn = x.checkpoint()
                assert code == 0 and lsn >= first
        x.insert(1, "today", 1, BUY, OPEN, 1, 4_990)
        journal.sync()
        whole, late = Exchange(), Exchange()
        whole.replay_all(tmp_path)
        found = late.replay_all(tmp_path, first)
        assert found.last_lsn == journal.head_lsn
        assert late.state_hash() == whole.state_hash() == x.state_hash()
        for account in (1, 2):
            assert late.account(account).funds() == x.account(account).funds()
            held = [p for p in x.account(account).positions() if p["volume_long"] or p["volume_short"]]
            symbols = {position["symbol"] for position in held}
            assert [p for p in late.account(account).positions() if p["symbol"] in symbols] == held
        # numbers go on: the next orders and matches are told apart from those of before
        for exchange in (x, late):
            exchange.set_phase(1, book.CONTINUOUS)
            assert exchange.insert(1, "next", 1, SELL, OPEN, 1, 4_990, now_ns=1 << 60)[:2] == (0, 1)
        assert late.order(1)["exchange_number"] == x.order(1)["exchange_number"]


def test_many_accounts_take_many_records(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        x = Exchange(journal)
        for n in range(3000):
            x.move_money(x.open_account(f"account-{n:05d}"), 1000 + n)
        x.settle(20210802)
        first = journal.head_lsn + 1
        x.checkpoint()
        assert journal.head_lsn > first
        journal.sync()
        late = Exchange()
        late.replay_all(tmp_path, first)
        assert late.state_hash() == x.state_hash()


def test_there_is_none_within_a_day(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        x = opened(journal)
        x.insert(1, "o", 0, BUY, OPEN, 1, 75_000)
        head = journal.head_lsn
        assert x.checkpoint()[0] == 2005
        assert journal.head_lsn == head


def test_half_a_checkpoint_is_no_beginning(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        x = Exchange(journal)
        for n in range(3000):
            x.open_account(f"account-{n:05d}")
        x.settle(20210802)
        first = journal.head_lsn + 1
        x.checkpoint()
        journal.sync()
        with pytest.raises(JournalError):
            Exchange().replay_all(tmp_path, first + 1)


def test_a_beginning_that_is_not_there_is_none(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        x = opened(journal)
        x.settle(20210802)
        journal.sync()
        for beyond in (journal.head_lsn + 1, journal.head_lsn + 1000):
            with pytest.raises(JournalError):  # else: an exchange without accounts, and nobody the wiser
                Exchange().replay_all(tmp_path, beyond)
        money = journal.head_lsn + 1
        x.note(b"{}")
        journal.sync()
        with pytest.raises(JournalError):
            Exchange().replay_all(tmp_path, money)


def test_a_checkpoint_without_its_end_is_no_beginning(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        x = Exchange(journal)
        for n in range(3000):
            x.move_money(x.open_account(f"account-{n:05d}"), 1000 + n)
        x.settle(20210802)
        journal.roll()
        first = journal.head_lsn + 1
        x.checkpoint()
        assert journal.head_lsn > first
        journal.sync()
    newest = sorted(tmp_path.glob("*.qlog"))[-1]
    newest.write_bytes(newest.read_bytes().rstrip(b"\0")[:-100])  # a power cut, an unreadable sector
    with Journal(tmp_path) as journal:
        assert first < journal.head_lsn + 1 < x.head_lsn + 1
        with pytest.raises(JournalError):
            Exchange().replay_all(tmp_path, first)
        whole = Exchange()
        whole.replay_all(tmp_path)
        assert whole.state_hash() == x.state_hash()


def test_positions_worth_more_than_may_be_opened_are_kept(tmp_path: Path) -> None:
    """A mark may take a position beyond what may be opened: the day's end keeps it, so must a checkpoint."""
    with Journal(tmp_path) as journal:
        x = opened(journal)
        x.set_phase(1, book.CONTINUOUS)
        for account in (1, 2):
            x.move_money(account, 100_000_000)
        assert x.insert(1, "a", 1, BUY, OPEN, 250, 5_000)[0] == 0
        assert x.insert(2, "b", 1, SELL, OPEN, 250, 5_000)[0] == 0
        assert x.mark(1, 500_000_000, 5)[0] == 0
        x.end_day()
        assert x.settle(20210803)[0] == 0
        first = journal.head_lsn + 1
        assert x.checkpoint()[0] == 0
        journal.sync()
        late = Exchange()
        late.replay_all(tmp_path, first)
        assert late.state_hash() == x.state_hash()
