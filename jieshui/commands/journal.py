"""`jieshui journal`: what the stores know of the journals."""

from typing import Annotated

import typer
from rich.console import Console

from jieshui.commands.options import ConfigOption, settings_from
from jieshui.errors import JieshuiError

app = typer.Typer(help="The journals of ingest.", no_args_is_help=True)


@app.command("forget")
def forget(
    name: Annotated[str, typer.Argument(help="The journal's name, as ingest's refusal says it.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Say that a journal's folder is gone for good: its name begins anew in an empty folder.

    Messages that the old folder held and nobody had loaded are lost with it; suppliers who
    heard no receipt "loaded" send them again. Refused while the folder is there or a process has
    it open; what another machine has can't be seen from here.
    """
    from ingest.markers import forget as forget_marker
    from jieshui.ingest_wiring import ingest_settings
    from jieshui.wiring import open_stores

    settings = settings_from(config)
    with open_stores(settings) as stores:
        lost = forget_marker(stores.readings, ingest_settings(settings).journal, name)
        if lost is None:
            raise JieshuiError(f"the store knows no folder of a journal {name!r}")
    out = Console(soft_wrap=True)
    out.print(f"Journal {name} begins anew; start ingest with an empty folder.")
    for supplier, count in sorted(lost.items()):
        out.print(f"{supplier}: {count} messages that waited now count as lost (journal_lost).")
    out.print("What came after its last load was never counted, and is lost without a number.")
