"""Adopting a page of a replay: what is new goes through the ordinary load, and both sums follow.

* A message that was counted as not decoded moves to what it is today, under the name under which
  it was received; where it decodes, all its readings are decoded, and each becomes what a load
  makes of it.
* Of the other messages only what the store does not hold is loaded: it is decoded once more.
* A reading that lies in quarantine and passes today leaves it, as by the quarantine's re-run.

All of a page is counted in one transaction with the position under the replay's own mark: so a
replay that broke off goes on behind it, and nothing is counted twice.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ingest.accounting import tally_message, tally_outcome
from ingest.batch import accepted_parts
from ingest.events import EVENT, list_events
from ingest.journal.undecoded import note_adopted
from ingest.ports import LoadTransaction, MeterEvents, ReadingsSink
from ingest.quota import Quota
from ingest.replays.difference import Change, Message, Page
from ingest.replays.held import Held, match_parts
from water.loading import Outcome, Position, Tally

_OFFERED = frozenset({Change.NEW, Change.COMPLETED, Change.CHANGED})

Quarantined = Mapping[tuple[int, int], Sequence[Held]]
"""(segment, offset) → the rows of the quarantine of the message there."""


class Offer(NamedTuple):
    """A reading to load: its `place` in the page's batch, whose it is, its row of the quarantine.

    `undecoded`: whether its message moves to "decoded".
    """

    place: int
    supplier: str
    row: int | None
    undecoded: bool


@dataclass(frozen=True, slots=True)
class Adoption:
    """Where a replay is adopted: the journal's folder, the mark of the replay, and the quota.

    `events`: where meter changes of suppliers go; None = nowhere.
    """

    folder: Path
    mark: str
    sink: ReadingsSink
    quota: Quota
    events: MeterEvents | None = None

    def adopt(self, page: Page, offers: Sequence[Offer], position: Position) -> Counter[str]:
        """Load what a page brings; how many of its readings became what.

        Args:
            page: of one segment.
            offers: readings to load.
            position: where the journal goes on behind the page.

        Raises:
            OSError: nothing was counted, or it was and the answer got lost; try again.
        """
        counted: dict[str, list[int]] = {}
        for message, _, label in page.moved():
            counted.setdefault(label, []).append(message.entry.entry)
        if not counted and not offers:
            return Counter()
        if self.sink.position(self.mark).entry >= position.entry:
            return Counter()
        if counted:
            note_adopted(self.folder, position.segment, counted, self.mark)
            self._take_events(page, counted.get(EVENT, ()))
        with self.sink.load() as load:
            tallies, became = self._load(load, page, offers)
            tallies.update(_count_messages(page))
            load.add_tallies(tallies)
            load.set_position(self.mark, position)
        return became

    def _take_events(self, page: Page, entries: Collection[int]) -> None:
        """Hand over what is known for a supplier's event by now; taken once under the mark."""
        if self.events is None or not entries:
            return
        known = set(entries)
        events = [event for event in list_events(page.batch) if event.entry in known]
        if events:
            self.events.take(self.mark, events)

    def _load(
        self, load: LoadTransaction, page: Page, offers: Sequence[Offer]
    ) -> tuple[Counter[Tally], Counter[str]]:
        rows = [offer.row for offer in offers if offer.row is not None]
        released = set(load.release_refused(rows)) if rows else set[int]()
        # A row that is gone was re-run meanwhile: its reading is accounted for.
        offers = [offer for offer in offers if offer.row is None or offer.row in released]
        batch = page.batch
        readings = [batch.readings[offer.place] for offer in offers]
        outcomes = load.add_readings(readings) if readings else None
        refusals = load.refusals() if outcomes else dict[int, str]()
        said = {offers[i].place: reason for i, reason in refusals.items()}
        by_store = batch.list_refused(said)[len(batch.refused) :]
        places = {(m.entry.segment, m.entry.offset) for m in page.messages if m.undecoded}
        by_rules = [row for row in batch.refused if (row.segment, row.offset) in places]
        kept, _ = self.quota.admit([*by_rules, *by_store])
        if kept:
            load.add_refused(kept)
        return _count_readings(offers, outcomes or [Outcome.STORED] * len(offers))


def choose(page: Page, quarantined: Quarantined) -> tuple[list[Offer], int]:
    """The readings of a page that are to be loaded.

    Returns:
        The readings, and how many rows of the quarantine stand for none of the messages' readings.
    """
    offers: list[Offer] = []
    unmatched = 0
    for message, judgement in page.each():
        held = quarantined.get((message.entry.segment, message.entry.offset), ())
        rows = _find_rows(page, message, held)
        unmatched += len(held) - len(rows)
        indexes = range(judgement.first, judgement.end)
        for index, part in zip(indexes, accepted_parts(judgement), strict=True):
            row = None if message.undecoded else rows.get(part)
            if message.undecoded or row is not None or page.changes[index] in _OFFERED:
                offers.append(Offer(index, message.entry.supplier, row, message.undecoded))
    return offers, unmatched


def _find_rows(page: Page, message: Message, held: Sequence[Held]) -> dict[int, int]:
    """Number of a reading in its message → id of the row of the quarantine that stands for it."""
    if not held:
        return {}
    readings = page.batch.rules.read(message.entry).readings
    return {part: row for row, part in match_parts(held, readings).items()}


def _count_messages(page: Page) -> Counter[Tally]:
    """Messages that move in their sum, and the readings of theirs that the rules refuse."""
    tallies: Counter[Tally] = Counter()
    for message, judgement, label in page.moved():
        tallies[tally_message(message.owner, message.counted)] -= 1
        tallies[tally_message(message.owner, label)] += 1
        supplier = message.entry.supplier
        decoded = judgement.end - judgement.first + len(judgement.refused)
        tallies[Tally(supplier, "readings", "decoded")] += decoded
        for _, refusal in judgement.refused:
            tallies[Tally(supplier, "readings", "quarantined", refusal)] += 1
    return tallies


def _count_readings(
    offers: Sequence[Offer], outcomes: Sequence[Outcome]
) -> tuple[Counter[Tally], Counter[str]]:
    """What becomes of the readings that are loaded; those out of quarantine were decoded then."""
    tallies: Counter[Tally] = Counter()
    became: Counter[str] = Counter()
    for offer, outcome in zip(offers, outcomes, strict=True):
        tally = tally_outcome(offer.supplier, Outcome(outcome))
        tallies[tally] += 1
        became[tally.account] += 1
        if offer.row is None and not offer.undecoded:
            tallies[Tally(offer.supplier, "readings", "decoded")] += 1
    return tallies, became
