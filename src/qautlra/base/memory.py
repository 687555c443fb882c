"""What the process does with memory that was freed, and how often it looks for what could be."""

from __future__ import annotations

import ctypes
import gc

# glibc's <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# Pieces larger than this are mapped, each for itself, and given back to the system when they are freed.
MAPPED_BYTES = 4 << 20
KEPT_BYTES = 32 << 20
COLLECT_AT = (20_000, 20, 50)


def collect_seldom() -> None:
    """Have the garbage collector look less often, for a process that imports much and lives long.

    What modules are made of is no garbage: at Python's own thresholds a tenth of a start goes into looking
    for some. Cycles hold some memory for longer.
    """
    gc.set_threshold(*COLLECT_AT)


def keep_freed() -> bool:
    """Let the allocator keep what is freed, KEPT_BYTES at most at its end; return whether it can.

    Left to itself glibc gives the memory of an answer of 1,000 rows back and fetches it again for the next:
    200 page faults in two of a hundred answers, more than writing the rows takes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)) and bool(mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))


def give_back() -> None:
    """Return what is free to the system: what pyarrow's allocator has only when the main thread asks."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
