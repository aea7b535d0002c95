"""The command line of jieshui."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console

from jieshui.commands import (
    backup,
    broker,
    demo,
    health,
    importing,
    init,
    journal,
    people,
    quarantine,
    recompute,
    replay,
    serve,
    status,
)
from jieshui.errors import sentences

app = typer.Typer(
    name="jieshui",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)

SET_UP, KEEP, RUN, LOOK = "Set up", "Keep", "Run", "Look"
PEOPLE = "People and keys"

app.command(rich_help_panel=SET_UP)(init.init)
app.add_typer(importing.app, name="import", rich_help_panel=SET_UP)
app.add_typer(broker.app, name="broker", rich_help_panel=SET_UP)
app.command(rich_help_panel=KEEP)(backup.backup)
app.command(rich_help_panel=KEEP)(backup.restore)
app.command(rich_help_panel=KEEP)(backup.upgrade)
app.command(rich_help_panel=KEEP)(backup.downgrade)
app.command(rich_help_panel=RUN)(demo.demo)
app.add_typer(serve.app, name="serve", rich_help_panel=RUN)
app.command(rich_help_panel=LOOK)(status.status)
app.command(rich_help_panel=LOOK)(health.health)
app.add_typer(journal.app, name="journal", rich_help_panel=KEEP)
app.command(rich_help_panel=KEEP)(recompute.recompute)
app.add_typer(quarantine.app, name="quarantine", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(replay.replay)
app.add_typer(people.accounts, name="account", rich_help_panel=PEOPLE)
app.add_typer(people.keys, name="key", rich_help_panel=PEOPLE)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("jieshui"))
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="The version."),
    ] = False,
) -> None:
    """节水 jieshui: water metering and monitoring for a city."""


def run() -> None:
    """Run the command line; what a person can mend is said in one sentence."""
    try:
        app()
    except Exception as error:
        if not isinstance(error, sentences()):
            raise
        out = Console(stderr=True, soft_wrap=True, highlight=False)
        out.print("[bold red]jieshui:[/]", end=" ")
        out.print(str(error), markup=False)
        sys.exit(1)
