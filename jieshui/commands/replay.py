"""`jieshui replay`: a window of the journal judged anew, its difference shown, then adopted."""

import json
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from jieshui.commands.options import ConfigOption, JsonOption, settings_from
from jieshui.commands.shown import make_table, show_instant
from jieshui.errors import JieshuiError

if TYPE_CHECKING:
    from jieshui.wiring import Stores

_ACTOR = "command line"


def replay(
    start: Annotated[
        str | None,
        typer.Option("--from", help="Messages that arrived from then on; local time or with zone."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="And before then; the present when left out.")
    ] = None,
    supplier: Annotated[str | None, typer.Option(help="Only this supplier's.")] = None,
    undecodable: Annotated[
        bool, typer.Option("--undecodable", help="Only messages that were counted as undecodable.")
    ] = False,
    adopt: Annotated[
        int | None, typer.Option(help="Load what this replay (its job's number) has found.")
    ] = None,
    show: Annotated[
        int | None, typer.Option(help="Show this replay or adoption (its job's number) again.")
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            help="Give up waiting for ingest after so many seconds; the job stays asked for.",
            metavar="SECONDS",
            min=0,
        ),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Only ask, and show how far it is.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what today's decoders and registry make of messages that the journal keeps.

    Nothing changes until it is adopted: --adopt with the number that the replay was given.
    """
    from jieshui.commands.waiting import await_replay
    from jieshui.wiring import open_stores

    if sum(option is not None for option in (start, adopt, show)) != 1:
        raise JieshuiError("say one of --from (a new replay), --adopt and --show")
    settings = settings_from(config)
    with open_stores(settings) as stores:
        job = show
        if start is not None:
            zone = settings.city_time().zone
            first = _instant(start, "--from", zone)
            last = _instant(end, "--to", zone) if end else stores.clock.now()
            job = _ask(stores, first, last, supplier, undecodable=undecodable)
        elif adopt is not None:
            job = _adopt(stores, adopt)
        if job is None:
            return
        found = _find(stores, job)
        if not no_wait:
            found = await_replay(lambda: _find(stores, found["id"]), wait)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, default=str))
    else:
        _print(found, settings.city_time().zone)
    if found["state"] == "failed":
        raise typer.Exit(1)


def _instant(said: str, option: str, zone: Any) -> datetime:
    try:
        instant = datetime.fromisoformat(said)
    except ValueError:
        raise JieshuiError(f"{option} {said!r}: write it like 2026-09-15T08:00") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=zone)


def _ask(
    stores: "Stores", start: datetime, end: datetime, supplier: str | None, *, undecodable: bool
) -> int:
    from api.replays import ask_replay

    if supplier and supplier not in stores.registry.suppliers():
        raise JieshuiError(f"there is no supplier {supplier!r}")
    try:
        return ask_replay(stores.jobs, _ACTOR, start, end, supplier or "", undecodable=undecodable)
    except ValueError as error:
        raise JieshuiError(str(error)) from None


def _adopt(stores: "Stores", replay_id: int) -> int:
    from api.replays import ask_adoption

    try:
        return ask_adoption(stores.jobs, _ACTOR, replay_id)
    except KeyError:
        raise JieshuiError(f"there is no replay {replay_id}") from None
    except ValueError as error:
        raise JieshuiError(str(error)) from None


def _find(stores: "Stores", job: int) -> dict[str, Any]:
    from api.replays import find_replay

    found = find_replay(stores.jobs, job)
    if found is None:
        raise JieshuiError(f"there is no replay {job}")
    return found


def _print(found: dict[str, Any], zone: tzinfo) -> None:
    out = Console(soft_wrap=True, highlight=False)
    what = f"Adoption of replay {found['adopts']}" if found["adopts"] else "Replay"
    out.print(f"{what}, job {found['id']}: {found['state']}, {found['progress']:.0%}")
    for error in found["errors"]:
        out.print(error, markup=False)
    if found["kept_from"]:
        since = show_instant(found["kept_from"], zone)
        out.print(f"All messages are kept from {since} on; of older ones some are gone.")
    for name in ("messages", "readings", "became"):
        if found[name]:
            table = make_table(name, *found[name])
            table.add_row("", *(f"{count:,}" for count in found[name].values()))
            out.print(table)
    if found["from_quarantine"]:
        out.print(f"Of these {found['from_quarantine']:,} lie in quarantine and pass now.")
    if found["unmatched"]:
        out.print(f"{found['unmatched']:,} in quarantine are given no more, and stay there.")
    _print_moved(out, found)
    for kind, rows in found["sample"].items():
        out.print(f"{kind}, for example:")
        for row in rows if kind == "undecodable" else rows[:5]:
            out.print(f"  {json.dumps(row, ensure_ascii=False)}", markup=False)
    if found["state"] == "done" and not found["adopts"] and _brings(found):
        out.print(f"Nothing is changed yet: `jieshui replay --adopt {found['id']}` loads it.")


def _print_moved(out: Console, found: dict[str, Any]) -> None:
    for row in found["moved"]:
        out.print(f"{row['count']:,} messages: {row['from']} → {row['to']}", markup=False)
    for row in found["gone"]:
        now = "decoded otherwise" if row["now"] == "decoded" else row["now"]
        moved = f"{row['messages']:,} messages of {row['supplier']}: decoded → {now}"
        out.print(f"{moved}; what they gave then stays stored", markup=False)


def _brings(found: dict[str, Any]) -> bool:
    readings = found["readings"]
    return bool(found["moved"]) or any(readings[n] for n in ("new", "completed", "changed"))
