"""`jieshui import`: users, meters, zones, plans and returns from files, or readings of the past."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from typer.core import TyperGroup

from jieshui.commands.options import ConfigOption, JsonOption, settings_from
from jieshui.commands.readings import import_readings
from jieshui.commands.shown import make_table
from jieshui.errors import JieshuiError

if TYPE_CHECKING:
    from registry.importing import ImportReport

_REGISTRY = "registry"


class _RegistryByDefault(TyperGroup):
    """`jieshui import PATH` is `jieshui import registry PATH`; ./readings is a folder."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride] - typer's context
        """Put the name of the command in front where none is given."""
        named = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named or not args else [_REGISTRY, *args])


app = typer.Typer(
    cls=_RegistryByDefault,
    no_args_is_help=True,
    help="Import registries (the default) or the history of readings.",
)
app.command("readings")(import_readings)


@app.command(_REGISTRY)
def import_registry(
    path: Annotated[
        Path, typer.Argument(help="CSV, XLSX, or a folder of CSVs; with --template: what to write.")
    ],
    kind: Annotated[
        str | None, typer.Option(help="What a CSV holds, when its name doesn't say it.")
    ] = None,
    template: Annotated[
        bool, typer.Option("--template", help="Write an empty file to fill in, and stop.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import users, meters, zones, plans and monthly returns; every row is checked first.

    One wrong row and nothing is imported: each error names file, row, column and what is wanted.
    """
    from jieshui.wiring import open_stores
    from registry.importing import import_path
    from registry.templates import write_template

    if template:
        write_template(kind, path)
        Console().print(f"Wrote {path}.")
        return
    if not path.exists():
        raise JieshuiError(f"there is nothing at {path}")
    settings = settings_from(config)
    with open_stores(settings) as stores, Progress(transient=True) as bar:
        task = bar.add_task("Importing", total=None)
        report = import_path(
            path,
            stores.registry,
            actor="command line",
            today=settings.city_time().day_of(stores.clock.now()),
            kind=kind,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    _print(report, as_json=as_json)
    if report.errors:
        raise typer.Exit(1)


def _print(report: "ImportReport", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.as_rows(), ensure_ascii=False, default=str))
        return
    from registry.report import Counts

    out = Console(soft_wrap=True)
    for problem in (*report.errors, *report.warnings):
        out.print(str(problem), markup=False, highlight=False)
    if report.errors:
        out.print(f"[bold red]Nothing was imported.[/] Errors: {len(report.errors)}.")
        return
    if all(counts == Counts() for counts in report.counts.values()):
        out.print("There is nothing in it: no sheet or file has a row of its own.")
        return
    table = make_table("kind", "created", "changed", "unchanged")
    for name, counts in report.counts.items():
        table.add_row(name, str(counts.created), str(counts.changed), str(counts.unchanged))
    out.print(table)
