"""Starts the demonstration's processes, streams the city into them, stops it all cleanly."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Thread
from urllib.request import urlopen

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jieshui.broker import open_broker
from jieshui.config import Settings
from jieshui.demo.installation import DemoState, Installation
from jieshui.errors import JieshuiError
from jieshui.supervisor import Supervisor
from simulators.city import City
from simulators.run import BrokerAddress, StreamCounts, stream
from water.clock import Clock

PROCESSES = ("ingest", "analysis", "api")


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
def running(
    installation: Installation, speed: float, port: int | None = None, *, packaged: bool = False
) -> Iterator[Running]:
    """Broker, ingest, analysis and api, started in this order and stopped in reverse."""
    broker = open_broker(installation.folder / "broker", packaged=packaged)
    broker.start()
    supervisor = Supervisor(installation.config, installation.logs)
    try:
        settings = installation.configure(broker, speed, port)
        for name in PROCESSES:
            supervisor.start(name)
        yield Running(
            settings, settings.make_clock(), BrokerAddress("127.0.0.1", broker.port),
            broker.name, supervisor,
        )  # fmt: skip
    finally:
        supervisor.stop()
        broker.stop()


def wait_until_answering(running: Running, stop: Event, patience_s: float = 60) -> None:
    """Return once the dashboard answers.

    Raises:
        JieshuiError: when a process ended or the patience did.
    """
    deadline = time.monotonic() + patience_s
    while not stop.is_set():
        running.supervisor.check()
        with contextlib.suppress(OSError):
            urlopen(f"{running.url}/healthz", timeout=2).close()  # noqa: S310 (our own address)
            return
        if time.monotonic() > deadline:
            raise JieshuiError(f"the dashboard did not answer within {patience_s:.0f} s")
        stop.wait(0.2)


def stream_city(
    city: City, installation: Installation, running: Running, stop: Event,
    *, finish_at: datetime | None = None,
) -> StreamCounts:  # fmt: skip
    """Stream the city with a progress bar; live until `stop`, or up to `finish_at`."""
    with (
        Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("readings"), TimeElapsedColumn(), transient=True,
        ) as bar,
        _watched(running, installation, stop),
    ):  # fmt: skip
        task = bar.add_task("History", total=None)
        return stream(
            city,
            running.address,
            clock=running.clock,
            state_path=installation.suppliers_state,
            stop=stop,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            finish_at=finish_at,
        )


@contextmanager
def _watched(running: Running, installation: Installation, stop: Event) -> Iterator[None]:
    """Stop the stream when a process ends by itself, and write down the clock now and then."""
    failures: list[JieshuiError] = []

    def watch() -> None:
        while not stop.wait(2):
            installation.remember(running.clock.now())
            try:
                running.supervisor.check()
            except JieshuiError as error:
                failures.append(error)
                stop.set()

    thread = Thread(target=watch, name="watch", daemon=True)
    thread.start()
    yield
    if failures:
        raise failures[0]


def introduction(running: Running, state: DemoState) -> list[str]:
    """Where to look and how to log in, line by line (rich markup)."""
    lines = [f"[bold]Dashboard 看板[/]  {running.url}"]
    if state.password:
        lines.append(
            f"[bold]Log in 登录[/]     admin / {state.password}   "
            "(one-time; once you have changed it, your own)"
        )
    for who, path in (("bureau", "users?level=over"), ("supplier", "meters")):
        header = f"Authorization: Bearer {state.keys[who]}"
        lines.append(f"[bold]API as {who}[/]   curl -H '{header}' '{running.url}/api/v1/{path}'")
    lines.append(f"[bold]API 说明[/]        {running.url}/docs")
    lines.append(f"[bold]Broker[/]          {running.broker}, port {running.address.port}")
    return lines
