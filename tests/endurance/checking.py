"""What is stored, held against what was published and journalled."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from installation import FailedError, Installation, patiently
from journal_view import read_entries
from stored import load_registers
from suppliers import PUSHING, TRUSTING, Book, Identity

from ingest.journal import Entry
from water.accounting import sum_messages, sum_readings
from water.loading import Position, Tally

ROUND_S = 900
"""The readings of a round lie in a span of their own, so that they are found again by time."""
OVERFLOW = "ingest-overflow"
OF_INGEST = {"ingest": "journal", OVERFLOW: "journal-overflow"}
JOURNALS = {**OF_INGEST, "ingest-http-1": "journal-http-1"}
"""Journal → its folder: of ingest with its overflow, and of the API's door."""


@dataclass
class Figures:
    """What all rounds came to so far, a supplier or a kind of process."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    at_kill: Counter[str] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    journalled: Counter[str] = field(default_factory=Counter)
    apart: int = 0
    register_sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def judge(published: Mapping[Identity, float], stored: Mapping[Identity, float]) -> list[str]:
    """What is wrong with what is stored; empty: nothing."""
    lost = published.keys() - stored.keys()
    foreign = stored.keys() - published.keys()
    other = [key for key in published.keys() & stored.keys() if published[key] != stored[key]]
    found = {"lost": lost, "never published": foreign, "of another value": other}
    return [f"{len(keys)} {what}: {sorted(keys)[:3]}" for what, keys in found.items() if keys]


class Checker:
    """Checks one round after the other.

    Args:
        place: the running installation.
        books: supplier → what it publishes.
        base: where the readings of the first round begin, epoch second.
    """

    def __init__(self, place: Installation, books: Mapping[str, Book], base: int) -> None:
        self.figures = Figures()
        self.positions = dict.fromkeys(JOURNALS, Position())
        """Up to where each journal was looked at: its end when the round began."""
        self._place = place
        self._books = books
        self._base = base
        self._entries: list[Entry] = []
        self._tallies: dict[Tally, int] = {}

    def next_base(self) -> int:
        """Where the readings of the next round begin."""
        return self._base + self.figures.rounds * ROUND_S

    def stands_still(self, pushed: set[bytes]) -> bool:
        """Whether journals and counts are of one moment and nothing waits.

        A message that was sent twice may arrive after the receipt that its sender waited for.

        Args:
            pushed: payloads that the platform has said to be journalled.
        """
        if not self._all_loaded():
            return False
        readings, figures = self._place.stores.readings, self.figures
        for journal, folder in JOURNALS.items():
            loaded = patiently(readings.position)(journal)
            newer, self.positions[journal] = read_entries(
                self._place.folder / "var" / folder, self.positions[journal], loaded
            )
            self._entries += newer
            figures.journalled.update(entry.supplier for entry in newer)
            figures.apart += len(newer) if journal == OVERFLOW else 0
        self._tallies = patiently(readings.tallies)()
        return pushed <= {e.payload for e in self._entries if e.supplier == PUSHING} and all(
            (one.received, one.waiting) == (figures.journalled[name], 0)
            for name, one in sum_messages(self._tallies).items()
        )

    def _all_loaded(self) -> bool:
        """Whether ingest says so: counts and positions are silent of what waits apart."""
        health = self._place.ask_health()
        overflow, begun = health["overflow"], self._place.folder / "var" / OF_INGEST[OVERFLOW]
        opened = overflow["open"] or not begun.exists()
        return opened and health["journal_waiting"] == overflow["waiting"] == 0

    def check(self) -> None:
        """Check a round once all stands still.

        Raises:
            FailedError: with what is wrong.
        """
        problems: list[str] = []
        base, load = self.next_base(), patiently(load_registers)
        for name, book in self._books.items():
            kept = load(self._place.stores.readings, book.meters, base, base + ROUND_S)
            # What the broker lost of this one is its loss; what we journalled is ours.
            due = _journalled(self._entries, book) if name == TRUSTING else book.published
            problems += [f"{name}: {problem}" for problem in judge(due, kept)]
            self.figures.published[name] += len(book.published)
            self.figures.stored[name] += len(kept)
            self.figures.register_sums[name] += sum(kept.values())
        problems += self._check_sums()
        if problems:
            raise FailedError("; ".join(problems))
        self._entries.clear()
        self.figures.rounds += 1

    def _check_sums(self) -> list[str]:
        messages, readings = sum_messages(self._tallies), sum_readings(self._tallies)
        problems: list[str] = []
        for name in self._books:
            of_messages, of_readings = messages[name], readings[name]
            told = {
                "messages don't add up": of_messages.balanced,
                "readings don't add up": of_readings.balanced,
                "stored is not counted once each": of_readings.stored == self.figures.stored[name],
                "conflicts": of_readings.conflict == 0,
            }
            problems += [
                f"{name}: {problem} ({of_messages}, {of_readings})"
                for problem, right in told.items()
                if not right
            ]
        return problems

    def check_whole(self) -> None:
        """Hold the whole store against the sum of the rounds.

        Raises:
            FailedError: later rounds have changed what earlier ones had stored.
        """
        counts: Counter[str] = Counter()
        sums: dict[str, float] = defaultdict(float)
        span = 100 * ROUND_S
        for first in range(self._base, self.next_base(), span):
            last = min(first + span, self.next_base())
            for name, book in self._books.items():
                stored = load_registers(self._place.stores.readings, book.meters, first, last)
                counts[name] += len(stored)
                sums[name] += sum(stored.values())
        told = (dict(self.figures.stored), dict(self.figures.register_sums))
        if (dict(counts), dict(sums)) != told:
            raise FailedError(
                f"the whole store holds readings and registers {counts}, {sums}, the rounds had "
                f"{self.figures.stored}, {self.figures.register_sums}"
            )


def _journalled(entries: Sequence[Entry], book: Book) -> dict[Identity, float]:
    """The readings of a round that stand in the journal, of a supplier of single readings."""
    own = (_read(entry.payload) for entry in entries if entry.supplier == book.supplier)
    return {key: value for key, value in own if book.published.get(key) == value}


def _read(payload: bytes) -> tuple[Identity, float]:
    row = json.loads(payload)
    return (row["meter"], row["at"]), row["register_m3"]
