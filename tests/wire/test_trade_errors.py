"""The error table: it holds whatever the core answers, in the core's words."""

import pytest

from qautlra.base.errors import AuthError, InputError, LimitError, NotFoundError, UnavailableError
from qautlra.model import codes
from qautlra.wire import envelope
from qautlra.wire.trade_errors import TABLE, number_of, refused


def test_every_code_of_the_engine_is_in_the_table() -> None:
    for number, code in codes.table().items():
        if number:
            assert (TABLE[number].name, TABLE[number].zh) == (code.name, code.text)


def test_rows_are_complete() -> None:
    for number, row in TABLE.items():
        assert row.name.isupper() and row.zh and row.en and row.en.isascii(), number
        assert 400 <= row.status < 600, number
    assert len({row.name for row in TABLE.values()}) == len(TABLE)


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (AuthError("x"), 9401),
        (AuthError("x", status=403), 9403),
        (InputError("x"), 1008),
        (InputError("x", status=409), 9409),
        (InputError("x", status=415), 1008),
        (NotFoundError("x"), 9404),
        (LimitError("x"), 9429),
        (UnavailableError("x"), 9503),
        (refused(1006), 1006),
        (refused(987), 987),
    ],
    ids=str,
)
def test_numbers_of_errors(error: InputError, number: int) -> None:
    assert number_of(error) == number


def test_a_refusal_in_both_languages() -> None:
    error = refused(1001, needed=5.0)
    assert envelope.refusal(error, chinese=False) == (
        b'{"success":false,"data":null,"error":{"code":1001,"name":"NOTIONAL_EXCEEDS_FREE_BALANCE",'
        b'"message":"Not enough available funds","details":{"needed":5.0}}}'
    )
    assert '"message":"开仓保证金不足"' in envelope.refusal(error, chinese=True).decode()
    assert envelope.ok({"a": float("nan")}) == b'{"success":true,"data":{"a":null},"error":null}'
