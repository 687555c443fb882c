"""What of a log is in its files, for those who read it there while another process writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qautlra._core.journal import Journal


def readable_lsn(journal: Journal) -> int:
    """Return how much of the log other processes find in its files, now or when the writer gets there.

    While the log cannot be written that is what was safe before: questions do not wait for a disk.
    """
    return min(journal.written_lsn, journal.durable_lsn) if journal.error else journal.head_lsn
