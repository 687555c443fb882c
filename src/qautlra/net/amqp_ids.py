"""Ids for orders that came without one, the same again when their message comes again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from qautlra.link.bus import Delivery

REMEMBERED_COUNT = 65_536


class OrderIds:
    """Names orders. `find(account_id, order_id)` is the exchange's table of the day's ids."""

    def __init__(self, find: Callable[[str, str], Any]) -> None:
        self._find = find
        self._used: OrderedDict[str, int] = OrderedDict()

    def name(self, delivery: Delivery, account_id: str, trading_day: int) -> tuple[str, bool]:
        """Return an id for an order, and whether it was here before.

        By the message's own id when it has one, else the n-th of its content today. A message that comes
        again and whose content was here is taken for the one that was executed: rather not than twice.
        """
        if delivery.message_id:
            mark = hashlib.blake2s(delivery.message_id.encode(), digest_size=12).hexdigest()
            order_id = f"MQ.{mark}"
            return order_id, delivery.redelivered and self._find(account_id, order_id) is not None
        mark = hashlib.blake2s(delivery.body, digest_size=12, salt=b"qautlra").hexdigest()
        key = f"{trading_day}.{account_id}.{mark}"
        number = self._used.get(key, 0) + 1
        while self._find(account_id, f"MQ.{mark}.{number}") is not None:
            number += 1
        if delivery.redelivered and number > 1:
            return "", True
        self._used[key] = number
        self._used.move_to_end(key)
        if len(self._used) > REMEMBERED_COUNT:
            self._used.popitem(last=False)  # the exchange's table is asked again when it is needed
        return f"MQ.{mark}.{number}", False
