"""The analysis process: touched days first, then what they mean, then tidying up.

Marks are saved last, and every save replaces: a crash anywhere repeats and never loses.
"""

import threading
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from tenacity import Retrying, retry_if_exception_type, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from runs.evaluation import Evaluator, Inputs
from runs.jobs import RecomputeJobs
from runs.metrics import RunMetrics
from runs.ports import (
    Figures,
    FindingsListener,
    JobQueue,
    Ledger,
    Readings,
    Registry,
    RunState,
    Turn,
    Volumes,
)
from runs.recompute import Recomputation, ZoneSpan, read_known
from runs.settings import RunSettings
from runs.spans import plan_spans, rows_a_day
from runs.turn import Alone, Pulse
from water.calendar import Calendar
from water.city_time import CityTime
from water.clock import Clock
from water.policy import Policy

_log = structlog.get_logger()

MARK, SILENCE, COMPACTED, EVALUATED = "touched", "silence", "compacted", "evaluated"
"""Names of the run state."""

_LONGEST_SILENCE = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class RunReport:
    """What one cycle did."""

    mark: int
    meter_days: int = 0
    jobs: int = 0
    evaluated: bool = False
    failed_detectors: tuple[str, ...] = ()
    compacted: int = 0

    @property
    def idle(self) -> bool:
        """Whether there was nothing to compute again."""
        return self.meter_days == 0 and self.jobs == 0


class AnalysisService:
    """Computes again what readings touched, evaluates, compacts; one process at a time."""

    def __init__(
        self,
        readings: Readings,
        volumes: Volumes,
        registry: Registry,
        figures: Figures,
        state: RunState,
        ledger: Ledger,
        listener: FindingsListener,
        *,
        policy: Policy,
        city: CityTime,
        calendar: Calendar,
        clock: Clock,
        jobs: JobQueue | None = None,
        turn: Turn | None = None,
        metrics: CollectorRegistry | None = None,
        settings: RunSettings | None = None,
    ) -> None:
        self._readings = readings
        self._volumes = volumes
        self._registry = registry
        self._state = state
        self._city = city
        self._clock = clock
        self._settings = settings or RunSettings()
        self._metrics = RunMetrics(metrics or CollectorRegistry())
        self._turn = turn or Alone()
        self._pulse = Pulse(self._turn, self._lose_turn)
        self._recomputation = Recomputation(
            readings, volumes, figures, policy=policy, city=city, pulse=self._pulse
        )
        self._jobs = (
            RecomputeJobs(
                jobs,
                readings,
                registry,
                self._recomputation,
                city=city,
                outages=self._settings.outages,
                rows=self._settings.chunk_readings,
                pulse=self._pulse,
            )
            if jobs
            else None
        )
        self._evaluator = Evaluator(
            Inputs(readings, volumes, registry, figures, ledger, state),
            listener,
            self._metrics,
            policy=policy,
            city=city,
            calendar=calendar,
            outages=self._settings.outages,
            pulse=self._pulse,
        )
        self._evaluated_at: float | None = None
        self._evaluation_took = 0.0
        self._compacted_at = time.monotonic()
        self._changed = True
        self._health: dict[str, Any] = {
            "ready": False,
            "turn": None,
            "backlog_meter_days": None,
            "last_cycle": None,
        }

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; a store that is away is retried for ever.

        While another process has the turn this one stands by, and goes on when that one ends.
        """
        try:
            while not stop.is_set():
                report = self._cycle(stop)
                if report is None or report.idle:
                    stop.wait(self._settings.poll_s)
        finally:
            self._health |= {"ready": False, "turn": None}
            self._metrics.turn.set(0)
            self._turn.release()

    def _cycle(self, stop: threading.Event) -> RunReport | None:
        """A round, tried again while a store is away; None when stopped or standing by."""
        attempts = Retrying(
            retry=retry_if_exception_type(self._settings.outages),
            wait=wait_random_exponential(multiplier=0.5, max=30),
            stop=stop_when_event_set(stop),
            sleep=sleep_using_event(stop),
            before_sleep=lambda retry: self._note_outage(
                retry.outcome.exception() if retry.outcome else None
            ),
            retry_error_callback=lambda _: None,
        )
        return attempts(self._round)

    def _round(self) -> RunReport | None:
        """One cycle if it is our turn; None while it is another's."""
        if not (self.active and self._pulse.holds()) and not self._begin_turn():
            return None
        return self.run_once()

    def _begin_turn(self) -> bool:
        """Take the turn; False when another process has it."""
        if not self._turn.take():
            self._stand_by()
            return False
        if self._jobs:
            self._jobs.release()
        self._health["turn"] = "ours"
        self._metrics.turn.set(1)
        _log.info("this process analyses")
        return True

    def _lose_turn(self) -> None:
        """From here on nothing goes out either: `active` is asked before notices are sent."""
        if self.active:
            _log.warning("the turn to analyse was lost")
        self._health["turn"] = None
        self._metrics.turn.set(0)

    def _stand_by(self) -> None:
        if self._health["turn"] != "standby":
            _log.info("another process analyses, standing by")
        self._pulse.beat()
        self._metrics.turn.set(0)
        self._health |= {"ready": True, "turn": "standby", "error": None}

    def _note_outage(self, error: BaseException | None) -> None:
        self._metrics.outages.inc()
        self._health |= {"ready": False, "error": str(error)}
        _log.warning("a store is away, trying again", error=str(error))

    def run_once(self) -> RunReport:
        """One cycle: a batch of touched days, a job, the evaluation and compaction where due.

        Past days that somebody asked for wait until the touched ones are worked off.
        """
        begin = time.monotonic()
        self._pulse.beat()
        now = self._clock.now()
        batch = self._batch()
        mark, meter_days = self._recompute_touched(now, batch)
        with self._metrics.timed("job"):
            jobs = self._jobs.do_next(now, past=meter_days < batch) if self._jobs else 0
        self._changed = self._changed or bool(meter_days or jobs)
        idle = not meter_days and not jobs
        failed = self._evaluate(now) if self._evaluation_due(idle=idle) else None
        compacted = self._compact(now) if self._compaction_due(now, idle=idle) else 0
        report = RunReport(
            mark=mark,
            meter_days=meter_days,
            jobs=jobs,
            evaluated=failed is not None,
            failed_detectors=tuple(failed or ()),
            compacted=compacted,
        )
        self._note(report, now, time.monotonic() - begin)
        return report

    def health(self) -> dict[str, Any]:
        """Where the analysis stands: mark, backlog (one batch at most), last cycle, durations.

        `ready` says that the last cycle came to its end (no store is away) and that the loop moves;
        also of a process that stands by, whose `turn` says so.
        """
        still_s = self._pulse.age_s()
        moving = still_s < self._settings.stalled_s
        return self._health | {
            "ready": self._health["ready"] and moving,
            "since_last_step_s": round(still_s, 1),
        }

    @property
    def active(self) -> bool:
        """Whether it is this process that analyses, and not one that stands by."""
        return self._health["turn"] == "ours"

    def _note(self, report: RunReport, now: datetime, took: float) -> None:
        self._metrics.last_cycle.set_to_current_time()
        self._health |= {
            "mark": report.mark,
            "backlog_meter_days": report.meter_days,
            "last_cycle": now.isoformat(),
            "last_cycle_s": round(took, 3),
            "ready": True,
            "error": None,
        }
        if report.evaluated:
            self._health |= {
                "last_evaluation": now.isoformat(),
                "last_evaluation_s": round(self._evaluation_took, 3),
                "failed_detectors": list(report.failed_detectors),
            }

    def _recompute_touched(self, now: datetime, batch: int) -> tuple[int, int]:
        """Compute about `batch` meter-days; the mark and how many there were, fewer at the end."""
        mark = (self._state.get(MARK) or {}).get("mark", 0)
        touched = self._readings.touched_days(mark, batch)
        self._metrics.backlog.set(len(touched.days))
        if touched.mark == mark:
            return mark, 0
        if touched.mark < mark:
            _log.warning("the store was set back, its days are computed anew", mark=mark)
        # After the look: a meter is registered before its first reading is loaded.
        known = read_known(self._registry)
        with self._metrics.timed("recompute"):
            spans = plan_spans(touched.days, known.meters, self._settings.chunk_readings)
            zones: list[ZoneSpan] = []
            for span in spans:
                zones += self._recomputation.recompute_span(
                    span, known, now, self._settings.chunk_readings
                )
            self._recomputation.recompute_zones(zones, known, now, self._settings.chunk_readings)
        self._pulse()
        self._state.set(MARK, {"mark": touched.mark})
        self._metrics.meter_days.inc(len(touched.days))
        self._metrics.mark.set(touched.mark)
        _log.info(
            "touched days computed", mark=touched.mark, meter_days=len(touched.days),
            spans=len(spans),
        )  # fmt: skip
        return touched.mark, len(touched.days)

    def _batch(self) -> int:
        """Meter-days that are about one chunk."""
        rows = [rows_a_day(m) for m in self._registry.meters()]
        mean = sum(rows) / len(rows) if rows else 24
        return max(1, int(self._settings.chunk_readings / mean))

    def _evaluation_due(self, *, idle: bool) -> bool:
        """Soon after a change, at least now and then, never most of the time."""
        if self._evaluated_at is None:
            return True
        settings = self._settings
        since = time.monotonic() - self._evaluated_at
        rest = self._evaluation_took * (1 / settings.evaluate_share - 1)
        soon = idle and self._changed
        wait = settings.evaluate_pause_s if soon else settings.evaluate_every_s
        return since >= max(wait, rest)

    def _evaluate(self, now: datetime) -> list[str]:
        begin = time.monotonic()
        with self._metrics.timed("evaluation"):
            self._record_silence(now)
            self._evaluator.record_counts(now)
            failed = self._evaluator.evaluate(now)
        self._evaluated_at = time.monotonic()
        self._evaluation_took = self._evaluated_at - begin
        self._changed = False
        mark = (self._state.get(MARK) or {}).get("mark", 0)
        self._pulse()
        self._state.set(EVALUATED, {"mark": mark, "at": now.isoformat(), "failed": failed})
        _log.info("evaluated", seconds=round(self._evaluation_took, 3), failed=failed)
        return failed

    def _record_silence(self, now: datetime) -> None:
        yesterday = self._city.day_of(now) - timedelta(days=1)
        done = self._day_of_state(SILENCE) or yesterday - timedelta(days=1)
        day = max(done + timedelta(days=1), yesterday - _LONGEST_SILENCE)
        while day <= yesterday:
            self._evaluator.record_silence(day)
            self._pulse()
            self._state.set(SILENCE, {"day": day.isoformat()})
            day += timedelta(days=1)

    def _day_of_state(self, name: str) -> date | None:
        value = self._state.get(name)
        return date.fromisoformat(value["day"]) if value else None

    def _compaction_due(self, now: datetime, *, idle: bool) -> bool:
        """Once a local day when there is nothing else to do; in a backlog now and then."""
        if idle:
            return self._day_of_state(COMPACTED) != self._city.day_of(now)
        return time.monotonic() - self._compacted_at >= self._settings.compact_every_s

    def _compact(self, now: datetime) -> int:
        today = self._city.day_of(now)
        closed = today - timedelta(days=self._settings.keep_hot_days)
        self._pulse()
        with self._metrics.timed("compaction"):
            written = self._readings.compact(closed)
            self._pulse()
            written += self._volumes.compact(closed.replace(day=1))
        self._pulse()
        self._state.set(COMPACTED, {"day": today.isoformat()})
        self._compacted_at = time.monotonic()
        _log.info("compacted", closed_before=closed.isoformat(), written=written)
        return written
