"""`jieshui serve`: the processes of an installation."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from jieshui.commands.options import ConfigOption, config_path, settings_from
from jieshui.config import Settings
from jieshui.errors import JieshuiError
from jieshui.listening import require_free
from jieshui.logs import set_up_logs
from jieshui.stopping import stop_on_signals
from jieshui.supervisor import Supervisor, end_with_parent

app = typer.Typer(help="Run the processes of an installation.", no_args_is_help=True)

ParentOption = Annotated[
    int | None, typer.Option("--with-parent", hidden=True, help="End when this process does.")
]


@app.command()
def ingest(config: ConfigOption = None, parent: ParentOption = None) -> None:
    """Receive readings over MQTT and store them."""
    from jieshui.processes import run_ingest

    _serve(run_ingest, config, parent)


@app.command()
def analysis(config: ConfigOption = None, parent: ParentOption = None) -> None:
    """Compute volumes and figures, find, alert and notify."""
    from jieshui.processes import run_analysis

    _serve(run_analysis, config, parent)


@app.command()
def api(config: ConfigOption = None, parent: ParentOption = None) -> None:
    """Answer HTTP: API and dashboard."""
    from jieshui.processes import run_api

    _serve(run_api, config, parent)


@app.command()
def watch(config: ConfigOption = None, parent: ParentOption = None) -> None:
    """Watch the other processes and tell people when one stops."""
    from jieshui.watch.process import run_watch

    _serve(run_watch, config, parent)


@app.command("all")
def serve_all(config: ConfigOption = None) -> None:
    """Run ingest, analysis and api in one process tree, for one machine.

    With them the watch, where an address says whom it tells. One that ends by itself is started
    again; one that can't start ends them all.
    """
    set_up_logs()
    settings = settings_from(config)
    settings.policy()
    path = config_path(config)
    if path is None:
        raise JieshuiError("`serve all` needs a configuration file; `jieshui init` writes one")
    names = ["ingest", "analysis", "api"]
    if settings.watch_addresses:
        names.append("watch")
    require_free(settings, names)
    supervisor = Supervisor(path)
    with stop_on_signals() as stop:
        try:
            for name in names:
                supervisor.start(name)
            while not stop.wait(1):
                supervisor.revive()
        finally:
            supervisor.stop()


def _serve(run: Callable[[Settings, Event], None], config: Path | None, parent: int | None) -> None:
    set_up_logs()
    if parent is not None:
        end_with_parent(parent)
    settings = settings_from(config)
    with stop_on_signals() as stop:
        run(settings, stop)
