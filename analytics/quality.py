"""Data quality: arrival and completeness, registers that run backwards, suppliers' refusals."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import pandas as pd

from water.city_time import CityTime
from water.findings import Evaluation
from water.meters import Meter


def compute_arrivals(
    checked: pd.DataFrame, meters: Sequence[Meter], first: date, last: date, city: CityTime
) -> pd.DataFrame:
    """Readings expected, received and valid of each meter in service and local day.

    Args:
        checked: the frame that `check_series` returned, of these days.
        meters: meters to give rows for.
        first: first local day.
        last: last local day.
        city: the city's days.

    Returns:
        Columns meter_id, day (datetime64[s]), expected, received, valid (int64).
    """
    raise NotImplementedError


def detect_backward(
    verdicts: pd.DataFrame, meters: Sequence[Meter], *, now: datetime
) -> Evaluation:
    """Find meters whose register ran backwards in the last 30 days (BACKWARD_REGISTER, meter).

    Args:
        verdicts: columns meter_id, at, verdict (good ones may be left out) of the last 30 days.
        meters: the meters that were checked; one without a backward reading is clear.
        now: the instant of the analysis.
    """
    raise NotImplementedError


def detect_refused(counts: Mapping[str, Mapping[str, int]], *, now: datetime) -> Evaluation:
    """Find suppliers too much of whose data is refused (SUPPLIER_REFUSED, subject supplier).

    Args:
        counts: supplier → {decoded, undecodable, quarantined, …} since the beginning.
        now: the instant of the analysis.
    """
    raise NotImplementedError
