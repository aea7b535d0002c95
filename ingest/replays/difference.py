"""A window of the journal, judged anew by today's directory and decoders: what would change.

Messages are compared with what they were counted as (`ingest.journal.undecoded`), their readings
with what the store holds. Nothing is changed here; `adoption` beside it does, where it is asked
for.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from ingest.batch import Batch, Judgement, Rules
from ingest.errors import IngestError
from ingest.journal import Entry
from ingest.journal.undecoded import DECODED, UNKNOWN
from ingest.ports import ReadingsSink
from ingest.replays.examples import Undecodable, describe_message
from ingest.topics import NOBODY
from water.readings import QUANTITIES, Reading, merge_arrivals

_SAMPLE = 20
"""Readings of each kind, and messages, that a replay shows."""
_REMEMBERED = 200_000
"""New readings that are remembered, so that one which came twice is not new twice."""
_FIRST_QUANTITY, _QUALITY = 3, 7

Identity = tuple[str, int]


class Change(StrEnum):
    """What a reading of today's decoding is to the store."""

    NEW = "new"
    """The store has none of this meter and instant."""
    COMPLETED = "completed"
    """The store's lacks a quantity that this one has, or gets another quality by it."""
    CHANGED = "changed"
    """Another value; the first stays, and loading it makes a conflict."""
    KNOWN_CONFLICT = "known_conflict"
    """Another value, which is among the conflicts already."""
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Window:
    """Which messages are replayed: arrived from `start_ms` on and before `end_ms`.

    `supplier` "" = every one; `undecodable` narrows to those that were counted so.
    """

    start_ms: int
    end_ms: int
    supplier: str = ""
    undecodable: bool = False

    def holds(self, entry: Entry, counted: str) -> bool:
        """Whether a message, under its supplier of today, is one of them."""
        return (
            self.start_ms <= entry.received_ms < self.end_ms
            and (not self.supplier or entry.supplier == self.supplier)
            and (not self.undecodable or counted.startswith("undecodable/"))
        )


def read_window(arguments: Mapping[str, Any]) -> Window:
    """The window of a job: `from` and `to` as ISO 8601 with a zone, `supplier`, `undecodable`.

    Raises:
        IngestError: the arguments say something that can't be.
    """
    try:
        start, end = (datetime.fromisoformat(arguments[name]) for name in ("from", "to"))
    except (KeyError, TypeError, ValueError) as error:
        raise IngestError(f"replay: from and to are instants: {error!r}") from None
    if start.tzinfo is None or end.tzinfo is None or start >= end:
        raise IngestError("replay: from lies before to, and both say their zone")
    supplier = arguments.get("supplier") or ""
    if not isinstance(supplier, str):
        raise IngestError("replay: supplier is a text")
    first, last = (round(instant.timestamp() * 1000) for instant in (start, end))
    return Window(first, last, supplier, bool(arguments.get("undecodable")))


class Message(NamedTuple):
    """A message that is replayed.

    `entry` bears the supplier that its topic has today, `owner` is the name under which it was
    counted, `counted` what it was counted as.
    """

    entry: Entry
    owner: str
    counted: str

    @property
    def undecoded(self) -> bool:
        """Whether it was counted as not decoded."""
        return self.counted not in {DECODED, UNKNOWN}


@dataclass(slots=True)
class Page:
    """Messages that were read and judged together, and what their readings are to the store.

    `counts_as` has an entry for each message: what it would be counted as today; `changes` and
    `stored` have one for each of `batch.readings`.
    """

    messages: list[Message]
    batch: Batch
    changes: list[Change]
    stored: list[Reading | None]
    counts_as: list[str]

    def each(self) -> Iterator[tuple[Message, Judgement]]:
        """Every message with what it came to today."""
        yield from zip(self.messages, self.batch.judgements, strict=True)

    def moved(self) -> Iterator[tuple[Message, Judgement, str]]:
        """Messages that were counted as not decoded and would be counted differently today."""
        for (message, judgement), label in zip(self.each(), self.counts_as, strict=True):
            if message.undecoded and label != message.counted:
                yield message, judgement, label

    def each_reading(self) -> Iterator[tuple[Change, Reading | None, Reading]]:
        """Every reading with what it is to the store, and the stored one."""
        yield from zip(self.changes, self.stored, self.batch.readings, strict=True)


def attribute_today(entry: Entry, rules: Rules) -> Entry:
    """A message that was nobody's, under the supplier that its topic has by now."""
    if entry.supplier != NOBODY:
        return entry
    found = rules.find_route(entry.topic)
    known = found is not None and found.supplier in rules.directory.suppliers
    return entry._replace(supplier=found.supplier) if found and known else entry


@dataclass(slots=True)
class Diff:
    """What a replay has found so far: counts, and a sample of each kind.

    `remembers`: whether the store stays as it is, so that what is new must be remembered here.
    """

    remembers: bool = True
    messages: Counter[str] = field(default_factory=Counter[str])
    readings: Counter[str] = field(default_factory=Counter[str])
    moved: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    gone: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """(supplier, what they count as today) of messages whose readings of then are given no more."""
    sample: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    undecodable: Undecodable = field(default_factory=Undecodable)
    _offered: dict[Identity, Reading] = field(default_factory=dict[Identity, Reading])

    def judge(
        self, messages: Sequence[Message], sink: ReadingsSink, rules: Rules, journal: str
    ) -> Page:
        """Judge messages anew and compare their readings with the store; counts nothing yet."""
        batch = Batch(rules, journal)
        batch.take(deque(message.entry for message in messages))
        readings = batch.readings
        identities = [reading[:2] for reading in readings]
        there = dict(sink.find_readings(identities)) if identities else {}
        there |= {key: self._offered[key] for key in identities if key in self._offered}
        stored: list[Reading | None] = []
        changes: list[Change] = []
        contradicting: dict[int, list[tuple[str, float]]] = {}
        for index, reading in enumerate(readings):
            kept = there.get(reading[:2])
            change, other = compare(kept, reading)
            if other:
                contradicting[index] = other
            if change in {Change.NEW, Change.COMPLETED}:
                there[reading[:2]] = _merge(kept, reading)
            stored.append(kept)
            changes.append(change)
        for index in _find_known(readings, contradicting, sink):
            changes[index] = Change.KNOWN_CONFLICT
        labels = dict(batch.undecoded)
        counts_as = [labels.get(message.entry.entry, DECODED) for message in messages]
        return Page(list(messages), batch, changes, stored, counts_as)

    def count(self, page: Page, quarantined: Collection[int]) -> None:
        """Count a page, and show what is new in it.

        `quarantined` are the places of readings that lie in quarantine, and so are not stored.
        """
        new = {i for i, change in enumerate(page.changes) if change is Change.NEW}
        new.difference_update(quarantined)
        for (message, judgement), label in zip(page.each(), page.counts_as, strict=True):
            self._count_message(message, label)
            self.readings["refused"] += len(judgement.refused)
            otherwise = label != DECODED or not new.isdisjoint(
                range(judgement.first, judgement.end)
            )
            if message.counted == DECODED and otherwise:
                self._count_gone(message, label, page.batch.rules)
        counted = zip((message.entry for message in page.messages), page.counts_as, strict=True)
        self.undecodable.take(list(counted), page.batch.rules)
        for change, kept, reading in page.each_reading():
            self.readings[change.value] += 1
            self._show(change, kept, reading)
            fills = change in {Change.NEW, Change.COMPLETED}
            if fills and self.remembers and len(self._offered) < _REMEMBERED:
                self._offered[reading[:2]] = _merge(kept, reading)

    def _count_message(self, message: Message, label: str) -> None:
        self.messages["read"] += 1
        self.messages[label.partition("/")[0]] += 1
        if message.undecoded and label != message.counted:
            self.moved[message.counted, label] += 1
        if label == DECODED:
            self.messages["newly_decoded"] += message.undecoded
        elif message.counted == DECODED:
            self.messages["no_longer_decoded"] += 1

    def _count_gone(self, message: Message, label: str, rules: Rules) -> None:
        self.gone[message.entry.supplier, label] += 1
        if len(self.sample.get("gone", ())) < _SAMPLE:
            self._add_sample("gone", describe_message(message.entry, label, rules))

    def _show(self, change: Change, kept: Reading | None, reading: Reading) -> None:
        if change is Change.UNCHANGED:
            return
        row: dict[str, Any] = {
            "meter_id": reading.meter_id,
            "at": datetime.fromtimestamp(reading.at, UTC).isoformat(),
            "now": _quantities(reading),
        }
        if kept is not None:
            row["stored"] = _quantities(kept)
        self._add_sample(change.value, row)

    def _add_sample(self, kind: str, row: dict[str, Any]) -> None:
        shown = self.sample.setdefault(kind, [])
        if len(shown) < _SAMPLE:
            shown.append(row)

    def describe(self) -> dict[str, object]:
        """The counts and the sample, as people and programs read them."""
        rows = self.undecodable.rows()
        return {
            "messages": {name: self.messages[name] for name in MESSAGES},
            "readings": {name: self.readings[name] for name in READINGS},
            "moved": [
                {"from": before, "to": now, "count": count}
                for (before, now), count in self.moved.most_common()
            ],
            "gone": [
                {"supplier": supplier, "now": now, "messages": count}
                for (supplier, now), count in self.gone.most_common()
            ],
            "sample": self.sample | {"undecodable": rows} if rows else self.sample,
        }


MESSAGES = ("read", "decoded", "undecodable", "set_aside", "newly_decoded", "no_longer_decoded")
READINGS = (*(change.value for change in Change), "refused")


def compare(kept: Reading | None, offered: Reading) -> tuple[Change, list[tuple[str, float]]]:
    """What a reading is to the stored one; its values, where it only contradicts it."""
    if kept is None:
        return Change.NEW, []
    other: list[tuple[str, float]] = []
    fills = _merge_arrivals(kept, offered)[1] != kept.quality
    for i, name in enumerate(QUANTITIES, _FIRST_QUANTITY):
        old, new = kept[i], offered[i]
        if new is None or new == old:
            continue
        if old is None:
            fills = True
        else:
            other.append((name, float(new)))
    if other:
        return Change.CHANGED, [] if fills else other
    return Change.COMPLETED if fills else Change.UNCHANGED, []


def _find_known(
    readings: Sequence[Reading],
    contradicting: Mapping[int, Sequence[tuple[str, float]]],
    sink: ReadingsSink,
) -> list[int]:
    """Of the readings that contradict the store those whose values are all conflicts already."""
    if not contradicting:
        return []
    known = sink.find_conflicts([readings[index][:2] for index in contradicting])
    return [
        index
        for index, other in contradicting.items()
        if all((*readings[index][:2], quantity, value) in known for quantity, value in other)
    ]


def _merge(kept: Reading | None, offered: Reading) -> Reading:
    """What the store would hold: the first value of each quantity, and what arrivals come to."""
    if kept is None:
        return offered
    register, flow, pressure, level = (
        old if old is not None else new
        for old, new in zip(
            kept[_FIRST_QUANTITY:_QUALITY], offered[_FIRST_QUANTITY:_QUALITY], strict=True
        )
    )
    received_at, quality = _merge_arrivals(kept, offered)
    return Reading(*kept[:2], received_at, register, flow, pressure, level, quality)


def _merge_arrivals(kept: Reading, offered: Reading) -> tuple[int, int]:
    return merge_arrivals((kept.received_at, kept.quality), (offered.received_at, offered.quality))


def _quantities(reading: Reading) -> dict[str, float]:
    values = zip(QUANTITIES, reading[_FIRST_QUANTITY:_QUALITY], strict=True)
    return {name: value for name, value in values if value is not None}
