"""`jieshui demo`: a virtual city on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from jieshui.logs import set_up_logs
from jieshui.stopping import stop_on_signals


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
    ] = 60,
    port: Annotated[
        int | None, typer.Option(help="Port of the dashboard, 0 = a free one; else 8080.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where everything is kept; else var/demo.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget an earlier one.")] = False,
    packaged: Annotated[
        bool,
        typer.Option("--packaged-broker", help="Use the packaged broker though Mosquitto is here."),
    ] = False,
    servers: Annotated[
        bool,
        typer.Option("--servers", help="Keep everything in InfluxDB and PostgreSQL, started here."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --check: print JSON.")] = False,
) -> None:
    """Show a virtual city around the real inflow of ten districts, streaming over MQTT.

    The first start streams a year of history; a second one goes on where it stood.
    """
    from jieshui.demo.check import print_table
    from jieshui.demo.installation import CitySize, Installation
    from jieshui.demo.show import run_check, show

    set_up_logs("warning")
    size = CitySize(seed, users, days)
    with stop_on_signals() as stop:
        if check_only:
            installation = Installation(folder or Path("var") / f"check-{seed}")
            with installation.held():
                checked = run_check(installation, size, stop, packaged=packaged, servers=servers)
            print_table(checked, as_json=as_json)
            raise typer.Exit(0 if checked.passed else 1)
        installation = Installation(folder or Path("var") / ("demo-servers" if servers else "demo"))
        with installation.held():
            show(
                installation, size, speed, port, stop,
                fresh=fresh, packaged=packaged, servers=servers,
            )  # fmt: skip
