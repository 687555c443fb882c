"""Passwords: the rules for new ones, and argon2id in threads, a bounded number at once.

An unknown user costs the same time as a known one. Parameters are OWASP's second choice (19 MiB, 2 passes).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from qautlra.base import metrics
from qautlra.base.errors import InputError, LimitError
from qautlra.base.secret import is_known_example

CHARS_MIN: Final = 8
CHARS_MAX: Final = 64  # what the DIFF login takes
DISTINCT_MIN: Final = 4
HASHES_AT_ONCE_COUNT: Final = 2
HASHES_WAITING_COUNT: Final = 64

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)


@cache
def _nobody() -> str:
    """Return a hash to verify against when there is no such user."""
    return _hasher.hash("a password of nobody")


def check_rules(name: str, password: str) -> None:
    """Raise InputError when `password` may not be the password of `name`."""
    if not CHARS_MIN <= len(password) <= CHARS_MAX:
        raise InputError(f"a password has {CHARS_MIN} to {CHARS_MAX} characters")
    if any(ord(char) < 32 or ord(char) == 127 for char in password):
        raise InputError("a password holds no control characters")
    if is_known_example(name, password) or name.lower() == password.lower()[::-1]:
        raise InputError("this password is a published example or the user's own name; choose another")
    if len(set(password)) < DISTINCT_MIN:
        raise InputError(f"a password has at least {DISTINCT_MIN} different characters")


def hash_now(password: str) -> str:
    """Return the argon2id hash; takes some 20 ms of a core."""
    return _hasher.hash(_bytes(password))


def verify_now(password_hash: str | None, password: str) -> bool:
    """Tell whether the password is the one; None for a user who does not exist takes as long."""
    try:
        return _hasher.verify(password_hash or _nobody(), _bytes(password)) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def is_outdated(password_hash: str) -> bool:
    """Tell whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


class Hasher:
    """Hashes off the loop: HASHES_AT_ONCE_COUNT run, HASHES_WAITING_COUNT wait, more are refused."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE_COUNT, thread_name_prefix="argon2")
        self._pending = 0
        metrics.watch("qautlra_auth_hashes_pending_count", "Passwords being hashed", lambda: self._pending)
        metrics.bound(
            "auth_hashes", lambda: self._pending, HASHES_AT_ONCE_COUNT + HASHES_WAITING_COUNT,
            when_full="refuse",
        )  # fmt: skip
        self._refused = metrics.counter("qautlra_auth_hashes_refused", "Logins refused: too many at once")

    async def hash(self, password: str) -> str:
        """Return the hash; LimitError when too many wait."""
        with self._turn():
            return await asyncio.get_running_loop().run_in_executor(self._threads, hash_now, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether the password is the one; LimitError when too many wait."""
        with self._turn():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, verify_now, password_hash, password)

    def close(self) -> None:
        """End the threads; what runs is finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._pending >= HASHES_AT_ONCE_COUNT + HASHES_WAITING_COUNT:
            self._refused.inc()
            raise LimitError("too many logins at once", retry_after_s=1)
        self._pending += 1
        try:
            yield
        finally:
            self._pending -= 1
