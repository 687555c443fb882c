"""The core's books behind the twin's face: orders named by their running number, 1, 2, 3, ..."""

from __future__ import annotations

from typing import Any

from qautlra._core.book import ACCEPTED, AMENDED, CANCELLED, Books, serial


class CoreBooks:
    """Forwards to the core and keeps the handle of each number, as whoever owns client ids does."""

    def __init__(self, **bounds: int) -> None:
        self.core = Books(**bounds)
        self.handles: dict[int, int] = {}

    def insert(self, *arguments: Any, **named: Any) -> int:
        found = self.core.insert(*arguments, **named)
        if found < 0:
            return found
        self.handles[serial(found)] = found
        return serial(found)

    def handle(self, number: int) -> int:
        return self.handles.get(number, 0)

    def cancel(self, number: int) -> int:
        return self.core.cancel(self.handle(number))

    def remove(self, number: int, reason: int = 10) -> int:
        return self.core.remove(self.handle(number), reason)

    def amend(self, number: int, price: int, left: int) -> int:
        return self.core.amend(self.handle(number), price, left)

    def orders(self, book: int, side: int) -> list[tuple[int, int, int, int]]:
        return [(serial(order[0]), *order[1:]) for order in self.core.orders(book, side)]

    def events(self) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for event in self.core.events():
            if event[0] in (ACCEPTED, CANCELLED, AMENDED):
                found.append((*event[:2], serial(event[2]), *event[3:]))
            else:
                buy, sell = event[6:]
                found.append((*event[:6], (serial(buy[0]), *buy[1:]), (serial(sell[0]), *sell[1:])))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)
