"""`jieshui quarantine`: readings that were refused."""

from typing import Annotated

import typer
from rich.console import Console

from jieshui.commands.options import ConfigOption, settings_from
from jieshui.errors import JieshuiError
from water.refusals import Refusal

app = typer.Typer(help="Readings that were refused, with their reasons.", no_args_is_help=True)


@app.command("rerun")
def rerun(
    supplier: Annotated[str | None, typer.Option(help="Only this supplier's.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only those refused for this reason.")] = None,
    config: ConfigOption = None,
) -> None:
    """Ask ingest to decode and check refused readings again, after a fix or a registration."""
    from jieshui.wiring import open_stores

    arguments = {k: v for k, v in (("supplier", supplier), ("reason", reason)) if v}
    if reason and reason not in set(Refusal):
        raise JieshuiError(f"{reason!r} is no reason; there are {', '.join(Refusal)}")
    with open_stores(settings_from(config)) as stores:
        if supplier and supplier not in stores.registry.suppliers():
            raise JieshuiError(f"there is no supplier {supplier!r}")
        job = stores.jobs.ask("rerun_quarantine", arguments, "command line")
    Console().print(f"Asked for, as job {job}; `jieshui status` shows what is left.")
