"""A connection to RabbitMQ over aiormq that comes back by itself; messages go past it, by `amqp_socket`.

Own loop instead of a robust wrapper: those keep consumers that look connected and are silent. A probe asks
the broker whether our consumer is there and whether its queue moves; when not, the connection is made anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import AMQPError, InvalidFrameError
from pamqp import commands

from qautlra.base.clock import monotonic_s, new_random
from qautlra.base.errors import LinkError
from qautlra.base.log import get_logger
from qautlra.base.secret import Secret
from qautlra.link.amqp_channel import AskingChannel, KeepingChannel
from qautlra.link.amqp_frames import acknowledge, bind, encode, question
from qautlra.link.amqp_reader import BODY_BYTES, FRAME_BYTES, Taken
from qautlra.link.amqp_socket import Socket, SocketFactory
from qautlra.link.amqp_topology import Topology
from qautlra.link.back_off import BackOff
from qautlra.link.bus import Delivery, Exchange, Message, OnDelivery, Queue
from qautlra.link.web_socket import shown_url

_log = get_logger("link")
logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # what it meets is in our log, once
ACK_WAIT_S = 0.005
"""So long an acknowledgement may wait for a message it can be written with."""
CHANNEL_MAX = 65_535
"""Highest number of a channel, of a broker that sets no bound."""
ENDLESS_FRAME_BYTES = 128 << 20
"""Longest frame of a broker that sets no bound: RabbitMQ's own for a message."""
_FAILURES = (
    AMQPError,
    OSError,
    EOFError,
    TimeoutError,
    ConnectionError,
    asyncio.InvalidStateError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class AmqpOptions:
    """Where the broker is and what is put up with."""

    url: Secret
    prefetch_count: int = 256
    body_bytes: int = BODY_BYTES
    "Of a longer message the head is delivered; with the prefetch the bound of what a queue holds here."
    open_timeout_s: float = 10.0
    answer_timeout_s: float = 10.0
    probe_s: float = 5.0
    heartbeat_s: int = 10
    retry_min_s: float = 0.2
    retry_max_s: float = 20.0
    settled_s: float = 5.0


def check_url(url: str) -> str:
    """Return the URL; LinkError when it is not one of a broker."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise LinkError(f"not a URL of a broker: {error}") from None
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname or port == 0:
        raise LinkError("not a URL of a broker (amqp://user:password@host:5672/vhost)")
    return url


class _Consumer:
    """One queue of ours and what was seen of it."""

    def __init__(self, queue: Queue, on_delivery: OnDelivery | None) -> None:
        self.queue = queue
        self.on_delivery = on_delivery
        self.delivered_count = 0
        self.unacked_count = 0
        self.seen_count = -1  # delivered when probed last, -1: not probed with messages waiting
        self.is_served = False
        "Whether the broker said on this connection that we are its consumer."


class AmqpBus:
    """Speaks to one broker. Everything declared is declared again on each connection."""

    def __init__(self, options: AmqpOptions) -> None:
        check_url(options.url.reveal())
        self._options = options
        self._topology = Topology(options.probe_s)
        self._consumers: dict[str, _Consumer] = {}
        self._consuming: dict[bytes, _Consumer] = {}
        "On this connection, by consumer tag: the queue's name."
        self._incoming: AbstractChannel | None = None
        self._outgoing: AbstractChannel | None = None
        self._declaring: AskingChannel | None = None
        self._keeping: KeepingChannel | None = None
        self._keeping_lock = asyncio.Lock()
        self._socket: Socket | None = None
        "Of the connection that is up."
        self._changed = asyncio.Event()
        "Set, and another one put in its place, when what holds messages back may have gone."
        self._frame_bytes = FRAME_BYTES
        self._epoch = 0
        self._unacked: dict[int, _Consumer] = {}  # by tag, oldest first
        self._acks: list[bytes] = []
        "Frames that wait to be written, for `_acked_count` deliveries."
        self._acked_count = 0
        self._ack_timer: asyncio.TimerHandle | None = None
        self._connected = asyncio.Event()
        self._questions: deque[tuple[float, asyncio.Future[None]]] = deque()
        "When each was asked that is not answered yet, oldest first."
        self._answer_timer: asyncio.TimerHandle | None = None
        self._blocked_s = 0.0
        "Since when the broker takes no messages, 0: it does."
        self._back_off = BackOff(
            options.retry_min_s, options.retry_max_s, new_random().random, options.settled_s
        )
        self._late: set[asyncio.Task[None]] = set()
        self.state = "connecting"
        self.error = ""
        self.prefetch_count = options.prefetch_count
        self.connects_count = 0
        self.failures_count = 0
        self.delivered_count = 0
        self.redelivered_count = 0
        self.published_count = 0
        self.last_delivery_s = 0.0

    # --- what doors say ---

    @property
    def is_connected(self) -> bool:
        """Whether deliveries can arrive now."""
        return self._connected.is_set()

    @property
    def unacked_count(self) -> int:
        """Deliveries of this connection that wait for their acknowledgement."""
        return len(self._unacked)

    @property
    def refused_count(self) -> int:
        """Exchanges and queues of ours that the broker does not let us have."""
        return self._topology.refused_count

    @property
    def is_blocked(self) -> bool:
        """Whether the broker takes no messages now: what is published waits."""
        return self._blocked_s > 0

    def declare(self, *exchanges: Exchange) -> None:
        """Say which exchanges there must be; before `run`."""
        there = self._topology.exchanges
        there += [exchange for exchange in exchanges if exchange not in there]

    def serve(self, queue: Queue, on_delivery: OnDelivery | None) -> None:
        """Keep the queue; with `on_delivery`, consume it, now and on every connection to come."""
        consumer = self._consumers[queue.name] = _Consumer(queue, on_delivery)
        if self._connected.is_set() and self._incoming is not None:
            task = asyncio.get_running_loop().create_task(self._serve_now(self._incoming, consumer))
            self._late.add(task)
            task.add_done_callback(self._late.discard)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge these and no others; those of a connection that is gone come again all the same.

        One frame for all up to the first that is left out, then one for each; written with the next message,
        or after ACK_WAIT_S, or when a quarter of the prefetch waits.
        """
        channel = self._incoming
        tags = {one.tag for one in deliveries if one.epoch == self._epoch and one.tag in self._unacked}
        if channel is None or not tags:
            return
        whole = 0
        for tag in self._unacked:
            if tag not in tags:
                break
            whole = tag
        if whole:
            self._acks.append(acknowledge(channel.number, whole, all_before=True))
        for tag in tags:
            self._unacked.pop(tag).unacked_count -= 1
            if tag > whole:
                self._acks.append(acknowledge(channel.number, tag, all_before=False))
        self._acked_count += len(tags)
        if self._acked_count >= self.prefetch_count // 4:
            self._write_acks()
        elif self._ack_timer is None:
            self._ack_timer = asyncio.get_running_loop().call_later(ACK_WAIT_S, self._write_acks)

    def _taken_acks(self) -> bytes:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        data = b"".join(self._acks)
        self._acks.clear()
        self._acked_count = 0
        return data

    def _write_acks(self) -> None:
        data = self._taken_acks()
        if data and self._socket is not None:
            self._socket.write(data)  # the broker delivers again what it does not know to be done

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when the broker has them in this order; LinkError when that is not known.

        Waits while there is no connection, the broker takes no messages, or an exchange of theirs is refused.
        A question on the same channel is answered after the messages before it were routed: cheaper than one
        confirmation each, and no weaker for transient messages. It goes in the same write, at once; what is
        published meanwhile goes behind it, and does not wait for that answer.
        """
        while not self._connected.is_set() or self.is_blocked or self._topology.holds(messages):
            await self._changed.wait()
        assert self._socket is not None and self._outgoing is not None
        number = self._outgoing.number
        data = encode(messages, number, self._frame_bytes) + question(number)
        if not self._socket.write(self._taken_acks() + data):
            raise LinkError("not published: the broker is gone")
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._questions.append((monotonic_s(), answered))
        if self._answer_timer is None:
            self._look_for_answers()
        await answered
        self.published_count += len(messages)

    async def keep(self, messages: Sequence[Message]) -> list[bool]:
        """Return of each whether the broker has it in its queue; LinkError when that is not known.

        Waits while there is no connection. A queue of ours that is not there is made again, for next time.
        """
        async with self._keeping_lock:
            while not self._connected.is_set() or self.is_blocked:
                await self._changed.wait()
            assert self._keeping is not None
            kept = await self._keeping.keep(messages)
        missing = {message.key for message, is_kept in zip(messages, kept, strict=True) if not is_kept}
        for name in missing & set(self._consumers):
            if (incoming := self._incoming) is not None:
                await self._serve_now(incoming, self._consumers[name])
        self.published_count += sum(kept)
        return kept

    def _pulse(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _take_answers(self, count: int) -> None:
        """Let those go on whose messages the broker has: it answers in the order it was asked."""
        for _ in range(min(count, len(self._questions))):
            answered = self._questions.popleft()[1]
            if not answered.done():
                answered.set_result(None)

    def _hold(self, reason: str) -> None:
        """The broker takes nothing any more, or again: it reads nothing meanwhile, and owes no answer.

        Whether it is there, its heartbeats tell.
        """
        self._blocked_s = monotonic_s() if reason else 0.0
        self.error = f"the broker takes no messages: {reason}" if reason else ""
        for own in (self._declaring, self._keeping):
            if own is not None:
                own.hold(bool(reason))
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None
        if self._connected.is_set():
            self.state = "blocked" if reason else "connected"
        if reason:
            _log.warning("broker_blocked", url=self.shown_url, reason=reason)
            return
        _log.info("broker_unblocked", url=self.shown_url)
        self._questions = deque((monotonic_s(), answered) for _, answered in self._questions)
        self._look_for_answers()
        self._pulse()

    def _look_for_answers(self) -> None:
        """End a connection that owes an answer for too long; one timer for all of them."""
        self._answer_timer = None
        if not self._questions or self._outgoing is None:
            return
        left_s = self._questions[0][0] + self._options.answer_timeout_s - monotonic_s()
        if left_s > 0:
            self._answer_timer = asyncio.get_running_loop().call_later(left_s, self._look_for_answers)
            return
        self.error = "the broker does not answer"
        self._hang_up(self._outgoing)

    # --- life ---

    async def run(self) -> None:
        """Stay connected until cancelled."""
        try:
            await self._back_off.attempt(self._once, self._waits)
        finally:
            self.state = "stopped"
            self._forget()

    async def _waits(self, wait_s: float) -> float:
        self.state = "waiting"
        _log.warning("broker_lost", url=self.shown_url, error=self.error, retry_s=round(wait_s, 2))
        return wait_s

    @property
    def shown_url(self) -> str:
        """The URL without user and password."""
        return shown_url(self._options.url.reveal())

    def health(self) -> dict[str, Any]:
        """Return whether the broker is there and what went through."""
        found: dict[str, Any] = {
            "state": self.state,
            "broker": self.shown_url,
            "connects": self.connects_count,
            "delivered": self.delivered_count,
            "redelivered": self.redelivered_count,
            "unacked": self.unacked_count,
            "published": self.published_count,
        }
        if self.is_blocked:
            found["blocked_s"] = round(monotonic_s() - self._blocked_s, 3)
        found |= self._topology.health()
        error = self.error or "; ".join(f"{name}: {text}" for name, text in found.get("refused", {}).items())
        return found | ({"error": error} if error else {})

    async def _once(self) -> None:
        """One connection from its opening to its end; the reason of the end is in `error`."""
        self.state = "connecting"
        connection: AbstractConnection | None = None
        sockets = SocketFactory()
        try:
            async with asyncio.timeout(self._options.open_timeout_s):
                connection = await self._open(sockets)
                assert sockets.socket is not None
                declaring, incoming = await self._set_up(connection, sockets.socket)
            for exchange in self._topology.exchanges:
                await self._topology.have_exchange(declaring, exchange, ())
            for consumer in list(self._consumers.values()):  # of thousands of accounts that takes its time
                await self._serve(incoming, consumer)
            self._connected.set()
            self._pulse()
            self.state, self.error = "connected", ""
            self.connects_count += 1
            _log.info("broker_connected", url=self.shown_url, queues=len(self._consumers))
            await self._watch(connection)
        except LinkError as error:
            self.error = error.message
        except asyncio.CancelledError:
            if _is_cancelling():
                raise
            self.error = "the broker is gone"  # what the client library raises when its connection ends
        except _FAILURES as error:
            self.error = self._shut_out if isinstance(error, InvalidFrameError) else _text(error)
        finally:
            self.failures_count += 1
            self._forget()
            if connection is not None:
                with suppress(*_FAILURES, asyncio.CancelledError):
                    await asyncio.wait_for(connection.close(), 1.0)
        if _is_cancelling():  # while it was closed
            raise asyncio.CancelledError

    @property
    def _shut_out(self) -> str:
        """What an end in the place of the opening's last answer means; the client library hides its text."""
        vhost = unquote(urlsplit(self._options.url.reveal()).path[1:]) or "/"
        return f"the broker has no virtual host {vhost!r}, or this user has no rights in it"

    async def _open(self, sockets: SocketFactory) -> AbstractConnection:
        url = self._options.url.reveal()
        mark = "&" if urlsplit(url).query else "?"
        if "heartbeat=" not in url:
            url = f"{url}{mark}heartbeat={self._options.heartbeat_s}"
        return await aiormq.connect(url, transport_factory=sockets)

    async def _set_up(
        self, connection: AbstractConnection, socket: Socket
    ) -> tuple[AskingChannel, AbstractChannel]:
        """Open the channels of a connection; return the two its exchanges and queues are had by."""
        frame_bytes = connection.connection_tune.frame_max  # 0: the broker knows no bound
        self._frame_bytes = frame_bytes or FRAME_BYTES
        socket.reader.body_bytes = self._options.body_bytes
        socket.reader.frame_bytes = frame_bytes or ENDLESS_FRAME_BYTES
        outgoing = await connection.channel(publisher_confirms=False)
        incoming = await connection.channel(publisher_confirms=False)
        await incoming.basic_qos(prefetch_count=self.prefetch_count)  # of each queue
        self._epoch += 1
        self._consuming.clear()
        most = connection.connection_tune.channel_max or CHANNEL_MAX
        if most - 1 <= max(outgoing.number, incoming.number):
            raise LinkError(f"the broker allows {most} channels on a connection, four are needed")
        answer_s = self._options.answer_timeout_s
        self._declaring = declaring = AskingChannel(socket, most, answer_s)
        self._keeping = keeping = KeepingChannel(socket, most - 1, answer_s, self._frame_bytes)
        socket.on_own = lambda number, frame: (declaring if number == most else keeping).take(frame)
        socket.reader.own_from = most - 1
        socket.on_taken, socket.on_answers = self._deliver, self._take_answers
        socket.on_cancelled, socket.on_blocked = self._lost_consumer, self._hold
        socket.on_lost = self._end_own
        socket.reader.answers, socket.reader.deliveries = outgoing.number, incoming.number
        self._socket, self._outgoing, self._incoming = socket, outgoing, incoming
        for consumer in self._consumers.values():
            consumer.is_served = False
        return declaring, incoming

    async def _ask_again(self, incoming: AbstractChannel, declaring: AskingChannel) -> None:
        """Ask for what was refused and is due.

        Queues we have are bound before anything is published to an exchange that was held back for it.
        """
        for one in self._topology.due():
            if isinstance(one, Queue):
                if (consumer := self._consumers[one.name]).queue == one:
                    await self._serve(incoming, consumer)
            elif await self._topology.have_exchange(declaring, one, self._served_queues()):
                self._pulse()

    def _served_queues(self) -> list[Queue]:
        return [consumer.queue for consumer in self._consumers.values() if consumer.is_served]

    async def _serve_now(self, channel: AbstractChannel, consumer: _Consumer) -> None:
        try:
            while self.is_blocked:
                await self._changed.wait()
            await self._serve(channel, consumer)
        except (*_FAILURES, LinkError) as error:
            if channel is self._incoming:
                self.error = _text(error)
                self._hang_up(channel)

    async def _serve(self, incoming: AbstractChannel, consumer: _Consumer) -> None:
        """Have the queue, bound, and consume it, unless the broker refuses it."""
        queue = consumer.queue
        if self._declaring is None or not await self._topology.have_queue(self._declaring, queue):
            return
        if consumer.on_delivery is None:
            return
        name = queue.name.encode()
        is_consumed = name in self._consuming
        self._consuming[name] = consumer
        if not is_consumed:
            no_ack = not queue.needs_ack
            await incoming.basic_consume(
                queue.name, _never, no_ack=no_ack, consumer_tag=queue.name,
                timeout=self._options.answer_timeout_s,
            )  # fmt: skip
        consumer.is_served = True

    def _deliver(self, taken: Taken) -> None:
        name, tag, redelivered, message_id, body = taken
        consumer = self._consuming.get(name)
        if consumer is None or consumer.on_delivery is None:
            return
        if consumer.queue.needs_ack:
            self._unacked[tag] = consumer
            consumer.unacked_count += 1
        self.delivered_count += 1
        self.redelivered_count += redelivered
        consumer.delivered_count += 1
        self.last_delivery_s = monotonic_s()
        consumer.on_delivery(Delivery(consumer.queue.name, body, tag, self._epoch, redelivered, message_id))

    def _lost_consumer(self) -> None:
        self.error = "the broker took a queue of ours away"
        if self._incoming is not None:
            self._hang_up(self._incoming)

    def _bind_again(self) -> None:
        """Bind every queue as it was: an exchange that was deleted and made again has lost its bindings."""
        assert self._socket is not None and self._incoming is not None
        number = self._incoming.number
        self._socket.write(
            b"".join(
                bind(number, queue.name, *one)
                for queue in self._served_queues()
                for one in self._topology.bindings(queue)
            )
        )

    async def _watch(self, connection: AbstractConnection) -> None:
        """Return when the connection is closed, or raise when it only looks open."""
        assert self._incoming is not None and self._outgoing is not None and self._declaring is not None
        parts = (connection, self._incoming, self._outgoing)
        closing = [part.closing for part in parts]
        while True:
            done, _ = await asyncio.wait(
                closing, timeout=self._options.probe_s, return_when=asyncio.FIRST_COMPLETED
            )
            if done or any(part.is_closed for part in parts):
                reasons = [one.exception() for one in done if not one.cancelled()]
                told = [_text(reason) for reason in reasons if reason is not None]
                self.error = self.error or (told[0] if told else "closed by the broker")
                return
            if self.is_blocked:
                continue
            await self._ask_again(self._incoming, self._declaring)
            self._bind_again()
            for consumer in [c for c in self._consumers.values() if c.is_served]:
                if not any(part.is_closed for part in parts):
                    await self._probe(self._declaring, consumer)

    async def _probe(self, declaring: AskingChannel, consumer: _Consumer) -> None:
        """Ask the broker for our consumer; a queue that holds messages while we could take them must move."""
        report = await declaring.ask(commands.Queue.Declare(0, consumer.queue.name, passive=True))
        if not report.consumer_count:
            raise LinkError(f"the broker has no consumer of {consumer.queue.name}")
        waits = bool(report.message_count) and consumer.unacked_count == 0 and report.consumer_count == 1
        if waits and consumer.seen_count == consumer.delivered_count:
            raise LinkError(f"{report.message_count} messages wait in {consumer.queue.name} and none comes")
        consumer.seen_count = consumer.delivered_count if waits else -1

    def _hang_up(self, channel: AbstractChannel) -> None:
        task = asyncio.get_running_loop().create_task(_close(channel.connection))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _end_own(self) -> None:
        for own in (self._declaring, self._keeping):
            if own is not None:
                own.end(self.error or "the broker is gone")

    def _forget(self) -> None:
        self._connected.clear()
        self._blocked_s = 0.0
        self._write_acks()
        if self._socket is not None:
            self._socket.let_go()
        self._end_own()
        self._socket = self._incoming = self._outgoing = self._declaring = self._keeping = None
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None
        for _, answered in self._questions:
            if not answered.done():
                answered.set_exception(LinkError(f"not published: {self.error or 'the broker is gone'}"))
        self._questions.clear()
        self._unacked.clear()
        for consumer in self._consumers.values():
            consumer.unacked_count = 0
        self._epoch += 1


async def _never(_message: object) -> None:
    """What aiormq would call: no delivery reaches it."""


async def _close(connection: AbstractConnection) -> None:
    with suppress(*_FAILURES, asyncio.CancelledError):
        await connection.close()


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _text(error: BaseException) -> str:
    return " ".join(str(part) for part in error.args) or type(error).__name__
