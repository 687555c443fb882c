from os import PathLike

import pyarrow as pa

class Columns:
    """An answer's columns and where a file has them; the names of time and instrument must be among them."""

    def __init__(self, schema: pa.Schema, places: dict[str, int], time: str, instrument: str) -> None: ...

class ParquetFile:
    """A Parquet file, open until it is let go of. OSError: it cannot be read, or its columns are nested."""

    path: str
    def __init__(self, path: str | PathLike[str]) -> None: ...
    @property
    def names(self) -> list[str]: ...
    def rows_of(self, group: int) -> int: ...
    def read(
        self,
        group: int,
        columns: Columns,
        instrument: str,
        low: int,
        stop: int,
        *,
        limit: int | None = None,
        is_only: bool = False,
        descending: bool = False,
        may_wait: bool = True,
        head: bytes = b"",
        tail: bytes = b"",
    ) -> tuple[bytes, int, int, int] | None:
        """Return rows with low <= time (us) < stop, the first (descending: last) `limit` of them.

        As `head`, one record batch message and `tail`, nothing when there are none; with them their number
        and the times of the first and the last. None: the group is not of our writer. BlockingIOError: the
        disk would have to be waited for. OSError: the group is damaged.
        """

    def read_all(self, group: int, columns: Columns) -> tuple[bytes, int] | None:
        """Return all rows of a group as they lie, as one record batch message, and their number.

        None: the group is not of our writer. OSError: it is damaged. Blocking.
        """
