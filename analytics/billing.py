"""Our volumes held against the utility's billing reads."""
# pandas annotates itself only in part:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false, reportOperatorIssue=false, reportIndexIssue=false

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.frames import Floats, check_columns, to_floats
from water.columns import DAILY, DAY, ESTIMATED_SHARE, MEASURED_SHARE, METER_ID, VOLUME_M3

READS = (METER_ID, "first", "last", "billed_m3")
TOLERANCE = 0.05
"""Share of the billed volume that may lie between: the error of a class 2 meter in its lower range
(GB/T 778.1-2018, 4.2.3: ±5 %); above it a meter may err by ±2 %, but nobody reads at midnight."""
LEAST_M3 = 1.0
"""A difference of at most so much is rounding: bills are in whole m³."""
MOST_MISSING = 0.1
"""Share of a period's time above which our volume says too little to compare (own rule)."""
_DAYS = 10_000_000
"""More days than there are from 0001 to 9999."""


def compare_billing(reads: pd.DataFrame, daily: pd.DataFrame) -> pd.DataFrame:
    """Each billed period beside our volume of the same local days.

    Args:
        reads: columns READS; `first` and `last` are local days (datetime64[s]), both included.
        daily: columns DAILY of these meters and days; a day without a row is missing.

    Returns:
        `reads` with volume_m3 (NaN: nothing known), estimated_share and missing_share of the
        period, difference_m3 = ours − billed, difference_share = that / billed (NaN for 0), and
        state: "within" the tolerance, "beyond" it, or "incomplete" where too much is missing. By
        the missing share of the bill our volume may fall short, not lie above.
    """
    check_columns(reads, READS, "billing reads")
    check_columns(daily, DAILY, "daily volumes")
    told = reads.reset_index(drop=True)
    sums = _sum_periods(told, daily)
    length = (told["last"] - told["first"]).dt.days.to_numpy(dtype=np.float64) + 1
    estimated, measured = sums[ESTIMATED_SHARE] / length, sums[MEASURED_SHARE] / length
    missing = np.clip(1 - estimated - measured, 0, 1)
    volume, billed = sums[VOLUME_M3], to_floats(told, "billed_m3")
    difference = volume - billed
    tolerance = np.maximum(LEAST_M3, TOLERANCE * billed)
    beyond = (difference > tolerance) | (difference < -tolerance - missing * billed)
    incomplete = np.isnan(volume) | (missing > MOST_MISSING)
    share = np.full(len(told), np.nan)
    np.divide(difference, billed, out=share, where=billed > 0)
    return told.assign(
        volume_m3=volume,
        estimated_share=estimated,
        missing_share=missing,
        difference_m3=difference,
        difference_share=share,
        state=np.select([incomplete, beyond], ["incomplete", "beyond"], "within"),
    )


def _sum_periods(reads: pd.DataFrame, daily: pd.DataFrame) -> dict[str, Floats]:
    """Sums of DAILY's columns over each read's days; the volume NaN where none is known."""
    ids = pd.Index(daily[METER_ID].unique())
    place = _places(ids, daily[METER_ID], daily[DAY])
    order = np.argsort(place)
    place = place[order]
    begin = np.searchsorted(place, _places(ids, reads[METER_ID], reads["first"]))
    end = np.searchsorted(place, _places(ids, reads[METER_ID], reads["last"]), side="right")

    def total(values: Floats) -> Floats:
        until = np.concatenate([[0.0], np.cumsum(np.nan_to_num(values[order]))])
        return until[end] - until[begin]

    sums = {n: total(to_floats(daily, n)) for n in (VOLUME_M3, MEASURED_SHARE, ESTIMATED_SHARE)}
    known = total(daily[VOLUME_M3].notna().to_numpy(dtype=np.float64))
    sums[VOLUME_M3] = np.where(known > 0, sums[VOLUME_M3], np.nan)
    return sums


def _places(ids: pd.Index, meters: pd.Series, days: pd.Series) -> NDArray[np.int64]:
    """A number a meter and day, in the order of both; unknown meters before all others."""
    day = days.to_numpy(dtype="datetime64[D]").astype(np.int64)
    return ids.get_indexer(pd.Index(meters)) * _DAYS + day
