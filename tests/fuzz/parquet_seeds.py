"""Makes the seeds of parquet_fuzz.cpp: frames, footers and column chunks as pyarrow writes them. Run by hand.

Without checksums of pages, so that what a fuzzer changes is read on.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 600
PLACE = Path(__file__).parent / "corpus" / "parquet"
FORMS = {"INT32": 0, "INT64": 1, "DOUBLE": 2, "BYTE_ARRAY": 3}


def main() -> None:
    """Write them anew."""
    PLACE.mkdir(parents=True, exist_ok=True)
    for name, seed in (*frames(), *files()):
        (PLACE / name).write_bytes(seed)


def frames() -> list[tuple[str, bytes]]:
    """Return contents of several kinds, packed at several levels."""
    rng = np.random.default_rng(7)
    contents = {
        "noise": rng.bytes(400),
        "one": b"x" * 3_000,
        "skewed": rng.geometric(0.3, 1_500).astype(np.uint8).tobytes(),
        "prices": (np.cumsum(rng.integers(-2, 3, 400)) * 0.2 + 4_000).tobytes(),
        "words": b" ".join(rng.choice([b"bid", b"ask", b"last", b"volume"], 400).tolist()),
        "empty": b"",
    }
    found = []
    for name, content in contents.items():
        for level in (1, 9, 19):
            packed = pa.Codec("zstd", compression_level=level).compress(content, asbytes=True)
            size = len(content)
            head = bytes((0, 0)) + struct.pack("<HH", size & 0xFFFF, size >> 16) + bytes(2)
            found.append((f"frame_{name}_{level}", head + packed))
    return found


def files() -> list[tuple[str, bytes]]:
    """Return the footer and the chunks of small files."""
    rng = np.random.default_rng(8)
    holes = rng.random(ROWS) < 0.2
    columns = {
        "times": pa.array(np.arange(ROWS) * 500_000, pa.timestamp("us", "UTC")),
        "days": pa.array(np.full(ROWS, 20_000, np.int32)),
        "counts": pa.array(np.cumsum(rng.integers(0, 90, ROWS)), mask=holes),
        "wide": pa.array(rng.integers(-(2**63), 2**63, ROWS)),
        "prices": pa.array(np.round(rng.normal(4_000, 2, ROWS), 1), mask=holes),
        "calm": pa.array(np.full(ROWS, 9.25)),
        "nothing": pa.nulls(ROWS, pa.float64()),
        "names": pa.array(np.repeat(["DCE.m2601", "SHFE.ag2512", "SHFE.au2512"], ROWS // 3)),
        "texts": pa.array(rng.choice(["sim", "ctp", "甲"], ROWS), mask=holes),
    }
    table = pa.table(columns)
    found = []
    for codec in ("zstd", "none"):
        sink = io.BytesIO()
        pq.write_table(
            table, sink, compression=codec, use_dictionary=["calm", "names", "texts"], store_schema=False,
            column_encoding=dict.fromkeys(("times", "days", "counts", "wide"), "DELTA_BINARY_PACKED"),
            write_batch_size=256, data_page_size=64,
        )  # fmt: skip
        content = sink.getvalue()
        size = struct.unpack("<I", content[-8:-4])[0]
        found.append((f"footer_{codec}", bytes((1,)) + bytes(7) + content[-8 - size : -8]))
        group = pq.read_metadata(sink).row_group(0)
        for at in range(group.num_columns):
            chunk = group.column(at)
            begin = chunk.dictionary_page_offset or chunk.data_page_offset
            form = FORMS[chunk.physical_type] | (4 if codec == "zstd" else 0) | 8
            head = bytes((2, form)) + struct.pack("<HHH", ROWS, 100, 399)
            body = content[begin : begin + chunk.total_compressed_size]
            found.append((f"chunk_{codec}_{table.column_names[at]}", head + body))
    return found


if __name__ == "__main__":
    main()
