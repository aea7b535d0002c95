"""What the analysis process counts for /metrics."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class RunMetrics:
    """Counters and gauges of the analysis process, all `jieshui_runs_…`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.meter_days = Counter(
            "jieshui_runs_meter_days", "Touched meter-days computed again", registry=registry
        )
        self.mark = Gauge("jieshui_runs_mark", "Loads looked at so far", registry=registry)
        self.backlog = Gauge(
            "jieshui_runs_backlog_meter_days",
            "Touched meter-days of the last look (at most one batch)",
            registry=registry,
        )
        self.seconds = Histogram(
            "jieshui_runs_step_seconds",
            "Seconds that a step took",
            ["step"],
            buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 1800),
            registry=registry,
        )
        self.findings = Gauge(
            "jieshui_runs_findings", "Findings of the last evaluation", ["kind"], registry=registry
        )
        self.detector_failures = Counter(
            "jieshui_runs_detector_failures", "Detectors that failed", ["detector"],
            registry=registry,
        )  # fmt: skip
        self.outages = Counter(
            "jieshui_runs_outages", "Cycles broken off because a store was away", registry=registry
        )
        self.turn = Gauge(
            "jieshui_runs_turn", "1 while this process analyses, 0 while it stands by",
            registry=registry,
        )  # fmt: skip
        self.last_cycle = Gauge(
            "jieshui_runs_last_cycle_timestamp_seconds",
            "When the last cycle ended, by the machine's clock",
            registry=registry,
        )

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Measure a step."""
        begin = time.monotonic()
        yield
        self.seconds.labels(step).observe(time.monotonic() - begin)
