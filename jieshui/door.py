"""The door for pushed readings, open as long as its API process runs."""

from collections.abc import Generator
from contextlib import contextmanager
from threading import Event, Thread

import structlog
from prometheus_client import CollectorRegistry

from ingest.door import Door
from ingest.errors import JournalError
from ingest.service import IngestService
from jieshui.config import Settings
from jieshui.ingest_wiring import build_door
from jieshui.wiring import Stores

log = structlog.get_logger()


@contextmanager
def open_door(
    settings: Settings, stores: Stores, metrics: CollectorRegistry, stop: Event
) -> Generator[Door | None]:
    """A door that takes readings once its journal is open; None where pushing is off.

    A journal that can't be used leaves the door shut, which /readyz says, and nothing else: the
    API still answers. A bug sets `stop`, and is raised on the way out.
    """
    if not settings.api.push:
        yield None
        return
    door, service = build_door(settings, stores, metrics)
    loop = _DoorLoop(door, service, stop)
    loop.start()
    try:
        yield door
    finally:
        loop.end()


class _DoorLoop:
    """Runs the door's service in a thread."""

    def __init__(self, door: Door, service: IngestService, stop: Event) -> None:
        self._door = door
        self._service = service
        self._stop = stop
        self._ended = Event()
        self._crash: Exception | None = None
        self._thread = Thread(target=self._run, name="door")

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        if self._crash is not None:
            raise self._crash

    def _run(self) -> None:
        try:
            self._service.run(self._ended)
        except JournalError as error:
            log.error("door stays shut", error=str(error))  # noqa: TRY400 (no bug: it says enough)
            self._door.shut(str(error))
        except Exception as error:  # noqa: BLE001 (raised by `end`)
            self._crash = error
            self._stop.set()
