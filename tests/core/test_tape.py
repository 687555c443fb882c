"""The tape: identity, masks as a hub shows them, late rows, restore."""

import pytest

from qautlra._core.feed import Hub
from qautlra._core.market import Instruments, Rows
from qautlra._core.tape import Tape
from tests.models.market import MORNING_NS, Market
from tests.models.wire import messages

SECOND = 1_000_000_000


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
def tape(market: Market) -> Tape:
    return Tape(market.instruments, market.calendar, 16)


def row(second: int, seq: int = 0, **values: float | None) -> dict[str, object]:
    stamp = {"instrument_id": "IF2101", "datetime": MORNING_NS + second * SECOND, "seq": seq}
    return stamp | {"last_price": 5230.0} | values


def test_a_row_is_known_by_instrument_stamp_and_ordinal(market: Market, tape: Tape) -> None:
    rows = market.rows(row(0), row(0), row(0, seq=1), row(0, seq=1), row(1))
    assert tape.publish(rows) == 5
    assert (tape.head, tape.duplicates, tape.late) == (3, 2, 0)
    assert tape.last_identity(0) == (MORNING_NS + SECOND, 0)
    assert tape.trading_day(0) == tape.last(0)["trading_day"] and tape.trading_day(0) > 20_000_000


def test_a_late_row_is_entered_and_changes_nothing(market: Market, tape: Tape) -> None:
    tape.publish(market.rows(row(5, last_price=1.0)))
    tape.publish(market.rows(row(4, last_price=2.0), row(5, seq=0)))
    assert (tape.head, tape.late, tape.duplicates) == (2, 1, 1)
    last = tape.last(0)
    assert last is not None and last["last_price"] == 1.0


def test_rows_are_taken_from_start_to_stop(market: Market, tape: Tape) -> None:
    rows = market.rows(*(row(n) for n in range(10)))
    assert tape.publish(rows, 2, 5) == 5
    assert tape.head == 3
    assert tape.publish(rows, 5) == 10
    assert tape.publish(rows, 10) == 10
    with pytest.raises(ValueError, match="start 11"):
        tape.publish(rows, 11)


def test_a_row_of_another_table_is_refused_and_names_itself(market: Market, tape: Tape) -> None:
    others = Instruments(market.calendar)
    for month in range(1, 13):
        others.intern(f"SHFE.au26{month:02d}")
    foreign = Rows(others)
    for month in (1, 12):
        foreign.append_dict(others, {"instrument_id": f"SHFE.au26{month:02d}", "datetime": MORNING_NS})
    with pytest.raises(ValueError, match="row 1 "):
        tape.publish(foreign)
    assert tape.head == 1


def test_capacity_is_a_power_of_two(market: Market) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Tape(market.instruments, market.calendar, 12)


def test_without_a_holding_cursor_there_is_always_room(market: Market, tape: Tape) -> None:
    hub = Hub(tape)
    tape.publish(market.rows(*(row(n) for n in range(40))))
    assert (tape.head, tape.room()) == (40, 16)
    assert hub.drain() == 40 and hub.resyncs == 1


def test_restore_sets_the_last_row_and_publishes_nothing(market: Market, tape: Tape) -> None:
    tape.restore(market.rows(row(0, volume=5), row(1, volume=9), row(1)))
    assert (tape.head, tape.seen()) == (0, [0])
    last = tape.last(0)
    assert last is not None and last["volume"] == 9
    tape.publish(market.rows(row(1), row(2, volume=12)))
    assert (tape.head, tape.duplicates) == (1, 1)
    assert tape.bars(0).to_pylist()[0]["volume"] == 12


def test_last_row_goes_back_onto_a_tape(market: Market, tape: Tape) -> None:
    tape.publish(market.rows(row(3, bid_price1=None, ask_price1=1.5)))
    other = Tape(market.instruments, market.calendar, 16)
    other.restore(tape.last_row(0))
    assert other.last(0) == tape.last(0)
    assert len(tape.last_row(1)) == 0 and tape.last(1) is None and tape.last_identity(1) is None
    assert tape.trading_day(1) == 0


def test_same_values_with_a_new_ordinal_make_a_row_but_no_frame(market: Market, tape: Tape) -> None:
    hub = Hub(tape)
    client = hub.open()
    hub.subscribe(client, [(0, "IF2101")])
    tape.publish(market.rows(row(0)))
    assert hub.frame(client)
    tape.publish(market.rows(row(0, seq=1)))
    assert tape.head == 2 and hub.frame(client) == b""


def test_a_tick_that_moves_only_the_clock_is_sent(market: Market, tape: Tape) -> None:
    hub = Hub(tape)
    client = hub.open()
    hub.subscribe(client, [(0, "IF2101")])
    tape.publish(market.rows(row(0)))
    hub.frame(client)
    tape.publish(market.rows(row(1)))
    assert messages(hub.frame(client)) == [
        {
            "aid": "rtn_data",
            "data": [
                {"quotes": {"IF2101": {"instrument_id": "IF2101", "datetime": "2021-01-04 09:30:01.000000"}}}
            ],
        }
    ]
