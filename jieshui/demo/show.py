"""What `jieshui demo` does: build or reopen the city, start, stream, show or check."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Thread

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jieshui.demo.check import Checked, check
from jieshui.demo.installation import UNTIL, CitySize, DemoState, Installation
from jieshui.demo.processes import Running, running, stored, wait_until_answering
from jieshui.errors import JieshuiError
from simulators.city import City
from simulators.run import StreamCounts, stream


def show(
    installation: Installation, size: CitySize, speed: float, port: int | None, stop: Event,
    *, fresh: bool, packaged: bool, servers: bool,
) -> None:  # fmt: skip
    """Stream history, then live, until `stop`."""
    out = Console(soft_wrap=True, highlight=False)
    if fresh or not installation.exists:
        installation.remove()
    elif difference := _differs(installation.state(), size, servers=servers):
        raise JieshuiError(
            f"{installation.folder} shows {difference}; "
            "--fresh forgets it, --folder takes another place"
        )
    with stored(installation, servers=servers) as stores:
        city = _open_city(installation, size, out, servers=servers)
        with running(installation, speed, port, packaged=packaged) as demonstration:
            wait_until_answering(demonstration, stop)
            for line in _introduction(demonstration, installation.state()):
                out.print(line)
            out.print(f"Kept in {stores}.")
            out.print("History streams in; Ctrl-C stops everything.")
            _stream(city, installation, demonstration, stop)
            installation.remember(demonstration.clock.now())
            out.print("Stopping.")


def run_check(
    installation: Installation, size: CitySize, stop: Event, *, packaged: bool, servers: bool
) -> Checked:
    """Stream the history, wait for the analysis, compare; the folder goes when all holds.

    Raises:
        JieshuiError: when it was stopped, or a process ended by itself.
    """
    out = Console(stderr=True, soft_wrap=True, highlight=False)
    began = time.monotonic()
    installation.remove()
    # The clock stands still, so that what is checked doesn't depend on the machine's speed.
    with stored(installation, servers=servers) as stores:
        city = _open_city(installation, size, out, servers=servers)
        with running(installation, 0, packaged=packaged) as demonstration:
            wait_until_answering(demonstration, stop)
            out.print(f"Streaming through {demonstration.broker} into {stores}")
            out.print(f"Dashboard {demonstration.url}")
            streamed = _stream(city, installation, demonstration, stop, finish_at=UNTIL)
            seconds = time.monotonic() - began
            out.print(f"Streamed {streamed.readings} readings by {seconds:.0f} s.")
            checked = check(installation, demonstration, streamed, stop)
    out.print(f"Checked after {time.monotonic() - began:.0f} s.")
    if checked.passed:
        installation.remove()
    else:
        out.print(f"Everything of this run is kept in {installation.folder}.")
    return checked


def _differs(state: DemoState, size: CitySize, *, servers: bool) -> str:
    """What an earlier demonstration shows that this one would not; "" = the same."""
    if state.seed != size.seed:
        return f"the city of seed {state.seed}"
    if state.servers != servers:
        return "a city on servers" if state.servers else "a city on embedded stores"
    return ""


def _open_city(installation: Installation, size: CitySize, out: Console, *, servers: bool) -> City:
    if installation.exists:
        shown = installation.state().shown
        out.print(f"Going on in {installation.folder}; its clock shows {shown}.")
    with out.status("Building the virtual city"):
        if installation.exists:
            return installation.build()
        return installation.create(size, servers=servers)


def _introduction(demonstration: Running, state: DemoState) -> list[str]:
    """Where to look and how to log in, line by line (rich markup)."""
    lines = [f"[bold]Dashboard 看板[/]   {demonstration.url}"]
    if state.password:
        lines.append(
            f"[bold]Log in 登录[/]      admin / {state.password}   "
            "(one-time; once you have changed it, your own)"
        )
    for who, path in (("bureau", "users?level=over"), ("supplier", "meters")):
        header = f"Authorization: Bearer {state.keys[who]}"
        call = f"curl -H '{header}' '{demonstration.url}/api/v1/{path}'"
        lines.append(f"[bold]API as {who}[/]\n  {call}")
    lines.append(f"[bold]API 说明[/]         {demonstration.url}/api/openapi.json")
    lines.append(f"[bold]Broker[/]           {demonstration.broker}, {demonstration.address.port}")
    return lines


def _stream(
    city: City, installation: Installation, demonstration: Running, stop: Event,
    *, finish_at: datetime | None = None,
) -> StreamCounts:  # fmt: skip
    """Stream the city with a progress bar; live until `stop`, or up to `finish_at`."""
    with (
        Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("readings"), TimeElapsedColumn(), transient=True,
            console=Console(stderr=True),
        ) as bar,
        _watched(installation, demonstration, stop),
    ):  # fmt: skip
        task = bar.add_task("History", total=None)
        tenths = 0

        def progress(done: int, total: int) -> None:
            nonlocal tenths
            bar.update(task, completed=done, total=total)
            # A log has no bar: it gets a line every tenth of the history.
            if not bar.console.is_terminal and total and done * 10 // total > tenths:
                tenths = done * 10 // total
                bar.console.print(f"{done:,} of {total:,} readings", highlight=False)

        streamed = stream(
            city,
            demonstration.address,
            clock=demonstration.clock,
            state_path=installation.suppliers_state,
            stop=stop,
            progress=progress,
            finish_at=finish_at,
        )
    if finish_at is not None and stop.is_set():
        raise JieshuiError("stopped before everything was streamed")
    return streamed


@contextmanager
def _watched(installation: Installation, demonstration: Running, stop: Event) -> Iterator[None]:
    """Stop when a process ends by itself, and write the clock down now and then."""
    failures: list[JieshuiError] = []
    done = Event()

    def watch() -> None:
        while not done.wait(2):
            installation.remember(demonstration.clock.now())
            try:
                demonstration.supervisor.check()
            except JieshuiError as error:
                failures.append(error)
                stop.set()
                return

    thread = Thread(target=watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failures:
        raise failures[0]
