"""Night flow: the minimum of a zone's net inflow in the night window, its baseline, its rise."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from water.city_time import CityTime
from water.findings import Evaluation
from water.meters import Meter
from water.policy import Policy
from water.zones import Works


def compute_zone_nights(
    zone_hours: pd.DataFrame, hourly: pd.DataFrame, meters: Sequence[Meter], city: CityTime
) -> pd.DataFrame:
    """Night flow of each zone and local day on which an hour of the night window lies, m³/h.

    Args:
        zone_hours: columns ZONE_HOURS.
        hourly: columns HOURLY with the zones' large users in the same hours.
        meters: customer meters name the zone they lie in.
        city: says which hours are night.

    Returns:
        Columns ZONE_NIGHTS, sorted by (zone_id, day), baseline NaN.
    """
    raise NotImplementedError


def add_baseline(
    nights: pd.DataFrame,
    zone_days: pd.DataFrame,
    works: Sequence[Works],
    *,
    policy: Policy,
    city: CityTime,
) -> pd.DataFrame:
    """Fill `baseline_m3_h`, m³/h: what the net night flow was before, robust against steps.

    Give all kept nights of a zone (half a year and more), not only the new ones.
    """
    raise NotImplementedError


def detect_night_flow_rise(
    nights: pd.DataFrame,
    zone_days: pd.DataFrame,
    works: Sequence[Works],
    *,
    policy: Policy,
    city: CityTime,
    now: datetime,
) -> Evaluation:
    """Find zones whose net night flow rose and stayed up (NIGHT_FLOW_RISE, subject zone).

    Args:
        nights: columns ZONE_NIGHTS of at least the last 180 days, with or without baseline.
        zone_days: columns ZONE_DAYS of at least the last 60 days, for the mean inflow.
        works: works that explain flows; their nights are left out.
        policy: night_* keys.
        city: the city's days.
        now: the instant of the analysis.
    """
    raise NotImplementedError
