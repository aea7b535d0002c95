"""Plan execution: used against the plan, and where the period will end."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from water.calendar import Calendar
from water.city_time import CityTime
from water.findings import Evaluation
from water.meters import Meter
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
) -> pd.DataFrame:
    """Plan execution of every user with a plan of the present year, in the assessment period.

    Args:
        plans: plans in force; those of other years are ignored.
        daily: columns DAILY of the customer meters, from the earlier of the period's start and
            56 days before `now`, today's partial day included.
        meters: customer meters name their users.
        calendar: kinds of days, past and future.
        city: the city's days.
        policy: assessment_period, plan_coverage, ladder.
        now: the instant of the analysis.

    Returns:
        Columns PLAN_STATUS, one row a user, sorted by user_id. All figures are of the assessment
        period that contains `now` (the year unless the policy says month or quarter).
    """
    raise NotImplementedError


def detect_over_plan(
    status: pd.DataFrame, *, policy: Policy, city: CityTime, now: datetime
) -> tuple[Evaluation, Evaluation]:
    """Find users over their plan (OVER_PLAN) and heading over it (HEADING_OVER_PLAN).

    Both have subject user and the assessment period ("2026", "2026-Q3", "2026-09") as period.
    """
    raise NotImplementedError
