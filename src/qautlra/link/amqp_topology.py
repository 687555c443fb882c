"""Exchanges and queues of ours at a broker: which it lets us have, and when it is asked again for the others.

One that is refused is alone missing. Consuming and publishing are the bus's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pamqp import commands

from qautlra.base.clock import monotonic_s
from qautlra.base.errors import LinkError
from qautlra.base.log import get_logger
from qautlra.link.amqp_channel import AskingChannel, RefusedError
from qautlra.link.bus import Exchange, Message, Queue

REFUSED_MAX_S = 60.0
"""Longest wait before the broker is asked again for what it refused."""
SHOWN_COUNT = 10
NOT_FOUND = 404
_log = get_logger("link")


class _Refusal:
    """What the broker does not let us have, why, and when it is asked again."""

    def __init__(self, wait_s: float) -> None:
        self.text = ""
        self.wait_s = wait_s
        self.due_s = 0.0


class Topology:
    """Of one bus, over all its connections; `wait_s` is the first wait after a refusal."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._refusals: dict[Exchange | Queue, _Refusal] = {}
        self.exchanges: list[Exchange] = []

    @property
    def refused_count(self) -> int:
        """Exchanges and queues that the broker does not let us have."""
        return len(self._refusals)

    def health(self) -> dict[str, Any]:
        """Return what is refused, the first by name; nothing when nothing is."""
        if not self._refusals:
            return {}
        shown = list(self._refusals.items())[:SHOWN_COUNT]
        return {
            "refused": {f"{_kind(one)} {one.name}": refusal.text for one, refusal in shown},
            "refused_count": self.refused_count,
        }

    def due(self) -> list[Exchange | Queue]:
        """Return what is to be asked for again now, exchanges first: queues are bound to them."""
        now_s = monotonic_s()
        due = [one for one, refusal in self._refusals.items() if refusal.due_s <= now_s]
        return sorted(due, key=lambda one: isinstance(one, Queue))

    def holds(self, messages: Sequence[Message]) -> bool:
        """Whether one of these goes to an exchange that is not what we want it to be."""
        refused = self._refused_exchanges()
        return bool(refused) and any(message.exchange in refused for message in messages)

    def bindings(self, queue: Queue) -> list[tuple[str, str]]:
        """Return those to exchanges that are what we want them to be: another brings what is not for us."""
        refused = self._refused_exchanges()
        return [binding for binding in queue.bindings if binding[0] not in refused]

    def _refused_exchanges(self) -> set[str]:
        return {one.name for one in self._refusals if isinstance(one, Exchange)}

    async def have_exchange(self, asking: AskingChannel, exchange: Exchange, queues: Iterable[Queue]) -> bool:
        """Ask for it, and bind to it those of the queues that are bound by it; tell whether we have it."""
        name, kind, durable, auto_delete = exchange

        def declare() -> Any:
            return commands.Exchange.Declare(0, name, kind, durable=durable, auto_delete=auto_delete)

        binds = [(queue.name, *binding) for queue in queues for binding in queue.bindings]
        return await self._have(asking, exchange, declare, [bind for bind in binds if bind[1] == name])

    async def have_queue(self, asking: AskingChannel, queue: Queue) -> bool:
        """Ask for it, bound; tell whether we have it."""
        arguments: dict[str, Any] = {"x-single-active-consumer": True} if queue.one_consumer else {}
        if queue.length_count:
            arguments["x-max-length"] = queue.length_count

        def declare() -> Any:
            return commands.Queue.Declare(0, queue.name, durable=True, arguments=arguments)

        return await self._have(asking, queue, declare, [(queue.name, *one) for one in self.bindings(queue)])

    async def _have(
        self,
        asking: AskingChannel,
        wanted: Exchange | Queue,
        declare: Callable[[], Any],
        binds: list[tuple[str, str, str]],
    ) -> bool:
        """LinkError when an exchange to bind by is gone: on another connection it is declared again."""
        refusal = self._refusals.get(wanted)
        is_declared = False
        try:
            await asking.ask(declare())
            is_declared = True
            for bind in binds:
                await asking.ask(commands.Queue.Bind(0, *bind))
        except (RefusedError, ValueError) as error:  # the client library knows no name of other letters
            if is_declared and isinstance(error, RefusedError) and error.number == NOT_FOUND:
                raise LinkError(f"{_kind(wanted)} {wanted.name!r} cannot be bound: {error.message}") from None
            text = error.message if isinstance(error, RefusedError) else str(error)
            if refusal is None:
                refusal = self._refusals[wanted] = _Refusal(self._wait_s)
            refusal.due_s = monotonic_s() + refusal.wait_s
            refusal.wait_s = min(2 * refusal.wait_s, REFUSED_MAX_S)
            if refusal.text != text:
                refusal.text = text
                _log.warning("broker_refused", **{_kind(wanted): wanted.name}, error=text)
            return False
        if refusal is not None:
            del self._refusals[wanted]
            _log.info("broker_grants", **{_kind(wanted): wanted.name})
        return True


def _kind(wanted: Exchange | Queue) -> str:
    return "exchange" if isinstance(wanted, Exchange) else "queue"
