"""`jieshui status`: what was received, stored, refused, computed and found."""

import json
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from jieshui.commands.options import ConfigOption, JsonOption, settings_from
from water.viewer import Role, Viewer

VIEWER = Viewer("command line", Role.ADMINISTRATOR)
MESSAGES = ("received", "decoded", "undecodable", "set_aside", "waiting")
READINGS = ("decoded", "stored", "duplicate", "conflict", "quarantined", "waiting")


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show both sums of every supplier, the state of the analysis and the open alerts."""
    from jieshui.wiring import open_stores
    from storage.readings.queries import IngestQueries
    from storage.registry.queries import RegistryQueries

    settings = settings_from(config)
    with open_stores(settings) as stores:
        registry = RegistryQueries(stores.engine, stores.clock, settings.city_time())
        facts: dict[str, Any] = {
            "at": stores.clock.now(),
            "suppliers": IngestQueries(stores.readings).sums(VIEWER),
            "analysis": stores.state.get("evaluated"),
            "home": registry.home(VIEWER),
        }
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, default=str))
        return
    _print(facts)


def _print(facts: dict[str, Any]) -> None:
    out = Console(soft_wrap=True)
    out.print(f"Clock: {facts['at']:%Y-%m-%d %H:%M:%S %Z}")
    table = Table("supplier", *MESSAGES, *(f"{name} readings" for name in READINGS), "balanced")
    for row in facts["suppliers"]:
        table.add_row(
            row["supplier"],
            *(str(row["messages"][name]) for name in MESSAGES),
            *(str(row["readings"][name]) for name in READINGS),
            "yes" if row["balanced"] else "[red]no[/]",
        )
    out.print(table)
    evaluated = facts["analysis"]
    out.print(f"Analysis: evaluated for {evaluated['at']}" if evaluated else "Analysis: never ran")
