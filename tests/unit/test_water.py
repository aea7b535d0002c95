import time
from datetime import UTC, date, datetime, timedelta

import pytest

from jieshui.calendar import ChineseCalendar
from water.accounting import MessageSum, ReadingSum
from water.calendar import DayKind
from water.clock import ScaledClock
from water.plans import MonthlyReturn, Plan
from water.viewer import Role, Viewer


def test_the_message_sum_balances_only_when_every_message_is_accounted_for():
    whole = MessageSum(received=10, decoded=6, undecodable=2, set_aside=1, waiting=1)
    assert whole.balanced
    assert not MessageSum(received=11, decoded=6, undecodable=2, set_aside=1, waiting=1).balanced


def test_the_reading_sum_balances_only_when_every_reading_is_accounted_for():
    terms = {"stored": 5, "duplicate": 2, "conflict": 1, "quarantined": 1, "waiting": 1}
    assert ReadingSum(decoded=10, **terms).balanced
    assert not ReadingSum(decoded=9, **terms).balanced


def test_a_scaled_clock_runs_as_many_times_faster():
    shown = datetime(2026, 9, 15, tzinfo=UTC)
    anchor = datetime.fromtimestamp(time.time() - 10, UTC)
    assert ScaledClock(anchor, shown, 60).now() - shown == pytest.approx(
        timedelta(minutes=10), abs=timedelta(seconds=60)
    )
    assert ScaledClock(anchor, shown, 0).now() == shown


def test_the_chinese_calendar_knows_holidays_and_make_up_workdays():
    calendar = ChineseCalendar()
    assert calendar.kind(date(2025, 10, 1)) is DayKind.HOLIDAY
    assert calendar.kind(date(2025, 9, 28)) is DayKind.WORKDAY  # a Sunday, 国庆调休
    assert calendar.kind(date(2025, 9, 20)) is DayKind.WEEKEND
    assert calendar.kind(date(2025, 9, 22)) is DayKind.WORKDAY


def test_a_year_without_a_published_list_falls_back_to_the_weekday():
    assert ChineseCalendar().kind(date(2050, 10, 1)) is DayKind.WEEKEND  # a Saturday
    assert ChineseCalendar().kind(date(2050, 10, 3)) is DayKind.WORKDAY


def test_a_plan_has_twelve_months():
    assert Plan("u", 2026, (1.0,) * 12).year_m3 == 12
    with pytest.raises(ValueError, match="12 months, not 11"):
        Plan("u", 2026, (1.0,) * 11)


def test_a_return_adds_up_to_input_and_authorised_use():
    row = MonthlyReturn(date(2026, 1, 1), 100, 20, 80, 5, 3, 2, 40, 850, 0.42)
    assert (row.system_input_m3, row.authorised_m3) == (120, 90)


@pytest.mark.parametrize("role", [Role.SUPPLIER, Role.USER])
def test_a_viewer_that_belongs_to_somebody_needs_a_scope(role):
    with pytest.raises(ValueError, match="needs a scope"):
        Viewer("x", role)
    assert not Viewer("x", role, "s").sees_all
