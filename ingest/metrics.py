"""What ingest shows on /metrics."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)

from water.loading import Tally

_SYNC_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)


class IngestMetrics:
    """Registers itself: counts from the sums, gauges from the health, the syncs as they happen.

    Args:
        registry: where to register.
        tallies: the counts, `received` being the journal's own.
        gauges: name → value; None is left out.
        worker: the name of this worker's journal.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        tallies: Callable[[], Mapping[Tally, int]],
        gauges: Callable[[], Mapping[str, float | None]],
        worker: Callable[[], str],
    ) -> None:
        self._tallies = tallies
        self._gauges = gauges
        self._worker = worker
        self._syncs = Histogram(
            "jieshui_ingest_fsync_seconds",
            "Seconds that making a group of messages durable took",
            buckets=_SYNC_BUCKETS,
            registry=registry,
        )
        registry.register(self)

    def observe_sync(self, seconds: float) -> None:
        """Count one group commit."""
        self._syncs.observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """Give the present values (called by prometheus_client)."""
        labels = ("supplier", "account", "reason")
        counters = {
            ledger: CounterMetricFamily(
                f"jieshui_ingest_{ledger}",
                f"{ledger.capitalize()} by account of the sum and reason",
                labels=labels,
            )
            for ledger in ("messages", "readings")
        }
        for tally, count in self._tallies().items():
            counters[tally.ledger].add_metric((tally.supplier, tally.account, tally.reason), count)
        yield from counters.values()
        named = "Always 1: which of several workers this is, by the name of its journal"
        yield InfoMetricFamily("jieshui_ingest_worker", named, {"journal": self._worker()})
        for name, value in self._gauges().items():
            if value is not None:
                yield GaugeMetricFamily(f"jieshui_ingest_{name}", _GAUGES[name], value)


_GAUGES = {
    "connected": "1 while the broker holds a connection with us",
    "sessions_lost": "how often the broker had forgotten our session when we came back",
    "protocol_errors": "how often the broker sent what it must not send",
    "clock_jumps": "how often the machine's clock was set by 30 s or more while messages arrived",
    "silent": "1 while connected and nothing has arrived for longer than usual",
    "silent_seconds": "Seconds since the last message that was no retained one, or the start",
    "journal_unwritable": "1 while the journal can't be written and nothing is acknowledged",
    "journal_waiting": "Messages that are durable and not yet loaded",
    "overflow_waiting": "Messages of suppliers that flood, durable apart and not yet loaded",
    "overflow_suppliers": "Suppliers of which messages wait apart",
    "lag_seconds": "Age of the oldest message that is not yet loaded",
    "last_message_timestamp_seconds": "When the newest message arrived",
    "quarantine_rows": "Refused readings held in quarantine",
    "journal_damaged_bytes": "Bytes of the journal that were skipped since the start",
    "journal_segments": "Segments of the journal that are kept",
    "journal_segments_compressed": "Segments of the journal that are compressed",
    "journal_bytes": "Bytes on the disk that the segments of the journal take",
    "receipts_connected": "1 while the broker holds the connection for receipts",
    "receipts_dropped": "Receipts that were not published since the start",
}
