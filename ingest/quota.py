"""How much of the quarantine one supplier may fill."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from ingest.settings import Limits
from water.loading import Refused


@dataclass(frozen=True, slots=True)
class Quota:
    """Rows of quarantine that a supplier may fill; beyond it a sample is kept.

    Attributes:
        limits: how many rows, and one in how many beyond them.
        held: rows that the store holds, a supplier.
        beyond: readings refused beyond the quota, a supplier.
    """

    limits: Limits
    held: Mapping[str, int] = field(default_factory=dict[str, int])
    beyond: Mapping[str, int] = field(default_factory=dict[str, int])

    def admit(self, refused: Sequence[Refused]) -> tuple[list[Refused], Self]:
        """Those of a load's refused readings that are kept, and the quota once they are."""
        if not refused:
            return [], self
        kept: list[Refused] = []
        held, beyond = Counter(self.held), Counter(self.beyond)
        quota, sample = self.limits.quarantine_quota, self.limits.quarantine_sample
        for row in refused:
            supplier = row.supplier
            if held[supplier] >= quota:
                beyond[supplier] += 1
                if beyond[supplier] % sample:
                    continue
            held[supplier] += 1
            kept.append(row)
        return kept, type(self)(self.limits, held, beyond)
