"""Which differences between our ledger and a broker's figures count: those that two comparisons show."""

from __future__ import annotations

from collections.abc import Iterable

from qautlra.trade.brokers.shadow import Difference


class Doubts:
    """A brain. Flow, queries and prices cross on their way, so what is seen once is only doubted."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self._told: set[tuple[str, str]] = set()
        self.is_fresh = False
        "Whether the last comparison showed anything for the first time: compare again soon."

    @property
    def agrees(self) -> bool:
        """Whether nothing differs that counts."""
        return not self._told

    def take(self, found: Iterable[Difference]) -> list[Difference]:
        """Take what a comparison showed; return what is to be told, once while it stays."""
        shown = {(one.kind, one.subject): one for one in found}
        counts = {name: one for name, one in shown.items() if name in self._seen}
        news = [one for name, one in counts.items() if name not in self._told]
        self.is_fresh = bool(set(shown) - self._seen)
        self._seen, self._told = set(shown), set(counts)
        return news
