"""One journal and all that is done with it: its intake writes it, it is loaded; for ever."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog
from prometheus_client import CollectorRegistry
from tenacity import RetryError

from ingest.batch import Batch, Rules
from ingest.broker.stream import Stream
from ingest.checks import Directory, make_directory
from ingest.errors import JournalTakenError
from ingest.groups import Group, Loaded
from ingest.intake import Body, Intake
from ingest.journal import JournalReader, JournalWriter, Message, Recent
from ingest.journal.segments import measure_kept
from ingest.loader import Loader
from ingest.metrics import IngestMetrics
from ingest.opening import open_own_journal
from ingest.outages import until_it_answers
from ingest.ports import JobQueue, MeterDirectory, MeterEvents, ReadingsSink
from ingest.precedence import Precedence
from ingest.remembered import Remembered
from ingest.replays.jobs import IngestJobs
from ingest.settings import IngestSettings
from ingest.topics import attribute
from water.clock import Clock
from water.loading import Outcome, Position, Tally
from water.policy import Policy

log = structlog.get_logger()

_TOPICS = 65_536
"""Topics whose supplier is remembered."""
_POLL_S = 2.0
"""Seconds between looks at the directory's version and at the jobs."""
_DROP_S = 600.0
"""Seconds between looks for segments that are no longer kept."""
_COMPRESS_S, _COMPRESS_IDLE_S = 2.0, 60.0
"""Seconds from one compressed segment to the next, and between looks when none is due: 64 MiB take
0.2 s of the loader's."""
_REST_S = 600.0
"""Seconds for which a closed segment stays plain: what is read again is read soon."""
_IDLE_S = 0.25
"""The longest that the loader sleeps when it is not told of a new group."""


class IngestService:
    """Takes in and loads until told to stop.

    The intake has threads of its own; the one that calls `run` loads, and only it uses the sink,
    the directory and the jobs.
    """

    def __init__(
        self,
        settings: IngestSettings,
        sink: ReadingsSink,
        directory: MeterDirectory,
        jobs: JobQueue,
        clock: Clock,
        policy: Policy,
        metrics: CollectorRegistry,
        intake: Intake | None = None,
        events: MeterEvents | None = None,
        precedence: Precedence | None = None,
    ) -> None:
        """Nothing is opened before `run`; without an `intake` messages come from the broker.

        `events` takes the meter changes that suppliers send. `precedence` is whom this service
        gives way to: by itself to its own intake only.
        """
        self._settings = settings
        self._sink = sink
        self._meters = directory
        self._jobs = jobs
        self._clock = clock
        self._policy = policy
        self._events = events
        self._use(Directory())
        self._unknown: list[str] = []
        self._journal: JournalWriter | None = None
        self._loader: Loader | None = None
        self._intake = intake or Stream(clock)
        self._group: Group | None = None
        self._loaded_before = Loaded(0, {})
        self._received_before: Mapping[str, int] = {}
        self._arrived = threading.Event()
        self._jobless = False
        self._precedence = precedence or Precedence()
        self._abandoned: dict[str, str] = {}
        self._crash: BaseException | None = None
        self._metrics = IngestMetrics(
            metrics, self.tallies, self._gauges, lambda: self._settings.journal.name
        )

    def run(self, stop: threading.Event) -> None:
        """Receive and load until `stop` is set.

        Raises:
            JournalError: the journal folder can't be used as it is.
            JournalTakenError: other processes have every journal that it might take.
        """
        try:
            self._use(until_it_answers(self._load_directory, stop))
            self._abandoned = until_it_answers(self._find_abandoned, stop)
            journal = self._take_place(stop)
        except RetryError:
            return
        ended = threading.Event()
        threads = self._start_threads(journal, stop, ended)
        try:
            self._load(journal, stop)
        finally:
            stop.set()
            self._precedence.note_waiting(0)
            for thread in threads[:1]:
                thread.join()
            ended.set()
            for thread in threads[1:]:
                thread.join(timeout=10)
            journal.close()
        if self._crash is not None:
            raise self._crash

    def progress(self) -> tuple[int, int]:
        """Messages that the journal has made durable, and of these those that are loaded."""
        durable = self._journal.committed().entry if self._journal else 0
        return durable, self._loader.position.entry if self._loader else 0

    def idle(self) -> bool:
        """Whether all that is durable is loaded, and the last look found no job."""
        durable, loaded = self.progress()
        return self._loader is not None and durable == loaded and self._jobless

    def health(self) -> dict[str, object]:
        """What a person or a probe asks first; `ready` = messages are received and kept."""
        gauges = self._gauges()
        return {
            "worker": self._settings.journal.name,
            **self._intake.health(),
            "journal_waiting": gauges["journal_waiting"],
            "lag_s": gauges["lag_seconds"],
            "last_message_at": gauges["last_message_timestamp_seconds"],
            "quarantine_rows": gauges["quarantine_rows"],
            "abandoned_journals": self._abandoned,
            "unknown_suppliers": self._unknown,
        }

    def _find_abandoned(self) -> dict[str, str]:
        return self._intake.find_abandoned(self._settings, self._sink.position)

    def _take_place(self, stop: threading.Event) -> JournalWriter:
        """Take the first place whose journal no other process has; its settings are ours now."""
        refused = JournalTakenError("there is no journal to take")

        def position(journal: str) -> Position:
            return until_it_answers(lambda: self._sink.position(journal), stop)

        for settings in self._intake.each_place(self._settings, position):
            try:
                journal, loaded = open_own_journal(settings.journal, self._sink, stop)
            except JournalTakenError as error:
                refused = error
                continue
            self._received_before = journal.received()
            if settings.journal.recent_messages:
                journal.recent = Recent(settings.journal.recent_messages)
            self._settings, self._journal, self._loaded_before = settings, journal, loaded
            log.info("journal opened", journal=settings.journal.name)
            return journal
        raise refused

    def _start_threads(
        self, journal: JournalWriter, stop: threading.Event, ended: threading.Event
    ) -> list[threading.Thread]:
        """The threads of the intake; those after the first go on until `ended`."""
        self._group = group = Group(
            journal,
            self._settings.journal,
            self._settings.limits.payload_bytes,
            self._supplier_of,
            self._clock,
            journalled=self._note_group,
            observe_sync=self._metrics.observe_sync,
            loaded=self._how_far,
        )
        bodies = self._intake.open(self._settings, group, self._precedence)
        threads = [
            threading.Thread(
                target=self._guard, args=(body, ended if i else stop, stop), name=body.name,
                daemon=True,
            )
            for i, body in enumerate(bodies)
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        return threads

    def _guard(self, body: Body, event: threading.Event, stop: threading.Event) -> None:
        """A bug in a thread ends the process: it must not go on deaf."""
        try:
            body.run(event)
        except BaseException as error:  # noqa: BLE001 (raised again by `run`)
            self._crash = error
            stop.set()
            self._arrived.set()

    def _load(self, journal: JournalWriter, stop: threading.Event) -> None:
        folder = self._settings.journal.folder
        reader = JournalReader(folder, journal.marker, journal.committed, journal.recent)
        try:
            loader = until_it_answers(lambda: self._make_loader(journal, reader), stop)
        except RetryError:
            return
        self._loader = loader
        jobs = self._make_jobs(loader, reader)
        self._while_registry_answers(jobs.release)
        polled, dropped = -math.inf, time.monotonic()
        compress_at = dropped + _COMPRESS_IDLE_S
        while not stop.is_set():
            self._arrived.clear()
            began = time.monotonic()
            durable, loaded = self.progress()
            self._precedence.note_waiting(durable - loaded)
            if loader.load_next(stop, self._precedence.is_calm):
                self._precedence.give_way(time.monotonic() - began)
            elif not jobs.under_way:
                self._arrived.wait(_IDLE_S)
            if jobs.under_way:
                self._while_registry_answers(lambda: self._step(loader, jobs))
            if time.monotonic() - polled > _POLL_S:
                self._while_registry_answers(lambda: self._poll(loader, jobs))
                polled = time.monotonic()
            if time.monotonic() - dropped > _DROP_S:
                self._drop_loaded(journal, loader.position)
                dropped = time.monotonic()
            if time.monotonic() > compress_at:
                more = journal.compress_loaded(loader.position, _REST_S)
                compress_at = time.monotonic() + (_COMPRESS_S if more else _COMPRESS_IDLE_S)
        if self._intake.passing:
            self._tidy(journal, loader.position)

    def _tidy(self, journal: JournalWriter, loaded: Position) -> None:
        """Do at once what would be due when this service is no longer there."""
        self._drop_loaded(journal, loaded)
        while journal.compress_loaded(loaded, rest_s=0):
            pass

    def _drop_loaded(self, journal: JournalWriter, loaded: Position) -> None:
        """Delete old segments, but none that a row of the quarantine still points to."""
        try:
            needed = self._sink.oldest_refused_segment(self._settings.journal.name)
        except Exception as error:  # noqa: BLE001 (an outage of the store; they can wait)
            log.warning("store does not answer", error=repr(error))
            return
        journal.drop_loaded(loaded, self._settings.journal.keep_days * 86_400, needed)

    def _make_loader(self, journal: JournalWriter, reader: JournalReader) -> Loader:
        return Loader(
            self._settings.journal.name,
            reader,
            journal.received,
            self._sink,
            self._rules,
            self._settings.limits,
            self._note_loaded,
            self._events,
            self._intake.passed,
        )

    def _make_jobs(self, loader: Loader, reader: JournalReader) -> IngestJobs:
        return IngestJobs(
            self._jobs,
            self._settings.journal.name,
            reader,
            self._sink,
            self._rules,
            self._settings.limits,
            lambda: loader.position,
            events=self._events,
            passing=self._intake.passing,
        )

    def _poll(self, loader: Loader, jobs: IngestJobs) -> None:
        """Look at the directory and the jobs."""
        if self._meters.version() != self._directory.version:
            self._use(self._load_directory())
        began = jobs.do_next()
        if began:
            loader.recount()
        self._jobless = jobs.idle and not began

    def _step(self, loader: Loader, jobs: IngestJobs) -> None:
        """Do a page of a replay, and leave the receiver its turn after it."""
        began = time.monotonic()
        if jobs.step():
            loader.recount()
        self._precedence.give_way(time.monotonic() - began)

    def _while_registry_answers(self, ask: Callable[[], None]) -> None:
        """While the registry is away the old directory stands and jobs wait."""
        try:
            ask()
        except Exception as error:  # noqa: BLE001 (an outage of the registry; the next poll asks again)
            log.warning("registry does not answer", error=repr(error))

    def _load_directory(self) -> Directory:
        version = self._meters.version()
        directory = make_directory(version, self._meters.suppliers(), self._meters.devices())
        log.info("directory loaded", version=version, meters=len(directory.devices))
        named = self._settings.agreements.suppliers() | {
            source.supplier for source in self._settings.sources
        }
        self._unknown = sorted(named - directory.suppliers)
        if self._unknown:
            log.error("the configuration names suppliers nobody knows", suppliers=self._unknown)
        return directory

    def _use(self, directory: Directory) -> None:
        """Judge by this directory from now on; whose a topic is, is worked out once a topic."""
        work_out = partial(attribute, sources=self._settings.sources, suppliers=directory.suppliers)
        self._suppliers = Remembered(work_out, _TOPICS)
        self._directory = directory
        self._standing = Rules(
            self._settings.sources, self._policy, directory, self._settings.agreements
        )

    def _how_far(self) -> Loaded:
        """How far the journal is loaded."""
        loader = self._loader
        return Loaded(loader.position.entry, loader.loaded) if loader else self._loaded_before

    def _supplier_of(self, topic: str) -> str:
        return self._suppliers[topic]

    def _rules(self) -> Rules:
        return self._standing

    def _note_group(self, messages: Sequence[Message]) -> None:
        self._arrived.set()
        self._intake.journalled(messages)

    def _note_loaded(self, batch: Batch, outcomes: Sequence[Outcome] | None) -> None:
        self._intake.loaded(batch, outcomes)

    def tallies(self) -> Mapping[Tally, int]:
        """What this process received and its loads counted since the start; waiting is a gauge."""
        shown = Counter(self._own_tallies())
        shown.update(self._intake.tallies())
        return shown

    def _own_tallies(self) -> Mapping[Tally, int]:
        counted = dict(self._loader.counted) if self._loader else {}
        received = Counter(self._journal.received()) if self._journal else Counter[str]()
        received.subtract(self._received_before)
        shown = {Tally(supplier, "messages", "received"): n for supplier, n in received.items()}
        return {**counted, **shown}

    def _gauges(self) -> dict[str, float | None]:
        waiting = lag = damaged = held = None
        loader = self._loader
        if loader is not None:
            durable, loaded = self.progress()
            waiting = max(0, durable - loaded)
            lag = loader.lag_s(self._clock.now()) if waiting else 0.0
            damaged = loader.damaged_bytes
            held = sum(loader.quota.held.values())
        newest = None if self._group is None else self._group.newest_ms
        kept = measure_kept(self._settings.journal.folder)
        return {
            **self._intake.gauges(),
            "journal_segments": kept.segments,
            "journal_segments_compressed": kept.compressed,
            "journal_bytes": kept.bytes,
            "journal_waiting": waiting,
            "lag_seconds": lag,
            "last_message_timestamp_seconds": newest / 1000 if newest is not None else None,
            "quarantine_rows": held,
            "journal_damaged_bytes": damaged,
        }
