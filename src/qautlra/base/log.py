"""Structured logs on standard error: one event per line, text or JSON; nothing is logged per tick."""

from __future__ import annotations

import logging
import sys
from collections import OrderedDict
from typing import Any, TextIO

from qautlra.base.clock import monotonic_s
from qautlra.base.imports import left_out
from qautlra.base.secret import MASK, Secret

with left_out("rich"):  # for tracebacks with variables, which we do not show
    import structlog

LEVELS = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40, "critical": 50}
_HIDDEN_KEYS = ("password", "secret", "token", "auth_code", "authorization")
_REPEAT_KEYS_COUNT = 1024


def _mask(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key, value in event.items():
        if isinstance(value, Secret):
            event[key] = str(value)
        elif isinstance(value, str) and value and any(hidden in key.lower() for hidden in _HIDDEN_KEYS):
            event[key] = MASK
    return event


def configure(level: str = "info", style: str = "auto", stream: TextIO | None = None) -> None:
    """Set the process's log: `level` of LEVELS, `style` text|json|auto (text on a terminal)."""
    out = stream or sys.stderr
    number = LEVELS[level.lower()]
    as_json = style == "json" or (style == "auto" and not out.isatty())
    render: Any = (
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=out.isatty(),
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,  # rich's shows variables: slow, and secrets
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _mask,
            *([structlog.processors.format_exc_info] if as_json else []),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=out, force=True)


def get_logger(room: str) -> structlog.typing.FilteringBoundLogger:
    """Return the room's logger; events are short snake_case names with their facts as keywords."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


class Seldom:
    """Says whether a repeating event should be logged now: once per key and `every_s` seconds."""

    def __init__(self, every_s: float = 10.0) -> None:
        self._every_s = every_s
        self._last: OrderedDict[object, tuple[float, int]] = OrderedDict()

    def due(self, key: object) -> int:
        """Return 0 to keep silent, else how many times the event happened since it was last logged (>= 1)."""
        now = monotonic_s()
        last, missed = self._last.get(key, (-self._every_s, 0))
        if now - last < self._every_s:
            self._last[key] = (last, missed + 1)
            return 0
        self._last[key] = (now, 0)
        self._last.move_to_end(key)
        if len(self._last) > _REPEAT_KEYS_COUNT:
            self._last.popitem(last=False)
        return missed + 1
