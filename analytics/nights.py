"""Night flow of zones: the minimum at night, net of large users, its baseline and its rise."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.baseline import Course, follow_nights
from analytics.frames import (
    Flags,
    check_columns,
    group_starts,
    take_rows,
    to_datetime,
    to_day,
    to_days,
    to_floats,
    to_local_days,
    to_seconds,
)
from analytics.night_use import at_night, compute_night_use
from water.city_time import CityTime
from water.columns import (
    BASELINE_M3_H,
    DAY,
    HOURLY,
    INFLOW_M3,
    MEASURED_SHARE,
    MINIMUM_NIGHT_FLOW_M3_H,
    MISSING_SHARE,
    NET_NIGHT_FLOW_M3_H,
    NIGHT_USE_M3_H,
    START,
    ZONE_DAYS,
    ZONE_HOURS,
    ZONE_ID,
    ZONE_NIGHTS,
)
from water.findings import Evaluation, Finding, FindingKind, SubjectKind
from water.meters import Meter
from water.policy import Policy
from water.zones import Works, Zone

INFLOW_DAYS = 56
"""Days over which a zone's mean inflow is taken."""
FRESH_DAYS = 3
"""A zone is judged when its newest usable night is at most so many days old."""


def compute_zone_nights(
    zone_hours: pd.DataFrame,
    hourly: pd.DataFrame,
    meters: Sequence[Meter],
    city: CityTime,
    zones: Sequence[Zone] = (),
) -> pd.DataFrame:
    """Night flow of each zone and local day on which an hour of the night window lies, m³/h.

    The minimum night flow is the least hourly sum over all inlets and outlets (CJJ 92-2016 4.4.7:
    02:00–05:00), from hours that all of them measured wholly; the night use is what the zone's
    large users' meters show in that very hour, the net night flow the difference. Where the hour
    of a user in service is not wholly known (measured or estimated), both are NaN: the user's water
    would look like a leak.

    Args:
        zone_hours: columns ZONE_HOURS.
        hourly: columns HOURLY with the zones' large users in the same hours.
        meters: customer meters name the zone they lie in.
        city: says which hours are night.
        zones: say which zone lies in which; the users of inner zones are users of the outer one.

    Returns:
        Columns ZONE_NIGHTS, sorted by (zone_id, day), baseline NaN; `measured_share` is the share
        of the window's hours that were wholly measured.
    """
    check_columns(zone_hours, ZONE_HOURS, "zone hours")
    check_columns(hourly, HOURLY, "hourly volumes")
    hours = take_rows(zone_hours, at_night(zone_hours, city))
    inflow = to_floats(hours, INFLOW_M3)
    whole = (to_floats(hours, MEASURED_SHARE) >= 1) & ~np.isnan(inflow)
    day = to_local_days(to_seconds(hours, START), city.zone)
    zone = pd.factorize(pd.Index(hours[ZONE_ID]), sort=True)[0]
    order = np.lexsort((to_seconds(hours, START), np.where(whole, inflow, np.inf), day, zone))
    first = group_starts(zone[order], day[order])
    least = order[first]
    measured = np.add.reduceat(whole[order].astype(float), first) if first.size else np.zeros(0)
    nights = take_rows(hours, least).reindex(columns=list(ZONE_NIGHTS))
    nights[DAY] = day[least].astype("datetime64[s]")
    nights[START] = nights[START].where(whole[least])
    nights[MINIMUM_NIGHT_FLOW_M3_H] = np.where(whole[least], inflow[least], np.nan)
    nights[NIGHT_USE_M3_H] = compute_night_use(nights, hourly, meters, city, zones)
    nights[NET_NIGHT_FLOW_M3_H] = nights[MINIMUM_NIGHT_FLOW_M3_H] - nights[NIGHT_USE_M3_H]
    nights[MEASURED_SHARE] = measured / (city.night[1] - city.night[0])
    nights[BASELINE_M3_H] = np.full(len(nights), np.nan)
    return nights


def add_baseline(
    nights: pd.DataFrame,
    zone_days: pd.DataFrame,
    works: Sequence[Works],
    *,
    policy: Policy,
    city: CityTime,
) -> pd.DataFrame:
    """Fill `baseline_m3_h`, m³/h: the median net night flow of the nights before.

    Nights that works explain and nights after a confirmed rise stay out of it (analytics.baseline).
    Give all kept nights of a zone (half a year and more).

    Returns:
        The nights sorted by (zone_id, day) with the baseline; NaN where there were too few.
    """
    filled = _sorted(nights)
    baseline = np.full(len(filled), np.nan)
    inflows = _mean_inflows(zone_days)
    usable = _usable(filled, works, city)
    for zone_id, rows in _by_zone(filled):
        rows_used = rows[usable[rows]]
        flow = to_floats(filled, NET_NIGHT_FLOW_M3_H)[rows_used]
        course = follow_nights(flow, inflows.get(zone_id, np.nan), policy)
        baseline[rows_used] = course.baseline
    filled[BASELINE_M3_H] = baseline
    return filled


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
    ordered = _sorted(nights)
    ordered = take_rows(ordered, _usable(ordered, works, city))
    inflows = _mean_inflows(zone_days)
    oldest = np.datetime64(city.day_of(now) - timedelta(days=FRESH_DAYS))
    judged: set[tuple[str, str]] = set()
    findings: list[Finding] = []
    for zone_id, rows in _by_zone(ordered):
        zone = take_rows(ordered, rows)
        inflow = inflows.get(zone_id, np.nan)
        if np.isnan(inflow) or to_days(zone, DAY)[-1] < oldest:
            continue
        course = follow_nights(to_floats(zone, NET_NIGHT_FLOW_M3_H), inflow, policy)
        if np.isnan(course.baseline[-1]):
            continue
        judged.add((zone_id, ""))
        if course.raised_from is not None:
            figures, thresholds = _figures(zone, course, inflow, policy)
            findings.append(_rise(zone, course.raised_from, figures, thresholds, city, now))
    return Evaluation(FindingKind.NIGHT_FLOW_RISE, now, frozenset(judged), tuple(findings))


def _sorted(nights: pd.DataFrame) -> pd.DataFrame:
    check_columns(nights, ZONE_NIGHTS, "zone nights")
    zone = pd.factorize(pd.Index(nights[ZONE_ID]), sort=True)[0]
    return take_rows(nights, np.lexsort((to_days(nights, DAY), zone)))


def _by_zone(ordered: pd.DataFrame) -> list[tuple[str, NDArray[np.int64]]]:
    zone, names = pd.factorize(pd.Index(ordered[ZONE_ID]))
    return [(str(name), np.flatnonzero(zone == code)) for code, name in enumerate(names)]


def _usable(nights: pd.DataFrame, works: Sequence[Works], city: CityTime) -> Flags:
    """Nights wholly measured that no works touch."""
    usable = ~np.isnan(to_floats(nights, NET_NIGHT_FLOW_M3_H))
    usable &= to_floats(nights, MEASURED_SHARE) >= 1
    days, zones = to_days(nights, DAY), nights[ZONE_ID].to_numpy(dtype=object)
    for work in works:
        first, last = (np.datetime64(city.day_of(at)) for at in (work.begins, work.ends))
        for index in np.flatnonzero((zones == work.zone_id) & (days >= first) & (days <= last)):
            begin, end = city.night_bounds(to_day(days[index]))
            usable[index] &= work.ends <= begin or work.begins >= end
    return usable


def _mean_inflows(zone_days: pd.DataFrame) -> dict[str, float]:
    """Mean inflow of each zone over its last days that are wholly known, m³/h."""
    check_columns(zone_days, ZONE_DAYS, "zone days")
    inflow = to_floats(zone_days, INFLOW_M3)
    whole = take_rows(zone_days, (to_floats(zone_days, MISSING_SHARE) <= 0) & ~np.isnan(inflow))
    whole = take_rows(whole, np.argsort(to_days(whole, DAY), kind="stable"))
    inflow = to_floats(whole, INFLOW_M3)
    return {
        zone_id: float(np.mean(inflow[rows[-INFLOW_DAYS:]])) / 24
        for zone_id, rows in _by_zone(whole)
    }


def _figures(
    zone: pd.DataFrame, course: Course, inflow: float, policy: Policy
) -> tuple[dict[str, float], dict[str, float]]:
    flow = to_floats(zone, NET_NIGHT_FLOW_M3_H)
    since = course.raised_from or 0
    baseline = float(course.baseline[-1])
    rise = float(np.median(flow[since:])) - baseline
    figures = {
        "net_night_flow_m3_h": float(np.median(flow[-policy.night_confirm_nights :])),
        "baseline_m3_h": baseline,
        "rise_m3_h": rise,
        "mean_inflow_m3_h": inflow,
        "rise_share": rise / inflow,
        "nights": float(flow.size - since),
    }
    thresholds = {
        "rise_m3_h": float(course.threshold[-1]),
        "night_rise_share": policy.night_rise_share,
        "night_confirm_nights": float(policy.night_confirm_nights),
    }
    return figures, thresholds


def _rise(
    zone: pd.DataFrame,
    since: int,
    figures: dict[str, float],
    thresholds: dict[str, float],
    city: CityTime,
    now: datetime,
) -> Finding:
    starts = to_seconds(zone, START)
    return Finding(
        kind=FindingKind.NIGHT_FLOW_RISE,
        subject_kind=SubjectKind.ZONE,
        subject_id=str(zone[ZONE_ID].iloc[0]),
        at=now,
        since=city.night_bounds(to_day(to_days(zone, DAY)[since]))[0],
        figures=figures,
        thresholds=thresholds,
        shares={"measured": 1.0, "estimated": 0.0, "missing": 0.0},
        readings_from=to_datetime(starts[since]),
        readings_to=to_datetime(starts[-1] + 3600),
    )
