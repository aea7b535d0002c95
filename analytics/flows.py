"""Water that never stops, and meters that do: findings about single customer meters."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from water.calendar import Calendar
from water.city_time import CityTime
from water.findings import Evaluation
from water.meters import Meter
from water.policy import Policy


def detect_continuous_flow(
    daily: pd.DataFrame,
    meters: Sequence[Meter],
    *,
    calendar: Calendar,
    city: CityTime,
    policy: Policy,
    now: datetime,
) -> Evaluation:
    """Find customer meters whose lowest hour rose and stays up (CONTINUOUS_FLOW, subject user).

    Args:
        daily: columns DAILY of at least the last 120 days.
        meters: those with role customer, a user and readings at least hourly are judged.
        calendar: kinds of days.
        city: the city's days.
        policy: continuous_days, continuous_min_m3_h.
        now: the instant of the analysis.
    """
    raise NotImplementedError


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

    Args:
        daily: columns DAILY of at least the last 90 days.
        newest: the newest reading of each meter (columns READINGS).
        meters: customer meters, inlets and outlets are judged.
        calendar: kinds of days: a day counts only where the meter used to move on its kind.
        city: the city's days.
        policy: stopped_after_h.
        now: the instant of the analysis.
    """
    raise NotImplementedError
