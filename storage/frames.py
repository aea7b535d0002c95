# pyright: standard
# pandas and numpy type their values too loosely for the strict rules.
"""What the frames of every adapter have in common: dtypes of time, columns that must be there."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from storage.errors import StoreError
from water import columns


def whole_seconds(at: datetime) -> int:
    """Epoch seconds; part of a second counts as a whole one, so that at >= start stays true."""
    whole = at.replace(microsecond=0)
    return int((whole + timedelta(seconds=whole != at)).timestamp())


def to_instants(seconds: Any) -> pd.DatetimeIndex:
    """Epoch seconds as datetime64[s, UTC]."""
    return pd.DatetimeIndex(np.asarray(seconds, np.int64).astype("datetime64[s]")).tz_localize(
        "UTC"
    )


def to_days(seconds: Any) -> pd.DatetimeIndex:
    """Days (epoch seconds of midnight read as UTC) as datetime64[s] without zone."""
    return pd.DatetimeIndex(np.asarray(seconds, np.int64).astype("datetime64[s]"))


def to_seconds(times: Any) -> np.ndarray:
    """Instants (with zone) or local days (without) as whole epoch seconds."""
    return pd.DatetimeIndex(times).as_unit("s").asi8


def require_columns(frame: pd.DataFrame, wanted: Sequence[str]) -> None:
    """Refuse a frame that lacks a column.

    Raises:
        StoreError: naming what is missing and what is there.
    """
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise StoreError(f"the frame lacks {', '.join(missing)}; it has {', '.join(frame.columns)}")


def touched_frame(meter_ids: Sequence[str], touched: Sequence[date]) -> pd.DataFrame:
    """Columns meter_id, day (local, datetime64[s])."""
    numbers = np.array(touched, "datetime64[D]").astype("datetime64[s]")
    return pd.DataFrame(
        {
            columns.METER_ID: pd.Series(list(meter_ids), dtype="str"),
            columns.DAY: pd.DatetimeIndex(numbers),
        }
    )
