"""The jobs that one worker of ingest does: today only the re-run of its quarantine."""

from collections.abc import Callable, Collection
from typing import Any

import structlog

from ingest.batch import Rules
from ingest.journal import JournalReader
from ingest.ports import JobQueue, ReadingsSink
from ingest.rerun import RERUN_QUARANTINE, rerun_quarantine
from water.jobs import Job

log = structlog.get_logger()


class RerunJobs:
    """Takes jobs that any worker may take, and those that only the one of this journal can do.

    A row of the quarantine points into the journal of the worker that refused it. Whoever takes a
    job does its own rows and hands the others on to their workers.
    """

    def __init__(
        self,
        queue: JobQueue,
        journal: str,
        reader: JournalReader,
        sink: ReadingsSink,
        rules: Callable[[], Rules],
    ) -> None:
        self._queue = queue
        self._journal = journal
        self._reader = reader
        self._sink = sink
        self._rules = rules
        self._kinds = [RERUN_QUARANTINE, _kind_for(journal)]

    def release(self) -> None:
        """Let jobs wait again that a dead worker left running.

        One that another worker is doing is then done twice, without harm: a row leaves quarantine
        once.
        """
        self._queue.release(self._kinds)

    def do_next(self) -> bool:
        """Do the oldest job that waits; whether there was one."""
        job = self._queue.take(self._kinds)
        if job is None:
            return False
        try:
            outcome = self._do(job)
        except Exception as error:  # noqa: BLE001 (whoever asked is told; ingest goes on)
            log.warning("job failed", job=job.id, error=repr(error))
            self._queue.finish(job.id, {"error": str(error) or repr(error)}, failed=True)
        else:
            self._queue.finish(job.id, outcome)
        return True

    def _do(self, job: Job) -> dict[str, Any]:
        rerun = rerun_quarantine(
            job.arguments, self._journal, self._reader, self._sink, self._rules()
        )
        outcome = rerun.describe()
        if job.kind == RERUN_QUARANTINE and rerun.elsewhere:
            outcome["handed_on"] = self._hand_on(job, rerun.elsewhere)
        return outcome

    def _hand_on(self, job: Job, journals: Collection[str]) -> dict[str, int]:
        """Ask the workers of these journals to do the same; the ids of their jobs."""
        return {
            journal: self._queue.ask(_kind_for(journal), job.arguments, f"job {job.id}")
            for journal in sorted(journals)
        }


def _kind_for(journal: str) -> str:
    """The kind of a job that only the worker of one journal can do."""
    return f"{RERUN_QUARANTINE}/{journal}"
