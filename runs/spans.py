"""Which meters and days are computed together: pure planning, bounded by readings."""
# pandas annotates itself only in part:
# pyright: reportArgumentType=false, reportReturnType=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from water.city_time import CityTime
from water.columns import AT, DAY, METER_ID, REGISTER_M3
from water.meters import Meter

_BLOCK_DAYS = 31
_CONTEXT_READINGS = 8
"""Readings on either side that can have a say in a day's figures: those of the series check
(analytics.series.CONTEXT_READINGS = 6) and the interval on which the outermost of them borders."""
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Span:
    """Meters whose readings of the local days `first` to `last` changed.

    `reach` is how many days around them a changed reading has a say in; `per_day` the largest
    number of rows (readings or hours) that one of these meters has a day.
    """

    meter_ids: tuple[str, ...]
    first: date
    last: date
    reach: int
    per_day: int

    @property
    def saved(self) -> tuple[date, date]:
        """The first and last day whose figures can change."""
        around = timedelta(days=self.reach)
        return self.first - around, self.last + around

    @property
    def loaded(self) -> tuple[date, date]:
        """The first and last day whose readings have a say in that."""
        around = timedelta(days=2 * self.reach)
        return self.first - around, self.last + around

    @property
    def rows_a_meter(self) -> int:
        """About how many rows one meter has in the loaded days."""
        first, last = self.loaded
        return self.per_day * ((last - first).days + 1)

    def split(self, rows: int) -> Iterator["Span"]:
        """Parts of at most about `rows` rows (one meter at least)."""
        size = max(1, rows // self.rows_a_meter)
        for i in range(0, len(self.meter_ids), size):
            yield replace(self, meter_ids=self.meter_ids[i : i + size])


def rows_a_day(meter: Meter) -> int:
    """Rows that a meter has a day in memory: its readings, or its 24 hours."""
    return max(24, _DAY_S // max(1, meter.interval_s))


def reach_days(meter: Meter) -> int:
    """How many days the readings lie apart that have a say in each other's figures."""
    return max(1, math.ceil(_CONTEXT_READINGS * meter.interval_s / _DAY_S))


def plan_spans(days: pd.DataFrame, meters: Mapping[str, Meter], rows: int) -> list[Span]:
    """Group touched meter-days into spans of at most about `rows` rows.

    A meter's days lie in one span where they lie within the same 31 days; days in between are
    computed again too, which changes nothing. Meters that the registry doesn't know are left out.

    Args:
        days: columns meter_id, day (local).
        meters: the registry's meters by id.
        rows: bound of one span.
    """
    known = days[days[METER_ID].isin(list(meters))]
    if known.empty:
        return []
    number = known[DAY].to_numpy().astype("datetime64[D]").astype("int64")
    touched = pd.DataFrame({METER_ID: known[METER_ID].to_numpy(), "number": number})
    bounds = (
        touched.groupby([touched["number"] // _BLOCK_DAYS, METER_ID])["number"]
        .agg(["min", "max"])
        .reset_index(level=1)
    )
    bounds["reach"] = [reach_days(meters[m]) for m in bounds[METER_ID]]
    spans: list[Span] = []
    for (first, last, reach), group in bounds.groupby(["min", "max", "reach"]):
        ids = tuple(sorted(group[METER_ID]))
        spans += Span(
            ids, _day(first), _day(last), int(reach), max(rows_a_day(meters[m]) for m in ids)
        ).split(rows)
    return spans


def plan_days(meters: Sequence[Meter], first: date, last: date) -> pd.DataFrame:
    """Every meter on every day from `first` to `last`, as if all had been touched."""
    days = pd.date_range(first, last, unit="s")
    return pd.DataFrame(
        {
            METER_ID: np.repeat([m.id for m in meters], len(days)),
            DAY: np.tile(days.to_numpy(), len(meters)),
        }
    )


def far_spans(readings: pd.DataFrame, span: Span, city: CityTime) -> list[Span]:
    """Meters whose nearest readings around the span lie beyond its reach, widened to reach them.

    A reading after a gap changes the interpolation from the day of the reading before it to the
    day of the reading after it.

    Args:
        readings: the span's loaded readings with neighbours.
        span: what was loaded.
        city: the city's days.
    """
    dial = readings.loc[readings[REGISTER_M3].notna(), [METER_ID, AT]]
    start, end = city.day_start(span.first), city.day_start(span.last + timedelta(days=1))
    before = dial[dial[AT] < start].groupby(METER_ID)[AT].max()
    after = dial[dial[AT] >= end].groupby(METER_ID)[AT].min()
    saved_first, saved_last = span.saved
    reached: dict[str, tuple[date, date]] = {}
    for meter_id, at in before[before < city.day_start(saved_first)].items():
        reached[str(meter_id)] = (city.day_of(at), span.last)
    for meter_id, at in after[after >= city.day_start(saved_last + timedelta(days=1))].items():
        first = reached.get(str(meter_id), (span.first, span.last))[0]
        reached[str(meter_id)] = (first, city.day_of(at))
    together: dict[tuple[date, date], list[str]] = {}
    for meter_id, days in sorted(reached.items()):
        together.setdefault(days, []).append(meter_id)
    return [
        replace(span, meter_ids=tuple(ids), first=first, last=last)
        for (first, last), ids in together.items()
    ]


def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=int(number))
