"""One load in the making: what entries of the journal come to, before and after the store's say."""

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain, repeat
from operator import itemgetter, sub
from typing import NamedTuple

from ingest.accounting import LABELS, tally_message, tally_outcome
from ingest.agreements import NO_AGREEMENTS, Agreements
from ingest.checks import Directory, check
from ingest.decoders import Decoded
from ingest.journal import LOST, OVERSIZE, RETAINED, Entry
from ingest.messages import Contents, read_message
from ingest.plain import PlainWay
from ingest.remembered import Remembered
from ingest.settings import Source
from ingest.topics import Route, route
from water.loading import Outcome, Position, Refused, Tally
from water.policy import Policy
from water.readings import Reading
from water.refusals import Refusal, SetAside, Undecodable
from water.texts import storable
from water.tuples import make_tuple

number_of = itemgetter(Entry._fields.index("supplier"), Entry._fields.index("number"))
"""Of an entry: its supplier, and its number among that supplier's."""

_supplier_of = itemgetter(Entry._fields.index("supplier"))
_owner_and_reason = itemgetter(Refused._fields.index("supplier"), Refused._fields.index("reason"))
"""Of a refused reading."""
_INT64 = 1 << 63
_MARKED = RETAINED | OVERSIZE | LOST
"""Flags of messages that are not decoded."""
_TOPICS = 131_072
"""Topics whose route is remembered: 30 MB."""


class Apart(NamedTuple):
    """What is to be said of a message of which not every reading is accepted: see `Judgement`."""

    refused: Sequence[tuple[int, str]]
    reason: Undecodable | SetAside | None


_NOTHING_APART = Apart((), None)


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
        if entry.flags & LOST:
            return Contents("", [], Undecodable.JOURNAL_LOST)
        return read_message(entry, self.find_route, self.directory.suppliers, self.agreements)


@dataclass(slots=True)
class Batch:
    """Readings to store, refused ones, and what each message came to.

    Attributes:
        rules: what all of it is judged by.
        journal: the name of the journal that `entries` are of.
        limit: so many messages, readings or refused readings fill it. (A message may hold tens of
            thousands of these, and each is kept until the load is committed.)
        readings: what the store is asked to keep.
        refused: what the rules refuse.
        entries: the messages.
        ends: how many of `readings` there are once each of them is judged.
        apart: place of each message of which readings are refused, or which holds none → number
            within it and reason of each refused one, and the reason why it holds none.
        undecoded: number of each message that is not decoded, and what it is counted as instead.
        lost: messages a supplier that damage to the journal took.
    """

    rules: Rules
    journal: str = "ingest"
    limit: int = sys.maxsize
    readings: list[Reading] = field(default_factory=list[Reading])
    refused: list[Refused] = field(default_factory=list[Refused])
    entries: list[Entry] = field(default_factory=list[Entry])
    ends: list[int] = field(default_factory=list[int])
    apart: dict[int, Apart] = field(default_factory=dict[int, Apart])
    undecoded: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    lost: Counter[str] = field(default_factory=Counter[str])

    @property
    def full(self) -> bool:
        """Whether it takes no more."""
        return max(map(len, (self.readings, self.entries, self.refused))) >= self.limit

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
        messages = Counter(map(_supplier_of, self.entries))
        if outcomes is None and len(messages) == 1:  # (nearly always, and told at once)
            said = {(*messages, Outcome.STORED): len(self.readings)}
        else:
            said = Counter(zip(self._owners(), outcomes or repeat(Outcome.STORED), strict=False))
        tallies: Counter[Tally] = Counter()
        for (supplier, outcome), count in said.items():
            tallies[tally_outcome(supplier, Outcome(outcome))] += count
            tallies[Tally(supplier, "readings", "decoded")] += count
        for (supplier, reason), count in Counter(map(_owner_and_reason, self.refused)).items():
            tallies[Tally(supplier, "readings", "quarantined", reason)] += count
            tallies[Tally(supplier, "readings", "decoded")] += count
        for place, (_, reason) in self.apart.items():
            supplier = self.entries[place].supplier
            messages[supplier] -= 1
            tallies[tally_message(supplier, LABELS[reason])] += 1
        for supplier, count in messages.items():
            tallies[tally_message(supplier, LABELS[None])] += count
        for supplier, count in self.lost.items():
            tallies[tally_message(supplier, LABELS[Undecodable.JOURNAL_LOST])] += count
        return +tallies

    def _owners(self) -> Iterator[str]:
        """The supplier of each reading."""
        counts = map(sub, self.ends, chain([0], self.ends))
        return chain.from_iterable(map(repeat, map(_supplier_of, self.entries), counts))

    def judgement(self, place: int) -> Judgement:
        """What a message came to."""
        first, supplier = self.ends[place - 1] if place else 0, self.entries[place].supplier
        refused, reason = self.apart.get(place, _NOTHING_APART)
        return Judgement(supplier, first, self.ends[place], refused, reason)

    @property
    def judgements(self) -> Iterator[Judgement]:
        """What each message came to."""
        return map(self.judgement, range(len(self.entries)))

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
                    decoded = contents.readings[part]
                    yield self._refuse(entry, contents.dialect, decoded, part, reason, detail)

    def take(self, waiting: deque[Entry]) -> None:
        """Judge messages from the front of those that wait, until it is full.

        One loop with few calls, for it runs for every message.
        """
        judge, readings, entries = self.rules.plain_way.judge, self.readings, self.entries
        conclude, limit = self.ends.append, self.limit
        while waiting and len(readings) < limit and len(entries) < limit:
            entry = waiting.popleft()
            _, _, _, _, _, supplier, topic, payload, received_ms, flags, lost = entry
            marked = flags & _MARKED or lost
            if not marked and judge(supplier, topic, payload, received_ms // 1000, readings):
                entries.append(entry)
                conclude(len(readings))
                continue
            self._take_long_way(entry)
            if len(self.refused) >= limit:
                break

    def _take_long_way(self, entry: Entry) -> None:
        """Judge a message that is not plain."""
        rules, supplier, received_at = self.rules, entry.supplier, entry.received_ms // 1000
        directory, policy = rules.directory, rules.policy
        contents = rules.read(entry)
        dialect, decoded, _, _ = contents
        refused: list[tuple[int, str]] = []
        for part, reading in enumerate(decoded):
            judged = check(reading, supplier, dialect, received_at, directory, policy)
            if isinstance(judged, Reading):
                self.readings.append(judged)
            else:
                row = self._refuse(entry, dialect, reading, part, *judged)
                self.refused.append(row)
                refused.append((part, row.reason))
        self._conclude(entry, contents, refused)

    def refuse_entry(self, entry: Entry, detail: str) -> None:
        """Put every reading of a message aside that the store itself can't take."""
        contents, reason = self.rules.read(entry), Refusal.STORE_REFUSED
        for part, reading in enumerate(contents.readings):
            row = self._refuse(entry, contents.dialect, reading, part, reason, detail)
            self.refused.append(row)
        refused = [(part, reason.value) for part in range(len(contents.readings))]
        self._conclude(entry, contents, refused)

    def _conclude(
        self, entry: Entry, contents: Contents, refused: Sequence[tuple[int, str]]
    ) -> None:
        """Note what a message came to whose accepted readings are the last ones."""
        reason, supplier = contents.reason, entry.supplier
        self.entries.append(entry)
        self.ends.append(len(self.readings))
        if refused or reason is not None:
            self.apart[len(self.entries) - 1] = Apart(refused, reason)
        if reason is not None:
            self.undecoded.append((entry.entry, LABELS[reason]))
        if entry.lost:
            self.lost[supplier] += entry.lost

    def _refuse(
        self, entry: Entry, dialect: str, decoded: Decoded, part: int, reason: Refusal, detail: str
    ) -> Refused:
        row = (
            entry.supplier, reason.value, storable(detail), storable(dialect),
            storable(decoded.address), storable_instant(decoded.at),
            entry.received_ms // 1000, entry.segment, entry.offset, part, self.journal,
        )  # fmt: skip
        return make_tuple(Refused, row)


def storable_instant(at: int | None) -> int | None:
    """The instant of a refused reading (epoch seconds), if a store can hold it at all."""
    return at if at is not None and abs(at) < _INT64 else None


def accepted_parts(judgement: Judgement) -> list[int]:
    """The numbers within the message of the readings that the rules accept, in order."""
    refused = {part for part, _ in judgement.refused}
    whole = judgement.end - judgement.first + len(refused)
    return [part for part in range(whole) if part not in refused]


Settled = Callable[[Batch, Sequence[Outcome] | None], None]
"""Told after a load is committed: the batch and what the store did with each reading."""
