"""Processes of ours do without pandas, also where it is installed."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytest.importorskip("pandas")

STORY = """
import sys
import qautlra.app.compose, qautlra.store.fileworker, qautlra.store.sqlworker
assert "pandas" not in sys.modules, "an import of ours makes an array"
import pyarrow as pa
from qautlra.base.arrow import leave_pandas_out
leave_pandas_out()
table = pa.table({"a": [1, 2]})
table.column("a").cast(pa.float64())
pa.scalar(1)
assert "pandas" not in sys.modules
assert table.to_pandas().shape == (2, 1)
import pandas
leave_pandas_out()
assert pa.table({"a": pandas.Series([1.5])}).to_pylist() == [{"a": 1.5}]
"""


def test_pandas_stays_out_until_it_is_asked_for() -> None:
    told = subprocess.run([sys.executable, "-c", STORY], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr


def test_pyarrow_imports_it_by_itself() -> None:
    """If this fails there is nothing left to keep out."""
    story = "import sys, pyarrow as pa; pa.array([None]); assert 'pandas' in sys.modules"
    subprocess.run([sys.executable, "-c", story], timeout=60, check=True)
