"""Plans: what was asked before means the same again, unless it names a moment by the clock."""

from __future__ import annotations

import pytest

from qautlra.base.errors import InputError, NotFoundError
from qautlra.model.query import QueryRequest, Verb
from qautlra.store import plan as plans
from qautlra.store.plan import Planner
from qautlra.store.predicate import Compare

NOW_NS = 1_760_000_000_000_000_000
HOUR_NS = 3_600_000_000_000


class Names:
    """Spellings of instruments, and how often they were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def canonical(self, text: str) -> str | None:
        self.asked.append(text)
        return f"SHFE.{text}" if text.startswith("au") else None


def asked(text: str = "instrument='au2512'", **more: object) -> QueryRequest:
    return QueryRequest(**{"stream": "futures_market", "filter": text, **more})  # type: ignore[arg-type]


def test_a_filter_is_read_once_and_the_range_every_time() -> None:
    names = Names()
    planner = Planner(names.canonical)
    first = planner.plan(asked(limit=10), NOW_NS, 100)
    later = planner.plan(asked(descending=True), NOW_NS + HOUR_NS, 100)
    assert names.asked == ["au2512"]
    assert first.symbols == later.symbols == frozenset({"SHFE.au2512"})
    assert (first.limit, first.capped, later.limit, later.capped) == (10, False, 100, True)
    assert (first.descending, later.descending) == (False, True)
    assert later.start_us - first.start_us == later.stop_us - first.stop_us == HOUR_NS // 1_000


def test_the_same_columns_are_one_and_the_same_tuple() -> None:
    planner = Planner(Names().canonical)
    plan = planner.plan(asked(), NOW_NS, 100)
    assert planner.plan(asked("instrument='au2606'"), NOW_NS, 100).columns is plan.columns
    some = [planner.plan(asked(text, columns=("volume", "seq")), NOW_NS, 100) for text in ("", "volume > 1")]
    assert some[0].columns is some[1].columns == ("volume", "seq")


def test_what_else_was_asked_is_another_plan() -> None:
    planner = Planner(Names().canonical)
    plain = planner.plan(asked(), NOW_NS, 100)
    assert planner.plan(asked("instrument='au2606'"), NOW_NS, 100).symbols == frozenset({"SHFE.au2606"})
    assert planner.plan(asked(columns=("volume",)), NOW_NS, 100).columns == ("volume",)
    assert planner.plan(asked(stream="stock_market"), NOW_NS, 100).stream.name == "stock_market"
    bars = planner.plan(asked(verb=Verb(name="sample_by", period="5m")), NOW_NS, 100)
    assert "open_oi" in bars.columns
    assert "open_oi" not in plain.columns
    assert planner.plan(asked("volume > 5"), NOW_NS, 100).rest == Compare("volume", ">", 5)


def test_a_moment_by_the_clock_moves_with_it() -> None:
    planner = Planner(Names().canonical)
    text = "datetime >= 'now-10m' and datetime < '2026-01-01'"
    first = planner.plan(asked(text), NOW_NS, 100)
    later = planner.plan(asked(text), NOW_NS + HOUR_NS, 100)
    assert later.start_us - first.start_us == HOUR_NS // 1_000
    assert first.start_us == NOW_NS // 1_000 - 600_000_000


def test_a_refusal_is_one_every_time() -> None:
    planner = Planner(Names().canonical)
    for _ in range(2):
        with pytest.raises(InputError):
            planner.plan(asked("nothing = 1"), NOW_NS, 100)
        with pytest.raises(NotFoundError):
            planner.plan(asked(stream="none_such"), NOW_NS, 100)
        with pytest.raises(InputError, match="start_time"):
            planner.plan(asked(start_time=NOW_NS + HOUR_NS), NOW_NS, 100)


def test_what_is_remembered_is_bounded() -> None:
    names = Names()
    planner = Planner(names.canonical)
    long = asked("instrument in (" + ", ".join(f"'au{i}'" for i in range(100)) + ")")
    for _ in range(2):
        planner.plan(long, NOW_NS, 100)
    assert len(names.asked) == 200
    for i in range(plans.KNOWN_COUNT + 1):
        planner.plan(asked(f"instrument='au{i}'"), NOW_NS, 100)
    assert len(planner._known) == 1
    many = asked(columns=("volume",) * 1_000)
    assert planner.plan(many, NOW_NS, 100).columns == ("volume",)
    assert len(planner._known) == 1
