"""A text that must not be shown, and the example credentials nobody may use."""

from __future__ import annotations

import hmac
import re
from typing import Final

MASK: Final = "***"

KNOWN_EXAMPLES: Final = frozenset(
    {
        "admin",
        "changeme",
        "guest",
        "password",
        "secret",
        "super-secret",
        "supersecret",
        "test",
        "123456",
        "parseable",
        "quantaxis",
    }
)
_PLACEHOLDER: Final = re.compile(
    r"^\s*(your[_\- ].*|<.*>|\$\{.*\}|x{3,}|\*+|change[_\- ]?me.*|todo)\s*$", re.IGNORECASE
)


class Secret:
    """Holds a text that prints as `***`; `reveal()` is the one way to read it."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; call only where it is used, never to show it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return f"Secret({MASK!r})" if self._text else "Secret('')"

    def __str__(self) -> str:
        return MASK if self._text else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        raise TypeError("a Secret is not pickled")


def is_placeholder(text: str) -> bool:
    """Tell whether `text` is empty or an example's blank to be filled in (`YOUR_USER_ID`, `<password>`)."""
    return not text.strip() or _PLACEHOLDER.match(text) is not None


def is_known_example(user: str, password: str) -> bool:
    """Tell whether the pair is a published example (`admin:admin`, `YOUR_PASSWORD`) and so no secret."""
    return (
        is_placeholder(password)
        or password.lower() in KNOWN_EXAMPLES
        or (bool(user) and password.lower() == user.lower())
    )
