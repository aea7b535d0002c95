from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from water.city_time import CityTime, days_between, next_month

YIWU = CityTime(ZoneInfo("Asia/Shanghai"))
ROME = CityTime(ZoneInfo("Europe/Rome"))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_a_local_day_begins_at_its_own_midnight():
    assert YIWU.day_bounds(date(2026, 9, 15)) == (utc(2026, 9, 14, 16), utc(2026, 9, 15, 16))


def test_an_instant_belongs_to_the_local_day():
    assert YIWU.day_of(utc(2026, 9, 14, 15, 59, 59)) == date(2026, 9, 14)
    assert YIWU.day_of(utc(2026, 9, 14, 16)) == date(2026, 9, 15)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)],
    ids=["clocks go forward", "clocks go back", "plain day"],
)
def test_a_day_has_the_hours_that_really_pass(day, hours):
    edges = ROME.hour_edges(day, day)
    assert len(edges) - 1 == hours
    assert (edges[0], edges[-1]) == ROME.day_bounds(day)


def test_the_night_window_is_that_of_the_local_clock():
    assert YIWU.night_bounds(date(2026, 9, 15)) == (utc(2026, 9, 14, 18), utc(2026, 9, 14, 21))


def test_a_month_and_a_year_end_where_the_next_begin():
    assert YIWU.month_bounds(date(2026, 2, 17)) == (utc(2026, 1, 31, 16), utc(2026, 2, 28, 16))
    assert YIWU.year_bounds(2026) == (utc(2025, 12, 31, 16), utc(2026, 12, 31, 16))
    assert next_month(date(2026, 12, 31)) == date(2027, 1, 1)


def test_days_between_holds_both_ends():
    assert days_between(date(2026, 2, 27), date(2026, 3, 1)) == [
        date(2026, 2, 27),
        date(2026, 2, 28),
        date(2026, 3, 1),
    ]
