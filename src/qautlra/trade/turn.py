"""What changed in a turn of the loop, collected at its end and told once the journal has it.

Bound: one set of changes under way; what changes meanwhile conflates in the engine until that is out.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from qautlra.trade.telling import Teller

if TYPE_CHECKING:
    from qautlra._core.journal import Journal
    from qautlra.model.order import Change
    from qautlra.trade.engine import Engine


class Turn:
    """The turn of the loop that is, of one service. Owner: the loop.

    `complete(engine, changes)` adds what the engine does not know of and returns the record that all of it is
    durable with. Prices alone are told every `mark_s` seconds. With `is_synced` the disk is waited for: all
    share a sync.
    """

    def __init__(
        self, complete: Callable[[Engine, list[Change]], int], *, mark_s: float, is_synced: bool
    ) -> None:
        self.teller = Teller()
        self._complete = complete
        self._mark_s = mark_s
        self._is_synced = is_synced
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: Engine | None = None
        self._journal: Journal | None = None
        self._fd = -1
        self._end: asyncio.Handle | None = None
        self._is_told = False
        self._mark: asyncio.TimerHandle | None = None

    @property
    def pending_count(self) -> int:
        """How many sets of changes wait for the journal."""
        return self.teller.pending_count

    def begin(self, engine: Engine, journal: Journal) -> None:
        """Follow an engine and its journal: what changes from now on is collected."""
        self._loop = asyncio.get_running_loop()
        self._engine, self._journal = engine, journal

    def listen(self) -> None:
        """Hear of what becomes durable, once all of a start is taken up."""
        assert self._loop is not None and self._journal is not None
        self._fd = self._journal.durable_fd()
        self._loop.add_reader(self._fd, self._on_durable)

    def finish(self) -> None:
        """Collect what changed; nothing more is collected. `teller.release` tells it once it is durable."""
        for handle in (self._end, self._mark):
            if handle is not None:
                handle.cancel()
        self._end = self._mark = None
        self._is_told = False
        engine, self._engine, self._journal = self._engine, None, None
        if engine is not None:
            assert self._loop is not None
            if self._fd >= 0:
                self._loop.remove_reader(self._fd)
                self._fd = -1
            self._collect(engine)
            engine.exchange.commit()

    def wake(self) -> None:
        """Collect changes at the end of this turn of the loop."""
        if self._end is None and self._engine is not None:
            assert self._loop is not None
            self._end = self._loop.call_soon(self._ended)

    def follow(self) -> None:
        """Have told what a batch of the market did: now what became of orders, prices at their time."""
        engine = self._engine
        if engine is None:
            return
        engine.exchange.commit()
        if engine.exchange.event_count or self.teller.is_waiting:
            self.wake()
        elif (engine.is_moved or engine.is_dirty) and self._mark is None:
            assert self._loop is not None
            self._mark = self._loop.call_later(self._mark_s, self._marked)

    def tell(self, *, moved: bool = True) -> None:
        """Collect changes now, once in a turn of the loop: what comes after that waits for its end.

        Where the disk is waited for, all do: they share a sync. Without `moved`, prices wait for their time.
        """
        if self._end is not None and not self._is_told and not self._is_synced:
            self._is_told = True
            try:
                self._do(moved=moved)
            except Exception as error:  # nobody's who calls: the loop's, as at its end
                assert self._loop is not None
                self._loop.call_exception_handler({"message": "changes not told", "exception": error})

    def may_tell_alone(self, engine: Engine) -> bool:
        """Tell whether all that was done is told, prices apart, and the next order can be told by itself."""
        return not (engine.is_dirty or self._end is not None or self.teller.is_waiting or self._is_synced)

    def collect(self) -> None:
        """Collect what has changed so far, though a commit may be under way: its numbers end with the day."""
        if self._engine is not None:
            self._collect(self._engine)

    def _marked(self) -> None:
        self._mark = None
        self.wake()

    def _ended(self) -> None:
        is_told, self._end, self._is_told = self._is_told, None, False
        if not is_told or self._has_news():
            self._do()

    def _has_news(self) -> bool:
        """Tell whether anything has changed, or waits for the journal, since it was last told."""
        engine, journal = self._engine, self._journal
        if engine is None or journal is None or engine.is_dirty or self.teller.is_waiting:
            return True
        if engine.is_moved and self._mark is None:
            return True
        return engine.exchange.event_count > 0 or journal.durable_lsn < journal.head_lsn

    def _do(self, *, moved: bool = True) -> None:
        engine, journal = self._engine, self._journal
        if engine is None or journal is None:
            return
        engine.exchange.commit()  # what is little is durable at once
        if not self.teller.pending_count:  # else: when the commit under way is done
            self._collect(engine, moved=moved)
        self.teller.release(journal.durable_lsn)

    def _collect(self, engine: Engine, *, moved: bool = True) -> None:
        changes = engine.collect(moved=moved)
        if changes:
            self.teller.collect(changes, self._complete(engine, changes))

    def _on_durable(self) -> None:
        journal = self._journal
        if journal is None:
            return
        os.eventfd_read(self._fd)
        self.teller.release(journal.durable_lsn)
        if not self.teller.pending_count and self._end is None:
            self._do()
