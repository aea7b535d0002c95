"""Journals of this machine that hold something to load and that no process has open."""

from collections.abc import Callable, Iterable
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ingest.settings import JournalSettings
from ingest.workers import find_unread
from water.loading import Position


def list_unread(store: Path, position: Callable[[str], Position]) -> dict[str, str]:
    """Folder → how to bring it in; `store` is the folder in which the journals are."""
    return find_unread(JournalSettings(store / "journal"), position)


class UnreadCollector(Collector):
    """`jieshui_unread_journals`: above 0 for a while where a process starts anew, and no longer.

    Args:
        store: the folder in which the journals are.
        position: how far the store has loaded a journal, by its name.
    """

    def __init__(self, store: Path, position: Callable[[str], Position]) -> None:
        self._store = store
        self._position = position

    def collect(self) -> Iterable[Metric]:
        """Give the present value; nothing while the store is away."""
        try:
            unread = list_unread(self._store, self._position)
        except OSError:
            return
        yield GaugeMetricFamily(
            "jieshui_unread_journals",
            "Journals of this machine with messages to load that no process has open",
            len(unread),
        )
