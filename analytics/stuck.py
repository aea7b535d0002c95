"""Registers that stand still although water flows: their readings measure nothing."""

import numpy as np
from numpy.typing import NDArray

from analytics.contradictions import RUN_MOST, RUN_S
from analytics.dials import Dials, Step
from analytics.frames import Flags, Floats

Points = NDArray[np.int64]

STEPS_OVERLOOKED = 2
"""So many steps of the dial may pass unseen: one that the dial hasn't shown yet, and as much again
because a flow is what the meter says of an instant, not the mean since the reading before."""
FINEST_M3, COARSEST = 0.001, 5
"""A dial's step is the finest, or ten, a hundred … up to ten to the COARSEST times as much."""
NEAR = 2
"""Readings on either side of a standstill that show the dial's step; no more than CONTEXT_READINGS
allow, so that a chunk says the same as the whole series."""


def find_stuck(dials: Dials, flow_m3_h: Floats, *, stuck_m3: float) -> Flags:
    """Points at which the register stood still although water flowed.

    Two kinds of evidence: the meter's own flow, where the slower of the flows at both ends would
    have brought `stuck_m3` since the reading before, and STEPS_OVERLOOKED steps of the dial; and
    the register itself, where it stands still over several readings and then catches up with more
    than Q4 lets through in that step, but possible since it stopped.

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
    passed_m3 = slower * np.diff(dials.at) / 3600
    stuck[1:] = unmoved & (passed_m3 >= stuck_m3)
    if stuck.any():
        stuck[1:] &= passed_m3 >= STEPS_OVERLOOKED * _dial_steps(dials)
    return stuck


def _dial_steps(dials: Dials) -> Floats:
    """The dial's step, m³, as it shows around each two points that follow each other.

    The largest power of ten of which the registers at both, and at the NEAR points on either side,
    are whole multiples: a dial in steps of 10 m³ shows nothing else.
    """
    whole = np.rint(dials.register_m3 / FINEST_M3).astype(np.int64)
    power = np.sum([whole % 10**n == 0 for n in range(1, COARSEST + 1)], axis=0)
    same_dial = np.diff(dials.dial) == 0
    for _ in range(NEAR):  # each time the least of one point further
        lower = np.where(same_dial, np.minimum(power[1:], power[:-1]), COARSEST)
        power[1:] = np.minimum(power[1:], lower)
        power[:-1] = np.minimum(power[:-1], lower)
    return FINEST_M3 * 10.0 ** np.minimum(power[1:], power[:-1])


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
