"""Rows that come in one request take time in proportion to their number."""

import time

import pytest

from tests.e2e.conftest import Server
from tests.e2e.test_hostile import server, sql
from tests.e2e.test_ingest import ingest

__all__ = ["server"]

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(180)]


def test_many_rows_at_once_take_time_in_proportion(server: Server) -> None:
    took = []
    for count in (20_000, 200_000):
        began = time.monotonic()
        assert ingest(server, "many", b"a\n" + b"1\n" * count, "text/csv")[0] == 200
        took.append(time.monotonic() - began)
    assert took[1] < 40 * took[0] + 5, took  # a hundred times when each cell cost as much as all rows
    assert sql(server, "SELECT count(*) AS n FROM many") == (200, [{"n": 220_000}])
