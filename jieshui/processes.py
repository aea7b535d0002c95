"""What each process of `jieshui serve` runs until it is told to stop."""

from collections.abc import Callable
from threading import Event, Thread

import structlog
import uvicorn
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from jieshui.config import Settings
from jieshui.health import HealthPort
from jieshui.wiring import (
    Stores,
    build_analysis,
    build_api,
    build_delivery,
    build_ingest,
    open_stores,
)

log = structlog.get_logger()

_DELIVERY_PAUSE_S = 5


def run_ingest(settings: Settings, stop: Event) -> None:
    """Receive, journal, acknowledge, load."""
    metrics = CollectorRegistry()
    with open_stores(settings) as stores:
        service = build_ingest(settings, stores, metrics)
        port = HealthPort(settings.ingest.port, service.health, metrics)
        port.start()
        try:
            service.run(stop)
        finally:
            port.stop()


def run_analysis(settings: Settings, stop: Event) -> None:
    """Compute, find, alert; notices are delivered in a thread of their own."""
    metrics = CollectorRegistry()
    with open_stores(settings) as stores:
        service = build_analysis(settings, stores, metrics)
        delivery = build_delivery(settings, stores)
        port = HealthPort(settings.analysis.port, service.health, metrics)
        port.start()

        def deliver() -> None:
            while not stop.wait(_DELIVERY_PAUSE_S):
                delivery.deliver_due()

        thread = Thread(target=deliver, name="delivery")
        thread.start()
        try:
            service.run(stop)
        finally:
            stop.set()
            thread.join()
            port.stop()


def run_api(settings: Settings, stop: Event) -> None:
    """Answer HTTP until told to stop."""
    with open_stores(settings) as stores:
        app = build_api(settings, stores, CollectorRegistry(), _checks(stores))
        server = uvicorn.Server(
            uvicorn.Config(
                app, host=settings.api.host, port=settings.api.port, log_level="warning",
                timeout_graceful_shutdown=3,
            )
        )  # fmt: skip
        thread = Thread(target=server.run, name="http")
        thread.start()
        log.info("api_listens", host=settings.api.host, port=settings.api.port)
        while thread.is_alive() and not stop.wait(0.5):
            pass
        server.should_exit = True
        thread.join()


def _checks(stores: Stores) -> dict[str, Callable[[], None]]:
    def registry() -> None:
        with stores.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def readings() -> None:
        stores.readings.tallies()

    return {"registry": registry, "readings": readings}
