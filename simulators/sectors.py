"""How a sector uses water: over the day, the week, the holidays, the school year, the season.

Every shape is a factor around 1 on the part of the use that people cause by day. What runs at
night (`night_share`) is steady and follows only a works' shutdown over Spring Festival.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

import chinese_calendar
import numpy as np
from numpy.typing import NDArray

from water.calendar import DayKind
from water.users import Sector

SPRING_FESTIVAL = chinese_calendar.Holiday.spring_festival.value
HIGH_SUMMER_DAY = 205
_RAMP_DAYS = 3

_DAY_SHAPES: dict[str, tuple[float, ...]] = {
    "trade": (
        0, 0, 0, 0, 0, 0, 0.1, 0.6, 1.4, 2, 2.2, 2.2,
        2, 1.8, 1.9, 2, 1.8, 1.2, 0.5, 0.2, 0.1, 0, 0, 0,
    ),
    "shift": (
        0, 0, 0, 0, 0, 0, 0.2, 1, 2, 2.2, 2.2, 1.8,
        1.2, 2, 2.2, 2.2, 2, 1.4, 0.7, 0.4, 0.2, 0.1, 0, 0,
    ),
    "two_shifts": (
        0, 0, 0, 0, 0, 0.2, 0.8, 1.4, 1.6, 1.7, 1.7, 1.5,
        1.4, 1.6, 1.7, 1.7, 1.6, 1.4, 1.3, 1.2, 1, 0.6, 0.2, 0,
    ),
    "flat": (
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    ),
    "hotel": (
        0.5, 0.3, 0.2, 0.2, 0.3, 0.6, 1.3, 2, 1.8, 1.3, 1.1, 1.1,
        1.2, 1, 0.8, 0.8, 0.9, 1.1, 1.3, 1.5, 1.7, 1.7, 1.4, 0.9,
    ),
    "home": (
        0.4, 0.2, 0.2, 0.2, 0.3, 0.7, 1.5, 1.7, 1.4, 1.1, 1, 1.2,
        1.1, 0.8, 0.7, 0.8, 1, 1.5, 1.8, 1.8, 1.6, 1.4, 1, 0.6,
    ),
    "ward": (
        0.5, 0.4, 0.4, 0.4, 0.5, 0.8, 1.3, 1.7, 1.8, 1.7, 1.6, 1.3,
        1.1, 1.2, 1.3, 1.2, 1.1, 1.1, 1, 0.9, 0.9, 0.8, 0.7, 0.6,
    ),
    "school": (
        0, 0, 0, 0, 0, 0.3, 1.2, 1.8, 1.6, 1.7, 1.8, 2.2,
        1.9, 1.3, 1.5, 1.7, 2, 1.9, 1.3, 1, 0.8, 0.4, 0.1, 0,
    ),
}  # fmt: skip
"""Use by day in each hour of the day, any scale."""


@dataclass(frozen=True, slots=True)
class Habit:
    """The habits of a sector.

    Attributes:
        day: name of the daily shape.
        weekend: factor on Saturdays and Sundays that are no make-up workdays.
        holiday: factor on official days off.
        festival: factor in the sector's closure around Spring Festival.
        closes: days before the festival's first day off and after its last that it is closed.
        night_share: part of the mean flow that runs day and night; 0 = nights near zero.
        season: amplitude of the season, highest in July.
        vacation: factor in the school vacations, None = not concerned.
    """

    day: str
    weekend: float
    holiday: float
    festival: float
    closes: tuple[int, int]
    night_share: float
    season: float
    vacation: float | None = None


HABITS: dict[Sector, Habit] = {
    Sector.MARKET: Habit("trade", 1.05, 0.9, 0.06, (7, 8), 0.0, 0.06),
    Sector.TEXTILE: Habit("flat", 0.97, 0.92, 0.12, (4, 5), 0.70, 0.04),
    Sector.PRINTING: Habit("two_shifts", 0.85, 0.5, 0.10, (4, 5), 0.0, 0.04),
    Sector.FOOD: Habit("two_shifts", 0.9, 0.75, 0.15, (2, 2), 0.0, 0.08),
    Sector.MACHINERY: Habit("shift", 0.55, 0.35, 0.06, (5, 6), 0.0, 0.05),
    Sector.HOTEL: Habit("hotel", 1.15, 1.35, 1.1, (0, 0), 0.18, 0.08),
    Sector.SCHOOL: Habit("school", 0.45, 0.3, 0.16, (0, 0), 0.0, 0.06, vacation=0.17),
    Sector.HOSPITAL: Habit("ward", 0.9, 0.85, 0.8, (0, 0), 0.35, 0.06),
    Sector.OFFICE: Habit("shift", 0.3, 0.2, 0.15, (0, 0), 0.0, 0.10),
    Sector.RESIDENTIAL: Habit("home", 1.06, 1.04, 0.8, (3, 3), 0.15, 0.10),
    Sector.OTHER: Habit("two_shifts", 0.9, 0.8, 0.6, (1, 1), 0.0, 0.06),
}


def quiet_at_night(sector: Sector) -> bool:
    """Whether nothing legitimate runs at night in this sector."""
    return HABITS[sector].night_share == 0.0


def day_shape(sector: Sector) -> NDArray[np.float64]:
    """Shares of the day's use in each of the 96 quarters of an hour (sum 1)."""
    hours = np.array(_DAY_SHAPES[HABITS[sector].day])
    quarters = np.interp(np.arange(96) / 4 + 0.125, np.arange(25) + 0.5, [*hours, hours[0]])
    quarters[:2] = hours[0]
    return quarters / quarters.sum()


def day_factors(sector: Sector, days: Sequence[date]) -> NDArray[np.float64]:
    """The factor of each day on the use that people cause by day."""
    habit = HABITS[sector]
    by_kind = {DayKind.WORKDAY: 1.0, DayKind.WEEKEND: habit.weekend, DayKind.HOLIDAY: habit.holiday}
    factors = np.array([by_kind[day_kind(day)] for day in days])
    open_share = festival_openness(habit.closes, days)
    factors = open_share * factors + (1 - open_share) * habit.festival
    if habit.vacation is not None:
        closed = np.array([_in_vacation(day) for day in days])
        factors = np.where(closed, habit.vacation, factors)
    of_year = np.array([day.timetuple().tm_yday for day in days])
    return factors * (1 + habit.season * np.cos(2 * np.pi * (of_year - HIGH_SUMMER_DAY) / 365.25))


def night_factors(sector: Sector, days: Sequence[date]) -> NDArray[np.float64]:
    """The factor of each day on what runs day and night: only shifts stop over the festival."""
    if sector is not Sector.TEXTILE:
        return np.ones(len(days))
    open_share = festival_openness(HABITS[sector].closes, days)
    return open_share + (1 - open_share) * HABITS[sector].festival


@cache
def day_kind(day: date) -> DayKind:
    """What a day is by the published list, by its weekday in years without one."""
    try:
        off, name = chinese_calendar.get_holiday_detail(day)
    except NotImplementedError:
        return DayKind.WEEKEND if day.weekday() >= 5 else DayKind.WORKDAY
    if not off:
        return DayKind.WORKDAY
    return DayKind.HOLIDAY if name else DayKind.WEEKEND


def festival_openness(closes: tuple[int, int], days: Sequence[date]) -> NDArray[np.float64]:
    """1 where a sector is open, 0 in its closure around Spring Festival, ramps in between."""
    numbers = np.array([day.toordinal() for day in days], dtype=np.float64)
    openness = np.ones(len(days))
    for year in sorted({day.year for day in days}):
        first, last = _spring_festival(year)
        begin, end = first - closes[0], last + closes[1]
        outside = np.maximum(begin - numbers, numbers - end)
        openness = np.minimum(openness, np.clip(outside / _RAMP_DAYS, 0, 1))
    return openness


def _in_vacation(day: date) -> bool:
    """Summer: July and August; winter: 18 days before the festival's days off to 8 after."""
    first, last = _spring_festival(day.year)
    return day.month in (7, 8) or first - 18 <= day.toordinal() <= last + 8


@cache
def _spring_festival(year: int) -> tuple[int, int]:
    """First and last day off (ordinals); without a published list the last known year's days."""
    start = date(year, 1, 1).toordinal()
    try:
        days_off = [
            number
            for number in range(start, start + 75)
            if chinese_calendar.get_holiday_detail(date.fromordinal(number))
            == (True, SPRING_FESTIVAL)
        ]
    except NotImplementedError:
        first, last = _spring_festival(year - 1)
        return first + 354, last + 354  # twelve lunar months later
    return days_off[0], days_off[-1]
