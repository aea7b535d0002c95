"""An import from its beginning to its end: the service of its journal, until all is loaded."""

import threading
from collections.abc import Callable

from ingest.history.intake import History
from ingest.service import IngestService

_LOOK_S = 0.1


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
    crash: list[BaseException] = []

    def run() -> None:
        try:
            service.run(stop)
        except BaseException as error:  # noqa: BLE001 (raised again below)
            crash.append(error)

    thread = threading.Thread(target=run, name="import")
    thread.start()
    ended = False
    while thread.is_alive() and not ended:
        thread.join(_LOOK_S)
        ended = history.written.is_set() and service.idle()
        tell()
    stop.set()
    thread.join()
    if crash:
        raise crash[0]
    return ended
