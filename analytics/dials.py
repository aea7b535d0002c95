"""Registers as points on dials: what may follow what, across rollovers and meter changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.frames import Flags, Floats, Seconds, check_columns, to_floats, to_seconds
from water.columns import AT, METER_ID, REGISTER_M3
from water.meters import Meter, MeterChange

BACKWARD_TOLERANCE_M3 = 0.01
"""A decrease of at most so much is rounding (common VEE practice)."""
BINARY_M3 = 1e-6
"""Litres are no binary fractions: 70.284 - 70.274 is a little more than 0.01."""
OVERLOAD = 1.25
"""Q4 / Q3 (GB/T 778.1-2018)."""
STAMP_S = 60
"""Stamps are true to the minute (many protocols have no seconds): so much longer water may have
flowed than two stamps say (own rule)."""
UNKNOWN_Q4_M3_H = 1e15
"""Stands for no limit; finite, because infinity x 0 h is no number."""
ROLLOVER_ABOVE, ROLLOVER_BELOW = 0.9, 0.1
"""A dial rolls over from above 90 % of its modulus to below 10 % (own rule)."""


class Step(IntEnum):
    """What lies between two readings of one dial."""

    FORWARD = 0
    ROLLOVER = 1
    TOO_FAST = 2
    """More than Q4 lets through."""
    BACKWARD = 3
    NONE = 4
    """The two are not on one dial."""


@dataclass(frozen=True, slots=True)
class Dials:
    """Points sorted by (meter, at): readings with a register, both indexes of every meter change.

    Attributes:
        meter: index of the point's meter in the sorted `meter_ids`.
        at: epoch seconds.
        register_m3: the dial.
        dial: grows with every meter and every meter change; one number, one dial.
        row: the row of the reading in its frame; -1 for an index of a meter change.
        modulus_m3: of each meter; NaN = never rolls over.
        q4_m3_h: overload flow of each meter; UNKNOWN_Q4_M3_H when unknown.
        interval_s: of each meter.
    """

    meter: NDArray[np.int64]
    at: Seconds
    register_m3: Floats
    dial: NDArray[np.int64]
    row: NDArray[np.int64]
    modulus_m3: Floats
    q4_m3_h: Floats
    interval_s: Floats

    def step(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
        """What lies between the points at these indexes (Step); NONE beyond either end."""
        size = self.at.size
        inside = (first >= 0) & (second < size)
        i, j = np.where(inside, first, 0), np.where(inside, second, 0)
        rise = self.register_m3[j] - self.register_m3[i]
        meter = self.meter[i]
        modulus = self.modulus_m3[meter]
        allowed = self.allowed_m3(meter, self.at[j] - self.at[i])
        backward = rise < -BACKWARD_TOLERANCE_M3 - BINARY_M3
        rollover = (
            backward
            & (self.register_m3[i] > ROLLOVER_ABOVE * modulus)
            & (self.register_m3[j] < ROLLOVER_BELOW * modulus)
            & (rise + modulus <= allowed)
        )
        step = np.full(first.shape, int(Step.FORWARD), dtype=np.int64)
        step[rise > allowed] = Step.TOO_FAST
        step[backward] = Step.BACKWARD
        step[rollover] = Step.ROLLOVER
        step[~inside | (self.dial[i] != self.dial[j])] = Step.NONE
        return step

    def allowed_m3(self, meter: NDArray[np.int64], seconds: Seconds) -> Floats:
        """What Q4 lets through between two stamps, m³."""
        return self.q4_m3_h[meter] * ((seconds + STAMP_S) / 3600) + BACKWARD_TOLERANCE_M3

    def without(self, excluded: Flags, breaks: Flags) -> "Dials":
        """The same dials without the points flagged, of which a break ends its dial too."""
        kept = ~excluded & ~breaks
        dial = (self.dial + np.cumsum(breaks))[kept]
        return Dials(
            self.meter[kept], self.at[kept], self.register_m3[kept], dial,
            self.row[kept], self.modulus_m3, self.q4_m3_h, self.interval_s,
        )  # fmt: skip


def place_on_dials(
    readings: pd.DataFrame,
    meter_ids: Sequence[str],
    meters: Sequence[Meter],
    changes: Sequence[MeterChange],
) -> Dials:
    """Place the readings that carry a register, and the meter changes, on dials.

    A reading at the very instant of a change is on the new dial.

    Args:
        readings: columns meter_id, at, register_m3, in any order; meters not in `meter_ids` and
            readings without a register are left out.
        meter_ids: sorted, without repetition.
        meters: dials and Q3 of the meters.
        changes: recorded meter changes.
    """
    check_columns(readings, (METER_ID, AT, REGISTER_M3), "readings")
    index = pd.Index(meter_ids, dtype="str")
    code = index.get_indexer(pd.Index(readings[METER_ID]))
    register = to_floats(readings, REGISTER_M3)
    row = np.flatnonzero((code >= 0) & ~np.isnan(register))
    ends = sorted((c for c in changes if c.meter_id in index), key=lambda c: (c.meter_id, c.at))
    at_change = np.array([round(c.at.timestamp()) for c in ends], dtype=np.int64)
    of_change = index.get_indexer(pd.Index([c.meter_id for c in ends], dtype="str")).astype(
        np.int64
    )
    old = np.array([c.old_final_m3 for c in ends], dtype=np.float64)
    new = np.array([c.new_initial_m3 for c in ends], dtype=np.float64)
    meter = np.concatenate([code[row].astype(np.int64), of_change, of_change])
    at = np.concatenate([to_seconds(readings, AT)[row], at_change, at_change])
    value = np.concatenate([register[row], old, new])
    source = np.concatenate([row, np.full(2 * len(ends), -1, dtype=np.int64)])
    rank = np.repeat(np.array([2, 0, 1], dtype=np.int8), [row.size, len(ends), len(ends)])
    order = _order(meter, at, rank)
    meter, at, rank = meter[order], at[order], rank[order]
    new_dial = np.ones(meter.size, dtype=bool)
    new_dial[1:] = (meter[1:] != meter[:-1]) | (rank[1:] == 1)
    modulus, q4, interval = _traits(meter_ids, meters)
    dial = np.cumsum(new_dial)
    return Dials(meter, at, value[order], dial, source[order], modulus, q4, interval)


def _order(
    meter: NDArray[np.int64], at: Seconds, rank: NDArray[np.int8]
) -> NDArray[np.int64] | slice:
    same = meter[1:] == meter[:-1]
    if ((meter[1:] > meter[:-1]) | (same & (at[1:] > at[:-1]))).all():
        return slice(None)  # a chunk comes sorted from the store: sorting 6 M rows costs seconds
    return np.lexsort((rank, at, meter))


def _traits(meter_ids: Sequence[str], meters: Sequence[Meter]) -> tuple[Floats, Floats, Floats]:
    known = {meter.id: meter for meter in meters}
    rows = [known.get(meter_id) for meter_id in meter_ids]
    modulus = [m.modulus_m3 if m and m.modulus_m3 else np.nan for m in rows]
    q4 = [m.q3_m3_h * OVERLOAD if m and m.q3_m3_h else UNKNOWN_Q4_M3_H for m in rows]
    interval = [m.interval_s if m else 3600 for m in rows]
    return np.array(modulus, float), np.array(q4, float), np.array(interval, float)
