from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from analytics.periods import period_of, previous_period
from analytics.plans import compute_plan_status, detect_over_plan
from water.calendar import DayKind, WeekdayCalendar
from water.city_time import CityTime, days_between
from water.columns import PLAN_STATUS
from water.findings import FindingKind
from water.meters import Meter, MeterRole
from water.plans import Plan
from water.policy import LadderStep, Policy

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
TODAY = date(2026, 9, 15)
NOW = CITY.day_start(TODAY)
FIRST = date(2025, 9, 15)
METER = Meter("m1", "s", MeterRole.CUSTOMER, user_id="u1")


class Holidays:
    """The week, with the first seven days of October and of May off."""

    def kind(self, day: date) -> DayKind:
        if day.month in {5, 10} and day.day <= 7:
            return DayKind.HOLIDAY
        return WeekdayCalendar().kind(day)


def daily(volume_of, *, meter_id="m1", first=FIRST, last=TODAY - timedelta(days=1), known=1.0):
    days = days_between(first, last)
    return pd.DataFrame(
        {
            "meter_id": pd.array([meter_id] * len(days), dtype="str"),
            "day": np.array(days, dtype="datetime64[s]"),
            "volume_m3": [float(volume_of(day)) for day in days],
            "lowest_hour_m3": 0.0,
            "measured_share": known,
            "estimated_share": 0.0,
            "missing_share": 1 - known,
        }
    )


def status_of(frame, months, *, meters=(METER,), policy=None, now=NOW, calendar=None):
    plan = Plan("u1", 2026, tuple(months))
    return compute_plan_status(
        [plan],
        frame,
        list(meters),
        calendar=calendar or WeekdayCalendar(),
        city=CITY,
        policy=policy or Policy(),
        now=now,
    )


def findings(status, policy=None, now=NOW):
    over, heading = detect_over_plan(status, policy=policy or Policy(), city=CITY, now=now)
    assert over.kind is FindingKind.OVER_PLAN
    assert heading.kind is FindingKind.HEADING_OVER_PLAN
    return over, heading


def test_used_planned_and_projected_of_a_steady_user():
    # 257 days of 10 m³ to 14 September, 108 days to come; plan 300 m³ a month
    status = status_of(daily(lambda _: 10), [300] * 12)
    assert list(status.columns) == list(PLAN_STATUS)
    row = status.iloc[0]
    assert row["plan_m3"] == 3_600
    assert row["used_m3"] == 2_570
    assert row["plan_to_date_m3"] == pytest.approx(8 * 300 + 300 * 14 / 30)
    assert row["use_rate"] == pytest.approx(2_570 / 2_540)
    assert row["projected_rate"] == pytest.approx(row["projected_m3"] / 3_600)
    # the future follows the plan's months: its rate is (10 m³/d) / (plan per day of the last 56)
    plan_recent = (17 + 5) * 300 / 31 + 0
    recent = days_between(TODAY - timedelta(days=56), TODAY - timedelta(days=1))
    plan_recent = sum(300 / (30 if day.month == 9 else 31) for day in recent)
    future = 560 / plan_recent * (300 * 16 / 30 + 3 * 300)
    assert row["projected_m3"] == pytest.approx(2_570 + future)
    assert row["level"] == "notice"
    assert row["measured_share"] == pytest.approx(1)


def test_workdays_weekends_and_holidays_have_rates_of_their_own():
    # 20 m³ on workdays and nothing at weekends and holidays: only workdays of the rest count
    calendar = Holidays()
    work = {DayKind.WORKDAY: 20, DayKind.WEEKEND: 0, DayKind.HOLIDAY: 0}
    frame = daily(lambda day: work[calendar.kind(day)])
    months = [day / 365 * 6_000 for day in (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)]
    row = status_of(frame, months, calendar=calendar).iloc[0]
    year = days_between(date(2026, 1, 1), date(2026, 12, 31))
    assert row["projected_m3"] == pytest.approx(sum(work[calendar.kind(day)] for day in year))


def test_the_season_of_the_plan_shapes_the_future():
    # three times the water from October on, as the plan says
    months = [310, 280, 310, 300, 310, 300, 310, 310, 300, 930, 900, 930]
    row = status_of(daily(lambda _: 10), months).iloc[0]
    assert row["projected_m3"] == pytest.approx(2_570 + 16 * 10 + 92 * 30)


def test_a_plan_with_an_empty_month_is_spread_evenly():
    months = [310, 280, 310, 300, 310, 300, 310, 310, 300, 310, 300, 0]
    row = status_of(daily(lambda _: 10), months).iloc[0]
    assert row["projected_m3"] == pytest.approx(3_650)


def test_unknown_days_are_projected_not_counted_as_dry():
    frame = daily(lambda _: 10)
    hole = frame[frame["day"].dt.day != 3]  # one day a month is lost: 9 of 257
    months = [310, 280, 310, 300, 310, 300, 310, 310, 300, 310, 300, 310]
    row = status_of(hole, months).iloc[0]
    assert row["used_m3"] == 2_480
    assert row["missing_share"] == pytest.approx(9 / 257)
    assert row["projected_m3"] == pytest.approx(3_650)


def test_the_rest_of_today_is_yet_to_come():
    noon = NOW + timedelta(hours=12)
    today = daily(lambda _: 5, first=TODAY, last=TODAY, known=0.5)
    frame = pd.concat([daily(lambda _: 10), today])
    months = [310, 280, 310, 300, 310, 300, 310, 310, 300, 310, 300, 310]
    row = status_of(frame, months, now=noon).iloc[0]
    assert row["used_m3"] == 2_575
    assert row["missing_share"] == pytest.approx(0)
    assert row["projected_m3"] == pytest.approx(3_650)


def test_a_users_meters_are_added_up():
    meters = [METER, Meter("m2", "s", MeterRole.CUSTOMER, user_id="u1")]
    frame = pd.concat([daily(lambda _: 10), daily(lambda _: 4, meter_id="m2")])
    row = status_of(frame, [310] * 12, meters=meters).iloc[0]
    assert row["used_m3"] == 257 * 14
    assert row["measured_share"] == pytest.approx(1)


def test_a_meter_that_came_in_summer_is_not_missing_before():
    came = Meter(
        "m1", "s", MeterRole.CUSTOMER, user_id="u1",
        in_service_from=CITY.day_start(date(2026, 7, 1)),
    )  # fmt: skip
    frame = daily(lambda _: 10, first=date(2026, 7, 1))
    months = [310, 280, 310, 300, 310, 300, 310, 310, 300, 310, 300, 310]
    row = status_of(frame, months, meters=[came]).iloc[0]
    assert row["missing_share"] == pytest.approx(0)
    assert row["projected_m3"] == pytest.approx(184 * 10)


def test_over_is_over_and_heading_is_before_it():
    over, heading = findings(status_of(daily(lambda _: 15), [300] * 12))  # 3,855 of 3,600
    (finding,) = over.findings
    assert (finding.subject_id, finding.period, finding.level) == ("u1", "2026", "warning")
    assert finding.figures["used_m3"] == 257 * 15
    assert heading.findings == ()
    assert ("u1", "2026") in heading.judged
    over, heading = findings(status_of(daily(lambda _: 11), [300] * 12))
    assert over.findings == ()
    (finding,) = heading.findings
    assert (finding.level, finding.thresholds["rate"]) == ("notice", 1.0)


@pytest.mark.parametrize(
    ("m3_a_day", "level"),
    [(15, "warning"), (15.5, "formal"), (18.3, "red")],  # 107 %, 110.7 %, 130.6 % of 3,600
)
def test_the_ladder_gives_the_level(m3_a_day, level):
    over, _ = findings(status_of(daily(lambda _: m3_a_day), [300] * 12))
    assert over.findings[0].level == level


def test_just_the_plan_is_not_over_it():
    over, _ = findings(status_of(daily(lambda _: 10), [2_570, *[0] * 11]))
    assert over.findings == ()


def test_half_a_history_is_not_judged_but_over_is_over():
    half = daily(lambda _: 10, last=date(2026, 5, 1))
    over, heading = findings(status_of(half, [300] * 12))
    assert over.judged == frozenset()
    assert heading.judged == {("u1", "2025")}
    much = daily(lambda _: 40, last=date(2026, 5, 1))
    over, _ = findings(status_of(much, [300] * 12))
    assert len(over.findings) == 1


def test_a_user_without_readings_has_a_row_and_no_finding():
    status = status_of(daily(lambda _: 10, meter_id="other"), [300] * 12)
    assert status["missing_share"].tolist() == [1]
    assert np.isnan(status["projected_m3"].iloc[0])
    over, _ = findings(status)
    assert over.judged == frozenset()


def test_a_new_year_clears_the_headings_of_the_old_one():
    now = CITY.day_start(date(2026, 1, 2))
    _, heading = findings(status_of(daily(lambda _: 10), [300] * 12, now=now), now=now)
    assert ("u1", "2025") in heading.judged


@pytest.mark.parametrize(
    ("length", "name", "plan"), [("quarter", "2026-Q3", 900), ("month", "2026-09", 300)]
)
def test_the_policy_may_assess_quarters_or_months(length, name, plan):
    policy = Policy(assessment_period=length)
    status = status_of(daily(lambda _: 11), [300] * 12, policy=policy)
    assert status["plan_m3"].tolist() == [plan]
    _, heading = findings(status, policy)
    assert heading.findings[0].period == name


def test_a_city_may_set_its_own_ladder():
    policy = Policy(ladder=(LadderStep("notice", 0.9, "projected"),))
    over, heading = findings(status_of(daily(lambda _: 9.5), [300] * 12, policy=policy), policy)
    assert over.findings == ()
    assert len(heading.findings) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_virtual_city_is_sorted_rightly(seed):
    """Seasonal, weekly, noisy users: those planned to head over do, the others don't."""
    rng = np.random.default_rng(seed)
    frames, plans, meters, wanted = [], [], [], set()
    for index in range(30):
        season = 1 + rng.uniform(0, 0.35) * np.cos(
            2 * np.pi * (np.arange(12) - rng.uniform(0, 12)) / 12
        )
        weekend, holiday = rng.uniform(0.1, 1), rng.uniform(0.1, 1.3)
        factor = {DayKind.WORKDAY: 1.0, DayKind.WEEKEND: weekend, DayKind.HOLIDAY: holiday}
        use = {
            day: 100 * season[day.month - 1] * factor[Holidays().kind(day)] * rng.lognormal(0, 0.1)
            for day in days_between(FIRST, date(2026, 12, 31))
        }
        year = sum(v for day, v in use.items() if day.year == 2026)
        share = rng.uniform(1.08, 1.25) if index < 3 else rng.uniform(0.75, 0.93)
        months = [
            sum(v for d, v in use.items() if (d.year, d.month) == (2026, m)) for m in range(1, 13)
        ]
        user = f"u{index:02d}"
        months = np.array(months) / share * rng.normal(1, 0.02, 12)
        wanted |= {user} if share > 1 else set()
        assert year / share > 0
        plans.append(Plan(user, 2026, tuple(months)))
        meters.append(Meter(f"m{index:02d}", "s", MeterRole.CUSTOMER, user_id=user))
        frames.append(daily(use.__getitem__, meter_id=f"m{index:02d}"))
    status = compute_plan_status(
        plans,
        pd.concat(frames),
        meters,
        calendar=Holidays(),
        city=CITY,
        policy=Policy(),
        now=NOW,
    )
    over, heading = findings(status)
    assert over.findings == ()
    assert {f.subject_id for f in heading.findings} == wanted


def test_a_plan_of_another_year_is_left_alone():
    old = Plan("u1", 2025, (300.0,) * 12)
    status = compute_plan_status(
        [old],
        daily(lambda _: 10),
        [METER],
        calendar=WeekdayCalendar(),
        city=CITY,
        policy=Policy(),
        now=datetime(2026, 9, 15, tzinfo=CITY.zone),
    )
    assert len(status) == 0
    over, heading = findings(status)
    assert (over.judged, heading.judged) == (frozenset(), frozenset())


def test_a_plan_of_nothing_is_over_with_the_first_drop():
    status = status_of(daily(lambda _: 10), [0] * 12)
    assert status["level"].tolist() == ["red"]
    over, heading = findings(status)
    assert [(f.level, f.subject_id) for f in over.findings] == [("red", "u1")]
    assert all(np.isfinite(value) for value in over.findings[0].figures.values())
    assert heading.findings == ()
    dry = status_of(daily(lambda _: 0), [0] * 12)
    assert dry["level"].tolist() == [""]
    assert findings(dry)[0].findings == ()


@pytest.mark.parametrize(
    ("length", "name", "used"), [("year", "2025", 365 * 10), ("month", "2025-12", 310)]
)
def test_a_closed_period_is_finished_as_of_its_end(length, name, used):
    policy = Policy(assessment_period=length)
    now = CITY.day_start(date(2026, 1, 20))
    period = previous_period(period_of(date(2026, 1, 20), length), length)
    frame = daily(lambda _: 10, first=date(2025, 1, 1), last=date(2026, 1, 19))
    status = compute_plan_status(
        [Plan("u1", 2025, (300.0,) * 12), Plan("u1", 2026, (1.0,) * 12)], frame, [METER],
        calendar=WeekdayCalendar(), city=CITY, policy=policy, now=now, period=period,
    )  # fmt: skip
    row = status.iloc[0]
    assert (row["year"], row["used_m3"], row["missing_share"]) == (2025, used, 0)
    assert row["projected_m3"] == used
    assert row["plan_to_date_m3"] == row["plan_m3"]
    assert row["as_of"] == CITY.day_start(date(2026, 1, 1))
    over, heading = detect_over_plan(status, policy=policy, city=CITY, now=now, period=period)
    assert [(f.period, f.readings_to) for f in over.findings] == [(name, row["as_of"])]
    assert heading.findings == ()
    assert ("u1", name) in heading.judged
