"""Configuration to the feed: its hub, the charts, and what it knows of instruments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qautlra._core.feed import Hub, text_frame
from qautlra._core.tape import Follower, Tape
from qautlra.feed import measures
from qautlra.feed.catalogue import Catalogue
from qautlra.feed.directory import Directory
from qautlra.feed.lines import Lines
from qautlra.feed.past import History
from qautlra.feed.service import FeedService

if TYPE_CHECKING:
    from qautlra.base.clock import Clock
    from qautlra.config.tree import Feed
    from qautlra.source.base import Wants
    from qautlra.source.continuous import Continuous
    from qautlra.store.service import StoreService


def make(
    settings: Feed,
    tape: Tape,
    clock: Clock,
    last_days: Callable[[str], int],
    wants: Wants,
    continuous: Continuous,
    store: StoreService | None,
) -> FeedService:
    """Return the feed of this tape; its charts begin with what `store` has, if there is one."""
    instruments, calendar = tape.instruments, tape.instruments.calendar
    history: History | None = None
    if store is not None:
        from qautlra.feed.mains import MainHistory

        history = MainHistory(store.history, continuous.chosen)
    feed = FeedService(
        hub=Hub(tape, max_clients=settings.max_clients, max_symbols=settings.max_symbols),
        directory=Directory(instruments, calendar, clock, tape, last_days),
        settings=settings,
        text_frame=text_frame,
        market_now_ns=clock.now_ns,
        demand_changed=lambda wanted: wants.put("feed", wanted),
        lines=Lines(
            tape=tape,
            follower=Follower(tape),
            calendar=calendar,
            history=history,
            now_ns=clock.now_ns,
        ),
        catalogue=Catalogue(
            instruments, calendar, tape, now_ns=clock.now_ns, ends=last_days, continuous=continuous
        ),
    )
    measures.watch(feed)
    return feed
