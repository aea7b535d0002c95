"""Water that never stops, and meters that do: findings about single meters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.frames import Flags, Floats, check_columns, to_datetime, to_seconds
from analytics.grid import KIND_NAMES, DayGrid, grid_of, kinds_of
from water.calendar import Calendar
from water.city_time import CityTime
from water.columns import AT, METER_ID
from water.findings import Evaluation, Finding, FindingKind, SubjectKind
from water.meters import Meter, MeterRole
from water.policy import Policy

WHOLE_DAY = 0.95
"""A day is judged when at least so much of it was measured: 23 of 24 hours."""
HOURLY_S = 3600
"""The lowest hour means something only for meters that read at least hourly."""
HISTORY_DAYS = 366
"""Days before today that are looked at, as far as they are given."""
LEAST_EARLIER_DAYS = 28
"""Judged days before the rise (or the stop) that tell what is usual."""
FRESH_DAYS = 3
"""A meter is judged when its newest whole day is at most so many days old."""
EARLIER_QUANTILE = 0.9
"""The earlier level is the lowest hour that one earlier day in ten exceeds."""
RISE_SHARE = 0.05
"""Least rise as a share of the meter's mean flow, beside continuous_min_m3_h."""
REFERENCE_DAYS = 56
MOVES_ON = 0.9
"""A day without movement counts when at least so many earlier days of its kind moved."""
STILL_M3 = 1e-6
"""A day's volume below which the register stood still (arithmetic, not water)."""


def detect_continuous_flow(
    daily: pd.DataFrame,
    meters: Sequence[Meter],
    *,
    calendar: Calendar,  # noqa: ARG001 (asked for by every daily detector; kinds don't matter here)
    city: CityTime,
    policy: Policy,
    now: datetime,
) -> Evaluation:
    """Find users whose meter's lowest hour rose and stays up (CONTINUOUS_FLOW, subject user).

    Every day from the onset to yesterday, at least `continuous_days`, has a lowest hour above the
    earlier level by `continuous_min_m3_h` and by 5 % of the earlier mean flow. A user is clear when
    every meter of it that is in service could be judged.

    Args:
        daily: columns DAILY of at least the last 120 days (a year is better: a season returns).
        meters: those with role customer, a user and readings at least hourly are judged.
        calendar: kinds of days.
        city: the city's days.
        policy: continuous_days, continuous_min_m3_h.
        now: the instant of the analysis.
    """
    chosen = [
        m for m in meters if m.role is MeterRole.CUSTOMER and m.user_id and m.interval_s <= HOURLY_S
    ]
    grid = _recent_grid(daily, chosen, city, now)
    usable = (grid.measured_share >= WHOLE_DAY) & ~np.isnan(grid.lowest_hour_m3)
    found = dict[str, Finding]()
    judged, unjudged = set[str](), set[str]()
    for index, meter in enumerate(grid.meters):
        user_id = str(meter.user_id)
        days = np.flatnonzero(usable[index])
        least = LEAST_EARLIER_DAYS + policy.continuous_days
        if days.size < least or days[-1] < len(grid.days) - FRESH_DAYS:
            if _serves(meter, now):
                unjudged.add(user_id)
            continue
        judged.add(user_id)
        rise = _lasting_rise(grid.lowest_hour_m3[index, days], grid.volume_m3[index, days], policy)
        if rise is None:
            continue
        begin = city.day_start(grid.days[days[rise.onset]])
        finding = _continuous(user_id, rise, begin, policy, now)
        before = found.get(user_id)
        if before is None or rise.rise_m3_h > before.figures["rise_m3_h"]:
            found[user_id] = finding
    findings = tuple(found[user_id] for user_id in sorted(found))
    told = frozenset((user_id, "") for user_id in (judged - unjudged) | found.keys())
    return Evaluation(FindingKind.CONTINUOUS_FLOW, now, told, findings)


def _serves(meter: Meter, now: datetime) -> bool:
    """Whether a meter is in service, or was so lately that its days are still looked at."""
    lately = now - timedelta(days=FRESH_DAYS)
    begun = meter.in_service_from is None or meter.in_service_from <= now
    return begun and (meter.in_service_to is None or meter.in_service_to > lately)


@dataclass(frozen=True, slots=True)
class _Rise:
    """A rise of the lowest hour: the day with which it began, levels in m³/h."""

    onset: int
    days: int
    lowest_m3_h: float
    earlier_m3_h: float
    mean_m3_h: float
    least_rise_m3_h: float

    @property
    def rise_m3_h(self) -> float:
        return self.lowest_m3_h - self.earlier_m3_h


def _lasting_rise(lowest: Floats, volume: Floats, policy: Policy) -> _Rise | None:
    """The earliest day from which every lowest hour lies above the level before it."""
    stays_above = np.minimum.accumulate(lowest[::-1])[::-1]
    onsets = np.arange(LEAST_EARLIER_DAYS, lowest.size - policy.continuous_days + 1)
    sudden = lowest[onsets - 1] + policy.continuous_min_m3_h <= stays_above[onsets]
    for onset in onsets[sudden]:
        earlier = float(np.quantile(lowest[:onset], EARLIER_QUANTILE))
        mean = float(np.nanmean(volume[:onset])) / 24
        least = max(policy.continuous_min_m3_h, RISE_SHARE * mean)
        if stays_above[onset] >= earlier + least:
            return _Rise(
                onset=int(onset),
                days=int(lowest.size - onset),
                lowest_m3_h=float(stays_above[onset]),
                earlier_m3_h=earlier,
                mean_m3_h=mean,
                least_rise_m3_h=least,
            )
    return None


def _continuous(
    user_id: str, rise: _Rise, begin: datetime, policy: Policy, now: datetime
) -> Finding:
    return Finding(
        kind=FindingKind.CONTINUOUS_FLOW,
        subject_kind=SubjectKind.USER,
        subject_id=user_id,
        at=now,
        since=begin,
        figures={
            "lowest_hour_m3_h": rise.lowest_m3_h,
            "earlier_lowest_hour_m3_h": rise.earlier_m3_h,
            "rise_m3_h": rise.rise_m3_h,
            "earlier_mean_m3_h": rise.mean_m3_h,
            "days": float(rise.days),
        },
        thresholds={
            "rise_m3_h": rise.least_rise_m3_h,
            "continuous_days": float(policy.continuous_days),
        },
        shares={"measured": 1.0, "estimated": 0.0, "missing": 0.0},
        readings_from=begin,
        readings_to=now,
    )


def detect_stopped(
    daily: pd.DataFrame,
    newest: pd.DataFrame,
    meters: Sequence[Meter],
    *,
    calendar: Calendar,
    city: CityTime,
    policy: Policy,
    now: datetime,
) -> Evaluation:
    """Find meters that go on sending while their register stands still (STOPPED_METER, meter).

    Only days count on whose kind (workday, weekend, holiday) the meter moved on nine of ten of
    the 56 days before: a factory that rests at weekends has not stopped on Sunday.

    Args:
        daily: columns DAILY of at least the last 90 days.
        newest: the newest reading of each meter (columns READINGS).
        meters: customer meters, inlets and outlets are judged.
        calendar: kinds of days.
        city: the city's days.
        policy: stopped_after_h.
        now: the instant of the analysis.
    """
    check_columns(newest, (METER_ID, AT), "newest readings")
    chosen = [m for m in meters if m.role is not MeterRole.TANK_LEVEL]
    grid = _recent_grid(daily, chosen, city, now)
    kinds = kinds_of(grid.days, calendar)
    newest_at = dict(zip(newest[METER_ID], to_seconds(newest, AT).tolist(), strict=True))
    usable = (grid.measured_share >= WHOLE_DAY) & ~np.isnan(grid.volume_m3)
    silent_before = (now - timedelta(days=FRESH_DAYS)).timestamp()
    judged = set[tuple[str, str]]()
    findings = list[Finding]()
    for index, meter in enumerate(grid.meters):
        sent_at = newest_at.get(meter.id, -np.inf)
        days = np.flatnonzero(usable[index, -FRESH_DAYS:])
        if sent_at < silent_before or not days.size:
            continue
        known = usable[index, : usable.shape[1] - FRESH_DAYS + int(days[-1]) + 1]
        still = known & (grid.volume_m3[index, : known.size] <= STILL_M3)
        first = _first_of_run(still)
        counted = _counted_days(known, still, kinds[: known.size], first)
        if counted is None:
            continue
        judged.add((meter.id, ""))
        if counted and 24 * counted >= policy.stopped_after_h:
            begin = city.day_start(grid.days[first])
            findings.append(_stopped(meter, begin, sent_at, counted, policy, now))
    return Evaluation(FindingKind.STOPPED_METER, now, frozenset(judged), tuple(findings))


def _recent_grid(
    daily: pd.DataFrame, meters: Sequence[Meter], city: CityTime, now: datetime
) -> DayGrid:
    """The days before today."""
    today = city.day_of(now)
    first, last = today - timedelta(days=HISTORY_DAYS), today - timedelta(days=1)
    return grid_of(daily, meters, first, last)


def _first_of_run(still: Flags) -> int:
    """Where the run of still days up to the last one begins; the end when there is none."""
    moving = np.flatnonzero(~still)
    return int(moving[-1]) + 1 if moving.size else 0


def _counted_days(usable: Flags, still: Flags, kinds: NDArray[np.int64], first: int) -> int | None:
    """Days of the run on which the meter used to move; None when too little is known before."""
    reference = np.flatnonzero(usable[:first])[-REFERENCE_DAYS:]
    if reference.size < LEAST_EARLIER_DAYS:
        return None
    counted = 0
    for kind in range(len(KIND_NAMES)):
        of_kind = reference[kinds[reference] == kind]
        if of_kind.size and np.mean(~still[of_kind]) >= MOVES_ON:
            counted += int(np.sum(kinds[first:] == kind))
    return counted


def _stopped(
    meter: Meter, begin: datetime, sent_at: float, counted: int, policy: Policy, now: datetime
) -> Finding:
    return Finding(
        kind=FindingKind.STOPPED_METER,
        subject_kind=SubjectKind.METER,
        subject_id=meter.id,
        at=now,
        since=begin,
        figures={
            "still_h": (now - begin) / timedelta(hours=1),
            "counted_h": 24.0 * counted,
        },
        thresholds={"stopped_after_h": float(policy.stopped_after_h)},
        shares={"measured": 1.0, "estimated": 0.0, "missing": 0.0},
        readings_from=begin,
        readings_to=to_datetime(sent_at),
    )
