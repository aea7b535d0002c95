"""Workdays, weekends and holidays."""

from datetime import date
from enum import StrEnum
from typing import Protocol


class DayKind(StrEnum):
    """What a day is for those who work."""

    WORKDAY = "workday"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"


class Calendar(Protocol):
    """Something that knows the official days off and the make-up workdays 调休."""

    def kind(self, day: date) -> DayKind:
        """What `day` is."""
        ...


class WeekdayCalendar:
    """The fallback for years without a published list: Monday to Friday are workdays."""

    def kind(self, day: date) -> DayKind:
        """What `day` is by its weekday alone."""
        return DayKind.WEEKEND if day.weekday() >= 5 else DayKind.WORKDAY
