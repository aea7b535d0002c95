"""How rows and frames are written: JSON lines, compressed, and Parquet."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def write_rows(path: Path, rows: Iterable[Any]) -> int:
    """A row a line; how many."""
    count = 0
    with gzip.open(path, "wb", compresslevel=3) as file:
        for row in rows:
            file.write(_encode(row) + b"\n")
            count += 1
    return count


def read_rows(path: Path) -> Iterator[Any]:
    """The rows that `write_rows` wrote, one after the other."""
    with gzip.open(path, "rb") as file:
        for line in file:
            yield _decode(line)


def write_frames(path: Path, frames: Iterable[pd.DataFrame]) -> int:
    """Frames with the same columns, each a row group; how many rows. No row, no file."""
    count = 0
    writer: parquet.ParquetWriter | None = None
    try:
        for frame in frames:
            if frame.empty:
                continue
            table = pa.Table.from_pandas(frame, preserve_index=False)
            writer = writer or parquet.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=len(frame))
            count += len(frame)
    finally:
        if writer is not None:
            writer.close()
    return count


def read_frames(path: Path) -> Iterator[pd.DataFrame]:
    """The frames that `write_frames` wrote; times come back in milliseconds."""
    with parquet.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number).to_pandas()
