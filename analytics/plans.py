"""Plan execution: used against the plan, and where the period will end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from analytics.frames import Floats, check_columns
from analytics.grid import DayGrid, grid_of, kinds_of, service_days
from analytics.periods import Period, period_of, previous_period
from analytics.projection import RECENT_DAYS, plan_day_rates, project_days
from water.calendar import Calendar
from water.city_time import CityTime
from water.columns import ESTIMATED_SHARE, MEASURED_SHARE, MISSING_SHARE, PLAN_STATUS, USER_ID
from water.findings import Evaluation, Finding, FindingKind, SubjectKind
from water.meters import Meter, MeterRole
from water.plans import Plan
from water.policy import Policy


def compute_plan_status(
    plans: Sequence[Plan],
    daily: pd.DataFrame,
    meters: Sequence[Meter],
    *,
    calendar: Calendar,
    city: CityTime,
    policy: Policy,
    now: datetime,
    period: Period | None = None,
) -> pd.DataFrame:
    """Plan execution of every user with a plan of the period's year, in the assessment period.

    projected = used + what the unknown part of past days and all days to come are expected to
    bring (analytics.projection). It is NaN where less than `plan_coverage` of the elapsed time is
    known or too few recent days are.

    Args:
        plans: plans in force; those of other years are ignored.
        daily: columns DAILY of the customer meters, from the earlier of the period's start and
            56 days before `now`, today's partial day included.
        meters: customer meters name their users.
        calendar: kinds of days, past and future.
        city: the city's days.
        policy: assessment_period, plan_coverage, ladder.
        now: the instant of the analysis.
        period: the assessment period; None = the one that contains `now`. A closed one is looked
            at as of its end.

    Returns:
        Columns PLAN_STATUS, one row a user, sorted by user_id. All figures are of the assessment
        period (the year unless the policy says month or quarter).
    """
    period = period or period_of(city.day_of(now), policy.assessment_period)
    now = min(now, city.day_start(period.end))
    today = city.day_of(now)
    year = period.first.year
    of_year = sorted((p for p in plans if p.year == year), key=lambda plan: plan.user_id)
    wanted = {plan.user_id for plan in of_year}
    customers = [m for m in meters if m.role is MeterRole.CUSTOMER and m.user_id in wanted]
    first = min(period.first, today - timedelta(days=RECENT_DAYS))
    grid = grid_of(daily, customers, first, period.end - timedelta(days=1))
    times = _Times(
        period=period,
        of_period=slice((period.first - first).days, len(grid.days)),
        recent=slice((today - first).days - RECENT_DAYS, (today - first).days),
        in_service=service_days(grid.meters, grid.days, city),
        elapsed=service_days(grid.meters, grid.days, city, now),
    )
    kinds = kinds_of(grid.days, calendar)
    rows_of: dict[str | None, list[int]] = {}
    for index, meter in enumerate(grid.meters):
        rows_of.setdefault(meter.user_id, []).append(index)
    rows = list[dict[str, object]]()
    for plan in of_year:
        use = _use_of(grid, times, rows_of.get(plan.user_id, []))
        expected = project_days(
            use.volume_m3, use.known, plan_day_rates(plan, grid.days), kinds, times.recent
        )
        rows.append(_status(plan, use, expected, times, policy, city, now))
    return pd.DataFrame(rows, columns=list(PLAN_STATUS)).astype(_dtypes())


@dataclass(frozen=True, slots=True)
class _Times:
    """The period within the days of the grid; service of each meter and day as share of the day."""

    period: Period
    of_period: slice
    recent: slice
    in_service: Floats
    elapsed: Floats


@dataclass(frozen=True, slots=True)
class _Use:
    """A user's days, and the shares of the period's elapsed time.

    `known` is a share of the time in service, `unknown` a share of the whole day (also of days to
    come), so that expected use x unknown is the water that is not metered yet.
    """

    volume_m3: Floats
    known: Floats
    unknown: Floats
    measured: float
    estimated: float


def _use_of(grid: DayGrid, times: _Times, rows: Sequence[int]) -> _Use:
    meters = max(len(rows), 1)
    volume = np.where(
        np.isnan(grid.volume_m3[rows]).all(axis=0), np.nan, np.nansum(grid.volume_m3[rows], axis=0)
    )
    measured = grid.measured_share[rows].sum(axis=0)
    estimated = grid.estimated_share[rows].sum(axis=0)
    in_service = times.in_service[rows].sum(axis=0)
    known = np.minimum(measured + estimated, in_service)
    elapsed = times.elapsed[rows].sum(axis=0)[times.of_period].sum()
    of_period = times.of_period
    return _Use(
        volume_m3=volume,
        known=np.divide(known, in_service, out=np.ones_like(known), where=in_service > 0),
        unknown=(in_service - known) / meters,
        measured=float(measured[of_period].sum() / elapsed) if elapsed else 0.0,
        estimated=float(estimated[of_period].sum() / elapsed) if elapsed else 0.0,
    )


def _status(
    plan: Plan,
    use: _Use,
    expected: Floats | None,
    times: _Times,
    policy: Policy,
    city: CityTime,
    now: datetime,
) -> dict[str, object]:
    of_period = times.of_period
    plan_m3 = sum(plan.months_m3[month.month - 1] for month in times.period.months)
    to_date = _plan_to_date(plan, times.period.months, city, now)
    used = float(np.nansum(use.volume_m3[of_period]))
    measured, estimated = min(use.measured, 1.0), min(use.estimated, 1.0)
    missing = max(1 - measured - estimated, 0.0)
    projected = np.nan
    if expected is not None and 1 - missing >= policy.plan_coverage:
        projected = used + float((use.unknown * expected)[of_period].sum())
    return {
        USER_ID: plan.user_id,
        "year": plan.year,
        "as_of": pd.Timestamp(now),
        "plan_m3": plan_m3,
        "plan_to_date_m3": to_date,
        "used_m3": used,
        "use_rate": _rate(used, to_date),
        "projected_m3": projected,
        "projected_rate": _rate(projected, plan_m3),
        "level": _level(policy, used, projected, plan_m3),
        MEASURED_SHARE: measured,
        ESTIMATED_SHARE: estimated,
        MISSING_SHARE: missing,
    }


def _plan_to_date(plan: Plan, months: Iterable[date], city: CityTime, now: datetime) -> float:
    """The plans of the closed months and the elapsed part of the present one."""
    total = 0.0
    for month in months:
        begin, end = city.month_bounds(month)
        share = (now - begin) / (end - begin)
        total += plan.months_m3[month.month - 1] * min(max(share, 0.0), 1.0)
    return total


def _rate(volume_m3: float, plan_m3: float) -> float:
    return volume_m3 / plan_m3 if plan_m3 > 0 else np.nan


def _exceeds(volume_m3: float, plan_m3: float, rate: float) -> bool:
    """Whether a use is above a step; a plan of 0 allows no water at all. NaN exceeds nothing."""
    return volume_m3 > rate * plan_m3


def _level(policy: Policy, used_m3: float, projected_m3: float, plan_m3: float) -> str:
    """The last step of the ladder that is exceeded; "" for none."""
    volumes = {"used": used_m3, "projected": projected_m3}
    exceeded = [s.level for s in policy.ladder if _exceeds(volumes[s.basis], plan_m3, s.rate)]
    return exceeded[-1] if exceeded else ""


def _dtypes() -> dict[str, str]:
    text = {USER_ID: "str", "level": "str", "year": "int64", "as_of": "datetime64[s, UTC]"}
    return {name: text.get(name, "float64") for name in PLAN_STATUS}


def detect_over_plan(
    status: pd.DataFrame,
    *,
    policy: Policy,
    city: CityTime,
    now: datetime,
    period: Period | None = None,
) -> tuple[Evaluation, Evaluation]:
    """Find users over their plan (OVER_PLAN) and heading over it (HEADING_OVER_PLAN).

    Both have subject user and the assessment period ("2026", "2026-Q3", "2026-09") as period.
    Over is over, however much is missing; that a user is not over needs `plan_coverage`. The
    heading of a closed period (`period`, else the one before) is judged clear.
    """
    check_columns(status, PLAN_STATUS, "plan status")
    period = period or period_of(city.day_of(now), policy.assessment_period)
    closed = now >= city.day_start(period.end)
    before = previous_period(period, policy.assessment_period)
    used_steps = [step for step in policy.ladder if step.basis == "used"]
    heading_steps = [step for step in policy.ladder if step.basis == "projected"]
    over, heading = list[Finding](), list[Finding]()
    judged_over, judged_heading = set[tuple[str, str]](), set[tuple[str, str]]()
    for row in status.to_dict("records"):
        key = (str(row[USER_ID]), period.name)
        judged_heading.add((key[0], before.name))
        used, projected, planned = row["used_m3"], row["projected_m3"], row["plan_m3"]
        reached = [step for step in used_steps if _exceeds(used, planned, step.rate)]
        if reached or 1 - row[MISSING_SHARE] >= policy.plan_coverage:
            judged_over.add(key)
        if reached or closed or not np.isnan(projected):
            judged_heading.add(key)
        ahead = [step for step in heading_steps if _exceeds(projected, planned, step.rate)]
        figures = {str(name): row[name] for name in _EVIDENCE}
        figures["used_rate"] = _rate(used, planned)
        found = {"row": row, "figures": figures, "period": period, "city": city, "now": now}
        if reached:
            over.append(
                _finding(FindingKind.OVER_PLAN, reached[-1].level, reached[-1].rate, **found)
            )
        elif ahead and not closed:
            kind = FindingKind.HEADING_OVER_PLAN
            heading.append(_finding(kind, ahead[-1].level, ahead[-1].rate, **found))
    return (
        Evaluation(FindingKind.OVER_PLAN, now, frozenset(judged_over), tuple(over)),
        Evaluation(FindingKind.HEADING_OVER_PLAN, now, frozenset(judged_heading), tuple(heading)),
    )


_EVIDENCE = ("plan_m3", "plan_to_date_m3", "used_m3", "use_rate", "projected_m3", "projected_rate")


def _finding(
    kind: FindingKind,
    level: str,
    limit: float,
    *,
    row: dict[str, object],
    figures: dict[str, float],
    period: Period,
    city: CityTime,
    now: datetime,
) -> Finding:
    begin, end = city.day_start(period.first), city.day_start(period.end)
    return Finding(
        kind=kind,
        subject_kind=SubjectKind.USER,
        subject_id=str(row[USER_ID]),
        at=now,
        period=period.name,
        level=level,
        figures={name: value for name, value in figures.items() if np.isfinite(value)},
        thresholds={"rate": limit},
        shares={
            "measured": float(str(row[MEASURED_SHARE])),
            "estimated": float(str(row[ESTIMATED_SHARE])),
            "missing": float(str(row[MISSING_SHARE])),
        },
        readings_from=begin,
        readings_to=min(now, end),
    )
