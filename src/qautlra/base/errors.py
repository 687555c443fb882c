"""The tree of errors: each has a stable code, an HTTP status and says whether a retry can help.

Raise the narrowest; doors turn any of them into a reply, the supervisor decides by them who restarts.
"""

from __future__ import annotations

from typing import Any, ClassVar


class QautlraError(Exception):
    """Root of all our errors: `code`, `status`, `retryable`, a sentence for people, details for machines."""

    code: ClassVar[str] = "error"
    default_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, status: int | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.status = self.default_status if status is None else status
        self.details = details

    def to_dict(self) -> dict[str, Any]:
        """Return `{"error", "code", "retryable", **details}`, the body every REST door answers with."""
        return {"error": self.message, "code": self.code, "retryable": self.retryable, **self.details}


class ConfigError(QautlraError):
    """A setting is wrong: names the key, the value and where the value came from."""

    code = "config"

    def __init__(
        self, message: str, *, key: str = "", value: Any = None, origin: str = "", expected: str = ""
    ) -> None:
        parts = [f"{key} = {value!r}" if key and value is not None else key]
        if origin:
            parts.append(f"(from {origin})")
        where = " ".join(part for part in parts if part)
        text = f"{where}: {message}" if where else message
        if expected:
            text += f"; expected {expected}"
        super().__init__(text)
        self.key = key
        self.value = value
        self.origin = origin
        self.expected = expected


class InputError(QautlraError):
    """The caller's fault; only the caller hears of it."""

    code = "input"
    default_status = 400


class NotFoundError(InputError):
    """The named thing does not exist."""

    code = "not_found"
    default_status = 404


class LimitError(InputError):
    """A bound was met and the request is refused; `retry_after_s` in the details when waiting helps."""

    code = "limit"
    default_status = 429
    retryable = True


class AuthError(QautlraError):
    """Who is asking is unknown (401) or may not (403)."""

    code = "auth"
    default_status = 401


class SourceError(QautlraError):
    """A market data source failed or sent what cannot be read; it restarts alone."""

    code = "source"
    default_status = 503
    retryable = True


class LinkError(QautlraError):
    """An outside system (broker, queue, database) is away or answered wrongly."""

    code = "link"
    default_status = 503
    retryable = True


class StorageError(QautlraError):
    """A disk or data directory refused (full, locked, corrupt); `retryable=False` when it will not heal."""

    code = "storage"
    default_status = 503

    def __init__(
        self, message: str, *, status: int | None = None, retryable: bool = True, **details: Any
    ) -> None:
        super().__init__(message, status=status, **details)
        self.retryable = retryable  # type: ignore[misc]


class InvariantError(QautlraError):
    """Our own bug: what must hold does not. The process ends; start-up and recovery are the same code."""

    code = "invariant"


class UnavailableError(QautlraError):
    """The service that would answer is not running (yet, or in this mode)."""

    code = "unavailable"
    default_status = 503
    retryable = True
