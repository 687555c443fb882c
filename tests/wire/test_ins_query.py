"""Instrument queries: filters out of GraphQL texts as TqSdk writes them."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra.wire.ins_query import Asked, parse


@pytest.mark.parametrize(
    ("query", "variables", "wanted"),
    [
        (
            'query {\nmulti_symbol_info(instrument_id: ["SHFE.rb2701", "CZCE.SPD SR901&SR903"]) {\n... {',
            b"",
            Asked(instrument_ids=("SHFE.rb2701", "CZCE.SPD SR901&SR903")),
        ),
        (
            'query { multi_symbol_info(class: [FUTURE], exchange_id: ["SHFE"], expired: false) { x } }',
            b"{}",
            Asked(classes=("FUTURE",), exchange_ids=("SHFE",), expired=False),
        ),
        (
            "query ($instrument_id: [String]) { multi_symbol_info(instrument_id: $instrument_id) { x } }",
            b'{"instrument_id":["DCE.m2701"]}',
            Asked(instrument_ids=("DCE.m2701",)),
        ),
        (
            "query($class_:[Class]$has_night:Boolean)"
            "{multi_symbol_info(class:$class_ has_night:$has_night){...on basic{a(b:1)}}}",
            b'{"class_":["OPTION"],"has_night":true}',
            Asked(classes=("OPTION",), has_night=True),
        ),
        ('{ symbol_info(product_id: "rb", expired: null) { x } }', b"null", Asked(product_ids=("rb",))),
        ("query { multi_symbol_info { instrument_id } }", b"", Asked()),
    ],
)
def test_filters(query: str, variables: bytes, wanted: Asked) -> None:
    assert parse(query, variables) == (wanted, "")


@pytest.mark.parametrize(
    ("query", "variables", "why"),
    [
        ("query { other(a: 1) { b } }", b"", "Only multi_symbol_info"),
        ("query { multi_symbol_info(a: $b) { c } }", b"[1]", "variables"),
    ],
)
def test_what_is_not_understood(query: str, variables: bytes, why: str) -> None:
    asked, problem = parse(query, variables)
    assert asked is None
    assert why in problem


@given(st.text(max_size=200), st.binary(max_size=50))
def test_never_raises(text: str, variables: bytes) -> None:
    parse("multi_symbol_info(" + text, variables)


def test_a_text_without_its_end_goes_to_the_end() -> None:
    asked, _ = parse('multi_symbol_info(instrument_id: ["a.b", "c \\" d, e])', b"")
    assert asked == Asked(instrument_ids=("a.b", 'c " d, e'))


def test_a_long_hostile_text_is_read_in_linear_time() -> None:
    begun_s = process_time()
    for hostile in ('\\"' * 30_000, '"' + '\\"' * 30_000, '"' + '\\"' * 30_000 + "\\", '"' * 60_000):
        parse(f"multi_symbol_info(class: [{hostile}])", b"")
    assert process_time() - begun_s < 2  # some 0.05; a quadratic one takes minutes
    parse("multi_symbol_info(" + "a:[" * 20_000, b"")
    parse("multi_symbol_info(" + 'a:"' + "\\" * 60_000, b"")
    parse("multi_symbol_info(" + "a:1 " * 15_000, b"")
