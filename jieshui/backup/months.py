"""Readings and volumes are kept a file a local month."""

from collections.abc import Iterator
from datetime import date, datetime

from water.city_time import CityTime, next_month


def months_between(city: CityTime, first: datetime, last: datetime) -> Iterator[date]:
    """The first days of the local months from that of `first` to that of `last`."""
    month, end = (city.day_of(at).replace(day=1) for at in (first, last))
    while month <= end:
        yield month
        month = next_month(month)


def file_name(kind: str, month: date) -> str:
    """Of readings, hourly or daily volumes of a month, in the backup's folder."""
    return f"{kind}/{month:%Y-%m}.parquet"


def month_of(name: str) -> date:
    """The month of a file that `file_name` named."""
    return date.fromisoformat(f"{name.rpartition('/')[2].removesuffix('.parquet')}-01")
