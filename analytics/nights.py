"""Night flow: the minimum of a zone's net inflow in the night window, net of large users."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analytics.frames import check_columns, to_floats, to_local_days, to_local_hours, to_seconds
from water.city_time import CityTime
from water.columns import (
    BASELINE_M3_H,
    DAY,
    HOURLY,
    INFLOW_M3,
    MEASURED_SHARE,
    METER_ID,
    MINIMUM_NIGHT_FLOW_M3_H,
    NET_NIGHT_FLOW_M3_H,
    NIGHT_USE_M3_H,
    START,
    VOLUME_M3,
    ZONE_HOURS,
    ZONE_ID,
    ZONE_NIGHTS,
)
from water.meters import Meter, MeterRole


def compute_zone_nights(
    zone_hours: pd.DataFrame, hourly: pd.DataFrame, meters: Sequence[Meter], city: CityTime
) -> pd.DataFrame:
    """Night flow of each zone and local day on which an hour of the night window lies, m³/h.

    The minimum night flow is the least hourly sum over all inlets and outlets (CJJ 92-2016 4.4.7:
    02:00–05:00), from hours that all of them measured wholly; the night use is what the zone's
    large users' meters show in that very hour, the net night flow the difference. Where a user's
    hour is not known, night use and net night flow are NaN: its use would look like a leak.

    Args:
        zone_hours: columns ZONE_HOURS.
        hourly: columns HOURLY with the zones' large users in the same hours.
        meters: customer meters name the zone they lie in.
        city: says which hours are night.

    Returns:
        Columns ZONE_NIGHTS, sorted by (zone_id, day), baseline NaN; `measured_share` is the share
        of the window's hours that were wholly measured.
    """
    check_columns(zone_hours, ZONE_HOURS, "zone hours")
    check_columns(hourly, HOURLY, "hourly volumes")
    hours = _night_hours(zone_hours, city)
    hours[DAY] = to_local_days(to_seconds(hours, START), city.zone).astype("datetime64[s]")
    whole = (to_floats(hours, MEASURED_SHARE) >= 1) & ~np.isnan(to_floats(hours, INFLOW_M3))
    nights = hours.groupby([ZONE_ID, DAY], sort=True).size().to_frame("hours")
    measured = hours.take(np.flatnonzero(whole)).sort_values(
        [ZONE_ID, DAY, INFLOW_M3, START], ignore_index=True
    )
    counted = measured.groupby([ZONE_ID, DAY]).size()
    least = measured.drop_duplicates([ZONE_ID, DAY]).set_index([ZONE_ID, DAY])
    window = city.night[1] - city.night[0]
    nights[MEASURED_SHARE] = counted.reindex(nights.index, fill_value=0) / window
    nights[[START, MINIMUM_NIGHT_FLOW_M3_H]] = least[[START, INFLOW_M3]].reindex(nights.index)
    nights = nights.reset_index()
    nights[NIGHT_USE_M3_H] = _night_use(nights, hourly, meters, city)
    nights[NET_NIGHT_FLOW_M3_H] = nights[MINIMUM_NIGHT_FLOW_M3_H] - nights[NIGHT_USE_M3_H]
    nights[BASELINE_M3_H] = np.nan
    return nights[list(ZONE_NIGHTS)]


def _night_hours(frame: pd.DataFrame, city: CityTime) -> pd.DataFrame:
    hour = to_local_hours(to_seconds(frame, START), city.zone)
    rows = np.flatnonzero((hour >= city.night[0]) & (hour < city.night[1]))
    return frame.take(rows).reset_index(drop=True)


def _night_use(
    nights: pd.DataFrame, hourly: pd.DataFrame, meters: Sequence[Meter], city: CityTime
) -> pd.Series:
    """Use of the large users of each night's zone in the hour of its minimum, m³/h."""
    users = {m.id: m for m in meters if m.zone_id and m.role is MeterRole.CUSTOMER}
    rows = np.flatnonzero(hourly[METER_ID].isin(list(users)))
    uses = _night_hours(hourly.take(rows).reset_index(drop=True), city)
    zone_of = {meter_id: meter.zone_id for meter_id, meter in users.items()}
    uses[ZONE_ID] = pd.array(uses[METER_ID].map(zone_of), dtype="str")
    by_hour = uses.groupby([ZONE_ID, START])[VOLUME_M3].agg(["sum", "count", "size"])
    use = by_hour["sum"].where(by_hour["count"] == by_hour["size"])
    wanted = pd.MultiIndex.from_frame(nights[[ZONE_ID, START]])
    metered = pd.Index(nights[ZONE_ID]).isin(list(zone_of.values()))
    found = use.reindex(wanted).to_numpy()
    silent = np.where(metered | nights[START].isna(), np.nan, 0.0)
    return pd.Series(np.where(np.isnan(found), silent, found), index=nights.index)
