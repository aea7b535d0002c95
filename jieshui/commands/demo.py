"""`jieshui demo`: a virtual city on this machine."""

import time
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.console import Console

from jieshui.demo.check import Checked, check, print_table
from jieshui.demo.installation import UNTIL, Installation
from jieshui.demo.show import introduction, running, stream_city, wait_until_answering
from jieshui.errors import JieshuiError
from jieshui.logs import set_up_logs
from jieshui.stopping import stop_on_signals
from simulators.city import City, build_city

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
        float, typer.Option(min=0, help="How many times faster than the world, once live.")
    ] = LIVE_SPEED,
    port: Annotated[
        int | None, typer.Option(help="Port of the dashboard; else 8080, or a free one.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where everything is kept; else var/demo.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget an earlier demonstration.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --check: print JSON.")] = False,
) -> None:
    """Show a virtual city around the real inflow of ten districts, streaming over MQTT.

    The first start streams a year of history; a second one goes on where it stood.
    """
    set_up_logs("warning")
    with stop_on_signals() as stop:
        if check_only:
            checked = _check(folder or Path("var") / f"check-{seed}", seed, users, days, stop)
            print_table(checked, as_json=as_json)
            raise typer.Exit(0 if checked.passed else 1)
        _show(folder or Path("var/demo"), seed, users, days, speed, port, stop, fresh=fresh)


def _show(
    folder: Path, seed: int, users: int, days: int, speed: float, port: int | None,
    stop: Event, *, fresh: bool,
) -> None:  # fmt: skip
    out = Console(soft_wrap=True, highlight=False)
    installation = Installation(folder)
    city = _open_city(installation, seed, users, days, out, fresh=fresh)
    with running(installation, speed, port) as demonstration:
        wait_until_answering(demonstration, stop)
        for line in introduction(demonstration, installation.state()):
            out.print(line)
        out.print("History streams in; Ctrl-C stops everything.")
        stream_city(city, installation, demonstration, stop)
        installation.remember(demonstration.clock.now())
        out.print("Stopping.")


def _open_city(
    installation: Installation, seed: int, users: int, days: int, out: Console, *, fresh: bool
) -> City:
    if fresh or not installation.exists:
        installation.remove()
        with out.status("Building the virtual city"):
            return installation.create(seed, users, days, UNTIL)
    state = installation.state()
    if state.seed != seed:
        raise JieshuiError(
            f"{installation.folder} shows the city of seed {state.seed}; "
            "--fresh forgets it, --folder takes another place"
        )
    out.print(f"Going on in {installation.folder}, clock {state.shown}.")
    until = datetime.fromisoformat(state.until)
    with out.status("Building the virtual city"):
        return build_city(state.seed, until=until, users=state.users, days=state.days)


def _check(folder: Path, seed: int, users: int, days: int, stop: Event) -> Checked:
    out = Console(stderr=True, soft_wrap=True, highlight=False)
    began = time.monotonic()
    installation = Installation(folder)
    installation.remove()
    with out.status("Building the virtual city"):
        city = installation.create(seed, users, days, UNTIL)
    with running(installation, 0, None) as demonstration:
        wait_until_answering(demonstration, stop)
        out.print(f"Streaming through {demonstration.broker}; dashboard {demonstration.url}")
        streamed = stream_city(city, installation, demonstration, stop, finish_at=UNTIL)
        if stop.is_set():
            raise JieshuiError("stopped before the check was done")
        out.print(f"{streamed.readings} readings in {time.monotonic() - began:.0f} s; analysing")
        checked = check(installation, demonstration, streamed, stop)
    out.print(f"Checked after {time.monotonic() - began:.0f} s.")
    if checked.passed:
        installation.remove()
    else:
        out.print(f"Everything of this run is kept in {folder}.")
    return checked
