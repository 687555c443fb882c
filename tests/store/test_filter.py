"""The filter grammar by example, and where it says the trouble is."""

from datetime import UTC, date, datetime

import pytest

from qautlra.base.errors import InputError
from qautlra.store.filter import Kind, parse_filter
from qautlra.store.predicate import All, AnyOf, Between, Compare, In, IsNull, Like, Not, Predicate

NOW_NS = 1_609_723_800_000_000_000
COLUMNS = {
    "datetime": Kind.TIME,
    "instrument_id": Kind.TEXT,
    "trading_date": Kind.DATE,
    "last_price": Kind.NUMBER,
    "volume": Kind.COUNT,
}
AU = Compare("instrument_id", "=", "SHFE.au2512")


def parse(text: str) -> Predicate | None:
    known = {"au2512": "SHFE.au2512", "SHFE_au2512": "SHFE.au2512", "SHFE.au2512": "SHFE.au2512"}
    return parse_filter(text, COLUMNS, now_ns=NOW_NS, canonical=known.get)


@pytest.mark.parametrize(
    "text",
    [
        "instrument='au2512'",
        "instrument=au2512",
        'instrument = "au2512"',
        "symbol == SHFE_au2512",
        "instrument_id='SHFE.au2512'",
        '"instrument_id"=au2512',
        "INSTRUMENT=au2512",
        "((instrument=au2512))",
    ],
)
def test_an_instrument_in_any_spelling(text: str) -> None:
    assert parse(text) == AU


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        (" \n ", None),
        ("instrument=nonsense", Compare("instrument_id", "=", "nonsense")),
        ("instrument=000001", Compare("instrument_id", "=", "000001")),
        ("instrument in (au2512, 'x')", In("instrument_id", ("SHFE.au2512", "x"))),
        ("instrument not in (au2512)", Not(In("instrument_id", ("SHFE.au2512",)))),
        (
            "instrument like au25%",
            AnyOf((Like("instrument_id", "au25%"), Like("instrument_id", "%.au25%"))),
        ),
        ("instrument like 'SHFE.%'", Like("instrument_id", "SHFE.%")),
        ("last_price>-5.5", Compare("last_price", ">", -5.5)),
        ("last_price = '5230'", Compare("last_price", "=", 5230.0)),
        ("volume != 3", Compare("volume", "<>", 3)),
        ("volume <> 2.5", Compare("volume", "<>", 2.5)),
        ("volume < 99999999999999999999", Compare("volume", "<", 1e20)),
        ("volume between 1 and 3 and last_price is not null",
         All((Between("volume", 1, 3), Not(IsNull("last_price"))))),
        ("not volume=1 or volume=2 and volume=3",
         AnyOf((Not(Compare("volume", "=", 1)),
                All((Compare("volume", "=", 2), Compare("volume", "=", 3)))))),
        ("trading_date=2021-01-04", Compare("trading_date", "=", date(2021, 1, 4))),
        ("trading_date=20210104", Compare("trading_date", "=", date(2021, 1, 4))),
        ("time >= '2021-01-04 09:30'",
         Compare("datetime", ">=", datetime(2021, 1, 4, 1, 30, tzinfo=UTC))),
        ("timestamp < 2021-01-04T01:30:00.5Z",
         Compare("datetime", "<", datetime(2021, 1, 4, 1, 30, 0, 500_000, tzinfo=UTC))),
        ("time>now-30m", Compare("datetime", ">", datetime(2021, 1, 4, 1, 0, tzinfo=UTC))),
    ],
)  # fmt: skip
def test_the_grammar(text: str, expected: Predicate | None) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("instrument='au2512", 12, "never closed"),
        ("instrument", 11, "ends too early"),
        ("volume = ", 10, "ends too early"),
        ("volume = 1; drop table t", 11, "';' is not part of filters"),
        ("volume = 1 -- x", 12, "comments"),
        ("volume = 1 /* x", 12, "comments"),
        ("volume = abc", 10, "volume is a whole number"),
        ("volume = null", 10, "volume is null"),
        ("lower(instrument) = x", 1, "functions"),
        ("instrument in (select instrument from t)", 23, "expected ')'"),
        ("colour = 'red'", 1, "there are datetime, instrument_id"),
        ("volume = 1 volume = 2", 12, "expected and, or"),
        ("last_price like '5%'", 17, "like needs a text column"),
        ("time > whenever", 8, "cannot read 'whenever'"),
        ("trading_date > 2021-02-30", 16, "a date"),
        ("volume = and", 10, "expected a value"),
        ("and = 1", 1, "expected a column"),
    ],
)
def test_the_error_says_where(text: str, position: int, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert words in caught.value.message
    assert caught.value.details["position"] == position
    assert caught.value.status == 400


def test_an_unknown_column_lists_the_columns() -> None:
    with pytest.raises(InputError) as caught:
        parse("colour=1")
    assert caught.value.details["columns"] == list(COLUMNS)
