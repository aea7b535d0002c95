"""A service that runs until something has come about, in a thread beside the one that waits."""

import threading
from collections.abc import Callable

from ingest.service import IngestService

_LOOK_S = 0.1


def run_until(
    ended: Callable[[], bool],
    service: IngestService,
    stop: threading.Event,
    tell: Callable[[], None] = lambda: None,
) -> bool:
    """Run a service until `ended`; whether it came to that.

    Args:
        ended: asked every now and then.
        service: what runs meanwhile.
        stop: ends it before.
        tell: called every now and then meanwhile.

    Raises:
        JournalTakenError: another process has its journal.
        JournalError: the journal folder can't be used as it is.
    """
    crash: list[BaseException] = []

    def run() -> None:
        try:
            service.run(stop)
        except BaseException as error:  # noqa: BLE001 (raised again below)
            crash.append(error)

    thread = threading.Thread(target=run, name="ingest-until")
    thread.start()
    came = False
    while thread.is_alive() and not came:
        thread.join(_LOOK_S)
        came = ended()
        tell()
    stop.set()
    thread.join()
    if crash:
        raise crash[0]
    return came
