"""The panel of replays: what today's decoders would make of a window, and its adoption."""

from datetime import datetime, time, timedelta

from nicegui import run, ui

from api.pages import parts
from api.pages.figures import write_number, write_percent
from api.pages.tables import Column, instant, show_table, word
from api.pages.texts import Texts
from api.pages.visit import Visit, reopen
from api.replays import ask_adoption, ask_replay, list_replays
from api.rights import may_reload
from water.pages import Page, Row

_DAYS = 7
"""How far back the form begins."""


def load_replays(visit: Visit) -> list[Row] | None:
    """The newest replays; None for those who may not ask for any."""
    return list_replays(visit.context.jobs) if may_reload(visit.viewer) else None


def draw_replays(visit: Visit, replays: list[Row]) -> None:
    """What was asked for, what it found, and a form to ask for another one."""
    texts = visit.texts
    with parts.panel(texts["replays"]) as side:
        ui.label(texts["replays_rule"]).classes("js-note")
        _draw_form(visit)
        columns = [
            Column("id", texts["job"]),
            Column("adopts", texts["adopts"]),
            word("state", texts["state"], "job_state", visit),
            Column("progress", texts["progress"], lambda row: write_percent(row["progress"])),
            instant("start", texts["replay_from"], visit),
            instant("end", texts["replay_to"], visit),
            Column("supplier", texts["supplier"]),
            Column("found", texts["found"], lambda row: _write_found(visit, row), wrap=True),
            Column("asked_by", texts["asked_by"]),
        ]
        rows = [_with_instants(row) for row in replays]
        show_table(visit, "replays", columns, Page(rows), side=side)
        _draw_adoption(visit, replays)


def _with_instants(row: Row) -> Row:
    ends = {name: datetime.fromisoformat(row[name]) for name in ("start", "end") if row[name]}
    return row | ends


def _write_found(visit: Visit, row: Row) -> str:
    """The counts that are not 0, in words; what it became, for an adoption."""
    said = row["became"] if row["adopts"] else {}
    counts = {f"sum.{name}": count for name, count in said.items()}
    if not row["adopts"]:
        counts = {f"replay.{name}": count for name, count in _counts(row).items()}
    words = [f"{visit.texts[name]} {write_number(n, 0)}" for name, n in counts.items() if n]
    gone = [] if row["adopts"] else [_write_gone(visit.texts, each) for each in row["gone"]]
    return "; ".join([*words, *gone, *row["errors"]])


def _write_gone(texts: Texts, row: Row) -> str:
    """Messages of a supplier that gave other readings then, and what they are today."""
    reason = row["now"].partition("/")[2]
    now = texts.word("reason", reason) if reason else texts["decoded_otherwise"]
    count = write_number(row["messages"], 0)
    return texts.say("replay_gone", supplier=row["supplier"], now=now, count=count)


def _counts(row: Row) -> dict[str, int]:
    messages, readings = row["messages"], row["readings"]
    return {
        "read": messages.get("read", 0),
        "newly_decoded": messages.get("newly_decoded", 0),
        "no_longer_decoded": messages.get("no_longer_decoded", 0),
        **{name: readings.get(name, 0) for name in ("new", "completed", "changed", "refused")},
        "from_quarantine": row["from_quarantine"],
    }


def _draw_form(visit: Visit) -> None:
    texts = visit.texts
    today = visit.context.clock.now().astimezone(visit.zone).date()
    with ui.element("div").classes("js-filters"):
        first = _day(texts["replay_from"], (today - timedelta(days=_DAYS)).isoformat())
        last = _day(texts["replay_to"], today.isoformat())
        supplier = ui.input(texts["supplier"]).props("outlined dense")
        undecodable = ui.checkbox(texts["only_undecodable"])

    async def ask() -> None:
        try:
            start, end = _midnight(visit, first.value, 0), _midnight(visit, last.value, 1)
            await run.io_bound(
                _ask, visit, start, end, (supplier.value or "").strip(), bool(undecodable.value)
            )
        except ValueError:
            ui.notify(texts["replay_bad_window"], type="warning")
            return
        ui.navigate.to(visit.address())

    ui.button(texts["ask_replay"], icon="replay", on_click=ask).props("outline dense no-caps")


def _day(label: str, value: str) -> ui.input:
    return ui.input(label, value=value).props("outlined dense type=date stack-label")


def _midnight(visit: Visit, day: str | None, later: int) -> datetime:
    begins = datetime.combine(datetime.fromisoformat(day or "").date(), time(), visit.zone)
    return begins + timedelta(days=later)


def _ask(visit: Visit, start: datetime, end: datetime, supplier: str, undecodable: bool) -> None:
    """Ask for a replay, if the visitor is still who they were and may still do it."""
    now = reopen(visit)
    if now is not None and may_reload(now.viewer):
        jobs, name = now.context.jobs, now.viewer.name
        ask_replay(jobs, name, start, end, supplier, undecodable=undecodable)


def _draw_adoption(visit: Visit, replays: list[Row]) -> None:
    """Which of the replays that are done to adopt, and the button that does."""
    texts = visit.texts
    done = [row["id"] for row in replays if row["adopts"] is None and row["state"] == "done"]
    if not done:
        return
    with ui.element("div").classes("js-filters"):
        choice = ui.select(done, value=done[0], label=texts["job"]).props("outlined dense")

    async def adopt() -> None:
        try:
            await run.io_bound(_adopt, visit, int(choice.value))
        except (KeyError, ValueError) as error:
            ui.notify(str(error), type="negative")
            return
        ui.navigate.to(visit.address())

    ui.button(texts["adopt_replay"], icon="done", on_click=adopt).props(
        "unelevated dense no-caps color=primary"
    )


def _adopt(visit: Visit, replay_id: int) -> None:
    now = reopen(visit)
    if now is not None and may_reload(now.viewer):
        ask_adoption(now.context.jobs, now.viewer.name, replay_id)
