"""A round of queries about one account at a CTP front: all of them answered, or all of them asked again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from qautlra.link.ctp_session import NO_ANSWER
from qautlra.wire import ctp_codes
from qautlra.wire.ctp_frames import LAST, RECORDS, Frame, Kind
from qautlra.wire.ctp_records import Record, layout

PAUSE_S: Final = 1.0
"""Between a failed round and the next: fronts take one query a second."""


class Round:
    """A brain. Owner: the broker. Bound: the rows of the queries that are being answered."""

    def __init__(self) -> None:
        self._rows: dict[Kind, list[Record]] = {}
        self._due_s = 0.0
        self.failure = ""
        "Which query failed, and why; empty once a round has begun again."

    def may_begin(self, now_s: float) -> bool:
        """Tell whether a round may begin: not right after one that failed."""
        return now_s >= self._due_s

    def begin(self, kinds: Iterable[Kind]) -> None:
        """These are being asked; nothing of an earlier round counts."""
        self._rows = {kind: [] for kind in kinds}
        self.failure = ""

    def drop(self) -> None:
        """The link is gone, and with it the round."""
        self._rows, self._due_s, self.failure = {}, 0.0, ""

    @property
    def is_done(self) -> bool:
        """Whether every query of the round has been answered without an error."""
        return not self._rows and not self.failure

    def take(self, got: Frame, now_s: float) -> list[Record] | None:
        """Take a row; return the query's rows when they are all there.

        An error, or an account without a row, fails the whole round: answers that still come are nobody's.
        """
        kind = Kind(got.kind)
        rows = self._rows.get(kind)
        if rows is None:
            return None
        if got.record and not got.error:
            rows.append(layout(RECORDS[kind][1]).read(got.record))
        is_last = bool(got.flags & LAST)
        if got.error or (is_last and kind == Kind.QRY_ACCOUNT and not rows):
            self._rows, self._due_s = {}, now_s + PAUSE_S
            self.failure = f"{kind.name.lower()}: {_why(got.error)}"
            return None
        return self._rows.pop(kind) if is_last else None


def _why(error: int) -> str:
    if error == NO_ANSWER:
        return "no answer"
    return ctp_codes.text(error, "en") if error else "an answer without a row"
