"""Which of several live sources speaks for an instrument."""

import random
from math import nan

import pytest

from qautlra.source.router import Quote, Router, RouterOptions, instrument_class

SYMBOLS = ["SHFE.au2512", "SSE.600000"]
S = 1_000_000_000


class Desk:
    """A router with a hand on its clock and on who is up."""

    def __init__(self, *sources: str) -> None:
        self.down: set[str] = set()
        self.now_s = 1000.0
        self.router = Router(sources, SYMBOLS.__getitem__, is_up=lambda source: source not in self.down)

    def say(
        self, source: str, at_s: float, last: float = 100.0, volume: int = 5000, instrument: int = 0
    ) -> bool:
        """The source says at `now_s` what was true at `at_s`."""
        return self.router.admit(source, Quote(instrument, int(at_s * S), last, volume), self.now_s)


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("SHFE.au2512", "futures"),
        ("GFEX.si2601", "futures"),
        ("SSE.600000", "stocks"),
        ("BSE.899050", "stocks"),
        ("SSE.10002513", "other"),
        ("HKEX.00700", "abroad"),
        ("US.AAPL", "abroad"),
        ("KQ.m@CFFEX.IF", "other"),
        ("", "other"),
    ],
)
def test_classes(symbol: str, name: str) -> None:
    assert instrument_class(symbol) == name


def test_the_first_to_speak_leads_until_a_better_one_has_spoken_for_a_while() -> None:
    desk = Desk("sina", "upstream")
    assert desk.say("sina", 1000)
    assert not desk.say("upstream", 1001)
    for step in range(1, 6):
        desk.now_s += 1
        assert desk.say("sina", 1000 + step)
        taken = desk.say("upstream", 1000.5 + step)
        assert taken == (step >= 5)
    assert desk.router.leader(0) == "upstream"
    assert not desk.say("sina", 1006)
    assert desk.router.takeovers == {"upstream": 1}
    assert desk.router.led() == {"upstream": 1}


def test_a_worse_source_takes_over_from_a_silent_one_only_with_newer_news() -> None:
    desk = Desk("upstream", "sina")
    assert desk.say("upstream", 1000)
    desk.now_s += 20
    assert not desk.say("sina", 1000)  # nothing happened: the market is quiet, not the source
    assert not desk.say("sina", 1014)
    assert desk.say("sina", 1015)
    assert desk.say("sina", 1018)
    assert not desk.say("upstream", 1017)  # older than what is known
    assert desk.router.leader(0) == "sina"


def test_a_source_that_is_cut_off_gives_way_at_once() -> None:
    desk = Desk("upstream", "sina")
    assert desk.say("upstream", 1000)
    assert not desk.say("sina", 1001)
    desk.down.add("upstream")
    assert not desk.say("sina", 999)
    assert desk.say("sina", 1001)
    desk.down.clear()
    assert not desk.say("upstream", 1002)  # back, but it must last
    desk.now_s += 4
    assert not desk.say("upstream", 1003)
    desk.now_s += 2
    assert desk.say("upstream", 1004)


def test_preference_depends_on_the_class() -> None:
    desk = Desk("tencent", "sina")
    for instrument in (0, 1):
        desk.say("tencent", 1000, instrument=instrument)
        desk.say("sina", 1000.5, instrument=instrument)
    desk.now_s += 6
    assert desk.say("sina", 1003, instrument=0)
    assert not desk.say("sina", 1003, instrument=1)


def test_disagreement_is_counted_where_it_can_be_told() -> None:
    desk = Desk("upstream", "sina")
    desk.say("upstream", 1000, 100.0, 5000)
    desk.say("sina", 1002, 100.4, 5500)
    assert desk.router.disagreements == {}
    desk.say("sina", 1002, 101.0, 500_000)
    desk.say("sina", 1002, nan, -1)
    assert desk.router.disagreements == {("sina", "price"): 1, ("sina", "volume"): 1}
    desk.say("sina", 1004, 200.0)  # another moment
    assert desk.router.compared == {"sina": 3}
    assert desk.router.disagreements["sina", "price"] == 1


def test_stamps_taken_never_go_back_at_a_change_of_leader() -> None:
    """Property: whatever is said in whatever order, a takeover brings a newer stamp."""
    for seed in range(200):
        chance = random.Random(seed)
        desk = Desk("upstream", "tencent", "sina")
        newest = 0.0
        speaker = ""
        for _ in range(200):
            desk.now_s += chance.choice([0.1, 1, 3, 20])
            desk.down = {name for name in ("upstream", "tencent") if chance.random() < 0.2}
            source = chance.choice(["upstream", "tencent", "sina"])
            at = desk.now_s - chance.choice([0, 0.5, 5, 40])
            if desk.say(source, at):
                assert source == speaker or not speaker or at > newest, seed
                newest = at if source != speaker else max(newest, at)
                speaker = source
        assert desk.router.leader(0) == speaker


def test_options_are_times_in_seconds() -> None:
    router = Router(["a", "b"], SYMBOLS.__getitem__, options=RouterOptions(stale_s=1.0))
    assert router.admit("a", Quote(0, 0, 1.0, 1), 0.0)
    assert router.admit("b", Quote(0, 2 * S, 1.0, 1), 2.0)
