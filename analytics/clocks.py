"""Devices' clocks, held against the time at which their readings arrived."""

import numpy as np
from numpy.typing import NDArray

from analytics.frames import Flags, Seconds

NEIGHBOURS = 2
"""Readings on either side that must say the same of the clock."""
STEADY = 0.1
"""Offsets that differ by at most a tenth of the time over which they were seen are a clock's: a
backlog delivered at once differs by the whole of it (own rule)."""


def find_clocks_off(
    meter: NDArray[np.int64], at: Seconds, received_at: Seconds, *, clock_limit_s: float
) -> Flags:
    """Readings from which on a device's clock is off by more than the limit.

    A clock is off where a reading and NEIGHBOURS on either side arrived at the pace of their
    stamps, but further than the limit from them. The first reading of such a stretch is told.

    Args:
        meter: code of each reading's meter, sorted.
        at: the device's stamp of each, sorted within a meter.
        received_at: when it arrived.
        clock_limit_s: how far a stamp may lie from the arrival.
    """
    size = at.size
    off = np.zeros(size, dtype=bool)
    reach = 2 * NEIGHBOURS
    if size <= reach:
        return off
    late = received_at - at
    if np.abs(late).max() <= clock_limit_s:
        return off
    inner = slice(NEIGHBOURS, size - NEIGHBOURS)
    windows = np.lib.stride_tricks.sliding_window_view(late, reach + 1)
    least, most = windows.min(axis=1), windows.max(axis=1)
    span = at[reach:] - at[:-reach]
    one_meter = meter[reach:] == meter[:-reach]
    beyond = (least > clock_limit_s) | (most < -clock_limit_s)
    off[inner] = one_meter & beyond & (most - least <= STEADY * span)
    began = off.copy()
    began[1:] &= ~(off[:-1] & (meter[1:] == meter[:-1]))
    return began
