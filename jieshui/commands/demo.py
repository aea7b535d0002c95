"""`jieshui demo`: a virtual city on this machine."""

import time
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.console import Console

from jieshui.demo.check import Checked, check, print_table
from jieshui.demo.installation import UNTIL, CitySize, Installation
from jieshui.demo.show import Running, introduction, running, stream_city, wait_until_answering
from jieshui.errors import JieshuiError
from jieshui.logs import set_up_logs
from jieshui.stopping import stop_on_signals
from simulators.city import City

LIVE_SPEED = 60.0


def demo(
    check_only: Annotated[
        bool,
        typer.Option("--check", help="Stream the history, compare planted with found, and end."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Which city; the same seed gives the same city.")] = 1,
    users: Annotated[int, typer.Option(min=20, help="Large users in the city.")] = 240,
    days: Annotated[int, typer.Option(min=300, help="Days of history.")] = 365,
    speed: Annotated[
        float, typer.Option(min=0, help="How many times faster than the world it lives.")
    ] = LIVE_SPEED,
    port: Annotated[
        int | None, typer.Option(help="Port of the dashboard; else 8080, or a free one.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where everything is kept; else var/demo.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget an earlier demonstration.")
    ] = False,
    packaged: Annotated[
        bool,
        typer.Option("--packaged-broker", help="Use the packaged broker though Mosquitto is here."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --check: print JSON.")] = False,
) -> None:
    """Show a virtual city around the real inflow of ten districts, streaming over MQTT.

    The first start streams a year of history; a second one goes on where it stood.
    """
    set_up_logs("warning")
    size = CitySize(seed, users, days)
    with stop_on_signals() as stop:
        if check_only:
            checked = _check(folder or Path("var") / f"check-{seed}", size, stop, packaged=packaged)
            print_table(checked, as_json=as_json)
            raise typer.Exit(0 if checked.passed else 1)
        installation = Installation(folder or Path("var/demo"))
        city = _open_city(installation, size, fresh=fresh)
        with running(installation, speed, port, packaged=packaged) as demonstration:
            _show(installation, city, demonstration, stop)


def _open_city(installation: Installation, size: CitySize, *, fresh: bool) -> City:
    out = Console(soft_wrap=True, highlight=False)
    if fresh or not installation.exists:
        installation.remove()
        with out.status("Building the virtual city"):
            return installation.create(size)
    state = installation.state()
    if state.seed != size.seed:
        raise JieshuiError(
            f"{installation.folder} shows the city of seed {state.seed}; "
            "--fresh forgets it, --folder takes another place"
        )
    out.print(f"Going on in {installation.folder}; its clock shows {state.shown}.")
    with out.status("Building the virtual city"):
        return installation.build()


def _show(installation: Installation, city: City, demonstration: Running, stop: Event) -> None:
    out = Console(soft_wrap=True, highlight=False)
    wait_until_answering(demonstration, stop)
    for line in introduction(demonstration, installation.state()):
        out.print(line)
    out.print("History streams in; Ctrl-C stops everything.")
    stream_city(city, installation, demonstration, stop)
    installation.remember(demonstration.clock.now())
    out.print("Stopping.")


def _check(folder: Path, size: CitySize, stop: Event, *, packaged: bool) -> Checked:
    out = Console(stderr=True, soft_wrap=True, highlight=False)
    began = time.monotonic()
    installation = Installation(folder)
    installation.remove()
    with out.status("Building the virtual city"):
        city = installation.create(size)
    # The clock stands still, so that what is checked doesn't depend on the machine's speed.
    with running(installation, 0, packaged=packaged) as demonstration:
        wait_until_answering(demonstration, stop)
        out.print(f"Streaming through {demonstration.broker}; dashboard {demonstration.url}")
        streamed = stream_city(city, installation, demonstration, stop, finish_at=UNTIL)
        out.print(f"Streamed after {time.monotonic() - began:.0f} s; analysing")
        checked = check(installation, demonstration, streamed, stop)
    out.print(f"Checked after {time.monotonic() - began:.0f} s.")
    if checked.passed:
        installation.remove()
    else:
        out.print(f"Everything of this run is kept in {folder}.")
    return checked
