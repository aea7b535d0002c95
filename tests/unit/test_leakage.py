from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from analytics.leakage import (
    city_rates,
    cjj92_rates,
    detect_loss_rate,
    gross_loss_rate,
)
from water.city_time import CityTime
from water.plans import MonthlyReturn
from water.policy import Policy

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
NOW = datetime(2026, 9, 15, tzinfo=UTC)

# Qs, Qa, household (10,000 m³), L km, P MPa, frost m → R_WL, R1, R2, R3, R4, Rn, R_BL in %, grade
CHECK_VALUES = {
    "C1": ((10_000, 8_750, 4_200, 850, 0.42, 0.2), (12.5, 3.36, 1.5543, 0.5, 0, 5.4143, 7.0857, 1)),
    "C2": ((10_000, 8_400, 3_000, 1_200, 0.60, 0), (16, 2.4, 3, 1, 0, 6.4, 9.6, 1)),
    "C3": ((50_000, 44_000, 10_000, 1_500, 0.34, 1.6), (12, 1.6, -3, 0, 1, -0.4, 12.4, None)),
    "C5": ((8_000, 7_360, 3_600, 554.4, 0.35, 0), (8, 3.6, 0, 0, 0, 3.6, 4.4, 1)),
}


def rates_of(qs, qa, household, mains_km, pressure, frost):
    return cjj92_rates(
        system_input_m3=qs * 10_000,
        authorised_m3=qa * 10_000,
        household_m3=household * 10_000,
        mains_km=mains_km,
        outlet_pressure_mpa=pressure,
        frost_depth_m=frost,
    )


@pytest.mark.parametrize("case", CHECK_VALUES)
def test_the_check_values_of_cjj92_come_out(case):
    given, (gross, r1, r2, r3, r4, rn, corrected, grade) = CHECK_VALUES[case]
    rates = rates_of(*given)
    figures = (rates.gross, rates.r1, rates.r2, rates.r3, rates.r4, rates.correction)
    assert [100 * f for f in figures] == pytest.approx([gross, r1, r2, r3, r4, rn], abs=1e-9)
    assert 100 * rates.corrected == pytest.approx(corrected)
    assert rates.grade == grade


def test_the_2016_standard_gives_the_same_verdict_with_another_number():
    rates = rates_of(*CHECK_VALUES["C1"][0])
    assert 100 * rates.standard_2016(1) == pytest.approx(15.4143)
    assert rates.gross <= rates.standard_2016(1)


@pytest.mark.parametrize(
    ("pressure", "correction"),
    [(0.35, 0), (0.351, 0.005), (0.55, 0.005), (0.551, 0.01), (0.75, 0.01), (0.751, 0.02)],
)
def test_pressure_bands_include_their_upper_bound(pressure, correction):
    assert rates_of(10_000, 8_750, 4_200, 850, pressure, 0).r3 == correction


def test_frost_of_just_1_4_m_corrects_nothing():
    assert rates_of(10_000, 8_750, 4_200, 850, 0.4, 1.4).r4 == 0


def test_a_rate_of_no_water_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        gross_loss_rate(0, 0)


def monthly(year, month, *, supplied=1_000_000.0, sold=875_000.0, km=102.0, pressure=0.42):
    return MonthlyReturn(
        month=date(year, month, 1),
        own_m3=supplied * 0.9,
        purchased_m3=supplied * 0.1,
        billed_metered_m3=sold - 20_000,
        billed_unmetered_m3=10_000,
        free_metered_m3=6_000,
        free_unmetered_m3=4_000,
        household_m3=supplied * 0.42,
        mains_km=km,
        outlet_pressure_mpa=pressure,
    )


def rows_by_period(returns, policy=None, now=NOW):
    rows = city_rates(returns, policy=policy or Policy(), now=now, city=CITY)
    return {row["period"]: row for row in rows}


def test_a_whole_year_is_corrected_and_a_month_is_not():
    # the year is C1 scaled to 1,200 x 10,000 m³: A = 102/1200 = 0.085
    rows = rows_by_period([monthly(2025, m) for m in range(1, 13)])
    assert rows["2025"]["gross_rate"] == pytest.approx(0.125)
    assert rows["2025"]["rate"] == pytest.approx(0.125 - 0.054143)
    assert rows["2025"]["losses_m3"] == pytest.approx(1_500_000)
    assert rows["2025"]["corrections"]["grade"] == 1
    assert rows["2025-03"]["gross_rate"] == pytest.approx(0.125)
    assert rows["2025-03"]["rate"] is None
    assert rows["r12:2025-12"]["rate"] == pytest.approx(rows["2025"]["rate"])


def test_an_open_year_is_provisional_and_uncorrected():
    returns = [monthly(2025, m) for m in range(9, 13)] + [monthly(2026, m) for m in range(1, 9)]
    rows = rows_by_period(returns)
    assert rows["2026"]["provisional"]
    assert rows["2026"]["rate"] is None
    assert not rows["2025-10"]["provisional"]
    assert rows["r12:2026-08"]["provisional"]
    assert rows["r12:2026-08"]["rate"] is not None


def test_a_missing_month_makes_no_rolling_year():
    months = [monthly(2025, m) for m in range(1, 13) if m != 5] + [monthly(2026, 1)]
    assert not any(period.startswith("r12:") for period in rows_by_period(months))


def test_pressure_is_weighted_by_supply():
    months = [monthly(2025, m, pressure=0.30) for m in range(1, 12)]
    months.append(monthly(2025, 12, supplied=11e6, sold=10.8e6, pressure=0.80))
    # (11 x 1 x 0.30 + 11 x 0.80) / 22 = 0.55
    assert rows_by_period(months)["2025"]["corrections"]["r3"] == 0.005


def test_by_the_2016_edition_the_loss_rate_is_the_gross_one():
    year = [monthly(2025, m) for m in range(1, 13)]
    assert rows_by_period(year, Policy(cjj92_edition=2016))["2025"]["rate"] == pytest.approx(0.125)


def test_the_newest_rolling_year_is_held_against_the_target():
    good = [monthly(2025, m) for m in range(1, 13)]
    worse = [monthly(2026, m, sold=700_000) for m in range(1, 9)]
    rates = city_rates(good + worse, policy=Policy(), now=NOW, city=CITY)
    (finding,) = detect_loss_rate(rates, policy=Policy(), now=NOW).findings
    # gross (4 x 12.5 % + 8 x 30 %) / 12 = 24.1667 %; Rn = 5.4143 %
    assert finding.figures["rate"] == pytest.approx(0.241667 - 0.054143, abs=1e-6)
    assert finding.thresholds["rate"] == 0.085
    rates = city_rates(good, policy=Policy(), now=NOW, city=CITY)
    assert detect_loss_rate(rates, policy=Policy(), now=NOW).findings == ()
    assert detect_loss_rate(rates, policy=Policy(), now=NOW).judged == {("city", "")}


def test_without_a_whole_year_nothing_is_judged():
    rates = city_rates([monthly(2026, 1)], policy=Policy(), now=NOW, city=CITY)
    assert detect_loss_rate(rates, policy=Policy(), now=NOW).judged == frozenset()
