"""An import from its beginning to its end: the service of its journal, until all is loaded."""

import threading
from collections.abc import Callable

from ingest.history.intake import History
from ingest.service import IngestService
from ingest.until import run_until


def run_import(
    service: IngestService,
    history: History,
    stop: threading.Event,
    tell: Callable[[], None] = lambda: None,
) -> bool:
    """Write, load, do the jobs that wait for this journal; whether it came to its end.

    Args:
        service: of the import's journal.
        history: its intake.
        stop: ends it before; the same import goes on from there another time.
        tell: called every now and then meanwhile.

    Raises:
        JournalTakenError: another import is running.
        JournalError: the journal folder can't be used as it is.
        HistoryError: the file can't be read to its end.
    """
    return run_until(lambda: history.written.is_set() and service.idle(), service, stop, tell)
