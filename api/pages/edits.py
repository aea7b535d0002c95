"""Every edit of readings in sight, and the meter changes that suppliers sent."""

from dataclasses import dataclass
from urllib.parse import quote

from nicegui import ui

from api.pages import parts
from api.pages.details import write_event_detail
from api.pages.forms import act, field, read_words
from api.pages.frame import PageKind
from api.pages.tables import Column, instant, number, show_table, supplier, word
from api.pages.visit import Visit
from water.edits import Decision, EditState, EventState
from water.pages import Page, Row
from water.viewer import Role

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Said:
    """What the page shows."""

    edits: Page
    events: list[Row]


def edit_columns(visit: Visit) -> list[Column]:
    """Columns of a list of edits."""
    texts = visit.texts
    return [
        Column("id", texts["edits"], href=lambda row: f"/edits/{row['id']}"),
        Column("meter_id", texts["meter_id"], href=meter_address),
        instant("at", texts["measured_at"], visit),
        word("kind", texts["edit_kind"], "edit_kind", visit),
        number("register_m3", texts["register_m3"], 3),
        word("state", texts["state"], "edit_state", visit),
        Column("author", texts["author"]),
        Column("approver", texts["approver"]),
        instant("made_at", texts["made_at"], visit),
        Column("reason", texts["reason"], wrap=True),
    ]


def meter_address(row: Row) -> str:
    """The page of a row's meter; "" where it names none."""
    return f"/meters/{quote(row['meter_id'], safe='')}" if row.get("meter_id") else ""


def decision_word(visit: Visit, conflict: Row) -> str:
    """How a conflict was decided, or that it is open."""
    decided = conflict["decision"]
    return visit.texts.word("decision", decided) if decided else visit.texts["open_conflict"]


def load(visit: Visit) -> Said:
    """One page of the edits that the address asks for, and the newest events."""
    events = visit.context.edits.meter_events(visit.viewer, limit=PAGE_ROWS).rows
    return Said(_fetch(visit, visit.query("cursor") or None, PAGE_ROWS), events)


def draw(visit: Visit, said: Said) -> None:
    """The edits with their filter, then what suppliers sent."""
    texts = visit.texts
    parts.title(texts["edits"])
    ui.link(texts["billing"], "/billing")
    with parts.panel(texts["edits"]) as side:
        states = {"": texts["all"]} | {str(s): texts.word("edit_state", s) for s in EditState}
        wanted = visit.query("state")
        with ui.element("div").classes("js-filters"):
            choice = ui.select(
                states, label=texts["state"], value=wanted if wanted in states else ""
            ).props("outlined dense options-dense")
            choice.on_value_change(
                lambda: ui.navigate.to(visit.address(state=choice.value, cursor=""))
            )
        show_table(
            visit, "edits", edit_columns(visit), said.edits,
            fetch=lambda cursor: _fetch(visit, cursor, 1_000), side=side,
        )  # fmt: skip
        ui.label(texts["edits_rule"]).classes("js-note")
    if visit.viewer.role is not Role.USER:
        with parts.panel(texts["meter_events"]) as side:
            _draw_events(visit, said.events, side)


def _fetch(visit: Visit, cursor: str | None, limit: int) -> Page:
    return visit.context.edits.edits(
        visit.viewer, state=visit.query("state"), cursor=cursor, limit=limit
    )


def _draw_events(visit: Visit, events: list[Row], side: ui.element) -> None:
    texts = visit.texts
    columns = [
        Column("id", texts["meter_events"]),
        supplier("supplier_id", visit),
        Column("meter_id", texts["meter_id"], href=meter_address),
        instant("at", texts["at"], visit),
        number("old_final_m3", texts["old_final_m3"], 3),
        number("new_initial_m3", texts["new_initial_m3"], 3),
        word("state", texts["state"], "event_state", visit),
        Column("refusal", texts["reason"], lambda row: _refusal(visit, row["refusal"])),
        number("count", texts["count"]),
        instant("received_at", texts["received_at"], visit),
        Column(
            "detail",
            texts["detail"],
            lambda row: write_event_detail(texts, row["refusal"], row["detail"]),
            wrap=True,
        ),
    ]
    show_table(visit, "meter_events", columns, Page(events), side=side)
    ui.label(texts["meter_events_rule"]).classes("js-note")
    waiting = {row["id"]: _describe(row) for row in events if row["state"] == EventState.OPEN}
    if waiting and visit.viewer.may_edit:
        _draw_decision(visit, waiting)


def _refusal(visit: Visit, refusal: str) -> str:
    own = visit.texts.word("refusal", refusal)
    return own if own != refusal else visit.texts.word("reason", refusal)


def _describe(row: Row) -> str:
    return f"{row['id']} · {row['meter_id']} · {row['old_final_m3']} → {row['new_initial_m3']}"


def _draw_decision(visit: Visit, waiting: dict[int, str]) -> None:
    texts = visit.texts
    decisions = {str(d): texts.word("decision", d) for d in Decision}
    with ui.element("div").classes("js-filters"):
        event = ui.select(waiting, label=texts["decide_event"], value=next(iter(waiting)))
        decision = ui.select(decisions, label=texts["decision"], value=str(Decision.KEEP))
        for choice in (event, decision):
            choice.props("outlined dense options-dense")
        reason = field(texts["reason"])

        async def decide() -> None:
            event_id, taken, why = event.value, Decision(decision.value), reason.value
            await act(
                visit,
                lambda now: now.context.changes.decide(
                    now.viewer.name, event_id, taken, read_words(why)
                ),
            )

        ui.button(texts["decide_event"], on_click=decide).props("unelevated no-caps color=primary")


PAGE = PageKind("edits", load, draw)
