"""Client sessions: who is answered what, in whose words, and when (SEMANTICS, client sessions)."""

from collections.abc import Callable
from typing import Any

import pytest

from qautlra._core import feed as core
from qautlra.feed.context import Flow, Style
from tests.feed.rig import AU, IF, PEEK, Rig

FIRST = {"aid": "rtn_data", "data": [{"ins_list": "", "mdhis_more_data": False}]}


def test_styles_are_the_core_s() -> None:
    names = ("DIFF", "LEGACY_RTN", "LEGACY_MARKET_DATA", "CORE")
    assert {name: getattr(core, f"STYLE_{name}") for name in names} == dict(Style.__members__)


# --- pull ---


def test_first_peek_is_answered_at_once(rig: Rig) -> None:
    peer = rig.peer()
    assert peer.say(PEEK) == [FIRST]
    assert peer.say(PEEK) == []  # held: nothing to say
    assert peer.say(PEEK) == []  # and again: one credit, not two


def test_no_greeting_and_nothing_but_aid_for_diff_clients(rig: Rig) -> None:
    peer = rig.peer()
    assert peer.read() == []
    rig.tick((IF, {}))
    found = peer.say(PEEK) + peer.aid("CFFEX.IF2101") + peer.say(PEEK) + peer.aid("NOPE.x1") + peer.say(PEEK)
    assert all("aid" in message for message in found)


def test_held_peek_is_answered_by_the_next_tick(rig: Rig) -> None:
    peer = rig.peer()
    peer.say(PEEK)
    peer.say(PEEK)
    found = peer.aid("CFFEX.IF2101")
    assert found[0] == {"aid": "rsp_subscribe_quote", "ins_list": "CFFEX.IF2101"}
    assert found[1] == {"aid": "rtn_data", "data": [{"ins_list": "CFFEX.IF2101"}]}
    assert peer.say(PEEK) == []
    rig.tick((IF, {"last_price": 5240.2, "volume": 3}))
    (message,) = peer.read()
    quote = message["data"][0]["quotes"]["CFFEX.IF2101"]
    assert quote["last_price"] == 5240.2
    assert quote["instrument_id"] == "CFFEX.IF2101"
    rig.tick((IF, {"last_price": 5240.4, "volume": 3}))
    assert peer.read() == []  # no credit
    rig.tick((IF, {"last_price": 5240.4, "volume": 5}))
    (message,) = peer.say(PEEK)
    patch = message["data"][0]["quotes"]["CFFEX.IF2101"]
    # both changes, though they came in two ticks; and nothing that did not change
    assert {k: patch[k] for k in ("last_price", "volume")} == {"last_price": 5240.4, "volume": 5}
    assert set(patch) == {"instrument_id", "datetime", "last_price", "volume"}


def test_one_frame_per_peek_holds_everything(rig: Rig) -> None:
    peer = rig.peer()
    rig.tick((IF, {}), (AU, {}))
    found = peer.say(PEEK) + peer.aid("CFFEX.IF2101,SHFE.au2106") + peer.say(PEEK)
    data = [message for message in found if message["aid"] == "rtn_data"]
    assert len(data) == 2  # one per peek
    assert set(data[1]["data"][0]["quotes"]) == {"CFFEX.IF2101", "SHFE.au2106"}


def test_reconnecting_client_subscribes_before_it_peeks(rig: Rig) -> None:
    rig.tick((IF, {"last_price": 7.0}))
    peer = rig.peer()
    assert peer.aid("CFFEX.IF2101") == [{"aid": "rsp_subscribe_quote", "ins_list": "CFFEX.IF2101"}]
    assert len(peer.say(PEEK)) == 1
    assert peer.client.session.flow is Flow.PULL
    assert peer.tree["ins_list"] == "CFFEX.IF2101"
    assert peer.tree["mdhis_more_data"] is False
    assert peer.tree["quotes"]["CFFEX.IF2101"]["last_price"] == 7.0
    rig.loop.advance(1.0)
    assert peer.read() == []


@pytest.mark.parametrize(
    "text", ["SHFE.au2106,CFFEX.IF2101", " SHFE.au2106 ,, CFFEX.IF2101,", "x\u6c89,SHFE.au2106"]
)
def test_the_list_is_echoed_byte_for_byte(rig: Rig, text: str) -> None:
    peer = rig.peer()
    peer.say(PEEK)
    found = peer.aid(text)
    assert found == [{"aid": "rsp_subscribe_quote", "ins_list": text}]
    peer.say(PEEK)
    assert peer.tree["ins_list"] == text


def test_aid_replaces_and_empty_unsubscribes_all(rig: Rig) -> None:
    peer = rig.peer(flow=Flow.PUSH)
    rig.tick((IF, {}), (AU, {}))
    peer.aid("CFFEX.IF2101,SHFE.au2106")
    peer.aid("SHFE.au2106")
    assert peer.client.session.names == ["SHFE.au2106"]
    rig.loop.advance(0.2)
    assert set(peer.quotes(peer.read())[0]) == {"SHFE.au2106"}
    assert peer.aid("")[0] == {"aid": "rsp_subscribe_quote", "ins_list": ""}
    rig.tick((AU, {"last_price": 9.0}))
    rig.loop.advance(0.2)
    assert peer.quotes(peer.read()) == []
    assert peer.client.session.names == []


def test_unsubscribe_quote_removes(rig: Rig) -> None:
    peer = rig.peer()
    peer.aid("CFFEX.IF2101,SHFE.au2106")
    peer.say({"aid": "unsubscribe_quote", "ins_list": "IF2101"})
    assert peer.client.session.names == ["SHFE.au2106"]


def test_own_spelling_and_two_spellings(rig: Rig) -> None:
    rig.tick((IF, {"last_price": 3.0}))
    peer = rig.peer()
    peer.aid("IF2101,CFFEX.IF2101,CFFEX_IF2101")
    peer.say(PEEK)
    assert set(peer.tree["quotes"]) == {"IF2101", "CFFEX.IF2101", "CFFEX_IF2101"}
    assert {q["last_price"] for q in peer.tree["quotes"].values()} == {3.0}
    assert {k: q["instrument_id"] for k, q in peer.tree["quotes"].items()} == {
        k: k for k in peer.tree["quotes"]
    }


# --- push ---


def test_an_aid_session_that_never_peeks_is_pushed_to(rig: Rig) -> None:
    rig.tick((IF, {"last_price": 3.0}))
    peer = rig.peer()
    peer.aid("CFFEX.IF2101")
    rig.loop.advance(0.05)
    assert peer.read() == []
    rig.loop.advance(0.1)
    (message,) = peer.read()
    assert message["data"][-1]["ins_list"] == "CFFEX.IF2101"
    assert peer.tree["quotes"]["CFFEX.IF2101"]["last_price"] == 3.0
    rig.tick((IF, {"last_price": 4.0}))
    rig.loop.advance(0.15)
    assert peer.quotes(peer.read())[0]["CFFEX.IF2101"]["last_price"] == 4.0


def test_push_turns_to_pull_at_the_first_peek(rig: Rig) -> None:
    rig.tick((IF, {}))
    peer = rig.peer()
    peer.aid("CFFEX.IF2101")
    rig.loop.advance(0.2)
    peer.read()
    assert len(peer.say(PEEK)) == 1
    rig.tick((IF, {"last_price": 8.0}))
    rig.loop.advance(1.0)
    assert peer.read() == []
    assert peer.quotes(peer.say(PEEK))[0]["CFFEX.IF2101"]["last_price"] == 8.0


def test_legacy_client_is_greeted_acknowledged_and_pushed_to(rig: Rig) -> None:
    rig.tick((IF, {"last_price": 3.0}))
    peer = rig.peer()
    found = peer.legacy("IF2101")
    key = peer.client.session.key
    assert found[:2] == [
        {
            "type": "system",
            "payload": {"message": f"Connected to QAMD Gateway WebSocket. Session ID: {key}"},
        },
        {"type": "system", "payload": {"message": "Subscribed to 1 instruments"}},
    ]
    rig.loop.advance(0.15)
    later = found[2:] + peer.read()
    assert [m.get("aid") or m["type"] for m in later] == ["rtn_data", "market_data"]
    full = later[1]["payload"]["data"]
    assert full["instrument_id"] == "IF2101"
    assert full["last_price"] == 3.0
    assert full["close"] is None
    assert full["datetime"].endswith("Z")
    assert len(full) == 58


def test_market_data_frames_can_be_switched_off(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(market_data_frames=False)
    rig.tick((IF, {}))
    peer = rig.peer()
    found = peer.legacy("IF2101")
    rig.loop.advance(0.15)
    assert "market_data" not in [m.get("type") for m in found + peer.read()]


def test_legacy_adds_and_removes(rig: Rig) -> None:
    peer = rig.peer()
    peer.legacy("IF2101")
    peer.legacy("au2106", "SHFE.au2112")
    assert peer.say({"type": "subscriptions"}) == [
        {"type": "subscriptions", "payload": {"instruments": ["IF2101", "au2106", "SHFE.au2112"]}}
    ]
    assert peer.say({"type": "unsubscribe", "payload": {"instruments": ["IF2101", "au2112"]}}) == [
        {"type": "system", "payload": {"message": "Unsubscribed from 2 instruments"}}
    ]
    assert peer.client.session.names == ["au2106"]
    for word in ("subscribe", "unsubscribe"):
        assert peer.say({"type": word, "payload": {"instruments": []}}) == [
            {"type": "error", "payload": {"message": "No instruments specified"}}
        ]


def test_auth_and_ping(rig: Rig) -> None:
    peer = rig.peer()
    peer.say({"type": "ping"})
    assert peer.say({"type": "ping"}) == [{"type": "pong"}]
    assert peer.say({"type": "auth", "payload": {"token": "x"}}) == [
        {"type": "system", "payload": {"message": "Authentication not implemented"}}
    ]
    assert rig.peer().say({"aid": "ping"}) == [{"aid": "pong"}]


def test_the_seed_s_python_client(rig: Rig) -> None:
    """Its first message is a typed ping, then an aid subscription, one peek, then pings: it needs push."""
    rig.tick((IF, {"last_price": 3.0}))
    peer = rig.peer()
    assert [m["type"] for m in peer.say({"type": "ping"})] == ["system", "pong"]
    found = peer.aid("IF2101")
    assert found[0] == {"type": "system", "payload": {"message": "Subscribed to 1 instruments"}}
    assert found[1] == {"aid": "rsp_subscribe_quote", "ins_list": "IF2101"}
    found = peer.say(PEEK)
    assert found[0] == {"aid": "rsp_peek_message", "ins_list": "IF2101"}
    for price in (4.0, 5.0):
        rig.tick((IF, {"last_price": price}))
        rig.loop.advance(0.15)
        peer.read()
        assert peer.tree["quotes"]["IF2101"]["last_price"] == price


def test_peek_of_a_pushed_session_lists_and_flushes(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(batch_interval_ms=10_000)
    peer = rig.peer(flow=Flow.PUSH)
    rig.tick((IF, {}))
    peer.aid("IF2101")
    rig.loop.advance(0.1)
    peer.read()
    rig.tick((IF, {"last_price": 6.0}))
    found = peer.say(PEEK)
    assert found[0] == {"aid": "rsp_peek_message", "ins_list": "IF2101"}
    assert found[1]["data"][0]["quotes"]["IF2101"]["last_price"] == 6.0


def test_flow_can_be_fixed(rig: Rig) -> None:
    rig.tick((IF, {}))
    pull = rig.peer(flow=Flow.PULL)
    pull.legacy("IF2101")
    rig.loop.advance(0.5)
    assert pull.quotes(pull.read()) == []
    assert len(pull.quotes(pull.say(PEEK))) == 1
    push = rig.peer(flow=Flow.PUSH)
    assert [m["aid"] for m in push.say(PEEK)] == ["rsp_peek_message", "rtn_data"]
    found = push.aid("IF2101")
    rig.loop.advance(0.15)
    assert len(push.quotes(found + push.read())) == 1


def test_core_dialect(rig: Rig) -> None:
    rig.tick((IF, {"last_price": 3.0, "pre_settlement": 2.5}))
    peer = rig.peer()
    found = peer.say({"op": "subscribe", "symbols": ["IF2101"]})
    assert found[0] == {"data": "Subscribed", "topic": "subscribe", "code": 200}
    rig.loop.advance(0.15)
    (message,) = found[1:] + peer.read()
    assert (message["topic"], message["code"]) == ("marketdata", 200)
    assert message["data"]["instrument_id"] == "IF2101"
    assert message["data"]["pre_settlement_price"] == 2.5
    assert peer.say({"op": "unsubscribe", "symbols": ["IF2101"]}) == [
        {"data": "Unsubscribed", "topic": "unsubscribe", "code": 200}
    ]
    assert peer.say({"op": "subscribe", "symbols": []}) == [
        {"data": "No symbols specified", "topic": "error", "code": 400}
    ]


def test_qo_dialect(rig: Rig) -> None:
    peer = rig.peer()
    welcome, response = peer.say({"action": "subscribe", "instruments": ["IF2101", "au2106"]})
    assert welcome["type"] == "welcome"
    assert welcome["session_id"] == peer.client.session.key
    assert response == {"type": "subscribe_response", "status": "success", "subscribed_count": 2}
    assert peer.say({"action": "unsubscribe", "instruments": ["IF2101"]}) == [
        {"type": "unsubscribe_response", "status": "success", "subscribed_count": 1}
    ]
    assert peer.say({"action": "list_instruments"})[0]["count"] == 4
    assert peer.say({"action": "search_instruments", "pattern": "IF"})[0]["instruments"] == [
        "CFFEX.IF2101",
        "CFFEX.IF2103",
    ]
    assert peer.aid("IF2101")[1] == {"aid": "subscribe_quote", "status": "ok"}
    error = peer.say({"action": "fly"})[0]
    assert (error["type"], error["message"]) == ("error", "Unknown action: fly")


def test_pull_turns_to_push_with_the_first_older_message(rig: Rig) -> None:
    peer = rig.peer()
    peer.say(PEEK)
    peer.say(PEEK)
    peer.aid("IF2101")
    peer.legacy("au2106")
    rig.tick((IF, {}), (AU, {}))
    rig.loop.advance(0.2)
    peer.read()
    assert set(peer.tree["quotes"]) == {"IF2101", "au2106"}


# --- values that vanish ---


def test_a_vanished_value_in_both_forms(rig: Rig) -> None:
    diff, legacy = rig.peer(), rig.peer()
    diff.say(PEEK)
    diff.aid("IF2101")
    legacy.legacy("IF2101")
    rig.tick((IF, {"ask_price1": 5.0, "ask_volume1": 2}))
    diff.say(PEEK)
    rig.loop.advance(0.15)
    legacy.read()
    rig.tick((IF, {}))  # no ask any more
    rig.loop.advance(0.15)
    diff.say(PEEK)
    quote = diff.tree["quotes"]["IF2101"]
    assert (quote["ask_price1"], quote["ask_volume1"]) == ("-", 0)
    patch = legacy.quotes(legacy.read())[-1]["IF2101"]
    assert patch["ask_price1"] is None


def test_full_snapshots_when_increments_are_off(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(incremental=False)
    peer = rig.peer()
    peer.say(PEEK)
    peer.aid("IF2101")
    rig.tick((IF, {"volume": 1}))
    peer.say(PEEK)
    rig.tick((IF, {"volume": 2}))
    (quotes,) = peer.quotes(peer.say(PEEK))
    assert quotes["IF2101"]["last_price"] == 1.0


def test_stamp(rig: Rig) -> None:
    peer = rig.peer(stamp=True)
    peer.say(PEEK)
    peer.aid("IF2101")
    rig.tick((IF, {}))
    assert any("_ts" in message for message in peer.say(PEEK) + peer.read())


# --- unknown, not yet, too many ---


def test_unknown_instruments_are_told_in_each_form(rig: Rig) -> None:
    rig.tick((IF, {}))
    diff = rig.peer()
    diff.say(PEEK)
    found = diff.aid("NOPE.xx99,IF2101") + diff.say(PEEK)
    assert all(m["aid"] in ("rsp_subscribe_quote", "rtn_data") for m in found)
    (notice,) = diff.tree["notify"].values()
    assert notice["level"] == "WARNING"
    assert "NOPE.xx99" in notice["content"]
    assert set(notice) == {"type", "level", "code", "content"}
    assert set(diff.tree["quotes"]) == {"IF2101"}
    legacy = rig.peer()
    found = legacy.legacy("NOPE.xx99", "IF2101", "no such")
    assert found[1] == {
        "type": "error",
        "payload": {"message": "Unknown instruments: NOPE.xx99, no such"},
    }
    assert found[2]["payload"]["message"] == "Subscribed to 1 instruments"
    core = rig.peer()
    assert core.say({"op": "subscribe", "symbols": ["NOPE.xx99"]}) == [
        {"data": "Unknown instruments: NOPE.xx99", "topic": "error", "code": 400}
    ]
    qo = rig.peer()
    assert qo.say({"action": "subscribe", "instruments": ["NOPE.xx99"]})[1]["message"] == (
        "Unknown instruments: NOPE.xx99"
    )


def test_instruments_not_shown_yet_start_when_they_are(rig: Rig) -> None:
    pull, push = rig.peer(), rig.peer()
    pull.say(PEEK)
    count = len(rig.market.instruments)
    pull.aid("IF2106")
    pull.say(PEEK)
    (notice,) = pull.tree["notify"].values()
    assert notice["level"] == "INFO"
    push.legacy("CFFEX.IF2106")
    assert len(rig.market.instruments) == count  # clients do not fill the table
    assert pull.say(PEEK) == []
    rig.tick((AU, {}))
    assert pull.read() == []
    rig.tick(("CFFEX.IF2106", {"last_price": 12.0}))
    assert pull.quotes(pull.read())[0]["IF2106"]["last_price"] == 12.0
    rig.loop.advance(0.15)
    assert push.quotes(push.read())[0]["CFFEX.IF2106"]["last_price"] == 12.0
    assert rig.feed.health()["instruments_waiting"] == 0


def test_at_most_so_many_instruments(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(max_symbols=2)
    diff = rig.peer()
    diff.say(PEEK)
    diff.aid("IF2101,au2106")
    assert len(diff.client.session.names) == 2
    diff.aid("IF2101,au2106,au2112")
    diff.say(PEEK)
    assert len(diff.client.session.names) == 2
    assert any("At most 2" in n["content"] for n in diff.tree["notify"].values())
    legacy = rig.peer()
    legacy.legacy("IF2101")
    found = legacy.legacy("IF2101", "au2106", "au2112")
    assert "At most 2" in found[0]["payload"]["message"]
    assert found[1]["payload"]["message"] == "Subscribed to 2 instruments"
    assert legacy.client.session.names == ["IF2101", "au2106"]


# --- bad input ---


@pytest.mark.parametrize(
    ("first", "answer"),
    [
        (None, {"type": "error"}),
        ({"type": "ping"}, {"type": "error"}),
        ({"op": "subscribe", "symbols": ["IF2101"]}, {"topic": "error", "code": 400}),
        ({"action": "list_instruments"}, {"type": "error"}),
    ],
)
def test_broken_json_is_answered_in_the_session_s_words(
    rig: Rig, first: dict[str, Any] | None, answer: dict[str, Any]
) -> None:
    peer = rig.peer()
    if first:
        peer.say(first)
    (message,) = peer.say("{broken")
    assert message.items() >= answer.items()
    assert "Invalid message format" in str(message)
    assert peer.sink.closed is None


def test_broken_json_of_a_diff_session_is_a_notice(rig: Rig) -> None:
    peer = rig.peer()
    peer.say(PEEK)
    assert peer.say("{broken") == []  # no credit: it waits
    (message,) = peer.say(PEEK)
    (notice,) = message["data"][0]["notify"].values()
    assert notice["level"] == "ERROR"
    assert peer.say(PEEK) == []
    (message,) = peer.say({"aid": "req_login"})  # a held credit
    assert "Unknown message type" in str(message)


def test_queries_charts_and_status_do_not_hang_a_client(rig: Rig) -> None:
    peer = rig.peer()
    peer.say(PEEK)
    peer.say({"aid": "ins_query", "query_id": "q", "query": "query {a}", "variables": {}})
    peer.say(PEEK)
    assert peer.tree["symbols"]["q"]["query"] == "query {a}"
    peer.say({"aid": "ins_query", "query_id": "q", "query": ""})
    peer.say(PEEK)
    assert "q" not in peer.tree["symbols"]
    assert peer.say(PEEK) == []
    chart = {
        "aid": "set_chart",
        "chart_id": "c",
        "ins_list": "IF2101",
        "duration": 60_000_000_000,
        "view_width": 9,
    }
    peer.say(chart)
    assert peer.tree["charts"]["c"]["state"] == chart
    assert peer.tree["charts"]["c"]["ready"] is True
    peer.say({"aid": "subscribe_trading_status", "ins_list": "IF2101,NOPE.x"})
    peer.say(PEEK)
    assert peer.tree["trading_status"]["IF2101"] == {"symbol": "IF2101", "trade_status": "CONTINOUS"}


def test_a_number_beyond_any_double_in_a_chart_harms_nobody(rig: Rig) -> None:
    peer = rig.peer()
    chart = '{"aid":"set_chart","chart_id":"c","ins_list":"no.such","duration":0,"view_width":9,"x":1e999}'
    found = peer.say(chart) + peer.say(PEEK)
    assert any(patch.get("charts") for message in found for patch in message.get("data", ()))
