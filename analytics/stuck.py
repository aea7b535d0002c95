"""Registers that stand still although water flows: their readings measure nothing."""

import numpy as np
from numpy.typing import NDArray

from analytics.contradictions import RUN_MOST, RUN_S
from analytics.dials import Dials, Step
from analytics.frames import Flags, Floats

Points = NDArray[np.int64]


def find_stuck(dials: Dials, flow_m3_h: Floats, *, stuck_m3: float) -> Flags:
    """Points at which the register stood still although water flowed.

    Two kinds of evidence: the meter's own flow, where the slower of the flows at both ends would
    have brought `stuck_m3` since the reading before; and the register itself, where it stands
    still over several readings and then catches up with more than Q4 lets through in that step,
    but possible since it stopped.

    Args:
        dials: points without the contradicted ones.
        flow_m3_h: of each point; NaN where nothing is said.
        stuck_m3: volume that a register can't overlook, m³.
    """
    stuck = _against_flow(dials, flow_m3_h, stuck_m3)
    stuck[_before_catching_up(dials)] = True
    return stuck & (dials.row >= 0)


def _against_flow(dials: Dials, flow_m3_h: Floats, stuck_m3: float) -> Flags:
    stuck = np.zeros(dials.at.size, dtype=bool)
    if np.isnan(flow_m3_h).all():
        return stuck
    unmoved = (np.diff(dials.register_m3) == 0) & (np.diff(dials.dial) == 0)
    slower = np.minimum(flow_m3_h[1:], flow_m3_h[:-1])
    stuck[1:] = unmoved & (slower * np.diff(dials.at) / 3600 >= stuck_m3)
    return stuck


def _before_catching_up(dials: Dials) -> Points:
    """The points at which the register had stood still when it caught up, but for the first."""
    points = np.arange(max(dials.at.size - 1, 0), dtype=np.int64)
    last = points[dials.step(points, points + 1) == Step.TOO_FAST]
    still = np.zeros(last.size, dtype=np.int64)
    undecided = np.arange(last.size)
    for count in range(1, RUN_MOST + 1):
        first, end = last[undecided] - count, last[undecided]
        there = np.maximum(first, 0)
        unmoved = (
            (first >= 0)
            & (dials.dial[there] == dials.dial[end])
            & (dials.register_m3[there] == dials.register_m3[end])
            & (dials.at[end + 1] - dials.at[there] <= RUN_S)
        )
        still[undecided[unmoved]] = count
        undecided = undecided[unmoved]
        if not undecided.size:
            break
    possible = dials.step(last - still, last + 1) == Step.FORWARD
    runs = [np.arange(end - count + 1, end + 1) for end, count in zip(last, still, strict=True)]
    caught_up = [run for run, fits in zip(runs, possible & (still >= 2), strict=True) if fits]
    return np.concatenate(caught_up) if caught_up else np.empty(0, dtype=np.int64)
