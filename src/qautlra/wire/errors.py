"""Errors on the wire: what a REST door answers for each of ours, and the close codes of the sockets."""

from __future__ import annotations

from typing import Any, Final

import orjson

from qautlra.base.errors import QautlraError

CLOSE_PROTOCOL: Final = 1002
CLOSE_TEXT: Final = 1007
CLOSE_POLICY: Final = 1008
CLOSE_TOO_BIG: Final = 1009
CLOSE_INTERNAL: Final = 1011
CLOSE_RESTART: Final = 1012  # never 1000 or 1001: TqSdk would come back without its subscriptions
CLOSE_TRY_LATER: Final = 1013


def body(message: str, **details: Any) -> bytes:
    """Return the body of a refused REST request: `{"error": message, **details}`."""
    return orjson.dumps({"error": message, **details}, default=str)


def of(error: QautlraError) -> tuple[int, bytes]:
    """Return the HTTP status and body for one of our errors."""
    return error.status, orjson.dumps(error.to_dict(), default=str)
