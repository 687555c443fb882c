"""The quote merger against its naive twin; random JSON never breaks it; our own frames give our rows back."""

from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from qautlra._core.market import (
    COUNT_FIELDS,
    FIELDS,
    STYLE_DIFF,
    STYLE_LEGACY_RTN,
    Instruments,
    Rows,
    diff_json,
    encode,
)
from qautlra._core.quotes_diff import QuoteMerger, heads
from tests.core.test_quotes_diff import CALENDAR, FULL
from tests.models.merged_quotes import merge_patch, values

START_NS = 1_763_730_000_000_000_000
NAMES = st.sampled_from(["SHFE.au2512", "au2512", "rb2601", "SSE.600000", "IF2512", "x", "", "é", "a" * 300])
KEYS = st.sampled_from([*FIELDS[:20], "bid_volume1", "ask_volume1", "ask_price1", "high", "low", "?"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["-", "", "\ud800", "2025-11-21 21:00:00.500000", "2025-11-21T13:00:00Z", "1e5"])
    | st.text(max_size=5)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | NAMES, inner, max_size=5),
    max_leaves=12,
)
QUOTES = st.dictionaries(NAMES, st.dictionaries(KEYS, JSON, max_size=8) | JSON, max_size=4)


@given(st.lists(st.lists(QUOTES | JSON, max_size=3), max_size=6), st.booleans())
@example([[{"SHFE.au2512": FULL}], [None], [{"SHFE.au2512": {"datetime": "2199-01-01 00:00:00"}}]], False)
@example([[{"SHFE.au2512": {"datetime": 1 << 63}}], [{"SHFE.au2512": {"datetime": -(1 << 63)}}]], True)
@example(
    [[{"SHFE.au2512": {"datetime": 16_097_238_000}}], [{"SHFE.au2512": {"datetime": 99_000_000_000_000}}]],
    True,
)
@example([[{"SHFE.au2512": {"datetime": "2025-11-21 21:00:00.\ud800"}}]], False)
def test_random_json_is_taken_or_refused(frames: list[list[Any]], narrow: bool) -> None:
    instruments = Instruments(CALENDAR, 20251121)
    merger = QuoteMerger(instruments, max_instruments=3)
    if narrow:
        merger.want(["SHFE.au2512", "SHFE.rb2601"])
    for frame in frames:
        rows = merger.rows(frame, START_NS)
        for row, head in zip(rows.to_dicts(), heads(rows), strict=True):
            assert row["datetime"] == head[1]
            assert 19891230 < row["trading_day"] < 21000115
            assert not narrow or row["instrument_id"] in ("SHFE.au2512", "SHFE.rb2601")
    assert len(merger) <= 3


VALUE = (
    st.none()
    | st.just("-")
    | st.integers(-3, 10**7)
    | st.floats(-1e16, 1e16, allow_nan=False)
    | st.sampled_from([0, 0.5, 1e15, True])
)
PATCH = st.dictionaries(st.sampled_from(FIELDS[1:]), VALUE, max_size=12)


@given(st.lists(PATCH | st.none(), min_size=1, max_size=25))
def test_merged_as_the_rfc_says(patches: list[dict[str, Any] | None]) -> None:
    merger = QuoteMerger(Instruments(CALENDAR, 20251121))
    tree: Any = {}
    for step, patch in enumerate(patches):
        if patch is not None:
            patch = patch | {"datetime": START_NS + step * 1_000_000_000}
        tree = merge_patch({"q": tree}, {"q": patch}).get("q", {})
        rows = merger.rows([{"au2512": patch}], 0).to_dicts()
        if patch is None:
            assert rows == []
            continue
        (row,) = rows
        wanted = values(tree)
        assert {name: row[name] for name in wanted} == wanted


@given(st.data())
def test_our_own_patches_give_our_rows_back(data: st.DataObject) -> None:
    style = data.draw(st.sampled_from([STYLE_DIFF, STYLE_LEGACY_RTN]))
    there = Instruments(CALENDAR, 20251121)
    merger = QuoteMerger(Instruments(CALENDAR, 20251121))
    sent = Rows(there)
    price = st.none() | st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
    for step in range(data.draw(st.integers(1, 8))):
        row: dict[str, Any] = {
            name: data.draw(st.integers(0, 10**9) if name in COUNT_FIELDS else price) for name in FIELDS[1:]
        }
        for name in ("open_interest", "pre_open_interest"):
            row[name] = float(round(row[name])) if row[name] is not None else None
        for side in ("bid", "ask"):
            for level in range(1, 11):
                if row[f"{side}_price{level}"] is None:  # as every normaliser leaves it
                    row[f"{side}_volume{level}"] = None
        if row["upper_limit"] == row["lower_limit"] == 0:
            row["upper_limit"] = 1.0
        stamp = START_NS + step * data.draw(st.sampled_from([500_000_000, 1_000])) * step
        sent.append_dict(there, row | {"instrument_id": "SHFE.au2512", "datetime": stamp})
        at = len(sent) - 1
        patch = encode(style, sent, at, full=True) if at == 0 else diff_json(sent, at - 1, sent, at, style)
        got = merger.rows([{"SHFE.au2512": orjson.loads(patch)}] if patch else [], 0).to_dicts()
        if not patch:
            assert got == []
            continue
        (back,) = got
        expected = sent.to_dict(at)
        assert {name: back[name] for name in FIELDS} == {name: expected[name] for name in FIELDS}
        assert back["trading_day"] == expected["trading_day"]
