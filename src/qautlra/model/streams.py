"""What a user says of a stream when making it."""

from __future__ import annotations

from msgspec import Struct


class StreamOptions(Struct, frozen=True, kw_only=True):
    """`fields` are declared columns (name, type); a static stream takes no others."""

    is_static: bool = False
    update: bool = False
    time_partition: str = ""
    time_limit_days: int = 0
    custom_partition: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] | None = None
