"""`jieshui recompute`: days that were computed before, computed again by today's rules."""

from datetime import date
from typing import Annotated

import typer
from rich.console import Console

from jieshui.commands.options import ConfigOption, settings_from
from jieshui.errors import JieshuiError

_ACTOR = "command line"


def recompute(
    start: Annotated[str, typer.Option("--from", help="The first local day, like 2026-09-01.")],
    end: Annotated[
        str | None, typer.Option("--to", help="The last local day; today when left out.")
    ] = None,
    meter: Annotated[list[str] | None, typer.Option(help="Of this one; may be repeated.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Of every meter.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much it is.")] = False,
    config: ConfigOption = None,
) -> None:
    """Compute volumes, verdicts and figures of past days again, after an upgrade or a new policy.

    Readings stay as they are. Analysis does it while nothing newer waits, a month at a time.
    """
    from jieshui.wiring import open_stores
    from registry.recomputing import ask_recomputation, plan_recomputation

    if every == bool(meter):
        raise JieshuiError("say one of --meter (which may be repeated) and --all")
    named = None if every else meter
    settings = settings_from(config)
    with open_stores(settings) as stores:
        today = settings.city_time().day_of(stores.clock.now())
        last = min(_day(end, "--to"), today) if end else today
        planned = plan_recomputation(stores.registry.meters(), named, _day(start, "--from"), last)
        if not dry_run:
            ask_recomputation(stores.registry, _ACTOR, planned, named)
    out = Console(soft_wrap=True, highlight=False)
    out.print(
        f"{planned.first} to {planned.last}, {planned.meters:,} meters: at most "
        f"{planned.meter_days:,} meter-days, in {len(planned.jobs):,} jobs."
    )
    if dry_run:
        out.print("Nothing is asked for yet.")
    else:
        out.print("Asked for; `jieshui status` shows what is left.")


def _day(said: str, option: str) -> date:
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise JieshuiError(f"{option} {said!r}: write it like 2026-09-15") from None
