"""Daily volumes as tables: one row a meter, one column a local day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.frames import Floats, check_columns, code_of, to_days, to_floats
from water.calendar import Calendar, DayKind
from water.city_time import CityTime, days_between
from water.columns import (
    DAILY,
    DAY,
    ESTIMATED_SHARE,
    LOWEST_HOUR_M3,
    MEASURED_SHARE,
    METER_ID,
    VOLUME_M3,
)
from water.meters import Meter

KIND_NAMES = list(DayKind)


@dataclass(frozen=True, slots=True)
class DayGrid:
    """Arrays of shape (meters, days); a day without a row has NaN volume and shares 0."""

    meters: list[Meter]
    days: list[date]
    volume_m3: Floats
    lowest_hour_m3: Floats
    measured_share: Floats
    estimated_share: Floats


def grid_of(daily: pd.DataFrame, meters: Sequence[Meter], first: date, last: date) -> DayGrid:
    """Lay daily volumes (columns DAILY) out over the days from `first` to `last`, both included."""
    check_columns(daily, DAILY, "daily volumes")
    chosen = sorted(meters, key=lambda meter: meter.id)
    days = days_between(first, last)
    meter = code_of(daily, METER_ID, [m.id for m in chosen])
    column = (to_days(daily, DAY) - np.datetime64(first)).astype(np.int64)
    row = np.flatnonzero((meter >= 0) & (column >= 0) & (column < len(days)))

    def lay(name: str, blank: float) -> Floats:
        table = np.full((len(chosen), len(days)), blank)
        table[meter[row], column[row]] = to_floats(daily, name)[row]
        return table

    return DayGrid(
        chosen, days, lay(VOLUME_M3, np.nan), lay(LOWEST_HOUR_M3, np.nan),
        lay(MEASURED_SHARE, 0.0), lay(ESTIMATED_SHARE, 0.0),
    )  # fmt: skip


def service_days(
    meters: Sequence[Meter], days: Sequence[date], city: CityTime, until: datetime | None = None
) -> Floats:
    """The share of each local day that each meter was in service (and that lies before `until`)."""
    bounds = [city.day_bounds(day) for day in days]
    begins = np.array([begin.timestamp() for begin, _ in bounds])
    ends = np.array([end.timestamp() for _, end in bounds])
    starts = [m.in_service_from.timestamp() if m.in_service_from else -np.inf for m in meters]
    stops = [m.in_service_to.timestamp() if m.in_service_to else np.inf for m in meters]
    stop = np.minimum(np.array(stops), until.timestamp() if until else np.inf)
    first = np.maximum(begins[None, :], np.array(starts)[:, None])
    last = np.minimum(ends[None, :], stop[:, None])
    return np.clip((last - first) / (ends - begins), 0, 1)


def kinds_of(days: Sequence[date], calendar: Calendar) -> NDArray[np.int64]:
    """The kind of each day, as its index in KIND_NAMES."""
    return np.array([KIND_NAMES.index(calendar.kind(day)) for day in days], dtype=np.int64)
