"""What becomes of a reading that meets another one of the same meter and instant. Pure."""

from typing import Any, NamedTuple

from water.loading import Outcome
from water.readings import QUANTITIES, merge_arrivals

Row = tuple[Any, Any, int, float | None, float | None, float | None, float | None, int]
"""A stored reading: its meter and instant, as the store has them, received_at, four quantities,
quality."""

_RECEIVED_AT, _FIRST_QUANTITY, _QUALITY = 2, 3, 7


class Disagreement(NamedTuple):
    """A quantity that is already there with another value."""

    quantity: str
    kept: float
    offered: float


class Merged(NamedTuple):
    """The row that stands after the merge, and what is to be said about it."""

    row: Row
    outcome: Outcome
    disagreements: tuple[Disagreement, ...]


def merge(kept: Row, offered: Row) -> Merged:
    """Merge a reading into the one that is there.

    The first value of each quantity stays. The earliest arrival stands and bits of quality add up
    (`merge_arrivals`), so that the order of arrival leaves no trace unless values disagree. An
    offered reading that brings a quantity counts as stored, one that disagrees as conflict, else it
    is a duplicate.
    """
    quantities = list(kept[_FIRST_QUANTITY:_QUALITY])
    disagreements: list[Disagreement] = []
    filled = False
    for i, name in enumerate(QUANTITIES):
        old, new = kept[_FIRST_QUANTITY + i], offered[_FIRST_QUANTITY + i]
        if new is None or new == old:
            continue
        if old is None:
            quantities[i] = new
            filled = True
        else:
            disagreements.append(Disagreement(name, old, new))
    received_at, quality = merge_arrivals(
        (kept[_RECEIVED_AT], kept[_QUALITY]), (offered[_RECEIVED_AT], offered[_QUALITY])
    )
    row: Row = (kept[0], kept[1], received_at, *quantities, quality)  # pyright: ignore[reportAssignmentType] - four quantities
    settled = Outcome.STORED if filled else Outcome.DUPLICATE
    outcome = Outcome.CONFLICT if disagreements else settled
    return Merged(row, outcome, tuple(disagreements))
