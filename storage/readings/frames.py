# pyright: standard
# pandas and pyarrow ship no stubs: strict rules about unknown types have nothing to hold on to.
"""Between SQLite rows, Arrow tables and the frames of water.columns."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from storage.frames import to_days, to_instants, to_seconds
from storage.readings.partitions import numbered_day
from storage.readings.tier import Tier
from water import columns

_FETCH = 50_000
_ARROW = {"INTEGER": pa.int64(), "REAL": pa.float64()}


def fetch_rows(cursor: sqlite3.Cursor, tier: Tier) -> pa.Table:
    """The cursor's rows (all columns of the tier) as an Arrow table."""
    kinds = [_ARROW["INTEGER"], _ARROW["INTEGER"], *(_ARROW[k] for k in tier.others.values())]
    schema = pa.schema(list(zip(tier.columns, kinds, strict=True)))
    batches: list[pa.RecordBatch] = []
    while rows := cursor.fetchmany(_FETCH):
        arrays = [pa.array(c, k) for c, k in zip(zip(*rows, strict=True), kinds, strict=True)]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema)


def keys_table(keys: Sequence[int]) -> pa.Table:
    """Meter keys as a table with the one column `meter`."""
    return pa.table({"meter": pa.array(keys, pa.int64())})


def names_table(keys: Mapping[str, int]) -> pa.Table:
    """Meter keys with their ids: columns meter, meter_id."""
    return pa.table(
        {"meter": pa.array(keys.values(), pa.int64()), "meter_id": pa.array(keys, pa.string())}
    )


def column(table: pa.Table, name: str) -> np.ndarray:
    """A column as an array; nulls of a float column are NaN."""
    return table.column(name).to_numpy()


def build_frame(table: pa.Table, tier: Tier, keys: Mapping[str, int], at: str) -> pd.DataFrame:
    """Rows of a tier as a frame of water.columns, sorted by (meter_id, at).

    `at` is what the frame calls the time column: columns.AT, START or DAY.
    """
    ids = sorted(keys)
    rank_of_key = np.zeros(max(keys.values(), default=0) + 1, np.int64)
    rank_of_key[[keys[i] for i in ids]] = np.arange(len(ids))
    ranks, times = rank_of_key[column(table, "meter")], column(table, "at")
    order = np.lexsort((times, ranks))
    found: dict[str, Any] = {
        columns.METER_ID: pd.array(ids, dtype="str").take(ranks[order]),
        at: (to_days if at == columns.DAY else to_instants)(times[order]),
    }
    for name in tier.others:
        values = column(table, name)[order]
        found[name] = to_instants(values) if name == columns.RECEIVED_AT else values
    return pd.DataFrame(found)


def frame_rows(
    frame: pd.DataFrame, tier: Tier, keys: Mapping[str, int], at: str
) -> list[tuple[int | float, ...]]:
    """A frame of volumes as rows of a tier, in physical order."""
    meters = np.array([keys[m] for m in frame[columns.METER_ID]], np.int64)
    times = to_seconds(frame[at])
    order = np.lexsort((meters, times))
    arrays = [times, meters, *(frame[name].to_numpy(np.float64) for name in tier.others)]
    return list(zip(*(values[order].tolist() for values in arrays), strict=True))


def pack_pairs(pairs: Sequence[tuple[int, int]]) -> bytes:
    """(meter key, day number) pairs, eight bytes each."""
    return np.array(sorted(pairs), "<i4").tobytes()


def unpack_pairs(packed: bytes) -> list[tuple[int, int]]:
    """The pairs that `pack_pairs` packed."""
    return [(m, d) for m, d in np.frombuffer(packed, "<i4").reshape(-1, 2).tolist()]


def day_of_number(number: int) -> date:
    """The day behind the number in a packed pair."""
    return numbered_day(number)
