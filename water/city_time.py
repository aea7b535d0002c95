"""Days, months, hours and nights of the city's own time zone; UTC everywhere else."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class CityTime:
    """The city's clock on the wall: its zone and its night window 夜间窗口 (CJJ 92: 02:00–05:00).

    `night` is the first and the end hour of the night window, in local whole hours.
    """

    zone: ZoneInfo
    night: tuple[int, int] = (2, 5)

    def day_of(self, at: datetime) -> date:
        """The local day in which an instant falls."""
        return at.astimezone(self.zone).date()

    def day_start(self, day: date) -> datetime:
        """The instant (UTC) of the local midnight with which a day begins."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def day_bounds(self, day: date) -> tuple[datetime, datetime]:
        """Both midnights of a local day, UTC."""
        return self.day_start(day), self.day_start(day + timedelta(days=1))

    def month_bounds(self, month: date) -> tuple[datetime, datetime]:
        """The instants at which the local month of `month` begins and ends, UTC."""
        return self.day_start(month.replace(day=1)), self.day_start(next_month(month))

    def year_bounds(self, year: int) -> tuple[datetime, datetime]:
        """The instants at which a local year begins and ends, UTC."""
        return self.day_start(date(year, 1, 1)), self.day_start(date(year + 1, 1, 1))

    def hour_edges(self, first: date, last: date) -> list[datetime]:
        """The whole hours from the start of `first` to the end of `last`, both edges, UTC.

        Elapsed hours: a day has 23 or 25 of them where the zone changes its clock.
        """
        start, end = self.day_start(first), self.day_start(last + timedelta(days=1))
        hours = int((end - start).total_seconds() // 3600)
        return [start + timedelta(hours=i) for i in range(hours + 1)]

    def night_bounds(self, day: date) -> tuple[datetime, datetime]:
        """The instants between which the night window of a local day lies, UTC."""
        begin, end = (
            datetime.combine(day, time(hour), self.zone).astimezone(UTC) for hour in self.night
        )
        return begin, end


def next_month(day: date) -> date:
    """The first day of the month after that of `day`."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def days_between(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both included."""
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]
