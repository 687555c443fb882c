"""CTP's word on what trades now, there and back."""

import pytest

from qautlra._core import book
from qautlra.wire.ctp_records import layout
from qautlra.wire.ctp_status import read_status, write_status

PHASES = (
    (book.BREAK, "1"),
    (book.CONTINUOUS, "2"),
    (book.AUCTION, "3"),
    (book.AUCTION_LOCKED, "4"),
    (book.AUCTION_MATCHED, "5"),
)


@pytest.mark.parametrize(("phase", "letter"), PHASES)
def test_phases_there_and_back(phase: int, letter: str) -> None:
    record = write_status("SHFE.cu", phase, before=False, clock="09:00:00")
    said = layout("InstrumentStatus").read(record)
    assert (said["ExchangeID"], said["InstrumentID"], said["InstrumentStatus"]) == ("SHFE", "cu", letter)
    assert said["EnterTime"] == "09:00:00"
    assert read_status(record) == ("SHFE.cu", phase)


def test_what_is_closed_is_before_trading_or_behind_it() -> None:
    for before, letter in ((True, "0"), (False, "6")):
        record = write_status("SHFE.cu", book.CLOSED, before=before, clock="08:00:00")
        assert layout("InstrumentStatus").read(record)["InstrumentStatus"] == letter
        assert read_status(record) == ("SHFE.cu", book.CLOSED)


def test_a_record_that_says_nothing_is_none() -> None:
    known = {"ExchangeID": "SHFE", "InstrumentID": "cu2109", "InstrumentStatus": "2"}
    pack = layout("InstrumentStatus").pack
    assert read_status(pack(known)) == ("SHFE.cu2109", book.CONTINUOUS)
    for missing in ({"ExchangeID": ""}, {"InstrumentID": ""}, {"InstrumentStatus": "9"}):
        assert read_status(pack(known | missing)) is None
    assert read_status(pack({"ExchangeID": "SHFE", "reserve2": "cu", "InstrumentStatus": "2"})) is not None
    assert read_status(b"") is None
