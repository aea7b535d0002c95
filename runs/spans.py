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
from numpy.typing import NDArray

from analytics.series import CONTEXT_READINGS, CONTEXT_S, DOUBTFUL, EXCLUDED, Verdict
from water.city_time import CityTime
from water.columns import AT, DAY, METER_ID, REGISTER_M3, VERDICT
from water.meters import Meter

_BLOCK_DAYS = 31
_DAY_S = 86_400
_DOUBT_DAYS = math.ceil(CONTEXT_S / _DAY_S)
"""How far a doubtful reading has a say, and is judged by others."""
_ZONES = 7
_NEAR_READINGS = 4
"""Readings on either side that have a say where none is doubtful: those by which a clock is judged
and the interval on which the outermost of them borders."""
_DOUBTFUL = [verdict.value for verdict in DOUBTFUL]
_PASSED_OVER = [verdict.value for verdict in EXCLUDED - {Verdict.BACKWARD}]
"""Of readings between which volumes are interpolated; a backward one ends its dial."""


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
    return max(1, math.ceil(CONTEXT_READINGS * meter.interval_s / _DAY_S))


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


def widened(checked: pd.DataFrame, span: Span, city: CityTime) -> Span | None:
    """The meters whose figures depend on more than what was loaded, with a longer reach; or None.

    Within the saved days, and again in the loaded ones around them, must stand so many readings
    that count as can have a say, on either side of the touched days, or all that there are.
    A reading after a gap changes the interpolation from the reading before it on; a doubtful one
    is judged by readings further away.

    Args:
        checked: the span's loaded readings with neighbours, judged.
        span: what was loaded.
        city: the city's days.
    """
    dial = checked[checked[REGISTER_M3].notna()]
    meter, ids = pd.factorize(dial[METER_ID])
    zone = _zones(dial[AT], span, city)
    counting = ~dial[VERDICT].isin(_PASSED_OVER).to_numpy(dtype=bool)
    there, counted = (
        np.bincount(meter[rows] * _ZONES + zone[rows], minlength=ids.size * _ZONES)
        .reshape(-1, _ZONES)
        .T
        for rows in (slice(None), counting)
    )
    doubtful = np.zeros(ids.size, dtype=bool)
    doubtful[meter[dial[VERDICT].isin(_DOUBTFUL)]] = True
    least = np.where(doubtful, CONTEXT_READINGS, _NEAR_READINGS)
    narrow = doubtful & (span.reach < _DOUBT_DAYS)
    for near, far, beyond in ((2, 1, 0), (4, 5, 6)):
        narrow |= (counted[near] < least) & (there[far] + there[beyond] > 0)
        narrow |= (counted[far] < least) & (there[beyond] > 0)
    if not narrow.any():
        return None
    return replace(
        span, meter_ids=tuple(sorted(ids[narrow])), reach=max(2 * span.reach, _DOUBT_DAYS)
    )


def _zones(at: pd.Series, span: Span, city: CityTime) -> NDArray[np.int64]:
    """Where each instant lies: 0 before the loaded days, 1 loaded, 2 saved, 3 touched … 6 after."""
    first_loaded, last_loaded = span.loaded
    first_saved, last_saved = span.saved
    begins = (first_loaded, first_saved, span.first)
    ends = (span.last, last_saved, last_loaded)
    days = [*begins, *(day + timedelta(days=1) for day in ends)]
    edges = pd.DatetimeIndex([city.day_start(day) for day in days])
    return np.asarray(edges.searchsorted(pd.DatetimeIndex(at), side="right"), dtype=np.int64)


def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=int(number))
