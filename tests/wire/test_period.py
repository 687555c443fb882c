"""Periods as texts, what they are in seconds, and what is none; aggregates, which have them."""

import json
from time import process_time
from typing import Any

import pytest

from qautlra.base.errors import InputError
from qautlra.wire.aggregates import decode_aggregate
from qautlra.wire.period import period_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1), ("30s", 30), ("30 sec", 30), ("30 secs", 30), ("1 second", 1), ("90 seconds", 90),
        ("5m", 300), (" 5 min ", 300), ("5mins", 300), ("1 minute", 60), ("7 minutes", 420),
        ("1h", 3_600), ("1 hour", 3_600), ("24 hours", 86_400), ("1d", 86_400), ("1 day", 86_400),
    ],
)  # fmt: skip
def test_periods(text: str, seconds: int) -> None:
    assert period_s(text, "sample_by") == seconds


@pytest.mark.parametrize(
    "text",
    [
        "30ms", "500ms", "500 ms", "1us", "0s", "5", "m", "", "5ss", "5hs", "5ds", "2d", "25h", "-5m", "1.5h",
        "1 M", "1 month", "fortnight", "1h30m", None, 5, True, ["5m"],
    ],
)  # fmt: skip
def test_what_is_no_period(text: Any) -> None:
    with pytest.raises(InputError, match="sample_by: expected a period like 30s") as caught:
        period_s(text, "sample_by")
    assert caught.value.details["key"] == "sample_by"


def test_aggregates_read_the_same_periods() -> None:
    body = b'{"source": "app", "period": "%s", "values": {"n": "count(*)"}}'
    assert decode_aggregate(body % b"90s").period_s == 90
    with pytest.raises(InputError, match="period: expected a period"):
        decode_aggregate(body % b"500ms")
    with pytest.raises(InputError, match="bars: expected a period"):
        decode_aggregate(b'{"bars": "500ms"}')


def values(text: str) -> tuple[str, str]:
    body = {"source": "app", "period": "1m", "values": {"x": text}}
    return decode_aggregate(json.dumps(body).encode()).values["x"]


@pytest.mark.parametrize("body", [b"[" * 20_000, b'{"a":' * 20_000, b'"\xff"', b"", b"1", b"{"])
def test_what_is_no_aggregate(body: bytes) -> None:
    with pytest.raises(InputError):
        decode_aggregate(body)


def test_what_an_aggregate_holds() -> None:
    assert values("max(v)") == values("\n max ( v )\t") == ("max", "v")
    assert values("sum(a b.c-é)") == ("sum", "a b.c-é")
    assert values("max(" + " " * 1000 + "c" * 128 + ")") == ("max", "c" * 128)
    long = " " * 200_000
    begun_s = process_time()
    for none in (
        "", "max", "(v)", "max()", "max( )", "max(v", "max v)", "max(v) x", "max((v)", "max(v))", 'max("v")',
        f"max({long}", f"max(v{long}", f"max(v){long}x", long, f"max({'c' * 129})", f"{'m' * 129}(v)",
    ):  # fmt: skip
        with pytest.raises(InputError, match="values: x: expected a text like"):
            values(none)
    assert process_time() - begun_s < 2  # some milliseconds; a quadratic one takes an hour
