"""The series check: what each reading is worth, judged by its neighbours in time alone."""

from collections.abc import Sequence
from enum import StrEnum

import pandas as pd

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
    raise NotImplementedError
