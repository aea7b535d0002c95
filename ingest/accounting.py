"""The two sums that always add up, a supplier, from the counts that the store keeps."""

from collections import Counter
from collections.abc import Iterator, Mapping

from water.accounting import MessageSum, ReadingSum
from water.loading import Outcome, Tally

ACCOUNTS = {
    Outcome.STORED: "stored",
    Outcome.DUPLICATE: "duplicate",
    Outcome.CONFLICT: "conflict",
}
"""The account of the readings' sum under which each outcome is counted."""


def sum_messages(tallies: Mapping[Tally, int]) -> dict[str, MessageSum]:
    """Messages a supplier; those received and not yet accounted for are waiting in the journal."""
    sums: dict[str, MessageSum] = {}
    for supplier, counts in _by_supplier(tallies, "messages"):
        received = counts["received"]
        kept = (counts["decoded"], counts["undecodable"], counts["set_aside"])
        sums[supplier] = MessageSum(received, *kept, received - sum(kept))
    return sums


def sum_readings(tallies: Mapping[Tally, int]) -> dict[str, ReadingSum]:
    """Readings a supplier; none waits, because a load decodes and stores in one transaction."""
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


def count_processed(tallies: Mapping[Tally, int]) -> dict[str, int]:
    """Messages a supplier that are no longer waiting."""
    return {
        supplier: counts["decoded"] + counts["undecodable"] + counts["set_aside"]
        for supplier, counts in _by_supplier(tallies, "messages")
    }


def count_received(tallies: Mapping[Tally, int], journal: Mapping[str, int]) -> dict[Tally, int]:
    """What to add so that the store shows the journal's own count of received messages."""
    shown = {supplier: Tally(supplier, "messages", "received") for supplier in journal}
    grown = {tally: journal[supplier] - tallies.get(tally, 0) for supplier, tally in shown.items()}
    return {tally: count for tally, count in grown.items() if count}


def _by_supplier(tallies: Mapping[Tally, int], ledger: str) -> Iterator[tuple[str, Counter[str]]]:
    suppliers: dict[str, Counter[str]] = {}
    for tally, count in tallies.items():
        if tally.ledger == ledger:
            suppliers.setdefault(tally.supplier, Counter())[tally.account] += count
    yield from suppliers.items()
