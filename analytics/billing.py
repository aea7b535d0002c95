"""Our volumes held against the utility's billing reads."""
# pandas annotates itself only in part:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false, reportOperatorIssue=false, reportIndexIssue=false

import numpy as np
import pandas as pd

from analytics.frames import check_columns, to_floats
from water.columns import DAILY, DAY, ESTIMATED_SHARE, MEASURED_SHARE, METER_ID, VOLUME_M3

READS = (METER_ID, "first", "last", "billed_m3")
TOLERANCE = 0.05
"""Share of the billed volume that may lie between: the error of a class 2 meter in its lower range
(GB/T 778.1-2018, 4.2.3: ±5 %); above it a meter may err by ±2 %, but nobody reads at midnight."""
LEAST_M3 = 1.0
"""A difference of at most so much is rounding: bills are in whole m³."""
MOST_MISSING = 0.1
"""Share of a period's time above which our volume says too little to compare (own rule)."""


def compare_billing(reads: pd.DataFrame, daily: pd.DataFrame) -> pd.DataFrame:
    """Each billed period beside our volume of the same local days.

    Args:
        reads: columns READS; `first` and `last` are local days (datetime64[s]), both included.
        daily: columns DAILY of these meters and days; a day without a row is missing.

    Returns:
        `reads` with volume_m3 (NaN: nothing known), estimated_share and missing_share of the
        period, difference_m3 = ours − billed, difference_share = that / billed (NaN for 0), and
        state: "within" the tolerance, "beyond" it, or "incomplete" where too much is missing.
    """
    check_columns(reads, READS, "billing reads")
    check_columns(daily, DAILY, "daily volumes")
    told = reads.reset_index(drop=True)
    read = np.arange(len(told))
    days = told[[METER_ID, "first", "last"]].assign(read=read).merge(daily, on=METER_ID)
    days = days[(days[DAY] >= days["first"]) & (days[DAY] <= days["last"])]
    sums = days.groupby("read")[[VOLUME_M3, MEASURED_SHARE, ESTIMATED_SHARE]].sum(min_count=1)
    sums = sums.reindex(read)
    length = (told["last"] - told["first"]).dt.days.to_numpy(dtype=np.float64) + 1
    estimated = np.nan_to_num(to_floats(sums, ESTIMATED_SHARE)) / length
    measured = np.nan_to_num(to_floats(sums, MEASURED_SHARE)) / length
    missing = np.clip(1 - estimated - measured, 0, 1)
    volume, billed = to_floats(sums, VOLUME_M3), to_floats(told, "billed_m3")
    difference = volume - billed
    beyond = np.abs(np.nan_to_num(difference)) > np.maximum(LEAST_M3, TOLERANCE * billed)
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
