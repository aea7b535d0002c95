"""One load in the making: what entries of the journal come to before the store has its say."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ingest.accounting import ACCOUNTS
from ingest.checks import Directory, check
from ingest.decoders import Decoded
from ingest.identity import receipt_id
from ingest.journal import Entry
from ingest.messages import Contents, read_message
from ingest.settings import Limits, Source
from water.loading import Outcome, Position, Refused, Tally
from water.policy import Policy
from water.readings import Reading
from water.refusals import Refusal, SetAside, Undecodable

_INT64 = 1 << 63


class Judgement(NamedTuple):
    """What a message came to: readings `first` to `end` of the batch, refusals, or a reason.

    `receipt` is the id under which its sender is told.
    """

    supplier: str
    receipt: str
    first: int
    end: int
    refused: list[tuple[int, str]]
    reason: Undecodable | SetAside | None


@dataclass(slots=True)
class Quota:
    """Rows of quarantine that a supplier may fill; beyond it a sample is kept.

    `held` is what the store holds, a supplier, and grows with what is admitted.
    """

    limits: Limits
    held: Counter[str] = field(default_factory=Counter[str])
    beyond: Counter[str] = field(default_factory=Counter[str])

    def admits(self, supplier: str) -> bool:
        """Whether one more refused reading is kept."""
        if self.held[supplier] >= self.limits.quarantine_quota:
            self.beyond[supplier] += 1
            if self.beyond[supplier] % self.limits.quarantine_sample:
                return False
        self.held[supplier] += 1
        return True


@dataclass(frozen=True, slots=True)
class Rules:
    """What messages are judged by."""

    sources: Sequence[Source]
    policy: Policy
    directory: Directory


@dataclass(slots=True)
class Batch:
    """Readings to store, refused ones, and what each message came to."""

    readings: list[Reading] = field(default_factory=list[Reading])
    refused: list[Refused] = field(default_factory=list[Refused])
    judgements: list[Judgement] = field(default_factory=list[Judgement])
    tallies: Counter[Tally] = field(default_factory=Counter[Tally])
    entries: list[Entry] = field(default_factory=list[Entry])

    @property
    def position(self) -> Position:
        """Where the journal goes on after this batch."""
        newest = self.entries[-1]
        return Position(newest.segment, newest.end, newest.entry)

    @property
    def newest(self) -> dict[str, int]:
        """The number of each supplier's newest message in this batch."""
        return {entry.supplier: entry.number for entry in self.entries}

    def settle(self, outcomes: Sequence[Outcome] | None) -> Counter[Tally]:
        """All counts of the batch, with what the store did with each reading."""
        tallies = Counter(self.tallies)
        for supplier, _, first, end, _, _ in self.judgements:
            for account, count in count_outcomes(outcomes, first, end).items():
                tallies[Tally(supplier, "readings", account)] += count
        return tallies


def count_outcomes(outcomes: Sequence[Outcome] | None, first: int, end: int) -> dict[str, int]:
    """How many readings of a stretch went to which account; None = all were stored."""
    if first == end:
        return {}
    if outcomes is None:
        return {"stored": end - first}
    return dict(Counter(ACCOUNTS[Outcome(outcome)] for outcome in outcomes[first:end]))


def add_entry(batch: Batch, entry: Entry, rules: Rules, quota: Quota) -> None:
    """Judge one message and add it to a batch."""
    contents = read_message(entry, rules.sources, rules.directory.suppliers)
    first, refused = len(batch.readings), list[tuple[int, str]]()
    received_at = entry.received_ms // 1000
    for part, decoded in enumerate(contents.readings):
        judged = check(
            decoded, entry.supplier, contents.dialect, received_at, rules.directory, rules.policy
        )
        if isinstance(judged, Reading):
            batch.readings.append(judged)
            continue
        refused.append((part, judged[0].value))
        if quota.admits(entry.supplier):
            batch.refused.append(_refuse(entry, contents.dialect, decoded, part, *judged))
    _count(batch.tallies, entry, contents, refused)
    end = len(batch.readings)
    receipt = receipt_id(entry.payload, entry.flags)
    batch.judgements.append(
        Judgement(entry.supplier, receipt, first, end, refused, contents.reason)
    )
    batch.entries.append(entry)


def refuse_entry(batch: Batch, entry: Entry, rules: Rules, detail: str) -> None:
    """Put every reading of a message aside that the store itself can't take."""
    contents = read_message(entry, rules.sources, rules.directory.suppliers)
    refused: list[tuple[int, str]] = []
    for part, decoded in enumerate(contents.readings):
        reason = Refusal.STORE_REFUSED
        refused.append((part, reason.value))
        batch.refused.append(_refuse(entry, contents.dialect, decoded, part, reason, detail))
    _count(batch.tallies, entry, contents, refused)
    receipt = receipt_id(entry.payload, entry.flags)
    batch.judgements.append(Judgement(entry.supplier, receipt, 0, 0, refused, contents.reason))
    batch.entries.append(entry)


def _count(
    tallies: Counter[Tally],
    entry: Entry,
    contents: Contents,
    refused: Sequence[tuple[int, str]],
) -> None:
    supplier = entry.supplier
    if entry.lost:
        tallies[Tally(supplier, "messages", "undecodable", Undecodable.JOURNAL_LOST)] += entry.lost
    if contents.reason is None:
        tallies[Tally(supplier, "messages", "decoded")] += 1
        tallies[Tally(supplier, "readings", "decoded")] += len(contents.readings)
    else:
        account = "set_aside" if isinstance(contents.reason, SetAside) else "undecodable"
        tallies[Tally(supplier, "messages", account, contents.reason.value)] += 1
    for _, reason in refused:
        tallies[Tally(supplier, "readings", "quarantined", reason)] += 1


def _refuse(
    entry: Entry, dialect: str, decoded: Decoded, part: int, reason: Refusal, detail: str
) -> Refused:
    at = decoded.at if decoded.at is not None and -_INT64 <= decoded.at < _INT64 else None
    return Refused(
        entry.supplier, reason.value, detail, dialect, decoded.address, at,
        entry.received_ms // 1000, entry.segment, entry.offset, part,
    )  # fmt: skip


Settled = Callable[[Batch, Sequence[Outcome] | None], None]
"""Told after a load is committed: the batch and what the store did with each reading."""
