"""Journal → decoded → checked → stored, a batch and its position in one transaction."""

import threading
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter

import structlog
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from ingest.accounting import count_journal, find_loaded, find_received
from ingest.batch import Batch, Rules, Settled, number_of
from ingest.events import list_events
from ingest.journal import Entry, JournalReader
from ingest.journal.undecoded import UndecodedLog
from ingest.ports import Loading, MeterEvents, ReadingsSink
from ingest.quota import Quota
from ingest.settings import Limits
from water.loading import Position, Tally
from water.readings import Reading

log = structlog.get_logger()

_ENTRY = attrgetter("entry")
_DEPTH = 3
"""Batches that are begun at once: a server that pauses now and then must not find none."""
_SUSPICIOUS_FAILURES = 3
"""After so many failures of one batch, a store that otherwise answers is not to blame for it."""


class Loader:
    """Loads a journal into the readings store; used by one thread."""

    def __init__(
        self,
        journal: str,
        reader: JournalReader,
        received: Callable[[], Mapping[str, int]],
        sink: ReadingsSink,
        rules: Callable[[], Rules],
        limits: Limits,
        settled: Settled,
        events: MeterEvents | None = None,
        passed: Callable[[int, int], None] = lambda _entry, _messages: None,
    ) -> None:
        """Begin at the position that the store keeps under the name `journal`.

        `settled` is told of each load; of one that the store kept without saying so `passed` is
        told instead: the newest entry that is loaded, and how many messages nobody can tell of.
        `counted` is what its own loads came to, `totals` what the store has counted of all.
        Without `events` the meter changes that suppliers send are counted and left in the journal.
        """
        self._journal = journal
        self._reader = reader
        self._received = received
        self._sink = sink
        self._rules = rules
        self._limits = limits
        self._settled = settled
        self._events = events
        self._passed = passed
        self.totals: Counter[Tally] = Counter(sink.tallies())
        self.counted: Counter[Tally] = Counter()
        self._unheard: Counter[Tally] = Counter()
        self.quota = Quota(limits, sink.quarantine_depth())
        self.position = sink.position(journal)
        self._undecoded = UndecodedLog(reader.folder)
        self._loaded = find_loaded(journal, self.totals)
        self._read_to = self.position
        self._begun = -1
        self._numbers = dict(self._loaded)
        self._ahead: deque[Entry] = deque()
        self._batches: deque[Batch] = deque()
        self._oldest_ms: int | None = None
        self._failures = 0
        self._unsure = False

    def load_next(self, stop: threading.Event, goes_on: Callable[[], bool] = lambda: True) -> bool:
        """Load one batch; False when nothing waits or `stop` was set while the store was away.

        Where the store is a server several full ones are loaded as long as `goes_on`: it takes one
        while the next is judged and the one before is counted.
        """
        if not self._assemble(self._limits.first_batch):
            return False
        self._oldest_ms, self._failures = self._batches[0].entries[0].received_ms, 0
        loaded = self._load_until(stop, goes_on)
        self._give_back()
        self._oldest_ms = self._find_oldest()
        return loaded

    def _load_until(self, stop: threading.Event, goes_on: Callable[[], bool]) -> bool:
        """Load, again and again while the store is away; False once `stop` is set."""
        tries = Retrying(
            wait=wait_random_exponential(multiplier=0.2, max=30),
            sleep=sleep_using_event(stop),
            stop=stop_when_event_set(stop),
            before_sleep=_log_failure,
        )
        try:
            tries(self._load, lambda: goes_on() and not stop.is_set())
        except RetryError:
            return False
        return True

    def _give_back(self) -> None:
        """Messages that are not loaded are judged anew in their turn, by the rules of then."""
        while self._batches:
            self._ahead.extendleft(reversed(self._batches.pop().entries))

    def _find_oldest(self) -> int | None:
        """When the oldest message arrived that is not loaded yet; None: nothing waits."""
        if not self._ahead:
            self._read_ahead()
        return self._ahead[0].received_ms if self._ahead else None

    @property
    def loaded(self) -> Mapping[str, int]:
        """The number of each supplier's newest message that is loaded."""
        return self._loaded

    @property
    def damaged_bytes(self) -> int:
        """Bytes of the journal that were skipped since the start."""
        return self._reader.damage.bytes

    def lag_s(self, now: datetime) -> float:
        """Seconds since the oldest message arrived that is not yet loaded; of use if one waits."""
        oldest_ms = self._oldest_ms
        return 0.0 if oldest_ms is None else max(0.0, now.timestamp() - oldest_ms / 1000)

    def recount(self) -> None:
        """Take the store's counts anew, after something else than a load has changed them."""
        self.totals = Counter(self._sink.tallies())
        self.quota = replace(self.quota, held=self._sink.quarantine_depth())

    def _assemble(self, limit: int) -> bool:
        """Judge the next batch, a full one or all that the journal holds; whether there is one."""
        batch = Batch(self._rules(), self._journal, limit)
        while not batch.full:
            if not self._ahead:
                self._read_ahead()
            if not self._ahead:
                break
            batch.take(self._ahead)
        if batch.entries:
            self._batches.append(batch)
        return bool(batch.entries)

    def _read_ahead(self) -> None:
        """Read on; the journal numbers each supplier's messages, so what damage took is known.

        A segment's header is asked at the first reading too: the last load of the process before
        may have ended between two that stand for what was lost before the segment.
        """
        before = self._read_to
        entries, self._read_to = self._reader.read(before)
        numbers, ahead = self._numbers, self._ahead
        if self._read_to.segment != self._begun:
            self._begun = self._read_to.segment
            lost = self._reader.lost_before(self._begun, numbers)
            if self._begun == before.segment:
                lost = [entry for entry in lost if entry.entry > before.entry]
            numbers.update(map(number_of, lost))
            ahead.extend(lost)
        if self._read_to.entry == before.entry + len(entries):  # nothing is missing between them
            numbers.update(map(number_of, entries))
            ahead.extend(entries)
            return
        for entry in entries:
            supplier, number = entry.supplier, entry.number
            lost = number - 1 - numbers.get(supplier, 0)
            numbers[supplier] = number
            ahead.append(entry._replace(lost=lost) if lost > 0 else entry)

    def _load(self, goes_on: Callable[[], bool]) -> None:
        if self._unsure:
            self._find_out()
        if not self._loaded_of(self._batches[0]):
            try:
                return self._load_in_turn(goes_on)
            except OSError:  # an outage, however long: nothing is wrong with the batch
                raise
            except Exception as error:
                self._failures += 1
                if self._failures < _SUSPICIOUS_FAILURES or not self._sink_answers():
                    raise
                log.warning("store refuses a batch, loading it in parts", error=repr(error))
                self._find_out()
        batch = self._batches[0]
        if left := batch.entries[self._loaded_of(batch) :]:
            self._load_halves(left)
        self._batches.popleft()
        return None

    def _load_in_turn(self, goes_on: Callable[[], bool]) -> None:
        """Load batches in their order, each begun while the store takes those before it."""
        left = self._limits.batches - 1
        with self._sink.loading() as loading:
            begun = deque([_begin(loading, self._batches[0])])
            while begun:
                while left and len(begun) < _DEPTH and goes_on() and self._follows(len(begun)):
                    begun.append(_begin(loading, self._batches[len(begun)]))
                    left -= 1
                self._commit(loading, self._batches[0], begun.popleft())
                self._batches.popleft()

    def _follows(self, place: int) -> bool:
        """Whether there is a batch at a place behind others, judged if it is not yet.

        None follows one that is not full.
        """
        if place < len(self._batches):
            return True
        newest = self._batches[-1]
        limit = min(2 * newest.limit, self._limits.batch_readings)
        return newest.full and self._assemble(limit)

    def _find_out(self) -> None:
        """Where the store stands after a load that failed: its word, not its work, may be lost."""
        position = self._sink.position(self._journal)
        if position.entry > self.position.entry:
            log.warning("a load was kept though the store did not say so", entry=position.entry)
            self.recount()
            messages = position.entry - self.position.entry
            self.position, self._loaded = position, find_loaded(self._journal, self.totals)
            self.counted.update(self._unheard)
            self._passed(position.entry, messages)
        self._unsure = False

    def _loaded_of(self, batch: Batch) -> int:
        """How many messages of a batch are in the store already."""
        return bisect_right(batch.entries, self.position.entry, key=_ENTRY)

    def _load_halves(self, entries: Sequence[Entry]) -> None:
        """Load messages; those that the store can't take are found by halving."""
        batch = Batch(self._rules(), self._journal)
        batch.take(deque(entries))
        error = self._try(batch)
        if error is None:
            return
        if len(entries) == 1:
            self._refuse(entries[0], error)
            return
        middle = len(entries) // 2
        self._load_halves(entries[:middle])
        self._load_halves(entries[middle:])

    def _refuse(self, entry: Entry, error: Exception) -> None:
        """Put the readings of a message into quarantine that the store can't take.

        If it can't take their rows either, they are counted as refused and stand in the journal
        alone: whatever a message holds, the next one has its turn.
        """
        log.warning("store refuses a message", entry=entry.entry, error=repr(error))
        refused = Batch(self._rules(), self._journal)
        refused.refuse_entry(entry, type(error).__name__)
        again = self._try(refused)
        if again is None:
            return
        log.error("store refuses even the refusal", entry=entry.entry, error=repr(again))
        self._commit(self._sink, refused, refused.readings, bare=True)

    def _try(self, batch: Batch) -> Exception | None:
        """Commit a batch; why a store doesn't take it that answers otherwise."""
        try:
            self._commit(self._sink, batch, batch.readings)
        except OSError:
            raise
        except Exception as error:
            if not self._sink_answers():
                raise
            self._find_out()
            return None if self._loaded_of(batch) else error
        return None

    def _commit(
        self,
        sink: Loading | ReadingsSink,
        batch: Batch,
        begun: Sequence[Reading],
        *,
        bare: bool = False,
    ) -> None:
        """Load a batch; if `bare`, only counts and the position, which can't be to blame."""
        position, loaded = batch.position, self._loaded | batch.newest
        self._unsure = True
        self._undecoded.note(batch.entries, batch.undecoded)
        # Before the load: after a crash between the two they are handed over again, and taken once.
        if self._events and not bare and (events := list_events(batch)):
            # A new journal may bear the name of an old one, and begins its numbers anew.
            self._events.take(f"{self._journal}.{self._reader.marker.hex()}", events)
        with sink.load() as load:
            outcomes = load.add_readings(begun) if begun else None
            refusals = load.refusals() if outcomes else dict[int, str]()
            rows = [] if bare else batch.list_refused(refusals)
            kept, quota = self.quota.admit(rows)
            if kept:
                load.add_refused(kept)
            tallies = batch.settle(outcomes)
            self._unheard = Counter(tallies)
            tallies.update(count_journal(self._journal, self.totals, self._received(), loaded))
            load.add_tallies(tallies)
            load.set_position(self._journal, position)
        self._unsure = False
        self.totals.update(tallies)
        self.counted.update(self._unheard)
        self.position, self._loaded, self.quota = position, loaded, quota
        self._settled(batch, outcomes)

    def _sink_answers(self) -> bool:
        """Whether the store takes a load with nothing in it."""
        try:
            with self._sink.load():
                pass
        except Exception:  # noqa: BLE001 (any failure means the same: it is away)
            return False
        return True


def _begin(loading: Loading, batch: Batch) -> Sequence[Reading]:
    return loading.begin_readings(batch.readings) if batch.readings else ()


def _log_failure(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("store does not take the load, trying again", error=repr(error))


def begin_after(
    sink: ReadingsSink, journal: str
) -> tuple[Position, dict[str, int], dict[str, int]]:
    """How the store knows a journal: its position, messages a supplier received and loaded."""
    tallies = sink.tallies()
    return sink.position(journal), find_received(journal, tallies), find_loaded(journal, tallies)
