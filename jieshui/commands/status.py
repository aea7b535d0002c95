"""`jieshui status`: what was received, stored, refused, computed and found."""

import json
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from jieshui.commands.options import ConfigOption, JsonOption, settings_from
from jieshui.commands.shown import make_table, show_instant
from water.jobs import RECOMPUTE, RECOMPUTE_PAST
from water.viewer import Role, Viewer

VIEWER = Viewer("command line", Role.ADMINISTRATOR)
MESSAGES = ("received", "decoded", "undecodable", "set_aside", "waiting")
READINGS = ("decoded", "stored", "duplicate", "conflict", "quarantined", "waiting")


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show both sums of every supplier, the state of the analysis and the open alerts."""
    from ingest.broker.deserted import list_deserted
    from jieshui.unread import list_unread
    from jieshui.wiring import open_stores
    from storage.queries import IngestQueries
    from storage.registry.ledger import Ledger
    from storage.registry.queries import RegistryQueries

    settings = settings_from(config)
    with open_stores(settings) as stores:
        registry = RegistryQueries(stores.engine, stores.clock, settings.city_time())
        facts: dict[str, Any] = {
            "at": stores.clock.now(),
            "suppliers": IngestQueries(stores.readings).sums(VIEWER),
            "unsettled": Ledger(stores.engine).left_behind()._asdict(),
            "journals": _measure_journals(settings.store.folder),
            "unread": list_unread(settings.store.folder, stores.readings.position),
            "deserted": list_deserted(settings.store.folder),
            "analysis": stores.state.get("evaluated"),
            "days_asked_for": stores.jobs.count_waiting([RECOMPUTE, RECOMPUTE_PAST]),
            "home": registry.home(VIEWER),
        }
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, default=str))
        return
    _print(facts, settings.city_time().zone)


def _print(facts: dict[str, Any], zone: tzinfo) -> None:
    out = Console(soft_wrap=True, highlight=False)
    out.print(f"Clock: {show_instant(facts['at'], zone)}")
    for ledger, terms in (("messages", MESSAGES), ("readings", READINGS)):
        table = make_table(ledger, *terms, "balanced")
        for row in facts["suppliers"]:
            counts = row[ledger]
            balanced = "yes" if counts["balanced"] else "[bold red]NO[/]"
            table.add_row(row["supplier"], *(f"{counts[term]:,}" for term in terms), balanced)
        out.print(table)
    reasons = [(row["supplier"], r) for row in facts["suppliers"] for r in row["reasons"]]
    if reasons:
        table = make_table("refused or set aside", "what", "why", "count")
        for supplier, reason in reasons:
            table.add_row(supplier, reason["account"], reason["reason"], f"{reason['count']:,}")
        out.print(table)
    _print_unsettled(out, facts["unsettled"], zone)
    for name, kept in facts["journals"].items():
        out.print(
            f"Journal {name} of this machine: {kept['segments']:,} segments, "
            f"{kept['compressed']:,} compressed, {kept['bytes'] / 1e6:,.1f} MB"
        )
    for folder, mend in facts["unread"].items():
        out.print(
            f"[bold red]Journal {Path(folder).name} holds messages that are not loaded, and no "
            f"process has it open:[/] {mend}"
        )
    for folder, sessions in facts["deserted"].items():
        out.print(
            f"[bold red]No process has journal {folder}, and nobody receives what the broker deals "
            f"to its session:[/] {', '.join(sessions)}"
        )
    evaluated, home = facts["analysis"], facts["home"]
    computed = f"for {show_instant(evaluated['at'], zone)}" if evaluated else "never ran"
    out.print(f"Analysis: {computed}")
    if jobs := facts["days_asked_for"]:
        out.print(f"Days to compute again: {jobs:,} job(s) wait for the analysis")
    alerts = ", ".join(f"{count} {severity}" for severity, count in home["alerts"].items() if count)
    out.print(f"Open alerts: {alerts or 'none'}")
    out.print(f"Users: {home['users']}, {home['over']} over plan, {home['at_risk']} at risk")


def _measure_journals(store: Path) -> dict[str, dict[str, int]]:
    """Folder → what it keeps, of every journal of this machine."""
    from ingest.journal.segments import measure_kept

    folders = sorted(path for path in store.glob("journal*") if path.is_dir())
    return {folder.name: measure_kept(folder)._asdict() for folder in folders}


def _print_unsettled(out: Console, unsettled: dict[str, Any], zone: tzinfo) -> None:
    if unsettled["oldest"] is None:
        return
    oldest = datetime.fromtimestamp(unsettled["oldest"], UTC)
    out.print(
        f"Not settled: {unsettled['readings']:,} readings of {unsettled['loads']} load(s) "
        f"under way or dead; the oldest is of {show_instant(oldest, zone)}"
    )
