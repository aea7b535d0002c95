"""Zones: net inflow of the inlets and outlets, metered use of the large users inside."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.frames import check_columns
from water.columns import (
    DAILY,
    DAY,
    HOURLY,
    INFLOW_M3,
    LARGE_USE_M3,
    MEASURED_SHARE,
    METER_ID,
    SHARES,
    START,
    VOLUME_M3,
    ZONE_DAYS,
    ZONE_HOURS,
    ZONE_ID,
)
from water.meters import Meter, MeterRole

_SIGN = {MeterRole.ZONE_INLET: 1.0, MeterRole.ZONE_OUTLET: -1.0}


def compute_zone_hours(hourly: pd.DataFrame, meters: Sequence[Meter]) -> pd.DataFrame:
    """Net inflow and large users' use of each zone and hour, m³.

    Returns:
        Columns ZONE_HOURS, sorted by (zone_id, start). `inflow_m3` is NaN when an inlet's or
        outlet's volume is not known or not there; `measured_share` is the least of the inlets and
        outlets. `large_use_m3` sums what is known.
    """
    check_columns(hourly, HOURLY, "hourly volumes")
    return _zone_periods(hourly, meters, START, {MEASURED_SHARE: "min"}, ZONE_HOURS)


def compute_zone_days(daily: pd.DataFrame, meters: Sequence[Meter]) -> pd.DataFrame:
    """Net inflow and large users' use of each zone and local day, m³.

    Returns:
        Columns ZONE_DAYS, sorted by (zone_id, day); the shares are the mean of the inlets' and
        outlets' shares. `inflow_m3` is of the known time; NaN when nothing of a meter is known.
    """
    check_columns(daily, DAILY, "daily volumes")
    return _zone_periods(daily, meters, DAY, dict.fromkeys(SHARES, "mean"), ZONE_DAYS)


def _zone_periods(
    volumes: pd.DataFrame,
    meters: Sequence[Meter],
    period: str,
    shares: dict[str, str],
    columns: Sequence[str],
) -> pd.DataFrame:
    bounds = {m.id: m for m in meters if m.zone_id and m.role in _SIGN}
    users = {m.id: m for m in meters if m.zone_id and m.role is MeterRole.CUSTOMER}
    flows = _of_meters(volumes, bounds)
    flows[INFLOW_M3] = flows[VOLUME_M3] * flows[METER_ID].map(
        {meter_id: _SIGN[meter.role] for meter_id, meter in bounds.items()}
    )
    expected = pd.Series([m.zone_id for m in bounds.values()], dtype="str").value_counts()
    by_zone = flows.groupby([ZONE_ID, period], sort=True)
    zones = by_zone.agg({INFLOW_M3: "sum", **shares})
    known = by_zone[VOLUME_M3].count().to_numpy()
    wanted = expected.reindex(zones.index.get_level_values(0)).to_numpy()
    zones[INFLOW_M3] = np.where(known == wanted, zones[INFLOW_M3], np.nan)
    uses = _of_meters(volumes, users).groupby([ZONE_ID, period])[VOLUME_M3].sum()
    zones[LARGE_USE_M3] = uses.reindex(zones.index, fill_value=0.0)
    return zones.reset_index()[list(columns)]


def _of_meters(volumes: pd.DataFrame, meters: dict[str, Meter]) -> pd.DataFrame:
    """The rows of these meters, with their zone."""
    rows: NDArray[np.int64] = np.flatnonzero(volumes[METER_ID].isin(list(meters)))
    chosen = volumes.take(rows).reset_index(drop=True)
    zone_of = {meter_id: meter.zone_id for meter_id, meter in meters.items()}
    chosen[ZONE_ID] = pd.array(chosen[METER_ID].map(zone_of), dtype="str")
    return chosen
