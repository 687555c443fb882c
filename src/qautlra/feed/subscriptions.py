"""Who wants which instruments: every owner's set, and their union, which is the demand sources see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from qautlra.base.errors import InputError, LimitError
from qautlra.base.limits import PINNED_SYMBOLS_COUNT
from qautlra.feed.directory import Directory

REST = "rest"
DEFAULT = "default"


class SubscriptionBook:
    """Owner -> {symbol: spelling}. Pinned owners (REST, defaults) stay until removed, others while they live.

    `changed` is called after the union changed; the union is then `wanted`.
    """

    def __init__(self, directory: Directory, changed: Callable[[], None] = lambda: None) -> None:
        self._directory = directory
        self._owners: dict[str, dict[str, str]] = {}
        self._count: dict[str, int] = {}
        self._changed = changed

    @property
    def wanted(self) -> frozenset[str]:
        """The symbols that anyone wants."""
        return frozenset(self._count)

    def __len__(self) -> int:
        return len(self._count)

    @property
    def pinned_count(self) -> int:
        """How many instruments the longest pinned list has."""
        return max(len(self._owners.get(owner, ())) for owner in (REST, DEFAULT))

    def put(self, owner: str, names: Mapping[str, str]) -> None:
        """Replace an owner's set; an empty one forgets the owner."""
        before = self._owners.pop(owner, {})
        if names:
            self._owners[owner] = dict(names)
        union_changed = False
        for symbol in names:
            if symbol not in before:
                self._count[symbol] = self._count.get(symbol, 0) + 1
                union_changed |= self._count[symbol] == 1
        for symbol in before:
            if symbol not in names:
                self._count[symbol] -= 1
                if self._count[symbol] == 0:
                    del self._count[symbol]
                    union_changed = True
        if union_changed:
            self._changed()

    def pin(self, spellings: Iterable[str], owner: str = REST) -> None:
        """Add to a pinned owner's set; InputError 422 names every spelling that is no instrument."""
        names = dict(self._owners.get(owner, {}))
        names |= {place: spelling for spelling, place in self._resolved(spellings).items()}
        if len(names) > PINNED_SYMBOLS_COUNT:
            raise LimitError(f"at most {PINNED_SYMBOLS_COUNT} instruments can be pinned")
        self.put(owner, names)

    def pin_what_fits(self, symbols: Sequence[str], owner: str) -> int:
        """Add full symbols to a pinned owner's set, as many as fit; return how many of them it has."""
        names = dict(self._owners.get(owner, {}))
        for symbol in symbols:
            if symbol in names or len(names) < PINNED_SYMBOLS_COUNT:
                names[symbol] = symbol
        self.put(owner, names)
        return sum(symbol in names for symbol in symbols)

    def unpin(self, spellings: Iterable[str]) -> None:
        """Take instruments out of every pinned owner's set; naming one that is not in it changes nothing."""
        gone = set(self._resolved(spellings).values())
        for owner in (REST, DEFAULT):
            names = self._owners.get(owner, {})
            self.put(owner, {symbol: shown for symbol, shown in names.items() if symbol not in gone})

    def _resolved(self, spellings: Iterable[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        unknown: list[str] = []
        for spelling in spellings:
            place = self._directory.resolve(spelling.strip())
            if place is None:
                unknown.append(spelling)
            else:
                found[spelling.strip()] = place.symbol
        if unknown:
            shown = ", ".join(name[:64] for name in unknown[:20])
            raise InputError(f"Not an instrument: {shown}", status=422, invalid=unknown[:100])
        return found

    def listing(self) -> tuple[list[str], list[str]]:
        """Return the wanted instruments as their first owner spelled them, and those no source has shown yet.

        Pinned ones come first.
        """
        shown: dict[str, str] = {}
        owners = [REST, DEFAULT, *(o for o in self._owners if o not in (REST, DEFAULT))]
        for owner in owners:
            for symbol, spelling in self._owners.get(owner, {}).items():
                shown.setdefault(symbol, spelling)
        pending = [spelling for symbol, spelling in shown.items() if self._directory.find(symbol) < 0]
        return list(shown.values()), pending
