"""The rise of a zone's net night flow over its baseline: a burst that went on running."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.frames import (
    Flags,
    Floats,
    check_columns,
    to_datetime,
    to_day,
    to_floats,
    to_seconds,
)
from water.city_time import CityTime
from water.columns import (
    BASELINE_M3_H,
    DAY,
    INFLOW_M3,
    MEASURED_SHARE,
    MISSING_SHARE,
    NET_NIGHT_FLOW_M3_H,
    START,
    ZONE_DAYS,
    ZONE_ID,
    ZONE_NIGHTS,
)
from water.findings import Evaluation, Finding, FindingKind, SubjectKind
from water.policy import Policy
from water.zones import Works

SIGMAS = 2.5
"""A rise is at least so many robust sigmas of the baseline nights (1.4826 x median deviation).

The rise is a median of several nights against a median of many, so that 2.5 sigmas of single
nights are about five of what is compared; chosen on the real nights (docs/detectors.md).
"""
LONGEST_RISE_NIGHTS = 120
"""A rise that stood so long is what the zone is like; its nights make the next baseline."""
INFLOW_DAYS = 56
"""Days over which a zone's mean inflow is taken."""
FRESH_DAYS = 3
"""A zone is judged when its newest usable night is at most so many days old."""


@dataclass(slots=True)
class _Course:
    """The nights of one zone, judged one after the other."""

    baseline: Floats
    threshold: Floats
    raised_from: int | None = None
    normal: list[int] = field(default_factory=list[int])


def add_baseline(
    nights: pd.DataFrame,
    zone_days: pd.DataFrame,
    works: Sequence[Works],
    *,
    policy: Policy,
    city: CityTime,
) -> pd.DataFrame:
    """Fill `baseline_m3_h`, m³/h: the median net night flow of the nights before.

    Nights that works explain and nights after a confirmed rise stay out of it, so that a burst
    can't become its own baseline. Give all kept nights of a zone (half a year and more).

    Returns:
        The nights sorted by (zone_id, day) with the baseline; NaN where there were too few.
    """
    check_columns(nights, ZONE_NIGHTS, "zone nights")
    filled = nights.sort_values([ZONE_ID, DAY], ignore_index=True)
    baseline = np.full(len(filled), np.nan)
    inflows = _mean_inflows(zone_days)
    for zone_id, rows in filled.groupby(ZONE_ID).indices.items():
        zone = filled.take(rows)
        usable = _usable(zone, works, city)
        flow = to_floats(zone, NET_NIGHT_FLOW_M3_H)[usable]
        baseline[rows[usable]] = _follow(flow, inflows.get(str(zone_id), np.nan), policy).baseline
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
    check_columns(nights, ZONE_NIGHTS, "zone nights")
    judged: set[tuple[str, str]] = set()
    findings: list[Finding] = []
    inflows = _mean_inflows(zone_days)
    ordered = nights.sort_values([ZONE_ID, DAY], ignore_index=True)
    oldest = np.datetime64(city.day_of(now) - timedelta(days=FRESH_DAYS))
    for key, rows in ordered.groupby(ZONE_ID).indices.items():
        zone_id = str(key)
        zone = ordered.take(rows)
        zone = zone.take(np.flatnonzero(_usable(zone, works, city))).reset_index(drop=True)
        inflow = inflows.get(zone_id, np.nan)
        if zone.empty or zone[DAY].to_numpy()[-1] < oldest or np.isnan(inflow):
            continue
        course = _follow(to_floats(zone, NET_NIGHT_FLOW_M3_H), inflow, policy)
        if np.isnan(course.baseline[-1]):
            continue
        judged.add((zone_id, ""))
        if course.raised_from is not None:
            findings.append(_rise(zone_id, zone, course, inflow, policy, city, now))
    return Evaluation(FindingKind.NIGHT_FLOW_RISE, now, frozenset(judged), tuple(findings))


def _follow(flow: Floats, mean_inflow_m3_h: float, policy: Policy) -> _Course:
    """Go through the nights: each is normal and feeds the baseline, or belongs to a rise."""
    course = _Course(np.full(flow.size, np.nan), np.full(flow.size, np.nan))
    confirm = policy.night_confirm_nights
    for night in range(flow.size):
        recent = flow[max(night - confirm + 1, 0) : night + 1]
        if course.raised_from is None:
            _set_baseline(course, flow, night, mean_inflow_m3_h, policy)
            level, limit = course.baseline[night], course.threshold[night]
            rises = recent - level
            if rises.size == confirm and _confirmed(rises, limit):
                course.raised_from = _onset(course, flow, night, level + limit / 2)
                course.normal = [n for n in course.normal if n < course.raised_from]
            else:
                course.normal.append(night)
            continue
        course.baseline[night] = course.baseline[night - 1]
        course.threshold[night] = course.threshold[night - 1]
        back = np.median(recent) - course.baseline[night] < course.threshold[night] / 2
        if back or night - course.raised_from >= LONGEST_RISE_NIGHTS:
            since = night - confirm + 1 if back else course.raised_from
            course.normal.extend(range(max(since, course.raised_from), night + 1))
            course.raised_from = None
    return course


def _confirmed(rises: Floats, limit: float) -> bool:
    """The median is up by the limit, and all nights but one by half of it."""
    return bool(np.median(rises) >= limit and np.sum(rises >= limit / 2) >= rises.size - 1)


def _set_baseline(
    course: _Course, flow: Floats, night: int, mean_inflow_m3_h: float, policy: Policy
) -> None:
    """Median and spread of the nights before those that confirm; NaN with less than half."""
    earlier = course.normal[: len(course.normal) - policy.night_confirm_nights + 1]
    chosen = flow[earlier[-policy.night_baseline_nights :]]
    if chosen.size < max(policy.night_baseline_nights / 2, 1):
        return
    level = float(np.median(chosen))
    sigma = 1.4826 * float(np.median(np.abs(chosen - level)))
    course.baseline[night] = level
    course.threshold[night] = max(policy.night_rise_share * mean_inflow_m3_h, SIGMAS * sigma)


def _onset(course: _Course, flow: Floats, night: int, half_way: float) -> int:
    first = night
    while first > 0 and first - 1 in course.normal and flow[first - 1] >= half_way:
        first -= 1
    return first


def _usable(zone: pd.DataFrame, works: Sequence[Works], city: CityTime) -> Flags:
    """Nights wholly measured that no works touch."""
    usable = ~np.isnan(to_floats(zone, NET_NIGHT_FLOW_M3_H))
    usable &= to_floats(zone, MEASURED_SHARE) >= 1
    days: NDArray[np.datetime64] = zone[DAY].to_numpy(dtype="datetime64[D]")
    zone_id = zone[ZONE_ID].iloc[0]
    for work in works:
        if work.zone_id != zone_id:
            continue
        first = np.datetime64(city.day_of(work.begins))
        for index in np.flatnonzero((days >= first) & (days <= city.day_of(work.ends))):
            begin, end = city.night_bounds(to_day(days[index]))
            usable[index] &= work.ends <= begin or work.begins >= end
    return usable


def _mean_inflows(zone_days: pd.DataFrame) -> dict[str, float]:
    """Mean inflow of each zone over its last days that are wholly known, m³/h."""
    check_columns(zone_days, ZONE_DAYS, "zone days")
    whole = (to_floats(zone_days, MISSING_SHARE) <= 0) & ~np.isnan(to_floats(zone_days, INFLOW_M3))
    days = zone_days.take(np.flatnonzero(whole)).sort_values([ZONE_ID, DAY])
    recent = days.groupby(ZONE_ID).tail(INFLOW_DAYS)
    return {
        str(zone): float(mean) / 24
        for zone, mean in recent.groupby(ZONE_ID)[INFLOW_M3].mean().items()
    }


def _rise(
    zone_id: str,
    zone: pd.DataFrame,
    course: _Course,
    inflow: float,
    policy: Policy,
    city: CityTime,
    now: datetime,
) -> Finding:
    flow = to_floats(zone, NET_NIGHT_FLOW_M3_H)
    onset = course.raised_from or 0
    level = float(np.median(flow[-policy.night_confirm_nights :]))
    baseline = float(course.baseline[-1])
    starts = to_seconds(zone, START)
    first_day = to_day(zone[DAY].to_numpy()[onset])
    return Finding(
        kind=FindingKind.NIGHT_FLOW_RISE,
        subject_kind=SubjectKind.ZONE,
        subject_id=zone_id,
        at=now,
        since=city.night_bounds(first_day)[0],
        figures={
            "net_night_flow_m3_h": level,
            "baseline_m3_h": baseline,
            "rise_m3_h": float(np.median(flow[onset:])) - baseline,
            "mean_inflow_m3_h": inflow,
            "rise_share": (float(np.median(flow[onset:])) - baseline) / inflow,
            "nights": float(flow.size - onset),
        },
        thresholds={
            "rise_m3_h": float(course.threshold[-1]),
            "night_rise_share": policy.night_rise_share,
            "night_confirm_nights": float(policy.night_confirm_nights),
        },
        shares={"measured": 1.0, "estimated": 0.0, "missing": 0.0},
        readings_from=to_datetime(starts[onset]),
        readings_to=to_datetime(starts[-1] + 3600),
    )
