"""Zones: net inflow of the inlets and outlets, metered use of the large users inside."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.frames import (
    Floats,
    check_columns,
    code_of,
    id_array,
    to_day,
    to_days,
    to_floats,
)
from analytics.grid import service_days
from analytics.nesting import users_by_depth
from water.city_time import CityTime
from water.columns import (
    DAILY,
    DAY,
    ESTIMATED_SHARE,
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
from water.zones import Zone

_NOTHING = 1e-9
"""A share below this is rounding."""
_SIGN = {MeterRole.ZONE_INLET: 1.0, MeterRole.ZONE_OUTLET: -1.0}


def compute_zone_hours(
    hourly: pd.DataFrame, meters: Sequence[Meter], zones: Sequence[Zone] = ()
) -> pd.DataFrame:
    """Net inflow and large users' use of each zone and hour, m³.

    Args:
        hourly: columns HOURLY.
        meters: inlets, outlets and customer meters name their zone.
        zones: say which zone lies in which; the users of inner zones are users of the outer one.

    Returns:
        Columns ZONE_HOURS, sorted by (zone_id, start). `inflow_m3` is NaN when an inlet's or
        outlet's volume is not known or not there; `measured_share` is the least of the inlets and
        outlets. `large_use_m3` sums what is known.
    """
    check_columns(hourly, HOURLY, "hourly volumes")
    sums = _sum_zones(hourly, START, meters, zones)
    least = np.ones(sums.cell.size)
    np.minimum.at(least, sums.group, to_floats(hourly, MEASURED_SHARE)[sums.row])
    frame = _zone_frame(hourly, START, sums)
    frame[MEASURED_SHARE] = least
    return frame.reindex(columns=list(ZONE_HOURS))


def compute_zone_days(
    daily: pd.DataFrame, meters: Sequence[Meter], city: CityTime, zones: Sequence[Zone] = ()
) -> pd.DataFrame:
    """Net inflow and large users' use of each zone and local day, m³.

    Args:
        daily: columns DAILY.
        meters: inlets, outlets and customer meters name their zone.
        city: the city's days.
        zones: say which zone lies in which; the users of inner zones are users of the outer one.

    Returns:
        Columns ZONE_DAYS, sorted by (zone_id, day); the shares are the mean of the meters' shares:
        inlets, outlets and users in service. `inflow_m3` is of the known time; NaN when nothing of
        a meter is known. `large_use_m3` sums what is known: only where `missing_share` is 0 is the
        difference of both the water that nobody is known to have taken.
    """
    check_columns(daily, DAILY, "daily volumes")
    sums = _sum_zones(daily, DAY, meters, zones)
    frame = _zone_frame(daily, DAY, sums)
    shares = _shares_of_users(daily, meters, city, zones, sums)[:, sums.cell]
    for index, share in enumerate(SHARES):
        shares[index] += _sums(sums.group, to_floats(daily, share)[sums.row], sums.cell.size)
    shares[2, shares[2] < _NOTHING] = 0.0
    shares /= np.maximum(shares.sum(axis=0), _NOTHING)
    for index, share in enumerate(SHARES):
        frame[share] = shares[index]
    return frame.reindex(columns=list(ZONE_DAYS))


def _shares_of_users(
    daily: pd.DataFrame,
    meters: Sequence[Meter],
    city: CityTime,
    zones: Sequence[Zone],
    sums: "_ZoneSums",
) -> Floats:
    """Measured, estimated and missing meter-days of the users in service of each cell."""
    users = [m for m in meters if m.zone_id and m.role is MeterRole.CUSTOMER]
    days = [to_day(day) for day in sums.periods]
    total = np.zeros((len(SHARES), len(sums.zone_ids), len(days)))
    if not users or not days:
        return total.reshape(len(SHARES), -1)
    meter = code_of(daily, METER_ID, [m.id for m in users])
    row = np.flatnonzero(meter >= 0)
    place = meter[row], np.searchsorted(sums.periods, to_days(daily, DAY)[row])
    measured, estimated = np.zeros((2, len(users), len(days)))
    measured[place] = to_floats(daily, MEASURED_SHARE)[row]
    estimated[place] = to_floats(daily, ESTIMATED_SHARE)[row]
    service = service_days(users, days, city)
    of_user = np.stack([measured, estimated, np.maximum(service - measured - estimated, 0.0)])
    number = {m.id: index for index, m in enumerate(users)}
    zone_index = {zone_id: index for index, zone_id in enumerate(sums.zone_ids)}
    for level in users_by_depth(users, zones):
        for user in level:
            if (zone := zone_index.get(str(user.zone_id))) is not None:
                total[:, zone] += of_user[:, number[user.id]]
    return total.reshape(len(SHARES), -1)


@dataclass(frozen=True, slots=True)
class _ZoneSums:
    """Sums of zones and periods, and the rows (of inlets and outlets) that each was made of."""

    zone_ids: list[str]
    periods: NDArray[np.datetime64]
    cell: NDArray[np.int64]
    """Zone x number of periods + period."""
    example: NDArray[np.int64]
    """A row of the period, to take its instant or day from."""
    row: NDArray[np.int64]
    group: NDArray[np.int64]
    inflow_m3: Floats
    large_use_m3: Floats

    @property
    def zone(self) -> NDArray[np.int64]:
        """The index of each cell's zone."""
        return self.cell // max(self.periods.size, 1)


def _sum_zones(
    volumes: pd.DataFrame, period: str, meters: Sequence[Meter], zones: Sequence[Zone]
) -> _ZoneSums:
    bounds = [m for m in meters if m.zone_id and m.role in _SIGN]
    users = [m for m in meters if m.zone_id and m.role is MeterRole.CUSTOMER]
    zone_ids = sorted({str(m.zone_id) for m in bounds})
    periods, when = np.unique(volumes[period].to_numpy(dtype="datetime64[s]"), return_inverse=True)
    volume = to_floats(volumes, VOLUME_M3)
    row, meter, zone = _rows_of(volumes, bounds, zone_ids)
    cell, first, group = np.unique(
        zone * periods.size + when[row], return_index=True, return_inverse=True
    )
    sign = np.array([_SIGN[m.role] for m in bounds], dtype=np.float64)[meter]
    inflow = _sums(group, np.nan_to_num(volume[row]) * sign, cell.size)
    known = np.bincount(group, ~np.isnan(volume[row]), cell.size)
    wanted = np.bincount([zone_ids.index(str(m.zone_id)) for m in bounds], minlength=len(zone_ids))
    inflow[known < wanted[cell // max(periods.size, 1)]] = np.nan
    use = np.zeros(cell.size)
    for level in users_by_depth(users, zones):
        used, _, use_zone = _rows_of(volumes, level, zone_ids)
        sought = use_zone * periods.size + when[used]
        there = np.isin(sought, cell)
        place = np.searchsorted(cell, sought[there])
        use += _sums(place, np.nan_to_num(volume[used[there]]), cell.size)
    return _ZoneSums(zone_ids, periods, cell, row[first], row, group, inflow, use)


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
