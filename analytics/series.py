"""The series check: what each reading is worth, judged by its neighbours in time alone."""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.dials import Dials, Step, place_on_dials
from analytics.frames import check_columns, to_seconds
from water.columns import AT, METER_ID, REGISTER_M3, VERDICT
from water.meters import Meter, MeterChange


class Verdict(StrEnum):
    """What the series check says of a reading. A stored name: renaming one is a decision."""

    GOOD = "good"
    METER_CHANGED = "meter_changed"
    """The first reading of a new dial, after a recorded meter change."""
    ROLLOVER = "rollover"
    """The first reading after the dial went through its modulus."""
    BACKWARD = "backward"
    """The register decreased, beyond the tolerance; excluded from volumes."""
    BEYOND_Q4 = "beyond_q4"
    """More water than Q4 allows since the reading before, and it did not come back."""
    SPIKE = "spike"
    """A value that the readings on both sides contradict; excluded from volumes."""


EXCLUDED = frozenset({Verdict.BACKWARD, Verdict.SPIKE})
"""Verdicts whose readings carry no register into volumes."""

CONTEXT_READINGS = 6
"""Readings with a register that must stand on either side of a chunk, where they exist, so that
a chunk gives the same verdicts and volumes as the whole series. A day on either side plus the
nearest neighbour does for meters that read at least every four hours."""


def check_series(
    readings: pd.DataFrame, meters: Sequence[Meter], changes: Sequence[MeterChange]
) -> pd.DataFrame:
    """Judge every reading by its neighbours; order of arrival has no say.

    Args:
        readings: columns READINGS (meter_id, at, register_m3 are used), in any order.
        meters: the meters of the readings; others are taken to have neither dial nor Q3.
        changes: recorded meter changes; those of other meters are ignored.

    Returns:
        The readings sorted by (meter_id, at) with a column `verdict` (Verdict as string).
    """
    check_columns(readings, (METER_ID, AT, REGISTER_M3), "readings")
    checked = _sorted(readings)
    meter_ids = pd.Index(checked[METER_ID]).unique().tolist()
    dials = place_on_dials(checked, meter_ids, meters, changes)
    names = list(Verdict)
    verdict = np.full(len(checked), names.index(Verdict.GOOD))
    excluded = np.zeros(dials.at.size, dtype=bool)
    for name, points in _contradicted(dials).items():
        verdict[dials.row[points]] = names.index(name)
        excluded[points] = True
    kept = dials.keep(~excluded)
    for name, points in _remarkable(kept).items():
        verdict[kept.row[points]] = names.index(name)
    checked[VERDICT] = pd.array([name.value for name in names], dtype="str").take(verdict)
    return checked


def _sorted(readings: pd.DataFrame) -> pd.DataFrame:
    code = pd.factorize(readings[METER_ID], sort=True)[0]
    at = to_seconds(readings, AT)
    later = (code[1:] == code[:-1]) & (at[1:] > at[:-1])
    if (later | (code[1:] > code[:-1])).all():
        return readings.reset_index(drop=True)
    return readings.take(np.lexsort((at, code))).reset_index(drop=True)


def _contradicted(dials: Dials) -> dict[Verdict, NDArray[np.int64]]:
    """Points that a decrease shows to be wrong.

    A decrease from `high` to `low` blames the one without which its neighbours agree: `low` if the
    point after it may follow `high`, else `high` if `low` may follow the point before it (a high
    spike that came back). Where neither helps, the decrease lasts: the register ran backwards.
    """
    points = np.arange(max(dials.at.size - 1, 0), dtype=np.int64)
    high = points[dials.step(points, points + 1) == Step.BACKWARD]
    low = high + 1
    agree = (Step.FORWARD, Step.ROLLOVER)
    without_low = np.isin(dials.step(high, low + 1), agree) & (dials.row[low] >= 0)
    without_high = np.isin(dials.step(high - 1, low), agree) & (dials.row[high] >= 0)
    spikes = np.concatenate(
        [low[without_low], high[without_high & ~without_low], _false_rollovers(dials, points)]
    )
    lasting = low[~without_low & ~without_high & (dials.row[low] >= 0)]
    return {Verdict.BACKWARD: np.setdiff1d(lasting, spikes), Verdict.SPIKE: np.unique(spikes)}


def _false_rollovers(dials: Dials, points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Points that look like a rollover, but the dial is up there again right after."""
    low = points[dials.step(points, points + 1) == Step.ROLLOVER] + 1
    jumps_back = dials.step(low, low + 1) == Step.TOO_FAST
    goes_on = dials.step(low - 1, low + 1) == Step.FORWARD
    return low[jumps_back & goes_on & (dials.row[low] >= 0)]


def _remarkable(kept: Dials) -> dict[Verdict, NDArray[np.int64]]:
    """Readings that follow the kept point before them in a way worth a word."""
    points = np.arange(kept.at.size, dtype=np.int64)
    step = kept.step(points - 1, points)
    is_reading = kept.row >= 0
    after_change = np.zeros(kept.at.size, dtype=bool)
    after_change[1:] = (kept.row[:-1] < 0) & (kept.dial[1:] == kept.dial[:-1])
    return {
        Verdict.BEYOND_Q4: points[is_reading & (step == Step.TOO_FAST)],
        Verdict.ROLLOVER: points[is_reading & (step == Step.ROLLOVER)],
        Verdict.METER_CHANGED: points[is_reading & after_change],
    }
