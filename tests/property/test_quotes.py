"""Answers of the public sites damaged at random: nothing crashes, and no value appears that was not there."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra._core.market import COUNT_FIELDS
from qautlra._core.quotes import QuoteNormaliser, SinaNormaliser, TencentNormaliser
from tests.core.quotes import CALENDAR, CORPUS, ns, table

NOW = {"tencent": ns("2025-11-21 15:00:10"), "sina": ns("2025-11-21 15:31:00")}
MAKE: dict[str, Callable[..., QuoteNormaliser]] = {"tencent": TencentNormaliser, "sina": SinaNormaliser}
SEPARATOR = {"tencent": "~", "sina": ","}
LINES = {
    site: [path.read_bytes() for path in sorted((CORPUS / site).iterdir()) if path.name != "page"]
    for site in MAKE
}
SITES = pytest.mark.parametrize("site", list(MAKE))
MAX_UNIT = 20_000  # the largest multiplier of a product, and more than any lot


def rows_of(site: str, body: bytes) -> list[dict[str, Any]]:
    normaliser = MAKE[site](table(), CALENDAR)
    rows, refused = normaliser.rows(body, NOW[site])
    assert all(symbol.isascii() and len(symbol) <= 40 and reason for symbol, reason in refused)
    dicts = rows.to_dicts()
    for row in dicts:
        check(row)
    return dicts


def check(row: dict[str, Any]) -> None:
    assert row["last_price"] is not None
    assert row["datetime"] is not None
    for name, value in row.items():
        if value is None or isinstance(value, str) or name in ("datetime", "recv_time_ns"):
            continue
        assert abs(value) < 1e15 * MAX_UNIT
        if name in COUNT_FIELDS or name in (
            "amount",
            "open_interest",
            "pre_open_interest",
            "seq",
            "trading_day",
        ):
            assert value >= 0
        else:
            assert value > 0, name


@SITES
@given(body=st.binary(max_size=400))
def test_any_bytes(site: str, body: bytes) -> None:
    rows_of(site, body)


@SITES
@given(data=st.data())
def test_damaged_lines(site: str, data: st.DataObject) -> None:
    line = bytearray(data.draw(st.sampled_from(LINES[site])))
    for at, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(line) - 1), st.integers(0, 255)), max_size=6)
    ):
        line[at] = byte
    start, stop = sorted(data.draw(st.tuples(st.integers(0, len(line)), st.integers(0, len(line)))))
    keep = data.draw(st.booleans())
    rows_of(site, bytes(line) if keep else bytes(line[:start] + line[stop:]))


@SITES
@given(data=st.data())
def test_a_cut_answer_says_nothing_else(site: str, data: st.DataObject) -> None:
    line = data.draw(st.sampled_from(LINES[site]))
    whole = rows_of(site, line)
    cut = rows_of(site, line[: data.draw(st.integers(0, len(line)))])
    assert cut == whole[: len(cut)]


@SITES
@given(data=st.data())
def test_missing_fields_are_missing_values(site: str, data: st.DataObject) -> None:
    """With fields blanked, a value is as it was or missing: never a zero or anything else in its place."""
    separator = SEPARATOR[site]
    line = data.draw(st.sampled_from([x for x in LINES[site] if x.count(b'"') == 2]))
    whole = rows_of(site, line)
    head, value, tail = line.decode("gb18030").split('"')
    fields = value.split(separator)
    for at in data.draw(st.sets(st.integers(3, max(len(fields) - 1, 3)), min_size=1, max_size=8)):
        if at < len(fields):
            fields[at] = data.draw(st.sampled_from(["", "-", "--", " ", "nan"]))
    got = rows_of(site, f'{head}"{separator.join(fields)}"{tail}'.encode("gb18030"))
    # Volumes may change unit and a computed average may go when what tells them apart is missing.
    derived = {"amount", "average"} | {name for name in COUNT_FIELDS if name != "datetime"}
    for before, after in zip(whole, got, strict=False):
        if before["datetime"] != after["datetime"]:
            continue  # the time of day itself was read differently: another row
        for name, now in after.items():
            if now is None or now == before[name]:
                continue
            assert name in derived, name
            assert before[name] is not None
            assert now > 0
