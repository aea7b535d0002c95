"""Kept figures → baseline, plan status, loss rates → what every detector concludes."""
# pandas annotates itself only in part:
# pyright: reportArgumentType=false, reportReturnType=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import pandas as pd
import structlog

from analytics.flows import detect_continuous_flow, detect_stopped
from analytics.leakage import city_rates, detect_loss_rate
from analytics.nights import add_baseline, detect_night_flow_rise
from analytics.periods import Period, period_of, previous_period
from analytics.plans import compute_plan_status, detect_over_plan
from analytics.quality import compute_arrivals, detect_backward, detect_refused
from analytics.zones import compute_zone_days
from runs.metrics import RunMetrics
from runs.ports import Figures, FindingsListener, Ledger, Readings, Registry, RunState, Volumes
from runs.refusals import counts_before
from water.calendar import Calendar
from water.city_time import CityTime
from water.columns import (
    AT,
    BASELINE_M3_H,
    DAY,
    METER_ID,
    QUALITY,
    READINGS,
    RECEIVED_AT,
    VERDICT,
    ZONE_DAYS,
    ZONE_ID,
    ZONE_NIGHTS,
)
from water.findings import Evaluation
from water.loading import Tally
from water.meters import Meter, MeterRole
from water.policy import Policy

_log = structlog.get_logger()

_NIGHTS = timedelta(days=400)
"""The baseline wants all kept nights of half a year and more."""
_FLOW_DAYS = timedelta(days=130)
"""What the detectors of single meters look back on (continuous flow: 120 days)."""
_PLAN_DAYS = timedelta(days=62)
"""The projection wants 56 days, also just after the turn of the year."""
_LATE_DAYS = timedelta(days=45)
"""So long after its end a period is judged again: its readings still come, late and corrected."""
_ZONE_MEAN_DAYS = timedelta(days=60)
_VERDICT_DAYS = timedelta(days=30)
_METERS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Inputs:
    """The stores that an evaluation reads, and where it writes figures and marks."""

    readings: Readings
    volumes: Volumes
    registry: Registry
    figures: Figures
    ledger: Ledger
    state: RunState


class Evaluator:
    """Runs every detector; one that fails is logged and counted and does not stop the others."""

    def __init__(
        self,
        inputs: Inputs,
        listener: FindingsListener,
        metrics: RunMetrics,
        *,
        policy: Policy,
        city: CityTime,
        calendar: Calendar,
        outages: tuple[type[Exception], ...],
        pulse: Callable[[], None],
    ) -> None:
        self._in = inputs
        self._listener = listener
        self._metrics = metrics
        self._policy = policy
        self._city = city
        self._calendar = calendar
        self._outages = outages
        self._pulse = pulse
        self._kept_tallies: tuple[date | None, Mapping[Tally, int]] = None, {}

    def evaluate(self, now: datetime) -> list[str]:
        """Judge everything as of `now`; the names of the detectors that failed."""
        meters = self._in.registry.meters()
        detectors: dict[str, Callable[[], Iterable[Evaluation]]] = {
            "plans": lambda: self._judge_plans(meters, now),
            "flows": lambda: self._judge_flows(meters, now),
            "nights": lambda: self._judge_nights(meters, now),
            "loss_rate": lambda: self._judge_loss_rate(now),
            "backward": lambda: self._judge_backward(meters, now),
            "refused": lambda: self._judge_refused(now),
        }
        return [name for name, detect in detectors.items() if not self._run(name, detect)]

    def _run(self, name: str, detect: Callable[[], Iterable[Evaluation]]) -> bool:
        self._pulse()
        try:
            with self._metrics.timed(name):
                evaluations = list(detect())
        except self._outages:
            raise
        except Exception:  # noqa: BLE001 (a bug in one detector must not silence the others)
            _log.exception("detector failed", detector=name)
            self._metrics.detector_failures.labels(name).inc()
            return False
        for evaluation in evaluations:
            self._metrics.findings.labels(evaluation.kind.value).set(len(evaluation.findings))
            self._pulse()
            self._listener.handle(evaluation)
        return True

    def _judge_plans(self, meters: list[Meter], now: datetime) -> Iterable[Evaluation]:
        today, length = self._city.day_of(now), self._policy.assessment_period
        period = period_of(today, length)
        judged = self._judge_period(period, meters, now, keep=True)
        before = previous_period(period, length)
        if today >= before.end + _LATE_DAYS:
            return judged
        # A year has one row of plan status: that of the newest of its periods.
        closed = self._judge_period(before, meters, now, keep=before.first.year != today.year)
        return [_together(*pair) for pair in zip(judged, closed, strict=True)]

    def _judge_period(
        self, period: Period, meters: list[Meter], now: datetime, *, keep: bool
    ) -> tuple[Evaluation, Evaluation]:
        plans = self._in.registry.plans(period.first.year)
        planned = {plan.user_id for plan in plans}
        ours = [m for m in meters if m.role is MeterRole.CUSTOMER and m.user_id in planned]
        last = min(self._city.day_of(now), period.end)
        status = compute_plan_status(
            plans,
            self._in.volumes.load_daily(
                [m.id for m in ours], min(period.first, last - _PLAN_DAYS), last
            ),
            ours,
            calendar=self._calendar,
            city=self._city,
            policy=self._policy,
            now=now,
            period=period,
        )
        if keep:
            self._pulse()
            self._in.figures.save_plan_status(status)
        return detect_over_plan(
            status, policy=self._policy, city=self._city, now=now, period=period
        )

    def _judge_flows(self, meters: list[Meter], now: datetime) -> Iterable[Evaluation]:
        today = self._city.day_of(now)
        daily = self._in.volumes.load_daily(None, today - _FLOW_DAYS, today)
        newest = self._in.readings.newest()
        continuous = detect_continuous_flow(
            daily,
            meters,
            calendar=self._calendar,
            city=self._city,
            policy=self._policy,
            now=now,
        )
        stopped = detect_stopped(
            daily,
            newest,
            meters,
            calendar=self._calendar,
            city=self._city,
            policy=self._policy,
            now=now,
        )
        return continuous, stopped

    def _judge_nights(self, meters: list[Meter], now: datetime) -> Iterable[Evaluation]:
        today = self._city.day_of(now)
        nights = self._in.figures.load_zone_nights(today - _NIGHTS, today)[list(ZONE_NIGHTS)]
        zoned = [m for m in meters if m.zone_id]
        days = self._zone_days(zoned, today - _ZONE_MEAN_DAYS, today)
        works = self._in.registry.works()
        judged = add_baseline(nights, days, works, policy=self._policy, city=self._city)
        self._pulse()
        self._in.figures.save_zone_nights(_changed(nights, judged))
        return [
            detect_night_flow_rise(
                judged, days, works, policy=self._policy, city=self._city, now=now
            )
        ]

    def _zone_days(self, meters: list[Meter], first: date, last: date) -> pd.DataFrame:
        daily = self._in.volumes.load_daily([m.id for m in meters], first, last)
        zones = self._in.registry.zones()
        return compute_zone_days(daily, meters, self._city, zones)[list(ZONE_DAYS)]

    def _judge_loss_rate(self, now: datetime) -> Iterable[Evaluation]:
        returns = self._in.registry.monthly_returns()
        rates = city_rates(returns, policy=self._policy, now=now, city=self._city)
        self._pulse()
        self._in.figures.save_city_rates(rates)
        return [detect_loss_rate(rates, policy=self._policy, now=now)]

    def _judge_backward(self, meters: list[Meter], now: datetime) -> Iterable[Evaluation]:
        verdicts = self._in.figures.load_verdicts(now - _VERDICT_DAYS, now)
        heard = set(self._in.readings.newest()[METER_ID])
        checked = [m for m in meters if m.id in heard]
        return [detect_backward(verdicts, checked, now=now)]

    def _judge_refused(self, now: datetime) -> Iterable[Evaluation]:
        counts = self._in.ledger.refused_counts()
        self._pulse()
        return [detect_refused(counts, counts_before(self._in.state, counts, now), now=now)]

    def record_silence(self, day: date) -> None:
        """Say of the meters that were silent on a closed local day that nothing arrived.

        The others' arrivals are computed with their readings.
        """
        newest = self._in.readings.newest()
        heard = set(newest.loc[newest[AT] >= self._city.day_start(day), METER_ID])
        silent = [m for m in self._in.registry.meters() if m.id not in heard]
        for i in range(0, len(silent), _METERS_AT_ONCE):
            part = silent[i : i + _METERS_AT_ONCE]
            arrivals = compute_arrivals(_no_readings(), part, day, day, self._city)
            self._pulse()
            self._in.figures.save_arrivals(arrivals)

    def record_counts(self, now: datetime) -> None:
        """Keep what ingest's counts have come to today: differences of days are a window's."""
        day, tallies = self._city.day_of(now), dict(self._in.ledger.tallies())
        kept_day, kept = self._kept_tallies
        changed = {t: n for t, n in tallies.items() if day != kept_day or kept.get(t) != n}
        # A count that came back to 0 is told no more.
        changed |= dict.fromkeys(kept.keys() - tallies.keys(), 0)
        if changed:
            self._pulse()
            self._in.figures.save_tallies(day, changed)
        self._kept_tallies = day, tallies


def _together(one: Evaluation, other: Evaluation) -> Evaluation:
    """Two evaluations of one kind as one."""
    return replace(one, judged=one.judged | other.judged, findings=(*one.findings, *other.findings))


def _changed(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The nights whose baseline is not what was kept."""
    key = [ZONE_ID, DAY]
    kept = before.set_index(key)[BASELINE_M3_H].reindex(pd.MultiIndex.from_frame(after[key]))
    old, new = kept.to_numpy(dtype="float64"), after[BASELINE_M3_H].to_numpy(dtype="float64")
    same = (old == new) | (pd.isna(old) & pd.isna(new))
    return after[~same].reset_index(drop=True)


def _no_readings() -> pd.DataFrame:
    """A checked frame without a row."""
    kinds = dict.fromkeys((*READINGS, VERDICT), "float64")
    kinds |= {METER_ID: "str", VERDICT: "str", QUALITY: "int64"}
    kinds |= dict.fromkeys((AT, RECEIVED_AT), "datetime64[s, UTC]")
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
