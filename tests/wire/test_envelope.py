"""The trading doors' envelope: long replies in pieces, and rows that are given up as they are written."""

from __future__ import annotations

import weakref
from itertools import pairwise
from typing import Any

import orjson
import pytest

from qautlra.base.loop import used_up
from qautlra.wire import envelope
from qautlra.wire.envelope import SLICE_COUNT, Named, Rows

COUNT = 3 * SLICE_COUNT + 7


class Row(dict[str, Any]):
    """One that can be watched."""


def rows() -> list[Row]:
    return [Row(number=number, name=f"r{number}") for number in range(COUNT)]


@pytest.mark.parametrize("place", ["alone", "in a dict", "by name"])
def test_rows_of_one_reply_are_written_as_others_are_and_freed_meanwhile(place: str) -> None:
    made = rows()
    alive = [weakref.ref(row) for row in made]
    plain: Any = list(made)
    own: Any = Rows(made)
    if place == "in a dict":
        plain, own = {"total": COUNT, "rows": plain}, {"total": COUNT, "rows": own}
    if place == "by name":
        plain, own = ({row["name"]: row for row in made}, Named({row["name"]: row for row in made}))
    expected = envelope.ok(plain)
    assert orjson.loads(expected)["data"] == plain  # which is not given up
    del plain, made
    pieces, left = [], []
    for piece in envelope.ok_in_pieces(own):
        pieces.append(piece)
        left.append(sum(one() is not None for one in alive))
    assert b"".join(pieces) == expected
    assert left[0] == COUNT and left[-1] == 0
    assert max(before - after for before, after in pairwise(left)) <= SLICE_COUNT


def test_what_is_used_up_comes_in_its_order_and_leaves_nothing() -> None:
    items = list(range(700))
    assert list(used_up(items)) == list(range(700)) and items == []
