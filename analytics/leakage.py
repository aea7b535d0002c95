"""Loss rates of CJJ 92-2016 and its 2018 revision, for the whole utility and whole years."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from water.city_time import CityTime
from water.findings import Evaluation
from water.plans import MonthlyReturn
from water.policy import Policy


def gross_loss_rate(system_input_m3: float, authorised_m3: float) -> float:
    """Gross loss rate 综合漏损率 R_WL = (Qs - Qa) / Qs, a fraction (CJJ 92, eq. 5.2.2-2)."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Cjj92Rates:
    """The rates of CJJ 92, all fractions (0.0354 = 3.54 %)."""

    gross: float
    r1: float
    r2: float
    r3: float
    r4: float


def city_rates(
    returns: Sequence[MonthlyReturn], *, policy: Policy, now: datetime, city: CityTime
) -> list[dict[str, Any]]:
    """Loss rates of every month, year and rolling year that the returns cover.

    Returns:
        Rows with the columns of the city_rate table: period ("2026-08", "2026", "r12:2026-08"),
        as_of, system_input_m3, authorised_m3, losses_m3, gross_rate, rate, corrections,
        provisional. `rate` (corrected) only for years and rolling twelve months.
    """
    raise NotImplementedError


def detect_loss_rate(
    rates: Sequence[dict[str, Any]], *, policy: Policy, now: datetime
) -> Evaluation:
    """Find whether the city's loss rate is over target (LOSS_RATE_OVER_TARGET, subject city)."""
    raise NotImplementedError
