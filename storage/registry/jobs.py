"""What one process asks of another: waiting → running → done or failed."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Table, func, insert, select, update

from storage.registry.engine import for_reading
from storage.registry.models import JobRow, table_of
from water.clock import Clock
from water.jobs import Job

_JOB: Table = table_of(JobRow)


class JobStore:
    """The jobs table (ingest.ports.JobQueue and api.ports.Jobs)."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._reading = for_reading(engine)
        self._clock = clock

    def ask(self, kind: str, arguments: Mapping[str, object], asked_by: str) -> int:
        """Put a job into the queue; its id."""
        job = {
            "kind": kind,
            "arguments": dict(arguments),
            "state": "waiting",
            "asked_by": asked_by,
            "asked_at": self._clock.now(),
        }
        with self._engine.begin() as connection:
            return connection.execute(insert(_JOB).values(job).returning(_JOB.c.id)).scalar_one()

    def job(self, job_id: int) -> dict[str, Any] | None:
        """A job with its state and outcome, or None when there is none of that id."""
        with self._reading.connect() as connection:
            row = connection.execute(select(_JOB).where(_JOB.c.id == job_id)).mappings().first()
            return dict(row) if row else None

    def take(self, kinds: Sequence[str]) -> Job | None:
        """The oldest waiting job of these kinds, now running and nobody else's; None if none."""
        oldest = (
            select(_JOB.c.id, _JOB.c.kind, _JOB.c.arguments)
            .where(_JOB.c.state == "waiting", _JOB.c.kind.in_(kinds))
            .order_by(_JOB.c.id)
            .limit(1)
        )
        with self._reading.connect() as connection:
            if connection.execute(oldest).first() is None:
                return None  # the usual answer, without the write lock
        with self._engine.begin() as connection:
            row = connection.execute(oldest.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            running = update(_JOB).where(_JOB.c.id == row.id).values(state="running")
            connection.execute(running)
            return Job(row.id, row.kind, row.arguments)

    def jobs(self, kind: str, limit: int) -> list[dict[str, Any]]:
        """The newest jobs of a kind with state and outcome, newest first."""
        query = select(_JOB).where(_JOB.c.kind == kind).order_by(_JOB.c.id.desc()).limit(limit)
        with self._reading.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def count_waiting(self, kinds: Sequence[str]) -> int:
        """How many jobs of these kinds nobody has taken yet."""
        waiting = (_JOB.c.state == "waiting") & _JOB.c.kind.in_(kinds)
        with self._reading.connect() as connection:
            return connection.execute(
                select(func.count()).select_from(_JOB).where(waiting)
            ).scalar_one()

    def report(self, job_id: int, outcome: Mapping[str, object]) -> None:
        """Say how far a running job has come."""
        running = (_JOB.c.id == job_id) & (_JOB.c.state == "running")
        with self._engine.begin() as connection:
            connection.execute(update(_JOB).where(running).values(outcome=dict(outcome)))

    def finish(self, job_id: int, outcome: Mapping[str, object], *, failed: bool = False) -> None:
        """Say how a job ended."""
        end = {
            "state": "failed" if failed else "done",
            "outcome": dict(outcome),
            "ended_at": self._clock.now(),
        }
        with self._engine.begin() as connection:
            connection.execute(update(_JOB).where(_JOB.c.id == job_id).values(end))

    def release(self, kinds: Sequence[str]) -> int:
        """Let jobs that a dead process left running wait again; how many there were.

        For the one process that takes these kinds, when it starts.
        """
        left = _JOB.c.kind.in_(kinds) & (_JOB.c.state == "running")
        with self._engine.begin() as connection:
            return connection.execute(update(_JOB).where(left).values(state="waiting")).rowcount
