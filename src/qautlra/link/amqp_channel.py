"""A channel past aiormq, for what a broker may refuse: a refusal ends this channel and nothing else.

A refused channel of aiormq's now and then sends a close behind the broker's, and the broker ends the whole
connection for it. Here the broker's close is answered, and the channel opened anew for the next question.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pamqp.frame
from pamqp import commands

from qautlra.base.errors import LinkError
from qautlra.link.amqp_socket import Socket


class RefusedError(LinkError):
    """The broker refused what it was asked; `number` is its code (403, 404, 405, 406 or another)."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class AskingChannel:
    """Of one connection; questions are asked one after the other. It ends with its connection (`end`)."""

    def __init__(self, socket: Socket, number: int) -> None:
        self.number = number
        self._socket = socket
        self._lock = asyncio.Lock()
        self._answer: asyncio.Future[Any] | None = None
        self._is_open = False
        self._ended = ""

    async def ask(self, question: Any) -> Any:
        """Return the answer to a synchronous method; RefusedError, LinkError when the connection is gone."""
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
            return await self._answer
        except asyncio.CancelledError:
            self._ended = "a question is not answered yet"  # and its answer would be taken for another's
            raise
        finally:
            self._answer = None

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
        if self._answer is None or self._answer.done():
            return
        if isinstance(found, LinkError):
            self._answer.set_exception(found)
        else:
            self._answer.set_result(found)

    def end(self, reason: str) -> None:
        """Its connection is gone: whoever waits is told."""
        self._ended = reason
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LinkError(reason))
