"""Assessment periods of plans: a local year, quarter or month."""

from dataclasses import dataclass
from datetime import date, timedelta

from water.city_time import next_month


@dataclass(frozen=True, slots=True)
class Period:
    """An assessment period: "2026", "2026-Q3" or "2026-09", from `first` to before `end`."""

    name: str
    first: date
    end: date

    @property
    def months(self) -> list[date]:
        """The first day of each month of the period."""
        month, months = self.first, list[date]()
        while month < self.end:
            months.append(month)
            month = next_month(month)
        return months


def period_of(day: date, length: str) -> Period:
    """The assessment period of this length ("month", "quarter", "year") in which a day falls."""
    if length == "month":
        first = day.replace(day=1)
        return Period(f"{day:%Y-%m}", first, next_month(first))
    if length == "quarter":
        quarter = (day.month - 1) // 3
        first = date(day.year, 3 * quarter + 1, 1)
        end = date(day.year + (quarter == 3), (3 * quarter + 3) % 12 + 1, 1)
        return Period(f"{day.year}-Q{quarter + 1}", first, end)
    return Period(f"{day.year}", date(day.year, 1, 1), date(day.year + 1, 1, 1))


def previous_period(period: Period, length: str) -> Period:
    """The period of the same length before."""
    return period_of(period.first - timedelta(days=1), length)
