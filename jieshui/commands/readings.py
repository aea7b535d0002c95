"""`jieshui import readings`: history of readings from a CSV or Parquet file."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from jieshui.commands.options import ConfigOption, JsonOption, settings_from
from jieshui.commands.shown import make_table
from jieshui.errors import JieshuiError

if TYPE_CHECKING:
    from ingest.history.files import HistoryFile
    from ingest.history.intake import Import, Tale
    from jieshui.wiring import Stores


def import_readings(
    path: Annotated[
        Path | None,
        typer.Argument(help="CSV or Parquet; none: load what an earlier import left, do its jobs."),
    ] = None,
    supplier: Annotated[str | None, typer.Option(help="Whose meters these are.")] = None,
    dialect: Annotated[
        str, typer.Option(help="Whose addresses the column meter holds; jieshui = ids of meters.")
    ] = "jieshui",
    timezone: Annotated[
        str | None, typer.Option(help="Of instants without a zone, like Asia/Shanghai.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of a CSV; gb18030 for one in GBK.")] = "utf-8-sig",
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column that says nothing here; may be repeated.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Begin from the start, whatever was imported before.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import readings of the past: every line is checked, journalled and counted like any other.

    Whatever ends it, the same command goes on where it stood. Exit code 1 when it was stopped.
    """
    from prometheus_client import CollectorRegistry

    from ingest.history.importing import run_import
    from ingest.history.intake import History
    from jieshui.ingest_wiring import build_import
    from jieshui.logs import set_up_logs
    from jieshui.processes import spare_the_collector
    from jieshui.stopping import stop_on_signals
    from jieshui.wiring import open_stores

    set_up_logs()
    with ExitStack() as stack:
        stores = stack.enter_context(open_stores(settings := settings_from(config)))
        what = file = None
        if path is not None:
            supplier = _check_owner(stores, supplier, dialect)
            what, file = _open(stack, path, supplier, dialect, timezone, encoding, ignore, again)
        history = History(what)
        service = build_import(settings, stores, CollectorRegistry(), history)
        stop = stack.enter_context(stop_on_signals())
        spare_the_collector(stop)
        bar = stack.enter_context(_progress(hidden=as_json))
        task = bar.add_task("Importing", total=file.size if file else None, rows=0)

        def tell() -> None:
            done = file.done.value if file else 0
            bar.update(task, completed=done, rows=history.tale.rows)

        ended = run_import(service, history, stop, tell)
    _print(history.tale, ended=ended, as_json=as_json)
    if not ended:
        raise typer.Exit(1)


def _check_owner(stores: "Stores", supplier: str | None, dialect: str) -> str:
    """The supplier, when it is there and has meters that this dialect can name."""
    suppliers = stores.registry.suppliers()
    if supplier is None or supplier not in suppliers:
        known = ", ".join(sorted(suppliers)) or "none yet"
        raise JieshuiError(f"--supplier names whose meters these are; there are: {known}")
    spoken = {spoken for owner, spoken, _ in stores.registry.devices() if owner == supplier}
    if dialect not in spoken | {"jieshui"}:
        known = ", ".join(sorted(spoken | {"jieshui"}))
        raise JieshuiError(f"{supplier} has no device of dialect {dialect!r}, only of: {known}")
    return supplier


def _open(
    stack: ExitStack, path: Path, supplier: str, dialect: str, timezone: str | None,
    encoding: str, ignore: list[str] | None, again: bool,
) -> "tuple[Import, HistoryFile]":  # fmt: skip
    from ingest.history.files import digest, open_history
    from ingest.history.intake import Import
    from ingest.history.rows import read_header

    try:
        zone = ZoneInfo(timezone) if timezone else None
    except (KeyError, ValueError, OSError):
        raise JieshuiError(f"no time zone is called {timezone!r}; take Asia/Shanghai") from None
    # (Opened first: what is written to it from here on is noticed at its end.)
    file = stack.enter_context(open_history(path, encoding))
    content = digest(path)
    read = read_header(file.names, ignore or [], zone)
    options = (timezone or "", encoding, *sorted(ignore or []))
    return Import(content, supplier, dialect, options, file.lines, read, again), file


def _progress(*, hidden: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]} rows"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=hidden,
    )


def _print(tale: "Tale", *, ended: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"ended": ended, **tale.describe()}))
        return
    out = Console(soft_wrap=True, highlight=False)
    table = make_table("what", "readings")
    table.add_row("rows", str(tale.rows))
    if tale.earlier:
        table.add_row("journalled by an earlier run", str(tale.earlier))
    for account in ("stored", "duplicate", "conflict"):
        table.add_row(account, str(tale.counts[account]))
    for reason, count in sorted(tale.quarantined.items()):
        table.add_row(f"quarantined: {reason}", str(count))
    if tale.untold:
        table.add_row("loaded, outcome not known", f"{tale.untold} messages")
    for reason, count in tale.unfit.items():
        table.add_row(f"line refused: {reason}", str(count))
    out.print(table)
    for reason, numbers in tale.places.items():
        more = ", …" if tale.unfit[reason] > len(numbers) else ""
        out.print(f"{reason}: lines {', '.join(map(str, numbers))}{more}", markup=False)
    if not ended:
        out.print("[bold]Stopped.[/] The same command goes on where it stood.")
