"""What orders on the paper exchange trade with, against a slow model of it, over phases and days."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from qautlra._core import book
from qautlra._core.exchange import Exchange
from qautlra._core.journal import Journal, read
from tests.core.test_paper import BUY, DAY, IF, SELL, Rig
from tests.models.street import Resting, Street

COSTS = {"multiple": 1, "margin": (0.001, 0)}  # the tick of 0.2 stays: prices below are whole


def level(rng: random.Random, side: int, middle: int, largest: int) -> tuple[float, int] | None:
    """A bid below or an ask above the middle, of a few volumes so that some are shown again; or none."""
    if rng.random() < 0.1:
        return None
    away = rng.randint(1, 2)
    return (float(middle - away if side == BUY else middle + away), rng.choice([1, largest // 2, largest]))


@pytest.mark.parametrize("lot", [1, 100])
@pytest.mark.parametrize("seed", range(8))
def test_fills_are_those_of_the_model(tmp_path: Path, seed: int, lot: int) -> None:
    rng = random.Random(seed)
    lots = {"buy_min": lot, "buy_step": lot, "sell_min": lot, "sell_step": lot}
    day, traded = DAY, 0
    with Journal(tmp_path) as journal:
        rig, model = Rig(journal), Street()
        x = rig.x
        x.set_phase(0, book.CLOSED)
        x.list("CFFEX.IF2101", 4700, 5740, **(IF | COSTS | lots))
        x.set_phase(0, book.CONTINUOUS)
        bids: list[tuple[float, int]] = []
        asks: list[tuple[float, int]] = []
        sent: list[Resting] = []
        for n in range(150):
            what = rng.random()
            middle = rng.randint(5228, 5232)
            if what < 0.4:
                bid, ask = (level(rng, side, middle, 7 * lot + 3) for side in (BUY, SELL))
                bids, asks = [bid] if bid else [], [ask] if ask else []
                rig.tick(bid=bid, ask=ask)
                rig.feed.refresh(0)
                model.show(bids, asks)
            elif what < 0.9:
                side = rng.randint(BUY, SELL)
                volume = rng.randint(1, 9) * lot
                rig.send(f"o{n}", side, volume, float(middle), account=1 + side)
                sent.append(model.order(1 + side, side, float(middle), volume))
            else:
                x.set_phase(0, book.BREAK)
                rig.feed.begin_phase(0, 0)
                rig.feed.refresh(0)
                model.show([], [])
                if what > 0.97:
                    day += 1
                    x.end_day()
                    assert x.settle(day)[0] == 0
                    model.new_day()
                    sent = []
                x.set_phase(0, book.CONTINUOUS)
                rig.feed.begin_phase(0, 0)
                rig.feed.refresh(0)
                model.show(bids, asks)
            for account in (1, 2):
                found = [(x.trade(t)["volume"], x.trade(t)["price"]) for t in x.trades_of(account)]
                assert found == [trade[2:] for trade in model.trades if trade[0] == account], n
                traded += len(found)
            assert [x.order(i)["left"] for i in range(len(sent))] == [o.left for o in sent]
        assert traded > 100 and day > DAY and x.broken == 0
        journal.sync()
        again = Exchange()
        for _, kind, payload in read(tmp_path):
            assert again.replay(kind, payload) == 0
        assert again.state_hash() == x.state_hash()
