"""What large users take in the hour of a zone's minimum night flow."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analytics.frames import (
    Flags,
    Floats,
    code_of,
    take_rows,
    to_floats,
    to_local_hours,
    to_seconds,
)
from analytics.nesting import users_by_depth
from water.city_time import CityTime
from water.columns import METER_ID, MISSING_SHARE, START, VOLUME_M3, ZONE_ID
from water.meters import Meter, MeterRole
from water.zones import Zone

_ROUNDING = 1e-9
"""A share below this is arithmetic, not time."""


def at_night(frame: pd.DataFrame, city: CityTime) -> Flags:
    """Which rows begin (`start`) in the city's night window."""
    hour = to_local_hours(to_seconds(frame, START), city.zone)
    return (hour >= city.night[0]) & (hour < city.night[1])


def compute_night_use(
    nights: pd.DataFrame,
    hourly: pd.DataFrame,
    meters: Sequence[Meter],
    city: CityTime,
    zones: Sequence[Zone],
) -> Floats:
    """Use of the large users of each night's zone in the hour of its minimum, m³/h.

    NaN where the hour of a user in service is not wholly known, and where there is no minimum.
    """
    users = [m for m in meters if m.zone_id and m.role is MeterRole.CUSTOMER]
    whole = (to_floats(hourly, MISSING_SHARE) < _ROUNDING) & ~np.isnan(to_floats(hourly, VOLUME_M3))
    uses = take_rows(hourly, at_night(hourly, city) & whole)
    use, unknown = np.zeros(len(nights)), np.zeros(len(nights))
    for level in users_by_depth(users, zones):
        used, silent = _use_of_level(nights, uses, level)
        use, unknown = use + used, unknown + silent
    known = (unknown == 0) & nights[START].notna().to_numpy(dtype=bool)
    return np.where(known, use, np.nan)


def _use_of_level(
    nights: pd.DataFrame, uses: pd.DataFrame, users: Sequence[Meter]
) -> tuple[Floats, Floats]:
    """Use of these users in each night's hour, m³/h, and how many in service are not known."""
    zone_ids = sorted({str(m.zone_id) for m in users} | set(nights[ZONE_ID]))
    zone_of = np.array([zone_ids.index(str(m.zone_id)) for m in users], dtype=np.int64)
    begin, end = _service_bounds(users)
    meter, start = code_of(uses, METER_ID, [m.id for m in users]), to_seconds(uses, START)
    row = np.flatnonzero(meter >= 0)
    row = row[(start[row] >= begin[meter[row]]) & (start[row] < end[meter[row]])]
    night_zone, night_start = code_of(nights, ZONE_ID, zone_ids), to_seconds(nights, START)
    pairs = np.concatenate([zone_of[meter[row]], night_zone, start[row], night_start])
    both, index = np.unique(pairs.reshape(2, -1), axis=1, return_inverse=True)
    index = index.ravel()
    found, wanted = index[: row.size], index[row.size :]
    use = np.bincount(found, to_floats(uses, VOLUME_M3)[row], both.shape[1])[wanted]
    heard = np.bincount(found, minlength=both.shape[1])[wanted]
    expected = np.bincount(zone_of, minlength=len(zone_ids))[night_zone]
    for user in np.flatnonzero(np.isfinite(begin) | np.isfinite(end)):
        in_service = (night_start >= begin[user]) & (night_start < end[user])
        expected = expected - ((night_zone == zone_of[user]) & ~in_service)
    return np.asarray(use, dtype=np.float64), np.asarray(expected - heard, dtype=np.float64)


def _service_bounds(meters: Sequence[Meter]) -> tuple[Floats, Floats]:
    """Epoch seconds between which each meter is in service; infinite where nothing is said."""
    begins = [m.in_service_from.timestamp() if m.in_service_from else -np.inf for m in meters]
    ends = [m.in_service_to.timestamp() if m.in_service_to else np.inf for m in meters]
    return np.array(begins, dtype=np.float64), np.array(ends, dtype=np.float64)
