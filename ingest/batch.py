"""One load in the making: what entries of the journal come to, before and after the store's say."""

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain, repeat
from operator import itemgetter
from typing import NamedTuple

from ingest.accounting import tally_outcome
from ingest.agreements import NO_AGREEMENTS, Agreements
from ingest.checks import Directory, check
from ingest.decoders import Decoded
from ingest.journal import OVERSIZE, RETAINED, Entry
from ingest.messages import Contents, read_message
from ingest.plain import PlainWay
from ingest.settings import Source
from ingest.topics import Remembered, Route, route
from water.loading import Outcome, Position, Refused, Tally
from water.policy import Policy
from water.readings import Reading
from water.refusals import Refusal, SetAside, Undecodable
from water.tuples import make_tuple

number_of = itemgetter(Entry._fields.index("supplier"), Entry._fields.index("number"))
"""Of an entry: its supplier, and its number among that supplier's."""

_INT64 = 1 << 63
_MARKED = RETAINED | OVERSIZE
"""Flags of messages that are not decoded."""
_TOPICS = 131_072
"""Topics whose route is remembered: 30 MB."""


class Judgement(NamedTuple):
    """What a message came to: readings `first` to `end` of the batch, refusals, or a reason.

    `refused` holds the number within the message and the reason of each refused reading; the
    others are readings of the batch in the same order.
    """

    supplier: str
    first: int
    end: int
    refused: Sequence[tuple[int, str]]
    reason: Undecodable | SetAside | None


@dataclass(frozen=True)
class Rules:
    """What messages are judged by; keep one as long as it holds, it remembers topics."""

    sources: Sequence[Source]
    policy: Policy
    directory: Directory
    agreements: Agreements = NO_AGREEMENTS

    @cached_property
    def find_route(self) -> Callable[[str], Route | None]:
        """What a topic says; worked out once a topic."""
        return Remembered(partial(route, sources=self.sources), _TOPICS).__getitem__

    @cached_property
    def plain_way(self) -> PlainWay:
        """Judges messages of our own dialect of which every reading is accepted."""
        return PlainWay(self.directory, self.policy, self.find_route, self.agreements)

    def read(self, entry: Entry) -> Contents:
        """What a message holds."""
        return read_message(entry, self.find_route, self.directory.suppliers, self.agreements)


@dataclass(slots=True)
class Batch:
    """Readings to store, refused ones, and what each message came to.

    Attributes:
        rules: what all of it is judged by.
        journal: the name of the journal that `entries` are of.
        readings: what the store is asked to keep.
        offered: the same, once the store has prepared it.
        refused: what the rules refuse.
        entries: the messages.
        judgements: what each of them came to.
        undecoded: number of each message that is not decoded, and what it is counted as instead.
        tallies: counts of what needs no store's say, save messages and readings decoded.
    """

    rules: Rules
    journal: str = "ingest"
    readings: list[Reading] = field(default_factory=list[Reading])
    offered: Sequence[Reading] = ()
    refused: list[Refused] = field(default_factory=list[Refused])
    entries: list[Entry] = field(default_factory=list[Entry])
    judgements: list[Judgement] = field(default_factory=list[Judgement])
    undecoded: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    tallies: Counter[Tally] = field(default_factory=Counter[Tally])

    @property
    def position(self) -> Position:
        """Where the journal goes on after this batch."""
        newest = self.entries[-1]
        return Position(newest.segment, newest.end, newest.entry)

    @property
    def newest(self) -> dict[str, int]:
        """The number of each supplier's newest message in this batch."""
        return dict(map(number_of, self.entries))

    def settle(self, outcomes: Sequence[Outcome] | None) -> Counter[Tally]:
        """All counts of the batch, with what the store did with each reading; None: stored all."""
        owners = chain.from_iterable(
            repeat(supplier, end - first) for supplier, first, end, _, _ in self.judgements
        )
        if outcomes is None:
            stored = Counter(owners)
            said = {(supplier, Outcome.STORED): count for supplier, count in stored.items()}
        else:
            said = Counter(zip(owners, outcomes, strict=True))
        tallies = Counter(self.tallies)
        for (supplier, outcome), count in said.items():
            tallies[tally_outcome(supplier, Outcome(outcome))] += count
            tallies[Tally(supplier, "readings", "decoded")] += count
        for supplier, count in Counter(row.supplier for row in self.refused).items():
            tallies[Tally(supplier, "readings", "decoded")] += count
        decoded = Counter(one[0] for one in self.judgements if one[4] is None)
        for supplier, count in decoded.items():
            tallies[Tally(supplier, "messages", "decoded")] += count
        return +tallies

    def list_refused(self, reasons: Mapping[int, str]) -> list[Refused]:
        """Rows for the quarantine: what the rules refuse, then what the store's server refuses.

        Args:
            reasons: index of the reading → what the server says.
        """
        return [*self.refused, *self._refused_by_store(reasons)] if reasons else self.refused

    def _refused_by_store(self, reasons: Mapping[int, str]) -> Iterator[Refused]:
        for entry, judgement in zip(self.entries, self.judgements, strict=True):
            indexes = range(judgement.first, judgement.end)
            if reasons.keys().isdisjoint(indexes):
                continue
            contents = self.rules.read(entry)
            for index, part in zip(indexes, accepted_parts(judgement), strict=True):
                if index in reasons:
                    reason, detail = Refusal.STORE_REFUSED, reasons[index]
                    yield self._refuse(entry, contents, part, reason, detail)

    def take(self, waiting: deque[Entry], limit: int = sys.maxsize) -> None:
        """Judge messages from the front of those that wait, until `limit` messages or readings.

        Refused readings count as well: a message may hold tens of thousands, and each is kept
        until the load is committed.

        One loop with few calls, for it runs for every message.
        """
        judge, readings, entries = self.rules.plain_way.judge, self.readings, self.entries
        conclude = self.judgements.append
        while waiting and len(readings) < limit and len(entries) < limit:
            entry = waiting.popleft()
            _, _, _, _, _, supplier, topic, payload, received_ms, flags, lost = entry
            plain = None
            if not flags & _MARKED and not lost:
                plain = judge(supplier, topic, payload, received_ms // 1000)
            if plain is None:
                self._take_long_way(entry)
                if len(self.refused) >= limit:
                    break
                continue
            first = len(readings)
            readings += plain
            entries.append(entry)
            conclude(make_tuple(Judgement, (supplier, first, len(readings), (), None)))

    def _take_long_way(self, entry: Entry) -> None:
        """Judge a message that is not plain."""
        rules, supplier, received_at = self.rules, entry.supplier, entry.received_ms // 1000
        contents, first = rules.read(entry), len(self.readings)
        refused: list[tuple[int, str]] = []
        for part, decoded in enumerate(contents.readings):
            judged = check(
                decoded, supplier, contents.dialect, received_at, rules.directory, rules.policy
            )
            if isinstance(judged, Reading):
                self.readings.append(judged)
            else:
                refused.append((part, judged[0].value))
                self._add_refused(entry, contents, part, *judged)
        self.entries.append(entry)
        reason = contents.reason
        self.judgements.append(Judgement(supplier, first, len(self.readings), refused, reason))
        if reason is not None or entry.lost:
            self._count_without_readings(entry, reason)

    def refuse_entry(self, entry: Entry, detail: str) -> None:
        """Put every reading of a message aside that the store itself can't take."""
        contents = self.rules.read(entry)
        at = len(self.readings)
        reason = Refusal.STORE_REFUSED
        parts = range(len(contents.readings))
        for part in parts:
            self._add_refused(entry, contents, part, reason, detail)
        refused = [(part, reason.value) for part in parts]
        self.entries.append(entry)
        self.judgements.append(Judgement(entry.supplier, at, at, refused, contents.reason))
        self._count_without_readings(entry, contents.reason)

    def _add_refused(
        self, entry: Entry, contents: Contents, part: int, reason: Refusal, detail: str
    ) -> None:
        self.refused.append(self._refuse(entry, contents, part, reason, detail))
        self.tallies[Tally(entry.supplier, "readings", "quarantined", reason.value)] += 1

    def _count_without_readings(self, entry: Entry, reason: Undecodable | SetAside | None) -> None:
        supplier = entry.supplier
        if entry.lost:
            lost = Tally(supplier, "messages", "undecodable", Undecodable.JOURNAL_LOST)
            self.tallies[lost] += entry.lost
        if reason is not None:
            account = "set_aside" if isinstance(reason, SetAside) else "undecodable"
            self.undecoded.append((entry.entry, f"{account}/{reason.value}"))
            self.tallies[Tally(supplier, "messages", account, reason.value)] += 1

    def _refuse(
        self, entry: Entry, contents: Contents, part: int, reason: Refusal, detail: str
    ) -> Refused:
        decoded: Decoded = contents.readings[part]
        at = decoded.at if decoded.at is not None and -_INT64 <= decoded.at < _INT64 else None
        return Refused(
            entry.supplier, reason.value, detail, contents.dialect, decoded.address, at,
            entry.received_ms // 1000, entry.segment, entry.offset, part, self.journal,
        )  # fmt: skip


def accepted_parts(judgement: Judgement) -> list[int]:
    """The numbers within the message of the readings that the rules accept, in order."""
    refused = {part for part, _ in judgement.refused}
    whole = judgement.end - judgement.first + len(refused)
    return [part for part in range(whole) if part not in refused]


Settled = Callable[[Batch, Sequence[Outcome] | None], None]
"""Told after a load is committed: the batch and what the store did with each reading."""
