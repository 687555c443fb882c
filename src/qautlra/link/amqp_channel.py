"""A channel past aiormq, for what a broker may refuse: a refusal ends this channel and nothing else.

A refused channel of aiormq's now and then sends a close behind the broker's, and the broker ends the whole
connection for it. Here the broker's close is answered, and the channel opened anew for the next question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pamqp.frame
from pamqp import commands

from qautlra.base.errors import LinkError
from qautlra.link.amqp_frames import encode
from qautlra.link.amqp_socket import Socket
from qautlra.link.bus import Message


class RefusedError(LinkError):
    """The broker refused what it was asked; `number` is its code (403, 404, 405, 406 or another)."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class AskingChannel:
    """Of one connection; questions are asked one after the other, each answered within `answer_s` seconds.

    It ends with its connection (`end`).
    """

    def __init__(self, socket: Socket, number: int, answer_s: float) -> None:
        self.number = number
        self._socket = socket
        self._answer_s = answer_s
        self._timeout: asyncio.Timeout | None = None
        self._is_held = False
        self._lock = asyncio.Lock()
        self._answer: asyncio.Future[Any] | None = None
        self._is_open = False
        self._ended = ""

    async def ask(self, question: Any) -> Any:
        """Return the answer to a synchronous method; RefusedError, LinkError when there is none."""
        async with self._lock:
            if not self._is_open:
                await self._asked(commands.Channel.Open())
                self._is_open = True
            return await self._asked(question)

    async def _asked(self, question: Any) -> Any:
        if self._ended or not self._write(question):
            raise LinkError(self._ended or "the broker is gone")
        self._answer = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(None if self._is_held else self._answer_s) as self._timeout:
                return await self._answer
        except (asyncio.CancelledError, TimeoutError) as error:
            self._ended = "the broker does not answer"  # what it says now would be taken for another's
            if isinstance(error, TimeoutError):
                raise LinkError(self._ended) from None
            raise
        finally:
            self._answer = self._timeout = None

    def hold(self, is_held: bool) -> None:
        """Wait for answers without end while the broker reads nothing; from then on as before."""
        self._is_held = is_held
        if self._timeout is not None and not self._timeout.expired():
            due_s = asyncio.get_running_loop().time() + self._answer_s
            self._timeout.reschedule(None if is_held else due_s)

    def _write(self, frame: Any) -> bool:
        return self._socket.write(pamqp.frame.marshal(frame, self.number))

    def take(self, raw: bytes) -> None:
        """Take a frame of this channel."""
        frame = pamqp.frame.unmarshal(raw)[2]
        found: Any = frame
        if isinstance(frame, commands.Channel.Close):
            self._is_open = False
            self._write(commands.Channel.CloseOk())
            found = RefusedError(frame.reply_code or 0, f"{frame.reply_text} ({frame.reply_code})")
        self._heard(frame)
        if self._answer is None or self._answer.done():
            return
        if isinstance(found, LinkError):
            self._answer.set_exception(found)
        else:
            self._answer.set_result(found)

    def _heard(self, frame: Any) -> None:
        """What else a frame means; nothing here, where all are answers."""

    def end(self, reason: str) -> None:
        """Its connection is gone: whoever waits is told."""
        self._ended = reason
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LinkError(reason))


class KeepingChannel(AskingChannel):
    """Where messages go that must arrive: the broker says of each whether its queue has it."""

    def __init__(self, socket: Socket, number: int, answer_s: float, frame_bytes: int) -> None:
        super().__init__(socket, number, answer_s)
        self._frame_bytes = frame_bytes
        self._tag = 0
        self._waiting: dict[int, asyncio.Future[bool]] = {}
        self._is_returned = False

    async def keep(self, messages: Sequence[Message]) -> list[bool]:
        """Return of each whether it was confirmed in time; none is when one had no queue.

        LinkError when the connection is gone.
        """
        if not self._is_open:
            await self.ask(commands.Confirm.Select())
            self._tag = 0
        self._is_returned = False
        tags = range(self._tag + 1, self._tag + 1 + len(messages))
        self._tag += len(messages)
        loop = asyncio.get_running_loop()
        waiting = {tag: loop.create_future() for tag in tags}
        self._waiting |= waiting
        if self._ended or not self._socket.write(encode(messages, self.number, self._frame_bytes)):
            raise LinkError(self._ended or "the broker is gone")
        try:
            await asyncio.wait(waiting.values(), timeout=self._answer_s)
        finally:
            for tag in tags:
                self._waiting.pop(tag, None)
        if self._ended:
            raise LinkError(self._ended)
        return [one.done() and one.result() and not self._is_returned for one in waiting.values()]

    def _heard(self, frame: Any) -> None:
        match frame:
            case commands.Basic.Return():
                self._is_returned = True
            case commands.Basic.Ack() | commands.Basic.Nack():
                up_to = frame.delivery_tag or 0
                tags = [tag for tag in self._waiting if tag <= up_to] if frame.multiple else [up_to]
                self._settle(tags, isinstance(frame, commands.Basic.Ack))
            case commands.Channel.Close():
                self._settle(list(self._waiting), False)

    def _settle(self, tags: list[int], is_kept: bool) -> None:
        for tag in tags:
            if (waiting := self._waiting.get(tag)) is not None and not waiting.done():
                waiting.set_result(is_kept)

    def end(self, reason: str) -> None:
        """Its connection is gone: whoever waits is told."""
        super().end(reason)
        self._settle(list(self._waiting), False)
