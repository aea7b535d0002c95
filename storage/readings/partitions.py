"""How time is cut into partitions: each closed partition becomes one Parquet file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from water.city_time import CityTime, next_month


class Partitioning(Protocol):
    """A way to cut the time column of a tier (whole epoch seconds) into partitions."""

    def of(self, at: int) -> date:
        """The partition, named by its first day, in which `at` falls."""
        ...

    def bounds(self, partition: date) -> tuple[int, int]:
        """The partition's first `at` and the first one after it."""
        ...


@dataclass(frozen=True, slots=True)
class LocalDays:
    """A partition a local day; `at` is an instant."""

    city: CityTime

    def of(self, at: int) -> date:
        """The local day of an instant."""
        return self.city.day_of(datetime.fromtimestamp(at, UTC))

    def bounds(self, partition: date) -> tuple[int, int]:
        """Both midnights of the local day."""
        start, end = self.city.day_bounds(partition)
        return int(start.timestamp()), int(end.timestamp())


@dataclass(frozen=True, slots=True)
class LocalMonths:
    """A partition a local month; `at` is an instant."""

    city: CityTime

    def of(self, at: int) -> date:
        """The first day of the local month of an instant."""
        return self.city.day_of(datetime.fromtimestamp(at, UTC)).replace(day=1)

    def bounds(self, partition: date) -> tuple[int, int]:
        """The midnights with which the local month begins and ends."""
        start, end = self.city.month_bounds(partition)
        return int(start.timestamp()), int(end.timestamp())


@dataclass(frozen=True, slots=True)
class MonthsOfDays:
    """A partition a month; `at` is a local day, as `seconds_of_day` writes it."""

    def of(self, at: int) -> date:
        """The first day of the month of a day."""
        return datetime.fromtimestamp(at, UTC).date().replace(day=1)

    def bounds(self, partition: date) -> tuple[int, int]:
        """The first days of this month and of the next."""
        return seconds_of_day(partition), seconds_of_day(next_month(partition))


def seconds_of_day(day: date) -> int:
    """A local day as a number without zone: the epoch seconds of its midnight, read as UTC."""
    return int(datetime.combine(day, time(), UTC).timestamp())


def partitions_between(partitioning: Partitioning, first: int, last: int) -> Iterator[date]:
    """Every partition from that of `first` to that of `last`, both included."""
    at = first
    while at <= last:
        partition = partitioning.of(at)
        yield partition
        at = partitioning.bounds(partition)[1]


EPOCH = date(1970, 1, 1)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def numbered_day(number: int) -> date:
    """The day that `day_number` counted."""
    return EPOCH + timedelta(days=number)
