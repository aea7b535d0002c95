"""`jieshui serve watch`: built from the configuration alone, without a store."""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from threading import Event

import structlog
from prometheus_client import CollectorRegistry

from jieshui.config import Settings
from jieshui.health import HealthPort, ready_addresses
from jieshui.watch.judging import Look
from jieshui.watch.keeping import Memory
from jieshui.watch.looking import Targets, look_at_certificates, look_at_disk
from jieshui.watch.service import Watch
from water.clock import SystemClock

log = structlog.get_logger()


def run_watch(settings: Settings, stop: Event) -> None:
    """Watch the other processes, certificates and the disk; tell people."""
    metrics = CollectorRegistry()
    with _open_watch(settings, metrics) as watch:
        port = HealthPort(settings.watch.host, settings.watch.port, watch.health, metrics)
        port.start()
        try:
            watch.run(stop)
        finally:
            port.stop()


@contextlib.contextmanager
def _open_watch(settings: Settings, metrics: CollectorRegistry) -> Iterator[Watch]:
    asked = settings.watch
    addresses = settings.watch_addresses
    if not addresses:
        log.warning("watch_tells_nobody", say="neither watch.addresses nor notify.bureau is set")
    targets = Targets(_targets(settings), asked.ca_file)

    def look(now: datetime) -> Iterator[Look]:
        yield from targets.look()
        yield from look_at_certificates(certificates_of(settings), asked.warn_days, now)
        yield look_at_disk(settings.store.folder, asked.least_free)

    try:
        yield Watch(
            look,
            addresses,
            Memory(settings.store.folder / "watch.json"),
            # The machine's time, also where a demonstration shows another.
            clock=SystemClock(),
            zone=settings.city_time().zone,
            pause_s=asked.pause_s,
            patience_s=asked.silent_s,
            metrics=metrics,
        )
    finally:
        targets.close()


def _targets(settings: Settings) -> dict[str, str]:
    if settings.watch.targets:
        return settings.watch.targets
    return {name: each for name, each in ready_addresses(settings).items() if name != "watch"}


def certificates_of(settings: Settings) -> tuple[Path, ...]:
    """The files that hold certificates: those of [watch] and those that other tables name."""
    named = [
        *settings.watch.certificates,
        settings.watch.ca_file,
        settings.mqtt.ca_file,
        settings.mqtt.certificate_file,
        settings.influx.ca_file if settings.influx else None,
        settings.sso.ca_file if settings.sso else None,
    ]
    return tuple(dict.fromkeys(path for path in named if path))
