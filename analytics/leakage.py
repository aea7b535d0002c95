"""Loss rates of CJJ 92-2016 and its 2018 revision, for the whole utility and whole years.

Every rate is a fraction here (0.0354 = 3.54 %); the standard prints percent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby, pairwise
from typing import Any

from water.city_time import CityTime, next_month
from water.findings import Evaluation, Finding, FindingKind, SubjectKind
from water.plans import MonthlyReturn
from water.policy import Policy

GRADES = {1: 0.10, 2: 0.12}
"""Grade → greatest corrected rate (CJJ 92 2018 5.1.2; the R0 of the 2016 edition)."""
R2_LIMIT = 0.03
NATIONAL_KM_PER_10K_M3 = 0.0693
FROST_LIMIT_M = 1.4


def gross_loss_rate(system_input_m3: float, authorised_m3: float) -> float:
    """Gross loss rate 综合漏损率 R_WL = (Qs - Qa) / Qs, a fraction (CJJ 92 2018, eq. 5.2.2-2).

    Raises:
        ValueError: when the system input is not above zero.
    """
    if system_input_m3 <= 0:
        raise ValueError(f"a loss rate needs a system input above 0 m³, not {system_input_m3}")
    return (system_input_m3 - authorised_m3) / system_input_m3


@dataclass(frozen=True, slots=True)
class Cjj92Rates:
    """The rates of CJJ 92 of a utility and year.

    Attributes:
        gross: R_WL 综合漏损率 (the 漏损率 of the 2016 edition).
        r1: correction for households read at the tap 居民抄表到户.
        r2: for the length of mains per volume 单位供水量管长.
        r3: for the mean outlet pressure 年平均出厂压力.
        r4: for the frost depth 最大冻土深度.
    """

    gross: float
    r1: float
    r2: float
    r3: float
    r4: float

    @property
    def correction(self) -> float:
        """Rn 总修正值 of the 2018 revision = R1 + R2 + R3 + R4 (eq. 5.2.3-1)."""
        return self.r1 + self.r2 + self.r3 + self.r4

    @property
    def corrected(self) -> float:
        """R_BL 漏损率 of the 2018 revision = R_WL - Rn (eq. 5.2.2-1)."""
        return self.gross - self.correction

    def standard_2016(self, grade: int) -> float:
        """Rn of the 2016 edition = R0 + R1 + R2 + R3 + R4: the standard R_WL is held to."""
        return GRADES[grade] + self.correction

    @property
    def grade(self) -> int | None:
        """The grade reached (1 or 2; both editions agree), None when it fails grade 2."""
        for grade, limit in GRADES.items():
            if self.corrected <= limit:
                return grade
        return None


def cjj92_rates(
    *,
    system_input_m3: float,
    authorised_m3: float,
    household_m3: float,
    mains_km: float,
    outlet_pressure_mpa: float,
    frost_depth_m: float = 0.0,
) -> Cjj92Rates:
    """Rates and corrections of a whole utility and year (CJJ 92-2016 5.3.3 = 2018 5.2.3).

    Args:
        system_input_m3: Qs.
        authorised_m3: Qa.
        household_m3: volume read at households' own meters.
        mains_km: length of pipes of DN75 and larger.
        outlet_pressure_mpa: supply-weighted mean outlet pressure.
        frost_depth_m: greatest frost depth.
    """
    km_per_10k_m3 = mains_km / (system_input_m3 / 10_000)
    r2 = 0.99 * (km_per_10k_m3 - NATIONAL_KM_PER_10K_M3)
    return Cjj92Rates(
        gross=gross_loss_rate(system_input_m3, authorised_m3),
        r1=0.08 * household_m3 / system_input_m3,
        r2=min(max(r2, -R2_LIMIT), R2_LIMIT),
        r3=_pressure_correction(outlet_pressure_mpa),
        r4=0.01 if frost_depth_m > FROST_LIMIT_M else 0.0,
    )


def _pressure_correction(pressure_mpa: float) -> float:
    for limit, correction in ((0.35, 0.0), (0.55, 0.005), (0.75, 0.01)):
        if pressure_mpa <= limit:
            return correction
    return 0.02


def city_rates(
    returns: Sequence[MonthlyReturn], *, policy: Policy, now: datetime, city: CityTime
) -> list[dict[str, Any]]:
    """Loss rates of every month, year and rolling year that the returns cover.

    Corrections apply to whole years only (CJJ 92 2018 5.2.1: assessed by calendar year): a month
    or an open year has the gross rate alone. Months without system input are left out.

    Returns:
        Rows with the columns of the city_rate table: period ("2026-08", "2026", "r12:2026-08"),
        as_of, system_input_m3, authorised_m3, losses_m3, gross_rate, rate, corrections,
        provisional. `rate` is what the policy's edition calls 漏损率: corrected (2018) or gross
        (2016); None where it may not be said.
    """
    months = sorted((r for r in returns if r.system_input_m3 > 0), key=lambda r: r.month)
    rows = [_rate_row(f"{r.month:%Y-%m}", [r], policy, now, city) for r in months]
    for year, of_year in groupby(months, key=lambda r: r.month.year):
        rows.append(_rate_row(str(year), list(of_year), policy, now, city))
    for last in range(11, len(months)):
        twelve = months[last - 11 : last + 1]
        if _follow_each_other(twelve):
            name = f"r12:{twelve[-1].month:%Y-%m}"
            rows.append(_rate_row(name, twelve, policy, now, city))
    return rows


def _follow_each_other(months: Sequence[MonthlyReturn]) -> bool:
    return all(next_month(a.month) == b.month.replace(day=1) for a, b in pairwise(months))


def _rate_row(
    period: str, months: Sequence[MonthlyReturn], policy: Policy, now: datetime, city: CityTime
) -> dict[str, Any]:
    system_input = sum(r.system_input_m3 for r in months)
    authorised = sum(r.authorised_m3 for r in months)
    whole_year = len(months) == 12
    corrections = dict[str, Any]()
    rate = None
    if whole_year:
        rates = cjj92_rates(
            system_input_m3=system_input,
            authorised_m3=authorised,
            household_m3=sum(r.household_m3 for r in months),
            mains_km=months[-1].mains_km,
            outlet_pressure_mpa=sum(r.outlet_pressure_mpa * r.system_input_m3 for r in months)
            / system_input,
            frost_depth_m=policy.frost_depth_m,
        )
        rate = rates.corrected if policy.cjj92_edition >= 2018 else rates.gross
        corrections = {
            "edition": policy.cjj92_edition,
            "r1": rates.r1,
            "r2": rates.r2,
            "r3": rates.r3,
            "r4": rates.r4,
            "rn": rates.correction,
            "grade": rates.grade,
        }
    year_end = city.day_start(date(months[-1].month.year + 1, 1, 1))
    return {
        "period": period,
        "as_of": now,
        "system_input_m3": system_input,
        "authorised_m3": authorised,
        "losses_m3": system_input - authorised,
        "gross_rate": gross_loss_rate(system_input, authorised),
        "rate": rate,
        "corrections": corrections,
        "provisional": now < year_end,
    }


def detect_loss_rate(
    rates: Sequence[dict[str, Any]], *, policy: Policy, now: datetime
) -> Evaluation:
    """Find whether the city's loss rate is over target (LOSS_RATE_OVER_TARGET, subject city).

    The newest rolling year is judged; without one, the newest whole calendar year.

    Args:
        rates: rows of `city_rates`.
        policy: loss_rate_target.
        now: the instant of the analysis.
    """
    whole = [row for row in rates if row["rate"] is not None]
    rolling = [row for row in whole if row["period"].startswith("r12:")]
    newest = max(rolling or whole, key=lambda row: row["period"], default=None)
    if newest is None:
        return Evaluation(FindingKind.LOSS_RATE_OVER_TARGET, now, frozenset(), ())
    findings = list[Finding]()
    if newest["rate"] > policy.loss_rate_target:
        names = ("rate", "gross_rate", "system_input_m3", "authorised_m3", "losses_m3")
        finding = Finding(
            kind=FindingKind.LOSS_RATE_OVER_TARGET,
            subject_kind=SubjectKind.CITY,
            subject_id="city",
            at=now,
            figures={name: float(newest[name]) for name in names},
            thresholds={"rate": policy.loss_rate_target},
        )
        findings.append(finding)
    judged = frozenset({("city", "")})
    return Evaluation(FindingKind.LOSS_RATE_OVER_TARGET, now, judged, tuple(findings))
