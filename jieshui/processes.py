"""What each process of `jieshui serve` runs until it is told to stop."""

import gc
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread

import structlog
import uvicorn
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from alerts.delivery import Delivery
from jieshui.config import Settings
from jieshui.door import open_door
from jieshui.errors import JieshuiError
from jieshui.health import HealthPort
from jieshui.ingest_wiring import build_ingest
from jieshui.listening import listen
from jieshui.unread import UnreadCollector
from jieshui.unsettled import UnsettledCollector
from jieshui.wiring import (
    Stores,
    build_analysis,
    build_api,
    build_delivery,
    open_stores,
)

log = structlog.get_logger()

DELIVERY_PAUSE_S = 5.0
_COLLECT_S = 60.0


def run_ingest(settings: Settings, stop: Event) -> None:
    """Receive, journal, acknowledge, load."""
    metrics = CollectorRegistry()
    spare_the_collector(stop)
    with open_stores(settings) as stores:
        metrics.register(UnreadCollector(settings.store.folder, stores.readings.position))
        service = build_ingest(settings, stores, metrics)
        port = HealthPort(settings.ingest.host, settings.ingest.port, service.health, metrics)
        port.start()
        try:
            service.run(stop)
        finally:
            port.stop()


def spare_the_collector(stop: Event) -> None:
    """Let the garbage collector look for cycles once a minute, not every 700 objects.

    Loads make hundreds of thousands of tuples, which reference counts alone free, and a backlog
    has more of them waiting. Looking through them, and every now and then through all that is
    imported, took a third of the CPU time. Two million bound what a minute can bring.
    """
    gc.freeze()
    gc.set_threshold(2_000_000)
    Thread(target=_collect, args=(stop,), name="collector", daemon=True).start()


def _collect(stop: Event) -> None:
    while not stop.wait(_COLLECT_S):
        gc.collect()


def run_analysis(settings: Settings, stop: Event) -> None:
    """Compute, find, alert; notices are delivered in a thread of their own."""
    metrics = CollectorRegistry()
    with open_stores(settings) as stores:
        metrics.register(UnsettledCollector(stores.engine))
        service = build_analysis(settings, stores, metrics)
        delivery = DeliveryLoop(
            build_delivery(settings, stores), stop, our_turn=lambda: service.active
        )
        port = HealthPort(
            settings.analysis.host,
            settings.analysis.port,
            lambda: service.health() | delivery.health(),
            metrics,
        )
        port.start()
        delivery.start()
        try:
            service.run(stop)
        finally:
            stop.set()
            delivery.join()
            port.stop()


class DeliveryLoop:
    """Sends what is due until `stop`; an outage is waited out, a bug stops the process.

    Only while it is our turn: a process that stands by would send everything a second time.
    """

    def __init__(
        self,
        delivery: Delivery,
        stop: Event,
        *,
        our_turn: Callable[[], bool],
        pause_s: float = DELIVERY_PAUSE_S,
    ) -> None:
        self._delivery = delivery
        self._stop = stop
        self._our_turn = our_turn
        self._pause_s = pause_s
        self._trouble: str | None = None
        self._crash: Exception | None = None
        self._thread = Thread(target=self._run, name="delivery")

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end and pass on what ended it.

        Raises:
            Exception: the bug that the loop met.
        """
        self._thread.join()
        if self._crash is not None:
            raise self._crash

    def health(self) -> dict[str, object]:
        """Whether notices go out."""
        return {"delivery": "running" if self._thread.is_alive() else "ended",
                "delivery_trouble": self._trouble}  # fmt: skip

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s):
            if not self._our_turn():
                continue
            try:
                self._delivery.deliver_due()
                self._trouble = None
            except (OSError, OperationalError) as error:
                self._trouble = str(error)
                log.warning("delivery_waits", error=str(error))
            except Exception as error:
                log.exception("delivery_failed")
                self._crash = error
                self._stop.set()


def run_api(settings: Settings, stop: Event) -> None:
    """Answer HTTP until told to stop.

    Raises:
        JieshuiError: the port can't be listened on.
    """
    listener = listen("api.port", settings.api.host, settings.api.port)
    metrics = CollectorRegistry()
    with open_stores(settings) as stores, open_door(settings, stores, metrics, stop) as door:
        checks = _checks(stores) | ({"door": door.require_open} if door else {})
        app = build_api(settings, stores, metrics, checks, door)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3)
        )
        thread = Thread(target=server.run, args=([listener],), name="http")
        thread.start()
        log.info("api_listens", host=settings.api.host, port=settings.api.port)
        while thread.is_alive() and not stop.wait(0.5):
            pass
        ended_by_itself = not stop.is_set()
        server.should_exit = True
        thread.join()
    if ended_by_itself:
        raise JieshuiError("the HTTP server ended by itself; its log says why")


def _checks(stores: Stores) -> dict[str, Callable[[], None]]:
    def registry() -> None:
        with stores.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def readings() -> None:
        # One second of no meter: the store must answer, and has next to nothing to look for.
        now = stores.clock.now()
        stores.readings.load_page("", now, now + timedelta(seconds=1), after=None, limit=1)

    return {"registry": registry, "readings": readings}
