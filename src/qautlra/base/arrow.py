"""What a process of ours tells pyarrow."""

from __future__ import annotations

import pyarrow as pa

from qautlra.base.imports import left_out


def leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas, which it does with the first array it makes where there is one.

    That takes a sixth of a second and 35 MB nobody here has a use for. `to_pandas()` still imports it. For
    processes of ours, not for a user's program: frames are then no longer taken for columns.
    """
    with left_out("pandas"):
        pa.array([None])
