"""Records and frames of the simulated front: both ends say the same, and bad bytes are refused."""

import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra.wire import ctp_codes
from qautlra.wire.ctp_frames import (
    HEAD_BYTES,
    RECORDS,
    REQUEST_BYTES,
    Kind,
    Reader,
    frame,
    hello,
    read_hello,
    welcome,
)
from qautlra.wire.ctp_records import DBL_MAX, encode_text, facts, layout
from tests.conftest import ROOT

WIRE = (ROOT / "ctp" / "front" / "wire.hpp").read_text()


@pytest.mark.parametrize("name", list(facts()["records"]))
def test_a_layout_has_the_size_a_compiler_gave_it(name: str) -> None:
    assert layout(name).size == facts()["records"][name]["sizes"][-1]


def test_both_ends_number_requests_alike() -> None:
    pattern = r"X\((\d+), (\w+), (\w+),\s+(?:\\\s+)?(\w+),\s*(?:\\\s+)?(\w+)\)"
    found = {int(number): (asked, answered) for number, _, _, asked, answered in re.findall(pattern, WIRE)}
    assert found == {int(kind): records for kind, records in RECORDS.items()}
    other = {name: int(number) for name, number in re.findall(r"\bk(\w+) = (\d+),", WIRE)}
    for kind, name in (
        (Kind.HELLO, "Hello"),
        (Kind.SUBSCRIBE, "Subscribe"),
        (Kind.UNKNOWN, "Unknown"),
        (Kind.TICK, "Tick"),
        (Kind.TICK_REPEAT, "TickRepeat"),
        (Kind.RTN_ORDER, "RtnOrder"),
        (Kind.RTN_TRADE, "RtnTrade"),
        (Kind.ERR_INSERT, "ErrInsert"),
        (Kind.ERR_ACTION, "ErrAction"),
    ):
        assert other[name] == kind


def test_golden_bytes_of_a_frame() -> None:
    got = frame(Kind.INSERT, b"\x01\x02", request=7, error=16, text="资金", answer=True, last=True, number=9)
    assert got.hex(" ", -4) == (
        "06000000 15000300 07000000 10000000 09000000 04000000 d7cabdf0 0102"
    )  # GB 18030 of the text stands before the record


def test_golden_bytes_of_an_order() -> None:
    values = {"InstrumentID": "rb2701", "Direction": "0", "LimitPrice": 3500.0, "VolumeTotalOriginal": 2}
    record = layout("InputOrder").pack(values)
    read = layout("InputOrder").read(record)
    assert record[96:104] == struct.pack("<d", 3500.0)
    assert (read.text("InstrumentID"), read["Direction"], read["LimitPrice"]) == ("rb2701", "0", 3500.0)
    assert read["VolumeTotalOriginal"] == 2
    assert read["OrderRef"] == ""


def test_no_value_is_dbl_max_on_the_wire_and_nan_here() -> None:
    record = layout("DepthMarketData").pack({"ClosePrice": float("nan"), "LastPrice": 1.5})
    read = layout("DepthMarketData").read(record)
    assert read["ClosePrice"] != read["ClosePrice"]
    assert read["LastPrice"] == 1.5
    assert struct.pack("<d", DBL_MAX) in record


def test_an_older_releases_record_reads_as_zeros_behind_its_end() -> None:
    whole = layout("RspUserLogin").pack({"TradingDay": "20261130", "FrontID": 3})
    assert layout("RspUserLogin").read(whole[:204])["FrontID"] == 3
    assert layout("RspUserLogin").read(whole[:204])["ReserveInfo"] == ""


@given(st.text(max_size=60), st.integers(0, 60))
def test_a_text_is_cut_between_characters(text: str, most: int) -> None:
    raw = encode_text(text, most)
    assert len(raw) <= most
    assert (
        raw == b""
        or raw.decode("gb18030")[:-1]
        == text.encode("gb18030", "replace").decode("gb18030", "replace")[: len(raw.decode("gb18030")) - 1]
    )


@given(st.lists(st.tuples(st.sampled_from(list(Kind)), st.binary(max_size=50)), max_size=8), st.data())
def test_frames_are_found_however_the_stream_is_cut(
    sent: list[tuple[Kind, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(frame(kind, record, request=n) for n, (kind, record) in enumerate(sent))
    reader, got, at = Reader(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        got += [(one.kind, one.record) for one in reader.feed(stream[at : at + size])]
        at += size
    assert got == sent


@given(st.binary(min_size=HEAD_BYTES, max_size=200))
def test_garbage_is_refused_or_waited_for(stream: bytes) -> None:
    try:
        for got in Reader().feed(stream):
            assert len(got.record) <= REQUEST_BYTES
            read_hello(got)
    except ValueError:
        pass


def test_a_hello_says_who_it_is_and_another_version_is_refused() -> None:
    (first,) = Reader().feed(hello(2, "6.7.11", 0, 5))
    assert read_hello(first) == (2, "6.7.11", 0, 5)
    other = bytearray(hello(2, "6.7.11"))
    other[HEAD_BYTES + 4] = 9
    (first,) = Reader().feed(bytes(other))
    with pytest.raises(ValueError, match="version 9"):
        read_hello(first)
    (first,) = Reader().feed(welcome())
    with pytest.raises(ValueError, match="no hello"):
        read_hello(first)


def test_a_request_of_the_wrong_size_is_refused() -> None:
    (got,) = Reader().feed(frame(Kind.INSERT, b"\0" * 407))
    with pytest.raises(ValueError, match="408 bytes, not 407"):
        got.asked()


def test_every_code_has_a_text_that_fits_in_both_languages() -> None:
    for code, (chinese, english) in ctp_codes.known().items():
        assert ctp_codes.text(code) == chinese
        assert ctp_codes.text(code, "en") == english
        assert encode_text(chinese, 80).decode("gb18030") == chinese
    assert "999" in ctp_codes.text(999)
