"""Stream names and paths: a corpus of what must not become a path."""

from datetime import date
from pathlib import Path

import pytest

from qautlra.base.errors import InputError, StorageError
from qautlra.store.names import check_stream_name, inside, partition_dir

BAD = ["", "..", ".", "a/b", "/etc", "a\\b", "%2e%2e", "a\0b", "A", "1a", "_a", "a-b", "a b", "a.b",
       "\uff0e\uff0e", "a" * 65, "futures_market\n", "ａ", "../futures_market", "~",
       "C:", "a/../../x"]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_traversal_corpus(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a stream name"):
        check_stream_name(name)
    with pytest.raises(InputError):
        partition_dir(tmp_path, name, date(2021, 1, 4))


def test_a_partition(tmp_path: Path) -> None:
    assert partition_dir(tmp_path, "futures_market", date(2021, 1, 4)) == (
        tmp_path / "stream=futures_market" / "date=2021-01-04"
    )
    assert check_stream_name("a" * 64)


def test_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path)
    for path in ("../x", "link/x", "link"):
        with pytest.raises(StorageError):
            inside(tmp_path / "data", tmp_path / "data" / path)
    with pytest.raises(StorageError):
        inside(tmp_path / "data", Path("/etc/passwd"))
