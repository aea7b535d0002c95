"""What a register's own course shows to be wrong: spikes that come back, blocks sent again.

Everything begins with a decrease. Each is explained from the readings around it alone, so that a
chunk with its context says the same as the whole series.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytics.dials import Dials, Step
from analytics.frames import Flags

RUN_S = 90_000
"""A run of wrong readings lasts at most 25 h, a day's packet sent again (own rule) …"""
RUN_LEAST, RUN_MOST = 3, 300
"""… or so few readings, of a meter that seldom reads; and never more than so many."""
BLOCK_LEAST = 3
"""So many different values in the order in which they stood before are no coincidence."""
SOURCES_MOST = 8
"""Places that may be the block's origin, the newest ones: a register that goes up and down for
ever has as many as readings."""
WITNESSES = 12
"""Readings on either side that decide between two values either of which could be wrong."""

Points = NDArray[np.int64]

_AGREE = (Step.FORWARD, Step.ROLLOVER)
_CONTRADICT = (Step.TOO_FAST, Step.BACKWARD)


class Contradicted(NamedTuple):
    """Points that the others contradict, each in one of three ways."""

    repeated: Points
    spikes: Points
    backward: Points


def find_contradicted(dials: Dials) -> Contradicted:
    """Explain every decrease, from `high` to `low`, by what is wrong.

    * repeated: the readings from `low` on stood in the same order before, at least BLOCK_LEAST
      different values within RUN_S, and what follows them may follow `high`;
    * spike: without a run of readings that ends with `high`, or begins with `low`, its neighbours
      agree; a run of several must be contradicted at both of its ends. The shorter run is wrong;
      of two of one length the one that fewer of the readings around agree with, else the low one;
    * backward: neither, so that the decrease lasts.

    What looks like a rollover is a spike if the dial is up there again within such a run.
    """
    points = np.arange(max(dials.at.size - 1, 0), dtype=np.int64)
    step = dials.step(points, points + 1)
    high = points[step == Step.BACKWARD]
    low_run = _low_runs(dials, high, _AGREE, lone=True)
    high_run = _high_runs(dials, high)
    blocks = np.where(low_run == 1, 0, _block_lengths(dials, high, low_run != 1))
    repeated = _spread(high + 1, blocks)
    blame_high = _is_high_wrong(dials, high, low_run, high_run)
    in_low = np.where(blame_high, 0, low_run)
    in_high = np.where(blame_high, high_run, 0)
    rolled = points[step == Step.ROLLOVER]
    false_rollover = _low_runs(dials, rolled, (Step.FORWARD,), lone=False)
    spikes = np.concatenate(
        [
            _spread(high + 1, in_low),
            _spread(high + 1 - in_high, in_high),
            _spread(rolled + 1, false_rollover),
        ]
    )
    spikes = np.setdiff1d(spikes[dials.row[spikes] >= 0], repeated)
    lasting = high[(low_run == 0) & (high_run == 0)] + 1
    lasting = lasting[dials.row[lasting] >= 0]
    wrong = np.concatenate([spikes, repeated])
    return Contradicted(np.unique(repeated), spikes, np.setdiff1d(lasting, wrong))


def _low_runs(dials: Dials, high: Points, agree: tuple[Step, ...], *, lone: bool) -> Points:
    """How many readings right after each point are wrong, because it goes on after them; or 0.

    A single one is believed to be wrong without a second contradiction where `lone` is set.
    """
    length = _nearest_agreeing(dials, high, agree, ahead=True)
    after = high + 1 + length
    contradicted = np.isin(dials.step(after - 1, after), _CONTRADICT)
    return np.where(contradicted | ((length == 1) & lone), length, 0)


def _high_runs(dials: Dials, high: Points) -> Points:
    """How many readings up to each point are wrong, because the next one follows those before."""
    length = _nearest_agreeing(dials, high + 1, _AGREE, ahead=False)
    before = high - length
    contradicted = np.isin(dials.step(before, before + 1), _CONTRADICT)
    return np.where(contradicted | (length == 1), length, 0)


def _nearest_agreeing(
    dials: Dials, points: Points, agree: tuple[Step, ...], *, ahead: bool
) -> Points:
    """How many readings lie between each point and the nearest beyond its neighbour that agrees.

    0 where none does on the same dial, within RUN_S or RUN_LEAST readings.
    """
    length = np.zeros(points.size, dtype=np.int64)
    undecided = np.arange(points.size)
    for count in range(1, RUN_MOST + 1):
        here = points[undecided]
        there = here + (count + 1) * (1 if ahead else -1)
        step = dials.step(here, there) if ahead else dials.step(there, here)
        near = (step != Step.NONE) & _is_near(dials, here, there, count)
        agreeing = near & np.isin(step, agree)
        length[undecided[agreeing]] = count
        undecided = undecided[near & ~agreeing]
        if not undecided.size:
            break
    return length


def _is_near(dials: Dials, first: Points, second: Points, count: int) -> Flags:
    """Whether two points belong to what may be one run, of `count` readings between them."""
    last = max(dials.at.size - 1, 0)
    apart = np.abs(dials.at[np.clip(second, 0, last)] - dials.at[np.clip(first, 0, last)])
    return (apart <= RUN_S) | (count <= RUN_LEAST)


def _is_high_wrong(dials: Dials, high: Points, low_run: Points, high_run: Points) -> Flags:
    """Whether it is the run that ends with the high point, not the one that begins after it."""
    either = (low_run > 0) & (low_run == high_run)
    rather = (high_run > 0) & ((low_run == 0) | (high_run < low_run))
    open_question = high[either]
    if open_question.size:
        doubted = _witnesses(dials, open_question) < _witnesses(dials, open_question + 1)
        rather[either] = doubted
    return rather


def _witnesses(dials: Dials, points: Points) -> Points:
    """How many of the readings on either side agree with each point."""
    count = np.zeros(points.size, dtype=np.int64)
    for away in range(1, WITNESSES + 1):
        before, after = points - away, points + away
        for first, second in ((before, points), (points, after)):
            near = _is_near(dials, first, second, away)
            count += near & np.isin(dials.step(first, second), _AGREE)
    return count


def _block_lengths(dials: Dials, high: Points, wanted: Flags) -> Points:
    """How many readings after each point repeat earlier ones; 0 = no block, or not wanted."""
    length = np.zeros(high.size, dtype=np.int64)
    for i in np.flatnonzero(wanted):
        length[i] = _block_length(dials, int(high[i]))
    after = high + 1 + length
    return np.where(dials.step(high, after) == Step.BACKWARD, 0, length)


def _block_length(dials: Dials, high: int) -> int:
    begin = high + 1
    register = dials.register_m3
    oldest = max(0, begin - RUN_MOST)
    alike = (
        (register[oldest:begin] == register[begin])
        & (dials.dial[oldest:begin] == dials.dial[begin])
        & (dials.at[oldest:begin] >= dials.at[begin] - RUN_S)
    )
    moved = np.flatnonzero(register[begin : begin + RUN_MOST] != register[begin])
    if not moved.size:
        return 0
    sources = oldest + np.flatnonzero(alike)
    sources = sources[register[sources + moved[0]] == register[begin + moved[0]]]
    longest = 0
    for source in sources[-SOURCES_MOST:]:
        most = min(begin - source, dials.at.size - begin)
        block = register[begin : begin + most]
        same = block == register[source : source + most]
        same &= dials.dial[begin : begin + most] == dials.dial[begin]
        same &= dials.at[begin : begin + most] <= dials.at[begin] + RUN_S
        length = int(most if same.all() else same.argmin())
        if length >= BLOCK_LEAST and np.unique(block[:length]).size >= BLOCK_LEAST:
            longest = max(longest, length)
    return longest


def _spread(first: Points, length: Points) -> Points:
    """Every point of the runs that begin at `first`, in order of the runs."""
    ends = np.cumsum(length)
    within = np.arange(ends[-1] if ends.size else 0) - np.repeat(ends - length, length)
    return np.repeat(first, length) + within
