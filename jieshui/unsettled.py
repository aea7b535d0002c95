"""What loads left unsettled, for /metrics."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from storage.registry.ledger import Ledger


class UnsettledCollector(Collector):
    """`jieshui_unsettled_readings`: stays above 0 where a dead load does not come back.

    Args:
        engine: the registry database, where the ledger is.
    """

    def __init__(self, engine: Engine) -> None:
        self._ledger = Ledger(engine)

    def collect(self) -> Iterable[Metric]:
        """Give the present value; nothing while the database is away."""
        try:
            readings = self._ledger.left_behind().readings
        except OSError:
            return
        yield GaugeMetricFamily(
            "jieshui_unsettled_readings",
            "Readings that a load under way or a dead one wrote, and nobody has counted",
            readings,
        )
