"""Taking a place away for good: its session is unsubscribed, and what the broker kept is loaded."""

import threading
import time

from ingest.service import IngestService
from ingest.until import run_until

_QUIET_S = 5.0
"""After so long without a message the broker keeps none for the session any more."""


def leave(service: IngestService, stop: threading.Event) -> bool:
    """Run the service of a place that subscribes to nothing until nothing comes any more.

    Args:
        service: its intake is a `Stream` that leaves, loads the overflow and puts nothing there.
        stop: ends it before; another time it goes on from there.

    Raises:
        JournalTakenError: a process has the place.
        JournalError: the journal folder can't be used as it is.
    """
    seen, since = 0, time.monotonic()

    def ended() -> bool:
        nonlocal seen, since
        durable, _ = service.progress()
        health = service.health()
        if durable != seen or not health["ready"]:
            seen, since = durable, time.monotonic()
        quiet = time.monotonic() - since > _QUIET_S
        return quiet and service.idle() and bool(health["overflow_loaded"])

    return run_until(ended, service, stop)
