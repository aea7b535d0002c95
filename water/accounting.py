"""The two sums of a supplier, from the counts that the readings store keeps; they must add up."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from water.loading import Tally


@dataclass(frozen=True, slots=True)
class MessageSum:
    """Messages of one supplier: received = decoded + undecodable + set_aside + waiting.

    Every term is counted by itself, so that a message that got lost shows: `received` and
    `waiting` (received and not yet passed by the loader) are the journal's numbers, the others are
    counted as messages are loaded.
    """

    received: int = 0
    decoded: int = 0
    undecodable: int = 0
    set_aside: int = 0
    waiting: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every received message is accounted for; fewer than none can't wait."""
        counted = self.decoded + self.undecodable + self.set_aside + self.waiting
        return self.received == counted and self.waiting >= 0


@dataclass(frozen=True, slots=True)
class ReadingSum:
    """Readings of one supplier: decoded = stored + duplicate + conflict + quarantined + waiting."""

    decoded: int = 0
    stored: int = 0
    duplicate: int = 0
    conflict: int = 0
    quarantined: int = 0
    waiting: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every decoded reading is accounted for."""
        kept = self.stored + self.duplicate + self.conflict + self.quarantined
        return self.decoded == kept + self.waiting


def sum_messages(tallies: Mapping[Tally, int]) -> dict[str, MessageSum]:
    """The messages' sum of every supplier that has one."""
    return {
        supplier: MessageSum(
            counts["received"],
            counts["decoded"],
            counts["undecodable"],
            counts["set_aside"],
            counts["waiting"],
        )
        for supplier, counts in _by_supplier(tallies, "messages")
    }


def sum_readings(tallies: Mapping[Tally, int]) -> dict[str, ReadingSum]:
    """The readings' sum of every supplier that has one.

    None waits: a load decodes and stores in one transaction.
    """
    return {
        supplier: ReadingSum(
            counts["decoded"],
            counts["stored"],
            counts["duplicate"],
            counts["conflict"],
            counts["quarantined"],
        )
        for supplier, counts in _by_supplier(tallies, "readings")
    }


def _by_supplier(tallies: Mapping[Tally, int], ledger: str) -> Iterator[tuple[str, Counter[str]]]:
    suppliers: dict[str, Counter[str]] = {}
    for tally, count in tallies.items():
        if tally.ledger == ledger:
            suppliers.setdefault(tally.supplier, Counter())[tally.account] += count
    yield from suppliers.items()
