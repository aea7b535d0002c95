"""What every function here does at its door: columns checked, instants as whole seconds."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Seconds = NDArray[np.int64]
"""Whole epoch seconds, UTC."""
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class FrameError(ValueError):
    """A frame lacks columns; the message says which, and which are there."""


def check_columns(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse a frame without these columns.

    Raises:
        FrameError: naming what is missing and what is there.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        there = ", ".join(map(str, frame.columns))
        raise FrameError(f"{what}: no column {', '.join(missing)}; there are {there}")


def to_seconds(frame: pd.DataFrame, name: str) -> Seconds:
    """Epoch seconds of a column of instants with zone."""
    naive = pd.DatetimeIndex(frame[name]).tz_convert("UTC").tz_localize(None)
    return naive.to_numpy(dtype="datetime64[s]").astype(np.int64)


def to_floats(frame: pd.DataFrame, name: str) -> Floats:
    """The numbers of a column; NaN where there is none."""
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)


def to_instants(seconds: Seconds) -> pd.DatetimeIndex:
    """Instants `datetime64[s, UTC]` of epoch seconds."""
    return pd.DatetimeIndex(seconds.astype("datetime64[s]")).tz_localize("UTC")


def to_datetime(second: float) -> datetime:
    """The instant (UTC) of an epoch second."""
    return datetime.fromtimestamp(int(second), UTC)


def to_local_days(seconds: Seconds, zone: ZoneInfo) -> NDArray[np.datetime64]:
    """The local day (`datetime64[D]`) of each epoch second."""
    unique, inverse = np.unique(seconds, return_inverse=True)
    local = to_instants(unique).tz_convert(zone).tz_localize(None)
    return local.to_numpy(dtype="datetime64[s]").astype("datetime64[D]")[inverse]


def to_local_hours(seconds: Seconds, zone: ZoneInfo) -> NDArray[np.int64]:
    """The local hour of the day, 0 to 23, of each epoch second."""
    unique, inverse = np.unique(seconds, return_inverse=True)
    return to_instants(unique).tz_convert(zone).hour.to_numpy(dtype=np.int64)[inverse]


def to_day(day: np.datetime64) -> date:
    """The date of a `datetime64` day."""
    return day.astype("datetime64[D]").astype(object)


def group_starts(*keys: NDArray[np.generic]) -> NDArray[np.int64]:
    """Where a new group begins in rows that are sorted by these keys."""
    if keys[0].size == 0:
        return np.empty(0, dtype=np.int64)
    changed = np.zeros(keys[0].size, dtype=bool)
    changed[0] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changed)


def take_rows(frame: pd.DataFrame, rows: Flags | NDArray[np.int64]) -> pd.DataFrame:
    """These rows, numbered from 0."""
    chosen = np.flatnonzero(rows) if rows.dtype == bool else rows
    return frame.take(chosen).reset_index(drop=True)  # type: ignore[return-value, arg-type]  # pandas' own hints are narrower than its code


def code_of(frame: pd.DataFrame, name: str, ids: Sequence[str]) -> NDArray[np.int64]:
    """The index of each row's id in `ids`; -1 for others."""
    wanted = pd.Index(ids, dtype="str")
    return wanted.get_indexer(pd.Index(frame[name], dtype="str")).astype(np.int64)


def id_array(ids: Sequence[str], codes: NDArray[np.int64]) -> pd.api.extensions.ExtensionArray:
    """A column of ids from their codes."""
    return pd.array(list(ids), dtype="str").take(codes)


def to_days(frame: pd.DataFrame, name: str) -> NDArray[np.datetime64]:
    """A column of local days as `datetime64[D]`."""
    return frame[name].to_numpy(dtype="datetime64[D]")
