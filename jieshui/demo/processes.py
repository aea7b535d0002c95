"""The demonstration's processes: servers or embedded parts, ingest, analysis and api."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from urllib.request import urlopen

from jieshui.broker import find_mosquitto, open_broker
from jieshui.config import Settings
from jieshui.demo.installation import Installation
from jieshui.errors import JieshuiError
from jieshui.supervisor import Supervisor
from simulators.publish import BrokerAddress
from water.clock import Clock


@dataclass(frozen=True)
class Running:
    """A demonstration whose processes run."""

    settings: Settings
    clock: Clock
    address: BrokerAddress
    broker: str
    supervisor: Supervisor

    @property
    def url(self) -> str:
        """Where the dashboard is."""
        return f"http://127.0.0.1:{self.settings.api.port}"


@contextmanager
def stored(installation: Installation, *, servers: bool) -> Iterator[str]:
    """Where an installation keeps things, ready before it is created; what to call it.

    With `servers`, InfluxDB and PostgreSQL run as programs in its folder; else nothing runs.

    Raises:
        JieshuiError: a program is missing, or doesn't start.
    """
    installation.claim()
    if not servers:
        yield "embedded stores"
        return
    from jieshui.demo.servers import InfluxDB, PostgreSQL, find_programs  # noqa: PLC0415 (an extra)

    if find_mosquitto() is None:
        raise JieshuiError("Mosquitto is not on this machine: make servers")
    influxd, postgresql_folder = find_programs()
    influxdb = InfluxDB(influxd, installation.folder / "influxdb")
    postgresql = PostgreSQL(postgresql_folder, installation.folder / "postgresql")
    try:
        influxdb.start()
        postgresql.start()
        installation.stores = {
            "store": {"folder": "store", "registry_url": postgresql.url},
            "influx": {
                "url": influxdb.url,
                "organisation": influxdb.organisation,
                "bucket": influxdb.bucket,
                "token_file": str(influxdb.token_file),
            },
        }
        yield f"InfluxDB ({influxd}) and PostgreSQL ({postgresql_folder})"
    finally:
        postgresql.stop()
        influxdb.stop()


@contextmanager
def running(
    installation: Installation, speed: float, port: int | None = None, *, packaged: bool = False
) -> Iterator[Running]:
    """Broker, ingest, analysis and api, started in this order and stopped in reverse."""
    broker = open_broker(installation.folder / "broker", packaged=packaged)
    broker.start()
    supervisor = Supervisor(installation.config, installation.logs)
    try:
        settings = installation.configure(broker, speed, port)
        for name in ("ingest", "analysis", "api"):
            supervisor.start(name)
        yield Running(
            settings, settings.make_clock(), BrokerAddress("127.0.0.1", broker.port),
            broker.name, supervisor,
        )  # fmt: skip
    finally:
        supervisor.stop()
        broker.stop()


def wait_until_answering(demonstration: Running, stop: Event, patience_s: float = 120) -> None:
    """Return once the dashboard answers.

    Raises:
        JieshuiError: when a process ended or the patience did.
    """
    deadline = time.monotonic() + patience_s
    while not stop.is_set():
        demonstration.supervisor.check()
        with contextlib.suppress(OSError):
            urlopen(f"{demonstration.url}/healthz", timeout=2).close()  # noqa: S310 (our own)
            return
        if time.monotonic() > deadline:
            raise JieshuiError(f"the dashboard did not answer within {patience_s:.0f} s")
        stop.wait(0.2)
