"""What each client message does to its session: one function per message, the table at the end.

`out` takes the frames to send at once; what travels with data goes into the session's root object.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

from qautlra.base.errors import LimitError
from qautlra.feed.catalogue import STEP_COUNT, Catalogue
from qautlra.feed.charts import WIDTH_COUNT, Wanted
from qautlra.feed.context import Flow
from qautlra.feed.sessions import Session, listed
from qautlra.wire import diff, ins_query, legacy
from qautlra.wire.ins_query import Asked
from qautlra.wire.market import BadMessage, Dialect, decode

ASKING_COUNT = 4
"""Queries for many instruments of one session that are looked up at a time."""
CHART_TEXT_CHARS = 4_096


# --- DIFF ---


def _diff_subscribe(session: Session, command: diff.SubscribeQuote, _text: str, out: list[bytes]) -> None:
    text = sys.intern(command.text or "")  # many clients ask for the same
    known, unknown, refused = session.sort(diff.split(text), session.context.settings.max_symbols)
    if unknown:
        session.notice("WARNING", diff.NOTIFY_UNKNOWN_INSTRUMENT, f"Unknown instruments: {listed(unknown)}")
    if refused:
        session.notice("WARNING", diff.NOTIFY_LIMIT, session.too_many(refused))
    waiting = [shown for shown, place in known.items() if place.instrument < 0]
    if waiting:
        session.notice("INFO", diff.NOTIFY_WAITING, f"No data yet for: {listed(waiting)}")
    session.set_style(Dialect.DIFF)
    if not session.want(known):
        session.notice("ERROR", diff.NOTIFY_LIMIT, "The server's subscription table is full")
    session.text = text
    session.root.echo(text)
    if Dialect.GATEWAY in session.speaks:
        out.append(session.frame(legacy.subscribed(len(known))))
    out.append(session.frame(diff.subscribed(text)))
    if Dialect.QO in session.speaks:
        out.append(session.frame(legacy.QO_SUBSCRIBE_QUOTE))


def _diff_unsubscribe(session: Session, command: diff.UnsubscribeQuote, _text: str, out: list[bytes]) -> None:
    session.remove(diff.split(command.text))
    session.text = ",".join(session.wanted)
    session.root.echo(session.text)
    out.append(session.frame(diff.subscribed(session.text)))


def _diff_peek(session: Session, _command: diff.PeekMessage, _text: str, out: list[bytes]) -> None:
    if not session.peeked:
        session.peeked = True
        session.root.history_complete(session.text)
    if session.flow is Flow.UNDECIDED:
        session.flow = Flow.PULL
    if session.flow is Flow.PUSH:
        out.append(session.frame(diff.subscription_list(session.names)))
    session.held = True


def _diff_ping(session: Session, _command: diff.Ping, _text: str, out: list[bytes]) -> None:
    out.append(session.frame(diff.PONG))


def _diff_chart(session: Session, command: diff.SetChart, text: str, _out: list[bytes]) -> None:
    charts = session.chart_room()
    names = diff.split(command.text)
    problem = _chart_problem(command, text)
    if charts is not None and not problem:
        if not names:
            charts.free(command.chart_id)
            session.revision += 1
            return
        places = {name: place for name in names if (place := session.context.directory.resolve(name))}
        if len(places) == len(names):
            try:
                charts.set(_wanted_chart(command, names, text), list(places.values()))
            except (LimitError, ValueError) as error:
                problem = str(error)
            else:
                session.revision += 1
                return
    if not session.root.empty_chart(command, text):
        session.notice("ERROR", diff.NOTIFY_LIMIT, "Too many unanswered charts: peek first")
    elif names:
        problem = problem or ("no series is served here" if charts is None else "unknown instruments")
        session.notice("WARNING", diff.NOTIFY_NOT_SERVED, f"Chart {command.chart_id[:64]}: {problem}")


def _wanted_chart(command: diff.SetChart, names: list[str], text: str) -> Wanted:
    return Wanted(
        chart_id=command.chart_id,
        names=tuple(names),
        period_s=command.duration // 1_000_000_000,
        width=min(max(command.view_width, 1), WIDTH_COUNT),
        left_id=command.left_id,
        focus_ns=command.focus_ns,
        focus_position=command.focus_position,
        state=diff.request_of(text),
    )


def _chart_problem(command: diff.SetChart, text: str) -> str:
    if len(text) > CHART_TEXT_CHARS:
        return f"a request is at most {CHART_TEXT_CHARS} characters long"
    if command.duration < 0 or command.duration % 1_000_000_000:
        return "a duration is a whole number of seconds, in nanoseconds"
    return ""


def _diff_query(session: Session, command: diff.InsQuery, _text: str, _out: list[bytes]) -> None:
    catalogue = session.context.catalogue
    rows: list[dict[str, Any]] = []
    problem = ""
    if catalogue is None:
        problem = "Instrument queries are not served here"
    elif command.query:
        asked, problem = ins_query.parse(command.query, bytes(command.variables))
        if asked is not None and catalogue.is_long(asked):
            if len(session.asking) < ASKING_COUNT:
                task = asyncio.get_running_loop().create_task(_answer(session, catalogue, command, asked))
                session.asking.add(task)
                task.add_done_callback(session.asking.discard)
            else:
                session.notice("ERROR", diff.NOTIFY_LIMIT, "Too many instrument queries at once")
            return
        if asked is not None:
            rows, problem = catalogue.find(asked)
    _answered(session, command, rows, problem)


async def _answer(session: Session, catalogue: Catalogue, command: diff.InsQuery, asked: Asked) -> None:
    """Answer a query for many instruments, a few at a time: others have the loop between."""
    steps = catalogue.steps(asked)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            rows, problem = end.value
            break
        await asyncio.sleep(0)
    for first in range(0, len(rows), STEP_COUNT):
        step = slice(first, first + STEP_COUNT)
        rows[step] = [diff.ready(row) for row in rows[step]]
        await asyncio.sleep(0)
    _answered(session, command, rows, problem)
    session.context.wake(session.client)


def _answered(session: Session, command: diff.InsQuery, rows: list[Any], problem: str) -> None:
    if not session.root.instruments(command, rows, problem):
        session.notice("ERROR", diff.NOTIFY_LIMIT, "Too many unanswered instrument queries: peek first")


def _diff_status(
    session: Session, command: diff.SubscribeTradingStatus, _text: str, _out: list[bytes]
) -> None:
    known, unknown, _ = session.sort(diff.split(command.text), session.context.settings.max_symbols)
    if unknown:
        session.notice("WARNING", diff.NOTIFY_UNKNOWN_INSTRUMENT, f"Unknown instruments: {listed(unknown)}")
    session.status_names = {shown: place.symbol for shown, place in known.items()}
    session.states = {}
    session.refresh_trading_status()


# --- the gateway's own ---


def _type_subscribe(session: Session, command: legacy.Subscribe, _text: str, out: list[bytes]) -> None:
    names = command.payload.instruments
    if not names:
        session.error(Dialect.GATEWAY, legacy.NO_INSTRUMENTS, out)
    elif taken := session.add(Dialect.GATEWAY, names, out):
        out.append(session.frame(legacy.subscribed(taken)))


def _type_unsubscribe(session: Session, command: legacy.Unsubscribe, _text: str, out: list[bytes]) -> None:
    names = command.payload.instruments
    if not names:
        session.error(Dialect.GATEWAY, legacy.NO_INSTRUMENTS, out)
        return
    session.remove(names)
    out.append(session.frame(legacy.unsubscribed(len(names))))


def _type_subscriptions(
    session: Session, _command: legacy.Subscriptions, _text: str, out: list[bytes]
) -> None:
    out.append(session.frame(legacy.subscriptions(session.names)))


def _type_auth(session: Session, _command: legacy.Auth, _text: str, out: list[bytes]) -> None:
    out.append(session.frame(legacy.system(legacy.NO_AUTHENTICATION)))


def _type_ping(session: Session, _command: legacy.Ping, _text: str, out: list[bytes]) -> None:
    out.append(session.frame(legacy.PONG))


# --- CORE ---


def _op_subscribe(session: Session, command: legacy.CoreSubscribe, _text: str, out: list[bytes]) -> None:
    if not command.symbols:
        session.error(Dialect.CORE, legacy.CORE_NO_SYMBOLS, out)
    elif session.add(Dialect.CORE, command.symbols, out):
        out.append(session.frame(legacy.CORE_SUBSCRIBED))


def _op_unsubscribe(session: Session, command: legacy.CoreUnsubscribe, _text: str, out: list[bytes]) -> None:
    if not command.symbols:
        session.error(Dialect.CORE, legacy.CORE_NO_SYMBOLS, out)
        return
    session.remove(command.symbols)
    out.append(session.frame(legacy.CORE_UNSUBSCRIBED))


# --- QO ---


def _action_subscribe(session: Session, command: legacy.QoSubscribe, _text: str, out: list[bytes]) -> None:
    taken = session.add(Dialect.QO, command.instruments, out)
    if taken or not command.instruments:
        out.append(session.frame(legacy.qo_subscribed(len(session.wanted))))


def _action_unsubscribe(
    session: Session, command: legacy.QoUnsubscribe, _text: str, out: list[bytes]
) -> None:
    session.remove(command.instruments)
    out.append(session.frame(legacy.qo_unsubscribed(len(session.wanted))))


def _action_list(session: Session, _command: legacy.QoListInstruments, _text: str, out: list[bytes]) -> None:
    out.append(session.frame(legacy.qo_instruments(session.context.directory.symbols())))


def _action_search(
    session: Session, command: legacy.QoSearchInstruments, _text: str, out: list[bytes]
) -> None:
    found = session.context.directory.search(command.pattern)
    out.append(session.frame(legacy.qo_found(command.pattern, found)))


def _bad(session: Session, command: BadMessage, _text: str, out: list[bytes]) -> None:
    session.error(command.dialect, command.text, out)


Handler = Callable[[Session, Any, str, list[bytes]], None]
HANDLERS: Mapping[type, Handler] = {
    BadMessage: _bad,
    diff.SubscribeQuote: _diff_subscribe,
    diff.UnsubscribeQuote: _diff_unsubscribe,
    diff.PeekMessage: _diff_peek,
    diff.Ping: _diff_ping,
    diff.SetChart: _diff_chart,
    diff.InsQuery: _diff_query,
    diff.SubscribeTradingStatus: _diff_status,
    legacy.Subscribe: _type_subscribe,
    legacy.Unsubscribe: _type_unsubscribe,
    legacy.Subscriptions: _type_subscriptions,
    legacy.Auth: _type_auth,
    legacy.Ping: _type_ping,
    legacy.CoreSubscribe: _op_subscribe,
    legacy.CoreUnsubscribe: _op_unsubscribe,
    legacy.QoSubscribe: _action_subscribe,
    legacy.QoUnsubscribe: _action_unsubscribe,
    legacy.QoListInstruments: _action_list,
    legacy.QoSearchInstruments: _action_search,
}


def receive(session: Session, text: str, now: float) -> list[bytes]:
    """Take one text message into its session; return the frames to send at once, in order."""
    dialect, command = decode(text)
    out: list[bytes] = []
    if dialect is not None and not isinstance(command, BadMessage):
        session.meet(dialect, out)
    HANDLERS[type(command)](session, command, text, out)
    session.after(out, now)
    return out
