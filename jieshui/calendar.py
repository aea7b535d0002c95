"""The Chinese calendar: official days off and make-up workdays, from a library."""

from datetime import date

import chinese_calendar

from water.calendar import DayKind, WeekdayCalendar


class ChineseCalendar:
    """Workdays and holidays of mainland China; by weekday alone for years not yet published."""

    def __init__(self) -> None:
        self._fallback = WeekdayCalendar()

    def kind(self, day: date) -> DayKind:
        """What `day` is: holiday 节假日, weekend or workday (make-up workdays 调休 included)."""
        try:
            on_holiday, name = chinese_calendar.get_holiday_detail(day)
        except NotImplementedError:
            return self._fallback.kind(day)
        if not on_holiday:
            return DayKind.WORKDAY
        return DayKind.HOLIDAY if name else DayKind.WEEKEND
