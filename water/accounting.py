"""The two sums that always add up, a supplier."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MessageSum:
    """Messages of one supplier: received = decoded + undecodable + set_aside + waiting."""

    received: int = 0
    decoded: int = 0
    undecodable: int = 0
    set_aside: int = 0
    waiting: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every received message is accounted for."""
        return self.received == self.decoded + self.undecodable + self.set_aside + self.waiting


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
