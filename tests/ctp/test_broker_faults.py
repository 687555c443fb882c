"""Our CTP broker when its front, the library or the disk fails: nothing is guessed, nothing is forgotten."""

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qautlra.base import metrics
from qautlra.base.errors import StorageError, UnavailableError
from qautlra.link.ctp_session import NO_ANSWER
from qautlra.model import codes
from qautlra.model.order import Answer, CancelOrder, Change, InsertOrder
from qautlra.net.ctp_front import Connection
from qautlra.net.ctp_trader import TraderSession
from qautlra.trade.brokers import ctp, ctp_outbox, ctp_round
from qautlra.trade.brokers.base import UNKNOWN
from qautlra.trade.brokers.ctp import CtpBroker
from qautlra.wire import ctp_broker, ctp_codes
from qautlra.wire.ctp_frames import Frame, Kind
from tests.ctp.test_broker import COPPER, gateway, order, play, release, shown, until
from tests.ctp.test_trader import Venue, trader

__all__ = ["release"]
SYNC = ctp.SYNC


class Front:
    """How the simulated front answers queries: as scripted by kind, then as it should."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.script: dict[int, list[str]] = {}
        self.asked: list[int] = []
        front, right = self, TraderSession._query

        def answer(session: TraderSession, got: Frame) -> None:
            front.asked.append(got.kind)
            waiting = front.script.get(got.kind)
            how = waiting.pop(0) if waiting else ""
            if how == "refuse":
                session._fail(got.request, ctp_codes.NOT_READY)
            elif how == "fail":
                session._answer(got, b"", ctp_codes.BUSY)
            elif how == "nothing":
                session._answer(got, b"")
            elif how == "stray":
                session._fail(got.request + 100, ctp_codes.NOT_READY)
                right(session, got)
            elif how != "silence":
                right(session, got)

        monkeypatch.setattr(TraderSession, "_query", answer)


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch) -> Front:
    monkeypatch.setattr(ctp_round, "PAUSE_S", 0.1)
    return Front(monkeypatch)


@contextmanager
def library(broker: CtpBroker, *refused: Kind, code: int = -1) -> Iterator[None]:
    """The library takes no request of these kinds."""
    session = broker._session
    right = session.request
    session.request = lambda kind, record: code if kind in refused else right(kind, record)  # type: ignore[method-assign]
    try:
        yield
    finally:
        session.request = right  # type: ignore[method-assign]


@contextmanager
def full_disk(path: Path, room_bytes: int) -> Iterator[None]:
    """No file gets longer than this one is now, and so many bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.slow
def test_a_cut_anywhere_in_a_login_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, cut_at = [0], [0]
    right = Connection._put

    def put(connection: Connection, frames: bytes) -> None:
        sent[0] += 1
        right(connection, frames)
        if sent[0] == cut_at[0]:
            connection.cut("test")

    monkeypatch.setattr(Connection, "_put", put)

    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        for name, lots, price in (("full", 1, 75010), ("rest", 1, 74000), ("many", 400, 75010)):
            await shown(broker, broker.insert(order(name, "BUY", "OPEN", lots, price)))
        await until(lambda: broker.trades("one"))
        await broker.stop(1.0)
        for cut_at[0] in range(2, 36, 4):  # welcome, login, the flow told again, each query's rows
            sent[0] = 0
            again = gateway(venue, tmp_path)
            await again.start()
            await until(lambda broker=again: broker.is_synced)
            names = [(one.order_id, one.code, one.is_alive) for one in again.orders("one")]
            assert names == [("full", 0, False), ("rest", 0, True), ("many", codes.FUNDS, False)], cut_at
            assert len(again.trades("one")) == 1 and not again.differences and not again.book.unknown_count
            await again.stop(1.0)
        assert sent[0] < cut_at[0]  # the last place lies behind all of it

    play(tmp_path, story)


# --- queries ---


@pytest.mark.parametrize("how", ["refuse", "fail"])
@pytest.mark.parametrize("kind", SYNC)
def test_the_account_is_synced_only_once_every_query_is_answered(
    tmp_path: Path, front: Front, kind: Kind, how: str
) -> None:
    front.script[kind] = [how, how]

    async def story(_venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.health().get("reason", "").startswith(kind.name.lower()))
        assert not broker.is_synced
        assert broker.insert(order("early", "BUY", "OPEN", 1, 75010)).code == codes.UNAVAILABLE
        await until(lambda: broker.is_synced)
        assert front.asked[: 3 * len(SYNC)] == list(SYNC) * 3  # all of them, each time
        assert "reason" not in broker.health()
        await shown(broker, broker.insert(order("now", "BUY", "OPEN", 1, 75010)))

    play(tmp_path, story)


def test_an_account_without_a_row_is_no_answer(tmp_path: Path, front: Front) -> None:
    front.script[Kind.QRY_ACCOUNT] = ["nothing"]

    async def story(_venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.health().get("reason") == "qry_account: an answer without a row")
        assert not broker.is_synced
        await until(lambda: broker.is_synced)
        assert broker.funds("one")["balance"] == 1_000_000.0

    play(tmp_path, story)


def test_a_failed_round_is_not_asked_again_at_once(tmp_path: Path, front: Front) -> None:
    front.script[Kind.QRY_ORDER] = ["refuse"] * 2
    times: list[float] = []

    async def story(_venue: Venue, broker: CtpBroker) -> None:
        ask = broker._begin
        broker._begin = lambda kinds: (times.append(asyncio.get_running_loop().time()), ask(kinds))  # type: ignore[method-assign,func-returns-value,assignment]
        await until(lambda: broker.is_synced)
        assert len(times) >= 3
        assert min(b - a for a, b in pairwise(times)) >= ctp_round.PAUSE_S

    play(tmp_path, story)


def test_a_query_that_is_never_answered_fails_its_round(
    tmp_path: Path, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.script[Kind.QRY_TRADE] = ["silence"]

    async def story(_venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: Kind.QRY_TRADE in front.asked)
        await until(lambda: broker._session._asked is not None)
        broker._session._answer_due_s = 0.0  # what is otherwise a matter of seconds
        await until(lambda: broker.health().get("reason") == "qry_trade: no answer")
        await until(lambda: broker.is_synced)

    play(tmp_path, story)


def test_figures_that_fail_are_asked_again_and_the_old_ones_stay(tmp_path: Path, front: Front) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        front.script[Kind.QRY_POSITION] = ["refuse"]
        await shown(broker, broker.insert(order("a", "BUY", "OPEN", 2, 75010)))
        await until(lambda: broker.standing.shadow.figures.get("margin", (0.0, 0.0))[1] > 0)
        assert not front.script[Kind.QRY_POSITION]
        assert broker.is_synced and not broker.differences
        assert broker.funds("one")["margin"] == pytest.approx(venue.rig.trade.funds("one")["margin"])

    play(tmp_path, story)


def test_rates_take_no_error_that_is_another_requests(tmp_path: Path, front: Front) -> None:
    front.script[Kind.QRY_MARGIN_RATE] = ["stray"]

    async def story(_venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        await shown(broker, broker.insert(order("a", "BUY", "OPEN", 2, 75010)))
        await until(lambda: broker.standing.shadow.figures.get("commission", (0.0, 0.0))[0] > 0)
        assert set(broker.standing.shadow.rates[COPPER]) >= {"margin", "margin_short", "open", "close"}
        assert front.asked.count(Kind.QRY_MARGIN_RATE) == 1 and not broker.differences

    play(tmp_path, story)


@pytest.mark.parametrize("kind", [Kind.QRY_MARGIN_RATE, Kind.QRY_COMMISSION_RATE])
def test_rates_the_front_had_no_time_for_are_asked_again(tmp_path: Path, front: Front, kind: Kind) -> None:
    front.script[kind] = ["refuse", "fail"]

    async def story(_venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        told: list[Change] = []
        broker.subscribe("one", lambda change, _: told.append(change))
        await shown(broker, broker.insert(order("a", "BUY", "OPEN", 2, 75010)))
        await until(lambda: broker.trades("one"))
        assert broker.trades("one")[0].commission == 0.0  # it is told all the same
        await until(lambda: COPPER in broker.standing.shadow.rates)
        assert set(broker.standing.shadow.rates[COPPER]) >= {"margin", "margin_short", "open", "close"}
        assert not front.script[kind]
        await until(lambda: broker.standing.shadow.figures.get("commission", (0.0, 0.0))[0] > 0)
        assert broker.trades("one")[0].commission > 0 and not broker.differences
        assert [(c.trades, c.reckoned) for c in told if c.trades or c.reckoned] == [((0,), ()), ((), (0,))]

    play(tmp_path, story)


def test_what_comes_under_the_number_of_a_query_given_up_is_nobodys(tmp_path: Path, front: Front) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        await until(lambda: not broker._session.queries_waiting)
        said: list[int] = []
        broker._on_frame = lambda got: said.append(got.kind)  # type: ignore[method-assign]
        session = broker._session
        session._on_frame = broker._on_frame
        session._take((Kind.QRY_ACCOUNT, 7, True, True, 0, b"", b""))
        session._take((Kind.ERROR, 7, True, True, 90, b"", b""))
        assert said == [Kind.ERROR]
        session._asked = (Kind.QRY_ORDER, 9)
        session._take((Kind.QRY_ORDER, 8, True, True, 0, b"", b""))
        assert said == [Kind.ERROR] and session._asked is not None
        session._take((Kind.ERROR, 8, True, True, 90, b"", b""))
        assert said.pop() == Kind.ERROR and session._asked is not None
        session._take((Kind.ERROR, 9, True, True, 90, b"", b""))
        assert said == [Kind.ERROR, Kind.QRY_ORDER] and session._asked is None
        assert NO_ANSWER not in ctp_codes.known()

    play(tmp_path, story)


def test_an_account_that_never_rests_is_synced_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctp, "QUIET_S", 3600.0)  # somebody else's orders come without a pause

    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.state == "confirmed")
        venue.rig.send("theirs", COPPER, "BUY", "OPEN", 1, 74000, account="one")
        await until(lambda: broker.orders("one"))
        assert not broker.is_synced
        monkeypatch.setattr(ctp, "QUIET_MOST_S", 0.0)
        await until(lambda: broker.is_synced)
        assert not broker.differences

    play(tmp_path, story)


# --- orders and cancels that do not get out ---


def test_an_order_the_library_does_not_take_is_refused_and_stays_so(tmp_path: Path) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        told: list[tuple[int, ...]] = []
        broker.subscribe("one", lambda change, _: told.append(change.orders))
        with library(broker, Kind.INSERT):
            answer = broker.insert(order("a", "BUY", "OPEN", 1, 75010))
        assert answer.code == codes.UNAVAILABLE
        found = broker.find("one", "a")
        assert found is not None and not found.is_alive and found.code == codes.UNAVAILABLE
        assert (found.number,) in told
        broker._compare_s = 0.0
        await until(lambda: broker.standing.shadow.figures)  # nothing is on its way
        await broker.stop(1.0)
        again = gateway(venue, tmp_path)
        await again.start()
        await until(lambda: again.is_synced)
        kept = again.find("one", "a")
        assert kept is not None and kept.code == codes.UNAVAILABLE and not kept.is_alive
        assert not again.book.unknown_count and not again.differences
        await again.stop(1.0)

    play(tmp_path, story)


def test_a_held_order_the_library_refuses_in_the_end_is_told_and_durable(tmp_path: Path) -> None:
    async def story(_venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        with library(broker, Kind.INSERT, code=-2):
            answer = broker.insert(order("a", "BUY", "OPEN", 1, 75010))
            assert answer.ok and broker.health()["held_orders"] == 1
        with library(broker, Kind.INSERT):
            await broker.durable(answer.lsn)
        found = broker.find("one", "a")
        assert found is not None and (found.code, found.is_alive) == (codes.UNAVAILABLE, False)
        broker._compare_s = 0.0
        await until(lambda: broker.standing.shadow.figures)

    play(tmp_path, story)


def test_orders_that_are_held_when_the_link_goes_are_refused_for_good(tmp_path: Path) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        with library(broker, Kind.INSERT, code=-3):
            answer = broker.insert(order("a", "BUY", "OPEN", 1, 75010))
            assert answer.ok
            for connection in list(venue.service.connections):
                connection.cut("test")
            await until(lambda: not broker.is_synced)
        await broker.durable(answer.lsn)
        await until(lambda: broker.is_synced)
        found = broker.find("one", "a")
        assert found is not None and found.code == codes.UNAVAILABLE
        await broker.stop(1.0)
        again = gateway(venue, tmp_path)
        await again.start()
        await until(lambda: again.is_synced)
        kept = again.find("one", "a")
        assert kept is not None and kept.code == codes.UNAVAILABLE and not again.book.unknown_count
        assert venue.rig.trade.orders("one") == []
        await again.stop(1.0)

    play(tmp_path, story)


def test_a_cancel_that_cannot_be_sent_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctp_outbox, "HELD_COUNT", 3)

    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        await shown(broker, broker.insert(order("rest", "BUY", "OPEN", 1, 74000)))
        cancel = CancelOrder(account_id="one", order_id="rest")
        with library(broker, Kind.ACTION):
            assert broker.cancel(cancel).code == codes.UNAVAILABLE
        with library(broker, Kind.ACTION, Kind.INSERT, code=-3):
            assert [broker.cancel(cancel).code for _ in range(4)] == [0, 0, 0, codes.UNAVAILABLE]
            assert broker.insert(order("b", "BUY", "OPEN", 1, 74000)).code == codes.UNAVAILABLE
            assert broker.find("one", "b") is None and len(broker._outbox) == 3
            assert (
                b'queue_fill{queue="trade_ctp_held",unit="count",when_full="refuse"} 3.0' in metrics.render()
            )
        await until(lambda: not broker.find("one", "rest").is_alive)
        for connection in list(venue.service.connections):
            connection.cut("test")
        await until(lambda: not broker.is_synced)
        assert broker.cancel(cancel).code == codes.UNAVAILABLE

    play(tmp_path, story)


def test_a_withdrawal_the_front_refuses_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its answer and by the return of an action, as both come."""
    right = TraderSession._act
    refused = [ctp_codes.ORDER_DONE, ctp_codes.NOT_READY]

    def act(session: TraderSession, got: Frame) -> None:
        if refused:
            session._refuse_action(got, got.asked(), refused.pop(0))
        else:
            right(session, got)

    async def story(_venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        monkeypatch.setattr(TraderSession, "_act", act)
        told: list[Answer] = []
        broker.subscribe("one", lambda change, _: told.extend(change.refused))
        await shown(broker, broker.insert(order("rest", "BUY", "OPEN", 1, 74000)))
        cancel = CancelOrder(account_id="one", order_id="rest")
        for count, error in enumerate(list(refused), start=1):
            assert broker.cancel(cancel).ok
            await until(lambda count=count: len(told) == count)  # type: ignore[misc]
            assert told[-1].order_id == "rest" and told[-1].number == 0
            assert told[-1].code == ctp_broker.house_code(error) and f"（{error}）" in told[-1].text
            assert broker.find("one", "rest").is_alive
        assert broker.cancel(cancel).ok
        await until(lambda: not broker.find("one", "rest").is_alive)
        assert len(told) == 2 and not broker._withdrawing

    play(tmp_path, story)


def test_a_front_that_forgot_the_login_is_entered_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = TraderSession._act
    refused = [ctp_codes.NOT_LOGGED_IN]

    def act(session: TraderSession, got: Frame) -> None:
        if refused:
            session._refuse_action(got, got.asked(), refused.pop())
        else:
            right(session, got)

    async def story(_venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        monkeypatch.setattr(TraderSession, "_act", act)
        await shown(broker, broker.insert(order("rest", "BUY", "OPEN", 1, 74000)))
        cancel = CancelOrder(account_id="one", order_id="rest")
        assert broker.cancel(cancel).ok
        await until(lambda: not broker.is_synced)
        await until(lambda: broker.is_synced)
        assert broker._session.renewals == 1 and broker.find("one", "rest").is_alive
        assert broker.cancel(cancel).ok
        await until(lambda: not broker.find("one", "rest").is_alive)

    play(tmp_path, story)


def test_an_order_that_no_query_shows_is_unknown_and_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The front loses an order and keeps the link: once its time is over a query decides."""
    right = TraderSession._insert
    lost = ["a"]

    def insert(session: TraderSession, got: Frame) -> None:
        if lost:
            lost.pop()
        else:
            right(session, got)

    monkeypatch.setattr(TraderSession, "_insert", insert)

    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        told: list[tuple[int, ...]] = []
        broker.subscribe("one", lambda change, _: told.append(change.orders))
        answer = broker.insert(order("lost", "BUY", "OPEN", 1, 75010))
        later = broker.insert(order("there", "BUY", "OPEN", 1, 74000))
        assert answer.ok and later.ok
        await broker.durable(later.lsn)
        assert broker.book.overdue(0.0) == set()
        monkeypatch.setattr(ctp, "CONFIRM_S", 0.0)
        found = await until(lambda: (one := broker.find("one", "lost")).message == UNKNOWN and one)
        assert found.is_alive and not found.code and (found.number,) in told
        with pytest.raises(UnavailableError):
            await broker.durable(answer.lsn)
        assert [(one.kind, one.subject) for one in broker.differences] == [("unknown", "lost")]
        await until(lambda: broker.standing.shadow.figures.get("frozen_margin", (0.0, 0.0))[1] > 0)
        assert broker.insert(order("lost", "BUY", "OPEN", 1, 75010)).code == codes.DUPLICATE
        assert len(venue.rig.trade.orders("one")) == 1 and broker.health()["unknown_orders"] == 1

    play(tmp_path, story)


def test_a_refusal_of_another_programs_order_leaves_ours_alone(tmp_path: Path) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        await shown(broker, broker.insert(order("ours", "BUY", "OPEN", 1, 74000)))
        ref = broker.book.key(broker.find("one", "ours").number).ref
        other = await trader(venue)
        other.insert(ref, "0", "0", 400, 75000.0)  # same account, same reference, too little money
        assert (await other.program.next(Kind.INSERT)).error == ctp_codes.NO_FUNDS
        await shown(broker, broker.insert(order("next", "BUY", "OPEN", 1, 74000)))
        assert broker.find("one", "ours").is_alive
        assert broker.cancel(CancelOrder(account_id="one", order_id="ours")).ok
        await until(lambda: not broker.find("one", "ours").is_alive)
        assert not venue.rig.trade.orders("one")[0].is_alive

    play(tmp_path, story)


@pytest.mark.parametrize(
    "volume", [0, -1, 0.5, 1.5, float(1 << 31), 1 << 31, 1e300, float("nan"), float("inf"), -float("inf")]
)
def test_lots_are_whole_and_fit_into_a_record(tmp_path: Path, volume: float) -> None:
    broker = ready(tmp_path)
    made = msgspec.structs.replace(order("a", "BUY", "OPEN", 1, 75010), volume=volume)
    assert broker.insert(made).code == codes.BAD_VOLUME
    assert not broker.book.orders


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"min_volume": 1 << 31}, codes.BAD_PARAMETERS),
        ({"min_volume": -1}, codes.BAD_PARAMETERS),
        ({"gtd_day": 100_000_000}, codes.BAD_PARAMETERS),
        ({"symbol": f"SHFE.{'x' * 90}"}, codes.BAD_PARAMETERS),
        ({"symbol": f"{'SHFE' * 9}.cu2109"}, codes.BAD_PARAMETERS),
        ({"limit_price": None}, codes.BAD_PRICE),
        ({"limit_price": float("nan")}, codes.BAD_PRICE),
        ({"limit_price": float("inf")}, codes.BAD_PRICE),
    ],
)
def test_what_a_record_cannot_say_is_neither_noted_nor_booked(
    tmp_path: Path, words: dict[str, Any], code: int
) -> None:
    broker = ready(tmp_path)
    made: InsertOrder = msgspec.structs.replace(order("a", "BUY", "OPEN", 1, 75010), **words)
    assert broker.insert(made).code == code
    assert not broker.book.orders and (tmp_path / "notes.jsonl").read_bytes() == b""


def ready(tmp_path: Path) -> CtpBroker:
    """A broker that takes orders and has no front: what it would send shows."""
    (tmp_path / "venue").mkdir()
    venue = Venue(tmp_path / "venue")
    venue.service.address = ("127.0.0.1", 1)
    broker = gateway(venue, tmp_path)
    broker._notes.open(20210802)
    broker._is_synced = True
    return broker


def test_refusals_have_the_houses_codes() -> None:
    asked = {30: 3005, 31: 1001, 50: 3006, 51: 3007, 15: 1008, 17: 4004, 116: 3010, 26: 3001, 999: 4008}
    assert {ctp: ctp_broker.house_code(ctp) for ctp in asked} == asked


# --- the disk ---


def test_a_full_disk_refuses_orders_and_loses_no_note(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"

    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        await shown(broker, broker.insert(order("a", "BUY", "OPEN", 1, 74000)))
        with full_disk(path, 40):
            for _ in range(2):
                assert broker.insert(order("b", "BUY", "OPEN", 1, 74000)).code == codes.NOT_JOURNALED
        assert broker.find("one", "b") is None
        await shown(broker, broker.insert(order("b", "BUY", "OPEN", 1, 74000)))
        await shown(broker, broker.insert(order("c", "BUY", "OPEN", 1, 74000)))
        assert len(venue.rig.trade.orders("one")) == 3
        await broker.stop(1.0)
        again = gateway(venue, tmp_path)
        await again.start()
        await until(lambda: again.is_synced)
        assert [one.order_id for one in again.orders("one")] == ["a", "b", "c"]
        await again.stop(1.0)

    play(tmp_path, story)


def test_notes_that_cannot_be_opened_are_not_forgotten(tmp_path: Path) -> None:
    """The day's notes are read again at the next login: an order keeps its name, and is not taken twice."""

    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        await shown(broker, broker.insert(order("a", "BUY", "OPEN", 1, 74000)))
        await broker.stop(1.0)
        again = gateway(venue, tmp_path)
        blocked = tmp_path / "notes.new"
        blocked.mkdir()
        with (tmp_path / "notes.jsonl").open("ab") as notes:
            notes.write(b'{"day":')  # so that they are written anew
        await again.start()
        assert isinstance(await asyncio.wait_for(asyncio.shield(again.failed), 8), StorageError)
        await again.stop(1.0)
        blocked.rmdir()
        again.renew()
        await again.start()
        await until(lambda: again.is_synced)
        assert [one.order_id for one in again.orders("one")] == ["a"]
        assert again.insert(order("a", "BUY", "OPEN", 1, 74000)).code == codes.DUPLICATE
        await again.stop(1.0)

    play(tmp_path, story)
