"""Registers into volumes: linear interpolation at the edges of hours, sums into local days."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from water.city_time import CityTime
from water.meters import Meter, MeterChange


def compute_hourly_volumes(
    checked: pd.DataFrame,
    meters: Sequence[Meter],
    changes: Sequence[MeterChange],
    edges: Sequence[datetime],
    *,
    max_gap_factor: float,
) -> pd.DataFrame:
    """Volume of each meter between consecutive edges, m³.

    Args:
        checked: the frame that `check_series` returned, reaching CONTEXT_READINGS beyond the edges.
        meters: the meters to give rows for (also those without any reading: wholly missing).
        changes: recorded meter changes.
        edges: whole hours, ascending (CityTime.hour_edges).
        max_gap_factor: a gap between good readings of at most so many `interval_s` is measured.

    Returns:
        Columns HOURLY, a row for every meter × hour, sorted by (meter_id, start).
    """
    raise NotImplementedError


def compute_daily_volumes(hourly: pd.DataFrame, city: CityTime) -> pd.DataFrame:
    """Sum hours into local days, m³; give whole days, hours that are not there count as nothing.

    Returns:
        Columns DAILY, sorted by (meter_id, day). `volume_m3` is NaN when no hour has a volume;
        `lowest_hour_m3` comes from wholly measured hours.
    """
    raise NotImplementedError
