"""Registers into volumes: linear interpolation at the edges of hours, sums into local days."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.dials import Dials, Step
from analytics.frames import (
    Flags,
    Floats,
    Seconds,
    check_columns,
    group_starts,
    to_day,
    to_floats,
    to_instants,
    to_local_days,
    to_seconds,
)
from analytics.series import place_kept
from water.city_time import CityTime
from water.columns import (
    AT,
    DAY,
    ESTIMATED_SHARE,
    HOURLY,
    LOWEST_HOUR_M3,
    MEASURED_SHARE,
    METER_ID,
    MISSING_SHARE,
    QUALITY,
    REGISTER_M3,
    START,
    VERDICT,
    VOLUME_M3,
)
from water.meters import Meter, MeterChange
from water.readings import Quality

IMPOSSIBLE_OVERLOAD = 2.0
"""Beyond so many times Q4 the dial was moved, not the water: such a step carries no volume."""


def compute_hourly_volumes(
    checked: pd.DataFrame,
    meters: Sequence[Meter],
    changes: Sequence[MeterChange],
    edges: Sequence[datetime],
    *,
    max_gap_factor: float,
) -> pd.DataFrame:
    """Volume of each meter between consecutive edges, m³: register at the end - at the start.

    The register at an edge is interpolated between the kept readings around it; rollovers add the
    modulus, a meter change ends the old dial and begins the new one. A lasting decrease, and a
    step that no meter can pass, are breaks: their time is missing and no volume is carried.

    Args:
        checked: the frame that `check_series` returned, with its context beyond the edges.
        meters: the meters to give rows for (also those without any reading: wholly missing).
        changes: recorded meter changes.
        edges: whole hours, ascending (CityTime.hour_edges).
        max_gap_factor: a gap between kept readings of at most so many `interval_s` is measured,
            unless a person estimated one of them (Quality.ESTIMATED).

    Returns:
        Columns HOURLY, a row for every meter × hour, sorted by (meter_id, start); `volume_m3` is
        NaN where nothing of the hour is known.
    """
    check_columns(checked, (METER_ID, AT, REGISTER_M3, VERDICT), "checked readings")
    meter_ids = sorted({meter.id for meter in meters})
    dials = place_kept(checked, meter_ids, meters, changes)
    at_edges = np.array([round(edge.timestamp()) for edge in edges], dtype=np.int64)
    solid = ~_rest_on_estimates(dials, checked)
    volume, measured, estimated = _at_edges(dials, at_edges, len(meter_ids), solid, max_gap_factor)
    hours = len(at_edges) - 1
    length = np.diff(at_edges).astype(np.float64)
    measured_share = (np.diff(measured, axis=1) / length).ravel()
    estimated_share = (np.diff(estimated, axis=1) / length).ravel()
    known = measured_share + estimated_share
    columns = {
        METER_ID: pd.array(meter_ids, dtype="str").take(
            np.repeat(np.arange(len(meter_ids)), hours)
        ),
        START: to_instants(np.tile(at_edges[:-1], len(meter_ids))),
        VOLUME_M3: np.where(known > 0, np.diff(volume, axis=1).ravel(), np.nan),
        MEASURED_SHARE: measured_share,
        ESTIMATED_SHARE: estimated_share,
        MISSING_SHARE: 1 - known,
    }
    return pd.DataFrame(columns, columns=list(HOURLY))


def _rest_on_estimates(dials: Dials, checked: pd.DataFrame) -> Flags:
    """Ways that begin or end at an estimated register; none where `checked` has no quality."""
    estimated = np.zeros(dials.at.size, dtype=bool)
    if QUALITY in checked and checked.size:
        quality = checked[QUALITY].to_numpy(dtype=np.int64)[dials.row]
        estimated = (dials.row >= 0) & (quality & Quality.ESTIMATED != 0)
    return estimated | np.append(estimated[1:], False)


def _carried(dials: Dials) -> tuple[Floats, Flags, Seconds]:
    """The way from each point to the next.

    What is added to the dial's own rise, m³; whether anything is known of the way; its length in
    seconds (0 at a meter's last point).
    """
    first = np.arange(dials.at.size, dtype=np.int64)
    step = dials.step(first, first + 1)
    rise = np.zeros(dials.at.size)
    rise[:-1] = np.diff(dials.register_m3)
    length = np.zeros(dials.at.size, dtype=np.int64)
    length[:-1] = np.where(dials.meter[1:] == dials.meter[:-1], np.diff(dials.at), 0)
    possible = rise <= IMPOSSIBLE_OVERLOAD * dials.allowed_m3(dials.meter, length)
    known = (step != Step.NONE) & (step != Step.BACKWARD) & (possible | (step != Step.TOO_FAST))
    added = np.where(known, 0.0, -rise)
    rolled = step == Step.ROLLOVER
    added[rolled] = dials.modulus_m3[dials.meter[rolled]]
    return added, known, length


def _at_edges(
    dials: Dials, edges: Seconds, meters: int, solid: Flags, max_gap_factor: float
) -> tuple[Floats, Seconds, Seconds]:
    """Running volume (m³), measured and estimated time (s) of each meter at each edge.

    `solid` are the ways that count as measured unless they are too long.
    """
    if dials.at.size == 0:
        nothing = np.zeros((meters, edges.size), dtype=np.int64)
        return nothing.astype(np.float64), nothing, nothing
    added, known, length = _carried(dials)
    is_measured = known & solid & (length <= max_gap_factor * dials.interval_s[dials.meter])
    shift = np.zeros(dials.at.size)
    shift[1:] = np.where(dials.meter[1:] == dials.meter[:-1], added[:-1], 0.0)
    running = dials.register_m3 + pd.Series(shift).groupby(dials.meter).cumsum().to_numpy()
    rise = np.where(known, np.append(np.diff(running), 0.0), 0.0)
    point, inside = _locate(dials, edges, meters)
    volume = running[point] + inside / np.maximum(length[point], 1) * rise[point]
    measured = _time_at(point, inside, is_measured, length)
    estimated = _time_at(point, inside, known & ~is_measured, length)
    has_points = np.isin(np.arange(meters), dials.meter)[:, None]
    return volume * has_points, measured * has_points, estimated * has_points


def _time_at(
    point: NDArray[np.int64], inside: Seconds, counted: Flags, length: Seconds
) -> NDArray[np.int64]:
    """Seconds of the ways that count, up to the edges: whole numbers, so that 1 h is 1 h."""
    way = np.where(counted, length, 0)
    return (np.cumsum(way) - way)[point] + inside * counted[point]


def _locate(dials: Dials, edges: Seconds, meters: int) -> tuple[NDArray[np.int64], Seconds]:
    """The last point at or before each meter's edges, and the seconds from it to the edge.

    Before a meter's first point it is the first one, with no seconds; after its last likewise.
    """
    at = dials.at
    earliest = min(at.min(), edges[0])
    span = max(at.max(), edges[-1]) - earliest + 1
    keys = dials.meter * span + (at - earliest)
    wanted = np.arange(meters)[:, None] * span + (edges - earliest)[None, :]
    point = np.searchsorted(keys, wanted.ravel(), side="right").reshape(wanted.shape) - 1
    first = np.searchsorted(dials.meter, np.arange(meters), side="left")[:, None]
    point = np.clip(np.maximum(point, first), 0, dials.at.size - 1)
    inside = np.maximum(edges[None, :] - at[point], 0)
    return point, inside


def compute_daily_volumes(hourly: pd.DataFrame, city: CityTime) -> pd.DataFrame:
    """Sum hours into local days, m³; an hour of the day that is not there is missing.

    Args:
        hourly: columns HOURLY, sorted by (meter_id, start).
        city: the city's days.

    Returns:
        Columns DAILY, sorted by (meter_id, day). `volume_m3` is NaN when no hour has a volume;
        `lowest_hour_m3` comes from wholly measured hours.
    """
    check_columns(hourly, HOURLY, "hourly volumes")
    day = to_local_days(to_seconds(hourly, START), city.zone)
    codes = pd.factorize(hourly[METER_ID])[0]
    starts = group_starts(codes, day)
    hours_of = {d: _hours_in(d, city) for d in np.unique(day)}
    hours = np.array([hours_of[d] for d in day[starts]], dtype=np.float64)
    volume = to_floats(hourly, VOLUME_M3)
    whole = to_floats(hourly, MEASURED_SHARE) >= 1
    has_volume = _sum(~np.isnan(volume), starts) > 0
    lowest = np.minimum.reduceat(np.where(whole, volume, np.inf), starts) if starts.size else volume
    measured, estimated = (
        _sum(to_floats(hourly, name), starts) / hours for name in (MEASURED_SHARE, ESTIMATED_SHARE)
    )
    return pd.DataFrame(
        {
            METER_ID: hourly[METER_ID].array.take(starts),
            DAY: day[starts].astype("datetime64[s]"),
            VOLUME_M3: np.where(has_volume, _sum(np.nan_to_num(volume), starts), np.nan),
            LOWEST_HOUR_M3: np.where(np.isinf(lowest), np.nan, lowest),
            MEASURED_SHARE: measured,
            ESTIMATED_SHARE: estimated,
            MISSING_SHARE: np.clip(1 - measured - estimated, 0, 1),
        }
    )


def _hours_in(day: np.datetime64, city: CityTime) -> float:
    begin, end = city.day_bounds(to_day(day))
    return (end - begin).total_seconds() / 3600


def _sum(values: NDArray[np.generic], starts: NDArray[np.int64]) -> Floats:
    if not starts.size:
        return np.zeros(0)
    return np.add.reduceat(values.astype(np.float64), starts)
