"""A replay under way: a page of the journal a step, so that the loader works between them."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from ingest.batch import Rules
from ingest.journal import Entry, JournalReader
from ingest.journal.undecoded import CountedAs
from ingest.journal.windows import Span, find_span
from ingest.ports import MeterEvents, ReadingsSink
from ingest.quota import Quota
from ingest.replays.adoption import Adoption, choose
from ingest.replays.difference import Diff, Message, attribute_today, read_window
from ingest.replays.held import Held, held_in
from ingest.settings import Limits
from water.jobs import ADOPT_REPLAY, Job
from water.loading import Position

_ROWS = 1_000


class Replay:
    """What one worker does of a job: its own journal, as far as it is loaded.

    Args:
        job: what is asked, and by its id what a crash left of it.
        journal: the journal's name.
        reader: of the journal.
        loaded: how far it is loaded; what comes later is judged by today's rules anyway.
        sink: where readings are.
        limits: the quota of the quarantine.
        events: where meter changes of suppliers go that become known.
    """

    def __init__(
        self,
        job: Job,
        journal: str,
        reader: JournalReader,
        loaded: Position,
        sink: ReadingsSink,
        limits: Limits,
        events: MeterEvents | None = None,
    ) -> None:
        """Nothing is read before the first step.

        Raises:
            IngestError: the arguments say something that can't be.
        """
        self._window = read_window(job.arguments)
        self._adopts = job.kind.partition("/")[0] == ADOPT_REPLAY
        # (Only an adoption leaves something behind, and whoever asks for one gives it a mark.)
        self._mark = f"replay/{job.arguments.get('mark', job.id)}/{journal}"
        self._journal = journal
        self._reader = reader.up_to(loaded)
        self._loaded = loaded
        self._sink = sink
        self._limits = limits
        self._events = events
        self._diff = Diff(remembers=not self._adopts)
        self._became: Counter[str] = Counter()
        self._from_quarantine = 0
        self._unmatched = 0
        self._quarantined: dict[tuple[int, int], list[Held]] = {}
        self._cursor: str | None = None
        self._rows_left = not self._window.undecodable
        self._span: Span | None = None
        self._resumed = False
        self._position = Position()
        self._reached_ms: int | None = None
        self._counted: tuple[int, CountedAs] | None = None

    @property
    def adopts(self) -> bool:
        """Whether it changes anything."""
        return self._adopts

    def step(self, rules: Rules) -> bool:
        """Do one page; False when all is done.

        Raises:
            OSError: the store is away; the step may be tried again.
        """
        if self._rows_left:
            self._read_quarantine()
            return True
        if self._span is None:
            self._span = self._begin()
        if self._position.segment > self._span.last:
            return False
        entries, position = self._reader.read(self._position)
        if not entries:
            return False
        messages = self._choose(entries, rules)
        if messages:
            self._do_page(messages, position, rules)
        self._position, self._reached_ms = position, entries[-1].received_ms
        return True

    def describe(self) -> dict[str, Any]:
        """What was found so far, and how far that is (`progress` from 0 to 1)."""
        said = self._diff.describe() | {"progress": self._progress()}
        said["from_quarantine"] = self._from_quarantine
        said["unmatched"] = self._unmatched
        if self._reached_ms is not None:
            said["reached"] = _show(self._reached_ms)
        span, start_ms = self._span, self._window.start_ms
        if span and span.kept_from_ms is not None and span.kept_from_ms > start_ms:
            said["kept_from"] = _show(span.kept_from_ms)
        if self._adopts:
            said["became"] = dict(self._became)
            if self._resumed:
                said["resumed"] = True
        return said

    def _read_quarantine(self) -> None:
        """Take note of a page of the quarantine: which readings of which messages lie there."""
        page = self._sink.page_refused(
            supplier=self._window.supplier, cursor=self._cursor, limit=_ROWS
        )
        for row in page.rows:
            if row["journal"] == self._journal:
                place = row["segment"], row["offset"]
                self._quarantined.setdefault(place, []).append(held_in(row))
        self._cursor = page.next
        self._rows_left = page.next is not None

    def _begin(self) -> Span:
        window, reader = self._window, self._reader
        span = find_span(reader.folder, reader.marker, self._loaded, window.start_ms, window.end_ms)
        done = self._sink.position(self._mark) if self._adopts else Position()
        self._resumed = done > span.begin
        self._position = max(done, span.begin)
        return span

    def _choose(self, entries: list[Entry], rules: Rules) -> list[Message]:
        """The messages of the window, with what they were counted as."""
        counted = self._counted_in(entries[0].segment)
        messages: list[Message] = []
        for entry in entries:
            label = counted[entry.entry]
            today = attribute_today(entry, rules)
            if self._window.holds(today, label):
                messages.append(Message(today, entry.supplier, label))
        return messages

    def _counted_in(self, segment: int) -> CountedAs:
        if self._counted is None or self._counted[0] != segment:
            read = CountedAs(
                self._reader.folder, segment, lambda mark: self._sink.position(mark).entry
            )
            self._counted = segment, read
        return self._counted[1]

    def _do_page(self, messages: list[Message], position: Position, rules: Rules) -> None:
        page = self._diff.judge(messages, self._sink, rules, self._journal)
        offers, unmatched = choose(page, self._quarantined)
        if self._adopts:
            quota = Quota(self._limits, self._sink.quarantine_depth())
            folder = self._reader.folder
            adoption = Adoption(folder, self._mark, self._sink, quota, self._events)
            self._became += adoption.adopt(page, offers, position)
        from_quarantine = {offer.place for offer in offers if offer.row is not None}
        self._from_quarantine += len(from_quarantine)
        self._unmatched += unmatched
        self._diff.count(page, from_quarantine)

    def _progress(self) -> float:
        span = self._span
        if span is None:
            return 0.0
        whole = span.last - span.begin.segment + 1
        return round(min(1.0, (self._position.segment - span.begin.segment) / whole), 3)


def _show(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
