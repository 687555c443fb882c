"""Who calls by Arrow Flight: Basic or Bearer in the header `authorization`, or the token of a handshake.

The loop's thread only. A token stands for the user as they are at each call, for as long as an access token
of the other doors; nothing renews it but the password.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from qautlra.base import metrics
from qautlra.base.clock import monotonic_s, new_token
from qautlra.base.errors import AuthError, LimitError

if TYPE_CHECKING:
    from qautlra.auth.rights import Principal
    from qautlra.auth.service import AuthService

TOKENS_COUNT: Final = 1_000
UNSEEN_COUNT: Final = 1_000
UNSEEN_S: Final = 60.0
HANDSHAKE: Final = "handshake"
"""In the place of an address: the library tells none before the first call."""


class _Known(NamedTuple):
    until_s: float
    who: Principal


class _Unseen(NamedTuple):
    until_s: float
    user_id: str
    password: str


_Kept = TypeVar("_Kept", _Known, _Unseen)


class Logins:
    """Tokens of handshakes; the oldest go when there are too many.

    When too many handshakes have failed, one is answered with a token for credentials nobody has looked at:
    they are checked at its first call, as if they came with it, under the caller's own address. So who
    guesses passwords by handshakes shuts nobody out, and is held off himself by his address.
    """

    def __init__(self, auth: AuthService) -> None:
        self._auth = auth
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._unseen: OrderedDict[str, _Unseen] = OrderedDict()
        metrics.bound("net_flight_tokens", lambda: len(self._known), TOKENS_COUNT, when_full="drop")
        metrics.bound("net_flight_unseen", lambda: len(self._unseen), UNSEEN_COUNT, when_full="drop")

    async def token(self, given: str) -> str:
        """Answer a handshake: a token for the Basic credentials in `given`; AuthError for anything else."""
        scheme, _, text = given.partition(" ")
        if scheme.lower() != "basic":
            raise AuthError("a handshake takes Basic credentials only")
        user_id, password = basic(text)
        token, now_s = new_token(32), monotonic_s()
        try:
            who = await self._auth.recognise_basic(user_id, password, HANDSHAKE)
        except LimitError:
            self._unseen[token] = _Unseen(now_s + UNSEEN_S, user_id, password)
            _bound(self._unseen, UNSEEN_COUNT)
        else:
            self._keep(token, who)
        return token

    async def recognise(self, given: str, host: str) -> Principal:
        """Return who `given` stands for now; AuthError when for nobody."""
        scheme, _, text = given.partition(" ")
        if scheme.lower() == "basic":
            return await self._auth.recognise_basic(*basic(text), host)
        if scheme.lower() != "bearer":
            raise AuthError("log in first: Basic or Bearer in the header authorization")
        known, unseen = self._known.get(text), self._unseen.get(text)
        if known is not None:
            _check_age(known.until_s)
            return self._auth.now(known.who)
        if unseen is None:
            return self._auth.recognise(text)
        _check_age(unseen.until_s)
        try:
            who = await self._auth.recognise_basic(unseen.user_id, unseen.password, host)
        except AuthError:
            self._unseen.pop(text, None)
            raise
        self._unseen.pop(text, None)
        self._keep(text, who)
        return who

    def _keep(self, token: str, who: Principal) -> None:
        self._known[token] = _Known(monotonic_s() + self._auth.options.access_token_s, who)
        _bound(self._known, TOKENS_COUNT)


def _check_age(until_s: float) -> None:
    if until_s <= monotonic_s():
        raise AuthError("the token has expired; log in again", expired=True)


def _bound(kept: OrderedDict[str, _Kept], most: int) -> None:
    """Drop what has expired, which is in front: all in it live equally long; and what is too much."""
    now_s = monotonic_s()
    while kept and (len(kept) > most or next(iter(kept.values())).until_s <= now_s):
        kept.popitem(last=False)


def basic(text: str) -> tuple[str, str]:
    """Return user and password of Basic credentials."""
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:  # no base64, no UTF-8, no ASCII
        raise AuthError("the Basic credentials are not readable") from None
    if not colon:
        raise AuthError("the Basic credentials are not readable")
    return user, password
