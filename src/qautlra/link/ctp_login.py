"""How a CTP session gets in and stays in, as a brain: events and times in, the next action out. No I/O.

DOWN -> CONNECTED -> AUTHED -> LOGGED_IN -> CONFIRMED; who uses it says SYNCED. The library connects by itself
but says nothing when it cannot, so every state has a time limit. A refused login is tried three times per
trading section and then waits for a person: more would lock the account.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from qautlra.wire import ctp_codes as codes
from qautlra.wire.ctp_frames import Kind

TRIES_COUNT: Final = 3
MARKET_STEPS: Final = (Kind.LOGIN,)
TRADER_STEPS: Final = (Kind.AUTHENTICATE, Kind.LOGIN, Kind.CONFIRM)


class State(StrEnum):
    """Where a session stands."""

    DOWN = "down"
    CONNECTED = "connected"
    AUTHED = "authenticated"
    LOGGED_IN = "logged_in"
    CONFIRMED = "confirmed"
    LOCKED = "locked"


_AFTER: Final = {
    Kind.AUTHENTICATE: State.AUTHED,
    Kind.LOGIN: State.LOGGED_IN,
    Kind.CONFIRM: State.CONFIRMED,
}


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the front for this step."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class Renew:
    """Give the Api object back and make another: this one will not connect any more."""


Action = Send | Renew | None


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """Time limits in seconds. Retries double from `retry_min_s`, outside trading sections from tenfold."""

    connect_s: float = 30.0
    answer_s: float = 10.0
    retry_min_s: float = 1.0
    retry_max_s: float = 60.0


class LoginBrain:
    """One session's way in. `is_open` tells whether any market trades now; `now_s` is monotonic time."""

    def __init__(
        self,
        steps: Sequence[Kind],
        *,
        random: Random,
        options: LoginOptions | None = None,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        self._steps = tuple(steps)
        self._random = random
        self._options = options or LoginOptions()
        self._is_open = is_open
        self._was_open = is_open()
        self._at = 0
        self._waiting = False  # for the answer to step _at
        self._due_s = 0.0
        self._retries = 0
        self._begun = False
        self._forgotten = False
        self.tries = 0
        self.state = State.DOWN
        self.error = 0
        self.reason = ""

    @property
    def is_in(self) -> bool:
        """Whether every step is done."""
        return self._at == len(self._steps)

    def begin(self, now_s: float) -> None:
        """The Api object has been started."""
        self._begun = True
        self._forgotten = False
        self.state = self.state if self.state is State.LOCKED else State.DOWN
        self._due_s = now_s + self._options.connect_s

    def connected(self, now_s: float) -> Action:
        """The front is there: begin with the first step."""
        if self.state is State.LOCKED:
            return None
        self.state = State.CONNECTED
        self._at = 0
        return self._send(now_s)

    def disconnected(self, reason: int, now_s: float) -> Action:
        """The front is gone; the library comes back by itself."""
        self._at = 0
        self._waiting = False
        if self.state is not State.LOCKED:
            self.state = State.DOWN
            self.reason = f"disconnected ({reason:#x})"
            self._due_s = now_s + self._options.connect_s
        return None

    def answered(self, kind: int, error: int, now_s: float) -> Action:
        """Take the answer to a step; of those to anything else only "not logged in" matters here."""
        if self.is_in and error == codes.NOT_LOGGED_IN:
            return self.forget(codes.text(error, "en"), now_s)
        if not self._waiting or self.is_in or kind != self._steps[self._at]:
            return None
        self._waiting = False
        if error == 0:
            self.state = _AFTER[self._steps[self._at]]
            self._at += 1
            if self.is_in:
                self.tries = self._retries = self.error = 0
                self.reason = ""
                return None
            return self._send(now_s)
        self.error, self.reason = error, codes.text(error, "en")
        self.tries += 1
        if error in codes.LOCKED or error == codes.AUTH_FAILED or self.tries >= TRIES_COUNT:
            self.state = State.LOCKED
            return None
        return self._later(now_s)

    def forget(self, reason: str, now_s: float) -> Action:
        """The login is no more, on a link that stands: begin with a new Api object."""
        self._at = 0
        self._forgotten = True
        self.state = State.DOWN
        self.reason = reason
        return self._later(now_s)

    def refused(self, code: int, now_s: float) -> Action:
        """A request was not even sent (CTP's -1, -2 or -3): not a try, only later."""
        self._waiting = False
        self.reason = f"not sent ({code})"
        return self._later(now_s)

    def timer(self, now_s: float) -> Action:
        """Call every second or so."""
        is_open = self._is_open()
        if is_open and not self._was_open and self.state is not State.LOCKED:
            self.tries = self._retries = 0
        self._was_open = is_open
        if not self._begun or self.state is State.LOCKED or self.is_in or now_s < self._due_s:
            return None
        if self.state is State.DOWN:
            if not self._forgotten:
                self.reason = f"no front within {self._options.connect_s:g} s"
            self._due_s = now_s + self._options.connect_s + self._delay_s()
            return Renew()
        if self._waiting:
            self._waiting = False
            self.reason = f"no answer to {self._steps[self._at].name.lower()}"
            self._due_s = now_s + self._options.connect_s + self._delay_s()
            return Renew()
        return self._send(now_s)

    def unlock(self) -> None:
        """A person has acted: try again from the beginning."""
        self.state = State.DOWN
        self.tries = self._retries = self.error = 0
        self._at = 0
        self._waiting = False

    def _send(self, now_s: float) -> Action:
        self._waiting = True
        self._due_s = now_s + self._options.answer_s
        return Send(self._steps[self._at])

    def _later(self, now_s: float) -> Action:
        self._due_s = now_s + self._delay_s()
        return None

    def _delay_s(self) -> float:
        options = self._options
        least_s = options.retry_min_s * (1 if self._is_open() else 10)
        delay_s: float = min(options.retry_max_s, least_s * 2.0**self._retries)
        self._retries = min(self._retries + 1, 16)
        return delay_s * (0.5 + 0.5 * self._random.random())
