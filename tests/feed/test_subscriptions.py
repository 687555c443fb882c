"""Who wants what: owners, the union, pinned spellings; against a plain model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra.base.errors import InputError
from qautlra.feed.directory import Directory
from qautlra.feed.subscriptions import DEFAULT, SubscriptionBook
from tests.models.market import Market


def book(changes: list[None] | None = None) -> SubscriptionBook:
    return SubscriptionBook(Directory(Market().instruments), lambda: (changes or []).append(None))


SETS = st.dictionaries(st.sampled_from(["A.a", "A.b", "A.c"]), st.just("x"))


@given(st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), SETS), max_size=30))
def test_the_union_is_the_union(steps: list[tuple[str, dict[str, str]]]) -> None:
    changes: list[frozenset[str]] = []
    tested = SubscriptionBook(Directory(Market().instruments), lambda: changes.append(tested.wanted))
    model: dict[str, dict[str, str]] = {}
    for owner, names in steps:
        before = tested.wanted
        told = len(changes)
        tested.put(owner, names)
        model[owner] = names
        assert tested.wanted == set().union(*model.values())
        assert len(tested) == len(tested.wanted)
        assert (len(changes) - told == 1) == (tested.wanted != before)


def test_pins_stay_when_sessions_go() -> None:
    tested = book()
    tested.pin(["au2106"], DEFAULT)
    tested.pin(["CFFEX.IF2101"])
    tested.put("session", {"SHFE.au2106": "SHFE.au2106", "SHFE.au2112": "au2112"})
    assert tested.listing() == (["CFFEX.IF2101", "au2106", "au2112"], [])
    tested.put("session", {})
    assert tested.wanted == {"CFFEX.IF2101", "SHFE.au2106"}
    tested.unpin(["IF2101", "SHFE.au2106", "au2112"])
    assert tested.wanted == frozenset()


def test_one_bad_name_refuses_all_and_lists_every_bad_one() -> None:
    tested = book()
    with pytest.raises(InputError) as error:
        tested.pin(["au2106", "NOPE.x", "no such"])
    assert error.value.status == 422
    assert error.value.details["invalid"] == ["NOPE.x", "no such"]
    assert tested.wanted == frozenset()


def test_as_many_are_pinned_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qautlra.feed.subscriptions.PINNED_SYMBOLS_COUNT", 2)
    tested = book()
    three = ["SHFE.au2106", "SHFE.au2112", "CFFEX.IF2101"]
    assert tested.pin_what_fits(three[:1], "other") == 1
    assert tested.pin_what_fits(three, "other") == 2
    assert tested.wanted == set(three[:2])
    assert tested.pin_what_fits(three[:2], "other") == 2  # those that are there count
