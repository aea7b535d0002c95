# pyright: standard
# numpy types its arrays too loosely for the strict rules.
"""Registers around instants, as every adapter gives them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from storage.errors import StoreError


@dataclass(frozen=True, slots=True)
class Edges:
    """Registers around instants: every array has a row a meter and a column an instant.

    Attributes:
        meter_ids: the meters, sorted.
        instants: epoch seconds.
        before_at: epoch seconds of the last register at or before the instant; NaN = none.
        before_m3: that register.
        after_at: epoch seconds of the first register at or after it; NaN = none.
        after_m3: that register.
    """

    meter_ids: list[str]
    instants: np.ndarray
    before_at: np.ndarray
    before_m3: np.ndarray
    after_at: np.ndarray
    after_m3: np.ndarray

    def interpolate(self) -> np.ndarray:
        """The register at each instant, m³, linear between both neighbours; NaN = unknown.

        Knows nothing of rollover and meter changes: analytics does.
        """
        gap = self.after_at - self.before_at
        share = np.divide(
            self.instants - self.before_at, gap, out=np.zeros_like(gap), where=gap > 0
        )
        return self.before_m3 + (self.after_m3 - self.before_m3) * share


def unknown_edges(meter_ids: list[str], instants: Sequence[int]) -> Edges:
    """Nothing known yet of sorted meters around instants (epoch seconds).

    Raises:
        StoreError: the instants don't rise or aren't whole minutes apart.
    """
    gaps = [later - earlier for earlier, later in pairwise(instants)]
    if any(gap <= 0 or gap % 60 for gap in gaps):
        raise StoreError("instants must rise and lie whole minutes apart")
    unknown = [np.full((len(meter_ids), len(instants)), np.nan) for _ in range(4)]
    return Edges(meter_ids, np.array(instants, np.int64), *unknown)


def join_edges(*parts: Edges) -> Edges:
    """Edges of different meters, in order, around the same instants."""
    sides = [
        np.concatenate([getattr(part, side) for part in parts])
        for side in ("before_at", "before_m3", "after_at", "after_m3")
    ]
    meter_ids = [meter_id for part in parts for meter_id in part.meter_ids]
    return Edges(meter_ids, parts[0].instants, *sides)
