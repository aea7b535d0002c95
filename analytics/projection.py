"""Where a user's water use will end: its own recent rate by kind of day, its plan's season."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from analytics.frames import Floats
from analytics.grid import KIND_NAMES
from water.calendar import DayKind
from water.city_time import next_month
from water.plans import Plan

RECENT_DAYS = 56
"""Days before today that give the rate: eight weeks."""
LEAST_DAYS = 42
"""Known days among them below which nothing is projected."""
LEAST_KIND_DAYS = 3
"""Known days of a kind below which the kind borrows a rate: holidays that of weekends, any other
the rate of all days."""
KNOWN_DAY = 0.95
"""A day counts for the rate when at least so much of it is known."""


def plan_day_rates(plan: Plan, days: Sequence[date]) -> Floats:
    """The plan's water of each day, m³/d: its month's volume evenly over the month.

    Days of other years take the month of the plan's year. A plan with an empty month says nothing
    of the season: the year is spread evenly.
    """
    months = np.array(plan.months_m3)
    if (months <= 0).any():
        return np.full(len(days), plan.year_m3 / 365)
    lengths = [(next_month(day) - day.replace(day=1)).days for day in days]
    return months[[day.month - 1 for day in days]] / np.array(lengths)


def project_days(
    volume_m3: Floats,
    known_share: Floats,
    plan_m3_d: Floats,
    kinds: NDArray[np.int64],
    recent: slice,
) -> Floats | None:
    """Expected use of each day, m³/d: rate of its kind x the plan's water of that day.

    The rate of a kind is used / planned over the known recent days of that kind.

    Args:
        volume_m3: use of each day; NaN = nothing known.
        known_share: known share of each day.
        plan_m3_d: the plan's water of each day.
        kinds: kind of each day (index in KIND_NAMES).
        recent: the days that give the rates.

    Returns:
        None when too few recent days are known.
    """
    known = np.zeros(volume_m3.size, dtype=bool)
    known[recent] = (known_share[recent] >= KNOWN_DAY) & ~np.isnan(volume_m3[recent])
    if known.sum() < LEAST_DAYS or plan_m3_d[known].sum() <= 0:
        return None
    overall = volume_m3[known].sum() / plan_m3_d[known].sum()
    rates = np.full(len(KIND_NAMES), np.nan)
    for kind in range(len(KIND_NAMES)):
        days = known & (kinds == kind)
        if days.sum() >= LEAST_KIND_DAYS:
            rates[kind] = volume_m3[days].sum() / plan_m3_d[days].sum()
    holiday, weekend = KIND_NAMES.index(DayKind.HOLIDAY), KIND_NAMES.index(DayKind.WEEKEND)
    if np.isnan(rates[holiday]):
        rates[holiday] = rates[weekend]
    return np.where(np.isnan(rates), overall, rates)[kinds] * plan_m3_d
