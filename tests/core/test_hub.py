"""The hub's promises one by one; what is true of every story is in tests/property/test_feed.py."""

import gc
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from qautlra._core.feed import (
    STYLE_CORE,
    STYLE_DIFF,
    STYLE_LEGACY_MARKET_DATA,
    STYLE_LEGACY_RTN,
    Hub,
    patch_message,
    text_frame,
)
from qautlra._core.tape import Tape
from tests.models.market import MORNING_NS, SYMBOLS, Market
from tests.models.wire import messages, split_frames, strict_json

PULL = 1


class Feed:
    """A market, its tape and a hub, with a clock that moves by itself."""

    def __init__(self, capacity: int = 64, **limits: int) -> None:
        self.market = Market()
        self.tape = Tape(self.market.instruments, self.market.calendar, capacity)
        self.hub = Hub(self.tape, **limits)
        self.now_ns = MORNING_NS

    def tick(self, instrument: int = 0, /, **values: Any) -> None:
        self.now_ns += 500_000_000
        row = {"instrument_id": SYMBOLS[instrument], "datetime": self.now_ns, "last_price": 1.0} | values
        assert self.tape.publish(self.market.rows(row)) == 1

    def client(self, *entries: tuple[int, str], flags: int = 0) -> int:
        client = self.hub.open(flags)
        self.hub.subscribe(client, list(entries))
        return client

    def quotes(self, client: int) -> dict[str, Any]:
        """Quotes of the client's next frame."""
        data = self.hub.frame(client)
        return messages(data)[0]["data"][0]["quotes"] if data else {}


@pytest.fixture
def feed() -> Feed:
    return Feed()


# What the predecessor got wrong.


def test_two_ticks_in_one_batch_lose_neither_change(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    feed.tick(last_price=1.0, volume=10)
    feed.quotes(client)
    feed.tick(last_price=2.0, volume=10)
    feed.tick(last_price=2.0, volume=11)
    quote = feed.quotes(client)["IF2101"]
    assert (quote["last_price"], quote["volume"]) == (2.0, 11)


def test_iopv_and_the_deep_levels_are_compared(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    feed.tick(iopv=1.0, bid_price10=1.0, ask_volume6=1)
    feed.quotes(client)
    feed.tick(iopv=2.0, bid_price10=1.5, ask_volume6=2)
    quote = feed.quotes(client)["IF2101"]
    assert (quote["iopv"], quote["bid_price10"], quote["ask_volume6"]) == (2.0, 1.5, 2)


def test_a_subscription_stays_until_it_is_replaced(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    for _ in range(500):
        feed.tick()
        feed.hub.drain()
    assert feed.hub.entries(client) == [(0, "IF2101")]
    assert feed.quotes(client)


def test_a_missing_value_that_stays_missing_is_no_change(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    feed.tick(ask_price1=None)
    feed.quotes(client)
    feed.tick(ask_price1=None)
    assert set(feed.quotes(client)["IF2101"]) == {"instrument_id", "datetime"}


def test_nothing_older_follows_a_full_snapshot(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    feed.tick(volume=1)
    feed.tick(volume=2)
    feed.hub.drain()
    assert feed.quotes(client)["IF2101"]["volume"] == 2
    assert feed.quotes(client) == {}


# What a client is sent.


def test_first_the_whole_snapshot_then_what_changed(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    assert feed.hub.frame(client) == b""
    feed.tick(volume=1, bid_price1=5230.2, bid_volume1=3)
    whole = feed.quotes(client)["IF2101"]
    assert whole["settlement"] == "-" and whole["bid_price2"] == "-" and len(whole) == 58
    feed.tick(volume=2, bid_price1=None, bid_volume1=None)
    assert feed.quotes(client)["IF2101"] == {
        "instrument_id": "IF2101",
        "datetime": "2021-01-04 09:30:01.000000",
        "volume": 2,
        "bid_price1": "-",
        "bid_volume1": 0,
    }


def test_a_value_that_vanishes_is_null_on_legacy_frames(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    feed.hub.set_style(client, STYLE_LEGACY_RTN)
    feed.tick(ask_price1=5.0, ask_volume1=1)
    feed.quotes(client)
    feed.tick(ask_price1=None, ask_volume1=None)
    quote = feed.quotes(client)["IF2101"]
    assert quote["ask_price1"] is None and quote["ask_volume1"] is None


def test_a_late_subscriber_gets_the_whole_snapshot_at_once(feed: Feed) -> None:
    feed.tick(volume=7)
    client = feed.client((0, "IF2101"))
    assert feed.hub.pending(client) == 1
    assert feed.quotes(client)["IF2101"]["volume"] == 7


def test_whoever_comes_back_learns_that_a_level_has_gone(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    feed.tick(bid_price3=5.0)
    feed.quotes(client)
    feed.hub.subscribe(client, [])
    feed.tick(bid_price3=None)
    feed.hub.subscribe(client, [(0, "IF2101")])
    assert feed.quotes(client)["IF2101"]["bid_price3"] == "-"


def test_kept_entries_keep_what_they_owe_and_new_ones_start_whole(feed: Feed) -> None:
    client = feed.client((0, "IF2101"), (1, "au2106"))
    feed.tick(0, volume=1)
    feed.tick(1, volume=1)
    feed.quotes(client)
    feed.tick(0, volume=2)
    feed.tick(1, volume=2)
    feed.hub.drain()
    feed.hub.subscribe(client, [(2, "au2112"), (0, "IF2101"), (3, "IF2103")])
    feed.tick(2, volume=5)
    quotes = feed.quotes(client)
    assert list(quotes) == ["IF2101", "au2112"]
    assert set(quotes["IF2101"]) == {"instrument_id", "datetime", "volume"}
    assert "settlement" in quotes["au2112"]


def test_quotes_come_in_the_order_they_changed(feed: Feed) -> None:
    client = feed.client(*enumerate(SYMBOLS))
    order = (3, 0, 2, 1)
    for instrument in (*order, 0, 3):
        feed.tick(instrument)
        feed.hub.drain()
    assert list(feed.quotes(client)) == [SYMBOLS[n] for n in order]


def test_cached_snapshots_come_in_the_order_asked_for(feed: Feed) -> None:
    for instrument in range(4):
        feed.tick(instrument)
    order = (2, 0, 3, 1)
    client = feed.client(*((n, SYMBOLS[n]) for n in order))
    assert list(feed.quotes(client)) == [SYMBOLS[n] for n in order]


def test_two_spellings_give_both_keys(feed: Feed) -> None:
    client = feed.client((0, "IF2101"), (0, "CFFEX.IF2101"), (0, "IF2101"))
    assert feed.hub.entries(client) == [(0, "IF2101"), (0, "CFFEX.IF2101")]
    feed.tick(volume=3)
    quotes = feed.quotes(client)
    assert {shown: quote["instrument_id"] for shown, quote in quotes.items()} == {
        "IF2101": "IF2101",
        "CFFEX.IF2101": "CFFEX.IF2101",
    }


def test_a_tail_is_the_last_element_and_goes_alone_too(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    tail = b'{"ins_list":"IF2101","mdhis_more_data":false}'
    assert messages(feed.hub.frame(client, tail)) == [{"aid": "rtn_data", "data": [strict_json(tail)]}]
    feed.tick()
    (message,) = messages(feed.hub.frame(client, tail))
    assert message["data"][1] == strict_json(tail) and "quotes" in message["data"][0]
    feed.hub.set_style(client, STYLE_CORE)
    with pytest.raises(ValueError, match="data list"):
        feed.hub.frame(client, tail)


def test_full_only_sends_whole_snapshots_of_what_changed(feed: Feed) -> None:
    client = feed.client((0, "IF2101"), (1, "au2106"))
    feed.hub.set_style(client, STYLE_DIFF, full_only=True)
    feed.tick(0, bid_price2=5.0)
    feed.tick(1)
    feed.quotes(client)
    feed.tick(0, bid_price2=None)
    quotes = feed.quotes(client)
    assert list(quotes) == ["IF2101"]
    assert quotes["IF2101"]["last_price"] == 1.0 and quotes["IF2101"]["bid_price2"] == "-"


def test_market_data_frames_follow_the_rtn_data_frame(feed: Feed) -> None:
    client = feed.client((0, "IF2101"), (1, "au2106"))
    feed.hub.set_style(client, STYLE_LEGACY_RTN, market_data=True)
    feed.tick(0)
    feed.tick(1)
    feed.hub.frame(client)
    feed.tick(1, volume=5)
    first, second = messages(feed.hub.frame(client))
    assert set(first["data"][0]["quotes"]["au2106"]) == {"instrument_id", "datetime", "volume"}
    data = second["payload"]["data"]
    assert (second["type"], len(data), data["volume"], data["close"]) == ("market_data", 58, 5, None)
    assert data["datetime"] == "2021-01-04T01:30:01.500000Z"


@pytest.mark.parametrize("style", [STYLE_CORE, STYLE_LEGACY_MARKET_DATA])
def test_single_styles_send_one_whole_frame_per_instrument(feed: Feed, style: int) -> None:
    client = feed.client((0, "IF2101"), (1, "au2106"))
    feed.hub.set_style(client, style, stamp=True)
    for _ in range(2):
        feed.tick(0)
        feed.tick(1)
        got = messages(feed.hub.frame(client))
        assert [list(message)[-1] for message in got] == ["_ts", "_ts"]
        if style == STYLE_CORE:
            assert [m["data"]["instrument_id"] for m in got] == ["IF2101", "au2106"]
            assert all((m["topic"], m["code"]) == ("marketdata", 200) for m in got)
            assert all("update_time" in m["data"] and "turnover" in m["data"] for m in got)
        else:
            assert [m["payload"]["data"]["instrument_id"] for m in got] == ["IF2101", "au2106"]


def test_a_change_of_tree_sends_everything_again(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    feed.tick()
    feed.quotes(client)
    feed.hub.set_style(client, STYLE_LEGACY_RTN)
    assert feed.hub.frame(client) == b""
    feed.hub.set_style(client, STYLE_CORE)
    assert len(messages(feed.hub.frame(client))) == 1
    feed.hub.set_style(client, STYLE_DIFF)
    assert "settlement" in feed.quotes(client)["IF2101"]


def test_the_stamp_is_the_publication_of_the_oldest_unsent_tick(feed: Feed) -> None:
    client = feed.client((0, "IF2101"), (1, "au2106"))
    feed.hub.set_style(client, STYLE_DIFF, stamp=True)
    before = time.monotonic_ns()
    feed.tick(0)
    between = time.monotonic_ns()
    feed.tick(1)
    feed.tick(0)
    (message,) = messages(feed.hub.frame(client))
    assert list(message)[-1] == "_ts" and before <= message["_ts"] <= between
    assert "_ts" not in messages(feed.hub.frame(client, b"{}"))[0]
    feed.tick(1)
    assert messages(feed.hub.frame(client))[0]["_ts"] > between


# Falling behind.


def test_an_overrun_owes_everyone_every_field_in_order() -> None:
    feed = Feed(capacity=8)
    client = feed.client(*enumerate(SYMBOLS))
    for instrument in range(4):
        feed.tick(instrument, volume=1, bid_price1=3.0)
    feed.quotes(client)
    feed.tick(2, volume=2)
    feed.hub.drain()
    feed.tick(1, bid_price1=None)
    for n in range(20):
        feed.tick(3, volume=n)
    quotes = feed.quotes(client)
    assert feed.hub.resyncs == 1
    assert list(quotes) == [SYMBOLS[n] for n in (2, 0, 1, 3)]
    assert quotes["SHFE.au2106"]["bid_price1"] == "-" and quotes["CFFEX.IF2101"]["volume"] == 1
    assert "bid_price2" not in quotes["CFFEX.IF2101"]


def test_a_restored_row_reaches_clients_that_were_there(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    feed.tick(volume=1)
    feed.quotes(client)
    feed.now_ns += 1_000_000_000
    feed.tape.restore(feed.market.rows({"instrument_id": "IF2101", "datetime": feed.now_ns, "volume": 9}))
    assert feed.quotes(client)["IF2101"]["volume"] == 9


def test_a_client_that_does_not_read_costs_one_mask_per_instrument(feed: Feed) -> None:
    slow, fast = feed.client((0, "IF2101")), feed.client((0, "IF2101"))
    for n in range(1000):
        feed.tick(volume=n)
        feed.quotes(fast)
    assert feed.hub.pending(slow) == 1
    assert feed.quotes(slow)["IF2101"]["volume"] == 999


def test_what_does_not_fit_into_a_frame_waits_for_the_next() -> None:
    feed = Feed(max_frame_bytes=1500)
    client = feed.client(*((n, spelling) for n in range(4) for spelling in (SYMBOLS[n], SYMBOLS[n][-6:])))
    for instrument in range(4):
        feed.tick(instrument)
    got: list[str] = []
    while data := feed.hub.frame(client):
        (payload,) = split_frames(data)
        assert len(payload) < 1500 + 64
        got += strict_json(payload)["data"][0]["quotes"]
    assert len(got) == 8 == len(set(got))
    feed.hub.set_style(client, STYLE_LEGACY_RTN, market_data=True)
    feed.tick(0)
    feed.tick(1)
    assert len(messages(feed.hub.frame(client))) == 2
    assert feed.hub.pending(client) == 3


# Sharing.


def test_clients_owed_the_same_share_the_bytes_and_the_encoding(feed: Feed) -> None:
    clients = [feed.client((0, "IF2101"), (1, "au2106")) for _ in range(50)]
    other = feed.client((0, "CFFEX.IF2101"))
    feed.tick(0)
    feed.tick(1)
    frames = dict(feed.hub.flush())
    assert len({id(frames[client]) for client in clients}) == 1
    assert frames[other] != frames[clients[0]]
    assert (feed.hub.frames_built, feed.hub.frames_shared, feed.hub.fragment_misses) == (2, 49, 3)
    feed.tick(0, volume=1)
    one = feed.hub.frame(clients[0])
    assert all(feed.hub.frame(client) is one for client in clients[1:])
    feed.tick(0, volume=2)
    assert feed.hub.frame(clients[0]) != one


def test_different_stamps_or_options_are_not_shared(feed: Feed) -> None:
    plain, stamped, doubled, legacy = (feed.client((0, "IF2101")) for _ in range(4))
    feed.hub.set_style(stamped, STYLE_DIFF, stamp=True)
    feed.hub.set_style(doubled, STYLE_DIFF, market_data=True)
    feed.hub.set_style(legacy, STYLE_LEGACY_RTN)
    feed.tick(ask_price1=1.0)
    feed.hub.flush()
    feed.tick(ask_price1=None)
    frames = dict(feed.hub.flush())
    assert len({frames[c] for c in (plain, stamped, doubled, legacy)}) == 4
    assert (b'"ask_price1":"-"' in frames[plain], b'"ask_price1":null' in frames[legacy]) == (True, True)


def test_a_spelling_let_go_is_not_shown_to_the_next_client(feed: Feed) -> None:
    feed.tick()
    first, second = feed.client((0, "aaa")), feed.client()
    assert list(feed.quotes(first)) == ["aaa"]
    feed.hub.subscribe(first, [])
    feed.hub.subscribe(second, [(0, "bbb")])
    quotes = feed.quotes(second)
    assert list(quotes) == ["bbb"] and quotes["bbb"]["instrument_id"] == "bbb"


def test_flush_takes_those_with_enough_and_leaves_pull_clients(feed: Feed) -> None:
    few, many = feed.client((0, "IF2101")), feed.client((0, "IF2101"), (1, "au2106"))
    pull = feed.client((0, "IF2101"), (1, "au2106"), flags=PULL)
    feed.tick(0)
    feed.tick(1)
    assert [client for client, _ in feed.hub.flush(None, 2)] == [many]
    assert [client for client, _ in feed.hub.flush()] == [few]
    assert [client for client, _ in feed.hub.flush([few, pull])] == [pull]
    feed.hub.set_style(pull, STYLE_DIFF, pull=False)
    feed.tick(0)
    assert {client for client, _ in feed.hub.flush()} == {few, many, pull}


# Handles, limits, bad input.


def test_a_closed_handle_is_refused_everywhere_and_never_given_again(feed: Feed) -> None:
    client = feed.client((0, "IF2101"))
    feed.hub.close(client)
    for call in (
        feed.hub.close,
        feed.hub.pending,
        feed.hub.frame,
        feed.hub.entries,
        lambda c: feed.hub.subscribe(c, []),
        lambda c: feed.hub.set_style(c, STYLE_DIFF),
    ):
        with pytest.raises(LookupError, match=str(client)):
            call(client)
    assert not feed.hub.is_open(client)
    again = feed.hub.open()
    assert again != client and feed.hub.is_open(again)
    feed.tick()
    assert feed.hub.flush([client]) == []
    for nonsense in (0, 7, 2**63):
        with pytest.raises(LookupError):
            feed.hub.pending(nonsense)


def test_limits_refuse_and_change_nothing() -> None:
    feed = Feed(max_clients=2, max_symbols=3, max_subscriptions=4)
    client, other = feed.client((0, "IF2101")), feed.hub.open()
    with pytest.raises(RuntimeError, match="2 clients"):
        feed.hub.open()
    with pytest.raises(OverflowError, match="at most 3 symbols"):
        feed.hub.subscribe(client, [(0, "a"), (0, "b"), (0, "c"), (0, "d")])
    feed.hub.subscribe(other, [(0, "a"), (0, "b"), (0, "c")])
    with pytest.raises(OverflowError, match="together"):
        feed.hub.subscribe(client, [(0, "a"), (0, "b")])
    assert feed.hub.entries(client) == [(0, "IF2101")]
    assert (feed.hub.clients, feed.hub.subscriptions) == (2, 4)
    feed.hub.close(other)
    feed.hub.subscribe(client, [(0, "a"), (0, "b"), (0, "a")])
    assert (feed.hub.clients, feed.hub.subscriptions) == (1, 2)


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        ([(0, "IF2101"), (99, "x")], "number 99"),
        ([(0, 'a"b')], "cannot be shown"),
        ([(0, "é")], "cannot be shown"),
        ([(0, "")], "cannot be shown"),
        ([(0, "x" * 65)], "cannot be shown"),
        ([(0, "same"), (1, "same")], "two instruments"),
    ],
)
def test_bad_entries_are_named_and_change_nothing(
    feed: Feed, entries: list[tuple[int, str]], error: str
) -> None:
    client = feed.client((1, "au2106"))
    with pytest.raises(ValueError, match=error):
        feed.hub.subscribe(client, entries)
    assert feed.hub.entries(client) == [(1, "au2106")]


def test_an_unknown_style_is_refused(feed: Feed) -> None:
    with pytest.raises(ValueError, match="no style 4"):
        feed.hub.set_style(feed.hub.open(), 4)


# Frames and figures.


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_text_frames_of_every_length_form(size: int) -> None:
    assert split_frames(text_frame(b"x" * size)) == [b"x" * size]


@pytest.mark.parametrize(("count", "header"), [(1, 2), (3, 4), (900, 10)])
def test_hub_frames_of_every_length_form(feed: Feed, count: int, header: int) -> None:
    client = feed.client(*((0, f"IF{n}") for n in range(count)))
    feed.tick()
    feed.hub.frame(client)
    feed.tick()  # patches: about 80 bytes of each
    data = feed.hub.frame(client)
    (payload,) = split_frames(data)
    assert len(data) - len(payload) == header
    assert len(strict_json(payload)["data"][0]["quotes"]) == count


def test_diff_json_is_the_patch_between_two_rows(feed: Feed) -> None:
    stamp = {"instrument_id": "IF2101", "datetime": MORNING_NS, "last_price": 5230.0, "ask_price1": 5230.2}
    rows = feed.market.rows(stamp, stamp | {"last_price": 5230.4, "ask_price1": None})
    assert strict_json(patch_message(rows, 0, rows, 1)) == {
        "aid": "rtn_data",
        "data": [
            {
                "quotes": {
                    "CFFEX.IF2101": {"instrument_id": "CFFEX.IF2101", "last_price": 5230.4, "ask_price1": "-"}
                }
            }
        ],
    }
    assert patch_message(rows, 0, rows, 0) == b""


@pytest.mark.slow
def test_a_hub_that_dies_in_a_cycle_gives_its_cursor_back() -> None:
    feed = Feed()
    market, tape = feed.market, feed.tape
    for _ in range(40):  # more than a tape has cursors
        cycle: list[Any] = [Hub(tape), Hub(Tape(market.instruments, market.calendar, 64))]
        cycle.append(cycle)
        del cycle
        gc.collect()
    assert Hub(tape).drain() == 0


def resident_kib() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4


def freed_memory_is_kept() -> bool:
    """Whether the address sanitizer is in this process: it sets freed memory aside instead of reusing it."""
    return "libasan" in Path("/proc/self/maps").read_text()


def test_steady_state_keeps_its_storage(feed: Feed) -> None:
    clients = [feed.client(*((i, f"{SYMBOLS[i]}") for i in range(n % 4 + 1))) for n in range(50)]

    def rounds(count: int) -> None:
        for n in range(count):
            for instrument in range(4):
                feed.tick(instrument, volume=n, last_price=float(n))
            feed.hub.flush()
            if n % 10 == 0:
                client = clients.pop(0)
                feed.hub.close(client)
                clients.append(feed.client((0, f"IF{n}"), (1, "au2106")))

    rounds(300)
    gc.collect()
    before = resident_kib()
    tracemalloc.start()
    rounds(300)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rounds(1500)
    assert held < 200_000
    assert freed_memory_is_kept() or resident_kib() - before < 4096
