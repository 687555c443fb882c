"""Charts of a session: windows, paging, changes, alignment, release; instrument queries beside them."""

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qautlra.feed import charts as charts_room
from qautlra.feed.catalogue import Catalogue
from qautlra.feed.context import Flow
from qautlra.wire.ins_query import Asked
from tests.feed.chart_rig import MINUTE_NS, ChartRig, bar, shown
from tests.feed.rig import AU, IF, PEEK
from tests.models.market import MORNING_NS, SYMBOLS

FUTURE, METAL = SYMBOLS[IF], SYMBOLS[AU]
BAR = ("datetime", "open", "high", "low", "close", "volume", "open_oi", "close_oi")
Make = Callable[..., ChartRig]


@pytest.fixture
def make() -> Iterator[Make]:
    rigs: list[ChartRig] = []

    def build(**settings: Any) -> ChartRig:
        rigs.append(ChartRig(**settings))
        return rigs[-1]

    yield build
    for rig in rigs:
        rig.close()


@pytest.fixture
def rig(make: Make) -> ChartRig:
    return make()


def plain(rows: list[dict[str, Any]]) -> list[list[Any]]:
    return [[row[key] for key in BAR] for row in rows]


def morning(minutes: int) -> list[dict[str, Any]]:
    """Minutes of the day before, up to its close at 15:00 in Beijing."""
    opened = MORNING_NS - 4 * 86_400 * 10**9
    sections = [*range(120), *range(210, 330)]
    return [bar(opened + k * MINUTE_NS, 5000.0 + k) for k in sections][-minutes:]


def trade(rig: ChartRig, count: int, seed: int = 1, every_s: float = 0.5) -> None:
    chance = random.Random(seed)
    rows = rig.history.rows.get(FUTURE, ())
    volume = rows[-1]["volume"] if rows else 0.0
    for _ in range(count):
        rig.now_ns += int((every_s - 0.5) * 1e9)
        volume += chance.randint(0, 5)
        price = 5000.0 + chance.randint(-5, 5) * 0.2
        rig.tick(
            (IF, {"last_price": price, "volume": volume, "open_interest": float(chance.randint(90, 99))})
        )


def test_newest_bars_then_only_what_changes(rig: ChartRig) -> None:
    trade(rig, 300)
    peer = rig.peer()
    peer.say(PEEK)
    peer.say({"aid": "subscribe_quote", "ins_list": FUTURE})
    chart = rig.chart(peer, "c", FUTURE, 60, 2)
    rows = shown(peer, chart)
    assert [[r[k] for k in BAR] for r in rows] == [[b[k] for k in BAR] for b in rig.history.folded(FUTURE)][
        -2:
    ]
    assert peer.tree["mdhis_more_data"] is False
    peer.say(PEEK)
    before = rig.now_ns
    rig.tick((IF, {"last_price": 5555.0, "volume": 5000.0, "open_interest": 95.0}))
    (message,) = peer.read()
    (part,) = [p for p in message["data"] if "klines" in p]
    assert any("quotes" in p for p in message["data"]), "one message for quotes and bars"
    node = part["klines"][FUTURE][str(60 * 10**9)]
    assert set(node["data"]) == {str(chart["right_id"])}
    assert set(node["data"][str(chart["right_id"])]) <= {"high", "close", "volume", "close_oi"}
    assert rig.now_ns > before


def test_a_new_bar_moves_the_window(rig: ChartRig) -> None:
    trade(rig, 300)
    peer = rig.peer()
    peer.say(PEEK)
    chart = dict(rig.chart(peer, "c", FUTURE, 60, 2))
    peer.say(PEEK)
    rig.now_ns += MINUTE_NS
    trade(rig, 1)
    peer.read()
    after = peer.tree["charts"]["c"]
    assert (after["left_id"], after["right_id"]) == (chart["left_id"] + 1, chart["right_id"] + 1)
    assert plain(shown(peer, after)) == plain(rig.history.folded(FUTURE))[-2:]


@pytest.mark.parametrize("seconds", [1, 5, 7, 60, 90, 300, 3600, 86_400, 3 * 86_400])
def test_any_period(rig: ChartRig, seconds: int) -> None:
    trade(rig, 400, every_s=0.9)
    peer = rig.peer()
    peer.say(PEEK)
    chart = rig.chart(peer, "c", FUTURE, seconds, 10_000)
    for step in range(3):
        rows = [r for r in shown(peer, chart) if "open" in r]
        naive = rig.history.folded(FUTURE, min(seconds, 86_400) * 10**9)
        if seconds <= 86_400:
            # The first bar began before the history did: what was traded before is not known.
            first = 1 if seconds % 60 else 0
            assert plain(rows)[first:] == plain(naive)[first:]
        assert sum(r["volume"] for r in rows) <= rig.history.rows[FUTURE][-1]["volume"]
        trade(rig, 30, seed=step + 2)
        peer.say(PEEK)


def test_long_series_come_in_pieces_and_are_ready_with_the_last(
    rig: ChartRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.history.older[FUTURE] = morning(230)
    trade(rig, 3)
    peer = rig.peer()
    peer.say(PEEK)
    monkeypatch.setattr(charts_room, "ROWS_PER_MESSAGE", 50)
    request = {"aid": "set_chart", "chart_id": "c", "ins_list": FUTURE, "duration": MINUTE_NS}
    peer.say(request | {"view_width": 231})
    rig.load()
    counts = []
    while "charts" not in peer.tree:
        parts = [part for message in peer.say(PEEK) for part in message["data"]]
        nodes = [part["klines"][FUTURE][str(MINUTE_NS)] for part in parts if "klines" in part]
        counts += [len(node["data"]) for node in nodes]
    assert counts == [50, 50, 50, 50, 31]
    rows = shown(peer, peer.tree["charts"]["c"])
    assert len(rows) == 231
    assert [r["datetime"] for r in rows[:230]] == [b["datetime"] for b in rig.history.older[FUTURE]]


def test_a_window_of_the_past_by_id_and_by_time(rig: ChartRig) -> None:
    rig.history.older[FUTURE] = older = morning(200)
    trade(rig, 3)
    peer = rig.peer()
    peer.say(PEEK)
    newest = rig.chart(peer, "n", FUTURE, 60, 5)
    first = newest["right_id"] - 200
    chart = rig.chart(peer, "p", FUTURE, 60, 20, left_kline_id=first + 30)
    assert (chart["left_id"], chart["right_id"]) == (first + 30, first + 49)
    assert [r["datetime"] for r in shown(peer, chart)] == [b["datetime"] for b in older[30:50]]
    middle = older[100]["datetime"]
    chart = rig.chart(peer, "p", FUTURE, 60, 20, focus_datetime=middle - 1, focus_position=4)
    assert (chart["left_id"], chart["right_id"]) == (first + 96, first + 115)
    chart = rig.chart(peer, "p", FUTURE, 60, 20, focus_datetime=middle, focus_position=20)
    assert chart["right_id"] == first + 99, "the focus is just outside"
    chart = rig.chart(peer, "p", FUTURE, 60, 300, left_kline_id=first - 50)
    assert (chart["left_id"], chart["right_id"]) == (first, newest["right_id"])
    chart = rig.chart(peer, "p", FUTURE, 60, 10, left_kline_id=first + 195)
    assert (chart["left_id"], chart["right_id"]) == (first + 195, newest["right_id"])
    peer.say(PEEK)
    rig.now_ns += MINUTE_NS
    trade(rig, 1)
    peer.read()
    assert peer.tree["charts"]["p"]["right_id"] == newest["right_id"]


def test_ticks_and_their_windows(rig: ChartRig) -> None:
    trade(rig, 500)
    peer = rig.peer()
    peer.say(PEEK)
    chart = rig.chart(peer, "t", FUTURE, 0, 100)
    rows = rig.history.rows[FUTURE]
    base = rows[0]["ts_ns"] // 1_000_000
    assert (chart["left_id"], chart["right_id"]) == (base + 400, base + 499)
    assert [r["last_price"] for r in shown(peer, chart)] == [r["last_price"] for r in rows[400:]]
    peer.say(PEEK)
    trade(rig, 1)
    peer.read()
    assert peer.tree["charts"]["t"]["right_id"] == base + 500
    assert peer.tree["ticks"][FUTURE]["last_id"] == base + 500
    old = rig.chart(peer, "o", FUTURE, 0, 30, left_kline_id=base + 70)
    assert [r["datetime"] for r in shown(peer, old)] == [r["ts_ns"] for r in rows[70:100]]
    old = rig.chart(peer, "o", FUTURE, 0, 30, focus_datetime=rows[200]["ts_ns"] - 1, focus_position=10)
    assert [r["datetime"] for r in shown(peer, old)] == [r["ts_ns"] for r in rows[190:220]]
    wide = rig.chart(peer, "w", FUTURE, 0, 400)
    assert [r["datetime"] for r in shown(peer, wide)] == [r["ts_ns"] for r in rig.history.rows[FUTURE][-400:]]


@pytest.mark.parametrize("seconds", [0, 5])
def test_a_chart_opened_while_the_store_is_behind_the_tape_has_every_row(rig: ChartRig, seconds: int) -> None:
    trade(rig, 300)
    rig.history.is_behind = True
    trade(rig, 40)
    peer = rig.peer()
    peer.say(PEEK)
    rows = shown(peer, rig.chart(peer, "t", FUTURE, seconds, 100))
    rig.loop.run_until_complete(rig.history.caught_up())  # in case the chart has not waited for it
    if seconds:
        assert plain(rows[1:]) == plain(rig.history.folded(FUTURE, seconds * 10**9)[1:])
    else:
        assert [r["datetime"] for r in rows] == [r["ts_ns"] for r in rig.history.rows[FUTURE][-100:]]


def test_a_price_that_is_not_there_is_said_to_be_none(rig: ChartRig) -> None:
    rig.tick((IF, {"last_price": 5000.0, "bid_price1": 4999.8, "bid_volume1": 3, "volume": 1.0}))
    peer = rig.peer()
    peer.say(PEEK)
    (row,) = shown(peer, rig.chart(peer, "t", FUTURE, 0, 10))
    assert (row["ask_price1"], row["ask_volume1"], row["bid_price1"]) == ("-", 0, 4999.8)
    assert "ask_price2" not in row


def test_several_instruments_are_aligned_by_time(rig: ChartRig) -> None:
    for _ in range(10):
        rig.tick((IF, {"last_price": 5000.0, "volume": 1.0}), (AU, {"last_price": 400.0, "volume": 1.0}))
        rig.now_ns += MINUTE_NS
    rig.tick((AU, {"last_price": 401.0, "volume": 2.0}))
    peer = rig.peer()
    peer.say(PEEK)
    chart = rig.chart(peer, "m", f"{FUTURE},{METAL}", 60, 10_000)
    main, other = shown(peer, chart), shown(peer, chart, 1)
    binding = peer.tree["klines"][FUTURE][str(MINUTE_NS)]["binding"][METAL]
    times = {r["id"]: r["datetime"] for r in other}
    assert len(binding) == 10
    assert all(times[binding[str(r["id"])]] == r["datetime"] for r in main)
    peer.say(PEEK)
    rig.tick((IF, {"last_price": 5001.0, "volume": 2.0}))
    peer.read()
    binding = peer.tree["klines"][FUTURE][str(MINUTE_NS)]["binding"][METAL]
    assert len(binding) == 11
    assert max(binding.values()) == peer.tree["klines"][METAL][str(MINUTE_NS)]["last_id"]


def test_a_chart_is_released_once_and_its_series_with_the_last_one(rig: ChartRig) -> None:
    trade(rig, 3)
    peer, other = rig.peer(), rig.peer()
    for one in (peer, other):
        one.say(PEEK)
        rig.chart(one, "c", FUTURE, 60, 5)
    assert len(rig.lines) == 1
    peer.say({"aid": "set_chart", "chart_id": "c", "ins_list": "", "duration": MINUTE_NS, "view_width": 5})
    found = peer.say(PEEK)
    assert [p["charts"] for m in found for p in m["data"]] == [{"c": None}]
    assert peer.say(PEEK) == []
    assert len(rig.lines) == 1
    other.leave()
    assert len(rig.lines) == 0
    trade(rig, 1)
    assert peer.read() == []


def test_nothing_is_lost_or_doubled_while_the_past_is_read(rig: ChartRig) -> None:
    trade(rig, 200)
    peer = rig.peer()
    peer.say(PEEK)
    rig.history.gate.clear()
    requests = [("m", MINUTE_NS), ("s", 5 * 10**9), ("t", 0)]
    for chart_id, duration in requests:
        peer.say(
            {
                "aid": "set_chart",
                "chart_id": chart_id,
                "ins_list": FUTURE,
                "duration": duration,
                "view_width": 1000,
            }
        )
    rig.loop.turn(20)
    trade(rig, 50, seed=5)
    assert peer.say(PEEK) == []
    rig.history.gate.set()
    rig.load()
    trade(rig, 20, seed=6)
    while len(peer.tree.get("charts", {})) < 3:
        peer.say(PEEK)
    peer.say(PEEK)
    charts = peer.tree["charts"]
    assert plain(shown(peer, charts["m"])) == plain(rig.history.folded(FUTURE))
    assert plain(shown(peer, charts["s"]))[1:] == plain(rig.history.folded(FUTURE, 5 * 10**9))[1:]
    assert [r["datetime"] for r in shown(peer, charts["t"])] == [r["ts_ns"] for r in rig.history.rows[FUTURE]]


def test_a_past_that_cannot_be_read_leaves_the_present(rig: ChartRig) -> None:
    trade(rig, 10)
    rig.history.broken = True
    peer = rig.peer()
    peer.say(PEEK)
    chart = rig.chart(peer, "c", FUTURE, 60, 5)
    assert chart["left_id"] == -1
    peer.say(PEEK)
    trade(rig, 2)
    peer.read()
    assert len(shown(peer, peer.tree["charts"]["c"])) == 1


def test_without_a_store_the_tape_is_the_past(make: Make) -> None:
    rig = make(stored=False)
    trade(rig, 300)
    peer = rig.peer()
    peer.say(PEEK)
    rows = shown(peer, rig.chart(peer, "c", FUTURE, 60, 100))
    assert [r["datetime"] for r in rows] == [b["datetime"] for b in rig.history.folded(FUTURE)]
    assert len(shown(peer, rig.chart(peer, "t", FUTURE, 0, 100))) == 1


def test_a_session_that_is_pushed_to_is_sent_charts_with_the_flush(rig: ChartRig) -> None:
    trade(rig, 10)
    peer = rig.peer(flow=Flow.PUSH)
    peer.say(
        {"aid": "set_chart", "chart_id": "c", "ins_list": FUTURE, "duration": MINUTE_NS, "view_width": 5}
    )
    rig.load()
    rig.loop.advance(0.3)
    peer.read()
    assert len(shown(peer, peer.tree["charts"]["c"])) == 1
    trade(rig, 5)
    rig.loop.advance(0.3)
    peer.read()
    (row,) = shown(peer, peer.tree["charts"]["c"])
    assert row["close"] == rig.history.rows[FUTURE][-1]["last_price"]


def test_an_instrument_no_source_has_shown_is_empty_until_it_appears(rig: ChartRig) -> None:
    peer = rig.peer()
    peer.say(PEEK)
    chart = rig.chart(peer, "c", "SHFE.au2212", 60, 5)
    assert (chart["left_id"], chart["right_id"]) == (-1, -1)
    assert peer.tree["klines"]["SHFE.au2212"][str(MINUTE_NS)] == {"last_id": -1, "data": {}}
    assert rig.feed.book.wanted == {"SHFE.au2212"}
    peer.say(PEEK)
    rig.tick(("SHFE.au2212", {"last_price": 400.0, "volume": 1.0}))
    rig.load()
    peer.say(PEEK)
    assert len(shown(peer, peer.tree["charts"]["c"])) == 1


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"ins_list": FUTURE, "duration": 1_500_000_000}, "whole number of seconds"),
        ({"ins_list": FUTURE, "duration": -1_000_000_000}, "whole number of seconds"),
        ({"ins_list": FUTURE, "duration": 100_000 * 10**9}, "whole seconds up to a day"),
        ({"ins_list": "not an instrument", "duration": MINUTE_NS}, "unknown instruments"),
        (
            {"ins_list": ",".join(f"SHFE.au{m}" for m in range(2101, 2118)), "duration": 0},
            "unknown instruments",
        ),
        ({"ins_list": FUTURE, "duration": 0, "more": "x" * 5000}, "characters long"),
    ],
)
def test_what_cannot_be_shown_is_said_and_answered_empty(
    rig: ChartRig, request_: dict[str, Any], why: str
) -> None:
    peer = rig.peer()
    peer.say(PEEK)
    peer.say({"aid": "set_chart", "chart_id": "c", "view_width": 5} | request_)
    rig.load()
    peer.say(PEEK)
    assert peer.tree["charts"]["c"]["left_id"] == -1
    assert why in str(peer.tree["notify"])


def test_charts_per_session_are_bounded(rig: ChartRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts_room, "CHARTS_COUNT", 3)
    trade(rig, 1)
    peer = rig.peer()
    peer.say(PEEK)
    for number in range(4):
        request = {"aid": "set_chart", "chart_id": f"c{number}", "ins_list": FUTURE, "duration": MINUTE_NS}
        peer.say(request | {"view_width": 1})
    rig.load()
    peer.say(PEEK)
    assert "At most 3 charts" in str(peer.tree["notify"])
    assert peer.tree["charts"]["c2"]["left_id"] > 0
    assert peer.tree["charts"]["c3"]["left_id"] == -1


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_a_merging_client_sees_the_series(make: Make, seed: int) -> None:
    chance = random.Random(seed)
    rig = make()
    rig.history.older[FUTURE] = morning(50)
    trade(rig, chance.randint(0, 50))
    peers = [rig.peer() for _ in range(2)]
    charts: list[dict[str, tuple[int, int]]] = [{}, {}]
    for peer in peers:
        peer.say(PEEK)
    for _ in range(150):
        who = chance.randrange(2)
        match chance.randrange(5):
            case 0:
                trade(rig, chance.randint(1, 20), chance.randrange(1000), chance.choice((0.5, 3.0, 40.0)))
            case 1 | 2:
                peers[who].say(PEEK)
            case 3:
                name, duration = chance.choice("abc"), chance.choice((0, 60, 300))
                charts[who][name] = (duration, width := chance.randint(1, 60))
                request = {
                    "aid": "set_chart",
                    "chart_id": name,
                    "ins_list": FUTURE,
                    "duration": duration * 10**9,
                }
                peers[who].say(request | {"view_width": width})
                if chance.random() < 0.7:
                    rig.load()
            case 4 if charts[who]:
                name = chance.choice(sorted(charts[who]))
                duration, _ = charts[who].pop(name)
                request = {"aid": "set_chart", "chart_id": name, "ins_list": "", "duration": duration * 10**9}
                peers[who].say(request)
    trade(rig, 1)
    rig.load()
    for peer, wanted in zip(peers, charts, strict=True):
        for _ in range(5):
            peer.say(PEEK)
        left = {name: node for name, node in peer.tree.get("charts", {}).items() if node}
        assert set(left) == set(wanted)
        for name, (duration, width) in wanted.items():
            rows = shown(peer, left[name])
            if duration:
                naive = rig.history.folded(FUTURE, duration * 10**9)
                traded = [r for r in rows if "open" in r and r["datetime"] >= naive[0]["datetime"]]
                assert [[r[k] for k in BAR] for r in traded] == [[b[k] for k in BAR] for b in naive][
                    -len(traded) :
                ]
                assert len(rows) == width or "open" in rows[0]
            else:
                assert [r["datetime"] for r in rows] == [r["ts_ns"] for r in rig.history.rows[FUTURE]][
                    -width:
                ]


def test_instruments_are_found_by_what_is_asked(rig: ChartRig) -> None:
    rig.tick((IF, {"last_price": 5000.0, "pre_settlement": 5010.0, "upper_limit": 5500.0}))
    peer = rig.peer()
    peer.say(PEEK)
    query = 'query { multi_symbol_info(class: [FUTURE], exchange_id: ["CFFEX"], expired: false) { a } }'
    peer.say({"aid": "ins_query", "query_id": "q", "query": query})
    peer.say(PEEK)
    answer = peer.tree["symbols"]["q"]
    assert answer["query"] == query
    rows = answer["result"]["multi_symbol_info"]
    assert [r["instrument_id"] for r in rows] == ["CFFEX.IF2101", "CFFEX.IF2103"]
    assert rows[0]["price_tick"] == 0.2
    assert (rows[0]["settlement_price"], rows[0]["upper_limit"]) == (5010.0, 5500.0)
    assert rows[0]["trading_time"] == {
        "day": [["09:30:00", "11:30:00"], ["13:00:00", "15:00:00"]],
        "night": [],
    }
    assert "pre_close" not in rows[0], "what is not known is not there"
    peer.say({"aid": "ins_query", "query_id": "q", "query": ""})
    found = peer.say(PEEK)
    assert [p["symbols"] for m in found for p in m["data"]] == [{"q": None}]
    assert peer.say(PEEK) == []


def test_a_query_for_many_instruments_leaves_the_loop_to_others(
    rig: ChartRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qautlra.feed.catalogue.STEP_COUNT", 1)
    monkeypatch.setattr("qautlra.feed.dialects.STEP_COUNT", 1)
    peer = rig.peer()
    peer.say(PEEK)
    (session,) = (client.session for client in rig.feed._clients.values())
    query = 'query { multi_symbol_info(class: [FUTURE], exchange_id: ["CFFEX"]) { a } }'

    async def ask() -> None:
        for number in range(5):
            asked = {"aid": "ins_query", "query_id": f"q{number}", "query": query}
            rig.feed.receive(peer.client, json.dumps(asked))
        await asyncio.sleep(0)
        assert len(session.asking) == 4, "others have the loop before they are answered"
        while session.asking:
            await asyncio.wait(session.asking)

    rig.loop.run_until_complete(ask())
    peer.say(PEEK)
    assert len(peer.tree["symbols"]) == 4 and "at once" in str(peer.tree["notify"])
    for found in peer.tree["symbols"].values():
        rows = found["result"]["multi_symbol_info"]
        assert [row["instrument_id"] for row in rows] == ["CFFEX.IF2101", "CFFEX.IF2103"]


def test_options_come_with_what_they_are_on(rig: ChartRig) -> None:
    market = rig.market
    ends = {"CFFEX.IO2101C5200": 20210115, "CFFEX.IO2101P5000": 20210115, "SHFE.au2106C400": 20210525}
    rig.feed.catalogue = Catalogue(
        market.instruments,
        market.calendar,
        rig.tape,
        now_ns=lambda: rig.now_ns,
        ends=lambda symbol: ends.get(symbol, 0),
    )
    peer = rig.peer()
    peer.say(PEEK)
    asked = 0

    def ask(text: str) -> list[dict[str, Any]]:
        nonlocal asked
        asked += 1
        query = f"query {{ multi_symbol_info({text} }}"
        peer.say({"aid": "ins_query", "query_id": f"q{asked}", "query": query})
        peer.say(PEEK)
        rows: list[dict[str, Any]] = peer.tree["symbols"][f"q{asked}"]["result"]["multi_symbol_info"]
        return rows

    derivatives = "{ derivatives(class: [OPTION]) { edges { node { instrument_id } } } }"
    index = f'instrument_id: ["CFFEX.IO2101"]) {derivatives}'  # shown by nobody
    assert ask(index) == []
    for code in (*ends, "SHFE.au2112P300"):  # the last one's end is not known: clients sort by it
        market.instruments.intern(code)
    (row,) = ask(index)
    nodes = [edge["node"] for edge in row["derivatives"]["edges"]]
    assert [(n["instrument_id"], n["call_or_put"], n["strike_price"]) for n in nodes] == [
        ("CFFEX.IO2101C5200", "CALL", 5200.0),
        ("CFFEX.IO2101P5000", "PUT", 5000.0),
    ]
    assert all(n["last_exercise_datetime"] == n["expire_datetime"] and not n["expired"] for n in nodes)
    assert "derivatives" not in ask('instrument_id: ["SHFE.au2106"]) { instrument_id }')[0]
    (gold,) = ask(f'instrument_id: ["SHFE.au2106"]) {derivatives}')
    assert gold["derivatives"]["edges"][0]["node"]["instrument_id"] == "SHFE.au2106C400"
    with_them = ask("has_derivatives: true, class: [FUTURE]) { instrument_id }")
    assert [r["instrument_id"] for r in with_them] == ["SHFE.au2106"]
    without = ask("has_derivatives: false, class: [FUTURE]) { instrument_id }")
    assert "SHFE.au2106" not in [r["instrument_id"] for r in without]


def test_options_are_made_for_what_is_asked_only_and_counted(
    rig: ChartRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = rig.market
    gold = [f"SHFE.au2106C{strike}" for strike in range(300, 320)]
    for code in (*gold, *(f"SHFE.au2112C{strike}" for strike in range(300, 400))):
        market.instruments.intern(code)
    made = 0

    class Counted:
        """A tape that counts rows made: each asks it once, and so does what options are on."""

        def last(self, instrument: int) -> dict[str, Any] | None:
            nonlocal made
            made += 1
            return rig.tape.last(instrument)

    catalogue = Catalogue(
        market.instruments,
        market.calendar,
        Counted(),
        now_ns=lambda: rig.now_ns,
        ends=lambda symbol: 20210525 if symbol.endswith("0") else 0,
    )

    def options(row: dict[str, Any]) -> list[str]:
        return [edge["node"]["instrument_id"] for edge in row["derivatives"]["edges"]]

    (row,), said = catalogue.find(Asked(instrument_ids=("au2106",), options=True))  # not the full symbol
    assert (options(row), said, made) == (["SHFE.au2106C300", "SHFE.au2106C310"], "", 4)
    made = 0
    rows, _ = catalogue.find(Asked(has_derivatives=True, classes=("FUTURE",)))
    assert [r["instrument_id"] for r in rows] == ["SHFE.au2106", "SHFE.au2112"]
    assert made == len(SYMBOLS) + 120 + 2
    monkeypatch.setattr("qautlra.feed.catalogue.ROWS_COUNT", 3)
    (row,), said = catalogue.find(Asked(instrument_ids=("SHFE.au2106",), options=True))
    assert (len(options(row)), said) == (2, "")
    first, second = "SHFE.au2106", "SHFE.au2112"
    (row,), said = catalogue.find(Asked(instrument_ids=(first, second), options=True))
    assert (len(options(row)), row["instrument_id"]) == (2, first) and said.startswith("Only the first")
    (row,), said = catalogue.find(Asked(instrument_ids=(second,), options=True))
    assert len(options(row)) == 2 and said.startswith("Only the first")


def test_an_instrument_is_answered_under_the_name_it_was_asked_by(rig: ChartRig) -> None:
    peer = rig.peer()
    peer.say(PEEK)
    query = 'query { multi_symbol_info(instrument_id: ["au2106", "SHFE.zz9901"]) { a } }'
    peer.say({"aid": "ins_query", "query_id": "q", "query": query})
    peer.say(PEEK)
    (row,) = peer.tree["symbols"]["q"]["result"]["multi_symbol_info"]
    assert (row["instrument_id"], row["exchange_id"], row["class"]) == ("au2106", "SHFE", "FUTURE")
    assert row["trading_time"]["night"] == [["21:00:00", "26:30:00"]]
