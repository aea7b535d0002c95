"""The jobs that one worker of ingest does: re-runs of the quarantine, and replays."""

import time
from collections.abc import Callable, Collection
from typing import Any

import structlog

from ingest.accounting import list_journals
from ingest.batch import Rules
from ingest.journal import JournalReader
from ingest.places import is_of_imports
from ingest.ports import JobQueue, MeterEvents, ReadingsSink
from ingest.replays.job import Replay
from ingest.replays.rerun import RERUN_QUARANTINE, rerun_quarantine
from ingest.settings import Limits
from water.jobs import ADOPT_REPLAY, REPLAY, Job
from water.loading import Position

log = structlog.get_logger()

_KINDS = (RERUN_QUARANTINE, REPLAY, ADOPT_REPLAY)
_REPORT_S = 2.0
"""Seconds between what a replay says of its progress."""
_PAUSE_S = 5.0
"""Seconds that a replay waits after a step that failed."""


class IngestJobs:
    """Takes jobs that any worker may take, and those that only the one of this journal can do.

    Rows of the quarantine and windows of time lie in the journals of several workers. Whoever
    takes a job does the part of its own journal and hands the others on to their workers.

    Args:
        queue: the jobs.
        journal: the name of this worker's journal.
        reader: of that journal.
        sink: where readings are.
        rules: what messages are judged by today.
        limits: the quota of the quarantine.
        loaded: how far the journal is loaded.
        events: where meter changes of suppliers go.
        passing: whether this worker will soon be gone: it takes what only it can do.
    """

    def __init__(
        self,
        queue: JobQueue,
        journal: str,
        reader: JournalReader,
        sink: ReadingsSink,
        rules: Callable[[], Rules],
        limits: Limits,
        loaded: Callable[[], Position],
        *,
        events: MeterEvents | None = None,
        passing: bool = False,
    ) -> None:
        self._queue = queue
        self._journal = journal
        self._reader = reader
        self._sink = sink
        self._rules = rules
        self._limits = limits
        self._loaded = loaded
        self._events = events
        anybodys = () if passing else _KINDS
        self._kinds = [*anybodys, *(_kind_for(kind, journal) for kind in _KINDS)]
        self._replay: tuple[Job, Replay] | None = None
        self._resume_at = self._report_at = 0.0

    def release(self) -> None:
        """Let jobs wait again that a dead worker left running.

        One that another worker is doing is then done twice, without harm: a row leaves quarantine
        once, and a message is decoded once.
        """
        self._queue.release(self._kinds)

    @property
    def idle(self) -> bool:
        """Whether no replay is under way, be there a step to do now or not."""
        return self._replay is None

    @property
    def under_way(self) -> bool:
        """Whether a replay has a step to do now."""
        return self._replay is not None and time.monotonic() >= self._resume_at

    def do_next(self) -> bool:
        """Do the oldest job that waits, or begin it; whether counts may have changed."""
        job = self._queue.take(self._kinds) if self._replay is None else None
        if job is None:
            return False
        try:
            if _kind_of(job) == RERUN_QUARANTINE:
                self._queue.finish(job.id, self._rerun(job))
            else:
                self._replay = job, self._make_replay(job)
        except Exception as error:  # noqa: BLE001 (whoever asked is told; ingest goes on)
            self._fail(job, error)
        return True

    def _make_replay(self, job: Job) -> Replay:
        loaded = self._loaded()
        return Replay(
            job, self._journal, self._reader, loaded, self._sink, self._limits, self._events
        )

    def step(self) -> bool:
        """Do a page of the replay that is under way; whether counts may have changed."""
        if self._replay is None:
            return False
        job, replay = self._replay
        self._resume_at = time.monotonic() + _PAUSE_S
        try:
            more = replay.step(self._rules())
        except OSError as error:
            log.warning("store does not answer, replay waits", job=job.id, error=repr(error))
            return False
        except Exception as error:  # noqa: BLE001 (whoever asked is told; ingest goes on)
            self._fail(job, error)
            self._replay = None
            return replay.adopts
        if more:
            self._report(job, replay)
        else:
            self._queue.finish(job.id, self._conclude(job, replay))
            self._replay = None
        self._resume_at = 0.0
        return replay.adopts

    def _report(self, job: Job, replay: Replay) -> None:
        if time.monotonic() >= self._report_at:
            self._queue.report(job.id, replay.describe())
            self._report_at = time.monotonic() + _REPORT_S

    def _conclude(self, job: Job, replay: Replay) -> dict[str, Any]:
        outcome = replay.describe() | {"progress": 1.0}
        if job.kind in _KINDS:
            journals = list_journals(self._sink.tallies()) - {self._journal}
            # (What came from a file is judged by the rules of its import: it is imported again.)
            others = {journal for journal in journals if not is_of_imports(journal)}
            if others:
                outcome["handed_on"] = self._hand_on(job, others)
        return outcome

    def _rerun(self, job: Job) -> dict[str, Any]:
        rerun = rerun_quarantine(
            job.arguments, self._journal, self._reader, self._sink, self._rules()
        )
        outcome = rerun.describe()
        if job.kind == RERUN_QUARANTINE and rerun.elsewhere:
            outcome["handed_on"] = self._hand_on(job, rerun.elsewhere)
        return outcome

    def _fail(self, job: Job, error: Exception) -> None:
        log.warning("job failed", job=job.id, error=repr(error))
        self._queue.finish(job.id, {"error": str(error) or repr(error)}, failed=True)

    def _hand_on(self, job: Job, journals: Collection[str]) -> dict[str, int]:
        """Ask the workers of these journals to do the same; the ids of their jobs."""
        return {
            journal: self._queue.ask(
                _kind_for(_kind_of(job), journal), job.arguments, f"job {job.id}"
            )
            for journal in sorted(journals)
        }


def _kind_for(kind: str, journal: str) -> str:
    """The kind of a job that only the worker of one journal can do."""
    return f"{kind}/{journal}"


def _kind_of(job: Job) -> str:
    return job.kind.partition("/")[0]
