"""Jobs that ask for days to be computed again: by a person, or by an import that changed them."""
# pandas annotates itself only in part:
# pyright: reportArgumentType=false, reportReturnType=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

import pandas as pd
import structlog

from analytics.nesting import zones_around, zones_inside
from runs.edits import Edits, days_edited
from runs.ports import JobQueue, Readings, Registry
from runs.recompute import Known, Recomputation, ZoneSpan, read_known
from runs.spans import plan_days, plan_spans
from water.city_time import CityTime
from water.columns import AT, METER_ID
from water.jobs import RECOMPUTE, RECOMPUTE_PAST, Job
from water.meters import Meter

_log = structlog.get_logger()

_KINDS = (RECOMPUTE, RECOMPUTE_PAST)
"""In the order of their turns. Arguments, all optional: meter_id or meter_ids, zone_ids, first,
last (local days, ISO). Without meters and zones it is of every meter, without a day as far as
readings are stored."""

_BEFORE_ALL = date(1970, 1, 2)
_METERS_AT_ONCE = 100
"""Meters whose first reading is looked for in one query: it may read all that they have."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The meters, zones and days of a job."""

    meters: list[Meter]
    zone_ids: frozenset[str]
    first: date
    last: date


class RecomputeJobs:
    """Does one job after the other; repeating one is harmless.

    `pulse` is called before a job is taken and before it ends; what it raises ends the work.
    """

    def __init__(
        self,
        queue: JobQueue,
        readings: Readings,
        registry: Registry,
        recomputation: Recomputation,
        *,
        city: CityTime,
        outages: tuple[type[Exception], ...],
        rows: int,
        pulse: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._readings = readings
        self._registry = registry
        self._recomputation = recomputation
        self._city = city
        self._outages = outages
        self._rows = rows
        self._pulse = pulse
        self._held: Job | None = None

    def release(self) -> None:
        """Let jobs that a dead process left running wait again, and one that we held."""
        self._held = None
        self._queue.release(_KINDS)

    def do_next(self, now: datetime, *, past: bool) -> int:
        """Do the oldest job; how many were done. Only with `past` a job of RECOMPUTE_PAST is begun.

        When a store is away the job is held, and done by the next call.
        """
        if self._held is None:
            self._held = self._take(_KINDS if past else (RECOMPUTE,))
        if self._held is None:
            return 0
        job = self._held
        try:
            done = self._do(job, now)
        except self._outages:
            raise
        except Exception as error:  # noqa: BLE001 (a job that fails must not come again for ever)
            _log.exception("job failed", job=job.id)
            reason = f"{type(error).__name__}: {error}"
            self._pulse()
            self._queue.finish(job.id, {"error": reason}, failed=True)
        else:
            self._pulse()
            self._queue.finish(job.id, done)
        self._held = None
        return 1

    def _take(self, kinds: Sequence[str]) -> Job | None:
        for kind in kinds:
            self._pulse()
            if job := self._queue.take([kind]):
                return job
        return None

    def _do(self, job: Job, now: datetime) -> dict[str, int]:
        known = read_known(self._registry)
        asked = _read(job, known, self._city.day_of(now))
        around = zones_inside(zones_around(asked.zone_ids, known.zones), known.zones)
        lying = [m for m in known.meters.values() if m.zone_id in around]
        stored = self._stored_days([*asked.meters, *lying], asked, known.edits)
        days = [
            plan_days([meter], *stored[meter.id]) for meter in asked.meters if meter.id in stored
        ]
        zones = _span_of(asked.zone_ids, (stored[m.id] for m in lying if m.id in stored))
        spans = plan_spans(pd.concat(days), known.meters, self._rows) if days else []
        for span in spans:
            zones += self._recomputation.recompute_span(span, known, now, self._rows)
        self._recomputation.recompute_zones(zones, known, now, self._rows)
        return {"meters": len(asked.meters), "zones": len(asked.zone_ids), "spans": len(spans)}

    def _stored_days(
        self, meters: Collection[Meter], asked: _Asked, edits: Edits
    ) -> dict[str, tuple[date, date]]:
        """The days asked for between each meter's first and newest reading, edits included."""
        ids = sorted({meter.id for meter in meters})
        start = self._city.day_start(max(asked.first, _BEFORE_ALL))
        told = {m: list(days_edited(edits[m], self._city)) for m in ids if m in edits}
        newest = self._readings.newest(ids)
        for meter_id, at in zip(newest[METER_ID], newest[AT], strict=True):
            told.setdefault(str(meter_id), []).append(self._city.day_of(at))
        for i in range(0, len(ids), _METERS_AT_ONCE):
            some = ids[i : i + _METERS_AT_ONCE]
            oldest = self._readings.load_readings(some, start, start, neighbours=True)
            for meter_id, at in oldest.groupby(METER_ID)[AT].min().items():
                told[str(meter_id)].append(self._city.day_of(at))
        return {
            meter_id: (max(asked.first, min(days)), min(asked.last, max(days)))
            for meter_id, days in told.items()
            if asked.first <= max(days) and min(days) <= asked.last
        }


def _read(job: Job, known: Known, today: date) -> _Asked:
    """The meters, zones and days of a job.

    Raises:
        KeyError: a meter is unknown.
        ValueError: a day is no ISO day.
    """
    arguments = job.arguments
    meter_ids = cast("list[str]", arguments.get("meter_ids") or [])
    if arguments.get("meter_id"):
        meter_ids = [*meter_ids, str(arguments["meter_id"])]
    zone_ids = frozenset(cast("list[str]", arguments.get("zone_ids") or []))
    every = not meter_ids and not zone_ids
    return _Asked(
        list(known.meters.values()) if every else [known.meters[m] for m in meter_ids],
        zone_ids,
        date.fromisoformat(str(arguments.get("first") or _BEFORE_ALL)),
        date.fromisoformat(str(arguments.get("last") or today)),
    )


def _span_of(zone_ids: frozenset[str], stored: Iterable[tuple[date, date]]) -> list[ZoneSpan]:
    days = list(stored)
    if not days:
        return []
    return [ZoneSpan(zone_ids, min(first for first, _ in days), max(last for _, last in days))]
