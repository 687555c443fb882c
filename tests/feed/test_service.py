"""The feed service: batches, thresholds, slow and silent and noisy clients, bounds, life."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from qautlra._core.feed import Hub
from qautlra.base.errors import ConfigError, LimitError
from qautlra.feed.client import FLOOD_CLOSE_S, MESSAGE_BURST, SHORT_MESSAGE_COST
from qautlra.feed.context import Flow
from tests.feed.rig import AU, AU12, IF, IF03, PEEK, Rig

MakeRig = Callable[..., Rig]
MANY = [
    f"{product}{year}{month:02}"
    for product in ("CFFEX.IF", "SHFE.au")
    for year in range(22, 80)
    for month in range(1, 13)
]
ALL = "CFFEX.IF2101,SHFE.au2106,SHFE.au2112,CFFEX.IF2103"


def test_push_keeps_to_the_interval(rig: Rig) -> None:
    peer = rig.peer(flow=Flow.PUSH)
    peer.aid("IF2101")
    rig.loop.advance(0.2)
    peer.read()
    sent = []
    for n in range(100):  # a tick every 10 ms for a second
        rig.tick((IF, {"volume": n}))
        rig.loop.advance(0.01, step=0.01)
        sent += peer.quotes(peer.read())
    assert 9 <= len(sent) <= 11
    rig.loop.advance(0.2)
    peer.read()
    assert peer.tree["quotes"]["IF2101"]["volume"] == 99


def test_the_interval_is_of_the_market_s_time_when_that_runs_faster(rig: Rig) -> None:
    peer = rig.peer(flow=Flow.PUSH)
    peer.aid("IF2101")
    rig.tick((IF, {}))
    rig.loop.advance(0.2)
    peer.read()
    sent = []
    for n in range(50):  # 50 ms of market time in 1 ms of ours
        rig.market_now_ns += 50_000_000
        rig.tick((IF, {"volume": n}))
        rig.loop.advance(0.001, step=0.001)
        sent += peer.quotes(peer.read())
    assert 24 <= len(sent) <= 26


def test_served_clients_are_those_the_next_change_reaches(rig: Rig) -> None:
    def served() -> int:
        async def count() -> int:
            return rig.feed.served_count()

        return rig.loop.run_until_complete(count())

    idle, pull, push = rig.peer(), rig.peer(), rig.peer()
    idle.say(PEEK)
    assert served() == 0
    pull.say(PEEK)
    pull.aid("IF2101")
    assert served() == 1
    push.aid("au2106")
    assert served() == 1
    rig.loop.advance(0.15)
    assert served() == 2


def test_an_idle_market_s_first_tick_does_not_wait(rig: Rig) -> None:
    peer = rig.peer(flow=Flow.PUSH)
    peer.aid("IF2101")
    rig.loop.advance(1.0)
    peer.read()
    rig.tick((IF, {"volume": 7}))
    assert peer.quotes(peer.read())[0]["IF2101"]["volume"] == 7


def test_no_timer_runs_while_nothing_happens(rig: Rig) -> None:
    peer = rig.peer()
    peer.aid("IF2101")
    rig.tick((IF, {}))
    rig.loop.advance(1.0)
    assert rig.feed._delivery._timer is None


def test_threshold_flushes_before_the_interval(make_rig: MakeRig) -> None:
    rig = make_rig(batch_interval_ms=60_000, batch_size_threshold=3)
    peer = rig.peer(flow=Flow.PUSH)
    peer.aid(ALL)
    rig.tick((IF, {}), (AU, {}), (AU12, {}), (IF03, {}))
    peer.read()
    rig.tick((IF, {"volume": 1}), (AU, {"volume": 1}))
    assert peer.read() == []
    rig.tick((AU12, {"volume": 1}))
    assert len(peer.quotes(peer.read())[0]) == 3


def test_a_slow_client_is_not_encoded_for_and_catches_up(rig: Rig) -> None:
    slow, quick = rig.peer(flow=Flow.PUSH), rig.peer(flow=Flow.PUSH)
    for peer in (slow, quick):
        peer.aid("IF2101")
    rig.tick((IF, {}))
    rig.loop.advance(0.2)
    slow.read()
    slow.sink.backlog = 2 << 20
    rig.tick((IF, {"volume": 1}))
    rig.loop.advance(0.2)
    slow.read()  # what found the buffer full
    assert slow.sink.held
    for n in range(2, 20):
        rig.tick((IF, {"volume": n, "last_price": 1.0 + n}))
        rig.loop.advance(0.2)
        assert slow.read() == []
    assert quick.read()
    slow.sink.backlog = 0
    rig.loop.advance(1.2)
    (quotes,) = slow.quotes(slow.read())
    assert quotes["IF2101"]["volume"] == 19  # one patch, the latest
    assert not slow.sink.held
    assert slow.sink.closed is None


def test_a_client_slow_too_long_is_closed_with_1013(rig: Rig) -> None:
    peer = rig.peer(flow=Flow.PUSH)
    peer.sink.backlog = 2 << 20
    peer.aid("IF2101")
    rig.loop.advance(9.0)
    assert peer.sink.closed is None
    rig.loop.advance(2.5)
    assert peer.sink.closed == (1013, "too slow")


def test_pings_and_silence(rig: Rig) -> None:
    peer = rig.peer()
    rig.loop.advance(11.5)
    assert peer.sink.pings == 1
    assert peer.sink.closed is None

    async def pong() -> None:
        rig.feed.heard(peer.client)

    rig.loop.run_until_complete(pong())
    rig.loop.advance(29.0, step=0.5)
    assert peer.sink.closed is None
    rig.loop.advance(2.5)
    assert peer.sink.closed == (1011, "nothing heard")


def test_a_flood_is_refused_then_closed_with_1008(rig: Rig) -> None:
    peer, other = rig.peer(), rig.peer()
    texts: list[Any] = []
    allowed = int(MESSAGE_BURST / SHORT_MESSAGE_COST)
    for _ in range(allowed + 100):
        texts += peer.say({"type": "ping"})
    assert texts.count({"type": "pong"}) <= allowed + 1
    assert [t for t in texts if t["type"] == "error"] == [
        {"type": "error", "payload": {"message": "Too many messages: slow down or be disconnected"}}
    ]
    assert peer.sink.closed is None
    while peer.sink.closed is None and rig.loop.now < 1100:
        for _ in range(2000):
            if peer.sink.closed is None:
                peer.say({"type": "ping"})
        rig.loop.advance(0.1)
    assert peer.sink.closed == (1008, "too many messages")
    assert rig.loop.now - 1000 >= FLOOD_CLOSE_S
    assert other.say({"aid": "ping"}) == [{"aid": "pong"}]


def test_large_answers_are_charged(rig: Rig) -> None:
    for symbol in MANY:
        rig.market.instruments.intern(symbol)
    peer = rig.peer()
    count = 0
    while "instrument_list" in str(peer.say({"action": "list_instruments"})):
        count += 1
        assert count < 1000
    assert count < 500


def test_a_full_subscription_table_is_told_and_keeps_the_former_set(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.feed.hub = Hub(rig.tape, max_subscriptions=2)
    diff, legacy = rig.peer(), rig.peer()
    diff.say(PEEK)
    diff.aid("IF2101,au2106")
    assert legacy.legacy("IF2103")[1]["payload"]["message"] == "The server's subscription table is full"
    diff.aid("IF2101,au2106,au2112")
    diff.say(PEEK)
    assert diff.client.session.names == ["IF2101", "au2106"]
    assert any("table is full" in notice["content"] for notice in diff.tree["notify"].values())
    assert {diff.sink.closed, legacy.sink.closed} == {None}


def test_max_clients(make_rig: MakeRig) -> None:
    rig = make_rig(max_clients=2)
    first, _ = rig.peer(), rig.peer()
    with pytest.raises(LimitError) as error:
        rig.peer()
    assert error.value.status == 503
    first.leave()
    rig.peer()
    assert rig.feed.clients_count == 2


def test_a_client_that_left_leaves_nothing_behind(rig: Rig) -> None:
    peer = rig.peer()
    peer.say(PEEK)
    peer.aid("IF2101,IF2106")
    rig.loop.turn()
    assert rig.demands[-1] == {"CFFEX.IF2101", "CFFEX.IF2106"}
    peer.leave()
    peer.leave()
    rig.loop.turn()
    assert rig.demands[-1] == frozenset()
    assert rig.feed.health()["instruments_waiting"] == 0
    assert rig.hub.clients == 0
    rig.tick((IF, {}), ("CFFEX.IF2106", {}))


def test_binary_is_refused_to_its_sender(rig: Rig) -> None:
    peer = rig.peer()

    async def send() -> None:
        rig.feed.receive_binary(peer.client)

    rig.loop.run_until_complete(send())
    assert peer.read() == [{"type": "error", "payload": {"message": "Binary messages are not supported"}}]


def test_stop_closes_with_1012_and_start_works_again(rig: Rig) -> None:
    peer = rig.peer()

    async def stop() -> None:
        task = asyncio.ensure_future(rig.feed.stop(5.0))
        await asyncio.sleep(0)
        assert peer.sink.closed == (1012, "service restart")
        rig.feed.detach(peer.client)
        await task

    rig.loop.run_until_complete(stop())
    with pytest.raises(LimitError):
        rig.peer()
    rig.loop.run_until_complete(rig.feed.start())
    assert len(rig.peer().say(PEEK)) == 1


def test_default_instruments_are_pinned(make_rig: MakeRig) -> None:
    rig = make_rig(default_instruments=["au2106", "IF2101"])
    rig.loop.turn()
    assert rig.demands[-1] == {"SHFE.au2106", "CFFEX.IF2101"}
    with pytest.raises(ConfigError, match=r"feed\.default_instruments"):
        make_rig(default_instruments=["NOPE.x"])


def test_a_set_larger_than_a_frame_arrives_whole(rig: Rig) -> None:
    whole = dict.fromkeys((f"{side}_price{n}" for side in ("bid", "ask") for n in range(1, 11)), 5280.4)
    rig.tick(*((symbol, whole | {"volume": 1}) for symbol in MANY))
    peer = rig.peer(flow=Flow.PUSH)
    sizes = []
    peer.aid(",".join(MANY))
    for _ in range(10):
        rig.loop.advance(0.1)
        sizes.append(len(peer.sink.data))
        peer.read()
    assert len(peer.tree["quotes"]) == len(MANY)
    assert max(sizes) < 2 * 512 * 1024


def test_trading_status_changes_reach_the_client(rig: Rig) -> None:
    states = {"CFFEX.IF2101": "NOTRADING"}
    rig.feed.directory.trading_status = lambda symbol: states[symbol]  # type: ignore[method-assign]
    peer = rig.peer()
    peer.say(PEEK)
    peer.say({"aid": "subscribe_trading_status", "ins_list": "IF2101"})
    peer.say(PEEK)
    assert peer.tree["trading_status"]["IF2101"]["trade_status"] == "NOTRADING"
    assert peer.say(PEEK) == []
    states["CFFEX.IF2101"] = "CONTINOUS"
    rig.loop.advance(1.5)
    peer.read()
    assert peer.tree["trading_status"]["IF2101"]["trade_status"] == "CONTINOUS"


def test_every_message_in_any_order_leaves_the_service_sane(rig: Rig) -> None:
    """A walk through all messages: nothing raises, frames stay well formed, the client's tree stays right."""
    import random

    draw = random.Random(7)
    said: list[dict[str, Any]] = [
        {"aid": "peek_message"},
        {"aid": "subscribe_quote", "ins_list": "IF2101,SHFE.au2106"},
        {"aid": "subscribe_quote", "ins_list": ""},
        {"aid": "subscribe_quote", "ins_list": ALL},
        {"aid": "unsubscribe_quote", "ins_list": "IF2101"},
        {"type": "subscribe", "payload": {"instruments": ["IF2101", "x x x"]}},
        {"type": "unsubscribe", "payload": {"instruments": ["au2106"]}},
        {"type": "subscriptions"},
        {"op": "subscribe", "symbols": ["au2112"]},
        {"action": "subscribe", "instruments": ["IF2103"]},
        {"action": "unsubscribe", "instruments": ["IF2103"]},
        {"aid": "ins_query", "query_id": "q", "query": "x"},
        {"aid": "set_chart", "chart_id": "c", "ins_list": "IF2101", "duration": 0},
        {"aid": "nonsense"},
    ]
    peers = [rig.peer() for _ in range(4)]
    for _ in range(600):
        peer = draw.choice(peers)
        peer.say(json.dumps(draw.choice(said)))
        if draw.random() < 0.5:
            rig.tick((draw.randrange(4), {"volume": draw.randrange(100)}))
        rig.loop.advance(draw.choice([0.0, 0.01, 0.2]), step=0.1)
    for peer in peers:
        peer.say({"type": "ping"})
        peer.aid(ALL)
    rig.loop.advance(1.0)
    for peer in peers:
        peer.read()
        assert peer.sink.closed is None
        for symbol, instrument in zip(ALL.split(","), range(4), strict=True):
            last = rig.tape.last(instrument)
            if last is not None:
                assert peer.tree["quotes"][symbol]["volume"] == last["volume"]


def test_patterns_pin_what_fits_and_tell_of_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    class Log:
        @staticmethod
        def warning(event: str, **words: Any) -> None:
            told.append((event, words))

    monkeypatch.setattr("qautlra.feed.subscriptions.PINNED_SYMBOLS_COUNT", 3)
    monkeypatch.setattr("qautlra.feed.service._log", Log)
    rig = Rig(auto_subscribe_patterns=["SHFE.*"], default_instruments=["IF2101"])
    try:
        rig.market.instruments.intern("SHFE.au2201")
        rig.loop.advance(1.5)
        assert rig.feed.book.wanted == {"CFFEX.IF2101", "SHFE.au2106", "SHFE.au2112"}
        assert told == [("patterns_too_wide", {"matched": 3, "pinned": 2})]
    finally:
        rig.close()
