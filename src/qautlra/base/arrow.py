"""What a process of ours tells pyarrow."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

import pyarrow as pa


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(f"{fullname} is left out for now", name=fullname)


def leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas, which it does with the first array it makes where there is one.

    That takes a sixth of a second and 35 MB nobody here has a use for. `to_pandas()` still imports it. For
    processes of ours, not for a user's program: frames are then no longer taken for columns.
    """
    if "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([None])
    finally:
        sys.meta_path.remove(finder)
