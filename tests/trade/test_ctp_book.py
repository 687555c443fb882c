"""The CTP broker's book: each record taken once by its keys, in any order; what queries show otherwise."""

import errno
import os
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from qautlra.base.errors import StorageError
from qautlra.model.order import Direction, InsertOrder, Offset
from qautlra.trade.brokers.ctp_book import UNKNOWN, CtpBook
from qautlra.trade.brokers.ctp_notes import Note, Notes
from qautlra.wire.ctp_orders import Key
from qautlra.wire.ctp_records import Record, layout

KEY = Key(1, 77, "5")


def sent(book: CtpBook, order_id: str = "mine", key: Key = KEY, volume: int = 3) -> int:
    order = InsertOrder(
        account_id="one",
        order_id=order_id,
        symbol="SHFE.cu2109",
        direction=Direction.BUY,
        offset=Offset.OPEN,
        volume=volume,
        limit_price=75000.0,
    )
    return book.sent(order, key, 1)


def shown(status: str, traded: int = 0, sys_id: str = "9", key: Key = KEY, submitted: str = "3") -> Record:
    values: dict[str, Any] = {
        "FrontID": key.front,
        "SessionID": key.session,
        "OrderRef": key.ref,
        "ExchangeID": "SHFE",
        "InstrumentID": "cu2109",
        "OrderSysID": f"{sys_id:>12}" if sys_id else "",
        "OrderStatus": status,
        "OrderSubmitStatus": submitted,
        "OrderPriceType": "2",
        "Direction": "0",
        "CombOffsetFlag": "0",
        "LimitPrice": 75000.0,
        "VolumeTotalOriginal": 3,
        "VolumeTraded": traded,
        "TimeCondition": "3",
        "VolumeCondition": "1",
        "InsertDate": "20210802",
        "InsertTime": "09:30:00",
    }
    return layout("Order").read(layout("Order").pack(values))


def traded(match: str, volume: int = 1, sys_id: str = "9") -> Record:
    values = {
        "ExchangeID": "SHFE",
        "TradeID": f"{match:>12}",
        "OrderSysID": f"{sys_id:>12}",
        "Direction": "0",
        "OffsetFlag": "0",
        "Price": 75000.0,
        "Volume": volume,
        "TradeDate": "20210802",
        "TradeTime": "09:30:01",
    }
    return layout("Trade").read(layout("Trade").pack(values))


def test_an_order_is_found_by_both_names() -> None:
    book = CtpBook("one")
    number = sent(book)
    assert book.on_order(shown("a", sys_id=""), 2) == [number]
    assert book.on_order(shown("3"), 3) == [number]
    assert book.on_trade(traded("1")) == [0]
    assert book.on_order(shown("1", 1), 4) == [number]
    order = book.orders[number]
    assert (order.order_id, order.exchange_order_id, order.volume_left) == ("mine", "9", 2)
    assert book.trades[0].order_id == "mine"


def test_a_flow_told_again_changes_nothing() -> None:
    book = CtpBook("one")
    number = sent(book)
    flow = [shown("a", sys_id=""), shown("3"), shown("1", 1), shown("0", 3)]
    for record in flow:
        book.on_order(record, 5)
    assert book.on_trade(traded("1", 3)) == [0]
    before = list(book.orders)
    assert [book.on_order(record, 9) for record in flow] == [[], [], [], []]
    assert book.on_trade(traded("1", 3)) == []
    assert book.orders == before and not book.orders[number].is_alive


def test_a_trade_before_its_order_waits_for_it() -> None:
    book = CtpBook("one")
    assert book.on_trade(traded("1")) == []
    assert book.on_order(shown("1", 1, key=Key(2, 3, "4")), 5) == [0]
    assert book.adopt() == [0]
    assert book.trades[0].order_id == "ctp.2.3.4"
    assert book.adopt() == []


def test_refusals_of_both_kinds() -> None:
    book = CtpBook("one")
    number = sent(book)
    assert book.on_refused(KEY, 1001, "no money") == [number]
    assert book.on_refused(KEY, 1001, "no money") == []
    assert (book.orders[number].code, book.orders[number].is_alive) == (1001, False)
    other = sent(book, "second", Key(1, 77, "6"))
    assert book.on_order(shown("5", sys_id="", key=Key(1, 77, "6"), submitted="4"), 3) == [other]
    assert book.orders[other].code and not book.orders[other].is_alive
    assert book.on_refused(Key(9, 9, "9"), 1, "nobody's") == []


def test_what_was_sent_and_is_nowhere_is_unknown_until_it_is_shown() -> None:
    book = CtpBook("one")
    number = sent(book)
    assert book.unknown_count == 1 and not book.is_shown(number)
    assert [difference.kind for difference in book.reconcile(set())] == ["unknown"]
    assert book.reconcile(set()) == []
    assert (book.orders[number].message, book.orders[number].is_alive) == (UNKNOWN, True)
    book.on_order(shown("3"), 3)
    assert book.unknown_count == 0 and book.orders[number].message != UNKNOWN


def test_a_query_that_says_otherwise_is_told() -> None:
    book = CtpBook("one")
    sent(book)
    book.on_order(shown("1", 2), 3)
    book.on_trade(traded("1"))
    kinds = [difference.kind for difference in book.reconcile(set())]
    assert kinds == ["missing", "volume"]


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=6))
def test_any_order_and_any_repetition_end_the_same(order: list[int], again: list[int]) -> None:
    records = [
        ("order", shown("a", sys_id="")),
        ("order", shown("3")),
        ("order", shown("1", 1)),
        ("trade", traded("1")),
        ("order", shown("0", 3)),
        ("trade", traded("2", 2)),
    ]
    book = CtpBook("one")
    sent(book)
    for at in [*order, *again]:
        kind, record = records[at]
        if kind == "order":
            book.on_order(record, 5)
            book.adopt()
        else:
            book.on_trade(record)
    (end,) = book.orders
    assert (end.order_id, end.volume_left, end.is_alive, end.exchange_order_id) == ("mine", 0, False, "9")
    assert sorted(trade.exchange_trade_id for trade in book.trades) == ["1", "2"]
    assert book.reconcile({KEY}) == []


def test_notes_survive_a_cut_line_and_another_day(tmp_path: Any) -> None:
    path = tmp_path / "trade" / "notes.jsonl"
    notes = Notes(path)
    assert notes.open(20210802) == []
    book = CtpBook("one")
    sent(book)
    order = InsertOrder(
        account_id="one",
        order_id="a",
        symbol="SHFE.cu2109",
        direction=Direction.BUY,
        offset=Offset.OPEN,
        volume=1,
        limit_price=1.0,
    )
    note = Note(20210802, 1, 7, "1", 5, order)
    notes.write(note)
    notes.write(Note(20210801, 1, 7, "2", 5, order))
    notes.close()
    with path.open("ab") as file:
        file.write(b'{"day": 2021')
    again = Notes(path)
    assert again.open(20210802) == [note]
    again.write(note)
    again.close()
    assert path.stat().st_mode & 0o077 == 0
    assert len(path.read_bytes().splitlines()) == 2
    with pytest.raises(Exception, match="not written"):
        again.write(note)


def test_a_note_half_written_is_cut_off_again_and_a_torn_line_costs_no_other(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(ref: int) -> Note:
        words = {"direction": Direction.BUY, "offset": Offset.OPEN, "volume": 1, "limit_price": 1.0}
        order = InsertOrder(account_id="one", order_id=f"o{ref}", symbol="SHFE.cu2109", **words)
        return Note(20210802, 1, 7, str(ref), 5, order)

    path = tmp_path / "notes.jsonl"
    notes = Notes(path)
    notes.open(20210802)
    notes.write(note(1))
    write, cut = os.write, os.ftruncate
    room = [30, 0]

    def write_some(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[: room.pop(0)])

    def cut_not(_file: int, _size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", write_some)
    monkeypatch.setattr(os, "ftruncate", cut_not)
    for _ in range(2):
        with pytest.raises(StorageError):
            notes.write(note(2))
    assert not path.read_bytes().endswith(b"\n")  # nor could the disk be told to cut it off
    monkeypatch.setattr(os, "ftruncate", cut)
    with pytest.raises(StorageError, match="No space"):
        notes.write(note(2))
    assert path.read_bytes().count(b"\n") == 1 and path.read_bytes().endswith(b"\n")
    monkeypatch.setattr(os, "write", write)
    notes.write(note(3))
    notes.close()
    place = path.stat().st_ino
    assert Notes(path).open(20210802) == [note(1), note(3)]
    assert path.stat().st_ino == place  # no copy is made of what is right: there may be no room for one
    text = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([text[0], text[1][:40], b'{"day":"\xff\xfe"}', text[1]]) + b"\n\0\0\0")
    with structlog.testing.capture_logs() as said:
        assert Notes(path).open(20210802) == [note(1), note(3)]
    assert [(one["event"], one["line"]) for one in said] == [("note_unreadable", n) for n in (2, 3, 5)]
