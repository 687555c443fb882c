"""Which instruments a question is about, as the table of them grows."""

from __future__ import annotations

from qautlra.model.calendar import load_instruments
from qautlra.store import members
from qautlra.store.members import StreamMembers
from qautlra.store.schema import STREAMS

FUTURES, STOCKS = STREAMS["futures_market"].parts, STREAMS["stock_market"].parts


def test_an_instrument_asked_for_too_early_is_found_later() -> None:
    instruments = load_instruments(20210104)
    of = StreamMembers(instruments)
    both = frozenset({"SHFE.au2106", "SHFE.cu2106"})
    assert of.numbers(FUTURES, both) == []
    cu = instruments.intern("SHFE.cu2106")
    assert of.numbers(FUTURES, both) == [cu]
    au = instruments.intern("SHFE.au2106")
    assert of.numbers(FUTURES, both) == of.numbers(FUTURES, both) == [au, cu]  # in the order of their names
    assert of.numbers(STOCKS, both) == []
    assert of.numbers(FUTURES, None) == [au, cu]


def test_what_is_remembered_is_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(members, "KNOWN_COUNT", 2)
    instruments = load_instruments(20210104)
    of = StreamMembers(instruments)
    names = [f"SHFE.au21{month:02}" for month in (4, 6, 8, 10, 12)]
    numbers = [instruments.intern(name) for name in names]
    for _ in range(2):
        for name, number in zip(names, numbers, strict=True):
            assert of.numbers(FUTURES, frozenset({name})) == [number]
            assert len(of._found) <= 2
