"""Zones: net inflow of the inlets and outlets, metered use of the large users inside."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.frames import Floats, check_columns, code_of, id_array, to_floats
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
    sums = _sum_zones(hourly, START, meters)
    least = np.ones(sums.zone.size)
    np.minimum.at(least, sums.group, to_floats(hourly, MEASURED_SHARE)[sums.row])
    frame = _zone_frame(hourly, START, sums)
    frame[MEASURED_SHARE] = least
    return frame.reindex(columns=list(ZONE_HOURS))


def compute_zone_days(daily: pd.DataFrame, meters: Sequence[Meter]) -> pd.DataFrame:
    """Net inflow and large users' use of each zone and local day, m³.

    Returns:
        Columns ZONE_DAYS, sorted by (zone_id, day); the shares are the mean of the inlets' and
        outlets' shares. `inflow_m3` is of the known time; NaN when nothing of a meter is known.
    """
    check_columns(daily, DAILY, "daily volumes")
    sums = _sum_zones(daily, DAY, meters)
    frame = _zone_frame(daily, DAY, sums)
    count = np.bincount(sums.group, minlength=sums.zone.size)
    for share in SHARES:
        total = np.bincount(sums.group, to_floats(daily, share)[sums.row], sums.zone.size)
        frame[share] = total / np.maximum(count, 1)
    return frame.reindex(columns=list(ZONE_DAYS))


@dataclass(frozen=True, slots=True)
class _ZoneSums:
    """Sums of zones and periods, and the rows (of inlets and outlets) that each was made of."""

    zone_ids: list[str]
    zone: NDArray[np.int64]
    example: NDArray[np.int64]
    """A row of the period, to take its instant or day from."""
    row: NDArray[np.int64]
    group: NDArray[np.int64]
    inflow_m3: Floats
    large_use_m3: Floats


def _sum_zones(volumes: pd.DataFrame, period: str, meters: Sequence[Meter]) -> _ZoneSums:
    bounds = [m for m in meters if m.zone_id and m.role in _SIGN]
    users = [m for m in meters if m.zone_id and m.role is MeterRole.CUSTOMER]
    zone_ids = sorted({str(m.zone_id) for m in bounds})
    periods, when = np.unique(volumes[period].to_numpy(dtype="datetime64[s]"), return_inverse=True)
    volume = to_floats(volumes, VOLUME_M3)
    row, meter, zone = _rows_of(volumes, bounds, zone_ids)
    keys, first, group = np.unique(
        zone * periods.size + when[row], return_index=True, return_inverse=True
    )
    sign = np.array([_SIGN[m.role] for m in bounds], dtype=np.float64)[meter]
    inflow = _sums(group, np.nan_to_num(volume[row]) * sign, keys.size)
    known = np.bincount(group, ~np.isnan(volume[row]), keys.size)
    wanted = np.bincount([zone_ids.index(str(m.zone_id)) for m in bounds], minlength=len(zone_ids))
    inflow[known < wanted[keys // max(periods.size, 1)]] = np.nan
    used, _, use_zone = _rows_of(volumes, users, zone_ids)
    sought = use_zone * periods.size + when[used]
    place = np.searchsorted(keys, sought)
    there = np.isin(sought, keys)
    use = _sums(place[there], np.nan_to_num(volume[used[there]]), keys.size)
    zones = keys // max(periods.size, 1)
    return _ZoneSums(zone_ids, zones, row[first], row, group, inflow, use)


def _sums(group: NDArray[np.int64], values: Floats, groups: int) -> Floats:
    return np.asarray(np.bincount(group, values, groups), dtype=np.float64)


def _rows_of(
    volumes: pd.DataFrame, meters: Sequence[Meter], zone_ids: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The rows of these meters in these zones, the index of each row's meter and zone."""
    zone_index = {zone_id: index for index, zone_id in enumerate(zone_ids)}
    zone_of = np.array([zone_index.get(str(m.zone_id), -1) for m in meters], dtype=np.int64)
    meter = code_of(volumes, METER_ID, [m.id for m in meters])
    row = np.flatnonzero(meter >= 0)
    row = row[zone_of[meter[row]] >= 0]
    return row, meter[row], zone_of[meter[row]]


def _zone_frame(volumes: pd.DataFrame, period: str, sums: _ZoneSums) -> pd.DataFrame:
    return pd.DataFrame(
        {
            ZONE_ID: id_array(sums.zone_ids, sums.zone),
            period: volumes[period].array.take(sums.example),
            INFLOW_M3: sums.inflow_m3,
            LARGE_USE_M3: sums.large_use_m3,
        }
    )
