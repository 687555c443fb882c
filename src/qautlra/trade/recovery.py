"""Start and recovery, the same code: the journal opened, the exchange replayed from it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from qautlra._core import journal as journals
from qautlra._core.exchange import Exchange, Recovered
from qautlra.base import clock
from qautlra.base.errors import StorageError
from qautlra.base.limits import JOURNAL_BUFFER_BYTES
from qautlra.base.log import get_logger
from qautlra.config.tree import Trade as Settings
from qautlra.trade import risk
from qautlra.trade.checkpoints import Checkpoints

_log = get_logger("trade")


class Recovery(NamedTuple):
    """An exchange in the state its journal tells, and what else was in there."""

    journal: journals.Journal
    exchange: Exchange
    notes: list[bytes]
    records: int
    state_hash: str


def recover(directory: Path, settings: Settings, checkpoints: Checkpoints) -> Recovery:
    """Open the journal of `directory` and replay it; StorageError when it cannot be. Blocks."""
    try:
        journal = journals.Journal(
            directory,
            segment_bytes=settings.segment_bytes,
            buffer_bytes=JOURNAL_BUFFER_BYTES,
            durability=settings.durability,
        )
    except journals.JournalError as error:
        raise StorageError(f"the trading journal cannot be used: {error}", retryable=False) from None
    for cut in journal.cuts:
        _log.warning("journal_cut", path=cut.path, bytes=cut.bytes, reason=cut.reason, kept=cut.kept)
    began_s = clock.monotonic_s()
    try:
        exchange, found = _replay(journal, directory, settings, checkpoints.begin_at())
    except journals.JournalError as error:
        journal.close()
        raise StorageError(f"the trading journal cannot be replayed: {error}", retryable=False) from None
    if found.records:
        seconds = round(clock.monotonic_s() - began_s, 3)
        _log.info("replayed", records=found.records, seconds=seconds)
    notes = [payload for _, payload in found.notes]
    return Recovery(journal, exchange, notes, found.records, f"{exchange.state_hash():016x}")


def _replay(
    journal: journals.Journal, directory: Path, settings: Settings, starts: list[int]
) -> tuple[Exchange, Recovered]:
    """From the newest checkpoint, or from an older one where that does not lead to the end."""
    for number, lsn in enumerate(starts):
        exchange = Exchange(
            journal,
            profile=settings.profile,
            margin_side=settings.margin_side,
            orders_max=settings.orders_max,
            keeps_days=True,
            **risk.changes(settings.profile, settings.limits),
        )
        exchange.auto_commit = False
        try:
            return exchange, exchange.replay_all(directory, lsn)
        except journals.JournalError as error:
            if number == len(starts) - 1:
                raise
            _log.warning("checkpoint_unusable", lsn=lsn, reason=str(error))
    raise AssertionError("the last start is always tried")
