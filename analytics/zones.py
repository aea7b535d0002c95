"""Zones: net inflow of the inlets and outlets, metered use of the large users inside."""

from collections.abc import Sequence

import pandas as pd

from water.meters import Meter


def compute_zone_hours(hourly: pd.DataFrame, meters: Sequence[Meter]) -> pd.DataFrame:
    """Net inflow and large users' use of each zone and hour, m³.

    Returns:
        Columns ZONE_HOURS, sorted by (zone_id, start). `inflow_m3` is NaN when an inlet's or
        outlet's volume is; `measured_share` is the least of the inlets and outlets.
    """
    raise NotImplementedError


def compute_zone_days(daily: pd.DataFrame, meters: Sequence[Meter]) -> pd.DataFrame:
    """Net inflow and large users' use of each zone and local day, m³.

    Returns:
        Columns ZONE_DAYS, sorted by (zone_id, day); the shares are the mean of the inlets' and
        outlets' shares.
    """
    raise NotImplementedError
