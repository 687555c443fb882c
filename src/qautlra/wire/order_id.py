"""What an order may be called, at whichever door it comes in."""

from __future__ import annotations

import re
from typing import Final

BYTES_MAX: Final = 256
SAID: Final = "1 to 256 bytes without = # | ; / and without characters that are not shown"

_FORBIDDEN: Final = r"=#|;/\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
"""Marks that other protocols part names by; controls; what is not shown, or turns around what is."""
_pattern: Final = re.compile(f"[^{_FORBIDDEN}]+")


def is_order_id(text: str) -> bool:
    """Tell whether an order may be called that."""
    is_short = len(text) <= BYTES_MAX and (text.isascii() or len(text.encode()) <= BYTES_MAX)
    return is_short and _pattern.fullmatch(text) is not None
